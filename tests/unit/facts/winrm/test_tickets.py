"""What Kerberos says, in words that lead to the cause. The exchange itself is tried against a KDC in tests/live."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from azpreflight.facts.errors import Rejected, WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.winrm.tickets import Ticket, failure, principal_at_hand

FAILURES = [
    ("kinit: Clock skew too great while getting initial credentials", Status.REFUSED, "clocks"),
    ("kinit: Cannot contact any KDC for realm 'A'", Status.UNREACHABLE, "no domain controller answers"),
    (
        "failed: (('Unspecified failure', 851968), ('Server HTTP/a@A not found in Kerberos database', -1765328377))",
        Status.REFUSED,
        "(Server HTTP/a@A not found in Kerberos database)",
    ),
    ("kinit: Password has expired while getting initial credentials", Status.REFUSED, "expired"),
    ("authGSSClientInit() failed: (('No Kerberos credentials available', 1), )", Status.REFUSED, "run kinit"),
    ("something\x1b[31m else", Status.FAILED, "something [31m else"),
]


@pytest.mark.parametrize(("words", "status", "told"), FAILURES)
def test_a_failed_exchange_says_what_to_do(words: str, status: Status, told: str) -> None:
    found = failure(words, "no ticket for ops@A")
    assert found.status is status
    assert found.fatal
    assert found.reason.startswith("no ticket for ops@A")
    assert told in found.reason
    assert found.reason.isprintable()


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


KINIT = [
    ("Preauthentication failed", True),
    ("Client's credentials have been revoked", True),
    ("Client 'x@A' not found in Kerberos database", True),
    ("Clock skew too great", False),
    ("something else", False),
]


@pytest.mark.parametrize(("words", "rejected"), KINIT)
def test_only_a_refusal_of_the_domain_counts_as_a_rejected_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, rejected: bool
) -> None:
    tries = tmp_path / "tries"
    program(
        tmp_path, "kinit", f'echo "$@" >> {tries}; echo "kinit: {words} while getting initial credentials" >&2; exit 1'
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("KRB5CCNAME", "FILE:/nowhere")
    ticket = Ticket("ops@A", "secret-word")
    for _ in range(3):
        with pytest.raises(WireError) as error:
            ticket.require()
    ticket.close()
    assert isinstance(error.value, Rejected) is rejected
    assert words in error.value.reason
    # Tried once, and the password is in no argument, which every user of the machine could read.
    assert len(tries.read_text().splitlines()) == 1
    assert "secret-word" not in tries.read_text()
    assert os.environ["KRB5CCNAME"] == "FILE:/nowhere"


def test_without_klist_or_with_an_expired_ticket_there_is_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert principal_at_hand() is None
    program(tmp_path, "klist", 'if [ "$1" = -s ]; then exit 1; fi; echo "Default principal: ops@A"')
    assert principal_at_hand() is None
    program(tmp_path, "klist", 'if [ "$1" = -s ]; then exit 0; fi; echo "Default principal: ops@A"')
    assert principal_at_hand() == "ops@A"
