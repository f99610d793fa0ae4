"""Which domain controllers are asked, in which order, and where: against BIND."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from azpreflight.facts.deadline import Deadline
from azpreflight.facts.errors import WireError
from azpreflight.facts.ldap.connection import Place
from azpreflight.facts.ldap.controllers import MOST_TRIED, catalog_of, controllers
from azpreflight.facts.observation import Status
from azpreflight.model import Profile
from azpreflight.site.model import Directory, DirectoryTls, Dns, Network, Node, Site
from servers.dns import DnsServer, View, Zone
from servers.processes import free_port

DOMAIN = "corp.example"
RECORDS = {
    "_ldap._tcp.dc._msdcs": [
        "SRV 10 100 389 far.corp.example.",
        "SRV 0 10 389 light.corp.example.",
        "SRV 0 90 389 heavy.corp.example.",
        *(f"SRV 20 100 389 more{number}.corp.example." for number in range(5)),
    ],
    "far": ["A 192.0.2.3"],
    "heavy": ["A 192.0.2.1"],
    "light": ["AAAA 2001:db8::2"],
}


@pytest.fixture(scope="module")
def dns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DnsServer]:
    views = {"good": View([Zone(DOMAIN, RECORDS)]), "empty": View([Zone("other.example", {})])}
    with DnsServer(tmp_path_factory.mktemp("dns"), views) as server:
        yield server


def site(servers: tuple[str, ...] | None = None, tls: DirectoryTls = DirectoryTls.LDAPS) -> Site:
    return Site(
        name="lab",
        profile=Profile.ACTIVE_DIRECTORY,
        nodes=(Node(name="N1", address="192.0.2.11"),),
        network=Network(dns=Dns(servers=("192.0.2.53", "192.0.2.54"))),
        directory=Directory(domain=DOMAIN, servers=servers, tls=tls),
    )


class Reached:
    """Where declared addresses are reached: DNS servers, and whatever else a test redirects."""

    def __init__(self, dns: DnsServer, first: str = "good", second: str = "good") -> None:
        self._dns = {"192.0.2.53": first, "192.0.2.54": second}
        self._server = dns
        self.others: Mapping[str, tuple[str, int | None]] = {}

    def __call__(self, host: str, port: int) -> tuple[str, int]:
        if port == 53:
            if self._dns[host] == "dead":
                return "127.0.0.1", free_port()
            where, _, number = str(self._server.at(self._dns[host])).rpartition(":")
            return where, int(number)
        if host in self.others:
            where, to = self.others[host]
            return where, to or port
        return host, port


def found(of: Site, reached: Reached) -> list[Place]:
    return list(controllers(of, reached, Deadline(20)))


@pytest.mark.parametrize("first", ["good", "empty", "dead"])
def test_dns_orders_them_by_priority_and_weight(dns: DnsServer, first: str) -> None:
    places = found(site(), Reached(dns, first))
    assert places[:3] == [
        Place("heavy.corp.example", "192.0.2.1", 636),
        Place("light.corp.example", "2001:db8::2", 636),
        Place("far.corp.example", "192.0.2.3", 636),
    ]
    assert len(places) == MOST_TRIED


def test_declared_ones_are_asked_in_the_order_of_the_declaration(dns: DnsServer) -> None:
    places = found(site(("far.corp.example", "192.0.2.9", "far.corp.example"), DirectoryTls.STARTTLS), Reached(dns))
    assert places == [Place("far.corp.example", "192.0.2.3", 389), Place("192.0.2.9", "192.0.2.9", 389)]


def test_a_name_that_dns_does_not_know_is_left_to_this_machine(dns: DnsServer) -> None:
    assert found(site(("nobody.corp.example",)), Reached(dns)) == [
        Place("nobody.corp.example", "nobody.corp.example", 636)
    ]


def test_a_redirection_says_where(dns: DnsServer) -> None:
    reached = Reached(dns)
    reached.others = {"far.corp.example": ("127.0.0.1", 1636), DOMAIN: ("127.0.0.2", None)}
    assert found(site(("far.corp.example",)), reached) == [Place("far.corp.example", "127.0.0.1", 1636)]
    assert found(site(), reached) == [Place(DOMAIN, "127.0.0.2", 636)]


def test_without_any_the_way_out_is_named(dns: DnsServer) -> None:
    reached = Reached(dns, "dead", "empty")
    with pytest.raises(WireError, match=r"directory\.servers") as told:
        found(site(), reached)
    assert told.value.status is Status.UNREACHABLE


@pytest.mark.parametrize(
    ("tls", "port", "catalog"),
    [(DirectoryTls.LDAPS, 636, 3269), (DirectoryTls.STARTTLS, 389, 3268), (DirectoryTls.NONE, 389, 3268)],
)
def test_the_global_catalog_is_on_a_port_of_its_own(tls: DirectoryTls, port: int, catalog: int) -> None:
    settings = Directory(domain=DOMAIN, tls=tls)
    assert catalog_of(Place("dc1", "127.0.0.1", port), settings) == Place("dc1", "127.0.0.1", catalog)
    with pytest.raises(WireError, match="leave the port out"):
        catalog_of(Place("dc1", "127.0.0.1", 1636), settings)
