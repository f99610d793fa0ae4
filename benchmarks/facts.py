"""The 30 facts that every way of reading brings, the site whose nodes are asked, and the scripts for the same."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from azpreflight import load_site
from azpreflight.facts.collection import Collection
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.query import CimQuery, ProgramQuery, Query, RegistryQuery
from azpreflight.model import Phase, Sureness, Value
from azpreflight.packs.load import PackSet, load_packs

OF_PACKS = (
    "accounts.administrators",
    "accounts.administrators_group",
    "accounts.logins",
    "accounts.token",
    "accounts.users",
    "cluster.cluster",
    "cluster.core_resources",
    "cluster.registry",
    "hyperv.host_ports",
    "hyperv.port_allocations",
    "hyperv.port_isolation",
    "hyperv.port_vlans",
    "hyperv.switches",
    "net.adapter_vlans",
    "net.adapters",
    "net.default_routes",
    "net.dns_servers",
    "net.gateway_ping",
    "net.ip_addresses",
    "net.ip_interfaces",
    "services.state",
    "system.computer",
    "system.names",
    "system.tcpip",
    "system.version",
    "tls.minimum_version",
    "tls.schannel_protocols",
    "winrm.config",
    "winrm.listeners",
)
"""Everything of the packs that one node is asked, but for what other machines answer (ping of the pool, curl)."""

BIOS = Query(
    read=CimQuery(namespace="root/cimv2", class_="Win32_BIOS", properties=("Manufacturer", "SMBIOSBIOSVersion")),
    title="Firmware of the machine",
    sureness=Sureness.DOCUMENTED,
    basis="Win32_BIOS in the CIMWin32 documentation",
)
"""The thirtieth."""

ONE_ROW_QUERY = CimQuery(
    namespace="root/cimv2",
    class_="Win32_ComputerSystem",
    properties=("Name", "DNSHostName", "Domain", "Workgroup", "PartOfDomain", "DomainRole"),
)
"""A query of one request: Windows answers a single row at once."""

ONE_ROW = Query(
    read=ONE_ROW_QUERY,
    title="Computer name and membership",
    sureness=Sureness.DOCUMENTED,
    basis="Win32_ComputerSystem in the CIMWin32 documentation",
)

_SITE = """\
name: benchmark
profile: local-identity
cluster: {name: AZL-CL01}
nodes:
%(nodes)s
network:
  management:
    subnet: 192.0.0.0/16
    gateway: 192.0.2.1
    pools: [{start: 192.0.2.20, end: 192.0.2.25}]
  dns: {mode: external, servers: [192.0.2.53], zone: edge.example}
  intents:
    - {name: all, traffic: [management, compute, storage], adapters: [NIC1, NIC2]}
azure: {cloud: AzureCloud, region: eastus}
key_vault: {name: benchmark-kv}
administrator: {name: azl-ops}
"""


@functools.cache
def _packs() -> PackSet:
    return load_packs(())


@functools.cache
def thirty_facts(nodes: int) -> Collection:
    """A collection of the 30 facts, of a site with that many nodes."""
    queries = {name: _packs().queries[name] for name in OF_PACKS}
    return _collection(nodes, {**queries, "system.firmware": BIOS})


@functools.cache
def one_row_facts(count: int) -> Collection:
    """A collection of `count` facts that cost one request each, of a site with one node."""
    return _collection(1, {f"system.computer{number}": ONE_ROW for number in range(count)})


def _collection(nodes: int, queries: Mapping[str, Query]) -> Collection:
    lines = [f"  - {{name: AZL-N{n:04}, address: 192.0.{100 + n // 250}.{1 + n % 250}}}" for n in range(1, nodes + 1)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "site.yaml"
        path.write_text(_SITE % {"nodes": "\n".join(lines)})
        site = load_site(path).site
    return Collection(site=site, phase=Phase.PRE_DEPLOY, queries=queries, tables={}, classes=_packs().classes)


def scripts() -> dict[str, str]:
    """What a PowerShell user writes for each of the facts, by fact."""
    return {name: _script(query) for name, query in thirty_facts(1).queries.items()}


def _script(query: Query) -> str:
    match query.read:
        case CimQuery() as read:
            columns = "*" if read.properties == "all" else ",".join(read.properties)
            where = f' -Filter "{read.where}"' if read.where else ""
            command = f"Get-CimInstance -Namespace {read.namespace} -ClassName {read.class_}{where} | select {columns}"
        case RegistryQuery() as read:
            recurse = " -Recurse" if read.recurse else ""
            command = f"Get-ChildItem 'Registry::{read.key}'{recurse} | Get-ItemProperty"
        case ProgramQuery() as read:
            command = f"{read.program} {read.arguments} | ConvertFrom-Csv"
        case _:
            command = f"Get-ChildItem WSMan:\\localhost -Recurse # {query.title}"
    return f"{command} | ConvertTo-Json -Depth 5 -Compress"


def encoded(script: str) -> str:
    """A script as the argument of -EncodedCommand."""
    return base64.b64encode(script.encode("utf-16-le")).decode()


def text_of(value: Value) -> str:
    """A fact as the JSON that a script prints; ASCII, whatever the code page."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


class Facts:
    """Takes the observations of one node, and holds that each was observed."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}

    def keep(self, observation: Observation) -> None:
        """Take one.

        Raises:
            ValueError: it was not observed: the figures would be of something else.
        """
        if observation.status is not Status.OBSERVED:
            raise ValueError(f"{observation.fact} of {observation.target}: {observation.status}: {observation.reason}")
        self.values[observation.fact] = observation.value
