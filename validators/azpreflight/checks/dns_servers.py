"""DNS servers: which are declared, which the nodes ask, whether they are fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta
from netaddr import IPAddress, IPNetwork

from azpreflight.checks.addressing import ADDRESSES, ROUTES
from azpreflight.checks.agreement import contradict, spelled_values
from azpreflight.checks.check import NoParameters, check, failed, judged, unjudged
from azpreflight.checks.interfaces import (
    LINK_LOCAL,
    LOOPBACK,
    NO_MANAGEMENT_INTERFACE,
    is_within,
    management_interface,
    on_interface,
)
from azpreflight.checks.ranges import address, pool_spans
from azpreflight.checks.subnets import ReservedRanges, reserved_hit
from azpreflight.checks.view import NotApplicable, NotObserved, View
from azpreflight.facts.observation import Status
from azpreflight.model import Finding, Frozen, Value
from azpreflight.site.formats import Address, is_address
from azpreflight.site.model import DnsMode, Node

NODE_SERVERS = "net.dns_servers"
RECOMMENDED = 2
WITHOUT_HOSTS = (IPNetwork("0.0.0.0/8"), LINK_LOCAL, IPNetwork("224.0.0.0/3"))
"""Blocks in which no host can be asked: this network, link-local, multicast and beyond."""


def can_be_host(text: str) -> bool:
    """Whether `text` is an IPv4 address that a machine elsewhere can have."""
    return address(text) is not None and not is_within(text, LOOPBACK, *WITHOUT_HOSTS)


class PublicResolvers(Frozen, frozen=True):
    """resolvers: addresses of resolvers that serve the public, by the name of who runs them."""

    resolvers: Annotated[dict[str, tuple[Address, ...]], Meta(min_length=1)]


def declared_servers(view: View) -> tuple[str, ...]:
    """The declared DNS servers.

    Raises:
        NotApplicable: the cluster itself answers for its zone, so there are none to judge.
    """
    if view.site.network.dns.mode is DnsMode.FORWARDER:
        raise NotApplicable("the cluster answers for its zone itself (network.dns.mode: forwarder)")
    return view.site.network.dns.servers or ()


def asked_by(view: View, node: Node) -> list[str] | None:
    """The DNS servers that the management interface of a node asks, in order; None when there is no such interface.

    Raises:
        NotObserved: the node does not speak of that interface, or contradicts itself.
    """
    alias = management_interface(view, node)
    if alias is None:
        return None
    rows = on_interface(view.rows(NODE_SERVERS, node), alias)
    # A list without members is not there on the wire: a null is an empty one.
    servers = rows[0]["ServerAddresses"] if rows else []
    servers = [] if servers is None else servers
    if not rows or contradict(rows, "ServerAddresses") or not _are_addresses(servers):
        reason = f"the node does not tell the DNS servers of {alias}: {spelled_values(rows, 'ServerAddresses')}"
        raise NotObserved(NODE_SERVERS, node.name, Status.FAILED, reason)
    return [server for server in servers if address(server) is not None]


def _are_addresses(servers: Value) -> bool:
    return isinstance(servers, list) and all(isinstance(text, str) and is_address(text) for text in servers)


@check("dns.node_has_server", NODE_SERVERS, ADDRESSES, ROUTES)
def node_has_server(view: View, _: NoParameters) -> Iterator[Finding]:
    """The management interface has a DNS server. Only one is named and does not fail."""
    servers = asked_by(view, view.node)
    if servers is None:
        yield failed("management interface", NO_MANAGEMENT_INTERFACE)
        return
    good = f"the management interface asks {', '.join(servers)}"
    yield judged(
        len(servers) > 0,
        "DNS servers",
        if_good=good if len(servers) >= RECOMMENDED else f"{good} alone; a second server is recommended",
        if_bad="the management interface has no DNS server",
        expected="at least one",
        actual=servers,
    )


@check("dns.same_servers", NODE_SERVERS, ADDRESSES, ROUTES)
def same_servers(view: View, _: NoParameters) -> Iterator[Finding]:
    """All nodes ask the same DNS servers, the declared ones where any are. Another order is named and does not fail."""
    declared = view.site.network.dns.servers
    expected, whose = list(declared or ()), "declared"
    if declared is not None and not declared and view.site.network.dns.mode is not DnsMode.FORWARDER:
        yield unjudged("DNS servers", "the declared list of DNS servers is empty")
    for node in view.nodes:
        try:
            servers = asked_by(view, node)
        except NotObserved as error:
            yield unjudged(node.name, str(error))
            continue
        if servers is None:
            yield failed(node.name, f"on {node.name}, {NO_MANAGEMENT_INTERFACE}", expected=expected)
            continue
        if not expected:
            expected, whose = servers, f"on {node.name}"
        good = f"{node.name} asks {', '.join(servers)}"
        yield judged(
            len(servers) > 0 and set(servers) == set(expected),
            node.name,
            if_good=good if servers == expected else f"{good}, in another order than {whose}",
            if_bad=f"{node.name} asks {', '.join(servers) or 'none'}, not {', '.join(expected) or 'any'} as {whose}",
            expected=expected,
            actual=servers,
        )


@check("dns.fit_servers", parameters=ReservedRanges)
def fit_servers(view: View, parameters: ReservedRanges) -> Iterator[Finding]:
    """Every declared DNS server is a unicast IPv4 address outside the nodes, the pools and the reserved ranges."""
    servers = declared_servers(view)
    if not servers:
        yield failed("DNS servers", "the declared list of DNS servers is empty", expected="a server", actual=[])
    for server in dict.fromkeys(servers):
        reason = _unfit(view, server, parameters.reserved)
        yield judged(
            reason is None,
            f"DNS server {server}",
            if_good=f"{server} can be a DNS server",
            if_bad=f"{server} cannot be a DNS server: {reason}",
            expected="an IPv4 address of another machine",
            actual=server,
        )


def _unfit(view: View, server: str, reserved: tuple[str, ...]) -> str | None:
    """Why an address cannot serve as a DNS server; None when it can."""
    found = address(server)
    if found is None:
        return "it is no IPv4 address"
    if (view.site.network.dns.servers or ()).count(server) > 1:
        return "it is declared more than once"
    if found in LOOPBACK:
        return "it is a loopback address"
    if any(found in block for block in WITHOUT_HOSTS):
        return "no host can be asked there"
    for node in view.nodes:
        if node.address == server:
            return f"it is the address of {node.name}"
    for name, pool in pool_spans(view):
        if found in pool:
            return f"it is in the pool {name}"
    hit = reserved_hit(IPNetwork(found), reserved)
    return None if hit is None else f"it is in {hit}, which the system uses inside itself"


@check("dns.no_public_resolver", parameters=PublicResolvers)
def no_public_resolver(view: View, parameters: PublicResolvers) -> Iterator[Finding]:
    """No declared DNS server is a resolver that serves the public."""
    servers = declared_servers(view)
    if not servers:
        yield unjudged("DNS servers", "the declared list of DNS servers is empty")
    public = {IPAddress(text): who for who, addresses in parameters.resolvers.items() for text in addresses}
    for server in dict.fromkeys(servers):
        who = public.get(IPAddress(server)) if is_address(server) else None
        yield judged(
            who is None,
            f"DNS server {server}",
            if_good=f"{server} is no known public resolver",
            if_bad=f"{server} is a public resolver ({who}), which is not supported",
            expected="a private DNS server",
            actual=server,
        )


@check("dns.outside_cluster")
def outside_cluster(view: View, _: NoParameters) -> Iterator[Finding]:
    """The operator says that no DNS server runs on this cluster."""
    declared_servers(view)
    said = view.site.network.dns.outside_cluster
    yield judged(
        said is True,
        "DNS servers",
        if_good="the DNS servers run outside this cluster, as the site declares",
        if_bad="a DNS server runs on this cluster, as the site declares",
        expected=True,
        actual=said,
    )
