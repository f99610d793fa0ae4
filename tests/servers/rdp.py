"""A port of Remote Desktop as far as TLS: X.224 as of [MS-RDPBCGR] 2.2.1.1 and 2.2.1.2, then a real handshake.

There is no server for Linux that can be told to answer each of the ways that Windows has; nothing comes after the
handshake here, since nothing of it is tested.
"""

from __future__ import annotations

import contextlib
import socketserver
import ssl
import struct
import threading
import warnings
from types import TracebackType
from typing import Self

from servers.tls import HOST, Certificate

SSL, HYBRID, HYBRID_EX = 1, 2, 8
SSL_NOT_ALLOWED, CERTIFICATE_MISSING, HYBRID_REQUIRED = 2, 3, 5


class RdpServer:
    """A listener, as a context manager.

    Args:
        certificate: of its TLS.
        oldest, newest: versions that it takes.
        select: the protocol that it chooses of those that are offered; 0 is RDP's own security, without TLS.
        failure: the code of a refusal in place of a choice.
        without_negotiation: answer as servers did before there was one.
        says: bytes in place of any answer; empty to end the connection.
        host, port: where it listens; on a free port by default.

    Attributes:
        requested: the protocols that each client offered.
    """

    def __init__(
        self,
        certificate: Certificate,
        *,
        oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
        newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
        select: int = HYBRID,
        failure: int | None = None,
        without_negotiation: bool = False,
        says: bytes | None = None,
        host: str = HOST,
        port: int = 0,
    ) -> None:
        self.requested: list[int] = []
        self.malformed: list[bytes] = []
        self._select, self._failure, self._says = select, failure, says
        self._without_negotiation, self._address = without_negotiation, (host, port)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.certificate, certificate.key)
        # Security level 0: OpenSSL 3 takes no TLS before 1.2 otherwise.
        self._context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self._context.maximum_version = newest
            self._context.minimum_version = oldest

    def __enter__(self) -> Self:
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    outer._serve(self)

        self._server = socketserver.ThreadingTCPServer(self._address, Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(2)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def _serve(self, handler: socketserver.StreamRequestHandler) -> None:
        handler.connection.settimeout(5)
        header = handler.rfile.read(4)
        version, length = struct.unpack(">BxH", header)
        body = handler.rfile.read(length - 4)
        # The indicator counts what follows it; a cookie, which mstsc sends, ends with a line break.
        if version != 3 or body[0] != len(body) - 1 or body[1] != 0xE0:
            self.malformed.append(header + body)
            return
        _, _, tail = body[7:].rpartition(b"\r\n")
        kind, _, size, protocols = struct.unpack("<BBHI", tail)
        if kind != 1 or size != 8:
            self.malformed.append(header + body)
            return
        self.requested.append(protocols)
        if self._says is not None:
            handler.connection.sendall(self._says)
            return
        handler.connection.sendall(self._answer())
        if self._failure is None and self._select and not self._without_negotiation:
            with self._context.wrap_socket(handler.connection, server_side=True) as session:
                session.recv(1)

    def _answer(self) -> bytes:
        if self._without_negotiation:
            negotiation = b""
        elif self._failure is not None:
            negotiation = struct.pack("<BBHI", 3, 0, 8, self._failure)
        else:
            negotiation = struct.pack("<BBHI", 2, 0x1F, 8, self._select)
        confirm = struct.pack(">BBHHB", 6 + len(negotiation), 0xD0, 0, 0x1234, 0) + negotiation
        return struct.pack(">BxH", 3, 4 + len(confirm)) + confirm
