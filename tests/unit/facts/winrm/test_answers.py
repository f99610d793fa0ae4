"""HTTP answers that are no WS-Management, told apart by status, headers and body."""

from __future__ import annotations

import datetime

import pytest

from azpreflight.facts.errors import Rejected
from azpreflight.facts.observation import Status
from azpreflight.facts.winrm import answers

NOW = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.UTC)
URL = "http://192.0.2.11:5985/wsman"
WINDOWS = {"Server": "Microsoft-HTTPAPI/2.0"}

MUTUAL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"

CHALLENGES = [
    (["Negotiate"], ["Negotiate"]),
    (["Negotiate", "Kerberos", 'Basic realm="WSMAN"'], ["Negotiate", "Kerberos", "Basic"]),
    (['Negotiate, Basic realm="a, b", CredSSP'], ["Negotiate", "Basic", "CredSSP"]),
    (["Negotiate TlRMTVNTUAACAAAA=="], ["Negotiate"]),
    ([MUTUAL], [MUTUAL]),
    ([], []),
    ([""], []),
]


@pytest.mark.parametrize(("headers", "schemes"), CHALLENGES)
def test_schemes_are_read_from_one_header_or_several(headers: list[str], schemes: list[str]) -> None:
    assert answers.offered(headers) == schemes


@pytest.mark.parametrize(
    ("method", "schemes"),
    [("ntlm", ["NTLM"]), ("ntlm", ["NEGOTIATE"]), ("kerberos", ["Negotiate"]), ("basic", ["Basic"])],
)
def test_what_was_offered_and_refused_is_a_rejection(method: str, schemes: list[str]) -> None:
    assert isinstance(answers.unauthorized(method, "ops", URL, schemes, {}, NOW), Rejected)


@pytest.mark.parametrize(
    ("method", "schemes"),
    [("ntlm", ["Kerberos"]), ("kerberos", ["Kerberos"]), ("credssp", ["Negotiate"]), ("basic", [])],
)
def test_what_was_never_offered_is_no_rejection_of_the_credential(method: str, schemes: list[str]) -> None:
    found = answers.unauthorized(method, "ops", URL, schemes, {}, NOW)
    assert not isinstance(found, Rejected)
    assert found.status is Status.REFUSED
    assert found.fatal


@pytest.mark.parametrize(
    ("date", "words"),
    [
        ("Sat, 21 Nov 2026 12:06:00 GMT", "6 minutes ahead of"),
        ("Sat, 21 Nov 2026 09:00:00 GMT", "3 hours behind"),
        ("Mon, 01 Jan 2018 00:00:00 GMT", "days behind"),
        ("Sat, 21 Nov 2026 12:04:00 GMT", ""),
        ("yesterday", ""),
        ("", ""),
    ],
)
def test_a_date_tells_a_clock_that_is_off(date: str, words: str) -> None:
    found = answers.skew({"Date": date}, NOW)
    assert words in found
    assert bool(found) is bool(words)


STRANGERS = [
    (404, WINDOWS, b"", "winrm quickconfig"),
    (503, WINDOWS, b"", "the WinRM service is stopped"),
    (400, WINDOWS, b"", "without a WS-Management fault"),
    (400, {"Server": "nginx"}, b"<h1>plain HTTP request was sent to HTTPS port</h1>", "set winrm.https to true"),
    (407, {"Server": "squid"}, b"", "a proxy"),
    (302, {"Location": "https://portal.example/\x1b[31m"}, b"", "leads on to https://portal.example/ [31m"),
    (200, {"Content-Type": "text/html"}, b"<html>", "another web server or a proxy answers there"),
    (404, {"Server": "Apache"}, b"", "Apache answers there, not WinRM"),
]


@pytest.mark.parametrize(("status", "headers", "body", "words"), STRANGERS)
def test_what_answers_in_the_place_of_winrm_is_named(
    status: int, headers: dict[str, str], body: bytes, words: str
) -> None:
    found = answers.not_winrm(status, headers, body, URL)
    assert found.status is Status.FAILED
    assert found.reason.startswith(f"HTTP status {status} ")
    assert found.reason.isprintable()
    assert words in found.reason
