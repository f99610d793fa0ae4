"""DNS servers for tests, on loopback: BIND and dnsmasq of each kind, a firewall, and one that does what none will."""

from __future__ import annotations

import getpass
import itertools
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import dns.exception
import dns.flags
import dns.message
import dns.rrset

from servers.processes import STARTS, Daemon, StartError, find_program, free_port

HOST = "127.0.0.1"


class Endpoint(NamedTuple):
    """Where something listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Zone:
    """Zone data: owner, relative to the zone, to its records as in a zone file without name, time to live and class."""

    name: str
    records: Mapping[str, Sequence[str]]

    @property
    def text(self) -> str:
        """The zone as a master file."""
        lines = [
            "$TTL 300",
            f"@ SOA ns.{self.name}. admin.{self.name}. 1 3600 600 86400 300",
            "@ NS ns",
            "ns A 127.0.0.1",
        ]
        lines += [f"{owner} {record}" for owner, records in self.records.items() for record in records]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class View:
    """What one server is like.

    forwards_to: name of an earlier view that every question is sent on to; such a server answers without authority.
    """

    zones: Sequence[Zone] = ()
    refuses: bool = False
    forwards_to: str | None = None


NODES = {"azl-n01": ["A 192.0.2.11"], "azl-n02": ["A 192.0.2.12"], "azl-cl01": ["A 192.0.2.20"]}
EDGE = Zone(
    "edge.example",
    {
        **NODES,
        "two": ["A 192.0.2.32", "A 192.0.2.31"],
        "six": ["AAAA 2001:db8::6"],
        "alias": ["CNAME alias2"],
        "alias2": ["CNAME azl-n01"],
        "dangling": ["CNAME nowhere"],
        "loop": ["CNAME loop2"],
        "loop2": ["CNAME loop"],
        # More than 512 bytes: BIND truncates it over UDP.
        "many": [f"A 198.51.100.{number}" for number in range(1, 61)],
        "_ldap._tcp": ["SRV 0 100 389 azl-n01"],
        **{f"name{number:02}": [f"A 203.0.113.{number}"] for number in range(64)},
    },
)
REVERSE = Zone("2.0.192.in-addr.arpa", {"11": ["PTR azl-n01.edge.example."]})
VIEWS = {
    "authoritative": View([EDGE, REVERSE]),
    "stale": View([Zone("edge.example", {**NODES, "azl-n01": ["A 192.0.2.99"]})]),
    "refusing": View([EDGE], refuses=True),
    "broken": View([Zone("edge.example", {"azl-n01": ["A this-is-no-address"]})]),
    "forwarding": View(forwards_to="authoritative"),
    "wildcard": View([Zone("edge.example", {"*": ["A 192.0.2.200"]})]),
}
"""The servers of the fixture. `broken` could not load its zone and answers SERVFAIL."""


class Bind:
    """One BIND on a port of 127.0.0.1, as a context manager. It writes nothing outside `folder`."""

    def __init__(self, folder: Path, view: View, forwarder: Endpoint | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._view = view
        self._forwarder = forwarder
        command = [find_program("named", "bind9"), "-g", "-n", "1", "-c", f"{folder}/named.conf"]
        self._daemon = Daemon(command, folder)
        self.endpoint = Endpoint(HOST, 0)

    def __enter__(self) -> Self:
        self._daemon.start_configured(self._configure, self._ready)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._daemon.stop()

    def _ready(self) -> bool:
        # BIND runs without TCP when only that port is taken.
        if "address in use" in self._daemon.log:
            raise StartError(f"somebody took port {self.endpoint.port}")
        # It listens before it has loaded its zones.
        return " running\n" in self._daemon.log

    def _configure(self) -> None:
        self.endpoint = Endpoint(HOST, free_port())
        folder = self._folder
        allowed = "none" if self._view.refuses else "any"
        # Every file that BIND may write is named, and lies in the folder.
        lines = [
            "options {",
            f'  directory "{folder}"; pid-file none; lock-file none; session-keyfile "{folder}/session.key";',
            f'  managed-keys-directory "{folder}"; dump-file "{folder}/dump"; statistics-file "{folder}/statistics";',
            f'  secroots-file "{folder}/secroots"; recursing-file "{folder}/recursing";',
            f"  listen-on port {self.endpoint.port} {{ {HOST}; }}; listen-on-v6 {{ none; }};",
            "  dnssec-validation no; empty-zones-enable no; notify no; max-cache-size 4m; tcp-initial-timeout 25;",
            f"  allow-query {{ {allowed}; }};",
        ]
        if self._forwarder is None:
            lines.append("  recursion no;")
        else:
            # Only forwarding, to loopback: the root servers are never asked.
            lines.append("  recursion yes; allow-recursion { 127.0.0.0/8; }; forward only;")
            lines.append(f"  forwarders {{ {self._forwarder.host} port {self._forwarder.port}; }};")
        lines += ["};", "controls { };"]
        for zone in self._view.zones:
            file = folder / f"{zone.name}.zone"
            file.write_text(zone.text)
            lines.append(f'zone "{zone.name}" {{ type primary; file "{file}"; }};')
        (folder / "named.conf").write_text("\n".join(lines) + "\n")


class Dnsmasq:
    """One dnsmasq on a port of 127.0.0.1, as a context manager.

    Args:
        folder: for its log; it writes nothing else.
        options: what it is like, as its command line has it. Names in none of them it refuses.
        forwarder: where it sends every question that the options leave open.
    """

    def __init__(self, folder: Path, options: Sequence[str] = (), forwarder: Endpoint | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._options = [*options, *([f"--server={forwarder.host}#{forwarder.port}"] if forwarder else [])]
        self._program = find_program("dnsmasq", "dnsmasq-base")
        self.endpoint = Endpoint(HOST, 0)

    def __enter__(self) -> Self:
        for left in reversed(range(STARTS)):
            self.endpoint = Endpoint(HOST, free_port())
            self._daemon = Daemon(self._command(), self._folder)
            try:
                self._daemon.start(lambda: " started, version " in self._daemon.log)
            except StartError:
                if not left:
                    raise
            else:
                break
        return self

    def _command(self) -> list[str]:
        return [
            *(self._program, "--keep-in-foreground", "--log-facility=-", "--pid-file=", "--conf-file=/dev/null"),
            *("--no-resolv", "--no-hosts", "--cache-size=0", "--bind-interfaces", f"--user={getpass.getuser()}"),
            *(f"--listen-address={HOST}", f"--port={self.endpoint.port}"),
            *self._options,
        ]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._daemon.stop()


class DnsServer:
    """A BIND for each view, as a context manager."""

    def __init__(self, folder: Path, views: Mapping[str, View] = VIEWS) -> None:
        self._folder = folder
        self._views = views
        self._running: dict[str, Bind] = {}

    def at(self, view: str) -> Endpoint:
        """Where the server of that view is asked."""
        return self._running[view].endpoint

    def reached_at(self, servers: Mapping[str, str]) -> Callable[[str, int], tuple[str, int]]:
        """A redirection of declared servers to views."""
        return reached_at({declared: self.at(view) for declared, view in servers.items()})

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for name, view in self._views.items():
                forwarder = self.at(view.forwards_to) if view.forwards_to else None
                self._running[name] = stack.enter_context(Bind(self._folder / name, view, forwarder))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()


def reached_at(servers: Mapping[str, Endpoint]) -> Callable[[str, int], tuple[str, int]]:
    """A redirection of declared servers; one that is not named stays where it is."""
    return lambda host, port: servers.get(host, Endpoint(host, port))


Reply = Callable[[dns.message.Message], bytes]
"""Makes the bytes of a message from the question."""


def whole(query: dns.message.Message, address: str = "192.0.2.11") -> bytes:
    """The right answer, whatever the name."""
    response = dns.message.make_response(query)
    response.flags |= dns.flags.AA
    response.answer.append(dns.rrset.from_text(query.question[0].name, 300, "IN", "A", address))
    return response.to_wire()


def truncated(query: dns.message.Message) -> bytes:
    """An answer that says that it is not all, with nothing in it."""
    response = dns.message.make_response(query)
    response.flags |= dns.flags.TC
    return response.to_wire()


def garbage(query: dns.message.Message) -> bytes:
    """No DNS message, yet with the right identifier in front."""
    return query.id.to_bytes(2) + b"\xff" * 30


def wrong_id(query: dns.message.Message) -> bytes:
    """An answer to another question's identifier, with a false address in it."""
    wire = whole(query, "198.51.100.66")
    return (query.id ^ 1).to_bytes(2) + wire[2:]


def wrong_question(query: dns.message.Message) -> bytes:
    """An answer to the right identifier about another name, with a false address in it."""
    other = dns.message.make_query("other.example", "A", id=query.id)
    return whole(other, "198.51.100.66")


def question_itself(query: dns.message.Message) -> bytes:
    """The question sent back."""
    return query.to_wire()


@dataclass
class StrangeServer:
    """A DNS server that does exactly what it is told, over UDP and TCP on one port, as a context manager.

    udp: the datagrams sent for each question. tcp: the messages sent for each, after which the connection is closed;
    None for a closed port. lost: questions over UDP that are not answered at all, counted from the first one.
    stays_silent: the TCP connection stays open with nothing sent. floods: `udp` is sent again and again.
    """

    udp: Sequence[Reply] = ()
    tcp: Sequence[Reply] | None = ()
    lost: int = 0
    stays_silent: bool = False
    floods: bool = False
    host: str = HOST
    asked: list[str] = field(default_factory=list)
    """`udp` or `tcp` for each question that came."""
    endpoint: Endpoint = field(init=False)

    def __enter__(self) -> Self:
        self._stopping = threading.Event()
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        # A port that is free over TCP is nearly always free over UDP too.
        for left in reversed(range(STARTS)):
            self._stream = socket.socket(family, socket.SOCK_STREAM)
            self._datagrams = socket.socket(family, socket.SOCK_DGRAM)
            try:
                self._stream.bind((self.host, 0))
                self._datagrams.bind((self.host, self._stream.getsockname()[1]))
            except OSError:
                self._close()
                if not left:
                    raise
            else:
                break
        self.endpoint = Endpoint(self.host, self._stream.getsockname()[1])
        self._threads = [threading.Thread(target=self._serve_udp, daemon=True)]
        # Bound without listening, the port refuses, and nobody else can take it.
        if self.tcp is not None:
            self._stream.listen(64)
            self._threads.append(threading.Thread(target=self._serve_tcp, daemon=True))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=2)
        self._close()

    def _close(self) -> None:
        self._stream.close()
        self._datagrams.close()

    def _serve_udp(self) -> None:
        self._datagrams.settimeout(0.05)
        while not self._stopping.is_set():
            with suppress(OSError, dns.exception.DNSException):
                wire, client = self._datagrams.recvfrom(65535)
                query = dns.message.from_wire(wire)
                self.asked.append("udp")
                if len(self.asked) <= self.lost:
                    continue
                for reply in itertools.cycle(self.udp) if self.floods else self.udp:
                    if self._stopping.is_set():
                        return
                    self._datagrams.sendto(reply(query), client)

    def _serve_tcp(self) -> None:
        self._stream.settimeout(0.05)
        while not self._stopping.is_set():
            with suppress(OSError, dns.exception.DNSException):
                connection, _ = self._stream.accept()
                with connection:
                    connection.settimeout(1)
                    size = int.from_bytes(connection.recv(2))
                    query = dns.message.from_wire(connection.recv(size))
                    self.asked.append("tcp")
                    if self.stays_silent:
                        self._stopping.wait()
                    for reply in self.tcp or ():
                        wire = reply(query)
                        connection.sendall(len(wire).to_bytes(2) + wire)


class UdpAlone:
    """A firewall before a DNS server that passes UDP and refuses TCP, as a context manager."""

    def __init__(self, server: Endpoint) -> None:
        self._server = server

    def __enter__(self) -> Self:
        self._stopping = threading.Event()
        self._stream = socket.socket()
        self._datagrams = socket.socket(type=socket.SOCK_DGRAM)
        self._stream.bind((HOST, free_port()))
        # Bound without listening, the port refuses, and nobody else can take it.
        self.endpoint = Endpoint(HOST, self._stream.getsockname()[1])
        self._datagrams.bind(self.endpoint)
        self._datagrams.settimeout(0.05)
        self._thread = threading.Thread(target=self._pass_on, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(timeout=2)
        self._stream.close()
        self._datagrams.close()

    def _pass_on(self) -> None:
        while not self._stopping.is_set():
            with suppress(OSError):
                question, client = self._datagrams.recvfrom(65535)
                with socket.socket(type=socket.SOCK_DGRAM) as inside:
                    inside.settimeout(1)
                    inside.sendto(question, self._server)
                    self._datagrams.sendto(inside.recv(65535), client)
