"""A whole site, live: nodes, DNS servers, endpoints; from the command line; before and after the deployment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from azpreflight import Credential, InputError, Outcome, Report, Verdict, load_site, run
from servers.lab import PASSWORD, SITE, Lab, node_scenario, running_lab
from servers.outside import Outside, running_outside_of_lab
from servers.tls import Authority
from servers.winrm import Misbehaviour, WinRMServer

CREDENTIAL = Credential("azl-ops", PASSWORD)


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    with running_outside_of_lab(tmp_path_factory.mktemp("outside")) as running:
        yield running


def bad_results(report: Report) -> list[str]:
    good = (Outcome.PASS, Outcome.NOT_APPLICABLE)
    return [f"{r.rule} {r.target}: {r.outcome}: {r.message}" for r in report.results if r.outcome not in good]


def judged(lab: Lab, **options: object) -> Report:
    return run(load_site(lab.site), credential=lab.credential, connect_to=lab.connect_to, **options)  # type: ignore[arg-type]


def test_a_site_with_everything_in_place_is_ready(tmp_path: Path, outside: Outside) -> None:
    with running_lab(tmp_path, curl_arguments=outside.curl_arguments(), dns=outside.dns) as lab:
        report = judged(lab)
        lab.assert_only_read()
        requests = {name: server.log.requests for name, server in lab.servers.items()}
    assert bad_results(report) == []
    assert report.verdict is Verdict.READY
    assert max(requests.values()) <= 80, requests


def test_a_deployed_site_is_ready_after_the_deployment(tmp_path: Path, outside: Outside) -> None:
    nodes = {f"AZL-N0{number}": node_scenario(number, "clustered") for number in (1, 2)}
    with running_lab(tmp_path, nodes, curl_arguments=outside.curl_arguments(), dns=outside.dns) as lab:
        report = judged(lab, phase="post-deploy", skip=["AZL-TLS-003"])
        lab.assert_only_read()
    assert bad_results(report) == []
    assert {"AZL-IDN-005", "AZL-OS-017", "AZL-NET-014"} <= {result.rule for result in report.results}


def test_a_cluster_that_joined_a_directory_is_told_from_one_with_local_identity(tmp_path: Path) -> None:
    def joined(rows: list[dict[str, object]]) -> list[dict[str, object]]:
        in_directory = {"class": "MSCluster_Property_Resource_Network_Name", "properties": {"ADAware": 1}}
        return [{**row, "PrivateProperties": in_directory} if row["Type"] == "Network Name" else row for row in rows]

    scenario = node_scenario(1, "clustered").patched({"cim": {"root/MSCluster": {"MSCluster_Resource": joined}}})
    with running_lab(tmp_path, {"AZL-N01": scenario}) as lab:
        report = judged(lab, phase="post-deploy", rules=["AZL-IDN-005"])
    assert [result.outcome for result in report.results] == [Outcome.FAIL]


def test_the_command_line_does_it_with_a_password_from_a_file(tmp_path: Path, outside: Outside) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    with running_lab(tmp_path, curl_arguments=outside.curl_arguments(), dns=outside.dns) as lab:
        command = [sys.executable, "-m", "azpreflight", "run", str(lab.site), *lab.options()]
        command += ["--password-file", str(tmp_path / "password"), "--json", "-"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert {r["declared"] for r in report["run"]["redirections"]} == set(lab.connect_to)
    assert PASSWORD not in done.stdout + done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_shell_and_no_half_report(tmp_path: Path, number: signal.Signals) -> None:
    endless = {"AZL-N01": [Misbehaviour("never_ends", pattern="reg.exe")]}
    with running_lab(tmp_path, 1, misbehaviours=endless) as lab:
        log = lab.servers["AZL-N01"].log
        command = [sys.executable, "-m", "azpreflight", "run", str(lab.site), *lab.options(), "--password-stdin"]
        command += ["--rule", "AZL-TLS-001", "--json", str(tmp_path / "report.json")]
        running = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert running.stdin is not None
        running.stdin.write(f"{PASSWORD}\n")
        running.stdin.close()
        patience = time.monotonic() + 20
        while not log.commands and time.monotonic() < patience:
            time.sleep(0.05)
        assert log.open_shells != []
        os.kill(running.pid, number)
        code = running.wait(timeout=30)
        assert running.stderr is not None
        told = running.stderr.read()
        running.stderr.close()
        assert log.open_shells == []
    assert code == 130
    assert "interrupted" in told
    assert "Traceback" not in told
    assert not (tmp_path / "report.json").exists()
    assert list(tmp_path.glob(".report*")) == []


def https_site(text: str, ca_file: Path, *, transport: str = "ntlm", verify: bool = True) -> str:
    settings = f"{{https: true, transport: {transport}, verify: {str(verify).lower()}, ca_file: {ca_file}}}"
    return f"{text}winrm: {settings}\n"


@pytest.mark.parametrize("transport", ["ntlm", "basic"])
def test_nodes_are_read_over_https_with_the_certificate_verified(tmp_path: Path, transport: str) -> None:
    authority = Authority(tmp_path / "authority")
    good = authority.issue("192.0.2.11")
    site = tmp_path / "site.yaml"
    text = SITE % {"nodes": "  - {name: AZL-N01, address: 192.0.2.11}"}
    site.write_text(https_site(text, authority.file, transport=transport))
    with WinRMServer(node_scenario(1), {"azl-ops": PASSWORD}, http=False, certificate=good) as server:
        lab = Lab(site, {"AZL-N01": server}, {"192.0.2.11": f"127.0.0.1:{server.https_port}"}, CREDENTIAL)
        report = judged(lab, rules=["AZL-IDN-001", "AZL-ACC-010", "AZL-TLS-001"])
        lab.assert_only_read()
    assert bad_results(report) == []
    assert report.run.tls_unverified is False


@pytest.mark.parametrize(
    ("names", "expired", "told"),
    [(("elsewhere.example",), False, "doesn't match"), (("192.0.2.11",), True, "expired")],
)
def test_a_wrong_certificate_ends_the_conversation_before_the_password_is_sent(
    tmp_path: Path, names: tuple[str, ...], expired: bool, told: str
) -> None:
    authority = Authority(tmp_path / "authority")
    certificate = authority.issue(*names, expired=expired)
    site = tmp_path / "site.yaml"
    site.write_text(https_site(SITE % {"nodes": "  - {name: AZL-N01, address: 192.0.2.11}"}, authority.file))
    with WinRMServer(node_scenario(1), {"azl-ops": PASSWORD}, http=False, certificate=certificate) as server:
        lab = Lab(site, {"AZL-N01": server}, {"192.0.2.11": f"127.0.0.1:{server.https_port}"}, CREDENTIAL)
        report = judged(lab, rules=["AZL-IDN-001"])
        assert server.log.authentications == []
    assert report.exit_code == 3
    assert told in (report.results[0].reason or "")


def test_basic_over_plain_http_is_refused(tmp_path: Path) -> None:
    with running_lab(tmp_path, 1, edit=lambda text: f"{text}winrm: {{transport: basic}}\n") as lab:
        with pytest.raises(InputError, match="in the clear"):
            judged(lab)
        assert lab.servers["AZL-N01"].log.requests == 0
