"""Ports between the nodes, and from each node to time servers and DNS servers.

A port that is refused shows that the host is up and nothing listens there: that is no sign of a firewall. Silence is,
but for what Windows' own firewall keeps closed before the deployment, and for ports at which no program listens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from azpreflight.checks.agreement import named_rows, same, spelled_values, told
from azpreflight.checks.check import NoParameters, check, failed, irrelevant, judged, passed, unjudged
from azpreflight.checks.ranges import address
from azpreflight.checks.reach import CONNECTED, FILTERED, REFUSED, connection, port_rows
from azpreflight.checks.routing import ECHO_REPLY, NO_HOST, NO_ROUTE, TIMED_OUT
from azpreflight.checks.view import NotApplicable, NotObserved, Row, View
from azpreflight.facts.query import FactName
from azpreflight.model import Finding, Frozen, Outcome, Phase, Value
from azpreflight.site.formats import Port
from azpreflight.site.model import DnsMode, Node, Traffic

PINGS = "net.peer_ping"
TIME = "time.declared_servers"
NODE_ANSWERS = "reach.public_names"
OPERATOR_ANSWERS = "dns.public_names"
UDP_LISTENERS = "net.udp_listeners"
DNS_CLIENT = "net.dns_cache_service"

IWARP = "iwarp"
MDNS = 5353


class Ports(Frozen, kw_only=True):
    """fact: the connections that were tried. ports: those that each node needs. iwarp: those that SMB Direct adds.

    later: those of them that Windows' own firewall keeps closed until roles are installed, as it does echo requests.
    """

    fact: FactName
    ports: Annotated[tuple[Port, ...], Meta(min_length=1)]
    later: tuple[Port, ...] = ()
    iwarp: tuple[Port, ...] = ()


def peers(view: View) -> list[Node]:
    """The other nodes.

    Raises:
        NotApplicable: there is none.
    """
    found = [node for node in view.nodes if node.name != view.node.name and node.address]
    if not found:
        raise NotApplicable("the site declares no other node")
    return found


def uses_iwarp(view: View) -> bool:
    """Whether an intent that carries storage is declared to use SMB Direct over iWARP."""
    overrides = [intent.overrides for intent in view.site.network.intents or () if Traffic.STORAGE in intent.traffic]
    technologies = {(override.network_direct_technology or "").casefold() for override in overrides}
    return IWARP in technologies


@check("ports.between_nodes", parameters=Ports, needs=lambda parameters: (parameters.fact, PINGS))
def between_nodes(view: View, parameters: Ports) -> Iterator[Finding]:
    """Every other node answers an echo request, and none of its ports stays silent.

    A port that is refused passes over: nothing listens on SMB before Hyper-V and the cluster are there. Before the
    deployment so does silence where Windows' own firewall is silent as well, beside a port of the same node that
    connects. On what SMB Direct adds no program listens: adapters take it, and Windows is silent.
    """
    others = peers(view)
    fresh = view.phase is Phase.PRE_DEPLOY
    for other in others:
        finding = _echo(view, other)
        yield _beside(finding, _connects(view, other, parameters)) if fresh else finding
    rows = view.rows(parameters.fact)
    for other in others:
        reached = _connects(view, other, parameters)
        for port in parameters.ports:
            finding = _port(view, other, port, rows)
            yield _beside(finding, reached) if fresh and port in parameters.later else finding
        for port in parameters.iwarp if uses_iwarp(view) else ():
            yield _beside(_port(view, other, port, rows), reached)


def _connects(view: View, other: Node, parameters: Ports) -> bool | None:
    """Whether the node connects to any port of another, so that there is a way to it; None where nobody knows."""
    try:
        rows = view.rows(parameters.fact)
    except NotObserved:
        return None
    states = {connection(port_rows(rows, other.address, port)) for port in parameters.ports}
    return True if CONNECTED in states else False if states <= {FILTERED, REFUSED} else None


def _beside(finding: Finding, reached: bool | None) -> Finding:
    """A finding on what Windows itself may be silent on, beside whether there is a way to the other node at all."""
    if finding.outcome is not Outcome.FAIL or reached is False:
        return finding
    if reached is None:
        message = f"{finding.message}; whether there is a way to it at all is not known"
        return unjudged(finding.subject, message, expected=finding.expected, actual=finding.actual)
    message = f"{finding.message}; but a port of it answers, and Windows itself may be what is silent here"
    return irrelevant(finding.subject, message, actual=finding.actual)


@check("ports.of_cluster", parameters=Ports, needs=lambda parameters: (parameters.fact, PINGS))
def of_cluster(view: View, parameters: Ports) -> Iterator[Finding]:
    """No port of the other nodes stays silent."""
    others = peers(view)
    rows = view.rows(parameters.fact)
    for other in others:
        for port in parameters.ports:
            yield _port(view, other, port, rows)


def _echo(view: View, other: Node) -> Finding:
    subject = f"ICMP to {other.name}"
    try:
        code = _echo_code(view, other)
    except NotObserved as error:
        return unjudged(subject, str(error), expected=ECHO_REPLY)
    if code not in (ECHO_REPLY, NO_ROUTE, NO_HOST, TIMED_OUT):
        rows = _echo_rows(view, other)
        message = f"the echo request to {other.name} tells nothing of it: status {spelled_values(rows, 'StatusCode')}"
        return unjudged(subject, message, expected=ECHO_REPLY, actual=code)
    return judged(
        code == ECHO_REPLY,
        subject,
        if_good=f"{other.name} answers an echo request",
        if_bad=f"{other.name} does not answer an echo request: status {code}",
        expected=ECHO_REPLY,
        actual=code,
    )


def _echo_rows(view: View, other: Node) -> list[Row]:
    return [row for row in named_rows(view, PINGS, "Address") if row["Address"] == other.address]


def _echo_code(view: View, other: Node) -> int | None:
    return told(_echo_rows(view, other), "StatusCode", int)


def _port(view: View, other: Node, port: int, rows: list[Row]) -> Finding:
    subject = f"{other.name}:{port}"
    state = connection(port_rows(rows, other.address, port))
    if state == CONNECTED:
        return passed(subject, f"TCP {port} of {other.name} is open", expected=CONNECTED, actual=state)
    if state == FILTERED:
        message = f"TCP {port} of {other.name} ({other.address}) gives no answer: a firewall drops it"
        return failed(subject, message, expected=CONNECTED, actual=state)
    if state == REFUSED and _is_up(view, other, rows):
        return irrelevant(subject, f"nothing listens on TCP {port} of {other.name}, which is no sign of a firewall")
    message = f"it is not known whether a firewall drops TCP {port} of {other.name}: {state}"
    return unjudged(subject, message, expected=CONNECTED, actual=state)


def _is_up(view: View, other: Node, rows: list[Row]) -> bool:
    """Whether something of the node answered, so that a refusal is its own."""
    if any(row["connected"] is True for row in rows if row["host"] == other.address):
        return True
    try:
        return _echo_code(view, other) == ECHO_REPLY
    except NotObserved:
        return False


_OFFSET = re.compile(r"(?m)[+-][0-9]+[.,][0-9]+s\s*$")
_ERROR = re.compile(r"0x[0-9A-Fa-f]{8}\b")
_NO_TIME = {
    0x800705B4: "no answer",
    0x800706E1: "no answer",
    0x80072746: "the port is closed",
    0x80072AF9: "the name does not resolve",
    0x80072AFC: "the name does not resolve",
    0x80072751: "there is no route to it",
}
"""What error codes of w32tm say of a server; the words beside them are translated."""


@check("ports.time_servers", TIME)
def time_servers(view: View, _: NoParameters) -> Iterator[Finding]:
    """Every declared NTP server tells the node the time."""
    servers = view.site.network.ntp_servers or ()
    if not servers:
        yield unjudged("NTP servers", "the declared list of NTP servers is empty")
        return
    rows = view.rows(TIME)
    for server in dict.fromkeys(servers):
        yield _time(server, [row for row in rows if row["server"] == server])


def _time(server: str, rows: list[Row]) -> Finding:
    subject = f"NTP server {server}"
    output, code = told(rows, "output", str) or "", _code_of(rows)
    if _OFFSET.search(output):
        return passed(subject, f"{server} tells the time", expected="an offset", actual="an offset")
    if code is not None and code in _NO_TIME:
        message = f"{server} does not tell the node the time: {_NO_TIME[code]} (0x{code:08X})"
        return failed(subject, message, expected="an offset", actual=f"0x{code:08X}")
    reason = "w32tm tells neither an offset nor a known error" if rows else "it was not asked"
    return unjudged(subject, f"it is not known whether {server} tells the time: {reason}", expected="an offset")


def _code_of(rows: list[Row]) -> int | None:
    """The error that w32tm tells in its output, or by its exit code where it has failed altogether."""
    match = _ERROR.search(told(rows, "output", str) or "")
    if match is not None:
        return int(match[0], 16)
    code = told(rows, "exit_code", int)
    # An exit code is a signed number of 32 bits.
    return None if code is None or code == 0 else code & 0xFFFFFFFF


@check("ports.dns_over_udp", NODE_ANSWERS, OPERATOR_ANSWERS)
def dns_over_udp(view: View, _: NoParameters) -> Iterator[Finding]:
    """Every declared DNS server that answers the operator answers the node as well.

    A server that has no answer for either is no matter of the node's way to it.
    """
    if view.site.network.dns.mode is DnsMode.FORWARDER:
        raise NotApplicable("the cluster answers for its zone itself (network.dns.mode: forwarder)")
    servers = view.site.network.dns.servers or ()
    if not servers:
        yield unjudged("DNS servers", "the declared list of DNS servers is empty")
        return
    rows = view.rows(NODE_ANSWERS)
    for server in dict.fromkeys(servers):
        yield _dns(view, server, [row for row in rows if row["server"] == server])


def _dns(view: View, server: str, rows: list[Row]) -> Finding:
    subject = f"DNS server {server}"
    output = told(rows, "output", str)
    if output is None:
        return unjudged(subject, f"it is not known whether {server} answers the node: nslookup told nothing")
    if _answers(output, server):
        return passed(subject, f"{server} answers the node")
    asked = [
        row for row in view.rows(OPERATOR_ANSWERS) if row["server"] == server and same(row["name"], rows[0]["name"])
    ]
    answers = told(asked, "answers", list)
    if answers is None:
        return unjudged(subject, f"{server} gives the node no answer, and what it gives the operator is not known")
    if answers:
        message = f"{server} answers the operator and not the node: a firewall drops UDP 53 between them"
        return failed(subject, message, expected="an answer", actual="no answer")
    return irrelevant(subject, f"{server} has no answer for the operator either, which is judged apart")


def _answers(output: str, server: str) -> bool:
    """Whether nslookup printed an address besides that of the server, which it names first."""
    words = re.split(r"[\s,#]+", output)
    addresses = [word for word in words if address(word) is not None or _is_ipv6(word)]
    return any(found != server for found in addresses) or addresses.count(server) > 1


def _is_ipv6(word: str) -> bool:
    return re.fullmatch(r"[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+", word) is not None and word.count(":") > 1


@check("ports.multicast_dns", UDP_LISTENERS, DNS_CLIENT)
def multicast_dns(view: View, _: NoParameters) -> Iterator[Finding]:
    """The node listens for multicast DNS, by which nodes find each other where no DNS server knows their names."""
    if view.site.network.dns.mode is not DnsMode.FORWARDER:
        raise NotApplicable("DNS servers know the names of the nodes (network.dns.mode: external)")
    tree = view.registry(DNS_CLIENT)
    enabled: Value = tree.get("EnableMDNS")
    if tree.has_value("EnableMDNS") and (isinstance(enabled, bool) or not isinstance(enabled, int)):
        yield unjudged("EnableMDNS", f"EnableMDNS is no number: {enabled}")
    elif enabled == 0:
        yield failed("EnableMDNS", "multicast DNS is switched off: EnableMDNS is 0", expected="not 0", actual=0)
        return
    ports = [row["LocalPort"] for row in view.rows(UDP_LISTENERS)]
    if any(isinstance(port, bool) or not isinstance(port, int) for port in ports):
        yield unjudged("UDP 5353", "a listener does not tell its port")
        return
    yield judged(
        MDNS in ports,
        "UDP 5353",
        if_good="the node listens on UDP 5353",
        if_bad="nothing listens on UDP 5353",
        expected=MDNS,
        actual=sorted(set(ports)),
    )
