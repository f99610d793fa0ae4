"""What one try to reach an endpoint says of the path, whoever tried: rows with curl's exit codes."""

from __future__ import annotations

import enum
import re

from azpreflight.checks.agreement import kind_of
from azpreflight.checks.view import Row
from azpreflight.facts import curl_exits
from azpreflight.model import Frozen, Value

NAME_NOT_FOUND = "the name does not resolve"
PROXY_REFUSED = "the proxy refused"
PROXY_WANTS_LOGIN = "the proxy needs a password"
TLS_FAILED = "the TLS session failed"
PROXY_AUTHENTICATION_REQUIRED = 407
STATUSES = range(100, 1000)
ESTABLISHED = range(200, 300)
"""Answers to CONNECT after which a proxy lets the client speak to the host."""
FAILED_BEHIND = range(500, 600)
"""Answers to CONNECT of a proxy that would, and could not."""


class Failure(enum.StrEnum):
    """What kept a try from reaching the endpoint."""

    NAME = "name"
    REFUSED = "refused"
    TIMED_OUT = "timed out"
    RESET = "reset"
    BROKEN = "broken"
    TLS = "tls"
    CERTIFICATE = "certificate"
    PROXY = "proxy"
    PROXY_LOGIN = "proxy login"
    PROXY_REFUSAL = "proxy refusal"


class Attempt(Frozen, frozen=True):
    """What became of one try to reach an endpoint.

    reached: None where nothing is known. reason: why not, or why it is not known, in a few words. failure: of which
    kind, where it was not reached. note: what is to be said of one that was reached.
    """

    reached: bool | None
    reason: str
    failure: Failure | None = None
    note: str = ""


_NOTHING_IN_COMMON = "no version or cipher of TLS is known to both sides"
_RESET = re.compile(r"\breset\b|connection was aborted", re.IGNORECASE)
_TLS: tuple[tuple[re.Pattern[str], Failure, str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), failure, text)
    for pattern, failure, text in (
        # Numbers are Schannel's, whose words are in the node's language; words are OpenSSL's and Python's.
        (r"0x8009201[23]\b", Failure.CERTIFICATE, "the revocation of its certificate could not be checked"),
        (r"0x80092010\b|certificate revoked", Failure.CERTIFICATE, "its certificate was revoked"),
        (
            r"0x80090328\b|0x800B0101\b|certificate has expired|not yet valid",
            Failure.CERTIFICATE,
            "its certificate has expired or is not valid yet",
        ),
        (
            r"0x80090322\b|0x800B010F\b|subject name|no alternative certificate|hostname mismatch|not valid for",
            Failure.CERTIFICATE,
            "its certificate is for another name",
        ),
        (
            r"0x80090325\b|0x800B0109\b|0x800B010A\b|self.signed|local issuer|first certificate",
            Failure.CERTIFICATE,
            "its certificate comes from an authority that is not trusted",
        ),
        (r"0x80090331\b|0x80090302\b", Failure.TLS, _NOTHING_IN_COMMON),
        (r"unsupported protocol|protocol version|no protocols|legacy sigalg", Failure.TLS, _NOTHING_IN_COMMON),
        (r"handshake failure|no shared", Failure.TLS, _NOTHING_IN_COMMON),
        (r"0x80090326\b|alert", Failure.TLS, "the other side ended the handshake"),
        (r"wrong version number|0x80090308\b", Failure.TLS, "what answers does not speak TLS"),
    )
)


def attempt_of(row: Row) -> Attempt:
    """What a row says of the path.

    Any HTTP status proves it, unless it is the proxy that wants a login, or the TLS session is one that nobody can
    trust. An exit code by which the probe itself failed says nothing of the path.
    """
    status, exit_code, error = row["http_code"], row["exit_code"], str(row["error"] or "")
    if kind_of(status) != "number" or kind_of(exit_code) != "number":
        return Attempt(None, f"the probe tells no status: {status}, {exit_code}")
    if (refused := _by_proxy(status, exit_code, _optional(row, "connect_code"), error)) is not None:
        return refused
    if exit_code in curl_exits.TLS:
        return _tls(exit_code, error)
    if status in STATUSES:
        unchecked = ", though the revocation of its certificate could not be checked"
        note = unchecked if _optional(row, "revocation_skipped") is True else ""
        return Attempt(True, f"HTTP status {status}", note=note)
    if status != 0:
        return Attempt(None, f"{status} is no HTTP status")
    return _without_answer(row, exit_code, error)


def _optional(row: Row, name: str) -> Value:
    """What older recordings lack. A row raises `NotObserved` for that, which `get` would let through."""
    return row[name] if name in row else None  # noqa: SIM401


def _by_proxy(status: Value, exit_code: Value, connect: Value, error: str) -> Attempt | None:
    """What the proxy itself answered in place of the host, if it did."""
    if kind_of(connect) != "number" or connect == 0:
        told = re.search(r"(?:response|code) (\d{3})", error) if exit_code != 0 and "CONNECT" in error else None
        connect = int(told[1]) if told is not None else 0
    if PROXY_AUTHENTICATION_REQUIRED in (status, connect):
        return Attempt(False, PROXY_WANTS_LOGIN, Failure.PROXY_LOGIN)
    if connect in FAILED_BEHIND and exit_code != 0:
        return Attempt(False, f"the proxy could not connect to it (CONNECT got {connect})", Failure.PROXY)
    if connect != 0 and connect not in ESTABLISHED:
        return Attempt(False, f"{PROXY_REFUSED} (CONNECT got {connect})", Failure.PROXY_REFUSAL)
    if exit_code != 0 and "CONNECT" in error:
        return Attempt(False, PROXY_REFUSED, Failure.PROXY_REFUSAL)
    return None


def _tls(exit_code: Value, error: str) -> Attempt:
    for pattern, failure, text in _TLS:
        if pattern.search(error) is not None:
            return Attempt(False, f"{TLS_FAILED}: {text}", failure)
    if exit_code in curl_exits.CERTIFICATES:
        return Attempt(False, f"{TLS_FAILED}: its certificate is not accepted", Failure.CERTIFICATE)
    if _RESET.search(error) is not None:
        return Attempt(False, "the connection was reset during the TLS handshake", Failure.RESET)
    return Attempt(False, TLS_FAILED, Failure.TLS)


def _without_answer(row: Row, exit_code: Value, error: str) -> Attempt:
    to_proxy = kind_of(_optional(row, "proxy")) == "text" and (
        exit_code == curl_exits.REFUSED or _optional(row, "connected") is False
    )
    match exit_code:
        case curl_exits.PROXY_NAME:
            return Attempt(False, "the name of the proxy does not resolve", Failure.PROXY)
        case curl_exits.NAME:
            return Attempt(False, NAME_NOT_FOUND, Failure.NAME)
        case curl_exits.REFUSED if to_proxy:
            return Attempt(False, "the connection to the proxy was refused", Failure.PROXY)
        case curl_exits.REFUSED:
            return Attempt(False, "the connection was refused", Failure.REFUSED)
        case curl_exits.TIMEOUT if to_proxy:
            return Attempt(False, "the proxy did not answer in time", Failure.PROXY)
        case curl_exits.TIMEOUT:
            return Attempt(False, "it timed out", Failure.TIMED_OUT)
        case curl_exits.PROXY_HANDSHAKE:
            return Attempt(False, PROXY_REFUSED, Failure.PROXY_REFUSAL)
    if exit_code in curl_exits.BROKEN_OFF:
        if _RESET.search(error) is not None:
            return Attempt(False, "the connection was reset", Failure.RESET)
        return Attempt(False, error or f"curl ended with {exit_code}", Failure.BROKEN)
    return Attempt(None, f"the probe itself failed: {error or f'curl ended with {exit_code}'}")
