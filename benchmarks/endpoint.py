"""The node: the tests' WinRM endpoint in a process of its own, at several latencies, and what was asked of it.

Prints one line of JSON when it is ready, then one for each line that it reads; ends with its standard input.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from dataclasses import dataclass

import servers.winrm.server
from benchmarks.facts import Facts, encoded, scripts, text_of, thirty_facts
from servers.winrm import Misbehaviour, Scenario, WinRMServer, load_scenario
from servers.winrm.programs import Interpreter, Process

from azpreflight import Credential
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.winrm.channel import Endpoint
from azpreflight.facts.winrm.source import WinrmSource

USER = "azl-ops"
PASSWORD = "Correct-Horse-9-Battery"  # noqa: S105 - of an account that exists in this process alone

LATENCY = 0.02
POWERSHELL_START = 0.3
CIM_QUERY = 0.03
PROGRAM_START = 0.03

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
_MINIMUM = {r"HKLM\SOFTWARE\Policies\Microsoft\Cryptography\Configuration\SSL\00010002": {}}


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


def latencies(*, starts: bool) -> list[Misbehaviour]:
    """20 ms for each request; with `starts` also what Windows needs to start a program and to answer a query."""
    found = [Misbehaviour("latency", seconds=LATENCY)]
    if starts:
        found += [
            Misbehaviour("latency", operation="Command", pattern="^powershell", seconds=POWERSHELL_START),
            Misbehaviour("latency", operation="Enumerate", seconds=CIM_QUERY),
            Misbehaviour("latency", operation="Get", seconds=CIM_QUERY),
        ]
        # One for the first program of a line, one for the second, ...
        found += [
            Misbehaviour("latency", operation="Command", pattern=rf"(?:\.exe.*?){{{number}}}", seconds=PROGRAM_START)
            for number in range(1, 12)
        ]
    return found


def canned() -> tuple[dict[str, str], list[Asked]]:
    """What the scripts print, by encoded script: what azpreflight reads; and the requests that it took."""
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


def serve() -> None:
    """Run until standard input ends."""
    outputs, asked = canned()
    PowerShell.outputs = outputs
    # The endpoint of the tests refuses PowerShell, which azpreflight never runs; the others run nothing else.
    servers.winrm.server.Interpreter = PowerShell  # type: ignore[misc]
    kinds = {"plain": latencies(starts=False), "starts": latencies(starts=True), "fast": []}
    with contextlib.ExitStack() as stack:
        running = {
            kind: stack.enter_context(WinRMServer(scenario(), {USER: PASSWORD}, misbehaviours=found))
            for kind, found in kinds.items()
        }
        ports = {kind: server.http_port for kind, server in running.items()}
        _say({"ports": ports, "asked": [vars(request) for request in asked]})
        for _ in sys.stdin:
            _say({kind: server.log.requests for kind, server in running.items()})


def _say(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
