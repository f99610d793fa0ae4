"""One question to one DNS server on the wire: over UDP and then TCP, or over TCP alone."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from dataclasses import dataclass, replace
from typing import Any, Literal

import dns.exception
import dns.message
import dns.reversename

from azpreflight.facts.deadline import GLANCE_SECONDS, Deadline
from azpreflight.facts.row_errors import NOT_TRIED, PORT_CLOSED, TIMEOUT

TRIES = 3
"""Tries of each question, as the peers do; a datagram may be lost."""
TRY_SECONDS = 2.0

Transport = Literal["udp", "tcp"]


def request_of(name: str, kind: str) -> dns.message.Message:
    """The question for records of a type. A name that is an address is asked for by its reverse name, for `PTR`.

    Raises:
        dns.exception.DNSException: it is no DNS name.
    """
    # Like most clients on the nodes: recursion wanted, no EDNS, so that a long answer is truncated for us too.
    if kind == "PTR":
        with contextlib.suppress(dns.exception.DNSException):
            return dns.message.make_query(dns.reversename.from_address(name), kind)
    return dns.message.make_query(name, kind)


@dataclass(frozen=True)
class Address:
    """Where a server is asked."""

    family: int
    name: Any
    """As sockets of the family take it."""


def address_of(server: str, reached_at: tuple[str, int]) -> Address:
    """Where a server is asked. Only the end of a redirection may be a host name, preferred as IPv4.

    Raises:
        ValueError: it is no address; in words for the row.
    """
    host, port = reached_at
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if host == server:
            raise ValueError("the server is no IP address") from None
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        raise ValueError(f"{host}, where the server is to be reached, has no address") from None
    family, _, _, _, name = min(found, key=lambda item: item[0] != socket.AF_INET)
    return Address(family, name)


@dataclass(frozen=True)
class Reply:
    """The answer of a server, or why there is none. transport: the one that came last."""

    transport: Transport
    message: dns.message.Message | None
    error: str | None = None


def ask(request: dns.message.Message, address: Address, transport: Transport, deadline: Deadline) -> Reply:
    """What a server answers, after as many tries as it takes. Over `udp`, TCP follows where an answer is cut."""
    reply = Reply(transport, None, NOT_TRIED)
    for _ in range(TRIES):
        if deadline.over:
            break
        reply = _try(request, address, transport, deadline.within(TRY_SECONDS))
        if reply.error != TIMEOUT:
            return reply
    return replace(reply, error=NOT_TRIED) if deadline.over else reply


def _try(request: dns.message.Message, address: Address, transport: Transport, until: Deadline) -> Reply:
    try:
        message = _by_udp(request, address, until) if transport == "udp" else None
        if message is None:
            transport = "tcp"
            message = _by_tcp(request, address, until)
    except (OSError, EOFError, dns.exception.DNSException) as error:
        return Reply(transport, None, _words(error))
    return Reply(transport, message)


def _words(error: Exception) -> str:
    """What went wrong; never in words of the system, which differ between systems and languages."""
    match error:
        case TimeoutError():
            return TIMEOUT
        case ConnectionRefusedError():
            return PORT_CLOSED
        case ConnectionError() | EOFError():
            return "connection closed"
        case OSError():
            return f"cannot be reached ({errno.errorcode.get(error.errno or 0, 'unknown error')})"
        case _:
            return "the answer is no DNS answer to the question"


def _by_udp(request: dns.message.Message, address: Address, until: Deadline) -> dns.message.Message | None:
    """The answer, or None when it was truncated. Whatever else comes in is ignored as long as there is time."""
    with socket.socket(address.family, socket.SOCK_DGRAM) as sock:
        # Connected: the system drops what others send, and says when the port is closed.
        sock.connect(address.name)
        sock.send(request.to_wire())
        while True:
            try:
                return _understood(_receive(sock, 65535, until), request)
            except dns.message.Truncated:
                return None
            except TimeoutError:
                raise
            except ConnectionError:
                # Windows reports the closed port as a connection that was reset.
                raise ConnectionRefusedError from None
            except (OSError, dns.exception.DNSException):
                # Routers report an unreachable host at times only: silence is what counts.
                continue


def _by_tcp(request: dns.message.Message, address: Address, until: Deadline) -> dns.message.Message:
    with socket.socket(address.family, socket.SOCK_STREAM) as sock:
        sock.settimeout(until.remaining or GLANCE_SECONDS)
        sock.connect(address.name)
        sock.sendall(request.to_wire(prepend_length=True))
        size = int.from_bytes(_receive_exactly(sock, 2, until))
        try:
            return _understood(_receive_exactly(sock, size, until), request)
        except dns.message.Truncated as truncated:
            # There is no third way to ask; what came is not the whole answer.
            raise dns.exception.FormError from truncated


def _receive_exactly(sock: socket.socket, size: int, until: Deadline) -> bytes:
    data = b""
    while len(data) < size:
        part = _receive(sock, size - len(data), until)
        if not part:
            raise EOFError
        data += part
    return data


def _receive(sock: socket.socket, size: int, until: Deadline) -> bytes:
    while (remaining := until.remaining) > 0:
        sock.settimeout(min(remaining, GLANCE_SECONDS))
        try:
            return sock.recv(size)
        except TimeoutError:
            continue
    raise TimeoutError


def _understood(wire: bytes, request: dns.message.Message) -> dns.message.Message:
    """The message in `wire`.

    Raises:
        dns.message.Truncated: it is an answer, but not the whole.
        dns.exception.DNSException: it is no answer to `request`.
    """
    try:
        message = dns.message.from_wire(wire, raise_on_truncation=True)
    except dns.message.Truncated as truncated:
        if request.is_response(truncated.message()):  # type: ignore[no-untyped-call]
            raise
        raise dns.exception.FormError from truncated
    if not request.is_response(message):
        raise dns.exception.FormError
    return message
