"""Authentication of a connection: Basic, certificates, and NTLM, Kerberos and CredSSP with message encryption."""

import base64
import binascii
import hashlib
import struct
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import spnego
import spnego.exceptions

from servers.processes import environment

ENCRYPTED_PROTOCOLS = {
    "negotiate": b"application/HTTP-SPNEGO-session-encrypted",
    "credssp": b"application/HTTP-CredSSP-session-encrypted",
}
"""How encrypted messages call their encryption, by the scheme of the header that authenticated."""
MUTUAL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
"""The Authorization header of a client that authenticates by its certificate."""
LARGEST_PART = 16384
"""Bytes of a message in one part under CredSSP: as much as a TLS record takes."""
_BOUNDARY = b"--Encrypted Boundary"
_FINAL = b"NTLMSSP\0\3\0\0\0"
_FINAL_HEADER = 64
_KERBEROS = bytes.fromhex("06092a864886f712010202")
"""The mechanism's identifier, with which a bare Kerberos token begins."""
_OCTETS = b"\tContent-Type: application/octet-stream\r\n"

# pyspnego's acceptor finds accounts and keytabs through environment variables only, which the whole process shares.
# Every use of them happens under this lock, with the files of the server itself.
_USER_FILE_LOCK = threading.Lock()


class UndecryptableError(Exception):
    """A message that this connection's security context cannot open."""


class RefusedError(Exception):
    """The exchange ended without access."""

    def __init__(self, user: str) -> None:
        super().__init__(user)
        self.user = user


@dataclass
class Accounts:
    """The accounts of a node: user name, perhaps `DOMAIN\\name`, to password.

    keytab: of the node in a Kerberos realm. certificates: users by the thumbprint of the certificate mapped to them.
    """

    machine: str
    passwords: Mapping[str, str]
    keytab: Path | None = None
    certificates: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for user, password in self.passwords.items():
            if any(mark in text for text in (user, password) for mark in ":\r\n"):
                raise ValueError("the acceptor's file format allows no colon and no line break in names and passwords")

    def accepts(self, user: str, password: str) -> bool:
        """Whether a user logs on with this password."""
        return any(
            entry.lower() == f"{domain}\\{name}".lower() and secret == password
            for domain, name, secret in self._entries()
            for entry in [user if "\\" in user else f"\\{user}"]
        )

    def plain(self, user: str) -> str:
        """The name of a user as the accounts spell it: without domain for local ones."""
        domain, _, name = user.rpartition("\\")
        local = domain.lower() in {"", ".", self.machine.lower()}
        known = name if local else user
        return next((account for account in self.passwords if account.lower() == known.lower()), known)

    def _entries(self) -> Iterator[tuple[str, str, str]]:
        for user, password in self.passwords.items():
            domain, slash, name = user.rpartition("\\")
            if slash:
                yield domain, name, password
            else:
                # A client may leave the domain of a local account out, write a dot, or name the machine.
                for local in ("", ".", self.machine):
                    yield local, name, password

    @contextmanager
    def user_file(self) -> Iterator[None]:
        """Let pyspnego see these accounts."""
        lines = "".join(f"{domain}:{name}:{password}\n" for domain, name, password in self._entries())
        with _USER_FILE_LOCK, tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
            file.write(lines)
            file.flush()
            wanted = {"NTLM_USER_FILE": file.name}
            if self.keytab is not None:
                wanted["KRB5_KTNAME"] = str(self.keytab)
            with environment(wanted):
                yield


def basic_credentials(header: str) -> tuple[str, str]:
    """User and password of a Basic header; RefusedError when it holds none."""
    try:
        user, colon, password = base64.b64decode(header, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise RefusedError("") from None
    if not colon:
        raise RefusedError(user)
    return user, password


def thumbprint(certificate: bytes) -> str:
    """What Windows calls a certificate (DER) by."""
    return hashlib.sha1(certificate, usedforsecurity=False).hexdigest().upper()


@dataclass
class SecurityContext:
    """One exchange of tokens and the encryption that follows from it. scheme: of the header, `credssp` or another."""

    accounts: Accounts
    scheme: str = "negotiate"
    _context: spnego.ContextProxy | None = None
    user: str = field(default="", init=False)

    @property
    def complete(self) -> bool:
        """Whether the user is known."""
        return self._context is not None and self._context.complete

    def step(self, token: bytes) -> bytes | None:
        """Take a token, give the one to answer with; RefusedError ends the exchange."""
        try:
            with self.accounts.user_file():
                if self._context is None:
                    self._context = self._acceptor(token)
                answer = self._context.step(token)
        except (spnego.exceptions.SpnegoError, struct.error, ValueError, AttributeError):
            # The last one comes from pyspnego, when Kerberos refuses a ticket before a context exists.
            raise RefusedError(self.accounts.plain(_ntlm_user(token))) from None
        if self._context.complete:
            self.user = self.accounts.plain(self._context.client_principal or "")
        return answer

    @property
    def protocol(self) -> str:
        """What encrypted messages call their encryption."""
        return ENCRYPTED_PROTOCOLS[self.scheme].decode()

    def _acceptor(self, token: bytes) -> spnego.ContextProxy:
        if self.scheme == "credssp":
            return spnego.server(protocol="credssp", options=spnego.NegotiateOptions.use_negotiate)
        if token.startswith(b"NTLMSSP\0"):
            return spnego.server(protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
        if self.accounts.keytab is not None and is_kerberos(token):
            return spnego.server(protocol="kerberos", options=spnego.NegotiateOptions.use_gssapi)
        return spnego.server(protocol="negotiate", options=spnego.NegotiateOptions.use_negotiate)

    def decrypt(self, body: bytes) -> bytes:
        """Open a `multipart/encrypted` or `multipart/x-multi-encrypted` body."""
        pieces = body.split(_BOUNDARY + b"\r\n")[1:]
        if not pieces or len(pieces) % 2:
            raise UndecryptableError
        return b"".join(self._open(header, data) for header, data in zip(pieces[::2], pieces[1::2], strict=True))

    def _open(self, header: bytes, part: bytes) -> bytes:
        length = header.rpartition(b"Length=")[2].split(b"\r\n", 1)[0].strip()
        data = part.removeprefix(_OCTETS).removesuffix(b"\r\n").removesuffix(b"--").removesuffix(_BOUNDARY)
        known = ENCRYPTED_PROTOCOLS[self.scheme] in header and part.startswith(_OCTETS)
        if not known or len(data) < 4 or not length.isdigit():
            raise UndecryptableError
        signature = struct.unpack("<I", data[:4])[0]
        assert self._context is not None, "only complete contexts decrypt"
        try:
            message = self._context.unwrap_winrm(data[4 : 4 + signature], data[4 + signature :])
        except spnego.exceptions.SpnegoError:
            raise UndecryptableError from None
        if len(message) != int(length):
            raise UndecryptableError
        return message

    def encrypt(self, message: bytes) -> bytes:
        """Close an answer into a `multipart/encrypted` body."""
        size = LARGEST_PART if self.scheme == "credssp" else max(1, len(message))
        parts = [message[start : start + size] for start in range(0, max(1, len(message)), size)]
        return b"".join([*map(self._close, parts), _BOUNDARY + b"--\r\n"])

    def _close(self, message: bytes) -> bytes:
        assert self._context is not None, "only complete contexts encrypt"
        wrapped = self._context.wrap_winrm(message)
        original = f"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length={len(message)}\r\n".encode()
        return b"".join(
            [
                _BOUNDARY + b"\r\n\tContent-Type: " + ENCRYPTED_PROTOCOLS[self.scheme] + b"\r\n",
                original,
                _BOUNDARY + b"\r\n" + _OCTETS,
                struct.pack("<I", len(wrapped.header)) + wrapped.header + wrapped.data,
            ]
        )


def is_final_token(token: bytes) -> bool:
    """Whether a token holds NTLM's third message, which proves a password."""
    return _FINAL in token


def is_kerberos(token: bytes) -> bool:
    """Whether a token is one of Kerberos, without SPNEGO around it, as pywinrm sends them."""
    return _KERBEROS in token[:24]


def _ntlm_user(token: bytes) -> str:
    """Domain and user of NTLM's third message, bare or inside SPNEGO, for the log of a failure."""
    message = token[token.find(_FINAL) :] if _FINAL in token else b""
    if len(message) < _FINAL_HEADER:
        return ""
    fields = []
    for offset in (28, 36):
        length, _, start = struct.unpack_from("<HHI", message, offset)
        fields.append(message[start : start + length].decode("utf-16-le", errors="replace"))
    return "\\".join(text for text in fields if text)
