"""Outbound paths: the endpoints a site needs, and what curl's answer for each means."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from azpreflight.checks import attempts, outbound
from azpreflight.checks.attempts import Failure
from azpreflight.checks.view import Row
from azpreflight.facts import curl_exits
from azpreflight.facts.endpoints import EndpointTable, needed, probe_of
from azpreflight.facts.probes import Probe
from azpreflight.facts.query import CurlQuery
from azpreflight.model import Outcome, Phase
from azpreflight.packs.load import load_packs
from azpreflight.site.model import Azure, KeyVault, Site
from unit.checks.judging import findings_of, outcomes_of, site_of, view_of

PACKS = load_packs()
SITE = site_of(
    azure={"region": "eastus", "services": []},
    cluster={"vendor": "other"},
    network={"ntp_servers": ["192.0.2.123"]},
    key_vault={"name": "edge-lab-kv"},
    witness={"kind": "none"},
)


def table() -> EndpointTable:
    found = PACKS.table_of("outbound.endpoints")
    assert found is not None
    return found


def hosts(site: Site, phase: Phase = Phase.PRE_DEPLOY) -> set[str]:
    return {endpoint.host for endpoint in needed(table(), site, phase)}


class TestNeeded:
    def test_takes_the_declared_region_and_no_other(self) -> None:
        names = hosts(SITE)
        assert "eus.his.arc.azure.com" in names
        assert "weu.his.arc.azure.com" not in names
        assert "management.azure.com" in names

    def test_knows_a_region_by_its_display_name(self) -> None:
        assert hosts(msgspec.structs.replace(SITE, azure=Azure(region="East US"))) == hosts(SITE)

    def test_takes_the_declared_cloud(self) -> None:
        names = hosts(site_of(azure={"cloud": "AzureUSGovernment", "region": "usgovvirginia"}))
        assert "management.usgovcloudapi.net" in names
        assert "agentserviceapi.guestconfiguration.azure.com" not in names

    def test_follows_the_phase(self) -> None:
        assert "www.msftconnecttest.com" in hosts(SITE, Phase.PRE_DEPLOY)
        assert "www.msftconnecttest.com" not in hosts(SITE, Phase.DAY_2)

    def test_leaves_out_what_nobody_uses(self) -> None:
        assert "eastus.obo.arc.azure.com" not in hosts(SITE, Phase.DAY_2)
        assert not any("gw.arc.azure.com" in name for name in hosts(SITE))

    def test_takes_the_witness_when_there_is_one(self) -> None:
        witness = {"kind": "cloud", "storage_account": "edgelabwitness"}
        assert "edgelabwitness.blob.core.windows.net" in hosts(site_of(azure={"region": "eastus"}, witness=witness))
        assert not any(name.startswith("edgelab") for name in hosts(SITE))

    def test_leaves_out_what_the_gateway_carries(self) -> None:
        azure = {"region": "eastus", "arc_gateway": True}
        names = hosts(site_of(azure=azure))
        assert "mcr.microsoft.com" not in names
        assert {"management.azure.com", "{arc_gateway_prefix}.gw.arc.azure.com"} <= names
        assert "download.microsoft.com" not in hosts(site_of(azure=azure, cluster={"release": "2503"}))
        assert "download.microsoft.com" in hosts(site_of(azure=azure, cluster={"release": "2411"}))

    def test_the_gateway_carries_nothing_outside_the_public_cloud(self) -> None:
        azure = {"cloud": "AzureUSGovernment", "region": "usgovvirginia", "arc_gateway": True}
        assert "mcr.microsoft.com" in hosts(site_of(azure=azure))

    @pytest.mark.parametrize("phase", list(Phase))
    def test_each_host_and_port_is_probed_once(self, phase: Phase) -> None:
        urls = {url for e in needed(table(), SITE, phase) if (url := probe_of(e, SITE)) is not None}
        probes = {Probe.of_url(url) for url in urls}
        assert len(probes) == len({(probe.host, probe.port) for probe in probes}) > 60
        assert {probe.url for probe in probes} == urls


class TestProbeOf:
    def url(self, site: Site, host: str) -> str | None:
        return next(probe_of(e, site) for e in needed(table(), site, Phase.PRE_DEPLOY) if e.host == host)

    def test_a_vault_that_is_declared(self) -> None:
        assert self.url(SITE, "edge-lab-kv.vault.azure.net") == "https://edge-lab-kv.vault.azure.net/"

    @pytest.mark.parametrize("name", [None, "", "edge lab", "edge/lab?", 'a"b', "x" * 64])
    def test_a_vault_whose_name_cannot_be_in_a_url(self, name: str | None) -> None:
        site = site_of(azure={"region": "eastus"}, key_vault=KeyVault(name=name))
        assert self.url(site, "{key_vault}.vault.azure.net") is None

    def test_a_path_that_answers_better(self) -> None:
        assert self.url(SITE, "crl.microsoft.com") == "http://crl.microsoft.com/pkiinfra"


def judged(answer: dict[str, Any]) -> Row:
    return Row("a.b", "N1", answer)


def ended(exit_code: int, error: str = "", **more: Any) -> dict[str, Any]:
    return {**row("h", exit_code=exit_code, error=error), **more}


def row(host: str, *, http_code: int = 0, exit_code: int = 0, error: str = "", port: int = 443) -> dict[str, Any]:
    return {"host": host, "port": port, "http_code": http_code, "exit_code": exit_code, "error": error}


def rows_for(site: Site, **failing: dict[str, Any]) -> list[dict[str, Any]]:
    probes = [Probe.of_url(url) for e in needed(table(), site, Phase.PRE_DEPLOY) if (url := probe_of(e, site))]
    return [failing.get(p.host.partition(".")[0]) or row(p.host, http_code=404, port=p.port) for p in probes]


def reached(rows: list[dict[str, Any]], site: Site = SITE, phase: Phase = Phase.PRE_DEPLOY) -> dict[str, Outcome]:
    view = view_of({"a.b": rows}, site=site, tables={"endpoints": table()}, phase=phase)
    return outcomes_of(outbound.reachable, view, fact="a.b", table="endpoints")


class TestReachable:
    def test_all_answers_are_good_answers(self) -> None:
        assert set(reached(rows_for(SITE)).values()) == {Outcome.PASS}

    @pytest.mark.parametrize("exit_code", [5, 6, 7, 28, 35, 56, 60, 97, 92])
    def test_one_failure_is_that_of_one_endpoint(self, exit_code: int) -> None:
        found = reached(rows_for(SITE, mcr=row("mcr.microsoft.com", exit_code=exit_code)))
        assert [subject for subject, outcome in found.items() if outcome is not Outcome.PASS] == [
            "mcr.microsoft.com:443"
        ]
        assert found["mcr.microsoft.com:443"] is Outcome.FAIL

    def test_an_endpoint_without_result_is_not_judged(self) -> None:
        found = reached(rows_for(SITE)[:-1])
        assert sorted(found.values()).count(Outcome.ERROR) == 1

    def test_an_aborted_transfer_after_an_answer_is_reached(self) -> None:
        found = reached(rows_for(SITE, mcr=row("MCR.microsoft.com", http_code=200, exit_code=63, error="too large")))
        assert found["mcr.microsoft.com:443"] is Outcome.PASS

    def test_a_vault_that_does_not_exist_yet(self) -> None:
        missing = {"edge-lab-kv": row("edge-lab-kv.vault.azure.net", exit_code=6, error="Could not resolve host")}
        subject = "edge-lab-kv.vault.azure.net:443"
        assert reached(rows_for(SITE, **missing))[subject] is Outcome.NOT_APPLICABLE
        assert reached(rows_for(SITE, **missing), phase=Phase.DAY_2)[subject] is Outcome.FAIL
        refused = {"edge-lab-kv": row("edge-lab-kv.vault.azure.net", exit_code=7)}
        assert reached(rows_for(SITE, **refused))[subject] is Outcome.FAIL

    def test_what_has_no_stand_in_is_never_passed(self) -> None:
        site = site_of(azure={"cloud": "AzureUSGovernment", "region": "usgovvirginia"})
        assert reached(rows_for(site), site)["*.servicebus.usgovcloudapi.net:443"] is Outcome.NOT_APPLICABLE

    def test_a_region_that_the_table_does_not_know_is_never_passed(self) -> None:
        site = site_of(azure={"region": "northeurope"}, key_vault={"name": "edge-lab-kv"})
        found = reached(rows_for(site), site)
        assert found["region"] is Outcome.ERROR


CONNECT = "CONNECT tunnel failed, response "
PROXIED: dict[str, Any] = {"proxy": "http://proxy.edge.example:3128", "connected": False}
SSL = "SSL certificate problem: "
TLS_REASON = "the TLS session failed: "
UNTRUSTED = TLS_REASON + "its certificate comes from an authority that is not trusted"
WRONG_NAME = TLS_REASON + "its certificate is for another name"
EXPIRED = TLS_REASON + "its certificate has expired or is not valid yet"
TOO_OLD = TLS_REASON + "no version or cipher of TLS is known to both sides"
RESET = "the connection was reset"
IN_HANDSHAKE = RESET + " during the TLS handshake"
BEHIND = "the proxy could not connect to it (CONNECT got 503)"


@pytest.mark.parametrize(
    ("answer", "failure", "reason"),
    [
        (ended(6), Failure.NAME, "the name does not resolve"),
        (ended(5), Failure.PROXY, "the name of the proxy does not resolve"),
        (ended(7), Failure.REFUSED, "the connection was refused"),
        (ended(7, **PROXIED), Failure.PROXY, "the connection to the proxy was refused"),
        (ended(28), Failure.TIMED_OUT, "it timed out"),
        (ended(28, **PROXIED), Failure.PROXY, "the proxy did not answer in time"),
        (ended(28, proxy=PROXIED["proxy"], connected=True), Failure.TIMED_OUT, "it timed out"),
        (ended(35), Failure.TLS, "the TLS session failed"),
        # As of Schannel, in whatever language, of OpenSSL and of Python.
        (
            row("h", exit_code=35, error="schannel: SEC_E_UNTRUSTED_ROOT (0x80090325) - ..."),
            Failure.CERTIFICATE,
            UNTRUSTED,
        ),
        (ended(60, SSL + "unable to get local issuer certificate"), Failure.CERTIFICATE, UNTRUSTED),
        (ended(60, SSL + "self-signed certificate"), Failure.CERTIFICATE, UNTRUSTED),
        (ended(60, "SEC_E_WRONG_PRINCIPAL (0x80090322)"), Failure.CERTIFICATE, WRONG_NAME),
        (ended(60, "SSL: no alternative certificate subject name"), Failure.CERTIFICATE, WRONG_NAME),
        (ended(60, "Hostname mismatch, certificate is not valid"), Failure.CERTIFICATE, WRONG_NAME),
        (ended(35, "SEC_E_CERT_EXPIRED (0x80090328)"), Failure.CERTIFICATE, EXPIRED),
        (ended(60, SSL + "certificate has expired"), Failure.CERTIFICATE, EXPIRED),
        (ended(35, "SEC_E_UNSUPPORTED_FUNCTION (0x80090302)"), Failure.TLS, TOO_OLD),
        (ended(35, "SSL routines::unsupported protocol"), Failure.TLS, TOO_OLD),
        (ended(35, "tlsv1 alert protocol version"), Failure.TLS, TOO_OLD),
        (ended(35, "SSL routines::legacy sigalg disallowed or unsupported"), Failure.TLS, TOO_OLD),
        (
            row("h", exit_code=35, error="Recv failure: Connection was reset"),
            Failure.RESET,
            IN_HANDSHAKE,
        ),
        (ended(56, "Recv failure: Connection was reset"), Failure.RESET, RESET),
        (ended(92), Failure.BROKEN, "curl ended with 92"),
        (ended(97), Failure.PROXY_REFUSAL, "the proxy refused"),
        (ended(56, CONNECT + "403"), Failure.PROXY_REFUSAL, "the proxy refused (CONNECT got 403)"),
        (ended(56, connect_code=403), Failure.PROXY_REFUSAL, "the proxy refused (CONNECT got 403)"),
        (ended(56, "CONNECT aborted"), Failure.PROXY_REFUSAL, "the proxy refused"),
        (ended(56, connect_code=407), Failure.PROXY_LOGIN, attempts.PROXY_WANTS_LOGIN),
        (ended(56, CONNECT + "407"), Failure.PROXY_LOGIN, attempts.PROXY_WANTS_LOGIN),
        (
            row("h", exit_code=56, error="Received HTTP code 407 from proxy after CONNECT"),
            Failure.PROXY_LOGIN,
            attempts.PROXY_WANTS_LOGIN,
        ),
        (row("h", http_code=407), Failure.PROXY_LOGIN, attempts.PROXY_WANTS_LOGIN),
        (
            ended(56, connect_code=503),
            Failure.PROXY,
            BEHIND,
        ),
    ],
)
def test_reasons(answer: Any, failure: Failure, reason: str) -> None:
    assert attempts.attempt_of(judged(answer)) == attempts.Attempt(False, reason, failure)


@pytest.mark.parametrize("exit_code", sorted(curl_exits.TLS))
def test_a_status_in_a_session_that_nobody_can_trust_proves_nothing(exit_code: int) -> None:
    found = attempts.attempt_of(judged(row("h", http_code=200, exit_code=exit_code)))
    assert found.reached is False
    assert found.reason.startswith("the TLS session failed")


def test_a_status_behind_a_proxy_that_connected() -> None:
    assert attempts.attempt_of(judged({**row("h", http_code=403), "connect_code": 200})).reached is True


def test_reached_without_a_look_at_revocation_is_reached_and_says_so() -> None:
    answer = {**row("mcr.microsoft.com", http_code=200), "revocation_skipped": True}
    assert attempts.attempt_of(judged(answer)).reached is True
    view = view_of({"a.b": rows_for(SITE, mcr=answer)}, site=SITE, tables={"endpoints": table()})
    finding = findings_of(outbound.reachable, view, fact="a.b", table="endpoints")["mcr.microsoft.com:443"]
    assert finding.outcome is Outcome.PASS
    assert "revocation of its certificate could not be checked" in finding.message


@pytest.mark.parametrize(
    "answer",
    [
        row("h"),
        row("h", exit_code=2, error="Failed initialization"),
        row("h", exit_code=27),
        row("h", exit_code=4711),
        row("h", http_code=7),
        {**row("h"), "http_code": True},
        {**row("h"), "http_code": "200"},
        {**row("h"), "http_code": None},
        {**row("h", http_code=200), "exit_code": None},
    ],
)
def test_a_probe_that_failed_by_itself_says_nothing_of_the_path(answer: Any) -> None:
    assert attempts.attempt_of(judged(answer)).reached is None
    found = reached(rows_for(SITE, mcr={**answer, "host": "mcr.microsoft.com"}))
    assert found["mcr.microsoft.com:443"] is Outcome.ERROR


@pytest.mark.parametrize("exit_code", [0, 22, 23, 28, 63])
def test_a_status_proves_the_path_whatever_became_of_the_rest(exit_code: int) -> None:
    assert attempts.attempt_of(judged(row("h", http_code=403, exit_code=exit_code))).reached is True


class TestBehindAProxy:
    def found(self, status: int, *, proxy: str | None = "http://proxy.edge.example:3128") -> Outcome:
        answer = {**row("crl3.digicert.com", http_code=status, port=80), "proxy": proxy}
        return reached(rows_for(SITE, crl3=answer))["crl3.digicert.com:80"]

    @pytest.mark.parametrize("status", [403, 500, 502, 503, 504])
    def test_an_answer_on_plain_http_may_be_the_proxys_own(self, status: int) -> None:
        assert self.found(status) is Outcome.ERROR
        assert self.found(status, proxy=None) is Outcome.PASS

    @pytest.mark.parametrize(("status", "outcome"), [(200, Outcome.PASS), (404, Outcome.PASS), (407, Outcome.FAIL)])
    def test_other_answers_are_not_in_doubt(self, status: int, outcome: Outcome) -> None:
        assert self.found(status) is outcome

    def test_an_answer_in_tls_cannot_be_the_proxys(self) -> None:
        answer = {**row("mcr.microsoft.com", http_code=503), "proxy": "http://proxy.edge.example:3128"}
        assert reached(rows_for(SITE, mcr=answer))["mcr.microsoft.com:443"] is Outcome.PASS


def test_results_that_contradict_each_other_are_none() -> None:
    rows = [*rows_for(SITE), row("mcr.microsoft.com", exit_code=28)]
    assert reached(rows)["mcr.microsoft.com:443"] is Outcome.ERROR


TLS = {"fact": "a.b", "urls": ["https://h/"], "tls": ["1.2", "1.3"]}


def tls(version: str | None, **rest: Any) -> dict[str, Any]:
    return {**row("h", **rest), "tls": version, "url": "https://h/"}


@pytest.mark.parametrize(
    ("rows", "outcome"),
    [
        ([tls("1.2", http_code=400), tls("1.3", http_code=400)], Outcome.PASS),
        ([tls("1.2", exit_code=35), tls("1.3", http_code=400)], Outcome.PASS),
        ([tls("1.2", exit_code=35), tls("1.3", exit_code=4)], Outcome.FAIL),
        ([tls("1.2", exit_code=28), tls("1.3", exit_code=28)], Outcome.ERROR),
        ([tls("1.2", exit_code=6), tls("1.3", exit_code=4)], Outcome.ERROR),
        ([tls("1.2", http_code=200, exit_code=60), tls("1.3", http_code=200, exit_code=35)], Outcome.FAIL),
        ([tls("1.2", exit_code=35)], Outcome.ERROR),
        ([tls("1.2", exit_code=35), tls("1.3", exit_code=27)], Outcome.ERROR),
        ([tls("1.2", http_code=200), tls("1.2", exit_code=35), tls("1.3", exit_code=35)], Outcome.ERROR),
        ([tls("1.1", http_code=200)], Outcome.ERROR),
        ([{**tls("1.2", http_code=200), "url": "https://localhost/"}], Outcome.ERROR),
        ([], Outcome.ERROR),
    ],
)
def test_tls_is_judged_only_where_something_answered(rows: list[Any], outcome: Outcome) -> None:
    assert outcomes_of(outbound.negotiates_tls, view_of({"a.b": rows}), **TLS) == {"https://h/": outcome}


def test_the_rule_names_what_its_query_asks_for() -> None:
    read, parameters = PACKS.queries["outbound.tls"].read, PACKS.rules["AZL-FW-022"].with_
    assert isinstance(read, CurlQuery)
    assert (tuple(parameters["urls"]), tuple(parameters["tls"])) == (read.urls, read.tls)


def test_an_answer_to_no_particular_version_proves_nothing() -> None:
    found = findings_of(outbound.negotiates_tls, view_of({"a.b": [tls(None, http_code=200)]}), **TLS)
    assert found["https://h/"].outcome is Outcome.ERROR
