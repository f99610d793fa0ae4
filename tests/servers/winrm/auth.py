"""Authentication of a connection: Basic, and NTLM with message encryption."""

import base64
import binascii
import os
import struct
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import spnego
import spnego.exceptions

ENCRYPTED_PROTOCOL = b"application/HTTP-SPNEGO-session-encrypted"
_BOUNDARY = b"--Encrypted Boundary"
_FINAL = b"NTLMSSP\0\3\0\0\0"
_FINAL_HEADER = 64
_OCTETS = b"\tContent-Type: application/octet-stream\r\n"

# pyspnego's acceptor finds its accounts through an environment variable only, which the whole process shares.
# Every use of it happens under this lock, with a file of the server's own accounts.
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
    """The accounts of a node: user name, perhaps `DOMAIN\\name`, to password."""

    machine: str
    passwords: Mapping[str, str]

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
            before = os.environ.get("NTLM_USER_FILE")
            os.environ["NTLM_USER_FILE"] = file.name
            try:
                yield
            finally:
                if before is None:
                    del os.environ["NTLM_USER_FILE"]
                else:
                    os.environ["NTLM_USER_FILE"] = before


def basic_credentials(header: str) -> tuple[str, str]:
    """User and password of a Basic header; RefusedError when it holds none."""
    try:
        user, colon, password = base64.b64decode(header, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise RefusedError("") from None
    if not colon:
        raise RefusedError(user)
    return user, password


@dataclass
class SecurityContext:
    """One NTLM exchange and the encryption that follows from it."""

    accounts: Accounts
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
                    raw = token.startswith(b"NTLMSSP\0")
                    protocol = "ntlm" if raw else "negotiate"
                    options = spnego.NegotiateOptions.use_ntlm if raw else spnego.NegotiateOptions.use_negotiate
                    self._context = spnego.server(protocol=protocol, options=options)
                answer = self._context.step(token)
        except (spnego.exceptions.SpnegoError, struct.error, ValueError):
            raise RefusedError(self.accounts.plain(_ntlm_user(token))) from None
        if self._context.complete:
            self.user = self.accounts.plain(self._context.client_principal or "")
        return answer

    def decrypt(self, body: bytes) -> bytes:
        """Open a `multipart/encrypted` body."""
        header, found, rest = body.partition(_OCTETS)
        length = header.rpartition(b"Length=")[2].split(b"\r\n", 1)[0].strip()
        data = rest.removesuffix(b"\r\n").removesuffix(b"--").removesuffix(_BOUNDARY)
        if not found or ENCRYPTED_PROTOCOL not in header or len(data) < 4 or not length.isdigit():
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
        assert self._context is not None, "only complete contexts encrypt"
        wrapped = self._context.wrap_winrm(message)
        original = f"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length={len(message)}\r\n".encode()
        return b"".join(
            [
                _BOUNDARY + b"\r\n\tContent-Type: " + ENCRYPTED_PROTOCOL + b"\r\n",
                original,
                _BOUNDARY + b"\r\n" + _OCTETS,
                struct.pack("<I", len(wrapped.header)) + wrapped.header + wrapped.data,
                _BOUNDARY + b"--\r\n",
            ]
        )


def is_final_token(token: bytes) -> bool:
    """Whether a token holds NTLM's third message, which proves a password."""
    return _FINAL in token


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
