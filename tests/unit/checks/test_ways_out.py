"""Ports that lead nowhere, names beside the table, addresses that are not public, and which rule judges what."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec
import pytest

from azpreflight.checks import closed_ports, declaration, outbound, ways_out
from azpreflight.checks.view import NotApplicable, NotObserved
from azpreflight.facts.endpoints import EndpointTable, needed
from azpreflight.facts.observation import Status
from azpreflight.facts.query import CurlQuery
from azpreflight.model import Outcome, Phase
from azpreflight.packs.load import load_packs
from azpreflight.site.model import Site
from unit.checks.judging import findings_of, outcomes_of, site_of, view_of

PACKS = load_packs()
SITE = site_of(
    azure={"region": "eastus", "services": []},
    cluster={"vendor": "other"},
    network={"ntp_servers": ["192.0.2.123"]},
    key_vault={"name": "edge-lab-kv"},
)
Answer: TypeAlias = Callable[[Any, int], dict[str, Any]]
PROBED = {"fact": "a.b", "table": "endpoints"}


def table() -> EndpointTable:
    found = PACKS.table_of("outbound.endpoints")
    assert found is not None
    return found


def with_azure(**azure: Any) -> Site:
    given = {"region": "eastus", "services": [], **azure}
    return msgspec.convert({**msgspec.to_builtins(SITE), "azure": given}, Site)


def rows_of(site: Site, answer: Answer | None = None, phase: Phase = Phase.PRE_DEPLOY) -> list[dict[str, Any]]:
    """A row for every probe: a good one, or with what `answer` makes of its host and port."""
    probes = dict.fromkeys((e.probe, e.port) for e in needed(table(), site, phase) if e.probe is not None)
    good = {"http_code": 404, "exit_code": 0, "error": "", "remote_ip": "203.0.113.7", "proxy": None}
    return [{"host": host, "port": port, **good, **(answer(host, port) if answer else {})} for host, port in probes]


def judged(check: Any, site: Site, rows: Any, phase: Phase = Phase.PRE_DEPLOY) -> dict[str, Outcome]:
    return outcomes_of(check, view_of({"a.b": rows}, site=site, tables={"endpoints": table()}, phase=phase), **PROBED)


def silent(*ports: int) -> Answer:
    failure = {"http_code": 0, "exit_code": 28, "error": "timed out", "remote_ip": None}
    return lambda _, port: failure if port in ports else {}


class TestClosedPorts:
    @pytest.mark.parametrize("closed", [80, 443])
    def test_one_port_one_failure_and_its_names_are_left_unjudged(self, closed: int) -> None:
        rows = rows_of(SITE, silent(closed))
        ports = judged(closed_ports.open_ports, SITE, rows)
        assert ports == {
            f"TCP port {port}": Outcome.FAIL if port == closed else Outcome.PASS for port in closed_ports.WEB_PORTS
        }
        names = judged(outbound.reachable, SITE, rows)
        # What may not be needed at all is told, and counts for nothing.
        certain = {name: outcome for name, outcome in names.items() if outcome is not Outcome.NOT_APPLICABLE}
        assert set(certain.values()) == {Outcome.PASS, Outcome.ERROR}
        assert all(name.endswith(f":{closed}") for name, outcome in names.items() if outcome is Outcome.ERROR)

    def test_one_name_that_was_reached_makes_every_other_one_a_failure_of_its_own(self) -> None:
        rows = rows_of(SITE, lambda host, port: {} if host == "aka.ms" else silent(443)(host, port))
        assert set(judged(closed_ports.open_ports, SITE, rows).values()) == {Outcome.PASS}
        names = judged(outbound.reachable, SITE, rows)
        assert set(names.values()) == {Outcome.PASS, Outcome.FAIL}

    def test_a_port_of_which_one_name_is_open_in_doubt_is_not_called_closed(self) -> None:
        rows = [row for row in rows_of(SITE, silent(443)) if row["host"] != "aka.ms"]
        assert judged(closed_ports.open_ports, SITE, rows)["TCP port 443"] is Outcome.ERROR
        names = judged(outbound.reachable, SITE, rows)
        assert names["aka.ms:443"] is Outcome.ERROR
        assert names["mcr.microsoft.com:443"] is Outcome.FAIL

    @pytest.mark.parametrize(
        ("exit_code", "port", "names"),
        [
            (6, Outcome.ERROR, Outcome.FAIL),
            (7, Outcome.FAIL, Outcome.ERROR),
            (97, Outcome.FAIL, Outcome.ERROR),
            (35, Outcome.PASS, Outcome.FAIL),
            (52, Outcome.ERROR, Outcome.FAIL),
            (60, Outcome.PASS, Outcome.FAIL),
            (2, Outcome.ERROR, Outcome.ERROR),
        ],
    )
    def test_names_and_certificates_are_no_matter_of_the_port(
        self, exit_code: int, port: Outcome, names: Outcome
    ) -> None:
        failure = {"http_code": 0, "exit_code": exit_code, "remote_ip": None}
        rows = rows_of(SITE, lambda _, at: failure if at == 443 else {})
        assert judged(closed_ports.open_ports, SITE, rows)["TCP port 443"] is port
        vault = "edge-lab-kv.vault.azure.net:443"
        found = judged(outbound.reachable, SITE, rows)
        assert {outcome for name, outcome in found.items() if name.endswith(":443") and name != vault} == {names}

    def test_the_beacon_is_left_unjudged_with_its_port(self) -> None:
        urls = ["http://beacon.example/", "https://beacon.example/"]
        beacon = [{"url": url, **silent(80, 443)("", 80)} for url in urls]
        parameters = {"fact": "c.d", "urls": urls, "beside": "a.b", "table": "endpoints"}
        for known, expected in [
            (rows_of(SITE, silent(443)), [Outcome.FAIL, Outcome.ERROR]),
            (rows_of(SITE), [Outcome.FAIL, Outcome.FAIL]),
            (Status.NOT_PRESENT, [Outcome.FAIL, Outcome.FAIL]),
        ]:
            view = view_of({"a.b": known, "c.d": beacon}, site=SITE, tables={"endpoints": table()})
            assert list(outcomes_of(ways_out.connects, view, **parameters).values()) == expected


class TestArcGateway:
    @pytest.mark.parametrize("release", [None, "2510", "2411", "2405"])
    @pytest.mark.parametrize("phase", [Phase.PRE_DEPLOY, Phase.DAY_2])
    def test_every_endpoint_is_judged_by_one_rule(self, release: str | None, phase: Phase) -> None:
        site = with_azure(arc_gateway=True, arc_gateway_prefix="edge-gw")
        site = msgspec.structs.replace(site, cluster=msgspec.structs.replace(site.cluster, release=release))
        rows = rows_of(site, phase=phase)
        subjects = [f"{e.host}:{e.port}" for e in needed(table(), site, phase)]
        rest: dict[str, Outcome] = {}
        with contextlib.suppress(NotApplicable):
            rest = judged(outbound.reachable, site, rows, phase)
        direct = judged(outbound.direct, site, rows, phase) if phase in PACKS.rules["AZL-FW-025"].phases else {}
        assert sorted([*rest, *direct]) == sorted(subjects)
        assert ("edge-gw.gw.arc.azure.com:443" in direct) is (phase is Phase.PRE_DEPLOY)

    def test_what_is_left_to_another_rule_is_told(self) -> None:
        site = with_azure(arc_gateway=True)
        with pytest.raises(NotApplicable, match="AZL-FW-025"):
            judged(outbound.reachable, site, rows_of(site))

    def test_the_gateway_and_the_names_that_no_gateway_carries(self) -> None:
        site = with_azure(arc_gateway=True, arc_gateway_prefix="edge-gw")
        found = judged(outbound.direct, site, rows_of(site))
        assert {
            *("edge-gw.gw.arc.azure.com:443", "eus.his.arc.azure.com:443", "gbl.his.arc.azure.com:443"),
            *("login.microsoftonline.com:443", "eastus.login.microsoft.com:443", "management.azure.com:443"),
            *("edge-lab-kv.vault.azure.net:443", "crl3.digicert.com:80", "oneocsp.microsoft.com:80"),
        } <= set(found)
        assert "mcr.microsoft.com:443" not in found

    def test_without_one_there_is_nothing_to_judge(self) -> None:
        for site in (SITE, with_azure(arc_gateway=False), with_azure(arc_gateway=True, cloud="AzureUSGovernment")):
            with pytest.raises(NotApplicable):
                judged(outbound.direct, site, [])


class TestWhatIsNotProbed:
    def found(self, site: Site, phase: Phase = Phase.PRE_DEPLOY) -> dict[str, Any]:
        view = view_of({"a.b": rows_of(site, phase=phase)}, site=site, tables={"endpoints": table()}, phase=phase)
        return findings_of(outbound.reachable, view, **PROBED)

    def test_what_the_site_is_silent_about_is_told_once_for_each_field(self) -> None:
        silent_site = msgspec.convert({**msgspec.to_builtins(SITE), "azure": {"region": "eastus"}, "cluster": {}}, Site)
        found = self.found(silent_site, Phase.DAY_2)
        told = {subject: finding for subject, finding in found.items() if finding.outcome is Outcome.NOT_APPLICABLE}
        assert set(told) == {"azure.services", "cluster.vendor"}
        assert "windows-admin-center" in told["azure.services"].message
        assert told["azure.services"].actual > 20
        assert "dataon, dell, hitachi, hpe, lenovo" in told["cluster.vendor"].message

    def test_a_site_that_tells_all_has_nothing_left_out(self) -> None:
        assert {finding.outcome for finding in self.found(SITE).values()} == {Outcome.PASS}

    def test_time_is_left_to_the_rule_on_time(self) -> None:
        site = msgspec.convert({**msgspec.to_builtins(SITE), "network": {}}, Site)
        finding = self.found(site)["time.windows.com:123"]
        assert finding.outcome is Outcome.NOT_APPLICABLE
        assert "AZL-FW-006" in finding.message

    def test_a_name_that_the_site_leaves_open_is_told_by_its_field(self) -> None:
        site = msgspec.convert({**msgspec.to_builtins(SITE), "key_vault": {}}, Site)
        finding = self.found(site)["{key_vault}.vault.azure.net:443"]
        assert finding.outcome is Outcome.NOT_APPLICABLE
        assert "key_vault.name" in finding.message

    def test_where_nothing_at_all_can_be_probed_nothing_passes(self) -> None:
        wildcards = tuple(e for e in table().endpoints if "*" in e.host and e.probe is None)
        lonely = msgspec.structs.replace(table(), endpoints=wildcards)
        site = with_azure(services=["windows-admin-center"])
        view = view_of({"a.b": []}, site=site, tables={"endpoints": lonely}, phase=Phase.DAY_2)
        assert set(outcomes_of(outbound.reachable, view, **PROBED).values()) == {Outcome.NOT_APPLICABLE}

    @pytest.mark.parametrize(("exit_code", "told"), [(28, "it timed out"), (2, "the probe itself failed")])
    def test_the_failure_of_an_uncertain_endpoint_is_told_and_not_counted(self, exit_code: int, told: str) -> None:
        site = with_azure(services=["azure-update-manager"])
        failure = {"http_code": 0, "exit_code": exit_code}
        rows = rows_of(site, lambda host, _: failure if host == "fe2.update.microsoft.com" else {}, Phase.DAY_2)
        view = view_of({"a.b": rows}, site=site, tables={"endpoints": table()}, phase=Phase.DAY_2)
        finding = findings_of(outbound.reachable, view, **PROBED)["*.update.microsoft.com:443"]
        assert finding.outcome is Outcome.NOT_APPLICABLE
        assert told in finding.message
        assert "not certain" in finding.message


class TestPublicAddresses:
    @pytest.mark.parametrize(
        ("address", "outcome"),
        [
            ("203.0.113.9", None),
            ("2001:db8::9", None),
            ("127.0.0.1", None),
            ("::1", None),
            *((private, Outcome.FAIL) for private in ("10.1.2.3", "172.31.0.1", "192.168.4.5", "100.64.0.1")),
            *((private, Outcome.FAIL) for private in ("169.254.1.1", "fd00::1", "fe80::1")),
            *((odd, Outcome.ERROR) for odd in (None, "", "0.0.0.0", "here", 17, True, ["10.0.0.1"])),
        ],
    )
    def test_one_address(self, address: Any, outcome: Outcome | None) -> None:
        rows = rows_of(SITE, lambda host, _: {"remote_ip": address} if host == "mcr.microsoft.com" else {})
        found = judged(ways_out.public_addresses, SITE, rows)
        assert found.pop("public addresses") is Outcome.PASS
        assert found == ({} if outcome is None else {"mcr.microsoft.com": outcome})

    def test_an_address_counts_though_the_session_failed(self) -> None:
        answer = {"remote_ip": "10.1.2.3", "http_code": 0, "exit_code": 60}
        rows = rows_of(SITE, lambda host, _: answer if host == "mcr.microsoft.com" else {})
        assert judged(ways_out.public_addresses, SITE, rows)["mcr.microsoft.com"] is Outcome.FAIL

    def test_only_addresses_of_the_node_itself_say_nothing(self) -> None:
        rows = rows_of(SITE, lambda *_: {"remote_ip": "127.0.0.1"})
        assert judged(ways_out.public_addresses, SITE, rows) == {"public addresses": Outcome.NOT_APPLICABLE}

    def test_a_declared_private_endpoint_is_as_it_should_be(self) -> None:
        vault = {"name": "edge-lab-kv", "private_endpoint": True}
        site = msgspec.convert({**msgspec.to_builtins(SITE), "key_vault": vault}, Site)
        rows = rows_of(site, lambda host, _: {"remote_ip": "10.1.2.3"} if "vault" in host else {})
        assert judged(ways_out.public_addresses, site, rows) == {"public addresses": Outcome.PASS}
        assert judged(ways_out.public_addresses, SITE, rows)["edge-lab-kv.vault.azure.net"] is Outcome.FAIL

    def test_behind_a_proxy_only_what_goes_around_it_has_an_address(self) -> None:
        through = {"proxy": "http://proxy.edge.example:3128", "remote_ip": "192.168.0.8"}
        with pytest.raises(NotApplicable, match="proxy"):
            judged(ways_out.public_addresses, SITE, rows_of(SITE, lambda *_: through))
        around = {**through, "proxy": None}
        rows = rows_of(SITE, lambda host, _: around if host.endswith("digicert.com") else through)
        found = judged(ways_out.public_addresses, SITE, rows)
        assert set(found) == {"crl3.digicert.com", "crl4.digicert.com", "ocsp.digicert.com"}

    def test_a_row_that_does_not_tell_of_a_proxy_is_not_judged(self) -> None:
        rows = [{key: value for key, value in row.items() if key != "proxy"} for row in rows_of(SITE)]
        with pytest.raises(NotObserved):
            judged(ways_out.public_addresses, SITE, rows)


@pytest.mark.parametrize(("declared", "outcome"), [(False, Outcome.PASS), (True, Outcome.FAIL)])
def test_tenant_restrictions_are_the_operators_word(declared: bool, outcome: Outcome) -> None:
    found = outcomes_of(declaration.tenant_restrictions, view_of(site=with_azure(tenant_restrictions=declared)))
    assert found == {"tenant restrictions": outcome}


def test_the_rule_on_the_beacon_names_what_its_query_asks_for() -> None:
    read, parameters = PACKS.queries["reach.beacon"].read, PACKS.rules["AZL-FW-009"].with_
    assert isinstance(read, CurlQuery)
    assert tuple(parameters["urls"]) == read.urls
