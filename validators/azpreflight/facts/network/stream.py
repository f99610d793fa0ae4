"""TCP connections from the operator's machine, and TLS on them, in which no wait outlasts its deadline.

Nothing here blocks for longer than a glance, neither a lookup nor a handshake: a run that is called off ends at once.
TLS works on memory, so that the first bytes of the other side can be looked at when a handshake fails: they tell an
alert from another protocol, in the same way on every system and with every OpenSSL.
"""

from __future__ import annotations

import _ssl
import contextlib
import errno
import queue
import selectors
import socket
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from azpreflight.facts.deadline import GLANCE_SECONDS, Deadline

MOST_ADDRESSES = 8
"""Addresses of one name that are tried."""
CHUNK = 16384
HEARD = 512
"""How much of what the other side says in a handshake is kept."""

T = TypeVar("T")

_ON_ITS_WAY = frozenset({0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN})
_NO_SUCH_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


class NoSuchNameError(Exception):
    """The name has no address, says the resolver."""


class LookupFailedError(Exception):
    """The resolver did not tell whether the name has an address."""


class Conversation(Protocol):
    """Something that bytes go through: a connection, or TLS on one."""

    def send(self, data: bytes, until: Deadline) -> None:
        """Send all of `data`."""
        ...

    def receive(self, until: Deadline) -> bytes:
        """What comes next; empty at the end."""
        ...


class Stream:
    """A connection that stands; made by `connect`. A context manager that closes it."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it."""
        self._socket.close()

    def detached(self) -> socket.socket:
        """The socket itself, for a library that wants one; whoever takes it closes it."""
        return self._socket

    @property
    def peer(self) -> str | None:
        """The address of the other side; None when it has ended the connection already."""
        try:
            return str(self._socket.getpeername()[0]).partition("%")[0]
        except OSError:
            return None

    def send(self, data: bytes, until: Deadline) -> None:
        """Send all of `data`.

        Raises:
            OSError: the connection broke; `TimeoutError` when the time is over.
        """
        left = memoryview(data)
        while left:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                self._wait(selectors.EVENT_WRITE, until)

    def receive(self, until: Deadline) -> bytes:
        """What comes next; empty when the other side has ended.

        Raises:
            OSError: the connection broke; `TimeoutError` when the time is over.
        """
        while True:
            try:
                return self._socket.recv(CHUNK)
            except BlockingIOError:
                self._wait(selectors.EVENT_READ, until)

    def _wait(self, event: int, until: Deadline) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, event)
            _ready(selector, until)


class TlsStream:
    """TLS on a conversation.

    Args:
        under: what carries it.
        context: what the other side is held to.
        name: that it is asked for, and held to where the context says so; None asks for none.

    Attributes:
        heard: the first bytes that came from the other side.
    """

    def __init__(self, under: Conversation, context: ssl.SSLContext, name: str | None) -> None:
        self._under = under
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self.heard = b""

    def handshake(self, until: Deadline) -> None:
        """Agree on a session.

        Raises:
            ssl.SSLError: there is none; `heard` has what the other side said.
            OSError: the connection broke; `TimeoutError` when the time is over.
        """
        self._do(self._tls.do_handshake, until)

    def send(self, data: bytes, until: Deadline) -> None:
        """As `Stream.send`."""
        self._do(lambda: self._tls.write(data), until)

    def receive(self, until: Deadline) -> bytes:
        """As `Stream.receive`; an end without a farewell is an end."""
        try:
            return self._do(lambda: self._tls.read(CHUNK), until)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    @property
    def cipher(self) -> str | None:
        """The cipher suite that was agreed on, as OpenSSL names it."""
        agreed = self._tls.cipher()
        return agreed[0] if agreed is not None else None

    def certificates(self) -> list[bytes]:
        """What the other side showed, DER, its own certificate first."""
        if hasattr(self._tls, "get_unverified_chain"):
            return list(self._tls.get_unverified_chain() or ())
        # Before Python 3.13 only the object below has it.
        below: Any = self._tls._sslobj  # type: ignore[attr-defined]
        return [found.public_bytes(_ssl.ENCODING_DER) for found in below.get_unverified_chain() or ()]

    def _do(self, step: Callable[[], T], until: Deadline) -> T:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._flush(until)
                data = self._under.receive(until)
                self.heard = (self.heard + data)[:HEARD] if len(self.heard) < HEARD else self.heard
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            except ssl.SSLError:
                # The other side is told why, if it still listens.
                with contextlib.suppress(OSError):
                    self._flush(until)
                raise
            else:
                self._flush(until)
                return result

    def _flush(self, until: Deadline) -> None:
        if data := self._outgoing.read():
            self._under.send(data, until)


def connect(host: str, port: int, until: Deadline) -> Stream:
    """A connection to the first address of `host` that takes one; all are tried at the same time.

    Raises:
        NoSuchNameError: the name has no address.
        LookupFailedError: it is not known whether it has one.
        OSError: no connection came about; `TimeoutError` when the time is over, `ConnectionRefusedError` when an
            address refused.
    """
    found = addresses(host, port, until)
    opened: list[socket.socket] = []
    failures: list[OSError] = []
    with selectors.DefaultSelector() as selector:
        try:
            for family, address in found:
                try:
                    opened.append(_start(family, address))
                except OSError as error:
                    failures.append(error)
                else:
                    selector.register(opened[-1], selectors.EVENT_WRITE)
            while selector.get_map():
                for trying in _ready(selector, until):
                    selector.unregister(trying)
                    if (code := trying.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) == 0:
                        opened.remove(trying)
                        return Stream(trying)
                    failures.append(OSError(code, "not connected"))
        except TimeoutError as error:
            failures.append(error)
        finally:
            for left in opened:
                left.close()
    # An address that refuses proves that somebody is there; silence says more than a way that does not exist.
    raise min(failures, key=_rank)


def _start(family: int, address: Any) -> socket.socket:
    connecting = socket.socket(family, socket.SOCK_STREAM)
    connecting.setblocking(False)
    if (code := connecting.connect_ex(address)) not in _ON_ITS_WAY:
        connecting.close()
        raise OSError(code, "not connected")
    return connecting


def _rank(error: OSError) -> int:
    return 0 if isinstance(error, ConnectionError) else 1 if isinstance(error, TimeoutError) else 2


def _ready(selector: selectors.BaseSelector, until: Deadline) -> list[Any]:
    while (remaining := until.remaining) > 0:
        if ready := selector.select(min(remaining, GLANCE_SECONDS)):
            return [key.fileobj for key, _ in ready]
    raise TimeoutError


def addresses(host: str, port: int, until: Deadline) -> list[tuple[int, Any]]:
    """Families and socket addresses of a host.

    Raises:
        NoSuchNameError: it has none.
        LookupFailedError: nobody could tell before the time was over.
    """
    try:
        return _looked_up(host, port, socket.AI_NUMERICHOST)
    except NoSuchNameError:
        pass
    answer: queue.SimpleQueue[list[tuple[int, Any]] | Exception] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answer.put(_looked_up(host, port, 0))
        except Exception as error:  # noqa: BLE001 - raised again by the one that waits
            answer.put(error)

    # The system's lookup has no deadline: a daemon, so that it cannot keep anybody.
    threading.Thread(target=look_up, name="lookup", daemon=True).start()
    while (remaining := until.remaining) > 0:
        with contextlib.suppress(queue.Empty):
            found = answer.get(timeout=min(remaining, GLANCE_SECONDS))
            if isinstance(found, Exception):
                raise found
            return found
    raise LookupFailedError


def _looked_up(host: str, port: int, flags: int) -> list[tuple[int, Any]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except socket.gaierror as error:
        raise (NoSuchNameError if error.errno in _NO_SUCH_NAME else LookupFailedError) from error
    except ValueError as error:
        raise NoSuchNameError from error
    distinct: dict[tuple[int, Any], None] = dict.fromkeys((family, address) for family, _, _, _, address in found)
    if not distinct:
        raise NoSuchNameError
    return list(distinct)[:MOST_ADDRESSES]
