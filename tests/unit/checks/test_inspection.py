"""TLS inspection: which chains prove it, and what follows where it is forbidden, tolerated, or nothing is said."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from azpreflight.checks import inspection
from azpreflight.checks.view import NotApplicable, NotObserved
from azpreflight.facts.endpoints import EndpointTable
from azpreflight.model import Finding, Outcome
from azpreflight.packs.load import load_packs
from unit.checks.judging import findings_of, site_of, table_of, view_of

RULE = load_packs().rules["AZL-FW-021"]
SITE = site_of(azure={"region": "eastus"})
PUBLIC = {"issuer_name": "DigiCert TLS CA", "organization": "DigiCert Inc", "self_issued": False}
DEVICE = {"issuer_name": "Gateway CA", "organization": "Contoso", "self_issued": False}
PARAMETERS = {
    "fact": "a.b",
    "table": "endpoints",
    "authorities": [{"organization": "DigiCert", "names": ["DigiCert", "GeoTrust"]}],
}


def table(*allowed: bool | None, **rest: Any) -> EndpointTable:
    """A table of hosts h0, h1, ..., each with what is said of inspection."""
    whole = table_of(*(f"h{number}.example" for number in range(len(allowed))), **rest)
    endpoints = (
        msgspec.structs.replace(endpoint, inspection_allowed=said)
        for endpoint, said in zip(whole.endpoints, allowed, strict=True)
    )
    return msgspec.structs.replace(whole, endpoints=tuple(endpoints))


def row(number: int, *chain: Any, exit_code: int = 0, error: str = "", **more: Any) -> dict[str, Any]:
    status = 0 if exit_code else 404
    found = {"host": f"h{number}.example", "port": 443, "http_code": status, "exit_code": exit_code, "error": error}
    return {**found, "chain": list(chain) or None, **more}


def found(endpoints: EndpointTable, *rows: dict[str, Any]) -> dict[str, Finding]:
    view = view_of({"a.b": list(rows)}, site=SITE, tables={"endpoints": endpoints})
    return findings_of(inspection.not_inspected, view, **PARAMETERS)


@pytest.mark.parametrize(
    ("allowed", "outcome", "words"),
    [
        (False, Outcome.FAIL, "is inspected: its certificate was made by Gateway CA (Contoso)"),
        (True, Outcome.PASS, "that is tolerated there"),
        (None, Outcome.ERROR, "no source says whether it may be"),
    ],
)
def test_what_follows_is_said_by_the_table(allowed: bool | None, outcome: Outcome, words: str) -> None:
    finding = found(table(allowed, allowed), row(0, DEVICE), row(1, DEVICE))["h0.example:443"]
    assert finding.outcome is outcome
    assert words in finding.message


@pytest.mark.parametrize(
    ("issuer", "organization", "outcome"),
    [
        ("DigiCert Global G2 TLS RSA SHA256 2020 CA1", "DigiCert Inc", Outcome.PASS),
        ("GeoTrust Global TLS CA", "DigiCert, Inc.", Outcome.PASS),
        ("geotrust global tls ca", "digicert, inc.", Outcome.PASS),
        ("DigiCert CA", None, Outcome.FAIL),
        ("DigiCert CA", "Contoso", Outcome.FAIL),
        ("Web Gateway", "DigiCert Inc", Outcome.FAIL),
        ("My DigiCert", "DigiCert Inc", Outcome.FAIL),
    ],
)
def test_an_authority_is_known_by_name_and_organization(issuer: str, organization: Any, outcome: Outcome) -> None:
    shown = {"issuer_name": issuer, "organization": organization, "self_issued": False}
    assert found(table(False, False), row(0, shown), row(1, shown))["h0.example:443"].outcome is outcome


@pytest.mark.parametrize(
    ("issuer", "organization"),
    [
        ("Microsoft Azure RSA TLS Issuing CA 07", "Microsoft Corporation"),
        ("Microsoft TLS G2 RSA CA OCSP 04", "Microsoft Corporation"),
        ("Microsoft Update Secure Server CA 2.1", "Microsoft Corporation"),
        ("DigiCert Cloud Services CA-1", "DigiCert Inc"),
        ("DigiCert G5 TLS RSA4096 SHA384 2021 CA1", "DigiCert, Inc."),
        ("Thawte TLS RSA CA G1", "DigiCert Inc"),
        ("RapidSSL TLS RSA CA G1", "DigiCert Inc"),
        ("Sectigo Public Server Authentication CA DV E36", "Sectigo Limited"),
        ("GlobalSign Atlas R3 DV TLS CA 2026 Q1", "GlobalSign nv-sa"),
        ("Amazon RSA 2048 M04", "Amazon"),
        ("Entrust Certification Authority - L1K", "Entrust, Inc."),
        ("Entrust OV TLS Issuing RSA CA 1", "Entrust Corporation"),
        ("WR2", "Google Trust Services"),
        ("GTS CA 1C3", "Google Trust Services LLC"),
        ("R12", "Let's Encrypt"),
        ("E7", "Let's Encrypt"),
        ("YE1", "Let's Encrypt"),
    ],
)
def test_the_rule_takes_no_public_authority_for_a_device(issuer: str, organization: str) -> None:
    shown = {"issuer_name": issuer, "organization": organization, "self_issued": False}
    rows = [row(0, shown), row(1, shown)]
    view = view_of({"a.b": rows}, site=SITE, tables={"endpoints": table(False, False)})
    parameters = {**PARAMETERS, "authorities": RULE.with_["authorities"]}
    findings = findings_of(inspection.not_inspected, view, **parameters)
    assert {finding.outcome for finding in findings.values()} == {Outcome.PASS}


def test_the_network_shows_itself_by_one_authority_for_several_hosts() -> None:
    other = {**DEVICE, "issuer_name": "Another CA"}
    apart = found(table(False, False), row(0, DEVICE), row(1, other))
    assert {finding.outcome for finding in apart.values()} == {Outcome.ERROR}
    together = found(table(False, False, False), row(0, DEVICE), row(1, DEVICE), row(2, PUBLIC))
    assert [finding.outcome for finding in together.values()] == [Outcome.FAIL, Outcome.FAIL, Outcome.PASS]
    assert "as were those of 1 other hosts" in together["h0.example:443"].message


def test_one_host_with_a_certificate_that_has_expired_is_not_inspected() -> None:
    expired = row(0, PUBLIC, exit_code=60, error="certificate has expired")
    assert found(table(False), expired)["h0.example:443"].outcome is Outcome.PASS
    untrusted = row(0, DEVICE, exit_code=60, error="unable to get local issuer certificate")
    assert found(table(False), untrusted)["h0.example:443"].outcome is Outcome.FAIL


def test_its_own_issuer_is_never_a_public_authority() -> None:
    assert found(table(False), row(0, {**PUBLIC, "self_issued": True}))["h0.example:443"].outcome is Outcome.FAIL


def test_what_was_not_reached_showed_nothing() -> None:
    findings = found(table(False, False), row(0, exit_code=28), row(1, PUBLIC))
    assert [finding.outcome for finding in findings.values()] == [Outcome.NOT_APPLICABLE, Outcome.PASS]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row(0, PUBLIC), row(0, DEVICE)],
        [row(0, PUBLIC), row(0)],
        [row(0, 7)],
        [row(0, {**PUBLIC, "self_issued": "no"})],
        [row(0, {**PUBLIC, "issuer_name": None})],
        [{**row(0), "chain": "text"}],
    ],
)
def test_what_is_not_known_is_not_judged(rows: list[dict[str, Any]]) -> None:
    assert found(table(False, False), row(1, PUBLIC), *rows)["h0.example:443"].outcome is Outcome.ERROR


def test_a_curl_that_shows_no_certificates_leaves_all_open() -> None:
    with pytest.raises(NotObserved, match="shows no certificates"):
        found(table(False, False), row(0), row(1))


def test_plain_http_has_no_certificates() -> None:
    with pytest.raises(NotApplicable):
        found(table(False, protocol="http"))


def test_an_endpoint_of_which_the_table_is_not_sure_counts_as_evidence_only() -> None:
    whole = table(False, False)
    unsure = msgspec.structs.replace(whole.endpoints[1], uncertain=True)
    endpoints = msgspec.structs.replace(whole, endpoints=(whole.endpoints[0], unsure))
    findings = found(endpoints, row(0, DEVICE), row(1, DEVICE))
    assert [finding.outcome for finding in findings.values()] == [Outcome.FAIL, Outcome.NOT_APPLICABLE]
