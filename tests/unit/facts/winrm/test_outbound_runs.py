"""What is asked of a node's curl, and in which order: by shells that answer as told, since a node may do anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from azpreflight.facts.deadline import Deadline
from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.probes import Probe
from azpreflight.facts.winrm.curl import Transfer
from azpreflight.facts.winrm.outbound import reach
from azpreflight.facts.winrm.shell import Output

NEW, OLD = "curl 8.9.1 (Windows) libcurl/8.9.1 Schannel", "curl 7.55.1 (Windows) libcurl/7.55.1 WinSSL"
GOOD = '{"http_code":"200","exitcode":0}'
OFFLINE = '{"http_code":0,"exitcode":35,"errormsg":"schannel: CRYPT_E_REVOCATION_OFFLINE (0x80092013) - ..."}'
EXPIRED = '{"http_code":0,"exitcode":60,"errormsg":"schannel: SEC_E_CERT_EXPIRED (0x80090328) - ..."}'


def transfers(number: int, scheme: str = "https") -> list[Transfer]:
    return [Transfer(probe=Probe.of_url(f"{scheme}://h{index}.example/")) for index in range(number)]


@dataclass
class Shell:
    """A shell whose curl calls itself by a banner and answers each list by a function of it."""

    banner: str
    answer: Callable[[int, str], str]
    lists: list[str] = field(default_factory=list)

    def run(self, command: str, deadline: Deadline, stdin: bytes | None = None) -> Output:
        assert deadline.remaining > 0
        if command.endswith("--version"):
            return Output(self.banner, "", 0)
        self.lists.append((stdin or b"").decode())
        return Output(self.answer(len(self.lists), self.lists[-1]), "", 0)


def test_what_has_no_turn_in_time_has_no_row() -> None:
    """Ten on end may take a minute; of the rest it is sure that they end in time."""
    shell = Shell(OLD, lambda _, text: f"{GOOD}\n" * text.count("url = "))
    wanted = transfers(13)
    found = reach(shell, wanted, Deadline(30))
    assert list(found) == wanted[10:]
    assert len(shell.lists) == 1


def test_no_time_at_all_is_told() -> None:
    with pytest.raises(WireError, match="no time left") as error:
        reach(Shell(OLD, lambda *_: GOOD), transfers(10), Deadline(30))
    assert error.value.status is Status.TIMED_OUT


def test_what_one_run_told_stays_when_the_next_one_is_lost() -> None:
    def answer(number: int, text: str) -> str:
        if number > 1:
            raise WireError(Status.UNREACHABLE, "gone", fatal=True)
        return f"{GOOD}\n" * text.count("url = ")

    assert len(reach(Shell(OLD, answer), transfers(13), Deadline(1000))) == 10


def test_revocation_that_cannot_be_checked_is_not_a_failure_of_the_path() -> None:
    (transfer,) = transfers(1)
    shell = Shell(NEW, lambda _, text: f"0 {GOOD if 'ssl-no-revoke' in text else OFFLINE}")
    row = reach(shell, [transfer], Deadline(60))[transfer]
    assert (row["http_code"], row["exit_code"], row["revocation_skipped"]) == (200, 0, True)
    assert len(shell.lists) == 2
    assert "insecure" not in shell.lists[1]


@pytest.mark.parametrize("second", ["", "garbage", f"0 {OFFLINE}"])
def test_a_second_try_that_brings_nothing_leaves_the_failure(second: str) -> None:
    (transfer,) = transfers(1)
    row = reach(Shell(NEW, lambda number, _: f"0 {OFFLINE}" if number == 1 else second), [transfer], Deadline(60))[
        transfer
    ]
    assert (row["exit_code"], row["chain"]) == (35, None)
    assert "0x80092013" in row["error"]


def test_only_what_failed_by_its_certificate_is_looked_at_again() -> None:
    wanted = transfers(3)
    shell = Shell(NEW, lambda number, _: f"0 {GOOD}\n1 {EXPIRED}\n2 {GOOD}" if number == 1 else f"0 {GOOD}")
    rows = reach(shell, wanted, Deadline(60))
    assert [row["exit_code"] for row in rows.values()] == [0, 60, 0]
    assert "h1.example" in shell.lists[1]
    assert shell.lists[1].count("url = ") == 1
    assert shell.lists[1].endswith("insecure\n")


def test_an_old_curl_shows_no_certificate_and_is_not_asked_for_one() -> None:
    shell = Shell(OLD, lambda *_: '{"http_code":"000"}\ncurl: (60) SEC_E_CERT_EXPIRED (0x80090328)')
    (row,) = reach(shell, transfers(1), Deadline(60)).values()
    assert (row["exit_code"], row["chain"]) == (60, None)
    assert len(shell.lists) == 1
