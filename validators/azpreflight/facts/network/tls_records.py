"""The first record that the other side of a TLS handshake sends, as it stands on the wire (RFC 8446, section 5.1)."""

from __future__ import annotations

_CHANGE_CIPHER_SPEC, _ALERT, _HANDSHAKE, _DATA = 20, 21, 22, 23
_SERVER_HELLO = 2
_HEADER = 5
"""Bytes before what a record carries: kind, version, length."""
_MAJOR = 3

ALERTS = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    22: "record_overflow",
    40: "handshake_failure",
    42: "bad_certificate",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    109: "missing_extension",
    110: "unsupported_extension",
    112: "unrecognized_name",
    116: "certificate_required",
    120: "no_application_protocol",
}
"""Alerts of TLS by their numbers (RFC 8446, section 6, and before it RFC 5246)."""


def is_tls(heard: bytes) -> bool:
    """Whether it is a record of TLS, as far as it was heard. Not for nothing at all."""
    return heard[0] in (_CHANGE_CIPHER_SPEC, _ALERT, _HANDSHAKE, _DATA) and heard[1:2] in (b"", bytes([_MAJOR]))


def alert_in(heard: bytes) -> str | None:
    """The alert that it is, by name or by number; None when it is none."""
    if heard[:2] != bytes([_ALERT, _MAJOR]) or len(heard) < _HEADER + 2:
        return None
    number = heard[_HEADER + 1]
    return ALERTS.get(number, str(number))


def is_hello(heard: bytes) -> bool:
    """Whether a server says hello in it: it has agreed on a version."""
    return heard[:1] == bytes([_HANDSHAKE]) and heard[_HEADER : _HEADER + 1] == bytes([_SERVER_HELLO])


def hello_version(heard: bytes) -> bytes:
    """The version of a server's hello, two bytes; TLS 1.3 calls itself 1.2 there."""
    return heard[_HEADER + 4 : _HEADER + 6]
