"""Default routes of the nodes and the declared gateway."""

from __future__ import annotations

from collections.abc import Iterator

from netaddr import IPAddress, IPNetwork

from azpreflight.checks.check import NoParameters, check, failed, judged, unjudged
from azpreflight.checks.interfaces import active_rows
from azpreflight.checks.ranges import address, network
from azpreflight.checks.view import NotApplicable, View
from azpreflight.model import Finding

ECHO_REPLY = 0
"""Win32_PingStatus.StatusCode of an address that answered."""


@check("net.one_default_gateway", "net.default_routes")
def one_default_gateway(view: View, _: NoParameters) -> Iterator[Finding]:
    """All default routes of the node lead to one gateway, the declared one where one is declared."""
    routes = active_rows(view, "net.default_routes", view.node)
    hops = sorted({str(route["NextHop"]) for route in routes})
    interfaces = sorted({str(route["InterfaceAlias"]) for route in routes})
    told = f"{len(hops)} default gateways: {', '.join(hops)}" if hops else "no default gateway"
    yield judged(
        len(hops) == 1,
        "default gateways",
        if_good=f"{''.join(hops)} on {', '.join(interfaces)} is the one default gateway",
        if_bad=f"the node has {told}",
        expected="one gateway",
        actual=hops,
    )
    declared = view.site.network.management.gateway
    if declared and hops:
        yield judged(
            declared in hops,
            "declared gateway",
            if_good=f"the declared gateway {declared} is in use",
            if_bad=f"the declared gateway {declared} is not in use, but {', '.join(hops)}",
            expected=declared,
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
    """The declared gateway answers an ICMP echo from the node."""
    gateway = view.site.network.management.gateway
    if not gateway:
        raise NotApplicable("the site does not declare network.management.gateway")
    codes = [row["StatusCode"] for row in view.rows("net.gateway_ping") if row["Address"] == gateway]
    if not codes or codes[0] is None:
        yield unjudged("gateway", f"the node tells nothing of its echo request to {gateway}", expected=ECHO_REPLY)
        return
    yield judged(
        codes[0] == ECHO_REPLY,
        "gateway",
        if_good=f"{gateway} answers",
        if_bad=f"{gateway} does not answer an echo request: status {codes[0]}",
        expected=ECHO_REPLY,
        actual=codes[0],
    )
