"""The main job against endpoints that answer as Windows nodes do, through real pywinrm with encrypted NTLM."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from azpreflight import Outcome, Report, Verdict, collect, load_recording, load_site, run
from servers.lab import PASSWORD, Lab, node_scenario, running_lab
from servers.winrm import Misbehaviour

TIMED = {"observed_at", "duration_ms"}
OUTSIDE = ["AZL-DNS-00[6-9]", "AZL-DNS-01[45]", "AZL-DNS-02[23]", "AZL-FW-*", "AZL-NET-011", "AZL-NET-014"]
"""Rules that need more than the nodes: DNS servers, the way to Azure, silent addresses."""


def judged(lab: Lab, **options: object) -> Report:
    return run(load_site(lab.site), credential=lab.credential, connect_to=lab.connect_to, **options)  # type: ignore[arg-type]


def without_times(report: Report) -> object:
    """The results of a report without the moments of their making."""

    def strip(value: object) -> object:
        if isinstance(value, dict):
            return {key: strip(part) for key, part in value.items() if key not in TIMED}
        return [strip(part) for part in value] if isinstance(value, list) else value

    return strip(json.loads(msgspec.json.encode(report.results)))


def outcomes(report: Report, node: str) -> dict[str, Outcome]:
    return {result.rule: result.outcome for result in report.results if result.target.name == node}


def test_a_healthy_node_passes_every_rule_that_reads_windows(tmp_path: Path) -> None:
    with running_lab(tmp_path) as lab:
        report = judged(lab, skip=OUTSIDE)
        lab.assert_only_read()
    good = (Outcome.PASS, Outcome.NOT_APPLICABLE)
    bad = [f"{r.rule} {r.target}: {r.outcome} {r.message}" for r in report.results if r.outcome not in good]
    assert bad == []
    assert report.verdict is Verdict.READY


def test_a_recording_gives_the_results_of_the_live_run(tmp_path: Path) -> None:
    with running_lab(tmp_path) as lab:
        live = judged(lab)
        collect(load_site(lab.site), tmp_path / "recording", credential=lab.credential, connect_to=lab.connect_to)
        lab.assert_only_read()
    replayed = run(load_site(lab.site), recording=load_recording(tmp_path / "recording"))
    assert without_times(replayed) == without_times(live)


def test_the_same_recording_and_moment_give_the_same_bytes(tmp_path: Path) -> None:
    with running_lab(tmp_path) as lab:
        collect(load_site(lab.site), tmp_path / "recording", credential=lab.credential, connect_to=lab.connect_to)
    recording = load_recording(tmp_path / "recording")
    now = recording.manifest.collected_at
    first, second = (run(load_site(lab.site), recording=recording, now=now).to_json() for _ in range(2))
    assert first == second


def test_no_more_than_sixty_requests_go_to_a_node(tmp_path: Path) -> None:
    with running_lab(tmp_path) as lab:
        judged(lab)
        assert {name: server.log.requests for name, server in lab.servers.items() if server.log.requests > 60} == {}
        lab.assert_only_read()


def test_the_number_of_requests_depends_on_the_queries_not_on_the_rules(tmp_path: Path) -> None:
    counts = []
    for rules in (["AZL-ACC-001"], ["AZL-ACC-001", "AZL-ACC-002", "AZL-ACC-004"]):
        with running_lab(tmp_path, 1) as lab:
            judged(lab, rules=rules)
            counts.append(lab.servers["AZL-N01"].log.requests)
    # Both read Win32_UserAccount alone: three requests authenticate, one enumerates, one pulls.
    assert counts == [5, 5]


def test_a_node_that_echoes_the_password_cannot_bring_it_into_a_report(tmp_path: Path) -> None:
    def echo(rows: list[dict[str, object]]) -> list[dict[str, object]]:
        return [{**row, "Workgroup": f"is {PASSWORD} yours?"} for row in rows]

    scenario = node_scenario(1).patched({"cim": {"root/cimv2": {"Win32_ComputerSystem": echo}}})
    with running_lab(tmp_path, {"AZL-N01": scenario}) as lab:
        report = judged(lab, rules=["AZL-IDN-001"])
        facts = collect(load_site(lab.site), tmp_path / "r", credential=lab.credential, connect_to=lab.connect_to)
    assert "is ******** yours?" in str(facts["AZL-N01", "system.computer"].value)
    assert PASSWORD not in report.to_json()
    assert PASSWORD not in (tmp_path / "r/nodes/AZL-N01.json").read_text()


def test_every_password_appears_in_no_report_and_no_recording(tmp_path: Path) -> None:
    with running_lab(tmp_path) as lab:
        report = judged(lab)
        collect(load_site(lab.site), tmp_path / "recording", credential=lab.credential, connect_to=lab.connect_to)
    assert PASSWORD not in report.to_json()
    for path in (tmp_path / "recording").rglob("*.json"):
        assert PASSWORD not in path.read_text()


@pytest.mark.parametrize(
    ("misbehaviour", "status"),
    [
        pytest.param(Misbehaviour("hang"), "did not answer in time", id="hangs"),
        pytest.param(Misbehaviour("reset"), "broke", id="resets"),
        pytest.param(Misbehaviour("unauthorized"), "HTTP 401", id="answers-401"),
        pytest.param(Misbehaviour("close_mid_body", operation="Pull"), "cut", id="cuts-a-body"),
        pytest.param(Misbehaviour("cut_output", pattern="reg.exe"), "", id="cuts-the-output-of-a-program"),
        pytest.param(Misbehaviour("never_ends", pattern="reg.exe"), "", id="a-program-never-ends"),
        pytest.param(Misbehaviour("garbage_xml", operation="Enumerate"), "the answer is not", id="sends-garbage"),
        pytest.param(Misbehaviour("http_status", status=503), "503", id="answers-503"),
    ],
)
def test_a_bad_node_costs_its_own_results_and_nobody_elses(
    tmp_path: Path, misbehaviour: Misbehaviour, status: str
) -> None:
    with running_lab(tmp_path, misbehaviours={"AZL-N02": [misbehaviour]}) as lab:
        report = judged(lab, skip=OUTSIDE, node_timeout=12)
        lab.assert_only_read(contexts=misbehaviour.action not in ("garbage_xml", "close_mid_body"))
        rejected = [accepted for _, accepted in lab.servers["AZL-N02"].log.authentications if not accepted]
    assert len(rejected) <= 1
    assert set(outcomes(report, "AZL-N01").values()) <= {Outcome.PASS, Outcome.NOT_APPLICABLE}
    second = outcomes(report, "AZL-N02")
    assert Outcome.ERROR in second.values()
    assert second.keys() == outcomes(report, "AZL-N01").keys()
    assert status in " ".join(r.reason or "" for r in report.results if r.target.name == "AZL-N02")
    # A rejected credential is a finding of its own (ACC-010 fails); everything else could not be judged.
    assert report.exit_code == (1 if Outcome.FAIL in second.values() else 3)


def test_a_node_that_is_off_is_an_error_with_one_shared_cause(tmp_path: Path) -> None:
    with running_lab(tmp_path) as lab:
        lab.servers["AZL-N02"].stop()
        report = judged(lab, skip=OUTSIDE)
    assert set(outcomes(report, "AZL-N02").values()) <= {Outcome.ERROR, Outcome.NOT_APPLICABLE}
    assert report.exit_code == 3


def test_a_wrong_password_is_tried_once_and_only_once(tmp_path: Path) -> None:
    with running_lab(tmp_path, passwords={"AZL-N02": "another one"}) as lab:
        report = judged(lab)
        attempts = {name: server.log.authentications for name, server in lab.servers.items()}
    assert attempts["AZL-N02"] == [("azl-ops", False)]
    assert outcomes(report, "AZL-N02")["AZL-ACC-010"] is Outcome.FAIL
    assert outcomes(report, "AZL-N01")["AZL-ACC-010"] is Outcome.PASS


def test_registry_is_read_without_a_shell_where_policy_forbids_one(tmp_path: Path) -> None:
    closed = node_scenario(1).patched({"config": {"Winrs": {"AllowRemoteShellAccess": False}}})
    with running_lab(tmp_path, {"AZL-N01": closed}) as lab:
        report = judged(lab, rules=["AZL-TLS-001", "AZL-OS-014", "AZL-FW-022"])
        lab.assert_only_read()
    found = outcomes(report, "AZL-N01")
    assert found == {"AZL-TLS-001": Outcome.PASS, "AZL-OS-014": Outcome.PASS, "AZL-FW-022": Outcome.ERROR}
