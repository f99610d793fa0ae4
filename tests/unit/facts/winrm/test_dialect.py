"""What a version of curl understands, and how its reports are read: by what real builds of 7.55.1 and 7.70.0 wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from azpreflight.facts.deadline import Deadline
from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.probes import Probe
from azpreflight.facts.winrm import curl
from azpreflight.facts.winrm.curl import Transfer, runs
from azpreflight.facts.winrm.curl_reports import again, reports, row_of
from azpreflight.facts.winrm.dialect import CURRENT, Dialect, dialect_of
from azpreflight.facts.winrm.outbound import reach
from azpreflight.facts.winrm.programs import program
from azpreflight.facts.winrm.shell import Output
from azpreflight.model import Value
from servers.local_curl import LocalCurl
from servers.tls import TlsServers

OLD, PARALLEL_ONLY = Dialect.of_version(7, 55), Dialect.of_version(7, 70)
URLS = ("https://a.example/", "http://b.example/", "https://c.example/")
TRANSFERS = tuple(Transfer(probe=Probe.of_url(url)) for url in URLS)


@pytest.mark.parametrize(
    ("version", "has"),
    [
        ((7, 55), ""),
        ((7, 65), ""),
        ((7, 66), "parallel"),
        ((7, 70), "parallel"),
        ((7, 74), "parallel"),
        ((7, 75), "parallel json"),
        ((7, 83), "parallel json"),
        ((7, 88), "parallel json certificates"),
        ((8, 0), "parallel json certificates"),
        ((10, 1), "parallel json certificates"),
    ],
)
def test_what_a_version_has(version: tuple[int, int], has: str) -> None:
    dialect = Dialect.of_version(*version)
    assert [name for name in ("parallel", "json", "certificates") if getattr(dialect, name)] == has.split()
    assert ("-Z" in dialect.arguments) is dialect.parallel
    assert program("curl.exe").line(dialect.arguments)


@pytest.mark.parametrize(
    ("banner", "version"),
    [
        ("curl 7.55.1 (Windows) libcurl/7.55.1 WinSSL\r\nRelease-Date: 2017-11-14\r\n", "7.55"),
        ("curl 8.9.1 (Windows) libcurl/8.9.1 Schannel zlib/1.3\r\n", "8.9"),
        ("curl 8.18.0-DEV (x86_64-pc-win32) libcurl/8.18.0\n", "8.18"),
    ],
)
def test_a_banner_tells_the_version(banner: str, version: str) -> None:
    assert dialect_of(Output(banner, "", 0)).version == version


@pytest.mark.parametrize("exit_code", [1, 3, 9009])
def test_a_node_without_curl_does_not_have_the_program(exit_code: int) -> None:
    with pytest.raises(WireError, match=r"no curl\.exe") as error:
        dialect_of(Output("", "'curl.exe' is not recognized", exit_code))
    assert error.value.status is Status.NOT_PRESENT
    assert "is not recognized" in error.value.reason


@pytest.mark.parametrize("text", ["", "garbage", "curl: (2) no", "curl x.y", "curl 7", "wcurl 8.1.0 "])
def test_a_curl_that_tells_no_version_is_not_guessed_at(text: str) -> None:
    with pytest.raises(WireError) as error:
        dialect_of(Output(text, "words " * 100, 0))
    assert error.value.status is Status.FAILED
    assert len(error.value.reason) < 400


REPORT = '{"http_code":"%s","http_connect":"000","remote_ip":"%s","local_ip":"","time_connect":"0,000000"}'
REFUSED = "curl: (7) Failed to connect to a.example port 443: Connection refused"
SSL = "curl: (60) SSL certificate problem: unable to get local issuer certificate\r\nMore details here: https://curl.se"


def codes(found: dict[Transfer, dict[str, Value]]) -> list[tuple[str, int, int]]:
    rows = [row_of(transfer, report) for transfer, report in found.items()]
    return [(row["host"], row["http_code"], row["exit_code"]) for row in rows]


def test_words_come_after_the_report_before_7_66() -> None:
    text = "\r\n".join([REPORT % ("000", ""), REFUSED, REPORT % ("404", "192.0.2.1"), REPORT % ("000", ""), SSL, ""])
    found = reports(TRANSFERS, Output(text, "", 60), OLD)
    assert codes(found) == [("a.example", 0, 7), ("b.example", 404, 0), ("c.example", 0, 60)]
    assert row_of(TRANSFERS[0], found[TRANSFERS[0]])["error"].endswith("Connection refused")


def test_words_come_before_the_report_since_7_66() -> None:
    lines = [
        SSL,
        "2 " + REPORT % ("000", ""),
        "1 " + REPORT % ("404", "192.0.2.1"),
        REFUSED,
        "0 " + REPORT % ("000", ""),
    ]
    found = reports(TRANSFERS, Output("\n".join(lines), "", 7), PARALLEL_ONLY)
    assert codes(found) == [("a.example", 0, 7), ("b.example", 404, 0), ("c.example", 0, 60)]


def test_a_real_curl_with_the_list_of_an_older_one(tmp_path: Path, tls_servers: TlsServers, curl: str) -> None:
    """This machine's curl, as what it calls itself: words come before reports as in all since 7.66."""
    older = tmp_path / "curl"
    older.write_text(
        f'#!/bin/sh\ncase "$*" in *--version*) echo "curl 7.70.0 (Windows)";; *) exec {curl} "$@";; esac\n'
    )
    older.chmod(0o700)
    node = LocalCurl(["--cacert", str(tls_servers.authority.file)], str(older))
    names = ("modern", "forbidden", "http", "expired", "wrong-name", "reset", "closed")
    transfers = [Transfer(probe=Probe.of_url(tls_servers.url(name))) for name in names]
    rows = reach(node, transfers, Deadline(60))
    told = [(row["http_code"], row["exit_code"]) for row in rows.values()]
    assert told == [(200, 0), (403, 0), (200, 0), (0, 60), (0, 60), (0, 35), (0, 7)]
    assert all(bool(row["error"]) is (row["exit_code"] != 0) for row in rows.values())
    assert {row["chain"] for row in rows.values()} == {None}
    # No second run, which could show no certificate either.
    assert [command.split()[-1] for command, _ in node.commands] == ["--version", "-"]


def test_reports_without_numbers_are_believed_only_when_none_is_missing() -> None:
    text = "\n".join([REPORT % ("200", "")] * 2)
    with pytest.raises(WireError, match="2 of 3"):
        reports(TRANSFERS, Output(text, "", 0), OLD)


def test_a_curl_that_does_one_thing_after_the_other_gets_short_lists_of_one_kind() -> None:
    tcp = [Transfer(probe=Probe(scheme="tcp", host=f"192.0.2.{n}", port=22)) for n in range(25)]
    pinned = Transfer(probe=Probe.of_url("https://a.example/", "1.2"))
    found = list(runs([*TRANSFERS, *tcp, pinned], OLD))
    assert [len(run.transfers) for run in found] == [3, 10, 10, 5, 1]
    assert all("next\n" not in run.text and "retry" not in run.text for run in found)
    assert all(run.text.count("url = ") == run.text.count("output = ") == len(run.transfers) for run in found)
    assert found[0].seconds == 3 * curl.ONE_BY_ONE_SECONDS + 5


OFFLINE = "schannel: next InitializeSecurityContext failed: CRYPT_E_REVOCATION_OFFLINE (0x80092013) - ..."
NO_CHECK = "schannel: next InitializeSecurityContext failed: Unknown error (0x80092012) - Die Sperrfunktion ..."


@pytest.mark.parametrize(
    ("exit_code", "error", "second"),
    [
        (35, OFFLINE, "no_revocation"),
        (35, NO_CHECK, "no_revocation"),
        (60, OFFLINE, "no_revocation"),
        (60, "SSL certificate problem: certificate has expired", "insecure"),
        (51, "SSL: certificate subject name 'x' does not match target host name 'y'", "insecure"),
        (35, "schannel: SEC_E_UNTRUSTED_ROOT (0x80090325) - ...", "insecure"),
        (35, "schannel: CERT_E_UNTRUSTEDROOT (0x800b0109)", "insecure"),
        (35, "schannel: SEC_E_ILLEGAL_MESSAGE (0x80090326) - ...", None),
        (35, "Recv failure: Connection was reset", None),
        (28, OFFLINE, None),
        (0, "", None),
    ],
)
def test_what_is_worth_a_second_try(exit_code: int, error: str, second: str | None) -> None:
    report: dict[str, Value] = {"exitcode": exit_code, "errormsg": error}
    found = again(TRANSFERS[0], report)
    assert (found is None) is (second is None)
    if found is not None and second is not None:
        assert getattr(found, second) is True
        assert again(found, report) is None
    assert again(TRANSFERS[1], report) is None


def test_a_chain_is_looked_at_once_and_not_for_each_version_of_tls() -> None:
    pinned = Transfer(probe=Probe.of_url("https://a.example/", "1.2"))
    assert again(pinned, {"exitcode": 60, "errormsg": ""}) is None
    assert again(pinned, {"exitcode": 35, "errormsg": OFFLINE}) is not None


def test_the_verdict_is_that_of_the_first_try_but_for_revocation() -> None:
    transfer = TRANSFERS[0]
    first = {"exitcode": 60, "errormsg": "expired", "http_code": 0}
    second = {"exitcode": 0, "http_code": 200, "certs": ""}
    row = row_of(transfer, first, (Transfer(probe=transfer.probe, insecure=True), second))
    assert (row["exit_code"], row["http_code"], row["revocation_skipped"]) == (60, 0, False)
    row = row_of(transfer, first, (Transfer(probe=transfer.probe, no_revocation=True), second))
    assert (row["exit_code"], row["http_code"], row["revocation_skipped"]) == (0, 200, True)


def test_only_what_is_asked_again_passes_over_anything() -> None:
    (first,) = runs(TRANSFERS, CURRENT)
    assert "insecure" not in first.text
    assert "no-revoke" not in first.text
    transfer = TRANSFERS[0]
    (second,) = runs([Transfer(probe=transfer.probe, no_revocation=True)], CURRENT)
    assert "\nssl-no-revoke\n" in second.text
