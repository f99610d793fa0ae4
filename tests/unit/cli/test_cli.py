"""The command line as a user types it: outputs, exit codes, mistakes."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import jsonschema
import pytest

import azpreflight
from unit.cli.commands import Typed

PACKAGE = Path(azpreflight.__file__).parent
SAMPLE = PACKAGE / "sample"
SCHEMA = json.loads((PACKAGE / "schemas/report-1.json").read_text())
NOW = "2026-11-21T12:00:00Z"


def test_the_demo_is_not_ready_and_says_what_to_fix(typed: Typed) -> None:
    done = typed("demo", "--json", "demo.json")
    assert done.code == 1
    assert "NOT READY" in done.out
    report = json.loads(Path("demo.json").read_text())
    jsonschema.validate(report, SCHEMA)
    failing = {(r["rule"], r["target"]["name"]) for r in report["results"] if r["outcome"] == "fail"}
    assert failing >= {
        ("AZL-NET-001", "AZL-N02"),
        ("AZL-DNS-008", "edge-lab"),
        ("AZL-ACC-001", "AZL-N02"),
        ("AZL-FW-020", "AZL-N01"),
        ("AZL-RMT-003", "AZL-N01"),
    }


def test_the_same_recording_and_moment_give_the_same_bytes(typed: Typed) -> None:
    arguments = (
        "run",
        str(SAMPLE / "site.yaml"),
        "--recording",
        str(SAMPLE / "recording"),
        "--now",
        NOW,
        "--json",
        "-",
    )
    assert typed(*arguments).out == typed(*arguments).out


def test_json_on_standard_output_is_nothing_but_json(typed: Typed) -> None:
    done = typed("demo", "--json", "-")
    assert json.loads(done.out)["verdict"] == "not_ready"
    assert "NOT READY" in done.err


def test_fail_on_decides_what_counts(typed: Typed) -> None:
    site, recording = str(SAMPLE / "site.yaml"), str(SAMPLE / "recording")
    rules = ("--rule", "AZL-NET-00[2-5]", "--rule", "AZL-ACC-007")
    assert typed("run", site, "--recording", recording, "--now", NOW, *rules).code == 0
    assert typed("run", site, "--recording", recording, "--now", NOW, "--rule", "AZL-ACC-010").code == 3


def test_where_nothing_was_judged_the_verdict_is_not_ready(typed: Typed) -> None:
    typed("init")
    done = typed("run", "site.yaml", "--site-only", "--rule", "AZL-ARC-020")
    assert done.code == 3
    assert "INCONCLUSIVE" in done.out


def test_a_report_goes_through_links_and_pipes_and_spares_what_may_not_be_written(typed: Typed) -> None:
    Path("link.json").symlink_to("real.json")
    typed("demo", "--json", "link.json")
    assert Path("link.json").is_symlink()
    assert json.loads(Path("real.json").read_text())["verdict"] == "not_ready"
    os.mkfifo("pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(Path("pipe").read_bytes()))
    reader.start()
    typed("demo", "--json", "pipe")
    reader.join(timeout=10)
    assert json.loads(read[0])["verdict"] == "not_ready"
    assert stat.S_ISFIFO(Path("pipe").stat().st_mode)


def test_a_broken_output_is_no_verdict() -> None:
    for words in (["demo"], ["rules", "list"], ["--version"]):
        with Path("/dev/full").open("w") as full:
            command = [sys.executable, "-m", "azpreflight", *words]
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 2, words
        assert "could not be written" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_closed_or_poor_output_is_no_crash(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("name: é日本\nprofile: local-identity\nnodes: [{name: N1, address: 192.0.2.11}]\n")
    command = f"{sys.executable} -m azpreflight run {site} --site-only"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    poor = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in poor.stderr
    closed = subprocess.run(f"{command} >&-", shell=True, capture_output=True, text=True, check=False)
    assert closed.returncode == poor.returncode
    assert "Traceback" not in closed.stderr
    assert subprocess.run(f"{command}x 2>&-", shell=True, check=False).returncode == 2


def test_a_python_that_takes_warnings_as_errors_is_no_crash() -> None:
    site = str(SAMPLE / "site.yaml")
    for words in (["plan", site], ["-c", "import azpreflight.facts.ldap.source, azpreflight.facts.winrm.source"]):
        module = [] if words[0] == "-c" else ["-m", "azpreflight"]
        command = [sys.executable, "-W", "error", *module, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_new_site_is_written_once_and_is_fit_to_be_judged(typed: Typed) -> None:
    assert typed("init").code == 0
    assert typed("run", "site.yaml", "--site-only").code == 0
    again = typed("init")
    assert again.code == 2
    assert "exists already" in again.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("rnu",), "Did you mean 'run'"),
        (("run", "site.yaml", "--sit-only"), "--site-only"),
        (("run", "site.yaml", "--phase", "predeploy"), "Did you mean 'pre-deploy'"),
        (("run", "site.yaml", "--rule", "AZL-NTE-001"), "AZL-NET-001"),
        (("run", "site.yaml", "--skip", "AZL-NTE-*"), "--skip"),
        (("run", "site.yaml", "--pack", "azure-locl"), "did you mean 'azure-local'"),
        (("run", "site.yaml", "--fail-on", "blocer"), "Did you mean 'blocker'"),
        (("run", "site.yaml", "--now", "yesterday"), "ISO 8601"),
        (("run", "site.yaml", "--connect-to", "192.0.2.11"), "DECLARED=HOST"),
        (("run", "site.yaml", "--connect-to", "192.0.2.99=127.0.0.1"), "192.0.2.99 is no declared"),
        (("run", "site.yaml", "--json", "nowhere/report.json"), "nowhere does not exist"),
        (("run", "site.yaml", "--recording", "."), "is no recording"),
        (("run", "site.yaml", "--recording", "x", "--site-only"), "exclude each other"),
        (("run", "site.yml"), "site.yml"),
        (("run", "site.yaml"), "no password"),
        (("run", "site.yaml", "--password-file", "none"), "none"),
        (("rules", "show", "AZL-NET-999"), "did you mean"),
        (("rules", "check", "."), "pack.yaml"),
        (("collect", "site.yaml", "-o", "new"), "no password"),
        (("collect", "site.yaml", "-o", "."), "is not empty"),
        (("run", "site.yaml", "--now", "0001-01-01T00:00:00+05:00"), "outside the calendar"),
    ],
)
def test_a_mistake_is_named_with_the_way_out(typed: Typed, words: tuple[str, ...], told: str) -> None:
    typed("init")
    done = typed(*words)
    assert done.code == 2, done
    assert told in done.err
    assert "Traceback" not in done.err


def test_every_mistake_of_a_site_is_told_at_once_with_line_and_column(typed: Typed) -> None:
    Path("site.yaml").write_text("name: x\nprofil: local-identity\nnodes:\n  - {name: A, adress: 192.0.2.1}\n")
    done = typed("run", "site.yaml", "--site-only")
    assert done.code == 2
    assert "site.yaml:2:1" in done.err
    assert "profile" in done.err
    assert "site.yaml:4:" in done.err
    assert "address" in done.err


def test_the_plan_names_every_request_and_contacts_nobody(typed: Typed) -> None:
    typed("init")
    done = typed("plan", "site.yaml")
    assert done.code == 0
    assert "select Name,SID" in done.out
    assert "reg.exe query" in done.out
    assert "https://management.azure.com/" in done.out
    assert "192.0.2.53: management.azure.com A\n" in done.out
    assert "192.0.2.53: management.azure.com A over TCP\n" in done.out
    assert "curl.exe --version" in done.out
    assert "the one that system.environment and proxy.connections tell" in done.out
    assert "Nothing but the GET is sent" in done.out
    document = json.loads(typed("plan", "site.yaml", "--json", "-").out)
    for questions in document["questions"].values():
        assert len(questions) == len(set(questions))
    assert {request["operation"] for requests in document["requests"].values() for request in requests} <= {
        *("Enumerate", "Get", "Command", "none"),
    }


def test_the_plan_names_what_this_machine_asks_and_urls_only_where_they_are_wanted(typed: Typed) -> None:
    typed("init")
    document = json.loads(typed("plan", "site.yaml", "--json", "-").out)
    assert set(document["questions"]) == {"DNS servers", "Ports"}
    assert "192.0.2.11: TCP 5985" in document["questions"]["Ports"]
    done = typed("plan", "site.yaml", "--from", "operator", "--rule", "AZL-FW-0*")
    assert re.search(r"^URLs: \d+ questions from this machine, all reading$", done.out, re.MULTILINE)
    assert "  GET https://aka.ms/" in done.out
    done = typed("plan", "site.yaml", "--phase", "post-deploy")
    assert "  192.0.2.11: TLS 1.0 on 3389 after the negotiation of Remote Desktop" in done.out
    assert "GET " not in done.out
    assert typed("plan", "site.yaml", "--from", "node").code == 2


def test_rules_can_be_listed_shown_and_checked(typed: Typed) -> None:
    listed = typed("rules", "list")
    assert listed.code == 0
    assert "AZL-NET-001" in listed.out
    shown = typed("rules", "show", "azl-net-001")
    assert "Why:" in shown.out
    assert "Remedy:" in shown.out
    assert typed("rules", "check").code == 0


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A copy of the pack with the queries of Windows, under a name of its own, with one small query."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "pack.yaml").write_text(
        "name: own\nversion: 1.0.0\ntitle: A pack of my own\ndate: 2026-11-21\nrequires: [windows]\n"
    )
    (folder / "area.yaml").write_text(
        "queries:\n"
        "  own.bios:\n"
        "    title: Firmware\n"
        "    sureness: documented\n"
        "    basis: Win32_BIOS\n"
        "    read: {from: cim, namespace: root/cimv2, class: Win32_BIOS, properties: [Manufacturer]}\n"
    )
    return folder


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("Win32_BIOS,", "Win32_BOIS,", "did you mean 'Win32_BIOS'"),
        ("[Manufacturer]", "[Manufacturr]", "did you mean 'Manufacturer'"),
        ("root/cimv2", "root/cmiv2", "did you mean 'root/cimv2'"),
        ("properties:", "propertes:", "properties"),
        ("from: cim,", "from: cmi,", "cim"),
        ("documented", "documentd", "documented"),
    ],
)
def test_a_misspelt_name_in_a_pack_is_an_error(typed: Typed, pack: Path, old: str, new: str, told: str) -> None:
    assert typed("rules", "check", str(pack)).code == 0
    area = pack / "area.yaml"
    area.write_text(area.read_text().replace(old, new))
    done = typed("rules", "check", str(pack))
    assert done.code == 2
    assert told in done.err
    assert "area.yaml:" in done.err


def test_a_program_outside_the_list_cannot_be_asked_for(typed: Typed, pack: Path) -> None:
    area = pack / "area.yaml"
    text = area.read_text()
    start = text.index("    read:")
    read = "    read: {from: program, program: powershell.exe, arguments: -c ls, output: text}\n"
    area.write_text(text[:start] + read)
    done = typed("rules", "check", str(pack))
    assert done.code == 2
    assert "not on the list of programs" in done.err


def test_a_recording_of_other_machines_is_refused(typed: Typed) -> None:
    shutil.copytree(SAMPLE / "recording", "recording")
    typed("init")
    Path("site.yaml").write_text(Path("site.yaml").read_text().replace("AZL-N0", "OTHER-N0"))
    done = typed("run", "site.yaml", "--recording", "recording")
    assert done.code == 2
    assert "other machines" in done.err


def test_a_fact_that_is_missing_from_a_recording_is_an_error_and_no_pass(typed: Typed) -> None:
    shutil.copytree(SAMPLE / "recording", "recording")
    path = Path("recording/nodes/AZL-N01.json")
    data = json.loads(path.read_text())
    data["observations"] = [o for o in data["observations"] if o["fact"] != "system.computer"]
    path.write_text(json.dumps(data))
    rules = ("--rule", "AZL-IDN-001")
    done = typed("run", str(SAMPLE / "site.yaml"), "--recording", "recording", *rules, "--json", "-")
    assert done.code == 3
    outcomes = {r["target"]["name"]: r["outcome"] for r in json.loads(done.out)["results"]}
    assert outcomes == {"AZL-N01": "error", "AZL-N02": "pass"}


def test_text_from_a_node_cannot_command_the_terminal(typed: Typed) -> None:
    shutil.copytree(SAMPLE / "recording", "recording")
    path = Path("recording/nodes/AZL-N02.json")
    path.write_text(path.read_text().replace('"NIC1"', '"NIC1\\u001b[2J\\u202e"'))
    done = typed("run", str(SAMPLE / "site.yaml"), "--recording", "recording")
    assert "\x1b" not in done.out
    assert "\u202e" not in done.out


def test_text_from_a_node_cannot_pass_for_a_line_of_the_report_nor_fill_it(typed: Typed) -> None:
    forged = "\nREADY  everything is fine\r\n\x85READY\u2028READY"
    shutil.copytree(SAMPLE / "recording", "recording")
    path = Path("recording/nodes/AZL-N01.json")
    recorded = json.loads(path.read_text())
    for observation in recorded["observations"]:
        if observation["fact"] == "accounts.users":
            observation |= {"status": "failed", "value": None, "reason": f"strange {forged} {'x' * 1_000_000}"}
        if observation["fact"] == "winrm.config":
            observation["note"] = f"{forged} {'x' * 1_000_000}"
            observation["value"]["Client"]["TrustedHosts"] = f"*,{forged}"
    path.write_text(json.dumps(recorded))
    done = typed("run", str(SAMPLE / "site.yaml"), "--recording", "recording", "--json", "report.json")
    assert "strange" in done.out
    assert [line for line in done.out.splitlines() if line.startswith("READY")] == []
    assert len(done.out) < 30_000
    assert Path("report.json").stat().st_size < 2_000_000
    for result in json.loads(Path("report.json").read_text())["results"]:
        told = [result["message"], result["reason"] or "", *(finding["message"] for finding in result["findings"])]
        assert all(len(text.splitlines()) < 2 for text in told)
