"""What goes around the proxy: the lists of WinINET, WinHTTP and the environment, which are written in two ways.

Coverage goes by what an entry is meant to say, in whichever notation; whether its list understands it is a question of
form. So one mistake in a list is one failure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from netaddr import IPNetwork, IPSet
from netaddr.core import AddrFormatError

from azpreflight.checks.check import NoParameters, check, failed, irrelevant, judged
from azpreflight.checks.proxy_settings import (
    ENVIRONMENT,
    FACTS,
    NO_PROXY,
    VARIABLES,
    Place,
    environment,
    naming_places,
    unknown,
)
from azpreflight.checks.ranges import cluster_address, network, pool_spans
from azpreflight.checks.view import View
from azpreflight.facts.proxies import covers
from azpreflight.model import Finding, Frozen

_SEPARATORS = re.compile(r"[;,\s]+")
_PART_OF_NETWORK = re.compile(r"((?:[0-9]{1,3}\.){1,3})\*")
KUBERNETES = ".svc"
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")


class BypassList(Frozen, frozen=True):
    """One list of what goes around the proxy. text: as it is set."""

    name: str
    text: str

    @property
    def of_environment(self) -> bool:
        """Whether it is the list of the environment, which is written in another way than those of Windows."""
        return self.name == NO_PROXY

    @property
    def entries(self) -> tuple[str, ...]:
        """Its entries, whatever separates them."""
        return _entries(self.text)


def _entries(text: str) -> tuple[str, ...]:
    return tuple(entry.casefold() for entry in _SEPARATORS.split(text) if entry)


def lists(places: Iterable[Place]) -> list[BypassList]:
    """The list of every place that names a proxy; the variables have one together."""
    named = (place for place in places if place.servers)
    found = {NO_PROXY if place.name in VARIABLES.values() else place.name: place.bypass or "" for place in named}
    return [BypassList(name, text) for name, text in found.items()]


def _addresses(entries: Iterable[str]) -> IPSet:
    """The IPv4 addresses that entries are meant to hold for."""
    found = (_network_of(entry) for entry in entries)
    return IPSet([known.cidr for known in found if known is not None and known.version == 4])


def _network_of(entry: str) -> IPNetwork | None:
    """The addresses that an entry names: one, CIDR, or the first numbers with an asterisk behind; None for a name."""
    if entry == "*":
        return IPNetwork("0.0.0.0/0")
    part = _PART_OF_NETWORK.fullmatch(entry)
    if part is not None:
        octets = part[1].rstrip(".").split(".")
        entry = f"{'.'.join([*octets, *['0'] * (4 - len(octets))])}/{8 * len(octets)}"
    # Without this netaddr would take a lone number for an address.
    if "." not in entry and ":" not in entry:
        return None
    try:
        return IPNetwork(entry)
    except (AddrFormatError, ValueError):
        return None


@check("proxy.bypass_covers", *FACTS)
def bypass_covers(view: View, _: NoParameters) -> Iterator[Finding]:
    """Every list has the nodes, the cluster, the infrastructure range, the domain and the machine itself in it."""
    places = naming_places(view)
    yield from (unknown(place) for place in places if place.unknown)
    for found in lists(places):
        if found.of_environment and not found.entries:
            yield irrelevant(found.name, f"{found.name} is empty, which is judged as its form")
            continue
        missing = list(_lacking(view, found.entries))
        yield judged(
            not missing,
            found.name,
            if_good=f"the bypass list of {found.name} has everything that must not go through the proxy",
            if_bad=f"the bypass list of {found.name} lacks {', '.join(missing)}",
            # An empty list lacks everything.
            expected=list(_lacking(view, ())),
            actual=list(found.entries),
        )


def _lacking(view: View, entries: Sequence[str]) -> Iterator[str]:
    """What has to be in a list and is not."""
    site = view.site
    hosts = ["localhost", "127.0.0.1"]
    for node in site.nodes:
        hosts += [node.name, node.address]
    hosts += [site.cluster.name or "", cluster_address(view) or ""]
    yield from (host for host in hosts if host and not any(covers(entry, host) for entry in entries))
    known = _addresses(entries)
    for name, pool in pool_spans(view):
        if not IPSet(pool).issubset(known):
            yield name
    domain = site.dns_suffix
    # The name itself stands for the domain as well as a wildcard does.
    if domain and not any(covers(entry, domain) or covers(entry, f"a.{domain}") for entry in entries):
        yield domain


@check("proxy.bypass_form", *FACTS)
def bypass_form(view: View, _: NoParameters) -> Iterator[Finding]:
    """Every list is written as its place reads it: the three are supposed to differ."""
    places = naming_places(view)
    yield from (unknown(place) for place in places if place.unknown)
    for found in lists(places):
        if not found.entries and not found.of_environment:
            yield irrelevant(found.name, f"the bypass list of {found.name} is empty, which is judged as what it lacks")
            continue
        faults = list(_faults_of_environment(found) if found.of_environment else _faults_of_windows(found))
        yield judged(
            not faults,
            found.name,
            if_good=f"the bypass list of {found.name} is written as it is read there",
            if_bad=f"the bypass list of {found.name}: {'; '.join(faults)}",
            expected="commas, CIDR, leading dots, .svc" if found.of_environment else "semicolons or commas, asterisks",
            actual=list(found.entries),
        )


def _faults_of_windows(found: BypassList) -> Iterator[str]:
    for entry in found.entries:
        if entry.startswith("<"):
            yield f"{entry} is not supported; name the hosts instead"
        elif "/" in entry:
            yield f"{entry} is CIDR, which it does not understand; write 192.0.2.* for 192.0.2.0/24"
        elif entry.startswith("."):
            yield f"{entry} needs an asterisk before the dot"


def _faults_of_environment(found: BypassList) -> Iterator[str]:
    if ";" in found.text:
        yield "entries are separated by commas, not by semicolons"
    for entry in found.entries:
        if entry.startswith("<"):
            yield f"{entry} is not supported; name the hosts instead"
        elif "*" in entry:
            yield f"{entry} has an asterisk, which it does not understand; write .edge.example or 192.0.2.0/24"
        elif "/" in entry and _network_of(entry) is None:
            yield f"{entry} is no network"
    if KUBERNETES not in found.entries:
        yield f"{KUBERNETES} is missing, by which services inside Kubernetes reach each other"


@check("proxy.bypass_private", ENVIRONMENT)
def bypass_private(view: View, _: NoParameters) -> Iterator[Finding]:
    """NO_PROXY holds for the private networks, which the deployment adds for Kubernetes."""
    places = environment(view)
    yield from (unknown(place) for place in places if place.unknown)
    found = next(iter(lists(places)), None)
    if found is None:
        yield irrelevant(NO_PROXY, "the environment of the node names no proxy")
        return
    known = _addresses(found.entries)
    missing = [text for text in PRIVATE if not IPSet([text]).issubset(known)]
    yield judged(
        not missing,
        NO_PROXY,
        if_good=f"{NO_PROXY} has the private networks",
        if_bad=f"{NO_PROXY} lacks {', '.join(missing)}",
        expected=list(PRIVATE),
        actual=list(found.entries),
    )


@check("proxy.bypass_subnet")
def bypass_subnet(view: View, _: NoParameters) -> Iterator[Finding]:
    """The declared bypass list has the whole management subnet, with room for nodes that are added later."""
    text, entries = view.site.network.management.subnet, _entries(",".join(view.site.proxy.bypass or ()))
    subnet = network(text)
    if subnet is None:
        yield failed("subnet", f"the declared subnet {text!r} is no IPv4 network", actual=text)
        return
    yield judged(
        IPSet([subnet]).issubset(_addresses(entries)),
        "proxy.bypass",
        if_good=f"the declared bypass list has the whole subnet {subnet}",
        if_bad=f"the declared bypass list does not have the whole subnet {subnet}: nodes that are added later, and the "
        "services on them, cannot be put on it any more",
        expected=str(subnet),
        actual=list(entries),
    )
