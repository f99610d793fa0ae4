"""`--endpoints FILE`: a table of the operator's own in place of the pack's."""

from __future__ import annotations

import datetime
import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

import azpreflight
from azpreflight import InputError, load_recording, load_site, run
from azpreflight.model import Report
from azpreflight.packs.load import find_packs
from azpreflight.reports.json import report_schema
from unit.cli.commands import Typed

SAMPLE = Path(azpreflight.__file__).parent / "sample"
SITE = str(SAMPLE / "site.yaml")
RECORDING = str(SAMPLE / "recording")
OWN = find_packs()["azure"] / "endpoints.json"
NOW = "2026-11-21T12:00:00Z"
TABLE = """\
date: 2026-11-21
sources: {lists: {title: Endpoint lists, date: '2026-11-21'}}
regions: {azure-local: {AzureCloud: [eastus]}}
endpoints:
  - id: AZL-mcr
    product: azure-local
    host: mcr.microsoft.com
    service: aks
    clouds: [AzureCloud]
    phases: [deployment]
    sources: [lists]
  - id: AZL-new
    product: azure-local
    host: new.azure.com
    service: aks
    clouds: [AzureCloud]
    phases: [deployment]
    sources: [lists]
"""


@pytest.fixture(autouse=True)
def newer(typed: Typed) -> None:
    """A table in the folder in which commands run."""
    Path("newer.yaml").write_text(TABLE)


def judged(typed: Typed, *words: str) -> dict[str, Any]:
    done = typed("run", SITE, "--recording", RECORDING, "--rule", "AZL-FW-020", "--now", NOW, "--json", "-", *words)
    report: dict[str, Any] = json.loads(done.out)
    return report


def test_its_endpoints_are_judged_and_no_others(typed: Typed) -> None:
    report = judged(typed, "--endpoints", "newer.yaml")
    (first, *_) = report["results"]
    assert {finding["subject"]: finding["outcome"] for finding in first["findings"]} == {
        "mcr.microsoft.com:443": "pass",
        "new.azure.com:443": "error",
    }


def test_the_report_names_the_table_and_keeps_its_schema(typed: Typed) -> None:
    own, newer = judged(typed), judged(typed, "--endpoints", "newer.yaml")
    for report in (own, newer):
        jsonschema.validate(report, report_schema())
    assert [(t["name"], t["date"], t["supplied"]) for t in own["run"]["tables"]] == [("endpoints", "2026-11-20", False)]
    assert [(t["date"], t["supplied"]) for t in newer["run"]["tables"]] == [("2026-11-21", True)]
    assert own["run"]["tables"][0]["sha256"] != newer["run"]["tables"][0]["sha256"]
    assert own["run"]["id"] != newer["run"]["id"]


def test_a_run_that_rests_on_no_table_names_none(typed: Typed) -> None:
    done = typed("run", SITE, "--recording", RECORDING, "--rule", "AZL-NET-001", "--now", NOW, "--json", "-")
    assert json.loads(done.out)["run"]["tables"] == []


def test_the_terminal_shows_its_date(typed: Typed) -> None:
    words = ("run", SITE, "--recording", RECORDING, "--now", NOW)
    assert "table of endpoints of 2026-11-20, of the pack" in typed(*words).out
    assert "table of endpoints of 2026-11-21, supplied" in typed(*words, "--endpoints", "newer.yaml").out


def test_the_same_table_gives_the_same_bytes_wherever_it_lies(typed: Typed) -> None:
    Path("elsewhere").mkdir()
    Path("elsewhere/table.yaml").write_text(TABLE)
    words = ("run", SITE, "--recording", RECORDING, "--now", NOW, "--json", "-", "--endpoints")
    assert typed(*words, "newer.yaml").out == typed(*words, "elsewhere/table.yaml").out


def test_the_pack_s_own_table_may_be_supplied(typed: Typed) -> None:
    shutil.copy(OWN, "own.json")
    own, again = judged(typed), judged(typed, "--endpoints", "own.json")
    assert own["results"] == again["results"]
    assert again["run"]["tables"] == [{**own["run"]["tables"][0], "supplied": True}]


def test_the_plan_asks_for_what_it_names(typed: Typed) -> None:
    done = typed("plan", SITE, "--endpoints", "newer.yaml")
    assert "https://new.azure.com/" in done.out
    assert "https://login.microsoftonline.com/" not in done.out
    assert "Table of endpoints of 2026-11-21, supplied" in done.out
    document = json.loads(typed("plan", SITE, "--endpoints", "newer.yaml", "--json", "-").out)
    assert document["tables"][0]["supplied"] is True


@pytest.mark.parametrize("command", ["run", "plan", "collect"])
@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("host: mcr", "hots: mcr", "newer.yaml:7:5: unknown key 'hots'; did you mean 'host'?"),
        (
            "[deployment]",
            "[deploymnt]",
            "newer.yaml:10:14: \"deploymnt\" is not possible here; did you mean 'deployment'?",
        ),
        ("AZL-new", "AZL-mcr", "newer.yaml:12:5: AZL-mcr is there twice"),
        ("date: 2026-11-21\n", "", "newer.yaml:1:1: the key 'date' is missing"),
    ],
)
def test_a_mistake_in_it_is_bad_input(typed: Typed, command: str, old: str, new: str, told: str) -> None:
    Path("newer.yaml").write_text(TABLE.replace(old, new, 1))
    more = ("-o", "recorded") if command == "collect" else ()
    done = typed(command, SITE, "--endpoints", "newer.yaml", *more)
    assert done.code == 2
    assert told in done.err


@pytest.mark.parametrize(
    ("words", "told"),
    [(["missing.yaml"], "missing.yaml"), (["newer.yaml", "--pack", "windows"], "no pack has a table")],
)
def test_a_table_that_is_not_there_or_replaces_nothing_is_bad_input(typed: Typed, words: list[str], told: str) -> None:
    done = typed("run", SITE, "--site-only", "--endpoints", *words)
    assert done.code == 2
    assert told in done.err


OTHERS = {
    "another product": TABLE.replace("product: azure-local", "product: arc-servers").replace(
        "regions: {azure-local: {AzureCloud: [eastus]}}\n", ""
    ),
    "another cloud": TABLE.replace("AzureCloud", "AzureUSGovernment").replace("eastus", "usgovvirginia"),
    "regions of another cloud": TABLE.replace("{AzureCloud: [eastus]}", "{AzureUSGovernment: [usgovvirginia]}"),
    "another phase": TABLE.replace("phases: [deployment]", "phases: [run]"),
    "services alone": TABLE.replace("service: aks", "service: aks\n    services: [defender]"),
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("command", [["run", "--recording", RECORDING], ["plan"], ["collect", "-o", "recorded"]])
def test_a_table_of_something_else_is_no_clean_run(typed: Typed, command: list[str], other: str) -> None:
    Path("other.yaml").write_text(OTHERS[other])
    done = typed(command[0], SITE, *command[1:], "--endpoints", "other.yaml")
    assert done.code == 2, done.out
    assert "--endpoints: the table names no endpoint that this site needs" in done.err


def problems(report: Report) -> list[str]:
    return [problem.code for problem in report.problems]


def test_an_old_table_is_told_at_the_moment_that_counts() -> None:
    site, recording = load_site(SITE), load_recording(RECORDING)
    dated = datetime.datetime(2026, 11, 20, tzinfo=datetime.UTC)
    told = {
        days: problems(run(site, recording=recording, now=dated + datetime.timedelta(days=days)))
        for days in (0, 180, 181)
    }
    assert ["table-old" in codes for codes in told.values()] == [False, False, True]
    later = dated + datetime.timedelta(days=400)
    assert "table-old" not in problems(run(site, recording=recording, rules=["AZL-NET-001"], now=later))


class TestRecordings:
    @pytest.fixture
    def recording(self, tmp_path: Path) -> Path:
        """A recording that was made with the pack's own table."""
        folder = tmp_path / "recorded"
        shutil.copytree(RECORDING, folder)
        report = run(load_site(SITE), recording=load_recording(folder), rules=["AZL-FW-020"])
        manifest = json.loads((folder / "recording.json").read_text())
        manifest["tables"] = msgspec.to_builtins(report.run.tables)
        (folder / "recording.json").write_text(json.dumps(manifest))
        return folder

    def test_the_same_table_is_nothing_to_speak_of(self, recording: Path) -> None:
        assert "table-changed" not in problems(run(load_site(SITE), recording=load_recording(recording)))

    def test_another_table_is_told_and_what_is_new_in_it_is_not_judged(self, recording: Path, tmp_path: Path) -> None:
        newer = tmp_path / "newer.yaml"
        newer.write_text(TABLE)
        report = run(load_site(SITE), recording=load_recording(recording), rules=["AZL-FW-020"], endpoints=newer)
        (told,) = [problem for problem in report.problems if problem.code == "table-changed"]
        assert "2026-11-20" in told.message
        assert "2026-11-21" in told.message
        assert report.results[0].findings[-1].message == "new.azure.com:443 has no result"

    def test_a_recording_that_does_not_say_its_table_is_taken_as_it_is(self, recording: Path, tmp_path: Path) -> None:
        manifest = json.loads((recording / "recording.json").read_text())
        del manifest["tables"]
        (recording / "recording.json").write_text(json.dumps(manifest))
        newer = tmp_path / "newer.yaml"
        newer.write_text(TABLE)
        report = run(load_site(SITE), recording=load_recording(recording), endpoints=newer)
        assert "table-changed" not in problems(report)


def test_the_api_tells_the_same_mistakes(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(TABLE.replace("service:", "servce:"))
    with pytest.raises(InputError) as caught:
        run(load_site(SITE), site_only=True, endpoints=wrong)
    assert len(caught.value.problems) == 4
