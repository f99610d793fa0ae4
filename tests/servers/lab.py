"""A whole site on loopback: WinRM endpoints for its nodes, and the site file that declares them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from azpreflight import Credential
from servers.processes import free_port
from servers.winrm import Misbehaviour, Scenario, WinRMServer, load_scenario

USER = "azl-ops"
PASSWORD = "Correct-Horse-9-Battery"

PEERS = ("192.0.2.11", "192.0.2.12")
"""Nodes that answer each other's echo requests."""

SITE = """\
name: edge-lab
profile: local-identity
cluster: {name: AZL-CL01}
nodes:
%(nodes)s
network:
  management:
    subnet: 192.0.2.0/24
    gateway: 192.0.2.1
    pools: [{start: 192.0.2.20, end: 192.0.2.25}]
  dns: {mode: external, servers: [192.0.2.53, 192.0.2.54], zone: edge.example}
  intents:
    - {name: mgmt, traffic: [management, compute], adapters: [NIC1, NIC2]}
    - {name: storage, traffic: [storage], adapters: [SMB1, SMB2]}
azure: {cloud: AzureCloud, region: eastus}
key_vault: {name: edge-lab-kv}
witness: {kind: cloud, storage_account: edgelabwitness}
administrator: {name: azl-ops}
"""


def node_scenario(number: int, base: str = "healthy") -> Scenario:
    """The scenario of node AZL-N01, AZL-N02, ... with its own names and addresses."""
    scenario = load_scenario(base)
    if number > 1:
        name, address = f"AZL-N{number:02}", f"192.0.2.{10 + number}"
        scenario = scenario.substituted({"AZL-N01": name, "azl-n01": name.casefold(), "192.0.2.11": address})
    return scenario.patched({"ping": dict.fromkeys(PEERS, 0)})


@dataclass
class Lab:
    """A running site.

    Attributes:
        site: its site.yaml.
        servers: the endpoint of each node, by name.
        connect_to: where the declared addresses are reached.
    """

    site: Path
    servers: dict[str, WinRMServer]
    connect_to: dict[str, str]
    credential: Credential

    def options(self) -> list[str]:
        """The redirections as options of the command line."""
        return [f"--connect-to={declared}={reached}" for declared, reached in self.connect_to.items()]

    def assert_only_read(self, *, contexts: bool = True) -> None:
        """Nothing but reading operations came, and nothing was left open: no shell, and with `contexts` no enumeration.

        An enumeration whose context never arrived cannot be released; Windows lets it expire.
        """
        for name, server in self.servers.items():
            assert server.log.forbidden == [], name
            assert server.log.open_shells == [], name
            assert not contexts or server.log.open_contexts == [], name


@contextlib.contextmanager
def running_lab(
    folder: Path,
    nodes: int | Mapping[str, Scenario] = 2,
    *,
    misbehaviours: Mapping[str, Sequence[Misbehaviour]] | None = None,
    curl_arguments: Sequence[str] | None = None,
    dns: Mapping[str, str] | None = None,
    passwords: Mapping[str, str] | None = None,
    user: str = USER,
    edit: Callable[[str], str] = lambda text: text,
) -> Iterator[Lab]:
    """A site with `nodes` healthy nodes, or with nodes by scenario.

    Args:
        folder: where site.yaml is written.
        nodes: how many, or which.
        misbehaviours: by node.
        curl_arguments: the network of the nodes; by default everything outbound is refused on loopback.
        dns: where declared DNS servers are reached; by default on a port where nothing answers.
        passwords: of `user`, where a node has another.
        user: who logs on.
        edit: changes the text of site.yaml.
    """
    if isinstance(nodes, int):
        nodes = {f"AZL-N{number:02}": node_scenario(number) for number in range(1, nodes + 1)}
    if curl_arguments is None:
        curl_arguments = ["--connect-to", f"::127.0.0.1:{free_port()}"]
    if dns is None:
        dns = {server: f"127.0.0.1:{free_port()}" for server in ("192.0.2.53", "192.0.2.54")}
    # Every node resolves the names of all.
    found = {
        name.casefold(): {"status": 0, "address": f"192.0.2.{number}"} for number, name in enumerate(nodes, start=11)
    }
    found |= {f"{name}.edge.example": answer for name, answer in found.items()}
    with contextlib.ExitStack() as stack:
        servers: dict[str, WinRMServer] = {}
        connect_to = dict(dns)
        lines = []
        for number, (name, scenario) in enumerate(nodes.items(), start=1):
            address = f"192.0.2.{10 + number}"
            password = (passwords or {}).get(name, PASSWORD)
            server = WinRMServer(
                scenario.patched({"ping": lambda own: {**found, **(own or {})}}),
                {user: password},
                misbehaviours=(misbehaviours or {}).get(name, ()),
                curl_arguments=curl_arguments,
            )
            servers[name] = stack.enter_context(server)
            connect_to[address] = f"127.0.0.1:{server.http_port}"
            lines.append(f"  - {{name: {name}, address: {address}}}")
        site = folder / "site.yaml"
        site.write_text(edit(SITE % {"nodes": "\n".join(lines)}))
        yield Lab(site, servers, connect_to, Credential(user, PASSWORD))
