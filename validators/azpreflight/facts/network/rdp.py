"""What comes before TLS on a port of Remote Desktop: one question and one answer ([MS-RDPBCGR] 2.2.1.1, 2.2.1.2)."""

from __future__ import annotations

import struct

from azpreflight.facts.deadline import Deadline
from azpreflight.facts.network.stream import Conversation

PROTOCOL_SSL = 0x1
PROTOCOL_HYBRID = 0x2
PROTOCOL_HYBRID_EX = 0x8
OVER_TLS = frozenset({PROTOCOL_SSL, PROTOCOL_HYBRID, PROTOCOL_HYBRID_EX})

NEGOTIATION_REQUEST, NEGOTIATION_RESPONSE, NEGOTIATION_FAILURE = 1, 2, 3
CONNECTION_CONFIRM = 0xD0
FAILURES = {
    1: "SSL_REQUIRED_BY_SERVER",
    2: "SSL_NOT_ALLOWED_BY_SERVER",
    3: "SSL_CERT_NOT_ON_SERVER",
    4: "INCONSISTENT_FLAGS",
    5: "HYBRID_REQUIRED_BY_SERVER",
    6: "SSL_WITH_USER_AUTH_REQUIRED_BY_SERVER",
}

_TPKT = struct.Struct(">BxH")
_X224 = struct.Struct(">BBHHB")
_NEGOTIATION = struct.Struct("<BBHI")
REQUEST = (
    _TPKT.pack(3, _TPKT.size + _X224.size + _NEGOTIATION.size)
    + _X224.pack(_X224.size - 1 + _NEGOTIATION.size, 0xE0, 0, 0, 0)
    + _NEGOTIATION.pack(NEGOTIATION_REQUEST, 0, _NEGOTIATION.size, PROTOCOL_SSL | PROTOCOL_HYBRID)
)
"""A connection request that asks for TLS, or for CredSSP on top of it."""


class RefusedError(Exception):
    """The server does not go on to TLS. `word`: why, by the name that the protocol gives it."""

    def __init__(self, word: str) -> None:
        self.word = word
        super().__init__(word)


class NotRdpError(Exception):
    """What came is no answer of Remote Desktop."""


def negotiate(stream: Conversation, until: Deadline) -> None:
    """Ask for TLS; afterwards a handshake may begin.

    Raises:
        RefusedError: the server says that it does not do it.
        NotRdpError: it says something else.
        EOFError: it ends the connection.
        OSError: the connection broke; `TimeoutError` when nothing came in time.
    """
    stream.send(REQUEST, until)
    answer = _heard(stream, b"", _TPKT.size, until)
    version, length = _TPKT.unpack_from(answer)
    if version != 3 or not _TPKT.size + _X224.size <= length <= 1024:
        raise NotRdpError
    body = _heard(stream, answer, length, until)[_TPKT.size : length]
    if body[1] & 0xF0 != CONNECTION_CONFIRM:
        raise NotRdpError
    if len(body) < _X224.size + _NEGOTIATION.size:
        # Servers before Windows Vista answer without a word on security.
        raise RefusedError("STANDARD_RDP_SECURITY")
    kind, _, _, value = _NEGOTIATION.unpack_from(body, _X224.size)
    if kind == NEGOTIATION_FAILURE:
        raise RefusedError(FAILURES.get(value, f"FAILURE_{value}"))
    if kind != NEGOTIATION_RESPONSE:
        raise NotRdpError
    if value not in OVER_TLS:
        raise RefusedError("STANDARD_RDP_SECURITY" if value == 0 else f"PROTOCOL_{value}")


def _heard(stream: Conversation, data: bytes, size: int, until: Deadline) -> bytes:
    """`data` and what follows, `size` bytes at least. Nothing comes after the answer: the server waits for a hello."""
    while len(data) < size:
        if not (part := stream.receive(until)):
            raise EOFError
        data += part
    return data
