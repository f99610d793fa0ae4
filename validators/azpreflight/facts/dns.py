"""The source `dns`: names asked of every declared server directly, over UDP and then TCP, from the operator's machine.

A fact is one row for each server and name, whatever became of the question: `server`, `name` and `type` as asked;
`rcode` in words, None without an answer; `error`, None with one; `authoritative`; `transport`, the one that the row
speaks of; `answers`, the data of the records of the wanted type, sorted, at the end of any chain of aliases. Rows are
the same from run to run as long as the servers are: no port, time or identifier enters them.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.reversename

from azpreflight.facts.collection import Collection, Keep, unobserved, utc_now
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.query import DnsQuery, SiteRead
from azpreflight.model import Value
from azpreflight.site.model import Site
from azpreflight.site.references import REFERENCES, resolve

SOURCE = "dns"
TRIES = 3
"""Tries of each question, as the peers do; a datagram may be lost."""
TRY_SECONDS = 2.0
GLANCE_SECONDS = 0.25
"""How soon a wait notices that the run was called off."""
PARALLEL = 64
ANSWERS_KEPT = 200

TIMEOUT = "timeout"
CLOSED = "port closed"
CUT_SHORT = "the time was over before the server had been given its own"


@dataclass(frozen=True)
class Question:
    """One name asked of one server."""

    server: str
    name: str
    type: str


def questions_of(read: DnsQuery, site: Site) -> list[Question]:
    """What a query asks, every server in turn; empty when servers or names are not declared."""
    names = [name for given in read.names for name in (resolve(given, site, None) if given in REFERENCES else (given,))]
    servers = dict.fromkeys(resolve("site.dns_servers", site, None))
    distinct = dict.fromkeys(name.rstrip(".") for name in names)
    return [Question(server, name, read.type) for name in distinct for server in servers]


@dataclass(frozen=True)
class DnsSource:
    """Asks DNS servers.

    Attributes:
        reached_at: host and port where a declared server is asked.
    """

    reached_at: Callable[[str, int], tuple[str, int]]
    name = SOURCE
    reads: tuple[type[SiteRead], ...] = (DnsQuery,)

    def collect_site(self, collection: Collection, deadline: Deadline, keep: Keep) -> None:
        """Keep one observation for each DNS query. Each server, name and type is asked once, whatever queries share it.

        A server that was not given its time because the deadline passed has not failed to answer: its row says so, and
        a fact of which no row says more is not observed.
        """
        wanted = {
            name: questions_of(query.read, collection.site)
            for name, query in collection.of_kinds(self.reads).items()
            if isinstance(query.read, DnsQuery)
        }
        rows = self._rows([question for found in wanted.values() for question in found], deadline)
        target = collection.site.name
        for name, found in wanted.items():
            if not found:
                reason = "the site declares no DNS server, or nothing to ask for"
                keep(*unobserved([name], target, SOURCE, Status.NOT_ASKED, reason))
            elif all(rows[question]["error"] == CUT_SHORT for question in found):
                reason = "the time was over before any DNS server had been given time to answer"
                keep(*unobserved([name], target, SOURCE, Status.TIMED_OUT, reason))
            else:
                keep(
                    Observation(
                        fact=name,
                        target=target,
                        source=SOURCE,
                        status=Status.OBSERVED,
                        observed_at=utc_now(),
                        value=[rows[question] for question in found],
                    )
                )

    def ask(self, question: Question, deadline: Deadline) -> dict[str, Value]:
        """The row of one question that another source has."""
        return self._row(question, deadline)

    def _rows(self, wanted: list[Question], deadline: Deadline) -> dict[Question, Value]:
        # Servers alternate, so that a silent one does not occupy every worker.
        questions = sorted(set(wanted), key=lambda question: (question.name, question.type, question.server))
        with ThreadPoolExecutor(PARALLEL, thread_name_prefix="dns") as pool:
            rows = dict(
                zip(questions, pool.map(lambda question: self._row(question, deadline), questions), strict=True)
            )
        # Systems send only so many "port unreachable" a second: the questions that got none tell no other story.
        closed = {question.server for question, row in rows.items() if row["error"] == CLOSED}
        return {
            question: {**row, "error": CLOSED} if row["error"] == TIMEOUT and question.server in closed else row
            for question, row in rows.items()
        }

    def _row(self, question: Question, deadline: Deadline) -> dict[str, Value]:
        row: dict[str, Value] = {
            "server": question.server,
            "name": question.name,
            "type": question.type,
            "rcode": None,
            "error": None,
            "authoritative": False,
            "transport": "udp",
            "answers": [],
        }
        try:
            request = _request(question)
        except dns.exception.DNSException as error:
            return {**row, "error": f"the name is no DNS name: {error}"[:200]}
        try:
            address = _address(question.server, self.reached_at(question.server, 53))
        except ValueError as error:
            return {**row, "error": str(error)}
        reply = _ask(request, address, deadline)
        row["transport"] = reply.transport
        if reply.message is None:
            return {**row, "error": reply.error}
        return {
            **row,
            "rcode": dns.rcode.to_text(reply.message.rcode()),
            "authoritative": bool(reply.message.flags & dns.flags.AA),
            "answers": _answers(reply.message),
        }


def _request(question: Question) -> dns.message.Message:
    # Like most clients on the nodes: recursion wanted, no EDNS, so that a long answer is truncated for us too.
    if question.type == "PTR":
        with contextlib.suppress(dns.exception.DNSException):
            return dns.message.make_query(dns.reversename.from_address(question.name), question.type)
    return dns.message.make_query(question.name, question.type)


@dataclass(frozen=True)
class _Address:
    """Where a server is asked."""

    family: int
    name: Any
    """As sockets of the family take it."""


def _address(server: str, reached_at: tuple[str, int]) -> _Address:
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
    return _Address(family, name)


@dataclass(frozen=True)
class _Reply:
    """The answer of a server, or why there is none."""

    transport: str
    message: dns.message.Message | None
    error: str | None = None


def _ask(request: dns.message.Message, address: _Address, deadline: Deadline) -> _Reply:
    reply = _Reply("udp", None, CUT_SHORT)
    for _ in range(TRIES):
        if deadline.over:
            break
        reply = _try(request, address, deadline.within(TRY_SECONDS))
        if reply.error != TIMEOUT:
            return reply
    return replace(reply, error=CUT_SHORT) if deadline.over else reply


def _try(request: dns.message.Message, address: _Address, until: Deadline) -> _Reply:
    transport = "udp"
    try:
        message = _by_udp(request, address, until)
        if message is None:
            transport = "tcp"
            message = _by_tcp(request, address, until)
    except (OSError, EOFError, dns.exception.DNSException) as error:
        return _Reply(transport, None, _words(error))
    return _Reply(transport, message)


def _words(error: Exception) -> str:
    """What went wrong; never in words of the system, which differ between systems and languages."""
    match error:
        case TimeoutError():
            return TIMEOUT
        case ConnectionRefusedError():
            return CLOSED
        case ConnectionError() | EOFError():
            return "connection closed"
        case OSError():
            return f"cannot be reached ({errno.errorcode.get(error.errno or 0, 'unknown error')})"
        case _:
            return "the answer is no DNS answer to the question"


def _by_udp(request: dns.message.Message, address: _Address, until: Deadline) -> dns.message.Message | None:
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


def _by_tcp(request: dns.message.Message, address: _Address, until: Deadline) -> dns.message.Message:
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


def _answers(message: dns.message.Message) -> list[str]:
    """The data of the records that answer the question, sorted: servers rotate them."""
    if not (isinstance(message, dns.message.QueryMessage) and message.question):
        return []
    try:
        found = message.resolve_chaining().answer
    except dns.exception.DNSException:
        return []
    return sorted(str(record) for record in found or ())[:ANSWERS_KEPT]
