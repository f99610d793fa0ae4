"""The line to a domain controller: connecting, TLS, and a socket that waits no longer and takes no more than it may."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import socket
import ssl
from collections.abc import Iterator
from typing import Protocol

from cryptography import x509

from azpreflight.facts import verify_codes
from azpreflight.facts.deadline import GLANCE_SECONDS, Deadline
from azpreflight.facts.errors import WireError
from azpreflight.facts.network.stream import LookupFailedError, NoSuchNameError, connect
from azpreflight.facts.observation import Status
from azpreflight.facts.winrm.closer import is_no_tls
from azpreflight.site.model import Directory

CONNECT_SECONDS = 5.0
MOST_BYTES = 64 * 1024 * 1024
"""Of one answer, in all its messages."""

_ADVICE = {
    verify_codes.EXPIRED: "renew it, or correct the clock of this machine",
    verify_codes.NOT_YET_VALID: "correct the clock of this machine, or of the one that issued it",
    verify_codes.OTHER_NAME: "declare the name that it is for in directory.servers",
    verify_codes.OTHER_ADDRESS: "declare the name that it is for in directory.servers",
}


class Seal(Protocol):
    """What makes each message unreadable between both ends."""

    def wrap(self, data: bytes) -> bytes:
        """A message to be sent."""
        ...

    def unwrap(self, data: bytes) -> bytes:
        """A message that came.

        Raises:
            OSError: it is not what the other end sent.
        """
        ...


class Line:
    """A socket as ldap3 uses it, held to a deadline and a size; after `seal`, every message is sealed.

    Attributes:
        stream: the connected socket, after TLS the one that speaks it.
        until: when waiting ends; set anew for each question.
        error: why it broke; ldap3 hides that behind errors of its own.
    """

    def __init__(self, stream: socket.socket, until: Deadline) -> None:
        self.stream = stream
        self.until = until
        self.error: OSError | None = None
        self._left = MOST_BYTES
        self._seal: Seal | None = None
        self._sealed = b""

    def expect(self, until: Deadline) -> None:
        """A new question: its deadline, and the whole size again."""
        self.until = until
        self._left = MOST_BYTES

    def seal(self, seal: Seal) -> None:
        """Seal everything from here on."""
        self._seal = seal

    def sendall(self, data: bytes) -> None:
        """Send everything."""
        if self._seal is not None:
            sealed = self._seal.wrap(data)
            data = len(sealed).to_bytes(4) + sealed
        with self._noted():
            self.stream.settimeout(max(GLANCE_SECONDS, self.until.remaining))
            self.stream.sendall(data)

    def recv(self, size: int) -> bytes:
        """Some bytes, none when the other end has closed."""
        with self._noted():
            if self._seal is None:
                return self._received(size)
            while len(self._sealed) < 4 or len(self._sealed) < 4 + int.from_bytes(self._sealed[:4]):
                more = self._received(size)
                if not more:
                    return b""
                self._sealed += more
            end = 4 + int.from_bytes(self._sealed[:4])
            message, self._sealed = self._sealed[4:end], self._sealed[end:]
            return self._seal.unwrap(message)

    def shutdown(self, how: int) -> None:
        """As of a socket."""
        self.stream.shutdown(how)

    def close(self) -> None:
        """As of a socket."""
        self.stream.close()

    def _received(self, size: int) -> bytes:
        while (remaining := self.until.remaining) > 0:
            self.stream.settimeout(min(remaining, GLANCE_SECONDS))
            try:
                data = self.stream.recv(size)
            except TimeoutError:
                continue
            self._left -= len(data)
            if self._left < 0:
                raise OSError(f"the answer is longer than {MOST_BYTES} bytes")
            return data
        raise TimeoutError("no answer in time")

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.error = error
            raise


def connected(host: str, port: int, deadline: Deadline) -> socket.socket:
    """A TCP connection.

    Raises:
        OSError: there is none, for one of the reasons that `unreachable` has words for.
    """
    try:
        return connect(host, port, deadline.within(CONNECT_SECONDS)).detached()
    except (NoSuchNameError, LookupFailedError) as error:
        raise socket.gaierror(socket.EAI_NONAME, "no address") from error


def secured(stream: socket.socket, name: str, settings: Directory, deadline: Deadline) -> ssl.SSLSocket:
    """TLS on a connection, the certificate held to `name`, whatever host the connection leads to.

    Raises:
        ssl.SSLError: no TLS, or a certificate that is not accepted.
        OSError: the connection broke.
    """
    stream.settimeout(max(0.01, min(CONNECT_SECONDS, deadline.remaining)))
    try:
        return _context(settings.ca_file, verify=settings.verify).wrap_socket(stream, server_hostname=name)
    except ssl.SSLError:
        raise
    except ValueError as error:
        raise OSError(errno.EINVAL, "that is no name that a certificate can have") from error


@functools.lru_cache(maxsize=4)
def _context(ca_file: str | None, *, verify: bool) -> ssl.SSLContext:
    # Without a file, what the system trusts: domain members trust the authority of their forest there.
    context = ssl.create_default_context(cafile=ca_file)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def channel_binding(stream: socket.socket) -> bytes | None:
    """What ties a logon to this TLS channel (RFC 5929, tls-server-end-point); None without TLS."""
    if not isinstance(stream, ssl.SSLSocket):
        return None
    encoded = stream.getpeercert(binary_form=True) or b""
    try:
        algorithm = x509.load_der_x509_certificate(encoded).signature_hash_algorithm
    except ValueError:
        # Not verified, then, and odd; most are signed with this.
        algorithm = None
    name = algorithm.name if algorithm is not None and algorithm.name not in ("md5", "sha1") else "sha256"
    return b"tls-server-end-point:" + hashlib.new(name, encoded).digest()


def unreachable(error: OSError, controller: str, port: int) -> WireError:
    """Why there is no connection, or no TLS on it, with the way out."""
    place = f"{controller} port {port}"
    match error:
        case ssl.SSLCertVerificationError():
            advice = _ADVICE.get(error.verify_code, "name its authority in directory.ca_file")
            words = error.verify_message or error.reason
            reason = f"the TLS certificate of {place} is not accepted: {words}; {advice}"
        case ssl.SSLError() if is_no_tls(error):
            reason = f"{place} does not speak TLS: set directory.tls to starttls"
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError() | ConnectionResetError():
            reason = f"{place} ends connections in the TLS handshake: the domain controller has no certificate, perhaps"
        case ssl.SSLError():
            reason = f"no TLS session with {place}: {error.reason or 'for no reason given'}"
        case socket.gaierror():
            reason = f"the name {controller} does not resolve: correct directory.servers, or the DNS that is asked"
        case ConnectionRefusedError():
            reason = f"{place} refuses connections: no domain controller runs there, or a firewall rejects them"
        case TimeoutError():
            reason = f"no answer from {place}: the domain controller is off, or a firewall drops the packets"
        case _:
            reason = f"{place} cannot be reached: {error.strerror or type(error).__name__}"
    return WireError(Status.UNREACHABLE, reason)
