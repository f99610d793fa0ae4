"""What a long life does: no connection is left, no thread, no shell; lockout is never risked."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from azpreflight import Credential, Outcome, load_site, run
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.winrm import cim
from azpreflight.facts.winrm.channel import Endpoint
from azpreflight.facts.winrm.session import Session
from servers.lab import PASSWORD, USER, node_scenario, running_lab
from servers.winrm import WinRMServer

RUNS = 1000


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files where the system tells them")
def test_a_thousand_conversations_leave_no_connection_and_no_thread(tmp_path: Path) -> None:
    with WinRMServer(node_scenario(1), {USER: PASSWORD}) as server:
        endpoint = Endpoint("127.0.0.1", server.http_port, https=False, certificate_name="x")

        def converse() -> None:
            with Session(endpoint, Credential(USER, PASSWORD), 60) as session:
                cim.config(session, Deadline(30))

        for _ in range(20):
            converse()
        files, threads = open_files(), threading.active_count()
        for _ in range(RUNS):
            converse()
        # The server has a few connections to tidy up at any moment.
        assert open_files() <= files + 20
        assert threading.active_count() <= threads + 20
        assert len(server.log.authentications) == RUNS + 20


def test_nodes_behind_a_rejected_credential_are_not_tried_unless_wanted(tmp_path: Path) -> None:
    wrong = {"AZL-N01": "another password"}
    rules = {"rules": ["AZL-ACC-010"], "jobs": 1}
    with running_lab(tmp_path, 3, passwords=wrong) as lab:
        report = run(load_site(lab.site), credential=lab.credential, connect_to=lab.connect_to, **rules)  # type: ignore[arg-type]
        tried = {name: server.log.authentications for name, server in lab.servers.items()}
    assert tried == {"AZL-N01": [(USER, False)], "AZL-N02": [], "AZL-N03": []}
    outcomes = [result.outcome for result in report.results]
    assert outcomes == [Outcome.FAIL, Outcome.ERROR, Outcome.ERROR]
    assert "not tried, since AZL-N01 rejected the credential" in (report.results[1].reason or "")
    with running_lab(tmp_path, 3, passwords=wrong) as lab:
        report = run(
            load_site(lab.site),
            credential=lab.credential,
            connect_to=lab.connect_to,
            try_all_nodes=True,
            **rules,  # type: ignore[arg-type]
        )
    assert [result.outcome for result in report.results] == [Outcome.FAIL, Outcome.PASS, Outcome.PASS]
