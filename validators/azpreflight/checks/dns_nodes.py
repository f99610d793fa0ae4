"""Names as the nodes see them: suffixes, the way to DNS servers over TCP, their own resolver, the hosts file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from azpreflight.checks.addressing import ROUTES
from azpreflight.checks.agreement import grouped, named_rows, same, spelled_values, told
from azpreflight.checks.check import NoParameters, check, failed, irrelevant, judged, passed, unjudged
from azpreflight.checks.dns_answers import (
    NODE_RECORDS,
    PUBLIC_NAMES,
    Asked,
    answers_about,
    full_name,
    need_manual_records,
    resolvers,
    without_answer,
)
from azpreflight.checks.interfaces import IP_ADDRESSES, NO_MANAGEMENT_INTERFACE, management_interface, on_interface
from azpreflight.checks.ranges import address
from azpreflight.checks.reach import CONNECTED, FILTERED, REFUSED, connection
from azpreflight.checks.view import NotApplicable, NotObserved, Row, View
from azpreflight.facts.registry_tree import RegistryTree
from azpreflight.model import Finding, Frozen, Outcome
from azpreflight.site.model import DnsMode, Node

TCPIP = "system.tcpip"
DNS_CLIENT = "net.dns_client"
DHCP_SUFFIXES = "net.dhcp_suffixes"
PEER_FQDNS = "net.peer_fqdns"
PEER_NAMES = "net.peer_names"
RESOLVED = "PrimaryAddressResolutionStatus"
HOSTS_FILE = "files.hosts"
TCP_PORT = 53
TCP_FROM_NODE = "reach.dns_servers"
TCP_FROM_HERE = "dns.over_tcp"

SUFFIX_REQUIRED_UNTIL = "2508"
"""The last release whose documentation makes the primary DNS suffix a step of the preparation."""

HOSTS_FOLDERS = (r"%systemroot%\system32\drivers\etc", r"c:\windows\system32\drivers\etc")
"""Where the hosts file lies unless somebody moved it, in lower case."""


class ForeignNames(Frozen, frozen=True):
    """domains: those of Azure, whose names no hosts file may hold."""

    domains: Annotated[tuple[str, ...], Meta(min_length=1)]


@check("dns.primary_suffix", TCPIP)
def primary_suffix(view: View, _: NoParameters) -> Iterator[Finding]:
    """The primary DNS suffix is the zone. None at all is enough where the release does not ask for one."""
    zone, release = view.site.dns_suffix, view.site.cluster.release
    if not zone:
        raise NotApplicable("the site does not declare network.dns.zone")
    tree = view.registry(TCPIP)
    now = _suffix(tree, "Domain")
    after_restart = _suffix(tree, "NV Domain") if tree.has_value("NV Domain") else now
    subject = "primary DNS suffix"
    if not tree.exists or now is None or after_restart is None:
        message = f"the node does not tell its primary DNS suffix: {tree.get('Domain')}, {tree.get('NV Domain')}"
        yield unjudged(subject, message, expected=zone)
    elif not same(now, after_restart):
        message = f"the primary DNS suffix is {now or 'empty'}, and {after_restart or 'empty'} after the next restart"
        yield failed(subject, message, expected=zone, actual=now)
    elif now:
        good, bad = f"the primary DNS suffix is {now}", f"the primary DNS suffix is {now}, and the zone is {zone}"
        yield judged(same(now, zone), subject, if_good=good, if_bad=bad, expected=zone, actual=now)
    elif release is not None and release <= SUFFIX_REQUIRED_UNTIL:
        message = f"the node has no primary DNS suffix, and release {release} asks for {zone}"
        yield failed(subject, message, expected=zone, actual=now)
    else:
        message = f"the node has no primary DNS suffix, and releases after {SUFFIX_REQUIRED_UNTIL} ask for none"
        yield irrelevant(subject, message, actual=now)


def _suffix(tree: RegistryTree, name: str) -> str | None:
    """A suffix without a dot at its end; "" when the key has no such value, None when that is no text."""
    value = tree.get(name) if tree.has_value(name) else ""
    return value.rstrip(".") if isinstance(value, str) else None


@check("dns.connection_suffix", DNS_CLIENT, DHCP_SUFFIXES, IP_ADDRESSES, ROUTES)
def connection_suffix(view: View, _: NoParameters) -> Iterator[Finding]:
    """The connection-specific suffix of the management interface is the zone, where the cluster is its own DNS."""
    zone, subject = view.site.network.dns.zone, "connection-specific suffix"
    if view.site.network.dns.mode is not DnsMode.FORWARDER:
        raise NotApplicable("DNS servers outside the cluster answer for its zone (network.dns.mode: external)")
    if not zone:
        raise NotApplicable("the site does not declare network.dns.zone")
    alias = management_interface(view, view.node)
    if alias is None:
        yield failed(subject, NO_MANAGEMENT_INTERFACE, expected=zone)
        return
    rows = on_interface(view.rows(DNS_CLIENT), alias)
    found = told(rows, "ConnectionSpecificSuffix", str)
    if found is None:
        what = spelled_values(rows, "ConnectionSpecificSuffix")
        yield unjudged(subject, f"the node does not tell the suffix of {alias}: {what}", expected=zone)
        return
    by_dhcp = ", as DHCP gave it" if found and _is_leased(view, found) else ""
    yield judged(
        same(found.rstrip("."), zone),
        subject,
        if_good=f"the suffix of {alias} is {found}",
        if_bad=f"the suffix of {alias} is {found or 'empty'}{by_dhcp}, not {zone}",
        expected=zone,
        actual=found,
    )


def _is_leased(view: View, suffix: str) -> bool:
    """Whether DHCP gave this suffix to one of the interfaces. That only explains, so that it may be unknown."""
    try:
        tree = view.registry(DHCP_SUFFIXES)
    except NotObserved:
        return False
    return any(same(tree.get("DhcpDomain", key=key), suffix) for key in tree.keys())  # noqa: SIM118 - no mapping


@check("dns.tcp_open", TCP_FROM_NODE, TCP_FROM_HERE, PUBLIC_NAMES)
def tcp_open(view: View, _: NoParameters) -> Iterator[Finding]:
    """The node connects to TCP 53 of every DNS server, or of every forwarder where there is none.

    What the machine that runs azpreflight gets from the same server explains, and decides nothing.
    """
    servers = list(dict.fromkeys(resolvers(view)))
    if not servers:
        yield unjudged("TCP 53", "the declared list of DNS servers is empty")
    try:
        rows = named_rows(view, TCP_FROM_NODE, "host")
    except NotObserved as error:
        for server in servers:
            yield unjudged(f"TCP 53 of {server}", f"{error}{_seen_from_here(view, server)[0]}")
        return
    for server in servers:
        yield _tcp(server, [row for row in rows if row["host"] == server and same(row["port"], TCP_PORT)], view)


def _tcp(server: str, rows: list[Row], view: View) -> Finding:
    subject, expected = f"TCP 53 of {server}", "connected"
    state = connection(rows)
    if state == CONNECTED:
        return passed(subject, f"the node connects to TCP 53 of {server}", expected=expected, actual=expected)
    ways = {REFUSED: "it was turned away at once", FILTERED: "nothing came back in time"}
    if state not in ways:
        what = f"{spelled_values(rows, 'connected')}, {spelled_values(rows, 'exit_code')}"
        return unjudged(subject, f"whether the node connects to TCP 53 of {server} is not known: {what}")
    seen, so = _seen_from_here(view, server)
    message = f"the node does not connect to TCP 53 of {server}: {ways[state]}{seen}{so}"
    return failed(subject, message, expected=expected, actual=ways[state])


def _seen_from_here(view: View, server: str) -> tuple[str, str]:
    """What the machine that runs azpreflight gets from a server, and what follows where the node does not connect."""
    udp, tcp = _answered(view, PUBLIC_NAMES, server), _answered(view, TCP_FROM_HERE, server)
    here = "; the machine that runs azpreflight is answered"
    match udp, tcp:
        case _, True:
            return f"{here} over TCP", ", so that something on the node's way blocks it"
        case True, False:
            return f"{here} over UDP alone", ", so that TCP 53 is closed or blocked for both"
        case False, False:
            return f"{here} neither over UDP nor over TCP", ": does the server run?"
        case _:
            return "", ""


def _answered(view: View, fact: str, server: str) -> bool | None:
    """Whether a server answered anything at all; None where nobody knows."""
    try:
        rows = [row for row in view.rows(fact) if row["server"] == server]
        found = {row["rcode"] is not None for row in rows}
    except NotObserved:
        return None
    return found.pop() if len(found) == 1 else None


@check("dns.peers_resolve", PEER_FQDNS, PEER_NAMES, NODE_RECORDS)
def peers_resolve(view: View, _: NoParameters) -> Iterator[Finding]:
    """The node's own resolver leads the full name of every other node to its declared address.

    Short names are looked at as well: one that leads to another machine fails, one that is not found is named. Where a
    DNS server itself has no right answer, that is for another rule.
    """
    need_manual_records(view)
    peers = [node for node in view.nodes if node.name != view.node.name]
    if not peers:
        raise NotApplicable("the site has a single node")
    full, short = (grouped(named_rows(view, fact, "Address"), "Address") for fact in (PEER_FQDNS, PEER_NAMES))
    for peer in peers:
        name = full_name(view, peer.name)
        if address(peer.address) is None:
            yield unjudged(name, f"the declared address of {peer.name} is no IPv4 address: {peer.address!r}")
            continue
        yield _full(view, peer, name, full.get((name.casefold(),), []))
        yield _short(peer, short.get((peer.name.casefold(),), []))


def _full(view: View, peer: Node, name: str, rows: list[Row]) -> Finding:
    status, found = told(rows, RESOLVED, int), told(rows, "ProtocolAddress", str)
    if status == 0 and found == peer.address:
        return passed(name, f"the node finds {name} at {found}", expected=peer.address, actual=found)
    if status is None or (status == 0 and address(found) is None):
        what = f"status {spelled_values(rows, RESOLVED)}, {spelled_values(rows, 'ProtocolAddress')}"
        return unjudged(name, f"what the node makes of {name} is not known: {what}", expected=peer.address)
    what = f"finds {name} at {found}, not {peer.address}" if status == 0 else f"does not find {name} ({status})"
    actual = found if status == 0 else status
    right, wrong = _servers_on(view, name, peer.address)
    if wrong:
        reason = f"and {', '.join(wrong)} does not answer {peer.address} either, which is judged for itself"
        return irrelevant(name, f"the node {what}, {reason}", actual=actual)
    though = f", though {', '.join(right)} answers {peer.address}" if right else ""
    return failed(name, f"the node {what}{though}", expected=peer.address, actual=actual)


def _servers_on(view: View, name: str, expected: str) -> tuple[list[str], list[str]]:
    """The servers that answer the expected address for a name, and those that do not. Silent ones are neither."""
    right: list[str] = []
    wrong: list[str] = []
    try:
        rows = answers_about(view, NODE_RECORDS, Asked(name, "A"))
        for row in rows:
            finding = without_answer(row, "")
            if finding is None or finding.outcome is Outcome.FAIL:
                (right if row["answers"] == [expected] else wrong).append(row["server"])
    except NotObserved:
        pass
    return right, wrong


def _short(peer: Node, rows: list[Row]) -> Finding:
    subject, status, found = peer.name, told(rows, RESOLVED, int), told(rows, "ProtocolAddress", str)
    if status == 0 and found == peer.address:
        return passed(subject, f"the node finds {peer.name} at {found}", expected=peer.address, actual=found)
    if status == 0 and address(found) is not None:
        message = f"the node finds the short name {peer.name} at {found}, not {peer.address}"
        return failed(subject, message, expected=peer.address, actual=found)
    if status is None or (status == 0 and found is None):
        what = f"status {spelled_values(rows, RESOLVED)}, {spelled_values(rows, 'ProtocolAddress')}"
        return unjudged(subject, f"what the node makes of the short name {peer.name} is not known: {what}")
    what = f"is answered with {found}" if status == 0 else f"is not found ({status})"
    return irrelevant(subject, f"the short name {peer.name} {what}; only full names are required", actual=status)


@check("dns.hosts_file", HOSTS_FILE, TCPIP, parameters=ForeignNames)
def hosts_file(view: View, parameters: ForeignNames) -> Iterator[Finding]:
    """The hosts file names neither a node, nor the cluster, nor anything of Azure's."""
    text, tree = view.value(HOSTS_FILE), view.registry(TCPIP)
    folder = tree.get("DataBasePath") if tree.has_value("DataBasePath") else HOSTS_FOLDERS[0]
    if not isinstance(text, str) or not isinstance(folder, str):
        yield unjudged("hosts file", "the node does not tell its hosts file, or where that is", actual=folder)
        return
    if folder.rstrip("\\").casefold() not in HOSTS_FOLDERS:
        message = f"the node keeps its hosts file in {folder}, and another one was read"
        yield unjudged("hosts file", message, actual=folder)
        return
    site = view.site
    own = [*(node.name for node in site.nodes), site.cluster.name or ""]
    names = {name.casefold() for name in [*own, *(site.fqdn(name) or "" for name in own)] if name}
    found: dict[str, list[str]] = {}
    for line in text.lstrip("\ufeff").splitlines():
        target, *entries = line.partition("#")[0].split() or [""]
        for entry in entries:
            name = entry.rstrip(".").casefold()
            if name in names or any(name == domain or name.endswith(f".{domain}") for domain in parameters.domains):
                found.setdefault(name, []).append(target)
    for name, targets in found.items():
        leads = ", ".join(targets)
        yield failed(name, f"the hosts file leads {name} to {leads}, past DNS", expected="no entry", actual=targets)
    if not found:
        yield passed("hosts file", "the hosts file has no entry for the nodes, the cluster or Azure")
