"""The infrastructure range: its size, its place, whether it is free, and the cluster's address in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from azpreflight.checks.agreement import grouped, named_rows, same
from azpreflight.checks.check import NoParameters, check, failed, irrelevant, judged, passed, unjudged
from azpreflight.checks.ranges import (
    Span,
    address,
    cluster_address,
    network,
    overlap,
    pool_spans,
    pools,
    single,
    span,
    spelled,
)
from azpreflight.checks.routing import ECHO_REPLY, NO_HOST, TIMED_OUT
from azpreflight.checks.view import NotApplicable, NotObserved, Row, View
from azpreflight.facts import curl_exits
from azpreflight.facts.observation import Status
from azpreflight.model import Finding, Frozen, Value
from azpreflight.site.formats import Port
from azpreflight.site.model import Node
from azpreflight.site.references import resolve


class PoolPorts(Frozen, frozen=True):
    """ports: on which a machine that has an address of the pools would answer; the query has to ask for them."""

    ports: Annotated[tuple[Port, ...], Meta(min_length=1)]


class PoolSize(Frozen, frozen=True):
    """How many pools and addresses there may be."""

    pools: Annotated[int, Meta(ge=1)]
    fewest: Annotated[int, Meta(ge=1)]
    most: Annotated[int, Meta(ge=1)]


def _wrong(view: View) -> Iterator[Finding]:
    """What keeps the pools from being compared with anything. That is for another rule to blame."""
    if not pools(view):
        yield unjudged("pools", "the declared list of pools is empty")
    for pool in dict.fromkeys(pools(view)):
        if span(pool) is None:
            yield unjudged(f"pool {spelled(pool)}", f"{spelled(pool)} is no range of IPv4 addresses")


@check("pools.size", parameters=PoolSize)
def size(view: View, limits: PoolSize) -> Iterator[Finding]:
    """The pools are few, the first of several is one address, and together they have neither too few nor too many."""
    declared = pools(view)
    yield judged(
        1 <= len(declared) <= limits.pools,
        "number of pools",
        if_good=f"pools are declared: {', '.join(map(spelled, declared))}",
        if_bad=f"{len(declared)} pools are declared",
        expected=f"1 to {limits.pools}",
        actual=len(declared),
    )
    sizes = [0 if (found := span(pool)) is None else found.size for pool in declared]
    if len(declared) > 1:
        yield judged(
            sizes[0] == 1,
            "first pool",
            if_good=f"{spelled(declared[0])}, kept for the cluster, is one address",
            if_bad=f"{spelled(declared[0])} has {sizes[0]} addresses; the first of several pools is one address",
            expected=1,
            actual=sizes[0],
        )
    total = sum(sizes)
    yield judged(
        limits.fewest <= total <= limits.most,
        "number of addresses",
        if_good=f"the pools have {total} addresses",
        if_bad=f"the pools have {total} addresses, not {limits.fewest} to {limits.most}",
        expected=f"{limits.fewest} to {limits.most}",
        actual=total,
    )


@check("pools.in_subnet")
def in_subnet(view: View, _: NoParameters) -> Iterator[Finding]:
    """Every pool runs forwards, lies in the management subnet, and shares no address with another."""
    text = view.site.network.management.subnet
    subnet = network(text)
    if subnet is None:
        yield failed("subnet", f"the declared subnet {text!r} is no IPv4 network", expected="a network", actual=text)
    if not pools(view):
        yield failed("pools", "the declared list of pools is empty", expected="a pool", actual=[])
    for pool in dict.fromkeys(pools(view)):
        found, subject = span(pool), f"pool {spelled(pool)}"
        if found is None:
            yield failed(subject, f"{spelled(pool)} is no range of IPv4 addresses from a lower to a higher one")
        elif subnet is not None:
            yield judged(
                subnet.first <= found.first and found.last <= subnet.last,
                subject,
                if_good=f"{spelled(pool)} is in {subnet}",
                if_bad=f"{spelled(pool)} is not wholly in {subnet}",
                expected=str(subnet),
                actual=spelled(pool),
            )
    for (name, left), (other, right) in itertools.combinations(pool_spans(view), 2):
        yield judged(
            not overlap(left, right),
            f"pools {name} and {other}",
            if_good=f"{name} and {other} share no address",
            if_bad=f"{name} and {other} share addresses",
        )


@check("pools.without_nodes")
def without_nodes(view: View, _: NoParameters) -> Iterator[Finding]:
    """No declared address of a node is in a pool."""
    yield from _wrong(view)
    ranges = list(pool_spans(view))
    for node in view.nodes:
        found = single(node.address)
        if found is None:
            yield unjudged(node.name, f"the declared address of {node.name} is no IPv4 address: {node.address!r}")
            continue
        inside = [name for name, pool in ranges if overlap(found, pool)]
        yield judged(
            not inside,
            node.name,
            if_good=f"{node.address} of {node.name} is in no pool",
            if_bad=f"{node.address} of {node.name} is in the pool {', '.join(inside)}",
            expected="outside the pools",
            actual=node.address,
        )


@check("pools.unused", "net.pool_ping", "net.pool_ports", parameters=PoolPorts)
def unused(view: View, parameters: PoolPorts) -> Iterator[Finding]:
    """No address of the pools answers the first node: no echo reply, nothing that listens on the asked ports.

    One sign of life is enough to fail, whatever else was told. Silence has to be complete: an echo request that ran
    into its time or found no host, and a connection to each port that was not made. A connection that was not made at
    once is named and does not fail: a machine may have refused it, or the network turned it away.
    """
    yield from _wrong(view)
    node = view.nodes[0]
    pings = grouped(named_rows(view, "net.pool_ping", "Address", node=node), "Address")
    probes = grouped(named_rows(view, "net.pool_ports", "host", node=node), "host")
    silent: list[str] = []
    unknown: dict[str, list[str]] = {}
    for asked in dict.fromkeys(resolve("site.pool_addresses", view.site)):
        codes, found = [row["StatusCode"] for row in pings.get((asked,), [])], probes.get((asked,), [])
        if signs := _signs(codes, found):
            text = f"{asked} is in use, as seen from {node.name}: {', '.join(signs)}"
            yield failed(asked, text, expected="silence", actual=signs)
        elif (reason := _not_asked(codes, found, parameters.ports)) is not None:
            unknown.setdefault(reason, []).append(asked)
        elif any(probe["exit_code"] == curl_exits.REFUSED for probe in found):
            yield passed(asked, f"{asked} does not answer, but a connection was turned away: is it in use?")
        else:
            silent.append(asked)
    if unknown:
        each = "; ".join(f"{', '.join(found)} ({reason})" for reason, found in unknown.items())
        yield unjudged("addresses not asked", f"{node.name} does not tell whether these answer: {each}", actual=unknown)
    if silent:
        text = silent[0] if len(silent) == 1 else f"{len(silent)} addresses, {silent[0]} to {silent[-1]}"
        yield passed("silent addresses", f"silent, as seen from {node.name}: {text}", actual=len(silent))


def _signs(codes: list[Value], probes: list[Row]) -> list[str]:
    """What shows that an address is in use."""
    echo = ["echo reply"] if any(same(code, ECHO_REPLY) for code in codes) else []
    return echo + [f"TCP {probe['port']} open" for probe in probes if probe["connected"] is True]


def _not_asked(codes: list[Value], probes: list[Row], ports: tuple[int, ...]) -> str | None:
    """Why nothing is known of an address that gave no sign of life; None when it was asked and kept silent.

    That the network cannot be reached (11002) says of the first node that it is elsewhere, and nothing of the address.
    """
    if not codes:
        return "no echo request"
    for code in codes:
        if not any(same(code, silence) for silence in (NO_HOST, TIMED_OUT)):
            return f"the echo request ended with status {code}"
    for port in ports:
        tried = [probe for probe in probes if same(probe["port"], port)]
        if not tried:
            return f"no connection to port {port}"
        for probe in tried:
            if probe["connected"] is not False:
                return f"port {port}: connected {probe['connected']}"
            if not any(same(probe["exit_code"], code) for code in (curl_exits.REFUSED, curl_exits.TIMEOUT)):
                return f"port {port}: curl ended with {probe['exit_code']}"
    return None


@check("pools.without_special_addresses")
def without_special_addresses(view: View, _: NoParameters) -> Iterator[Finding]:
    """No pool holds the network, broadcast or gateway address, or an address that DHCP hands out."""
    yield from _wrong(view)
    management = view.site.network.management
    subnet, gateway = network(management.subnet), address(management.gateway)
    special = {"gateway address": gateway} if gateway is not None else {}
    if subnet is not None and subnet.size > 2:
        special |= {"network address": subnet[0], "broadcast address": subnet[-1]}
    for name, pool in dict(pool_spans(view)).items():
        for kind, found in special.items():
            yield judged(
                found not in pool,
                f"pool {name} {kind}",
                if_good=f"the {kind} {found} is not in {name}",
                if_bad=f"the {kind} {found} is in {name}",
                expected=f"without {found}",
                actual=name,
            )
    if management.dhcp_scopes is None:
        message = "not compared with DHCP scopes, since the site does not declare network.management.dhcp_scopes"
        yield irrelevant("DHCP scopes", message)
    for scope in dict.fromkeys(management.dhcp_scopes or ()):
        yield from _against_scope(view, spelled(scope), span(scope))


def _against_scope(view: View, scope: str, found: Span | None) -> Iterator[Finding]:
    subject = f"DHCP scope {scope}"
    if found is None:
        yield unjudged(subject, f"the declared DHCP scope {scope} is no range of IPv4 addresses")
        return
    shared = [name for name, pool in pool_spans(view) if overlap(pool, found)]
    yield judged(
        not shared,
        subject,
        if_good=f"DHCP hands out no address of the pools from {scope}",
        if_bad=f"DHCP hands out addresses of the pool {', '.join(shared)} from {scope}",
        expected="no shared address",
        actual=shared,
    )


def need_static_cluster_address(view: View) -> None:
    """Raise `NotApplicable` where the cluster's address comes from DHCP, as those of the nodes do."""
    if view.site.network.management.dhcp:
        raise NotApplicable("the cluster's address comes from DHCP (network.management.dhcp: true)")


@check("pools.cluster_resource_address", "cluster.core_resources", "cluster.registry")
def cluster_resource_address(view: View, _: NoParameters) -> Iterator[Finding]:
    """The IP address resource of the cluster has the first address of the pools."""
    need_static_cluster_address(view)
    expected = cluster_address(view)
    if expected is None:
        yield unjudged("pools", "the first pool does not begin with an IPv4 address")
        return
    found = _resource_addresses(view)
    yield judged(
        expected in found,
        "cluster address",
        if_good=f"the cluster has {expected}, the first address of the pools",
        if_bad=f"the cluster has {', '.join(found)}, not {expected}, the first address of the pools",
        expected=expected,
        actual=found,
    )


def _resource_addresses(view: View) -> list[str]:
    """Addresses of the cluster's IP resources, told by the first node that can.

    Raises:
        NotObserved: no node can tell.
    """
    reasons: list[NotObserved] = []
    for node in view.nodes:
        for read in (_from_resources, _from_registry):
            try:
                found = read(view, node)
            except NotObserved as error:
                reasons.append(error)
                continue
            if found:
                return found
    if reasons:
        raise reasons[0]
    raise NotObserved("cluster.core_resources", view.target.name, Status.NOT_PRESENT, "no node tells a cluster address")


def _from_resources(view: View, node: Node) -> list[str]:
    """Found by type, because resources carry localised names."""
    found: list[str] = []
    for row in view.rows("cluster.core_resources", node):
        if row["Type"] == "IP Address" and row["CoreResource"] is True:
            private = row["PrivateProperties"] or {"properties": {}}
            text = private["properties"].get("Address")
            found += [text] if address(text) is not None else []
    return sorted(found)


def _from_registry(view: View, node: Node) -> list[str]:
    """The hive does not say which resource is a core one, so all IP addresses count."""
    tree = view.registry("cluster.registry", node)
    keys = [key for key in tree.keys() if tree.get("Type", key=key) == "IP Address"]  # noqa: SIM118 - no mapping
    found = (tree.get("Address", key=f"{key}\\Parameters") for key in keys)
    return sorted(text for text in found if address(text) is not None)
