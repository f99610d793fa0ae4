"""A table of endpoints that the operator supplies: nodes reach for what it names, and a recording of that replays."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from azpreflight import Outcome, Report, collect, load_recording, load_site, run
from servers.lab import SITE, running_lab
from servers.outside import running_outside

TABLE = """\
date: 2026-11-21
sources: {lists: {title: Endpoint lists, date: '2026-11-21'}}
endpoints:
  - {id: AZL-a, host: mcr.microsoft.com, product: azure-local, service: aks, clouds: [AzureCloud],
     phases: [deployment], sources: [lists]}
  - {id: AZL-b, host: '*.his.arc.azure.com', probe: gbl.his.arc.azure.com, product: azure-local, service: arc-agent,
     clouds: [AzureCloud], phases: [deployment], sources: [lists]}
  - {id: AZL-c, host: blocked.azure.com, product: azure-local, service: aks, clouds: [AzureCloud],
     phases: [deployment], sources: [lists]}
  - {id: AZL-d, host: crl3.digicert.com, port: 80, protocol: http, product: azure-local, service: crl,
     clouds: [AzureCloud], phases: [deployment], sources: [lists]}
  - {id: AZL-e, host: '*.waconazure.com', product: azure-local, service: windows-admin-center, clouds: [AzureCloud],
     phases: [deployment], sources: [lists]}
  - {id: AZL-f, host: agent.azure.com, product: hybrid-service, service: azure-backup, clouds: [AzureCloud],
     phases: [deployment], services: [azure-backup], sources: [lists]}
"""
NOW = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.UTC)
RULES = ("AZL-FW-008", "AZL-FW-020")


def found(report: Report, rule: str) -> dict[str, Outcome]:
    (result,) = [result for result in report.results if result.rule == rule]
    return {finding.subject: finding.outcome for finding in result.findings}


@pytest.mark.parametrize("blocked", [(), ("mcr.microsoft.com", "gbl.his.arc.azure.com")])
def test_what_it_names_is_reached_for_and_recorded(tmp_path: Path, blocked: tuple[str, ...]) -> None:
    site, table = tmp_path / "site.yaml", tmp_path / "newer.yaml"
    site.write_text(SITE % {"nodes": "  - {name: AZL-N01, address: 192.0.2.11}"})
    table.write_text(TABLE)
    with running_outside(tmp_path, site) as outside:
        arguments = outside.curl_arguments(blocked=["blocked.azure.com", *blocked])
        with running_lab(tmp_path, 1, curl_arguments=arguments, dns=outside.dns) as lab:
            given = {"credential": lab.credential, "connect_to": lab.connect_to, "rules": RULES, "endpoints": table}
            live = run(load_site(lab.site), **given)  # type: ignore[arg-type]
            collect(load_site(lab.site), tmp_path / "recorded", **given)  # type: ignore[arg-type]
            lab.assert_only_read()
            declared = load_site(lab.site)
    failure = Outcome.ERROR if blocked else Outcome.FAIL
    assert found(live, "AZL-FW-020") == {
        "mcr.microsoft.com:443": failure if blocked else Outcome.PASS,
        "*.his.arc.azure.com:443": failure if blocked else Outcome.PASS,
        "blocked.azure.com:443": failure,
        "crl3.digicert.com:80": Outcome.PASS,
        "*.waconazure.com:443": Outcome.NOT_APPLICABLE,
        "azure.services": Outcome.NOT_APPLICABLE,
    }
    assert found(live, "AZL-FW-008") == {
        "TCP port 80": Outcome.PASS,
        "TCP port 443": Outcome.FAIL if blocked else Outcome.PASS,
    }
    recording = load_recording(tmp_path / "recorded")
    again = run(declared, recording=recording, rules=RULES, endpoints=table, now=NOW)
    assert [(r.rule, r.outcome, r.findings) for r in again.results] == [
        (r.rule, r.outcome, r.findings) for r in live.results
    ]
    assert again.problems == ()
    (row,) = [o for o in recording.observations().values() if o.fact == "outbound.endpoints"]
    assert {reached["host"] for reached in row.value} == {
        *("mcr.microsoft.com", "gbl.his.arc.azure.com", "blocked.azure.com", "crl3.digicert.com"),
    }
