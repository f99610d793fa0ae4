"""What one try to reach an endpoint says of the path, whoever tried: rows with curl's exit codes."""

from __future__ import annotations

from azpreflight.checks.agreement import kind_of
from azpreflight.checks.view import Row
from azpreflight.model import Frozen

NAME_NOT_FOUND = "the name does not resolve"
PROXY_REFUSED = "the proxy refused"
TLS_FAILED = "the TLS session failed"
TLS_EXITS = frozenset({35, 51, 53, 54, 58, 59, 60, 64, 66, 77, 80, 82, 83, 90, 91})
"""curl's exit codes for a TLS session that did not come about, or that nobody can trust."""

_REASONS = {
    5: "the name of the proxy does not resolve",
    6: NAME_NOT_FOUND,
    7: "the connection was refused",
    28: "it timed out",
    97: PROXY_REFUSED,
}
_BROKEN = frozenset({8, 16, 52, 55, 56, 92, 95})
"""curl's exit codes for a connection that stood and broke before an answer; its own words tell more."""

NOT_BUILT_IN = 4
"""curl's exit code for what it was not built with, such as a version of TLS."""

PROXY_AUTHENTICATION_REQUIRED = 407
STATUSES = range(100, 1000)


class Attempt(Frozen, frozen=True):
    """What became of one try to reach an endpoint.

    reached: None where nothing is known. reason: why not, or why it is not known, in a few words.
    """

    reached: bool | None
    reason: str


def attempt_of(row: Row) -> Attempt:
    """What curl's answer says of the path.

    Any HTTP status proves it, unless it is the proxy that wants a login, or the TLS session is one that nobody can
    trust. An exit code by which curl itself failed says nothing of the path.
    """
    status, exit_code, error = row["http_code"], row["exit_code"], str(row["error"] or "")
    if kind_of(status) != "number" or kind_of(exit_code) != "number":
        return Attempt(None, f"the probe tells no status: {status}, {exit_code}")
    if status == PROXY_AUTHENTICATION_REQUIRED or (exit_code != 0 and "CONNECT" in error):
        return Attempt(False, PROXY_REFUSED)
    if exit_code in TLS_EXITS:
        return Attempt(False, TLS_FAILED)
    if status in STATUSES:
        return Attempt(True, f"HTTP status {status}")
    if status != 0:
        return Attempt(None, f"{status} is no HTTP status")
    if exit_code in _REASONS:
        return Attempt(False, _REASONS[exit_code])
    if exit_code in _BROKEN:
        return Attempt(False, error or f"curl ended with {exit_code}")
    return Attempt(None, f"the probe itself failed: {error or f'curl ended with {exit_code}'}")
