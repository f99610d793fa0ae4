"""Declared addresses and networks against the ranges that the system keeps for itself or for storage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta
from netaddr import IPNetwork

from azpreflight.checks.check import check, failed, judged, passed, unjudged
from azpreflight.checks.ranges import Span, network, overlap, single, span, spelled
from azpreflight.checks.view import NotApplicable, View
from azpreflight.model import Finding, Frozen
from azpreflight.site.formats import Subnet
from azpreflight.site.model import Site, Traffic


class ReservedRanges(Frozen, frozen=True):
    """Networks that the system uses inside itself."""

    reserved: Annotated[tuple[Subnet, ...], Meta(min_length=1)]


class StorageDefaults(Frozen, frozen=True):
    """Networks that storage takes, one after the other, where the site declares none."""

    defaults: Annotated[tuple[Subnet, ...], Meta(min_length=1)]


def reserved_hit(found: Span, reserved: tuple[str, ...]) -> str | None:
    """The first reserved network that a span touches."""
    return next((text for text in reserved if overlap(found, IPNetwork(text))), None)


def _proxy_hosts(site: Site) -> Iterator[tuple[str, str]]:
    for kind, url in (("http", site.proxy.http), ("https", site.proxy.https)):
        host = urlsplit(url or "").hostname
        # A proxy that is declared by name has no address to compare.
        if host is not None and single(host) is not None:
            yield f"{kind} proxy {host}", host


def _declared(site: Site) -> Iterator[tuple[str, Span | None]]:
    """Every declared thing that must stay clear of reserved ranges; None for what is no IPv4 address."""
    for node in site.nodes:
        yield f"node {node.name}", single(node.address)
    for pool in site.network.management.pools or ():
        yield f"pool {spelled(pool)}", span(pool)
    if site.network.management.gateway:
        yield "gateway", single(site.network.management.gateway)
    for server in site.network.dns.servers or ():
        yield f"DNS server {server}", single(server)
    for server in site.network.dns.forwarders or ():
        yield f"DNS forwarder {server}", single(server)
    for subject, host in _proxy_hosts(site):
        yield subject, single(host)


@check("net.outside_reserved_ranges", parameters=ReservedRanges)
def outside_reserved_ranges(view: View, parameters: ReservedRanges) -> Iterator[Finding]:
    """No address of nodes, pools, gateway, DNS servers or proxies is in a range that the system uses inside itself.

    A network for virtual machines that overlaps is named and does not fail: it concerns these machines, not the
    deployment.
    """
    for subject, found in dict(_declared(view.site)).items():
        if found is None:
            yield unjudged(subject, f"{subject} is no IPv4 address or range")
            continue
        hit = reserved_hit(found, parameters.reserved)
        yield judged(
            hit is None,
            subject,
            if_good=f"{subject} is in no reserved range",
            if_bad=f"{subject} is in {hit}, which the system uses inside itself",
            expected=list(parameters.reserved),
            actual=hit,
        )
    for vm_network in view.site.network.vm_networks or ():
        own, subject = network(vm_network.subnet), f"VM network {vm_network.name}"
        hit = None if own is None else reserved_hit(own, parameters.reserved)
        message = f"{subject} overlaps {hit}: its machines may not reach services of the system" if hit else None
        yield passed(subject, message or f"{subject} overlaps no reserved range", actual=vm_network.subnet)


@check("net.storage_apart_from_management", parameters=StorageDefaults)
def storage_apart_from_management(view: View, parameters: StorageDefaults) -> Iterator[Finding]:
    """No storage network shares an address with the management subnet."""
    text = view.site.network.management.subnet
    management = network(text)
    if management is None:
        yield failed("subnet", f"the declared subnet {text!r} is no IPv4 network", expected="a network", actual=text)
        return
    storage = dict(_storage(view.site, parameters.defaults))
    if not storage:
        raise NotApplicable("no intent carries storage")
    for subject, own in storage.items():
        found = network(own) if "/" in own else single(own)
        if found is None:
            yield unjudged(subject, f"{subject} is no IPv4 network or address: {own!r}")
            continue
        yield judged(
            not overlap(found, management),
            subject,
            if_good=f"{subject} is apart from {management}",
            if_bad=f"{subject} overlaps the management subnet {management}",
            expected=f"apart from {management}",
            actual=own,
        )


def _storage(site: Site, defaults: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Networks and addresses of storage: those declared, else as many defaults as there are storage networks."""
    storage = site.network.storage
    for declared in storage.networks or ():
        if declared.subnet is not None:
            yield f"storage network {declared.name} {declared.subnet}", declared.subnet
        for given in declared.addresses or ():
            own = given.subnet or given.address
            yield f"storage of {given.node} in {declared.name} {own}", own
    if storage.auto_ip is False or any(item.subnet or item.addresses for item in storage.networks or ()):
        return
    for text in defaults[: _count(site, len(defaults))]:
        yield f"default storage network {text}", text


def _count(site: Site, most: int) -> int:
    """How many storage networks there will be; as many as possible when the site does not tell."""
    if site.network.storage.networks is not None:
        return len(site.network.storage.networks)
    if site.network.intents is None:
        return most
    return len({name for i in site.network.intents if Traffic.STORAGE in i.traffic for name in i.adapters})
