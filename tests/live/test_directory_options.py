"""Whoever logs on to the directory, as the operator says it: options, environment, ticket, or nobody."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from azpreflight import Credential, InputError, Outcome, Report, collect, load_site, run
from azpreflight.redact import MASK
from servers.directory import DOMAIN, PASSWORD, ROOT
from servers.samba import NAME, READER, DomainController

SITE = f"""\
name: edge-lab
profile: active-directory
cluster: {{name: AZL-CL01}}
nodes: [{{name: AZL-N01, address: 192.0.2.11}}]
directory:
  {{domain: {DOMAIN}, ou: "OU=Domain Controllers,{ROOT}", deployment_user: Administrator, servers: [{NAME}], %s}}
"""
NODES = Credential("nobody", "Not-Asked-For-5")
BLOCKED = "AZL-ADS-004"
"""A rule that reads the directory alone. This OU of every domain blocks nothing, so it fails where it can be judged."""


@pytest.fixture
def site(tmp_path: Path, directory: DomainController) -> Path:
    return written(tmp_path, f"ca_file: {directory.authority.file}")


def written(folder: Path, settings: str) -> Path:
    path = folder / "site.yaml"
    path.write_text(SITE % settings)
    return path


def judged(
    site: Path, directory: DomainController, credential: Credential | None = None, rule: str = BLOCKED
) -> Report:
    reached = {NAME: directory.address}
    return run(load_site(site), credential=NODES, directory_credential=credential, connect_to=reached, rules=[rule])


def typed(
    site: Path, directory: DomainController, *options: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What the command line says."""
    command = [sys.executable, "-m", "azpreflight", "run", str(site), "--rule", BLOCKED, "--username", "nobody"]
    command += ["--password-stdin", "--connect-to", f"{NAME}={directory.address}", *options]
    done = subprocess.run(
        command,
        input="Not-Asked-For-5\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **(environment or {})},
    )
    assert PASSWORD not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_the_command_line_takes_the_password_from_a_file(
    site: Path, directory: DomainController, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    options = ["--directory-username", READER, "--directory-password-file", str(tmp_path / "password"), "--json", "-"]
    done = typed(site, directory, *options)
    assert done.returncode == 1, done.stderr
    [result] = json.loads(done.stdout)["results"]
    assert result["outcome"] == "fail"


def test_the_environment_serves_as_well(site: Path, directory: DomainController) -> None:
    environment = {"AZPREFLIGHT_DIRECTORY_USERNAME": READER, "AZPREFLIGHT_DIRECTORY_PASSWORD": PASSWORD}
    assert typed(site, directory, environment=environment).returncode == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--directory-username", READER], "--directory-password-file"),
        (["--directory-password-file", "x"], "--directory-username"),
    ],
)
def test_half_a_credential_is_bad_input(site: Path, directory: DomainController, options: list[str], told: str) -> None:
    done = typed(site, directory, *options)
    assert done.returncode == 2
    assert told in done.stderr


def test_without_a_credential_the_rules_that_need_one_say_how_to_give_it(
    site: Path, directory: DomainController, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'none'}")
    [result] = judged(site, directory).results
    assert result.outcome is Outcome.ERROR
    assert "--directory-username" in (result.reason or "") + result.message
    # The clock of the domain controller is told to everybody.
    [clock] = judged(site, directory, rule="AZL-ADS-015").results
    assert clock.outcome is Outcome.PASS


def test_a_ticket_at_hand_is_used_without_being_asked_for(site: Path, directory: DomainController) -> None:
    with directory.ticket("reader"):
        [result] = judged(site, directory).results
    assert result.outcome is Outcome.FAIL


def test_a_ticket_serves_where_there_is_no_tls(tmp_path: Path, directory: DomainController) -> None:
    with directory.ticket("reader"):
        report = judged(written(tmp_path, "tls: none"), directory)
    assert [result.outcome for result in report.results] == [Outcome.FAIL]
    assert report.run.directory_tls_unverified is False


def test_a_password_without_tls_is_refused_before_anything_is_sent(tmp_path: Path, directory: DomainController) -> None:
    with pytest.raises(InputError, match="in the clear"):
        judged(written(tmp_path, "tls: none"), directory, Credential(READER, PASSWORD))


def test_no_password_at_all_would_log_on_as_nobody_and_is_refused(site: Path, directory: DomainController) -> None:
    with pytest.raises(InputError, match="has no password"):
        judged(site, directory, Credential(READER, ""))


def test_a_file_of_authorities_that_is_none_is_bad_input(tmp_path: Path, directory: DomainController) -> None:
    for text in (None, "no certificate\n"):
        if text is not None:
            (tmp_path / "ca.pem").write_text(text)
        with pytest.raises(InputError) as refused:
            judged(written(tmp_path, f"ca_file: {tmp_path / 'ca.pem'}"), directory, Credential(READER, PASSWORD))
        assert [problem.where for problem in refused.value.problems] == ["directory.ca_file"]


def test_a_bare_account_name_is_one_of_the_domain(site: Path, directory: DomainController) -> None:
    [result] = judged(site, directory, Credential("reader", PASSWORD)).results
    assert result.outcome is Outcome.FAIL


def test_certificates_that_are_not_verified_show_in_the_report(tmp_path: Path, directory: DomainController) -> None:
    site = written(tmp_path, "verify: false")
    assert judged(site, directory, Credential(READER, PASSWORD)).run.directory_tls_unverified is True
    environment = {"AZPREFLIGHT_DIRECTORY_USERNAME": READER, "AZPREFLIGHT_DIRECTORY_PASSWORD": PASSWORD}
    shown = typed(site, directory, environment=environment).stdout
    assert "certificates of domain controllers were not verified" in " ".join(shown.split())


def test_the_password_is_in_no_fact_and_no_recording(site: Path, directory: DomainController, tmp_path: Path) -> None:
    with directory.administrator() as administrator:
        user = administrator.add_user("careless", userPrincipalName=f"{PASSWORD}@{DOMAIN}")
        try:
            text = site.read_text().replace("deployment_user: Administrator", "deployment_user: careless")
            site.write_text(text)
            facts = collect(
                load_site(site),
                tmp_path / "recording",
                credential=NODES,
                directory_credential=Credential(READER, PASSWORD),
                connect_to={NAME: directory.address},
                rules=["AZL-ADS-00[1-9]"],
            )
        finally:
            administrator.delete(user)
    rows: Any = facts["edge-lab", "directory.deployment_user"].value
    assert [row["userPrincipalName"] for row in rows] == [f"{MASK}@{DOMAIN}"]
    written_files = [path for path in (tmp_path / "recording").rglob("*") if path.is_file()]
    assert written_files
    assert not any(PASSWORD in path.read_text() for path in written_files)


def test_a_site_without_a_named_directory_never_asks_one(directory: DomainController, tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("name: edge-lab\nprofile: local-identity\nnodes: [{name: AZL-N01, address: 192.0.2.11}]\n")
    report = run(
        load_site(path), credential=NODES, directory_credential=Credential(READER, PASSWORD), rules=["AZL-ADS-024"]
    )
    assert [result.outcome for result in report.results] == [Outcome.NOT_APPLICABLE]


def test_the_plan_lists_the_searches_and_contacts_nobody(site: Path) -> None:
    command = [sys.executable, "-m", "azpreflight", "plan", str(site), "--rule", "AZL-ADS-*"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert re.search(r"^Directory: \d+ questions from this machine, all reading$", shown, re.MULTILINE)
    assert f"directory.ou: OU=Domain Controllers,{ROOT}; scope base; (objectClass=*); objectClass, gPOptions" in shown
    assert "directory.deployment_user_token: <dn of directory.deployment_user>; scope base" in shown
    assert "directory.forest_computers: the whole forest, in the global catalog; scope subtree; " in shown
