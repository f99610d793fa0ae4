"""The `error` of rows about tries of the operator's machine: words that sources write and checks read."""

from __future__ import annotations

NOT_TRIED = "not tried in time"
"""It was not given its own time before the run's was over."""
REDIRECTED = "redirected"
"""The host is reached through a redirection to one port, which stands for another."""

REFUSED = "refused"
PORT_CLOSED = "port closed"
"""Of a DNS server: nothing listens there, says the system behind it."""
TIMEOUT = "timeout"
NO_SUCH_NAME = "no such name"
LOOKUP_FAILED = "name lookup failed"
UNREACHABLE = "unreachable"
NO_CONNECTION = frozenset({REFUSED, TIMEOUT, NO_SUCH_NAME, UNREACHABLE})
"""Nobody took a connection, and it was tried."""

NO_ANSWER = "no answer"
RESET = "reset"
CLOSED = "closed"
BROKEN_OFF = frozenset({NO_ANSWER, RESET, CLOSED})
"""A connection stood and no handshake came about, without a word on why."""
NOT_TLS = "not TLS"
OTHER_VERSION = "another version"
UNFINISHED = "agreed on and not finished"
NOT_SPOKEN_HERE = "this machine's OpenSSL does not speak it"
NOT_RDP = "not RDP"
RDP_WITHOUT_TLS = frozenset(
    f"RDP: {word}" for word in ("SSL_NOT_ALLOWED_BY_SERVER", "SSL_CERT_NOT_ON_SERVER", "STANDARD_RDP_SECURITY")
)
"""Answers of Remote Desktop that speaks no TLS at all, whatever the version."""
