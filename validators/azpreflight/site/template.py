"""The commented `site.yaml` that `azpreflight init` writes: from nothing, or from a site that another file declares."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from azpreflight.documents import Place, faults
from azpreflight.model import Profile
from azpreflight.site.model import (
    Administrator,
    Azure,
    Cluster,
    Dns,
    KeyVault,
    LoadedSite,
    Management,
    Network,
    Node,
    Range,
    Site,
    Witness,
    WitnessKind,
)

_HEADING = """\
# What azpreflight judges this deployment against. Lines that begin with '#' declare nothing: remove it to declare.
# A rule that needs what is not declared here is not applicable. Credentials do not belong in this file: azpreflight
# asks for them, or takes them from the environment, --password-file or --password-stdin.
"""

FIELDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "name": ("what reports call this site", "edge-lab"),
        "profile": ("local-identity, or active-directory", "local-identity"),
        "cluster": ("the cluster to be made", ""),
        "cluster.name": ("its computer name; differs from every node's", "AZL-CL01"),
        "cluster.naming_prefix": ("of the objects the deployment makes; 8 characters at most", "AZL01"),
        "cluster.hardware": ("standard, low-capacity, or virtual for a lab of virtual machines", "standard"),
        "cluster.rack_aware": ("true when the nodes stand in two racks", "false"),
        "cluster.release": ("the release of Azure Local to be deployed, in quotes", '"2510"'),
        "cluster.vendor": ("who made the machines: dataon, dell, hitachi, hpe, lenovo or other", "dell"),
        "nodes": ("every machine: name, management address and, once registered, its Arc machine", ""),
        "network": ("addresses, names and adapters", ""),
        "network.management": ("the infrastructure network", ""),
        "network.management.subnet": ("with its prefix length", "192.0.2.0/24"),
        "network.management.gateway": ("the only default gateway", "192.0.2.1"),
        "network.management.pools": (
            "addresses kept for the infrastructure; the first one becomes the cluster's",
            "[{start: 192.0.2.20, end: 192.0.2.30}]",
        ),
        "network.management.dhcp": ("true when addresses come from DHCP", "false"),
        "network.management.allow_dhcp_reservation": ("true to accept permanent DHCP reservations on nodes", "false"),
        "network.management.dhcp_scopes": (
            "what DHCP servers hand out in the subnet, exclusions taken off; [] for nothing",
            "[{start: 192.0.2.100, end: 192.0.2.199}]",
        ),
        "network.management.vlan": ("of the management traffic; 0 is untagged", "0"),
        "network.dns": ("how names are resolved", ""),
        "network.dns.mode": ("external, or forwarder when there is no DNS server outside the cluster", "external"),
        "network.dns.servers": ("what the nodes ask; cannot be changed after the deployment", "[192.0.2.53]"),
        "network.dns.zone": ("where the names of the cluster and its nodes live", "edge.example"),
        "network.dns.forwarders": ("where questions go in mode forwarder", "[192.0.2.54]"),
        "network.dns.outside_cluster": ("true: you confirm that no DNS server runs on this cluster", "true"),
        "network.dns.dynamic_update": ("true when the zone takes secure dynamic updates", "false"),
        "network.storage": ("traffic between the nodes, and the data disks", ""),
        "network.storage.networks": (
            "one for each storage adapter; with auto_ip false also addresses: [{node, address, subnet}]",
            "[{name: Storage1, adapter: Port3, vlan: 711}, {name: Storage2, adapter: Port4, vlan: 712}]",
        ),
        "network.storage.auto_ip": ("true when the deployment chooses the storage addresses", "true"),
        "network.storage.switchless": ("true when storage adapters are cabled node to node", "false"),
        "network.storage.mode": ("express, infra-only, or keep-storage to leave the data disks alone", "express"),
        "network.intents": (
            "Network ATC: which adapters carry management, compute, storage; overrides: {…} beside them",
            "[{name: All, traffic: [management, compute, storage], adapters: [Port3, Port4]}]",
        ),
        "network.vm_networks": (
            "logical networks for virtual machines",
            "[{name: Web, subnet: 198.51.100.0/24, vlan: 20}]",
        ),
        "network.ntp_servers": ("where the nodes get the time", "[time.windows.com]"),
        "proxy": ("the way to the internet, when it goes through a proxy", ""),
        "proxy.http": ("for http, with its port", "http://proxy.edge.example:3128"),
        "proxy.https": ("for https; begins with http:// too", "http://proxy.edge.example:3128"),
        "proxy.bypass": ("what is reached without it", "[localhost, 127.0.0.1, 192.0.2.0/24]"),
        "azure": ("where in Azure the cluster will be", ""),
        "azure.cloud": ("AzureCloud, AzureUSGovernment or AzureChinaCloud", "AzureCloud"),
        "azure.region": ("of the cluster", "eastus"),
        "azure.subscription": ("its id", "11111111-2222-3333-4444-555555555555"),
        "azure.resource_group": ("of the cluster and of its Arc machines", "rg-edge-lab"),
        "azure.tenant": ("its id", "66666666-7777-8888-9999-aaaaaaaaaaaa"),
        "azure.arc_gateway": ("true when the nodes reach Azure through an Arc gateway", "false"),
        "azure.arc_gateway_prefix": ("of its URL, in front of .gw.arc.azure.com", "edge-lab-gateway"),
        "azure.services": (
            "all that are used beside the cluster; [] for none; their endpoints are probed as well",
            "[azure-monitor-agent, defender, remote-support, windows-admin-center]",
        ),
        "azure.log_analytics_workspace": ("the id of the workspace", "77777777-8888-9999-aaaa-bbbbbbbbbbbb"),
        "azure.data_collection_endpoint": (
            "in front of its region and .ingest.monitor.azure.com, for custom-logs",
            "edge-lab-dce",
        ),
        "azure.tenant_restrictions": ("true when a proxy adds the header of tenant restrictions v1", "false"),
        "azure.diagnostics_storage_account": ("for the audit logs of the key vault", "edgelabdiagnostics"),
        "key_vault": ("the vault for the deployment's secrets, one for each cluster", ""),
        "key_vault.name": ("without .vault.azure.net", "kv-edge-lab"),
        "key_vault.private_endpoint": ("true when it is reached through a private endpoint", "false"),
        "witness": ("the quorum witness; two nodes need one", ""),
        "witness.kind": ("cloud, file-share or none", "cloud"),
        "witness.storage_account": ("of a cloud witness", "edgelabwitness"),
        "witness.path": ("of a file share witness", r'"\\\\files.edge.example\\witness"'),
        "administrator": ("the local administrator on every node; its password is asked for", ""),
        "administrator.name": ("the same on every node, and not the built-in one", "azladmin"),
        "directory": ("Active Directory, for the profile active-directory", ""),
        "directory.domain": ("the domain that the nodes join", "corp.example"),
        "directory.ou": ("the distinguished name of this cluster's own OU", '"OU=AZL-CL01,DC=corp,DC=example"'),
        "directory.deployment_user": ("the lifecycle manager's user, without the domain", "azl-lcm"),
        "winrm": ("how azpreflight reaches the nodes", ""),
        "winrm.transport": ("auto, ntlm, kerberos, credssp, basic or certificate", "ntlm"),
        "winrm.https": ("true for HTTPS", "false"),
        "winrm.port": ("5985, or 5986 for HTTPS, unless said otherwise", "5985"),
        "winrm.verify": ("false accepts any certificate; the report shows it", "true"),
        "winrm.ca_file": ("the certificates that sign the nodes' own", "corp-root.pem"),
        "winrm.client_certificate": ("for transport certificate, in PEM", "operator.pem"),
        "winrm.client_key": ("its key, in PEM without a passphrase", "operator.key"),
    }
)
"""Every field with what it is and an example, as YAML. The order of a written file is that of the model."""

_EXAMPLE = Site(
    name="edge-lab",
    profile=Profile.LOCAL_IDENTITY,
    cluster=Cluster(name="AZL-CL01"),
    nodes=(Node(name="AZL-N01", address="192.0.2.11"), Node(name="AZL-N02", address="192.0.2.12")),
    network=Network(
        management=Management(
            subnet="192.0.2.0/24",
            gateway="192.0.2.1",
            pools=(Range(start="192.0.2.20", end="192.0.2.30"),),
            dhcp=False,
        ),
        dns=Dns(servers=("192.0.2.53", "192.0.2.54"), zone="edge.example"),
    ),
    azure=Azure(region="eastus"),
    key_vault=KeyVault(name="kv-edge-lab"),
    witness=Witness(kind=WitnessKind.CLOUD, storage_account="edgelabwitness"),
    administrator=Administrator(name="azladmin"),
)


def template() -> str:
    """A site of documentation addresses to be overwritten, with every field there is."""
    return _written(_EXAMPLE, _HEADING)


def from_site(loaded: LoadedSite) -> str:
    """A site file that declares the same, with what `site.yaml` does not take as comments that say so."""
    origin = f"# Written from a file in the format {loaded.info.format!r}, SHA-256 {loaded.info.sha256}.\n"
    return _written(loaded.site, _HEADING + origin)


def _written(site: Site, heading: str) -> str:
    document = msgspec.json.decode(msgspec.json.encode(site))
    # Messages quote values, and they become comments: no line end in a value may end the comment.
    refused = {fault.place: _escaped(fault.message) for fault in faults(document, Site)}
    return heading + "\n" + "\n".join(_section(site, (), refused)) + "\n"


def _section(section: msgspec.Struct, place: Place, refused: Mapping[Place, str]) -> Iterator[str]:
    """The lines of one section, without its own heading and indentation."""
    for field in msgspec.structs.fields(section):
        here = (*place, field.name)
        meaning, example = FIELDS[".".join(map(str, here))]
        value = getattr(section, field.name)
        if isinstance(value, msgspec.Struct):
            begins = f"{field.name}:  # {meaning}"
            lines = [f"  {line}" for line in _section(value, here, refused)]
            # A heading with nothing but comments below it would be a mapping that is nothing.
            declares = any(not line.lstrip().startswith("#") for line in lines)
            yield from [begins, *lines] if declares else _commented([begins, *lines])
        elif value is None or (field.default is not None and value == field.default):
            yield f"# {field.name}: {example if value is None else _flow(value)}  # {meaning}"
        elif here in refused:
            yield f"# {field.name}: {_flow(value)}  # {meaning}; not filled in: {refused[here]}"
        elif isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
            yield from _items(field.name, meaning, value, here, refused)
        elif any(known[: len(here)] == here for known in refused):
            yield f"# {field.name}: {_flow(value)}  # {meaning}; {_why(here, refused)}"
        else:
            yield f"{field.name}: {_flow(value)}  # {meaning}"


def _commented(lines: list[str]) -> Iterator[str]:
    """Lines of a section that declares nothing: removing the '#' of a line leaves it where it belongs."""
    for line in lines:
        text = line.lstrip()
        yield f"# {line[: len(line) - len(text)]}{text.removeprefix('# ')}"


def _items(
    name: str, meaning: str, items: tuple[msgspec.Struct, ...], place: Place, refused: Mapping[Place, str]
) -> Iterator[str]:
    """A list of records, one to a line."""
    lines: list[str] = []
    for at, item in enumerate(items):
        here = (*place, at)
        if not any(known[: len(here)] == here for known in refused):
            lines.append(f"  - {_flow(item)}")
        elif place == ("nodes",):
            # A node is never left out in silence: the file does not load until the node is filled in.
            accepted = {key: value for key, value in _stated(item).items() if (*here, key) not in refused}
            lines.append(f"  - {_flow(accepted)}  # {_why(here, refused)}")
        else:
            lines.append(f"  # - {_flow(item)}  # {_why(here, refused)}")
    declares = any(line.startswith("  - ") for line in lines)
    yield f"{name}:  # {meaning}" if declares else f"# {name}:  # {meaning}"
    yield from lines


def _why(place: Place, refused: Mapping[Place, str]) -> str:
    """What a site file does not take of the value at a place."""
    return "not filled in: " + "; ".join(
        f"{'.'.join(map(str, known[len(place) :]))}: {message}"
        for known, message in refused.items()
        if known[: len(place)] == place
    )


def _stated(record: msgspec.Struct) -> dict[str, Any]:
    """The fields of a record that say more than their defaults."""
    values = ((field, getattr(record, field.name)) for field in msgspec.structs.fields(record))
    return {field.name: value for field, value in values if field.required or value != field.default}


def _flow(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, msgspec.Struct):
        value = _stated(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(member)}" for key, member in value.items()) + "}"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _quoted(str(value)) if isinstance(value, str) else str(value)


_PLAIN = re.compile(r"[A-Za-z][\w./@()-]*(?: [\w./@()-]+)*|\d+\.\d+\.\d+\.\d+(?:/\d+)?", re.ASCII)
_OTHER_MEANING = re.compile(r"null|true|false|yes|no|on|off|y|n", re.IGNORECASE)
# Line ends and invisible characters that a double-quoted text does not keep as they are.
_TO_ESCAPE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def _quoted(text: str) -> str:
    """A text, in quotes where it would not be read as that text without them."""
    if _PLAIN.fullmatch(text) and not _OTHER_MEANING.fullmatch(text):
        return text
    return _escaped(json.dumps(text, ensure_ascii=False))


def _escaped(text: str) -> str:
    return _TO_ESCAPE.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
