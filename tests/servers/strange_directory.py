"""A directory that says what no Samba can be made to say: LDAP messages put together by hand, behind TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from servers.directory import ROOT
from servers.tls import Certificate

_BIND, _SEARCH = 0x60, 0x63
ENTRY, DONE, REFERENCE, BOUND = 0x64, 0x65, 0x73, 0x61

ROOT_DSE: Mapping[str, Sequence[bytes]] = {
    "defaultNamingContext": [ROOT.encode()],
    "configurationNamingContext": [f"CN=Configuration,{ROOT}".encode()],
    "dnsHostName": [b"dc1.corp.example"],
    "namingContexts": [ROOT.encode(), f"DC=DomainDnsZones,{ROOT}".encode()],
}

Answer = Callable[[int], bytes]
"""What follows a search, given the number of its message."""


def element(tag: int, *parts: bytes) -> bytes:
    """One element of BER: its tag, its length, what is in it."""
    content = b"".join(parts)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(size)]) + size + content


def message(number: int, *operation: bytes) -> bytes:
    """An LDAP message."""
    return element(0x30, element(0x02, number.to_bytes(4)), *operation)


def result(tag: int, code: int = 0, text: str = "", *more: bytes) -> bytes:
    """The end of an operation."""
    return element(tag, element(0x0A, bytes([code])), element(0x04), element(0x04, text.encode()), *more)


def entry(dn: str, attributes: Mapping[str, Sequence[bytes]]) -> bytes:
    """One entry of an answer."""
    listed = [
        element(0x30, element(0x04, name.encode()), element(0x31, *(element(0x04, value) for value in values)))
        for name, values in attributes.items()
    ]
    return element(ENTRY, element(0x04, dn.encode()), element(0x30, *listed))


class StrangeDirectory:
    """Takes every bind, says that it serves the domain, and answers every other search as it is told to.

    Args:
        certificate: of the listener.
        answer: to every search but the first, which is for the rootDSE; None ends the connection.
        root: what it says of itself.
    """

    def __init__(
        self, certificate: Certificate, answer: Answer | None, root: Mapping[str, Sequence[bytes]] = ROOT_DSE
    ) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.certificate, certificate.key)
        self._answer = answer
        self._root = root
        self._held = contextlib.ExitStack()
        self.port = 0
        self.binds = 0
        self.connections = 0

    def __enter__(self) -> Self:
        self._listener = self._held.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._held.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                with contextlib.suppress(OSError), self._context.wrap_socket(connection, server_side=True) as stream:
                    self._talk(stream)

    def _talk(self, stream: ssl.SSLSocket) -> None:
        introduced = False
        while data := stream.recv(65536):
            # Requests are short: the length takes one or two bytes, the number of the message one or two more.
            body = data[2:] if data[1] < 0x80 else data[2 + (data[1] & 0x7F) :]
            number = int.from_bytes(body[2 : 2 + body[1]])
            operation = body[2 + body[1]]
            if operation == _BIND:
                self.binds += 1
                stream.sendall(message(number, result(BOUND)))
            elif operation != _SEARCH:
                return
            elif not introduced:
                introduced = True
                stream.sendall(message(number, entry("", self._root)) + message(number, result(DONE)))
            elif self._answer is None:
                return
            else:
                stream.sendall(self._answer(number))
