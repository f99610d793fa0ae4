"""Names as nodes and servers see them: what examples do not show, and what nobody should have sent."""

from __future__ import annotations

from typing import Any

import pytest

from azpreflight.checks import dns_consistency, dns_nodes, dns_public, dns_records
from azpreflight.checks.check import Check
from azpreflight.checks.view import NotApplicable, NotObserved, View
from azpreflight.facts.observation import Observation, Status
from azpreflight.model import Outcome, Phase, Target, TargetKind
from azpreflight.packs.load import load_packs
from azpreflight.site.model import Site
from unit.checks.judging import NOW, findings_of, outcomes_of, site_of

FIRST, SECOND = "192.0.2.53", "192.0.2.54"
NODE = {"name": "N1", "address": "192.0.2.11"}
DOMAINS = {"domains": ["azure.com"]}


def site_with(*servers: str, **changes: Any) -> Site:
    return site_of(network={"dns": {"servers": list(servers or [FIRST]), "zone": "edge.example"}}, **changes)


def view_of(
    site: Site, facts: dict[str, Any], *, kind: TargetKind = TargetKind.SITE, phase: Phase = Phase.PRE_DEPLOY
) -> View:
    """A view on the site or on N1. Facts of the area `dns` are the site's, others N1's; a `Status` was not had."""
    observations = {}
    for name, value in facts.items():
        owner = site.name if name.startswith("dns.") else "N1"
        status = value if isinstance(value, Status) else Status.OBSERVED
        observations[owner, name] = Observation(
            fact=name,
            target=owner,
            source="test",
            status=status,
            observed_at=NOW,
            value=value if status is Status.OBSERVED else None,
        )
    target = Target(kind, "N1" if kind is TargetKind.NODE else site.name)
    of_site = [name for name in facts if name.startswith("dns.")]
    return View(site, target, phase=phase, now=NOW, facts=observations, tables={}, site_facts=of_site)


def answer(name: str, *answers: str, **values: Any) -> dict[str, Any]:
    row = {
        "server": FIRST,
        "name": name,
        "type": "A",
        "rcode": "NOERROR",
        "error": None,
        "authoritative": True,
        "transport": "udp",
        "truncated": False,
        "aliases": [],
        "answers": list(answers),
    }
    return {**row, **values}


class TestConsistency:
    @pytest.mark.parametrize(
        ("second", "outcome"),
        [
            ({"answers": ["192.0.2.12", "192.0.2.11"]}, Outcome.PASS),
            ({"answers": ["192.0.2.11"]}, Outcome.FAIL),
            ({"rcode": "NXDOMAIN", "answers": []}, Outcome.FAIL),
            ({"answers": []}, Outcome.FAIL),
            ({"rcode": "REFUSED", "answers": []}, Outcome.FAIL),
            ({"rcode": None, "error": "timeout", "answers": []}, Outcome.ERROR),
            ({"rcode": "BADCOOKIE", "answers": []}, Outcome.ERROR),
            ({"answers": [53]}, Outcome.ERROR),
        ],
    )
    def test_what_the_second_server_says(self, second: dict[str, Any], outcome: Outcome) -> None:
        name = "N1.edge.example"
        rows = [answer(name, "192.0.2.11", "192.0.2.12"), {**answer(name), "server": SECOND, **second}]
        site = site_with(FIRST, SECOND, nodes=[NODE])
        view = view_of(site, {"dns.node_records": rows}, phase=Phase.DAY_2)
        assert outcomes_of(dns_consistency.consistent, view) == {name: outcome}

    def test_a_name_that_no_server_knows_is_nothing_to_compare(self) -> None:
        rows = [answer("N1.edge.example", rcode="NXDOMAIN", server=server) for server in (FIRST, SECOND)]
        site = site_with(FIRST, SECOND, nodes=[NODE])
        view = view_of(site, {"dns.node_records": rows}, phase=Phase.DAY_2)
        assert outcomes_of(dns_consistency.consistent, view) == {"N1.edge.example": Outcome.NOT_APPLICABLE}

    @pytest.mark.parametrize(
        ("second", "outcome"),
        [
            ({"answers": ["192.0.2.61"]}, Outcome.PASS),
            ({"answers": ["192.0.2.62"]}, Outcome.FAIL),
            ({"rcode": "NXDOMAIN", "answers": []}, Outcome.NOT_APPLICABLE),
            ({"rcode": None, "error": "timeout", "answers": []}, Outcome.ERROR),
        ],
    )
    def test_a_server_without_the_domain_is_for_another_rule(self, second: dict[str, Any], outcome: Outcome) -> None:
        rows = [answer("corp.example", "192.0.2.61"), {**answer("corp.example"), "server": SECOND, **second}]
        site = site_with(FIRST, SECOND, profile="active-directory", directory={"domain": "corp.example"}, nodes=[NODE])
        nowhere = [answer("N1.corp.example", rcode="NXDOMAIN", server=server) for server in (FIRST, SECOND)]
        view = view_of(site, {"dns.node_records": nowhere, "dns.domain_addresses": rows})
        assert outcomes_of(dns_consistency.consistent, view)["corp.example"] is outcome

    def test_a_server_that_is_declared_twice_is_one(self) -> None:
        with pytest.raises(NotApplicable, match="no second"):
            findings_of(dns_consistency.consistent, view_of(site_with(FIRST, FIRST), {}, phase=Phase.DAY_2))


class TestMadeUpAnswers:
    @pytest.mark.parametrize("aliases", [None, 4711, "x", [1]])
    def test_aliases_that_nobody_understands_are_an_open_question(self, aliases: Any) -> None:
        name = "azpreflight-103ece1c5365.edge.example"
        rows = {"dns.no_such_name": [answer(name, rcode="NXDOMAIN", aliases=aliases)]}
        with pytest.raises(NotObserved, match="alias"):
            findings_of(dns_public.no_made_up_answers, view_of(site_with(), rows))

    def test_both_rules_on_public_names_judge_the_names_that_are_asked_for(self) -> None:
        rules = load_packs().rules
        assert rules["AZL-DNS-012"].with_ == rules["AZL-DNS-006"].with_


class TestAzureNames:
    def rows(self, **vault: Any) -> dict[str, Any]:
        good = [answer("login.microsoftonline.com", "198.51.100.7"), answer("management.azure.com", "198.51.100.7")]
        return {"dns.azure_names": [answer("kv-1.vault.azure.net", **vault), *good]}

    @pytest.mark.parametrize("address", ["10.0.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1"])
    def test_a_private_address_of_any_block_fails(self, address: str) -> None:
        view = view_of(site_with(key_vault={"name": "kv-1"}), self.rows(answers=[address]))
        assert outcomes_of(dns_public.azure_names, view)[f"kv-1.vault.azure.net at {FIRST}"] is Outcome.FAIL

    def test_without_a_vault_login_and_management_are_judged(self) -> None:
        found = outcomes_of(dns_public.azure_names, view_of(site_with(), self.rows()))
        names = ("login.microsoftonline.com", "management.azure.com")
        assert found == {f"{name} at {FIRST}": Outcome.PASS for name in names}


class TestTcp:
    def judged(self, here: Any, *, code: int = 7) -> str:
        row = {"host": FIRST, "port": 53, "connected": False, "exit_code": code}
        facts = {"reach.dns_servers": [row], "dns.public_names": here, "dns.over_tcp": here}
        (finding,) = findings_of(dns_nodes.tcp_open, view_of(site_with(), facts, kind=TargetKind.NODE)).values()
        assert finding.outcome is Outcome.FAIL
        return finding.message

    @pytest.mark.parametrize("here", [Status.TIMED_OUT, [], [answer("x", server=SECOND)]])
    def test_what_is_not_known_here_is_not_spoken_of(self, here: Any) -> None:
        message = f"the node does not connect to TCP 53 of {FIRST}: it was turned away at once"
        assert self.judged(here) == message

    def test_any_answer_over_tcp_proves_that_the_port_is_open(self) -> None:
        assert "something on the node's way" in self.judged([answer("x", rcode="REFUSED")])

    def test_nothing_is_known_of_the_node_where_it_contradicts_itself(self) -> None:
        rows = [{"host": FIRST, "port": 53, "connected": said, "exit_code": 0} for said in (True, False)]
        view = view_of(site_with(), {"reach.dns_servers": rows}, kind=TargetKind.NODE)
        assert outcomes_of(dns_nodes.tcp_open, view) == {f"TCP 53 of {FIRST}": Outcome.ERROR}


class TestHostsFile:
    def judged(self, text: Any, folder: Any = r"C:\WINDOWS\System32\drivers\etc\\") -> dict[str, Outcome]:
        tree = {"exists": True, "keys": {"": {"DataBasePath": {"type": "REG_EXPAND_SZ", "data": folder}}}}
        facts = {"files.hosts": text, "system.tcpip": tree}
        return outcomes_of(dns_nodes.hosts_file, view_of(site_with(), facts, kind=TargetKind.NODE), **DOMAINS)

    def test_every_name_of_a_line_counts_once(self) -> None:
        text = "\ufeff192.0.2.11\tN1  n1.edge.example # one\n192.0.2.12 n2 n1\n\n#192.0.2.13 azure.com\nazure.com\n"
        assert self.judged(text) == {"n1": Outcome.FAIL, "n1.edge.example": Outcome.FAIL, "n2": Outcome.FAIL}

    @pytest.mark.parametrize("text", [None, 4711, ["192.0.2.11 n1"]])
    def test_what_is_no_text_is_no_hosts_file(self, text: Any) -> None:
        assert self.judged(text) == {"hosts file": Outcome.ERROR}

    @pytest.mark.parametrize("folder", [None, 4711, r"D:\etc"])
    def test_a_file_that_may_not_be_in_use_is_not_judged(self, folder: Any) -> None:
        assert self.judged("192.0.2.11 n1", folder) == {"hosts file": Outcome.ERROR}


@pytest.mark.parametrize(
    "zone", ["a..example", "x y.example", "\u00fc.example", "a.example\n", ".", "*.example", "a.-b"]
)
def test_what_cannot_be_a_zone_is_none(zone: str) -> None:
    site = site_of(network={"dns": {"zone": zone}})
    assert outcomes_of(dns_records.zone_name, view_of(site, {})) == {"zone": Outcome.FAIL}


@pytest.mark.parametrize(
    "check", [dns_nodes.primary_suffix, dns_nodes.peers_resolve, dns_records.reverse_records, dns_records.zone_name]
)
def test_without_a_zone_there_are_no_full_names(check: Check[Any]) -> None:
    site = site_of(network={"dns": {"servers": [FIRST]}})
    facts: dict[str, Any] = {"net.peer_fqdns": [], "net.peer_names": []}
    with pytest.raises(NotApplicable, match=r"network\.dns\.zone"):
        findings_of(check, view_of(site, facts, kind=TargetKind.NODE))
