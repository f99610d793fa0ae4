"""The node: the tests' WinRM endpoint in a process of its own, at several latencies, and what was asked of it.

Prints one line of JSON when it is ready, then one for each line that it reads; ends with its standard input.
"""

from __future__ import annotations

import contextlib
import json
import re
import resource
import sys
from dataclasses import dataclass
from unittest import mock

from benchmarks.facts import Facts, encoded, scripts, text_of, thirty_facts

import servers.winrm.server
from azpreflight import Credential
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.winrm.channel import Endpoint
from azpreflight.facts.winrm.source import WinrmSource
from servers.winrm import Misbehaviour, Scenario, WinRMServer, load_scenario
from servers.winrm.programs import Interpreter, Process

USER = "azl-ops"
PASSWORD = "Correct-Horse-9-Battery"  # noqa: S105 - of an account that exists in this process alone

LATENCY = 0.02
"""Seconds before each answer."""
POWERSHELL_START = 0.3
"""Seconds that the start of powershell.exe is taken to last."""
CIM_QUERY = 0.03
"""Seconds that a CIM query, or a Get of the configuration, is taken to last."""
PROGRAM_START = 0.03
"""Seconds that the start of each other program is taken to last."""

_SWITCH = "22222222-0000-4000-8000-00000000000A"
_HYPER_V = {
    "Msvm_VirtualEthernetSwitch": [{"ElementName": "ConvergedSwitch(mgmt)", "Name": _SWITCH}],
    "Msvm_InternalEthernetPort": [
        {
            "ElementName": f"vManagement({name})",
            "DeviceID": f"Microsoft:{name}",
            "PermanentAddress": "00005E005301",
            "EnabledState": 2,
        }
        for name in ("mgmt", "storage")
    ],
    "Msvm_EthernetPortAllocationSettingData": [
        {"ElementName": f"vManagement({name})", "InstanceID": f"Microsoft:{name}", "EnabledState": 2}
        for name in ("mgmt", "storage")
    ],
    "Msvm_EthernetSwitchPortVlanSettingData": [
        {"InstanceID": f"Microsoft:{name}", "OperationMode": 1, "AccessVlanId": vlan}
        for name, vlan in (("mgmt", 8), ("storage", 711))
    ],
    "Msvm_EthernetSwitchPortIsolationSettingData": [
        {"InstanceID": f"Microsoft:{name}", "IsolationMode": 0, "DefaultIsolationId": 0} for name in ("mgmt", "storage")
    ],
}
_MINIMUM: dict[str, dict[str, list[str]]] = {
    r"HKLM\SOFTWARE\Policies\Microsoft\Cryptography\Configuration\SSL\00010002": {}
}


@dataclass(frozen=True)
class Asked:
    """One request as a node saw it; what the floor repeats."""

    operation: str
    resource: str
    wql: str
    command: str


def scenario() -> Scenario:
    """A node on which each of the 30 facts is there to be observed: a member of a cluster, with Hyper-V."""
    return load_scenario("clustered").patched(
        {"cim": {"root/virtualization/v2": _HYPER_V}, "registry": _MINIMUM, "ping": {"192.0.2.1": 0}}
    )


def latencies(divisor: float, *, starts: bool = False, programs: bool = False) -> list[Misbehaviour]:
    """How long each request waits for its answer.

    Args:
        divisor: makes everything shorter.
        starts: adds what a node needs to start powershell.exe, and to answer a CIM query.
        programs: adds what it needs to start other programs.
    """
    found = [Misbehaviour("latency", seconds=LATENCY / divisor)]
    if starts:
        found += [
            Misbehaviour("latency", operation="Command", pattern="^powershell", seconds=POWERSHELL_START / divisor),
            Misbehaviour("latency", operation="Enumerate", seconds=CIM_QUERY / divisor),
            Misbehaviour("latency", operation="Get", seconds=CIM_QUERY / divisor),
        ]
    if programs:
        # The first fits lines with one program or more, the second those with two or more, ...: all that fit add up.
        patterns = [rf"(?:System32.\w+\.exe.*?){{{number}}}" for number in range(1, 16)]
        found += [
            Misbehaviour("latency", operation="Command", pattern=pattern, seconds=PROGRAM_START / divisor)
            for pattern in patterns
        ]
    return found


def canned() -> tuple[dict[str, str], list[Asked]]:
    """What the scripts print, by encoded script: just what azpreflight reads; and the requests that that took."""
    collection = thirty_facts(1)
    facts = Facts()
    with WinRMServer(scenario(), {USER: PASSWORD}) as server:
        here = Endpoint(host="127.0.0.1", port=server.http_port, https=False, certificate_name="127.0.0.1")
        source = WinrmSource(Credential(USER, PASSWORD), lambda node: here)
        source.collect_node(collection.site.nodes[0], collection, Deadline(60), facts.keep)
        asked = [Asked(r.operation, r.resource, r.wql, r.command) for r in server.log.operations()]
    return {encoded(script): text_of(facts.values[name]) for name, script in scripts().items()}, asked


class PowerShell(Interpreter):
    """The tests' cmd.exe, and a powershell.exe that knows the scripts of the benchmark."""

    outputs: dict[str, str] = {}

    def run(self, line: str, process: Process) -> int:
        """Run a command line; the exit code."""
        found = re.fullmatch(r"powershell -encodedcommand (\S+)", line, re.IGNORECASE)
        if found is None:
            return super().run(line, process)
        process.write("stdout", process.encode(self.outputs[found[1]] + "\r\n"))
        return 0


def serve(divisor: float) -> None:
    """Run until standard input ends.

    Args:
        divisor: makes every latency shorter, for a look at whether all of it runs.
    """
    outputs, asked = canned()
    PowerShell.outputs = outputs
    kinds = {
        "plain": latencies(divisor),
        "starts": latencies(divisor, starts=True),
        "programs": latencies(divisor, starts=True, programs=True),
        "fast": [],
    }
    with contextlib.ExitStack() as stack:
        # The endpoint of the tests refuses PowerShell, which azpreflight never runs; the others run nothing else.
        stack.enter_context(mock.patch.object(servers.winrm.server, "Interpreter", PowerShell))
        running = {
            kind: stack.enter_context(WinRMServer(scenario(), {USER: PASSWORD}, misbehaviours=found))
            for kind, found in kinds.items()
        }
        _say(
            {
                "ports": {kind: server.http_port for kind, server in running.items()},
                "user": USER,
                "password": PASSWORD,
                "asked": [vars(request) for request in asked],
                "scripts": {name: encoded(script) for name, script in scripts().items()},
            }
        )
        for _ in sys.stdin:
            used = resource.getrusage(resource.RUSAGE_SELF)
            counts = {kind: server.log.requests for kind, server in running.items()}
            _say({"requests": counts, "cpu": used.ru_utime + used.ru_stime})


def _say(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve(float(sys.argv[1]))
