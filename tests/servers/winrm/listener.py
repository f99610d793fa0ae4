"""HTTP/1.1 with keep-alive on a loopback port: one thread that accepts, one per connection."""

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from io import BufferedReader
from typing import Literal, Protocol

_LONGEST_LINE = 65536
_LARGEST_BODY = 64 * 1024 * 1024


@dataclass(frozen=True)
class HttpRequest:
    """One request, body included."""

    method: str
    path: str
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes


@dataclass
class HttpResponse:
    """One answer, and how it is delivered."""

    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    close: bool = False
    delivery: Literal["whole", "half", "drip", "reset", "nothing"] = "whole"
    drip_seconds: float = 0.0


class Handler(Protocol):
    """What answers the requests of one connection."""

    def handle(self, request: HttpRequest) -> HttpResponse:
        """The answer to a request."""


class Listener:
    """A port, and all connections that came through it."""

    def __init__(
        self,
        handler: Callable[[str, bool, bytes | None], Handler],
        stopping: threading.Event,
        context: ssl.SSLContext | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        clock_ahead: float = 0.0,
    ) -> None:
        """`handler` makes the handler of a connection: from the client's address, whether TLS is on, its certificate.

        `clock_ahead`: seconds by which the Date of answers is ahead of this machine's clock.
        """
        self._handler = handler
        self._stopping = stopping
        self._context = context
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._clock_ahead = clock_ahead
        self._socket = socket.create_server((host, port), backlog=64)
        self.port: int = self._socket.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name=f"winrm-{self.port}", daemon=True)

    def start(self) -> None:
        """Begin to accept."""
        self._acceptor.start()

    def stop(self) -> None:
        """Close the port and every connection; `stopping` has been set before."""
        # A blocked accept() notices only a shutdown, not a close.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._acceptor.join(timeout=2)
        with self._lock:
            connections, threads = list(self._connections), list(self._threads)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(timeout=2)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, address = self._socket.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(connection, address[0]), daemon=True)
            with self._lock:
                self._connections.add(connection)
                self._threads.add(thread)
            thread.start()

    def _serve(self, connection: socket.socket, client: str) -> None:
        stream = connection
        try:
            if self._context is not None:
                connection.settimeout(10)
                stream = self._context.wrap_socket(connection, server_side=True)
                stream.settimeout(None)
                with self._lock:
                    self._connections.discard(connection)
                    self._connections.add(stream)
            certificate = stream.getpeercert(binary_form=True) if isinstance(stream, ssl.SSLSocket) else None
            self._converse(stream, self._handler(client, self._context is not None, certificate))
        except _BadRequestError:
            with contextlib.suppress(OSError):
                stream.sendall(self._head(_BAD_REQUEST) + _BAD_REQUEST.body)
        except OSError:
            pass  # The client went away, or failed the TLS handshake: the connection ends.
        finally:
            stream.close()
            with self._lock:
                self._connections.discard(stream)
                self._connections.discard(connection)
                self._threads.discard(threading.current_thread())

    def _converse(self, stream: socket.socket, handler: Handler) -> None:
        with stream.makefile("rb") as reader:
            while not self._stopping.is_set():
                request = _read_request(reader)
                if request is None:
                    return
                response = handler.handle(request)
                if not self._deliver(stream, response):
                    return

    def _deliver(self, stream: socket.socket, response: HttpResponse) -> bool:
        """Send an answer; whether the connection goes on."""
        if response.delivery == "reset":
            # Closing with a linger time of zero sends RST in place of FIN.
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if response.delivery == "nothing":
            self._stopping.wait()
            return False
        head = self._head(response)
        if response.delivery == "half":
            stream.sendall(head + response.body[: len(response.body) // 2])
            return False
        if response.delivery == "drip":
            stream.sendall(head)
            for position in range(len(response.body)):
                if self._stopping.wait(response.drip_seconds):
                    return False
                stream.sendall(response.body[position : position + 1])
        else:
            stream.sendall(head + response.body)
        return not response.close

    def _head(self, response: HttpResponse) -> bytes:
        lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase if response.status != 401 else ''}"]
        if response.content_type is not None:
            lines.append(f"Content-Type: {response.content_type}")
        lines.append("Server: Microsoft-HTTPAPI/2.0")
        lines += [f"{name}: {value}" for name, value in response.headers]
        lines.append(f"Date: {formatdate(time.time() + self._clock_ahead, usegmt=True)}")
        if response.close:
            lines.append("Connection: close")
        lines.append(f"Content-Length: {len(response.body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class _BadRequestError(Exception):
    pass


_BAD_REQUEST = HttpResponse(
    400, b"<html><body><h2>Bad Request - Invalid Verb</h2></body></html>", "text/html; charset=us-ascii", close=True
)
"""What Windows answers when it is not spoken to in HTTP, in TLS for example."""


def _read_request(reader: BufferedReader) -> HttpRequest | None:
    if not (first := reader.peek(1)):
        return None
    if not first[:1].isalpha():
        raise _BadRequestError
    line = reader.readline(_LONGEST_LINE)
    if not line:
        return None
    parts = line.decode("latin-1").split()
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise _BadRequestError
    headers = {}
    while (line := reader.readline(_LONGEST_LINE)) not in (b"\r\n", b"\n"):
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise _BadRequestError
        headers[name.strip().lower()] = value.strip()
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > _LARGEST_BODY or "transfer-encoding" in headers:
        raise _BadRequestError
    body = reader.read(int(length))
    if len(body) < int(length):
        return None
    return HttpRequest(parts[0], parts[1], headers, body)
