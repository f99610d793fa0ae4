"""Default routes of the nodes and the declared gateway."""

from __future__ import annotations

from collections.abc import Iterator

from netaddr import IPAddress, IPNetwork

from azpreflight.checks.agreement import named_rows, spelled_values, told
from azpreflight.checks.check import NoParameters, check, failed, judged, unjudged
from azpreflight.checks.interfaces import active_rows
from azpreflight.checks.ranges import address, network
from azpreflight.checks.view import NotApplicable, NotObserved, View
from azpreflight.facts.observation import Status
from azpreflight.model import Finding
from azpreflight.site.model import Node

ROUTES = "net.default_routes"

ECHO_REPLY = 0
"""Win32_PingStatus.StatusCode of an address that answered."""

NO_ROUTE = 11002
NO_HOST = 11003
TIMED_OUT = 11010
"""Its values where the network cannot be reached, where nobody has the address, and where nobody answered in time."""

ON_LINK = "0.0.0.0"  # noqa: S104 - the next hop of a route without a gateway
"""NextHop of a route that names no gateway."""


def next_hops(view: View, node: Node) -> list[str]:
    """Where the default routes of a node lead, each once.

    Raises:
        NotObserved: a route that does not tell.
    """
    routes = active_rows(view, ROUTES, node)
    for route in routes:
        if address(route["NextHop"]) is None:
            reason = f"a default route on {route['InterfaceAlias']} does not tell where it leads: {route['NextHop']}"
            raise NotObserved(ROUTES, node.name, Status.FAILED, reason)
    return sorted({str(route["NextHop"]) for route in routes})


@check("net.one_default_gateway", ROUTES)
def one_default_gateway(view: View, _: NoParameters) -> Iterator[Finding]:
    """All default routes of the node lead to one gateway, the declared one; where none is declared, that of all nodes.

    A route that names no gateway counts as one too many.
    """
    hops = next_hops(view, view.node)
    gateways = [hop for hop in hops if hop != ON_LINK]
    interfaces = sorted({str(route["InterfaceAlias"]) for route in active_rows(view, ROUTES, view.node)})
    count = f"{len(gateways)} default gateways: {', '.join(gateways)}" if gateways else "no default gateway"
    without = ", and a default route without a gateway" if ON_LINK in hops else ""
    yield judged(
        len(hops) == 1 and hops == gateways,
        "default gateways",
        if_good=f"{''.join(hops)} on {', '.join(interfaces)} is the one default gateway",
        if_bad=f"the node has {count}{without}",
        expected="one gateway",
        actual=hops,
    )
    declared = view.site.network.management.gateway
    if not declared:
        yield from _as_on_the_others(view, hops)
    elif gateways:
        yield judged(
            declared in gateways,
            "declared gateway",
            if_good=f"the declared gateway {declared} is in use",
            if_bad=f"the declared gateway {declared} is not in use, but {', '.join(gateways)}",
            expected=declared,
            actual=gateways,
        )


def _as_on_the_others(view: View, hops: list[str]) -> Iterator[Finding]:
    """One finding for each other node: the nodes are in one subnet, and a subnet has one gateway."""
    for other in view.nodes:
        if other == view.node:
            continue
        subject = f"gateway of {other.name}"
        try:
            theirs = next_hops(view, other)
        except NotObserved as error:
            yield unjudged(subject, f"no gateway is declared, and that of {other.name} is not known: {error}")
            continue
        yield judged(
            hops == theirs,
            subject,
            if_good=f"{other.name} has the same gateway",
            if_bad=f"{other.name} has {', '.join(theirs) or 'no gateway'}, and {view.node.name} "
            f"{', '.join(hops) or 'none'}",
            expected=theirs,
            actual=hops,
        )


@check("net.gateway_in_subnet")
def gateway_in_subnet(view: View, _: NoParameters) -> Iterator[Finding]:
    """The declared gateway is an address that a host of the declared subnet can have."""
    management = view.site.network.management
    if management.dhcp and not management.gateway:
        raise NotApplicable("the gateway comes from DHCP")
    subnet, gateway = network(management.subnet), address(management.gateway)
    if subnet is None or gateway is None:
        for name, text, found in (("subnet", management.subnet, subnet), ("gateway", management.gateway, gateway)):
            if found is None:
                yield failed(name, f"the declared {name} is left empty or wrong: {text!r}", actual=text)
        return
    yield judged(
        gateway in subnet and not _is_edge(gateway, subnet),
        "gateway",
        if_good=f"{gateway} is in {subnet}",
        if_bad=f"{gateway} is the network or broadcast address of {subnet}"
        if gateway in subnet
        else f"{gateway} is not in {subnet}",
        expected=f"a host address in {subnet}",
        actual=str(gateway),
    )


def _is_edge(found: IPAddress, subnet: IPNetwork) -> bool:
    """Whether an address is the network or broadcast address; subnets of two addresses or one have neither."""
    return bool(subnet.size > 2 and int(found) in (subnet.first, subnet.last))


@check("net.gateway_answers", "net.gateway_ping")
def gateway_answers(view: View, _: NoParameters) -> Iterator[Finding]:
    """The declared gateway answers an ICMP echo from the node.

    A status that speaks of the request and not of the gateway, such as 11050, is no answer; neither are two requests
    of which one was answered.
    """
    gateway = view.site.network.management.gateway
    if not gateway:
        raise NotApplicable("the site does not declare network.management.gateway")
    rows = [row for row in named_rows(view, "net.gateway_ping", "Address") if row["Address"] == gateway]
    code = told(rows, "StatusCode", int)
    if code not in (ECHO_REPLY, NO_ROUTE, NO_HOST, TIMED_OUT):
        reason = f"the echo request to {gateway} tells nothing of it: status {spelled_values(rows, 'StatusCode')}"
        yield unjudged("gateway", reason, expected=ECHO_REPLY, actual=code)
        return
    yield judged(
        code == ECHO_REPLY,
        "gateway",
        if_good=f"{gateway} answers",
        if_bad=f"{gateway} does not answer an echo request: status {code}",
        expected=ECHO_REPLY,
        actual=code,
    )
