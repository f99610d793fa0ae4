"""DNS checks on empty declarations, and on every way in which a server does not answer."""

from __future__ import annotations

from typing import Any

import pytest

from azpreflight.checks import dns_public, dns_records, dns_servers
from azpreflight.checks.check import Check
from azpreflight.checks.view import NotApplicable, NotObserved, View
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.query import DnsQuery
from azpreflight.model import Finding, Outcome, Phase, Target, TargetKind
from azpreflight.packs.load import load_packs
from azpreflight.site.model import Dns, Network, Site
from unit.checks.judging import NOW, findings_of, outcomes_of, site_of, view_of

RESERVED = {"reserved": ["10.96.0.0/12", "10.244.0.0/16"]}
RESOLVERS = {"resolvers": {"Google": ["8.8.8.8"]}}


def site_view(site: Site, fact: str = "", rows: list[dict[str, Any]] | None = None) -> View:
    observation = Observation(
        fact=fact, target=site.name, source="test", status=Status.OBSERVED, observed_at=NOW, value=rows or []
    )
    target = Target(TargetKind.SITE, site.name)
    facts = {(site.name, fact): observation} if fact else {}
    return View(site, target, phase=Phase.PRE_DEPLOY, now=NOW, facts=facts, tables={}, site_facts=[fact])


def with_servers(*servers: str) -> Site:
    """A site with servers that nobody held to a format."""
    return Site(
        name="lab",
        profile=site_of().profile,
        nodes=site_of().nodes[:1],
        network=Network(dns=Dns(servers=servers, zone="edge.example")),
    )


def answer(**values: Any) -> dict[str, Any]:
    row = {
        "server": "192.0.2.53",
        "name": "n1.edge.example.",
        "type": "A",
        "rcode": "NOERROR",
        "error": None,
        "authoritative": True,
        "transport": "udp",
        "answers": ["192.0.2.11"],
    }
    return {**row, **values}


def judged_record(**values: Any) -> Finding:
    view = site_view(with_servers("192.0.2.53"), "dns.node_records", [answer(**values)])
    (finding,) = findings_of(dns_records.node_records, view).values()
    return finding


class TestServers:
    def test_an_empty_list_is_blamed_once(self) -> None:
        view = site_view(with_servers())
        assert outcomes_of(dns_servers.fit_servers, view, **RESERVED) == {"DNS servers": Outcome.FAIL}
        assert outcomes_of(dns_servers.no_public_resolver, view, **RESOLVERS) == {"DNS servers": Outcome.ERROR}

    @pytest.mark.parametrize("text", ["", "dns.edge.example", "192.0.2.53%1", "0.0.0.0", "169.254.1.1", "224.0.0.251"])
    def test_what_no_host_can_have_is_unfit(self, text: str) -> None:
        found = outcomes_of(dns_servers.fit_servers, site_view(with_servers(text)), **RESERVED)
        assert found == {f"DNS server {text}": Outcome.FAIL}

    def test_what_is_no_address_is_no_public_resolver(self) -> None:
        view = site_view(with_servers("dns.edge.example"))
        assert set(outcomes_of(dns_servers.no_public_resolver, view, **RESOLVERS).values()) == {Outcome.PASS}

    def test_a_node_without_a_management_interface_fails(self) -> None:
        loopback = [{"InterfaceAlias": "Loopback Pseudo-Interface 1", "IPAddress": "127.0.0.1", "Store": "Active"}]
        view = view_of({"net.ip_addresses": loopback, "net.default_routes": [], "net.dns_servers": []})
        assert outcomes_of(dns_servers.node_has_server, view) == {"management interface": Outcome.FAIL}

    def test_a_silent_node_leaves_the_others_judged(self) -> None:
        facts = {
            "net.ip_addresses": [{"InterfaceAlias": "NIC1", "IPAddress": "192.0.2.12", "Store": "Active"}],
            "net.default_routes": [],
            "net.dns_servers": [{"InterfaceAlias": "NIC1", "ServerAddresses": ["192.0.2.53"]}],
        }
        nodes = {"N1": {"net.ip_addresses": Status.TIMED_OUT}}
        view = view_of(facts, nodes=nodes, kind=TargetKind.CLUSTER)
        assert outcomes_of(dns_servers.same_servers, view) == {"N1": Outcome.ERROR, "N2": Outcome.PASS}

    def test_nodes_that_all_ask_nobody_are_not_alike(self) -> None:
        asks = [{"InterfaceAlias": "NIC1", "ServerAddresses": None}]
        facts: dict[str, Any] = {"net.default_routes": [], "net.dns_servers": asks}
        nodes = {
            name: {"net.ip_addresses": [{"InterfaceAlias": "NIC1", "IPAddress": address, "Store": "Active"}]}
            for name, address in (("N1", "192.0.2.11"), ("N2", "192.0.2.12"))
        }
        view = view_of(facts, nodes=nodes, kind=TargetKind.CLUSTER)
        assert set(outcomes_of(dns_servers.same_servers, view).values()) == {Outcome.FAIL}

    def test_an_empty_list_is_nothing_to_be_equal_to(self) -> None:
        facts: dict[str, Any] = {
            "net.default_routes": [{"NextHop": "192.0.2.1", "InterfaceAlias": "NIC1", "Store": "Active"}],
            "net.ip_addresses": [{"InterfaceAlias": "NIC1", "IPAddress": "192.0.2.57", "Store": "Active"}],
            "net.dns_servers": [{"InterfaceAlias": "NIC1", "ServerAddresses": ["192.0.2.99"]}],
        }
        view = view_of(facts, site=site_of(network={"dns": {"servers": []}}), kind=TargetKind.CLUSTER)
        assert outcomes_of(dns_servers.same_servers, view)["DNS servers"] is Outcome.ERROR

    @pytest.mark.parametrize(
        "rows",
        [
            [],
            [{"InterfaceAlias": "NIC1", "ServerAddresses": ["none"]}],
            [{"InterfaceAlias": "NIC1", "ServerAddresses": [53]}],
            [{"InterfaceAlias": "NIC1", "ServerAddresses": servers} for servers in (["192.0.2.53"], ["192.0.2.54"])],
        ],
    )
    def test_servers_that_are_not_told_are_not_none(self, rows: list[Any]) -> None:
        facts = {
            "net.default_routes": [],
            "net.ip_addresses": [{"InterfaceAlias": "NIC1", "IPAddress": "192.0.2.11", "Store": "Active"}],
            "net.dns_servers": rows,
        }
        with pytest.raises(NotObserved):
            outcomes_of(dns_servers.node_has_server, view_of(facts))


class TestAnswers:
    @pytest.mark.parametrize(
        ("values", "outcome", "says"),
        [
            ({}, Outcome.PASS, "answers 192.0.2.11"),
            ({"rcode": "NXDOMAIN", "answers": []}, Outcome.FAIL, "does not exist (NXDOMAIN)"),
            ({"rcode": "REFUSED", "answers": []}, Outcome.FAIL, "refuses to answer"),
            ({"rcode": "SERVFAIL", "answers": []}, Outcome.FAIL, "failed to find an answer"),
            ({"rcode": "NOTIMP", "answers": []}, Outcome.FAIL, "answers NOTIMP"),
            ({"answers": []}, Outcome.FAIL, "no A record"),
            ({"answers": ["192.0.2.99"]}, Outcome.FAIL, "not 192.0.2.11"),
            ({"answers": ["192.0.2.11", "192.0.2.99"]}, Outcome.FAIL, "2 addresses"),
            ({"rcode": None, "error": "timeout", "answers": []}, Outcome.ERROR, "in time"),
            ({"rcode": None, "error": "port closed", "answers": []}, Outcome.ERROR, "port closed"),
        ],
    )
    def test_each_has_words_of_its_own(self, values: dict[str, Any], outcome: Outcome, says: str) -> None:
        finding = judged_record(**values)
        assert finding.outcome is outcome
        assert says in finding.message

    def test_an_answer_about_another_name_does_not_count(self) -> None:
        assert judged_record(name="n9.edge.example").outcome is Outcome.ERROR

    def test_an_answer_of_another_server_does_not_count(self) -> None:
        assert judged_record(server="192.0.2.99").outcome is Outcome.ERROR

    def test_no_servers_is_an_open_question(self) -> None:
        view = site_view(with_servers(), "dns.node_records")
        assert outcomes_of(dns_records.node_records, view) == {"N1.edge.example": Outcome.ERROR}

    def test_nothing_asked_is_an_open_question(self) -> None:
        view = site_view(with_servers("192.0.2.53"), "dns.public_names")
        found = outcomes_of(dns_public.public_names_resolve, view, names=["site.management_host"])
        assert found == {"management.azure.com at 192.0.2.53": Outcome.ERROR}

    @pytest.mark.parametrize(
        ("values", "outcome"),
        [
            ({}, Outcome.PASS),
            ({"answers": ["10.0.0.7"]}, Outcome.PASS),
            ({"name": "localhost"}, Outcome.ERROR),
            ({"type": "TXT"}, Outcome.ERROR),
            ({"answers": ["none"]}, Outcome.ERROR),
            ({"answers": None}, Outcome.ERROR),
            ({"answers": "198.51.100.7"}, Outcome.ERROR),
            ({"rcode": 0}, Outcome.ERROR),
            ({"rcode": "MAYBE", "answers": []}, Outcome.ERROR),
            ({"error": "timeout"}, Outcome.ERROR),
            ({"answers": ["0.0.0.0"]}, Outcome.FAIL),
            ({"answers": ["127.0.0.53"]}, Outcome.FAIL),
            ({"answers": ["198.51.100.7", "0.0.0.0"]}, Outcome.FAIL),
            ({"answers": ["169.254.1.1"]}, Outcome.FAIL),
            ({"answers": ["239.1.1.1"]}, Outcome.FAIL),
        ],
    )
    def test_a_public_name_leads_to_addresses_of_hosts(self, values: dict[str, Any], outcome: Outcome) -> None:
        row = answer(**{"name": "public.example", "answers": ["198.51.100.7"], **values})
        view = site_view(with_servers("192.0.2.53"), "dns.public_names", [row])
        found = outcomes_of(dns_public.public_names_resolve, view, names=["public.example"])
        assert found == {"public.example at 192.0.2.53": outcome}

    def test_a_server_that_says_two_things_says_nothing(self) -> None:
        rows = [answer(), answer(rcode="NXDOMAIN", answers=[])]
        for order in (rows, rows[::-1], [answer(), answer(answers=["192.0.2.99"])]):
            view = site_view(with_servers("192.0.2.53"), "dns.node_records", order)
            assert outcomes_of(dns_records.node_records, view) == {"N1.edge.example at 192.0.2.53": Outcome.ERROR}

    def test_a_server_that_says_one_thing_twice_says_it(self) -> None:
        view = site_view(with_servers("192.0.2.53"), "dns.node_records", [answer(), answer(name="N1.EDGE.example")])
        assert outcomes_of(dns_records.node_records, view) == {"N1.edge.example at 192.0.2.53": Outcome.PASS}

    @pytest.mark.parametrize("authoritative", [None, "true", 1])
    def test_authority_that_is_not_told_is_an_open_question(self, authoritative: Any) -> None:
        row = answer(name="edge.example", type="SOA", answers=["ns1 hostmaster 1 2 3 4 5"], authoritative=authoritative)
        view = site_view(with_servers("192.0.2.53"), "dns.zone_authority", [row])
        assert outcomes_of(dns_records.zone_authority, view) == {"edge.example at 192.0.2.53": Outcome.ERROR}

    def test_the_rule_names_the_public_names_that_its_query_asks_for(self) -> None:
        packs = load_packs()
        read = packs.queries["dns.public_names"].read
        assert isinstance(read, DnsQuery)
        assert tuple(packs.rules["AZL-DNS-006"].with_["names"]) == read.names

    def test_a_range_without_a_first_address_is_an_open_question(self) -> None:
        site = site_of(cluster={"name": "CL1"}, network={"dns": {"zone": "edge.example"}, "management": {"pools": []}})
        checks: list[Check[Any]] = [dns_records.cluster_record, dns_records.cluster_address_in_dns]
        for check in checks:
            assert outcomes_of(check, site_view(site)) == {"CL1.edge.example": Outcome.ERROR}

    def test_a_cluster_without_a_name_has_no_record(self) -> None:
        site = site_of(network={"dns": {"zone": "edge.example"}})
        with pytest.raises(NotApplicable, match=r"cluster\.name"):
            findings_of(dns_records.cluster_record, site_view(site))

    def test_without_a_zone_nobody_can_be_authoritative(self) -> None:
        with pytest.raises(NotApplicable, match="zone"):
            findings_of(dns_records.zone_authority, site_view(site_of()))
