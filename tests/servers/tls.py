"""TLS listeners for tests, on loopback: an authority, nginx with a listener of each kind, ports that misbehave."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import struct
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from servers.processes import Daemon, find_program, free_port

HOST = "127.0.0.1"
DAY = datetime.timedelta(days=1)


class Certificate(NamedTuple):
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """A private certification authority that writes into a folder.

    Args:
        folder: made where it does not exist.
        name: of the authority.
        organization: that it says to be of; none when None.
    """

    def __init__(self, folder: Path, name: str = "azpreflight tests", organization: str | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
        if organization is not None:
            attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        self._name = x509.Name(attributes)
        now = datetime.datetime.now(datetime.UTC)
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        certificate = (
            _builder(self._name, self._name, self._key, now - 30 * DAY, now + 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(identifier, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self._identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
        self.file = folder / "authority.pem"
        """What a client has to trust."""
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self, *names: str, expired: bool = False, not_yet_valid: bool = False, for_client: bool = False
    ) -> Certificate:
        """A server's or client's certificate for DNS names and IP addresses, the first of which is its subject."""
        now = datetime.datetime.now(datetime.UTC)
        start = now + 10 * DAY if not_yet_valid else now - 20 * DAY
        end = now - 10 * DAY if expired else now + 20 * DAY
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        purpose = ExtendedKeyUsageOID.CLIENT_AUTH if for_client else ExtendedKeyUsageOID.SERVER_AUTH
        certificate = (
            _builder(subject, self._name, key, start, end)
            .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(self._identifier, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return _written(self._folder, certificate, key)

    def context(self) -> ssl.SSLContext:
        """What a client uses that trusts this authority and no other."""
        return ssl.create_default_context(cafile=str(self.file))


def self_signed(folder: Path, *names: str) -> Certificate:
    """A certificate that is its own authority, as nodes make for WinRM; the first name is its subject."""
    now = datetime.datetime.now(datetime.UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    certificate = (
        _builder(subject, subject, key, now - DAY, now + DAY)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _written(folder, certificate, key)


def _written(folder: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Certificate:
    stem = f"{certificate.serial_number:x}"
    files = Certificate(folder / f"{stem}.pem", folder / f"{stem}.key")
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.key.touch(mode=0o600)
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    start: datetime.datetime,
    end: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@dataclass(frozen=True)
class Site:
    """What one listener of nginx is like. certificate: None for plain HTTP. protocols: as nginx names them."""

    certificate: Certificate | None
    protocols: Sequence[str] = ("TLSv1.2", "TLSv1.3")
    status: int = 200


NAMES = ("localhost", "service.example", HOST)
"""What good certificates are for."""


def sites(authority: Authority, unknown: Authority) -> dict[str, Site]:
    """The listeners of the fixture."""
    good = authority.issue(*NAMES)
    return {
        "http": Site(None),
        "modern": Site(good),
        "tls1.0": Site(good, ["TLSv1"]),
        "tls1.1": Site(good, ["TLSv1.1"]),
        "tls1.2": Site(good, ["TLSv1.2"]),
        "tls1.3": Site(good, ["TLSv1.3"]),
        "forbidden": Site(good, status=403),
        "not-found": Site(good, status=404),
        "redirect": Site(good, status=302),
        "expired": Site(authority.issue(*NAMES, expired=True)),
        "not-yet-valid": Site(authority.issue(*NAMES, not_yet_valid=True)),
        "wrong-name": Site(authority.issue("elsewhere.example")),
        "unknown-authority": Site(unknown.issue(*NAMES)),
    }


class Nginx:
    """nginx with one port for each site, as a context manager."""

    def __init__(self, folder: Path, listeners: Mapping[str, Site]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._listeners = listeners
        self._ports: dict[str, int] = {}
        nginx = find_program("nginx", "nginx-light")
        command = [nginx, "-p", f"{folder}/", "-e", "stderr", "-c", f"{folder}/nginx.conf"]
        self._daemon = Daemon(command, folder)

    def port(self, name: str) -> int:
        """The port of a listener."""
        return self._ports[name]

    def __enter__(self) -> Self:
        self._daemon.start_configured(self._configure, self._ready)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._daemon.stop()

    def _ready(self) -> bool:
        # nginx listens on all ports or ends.
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.port("http")), timeout=1):
            return True
        return False

    def _configure(self) -> None:
        ports: dict[str, int] = {}
        while len(set(ports.values())) < len(self._listeners):
            ports = {name: free_port() for name in self._listeners}
        self._ports = ports
        temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        lines = [
            "daemon off; master_process off; pid nginx.pid; error_log stderr;",
            "events { worker_connections 512; }",
            "http {",
            "  access_log off; server_tokens off; default_type text/plain;",
            *(f"  {name}_temp_path {self._folder}/{name};" for name in temporary),
            *(_server(ports[name], site) for name, site in self._listeners.items()),
            "}",
        ]
        (self._folder / "nginx.conf").write_text("\n".join(lines) + "\n")


def _server(port: int, site: Site) -> str:
    answer = f'location / {{ return {site.status} "stand-in\\n"; }}'
    if site.certificate is None:
        return f"  server {{ listen {HOST}:{port}; {answer} }}"
    # Security level 0: OpenSSL 3 takes no TLS before 1.2 otherwise.
    return (
        f"  server {{ listen {HOST}:{port} ssl; ssl_certificate {site.certificate.certificate};"
        f" ssl_certificate_key {site.certificate.key}; ssl_protocols {' '.join(site.protocols)};"
        f" ssl_ciphers ALL:@SECLEVEL=0; {answer} }}"
    )


class OddPorts:
    """A port that takes connections and says nothing, one that resets them, a closed one; as a context manager."""

    def __enter__(self) -> Self:
        self._stopping = threading.Event()
        # Never accepted: the system completes the connections by itself.
        self._silent = socket.create_server((HOST, 0), backlog=1024)
        self._resetting = socket.create_server((HOST, 0), backlog=64)
        # Bound without listening, the port refuses, and nobody else can take it.
        self._closed = socket.socket()
        self._closed.bind((HOST, 0))
        self._thread = threading.Thread(target=self._reset_all, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(timeout=2)
        for listener in (self._silent, self._resetting, self._closed):
            listener.close()

    def port(self, name: str) -> int:
        """The port `silent`, `reset` or `closed`."""
        listener = {"silent": self._silent, "reset": self._resetting, "closed": self._closed}[name]
        port: int = listener.getsockname()[1]
        return port

    def _reset_all(self) -> None:
        self._resetting.settimeout(0.05)
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = self._resetting.accept()
                threading.Thread(target=_reset, args=(connection,), daemon=True).start()


def _reset(connection: socket.socket) -> None:
    """End a connection with a reset as soon as the client has said something, so that it has surely connected."""
    with connection, contextlib.suppress(OSError):
        connection.settimeout(1)
        connection.recv(1)
        # Closing with a linger time of zero sends RST in place of FIN.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class TlsServers:
    """Everything above, as a context manager."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.authority = authority
        unknown = Authority(folder / "unknown", "an authority that nobody knows")
        self._nginx = Nginx(folder / "nginx", sites(authority, unknown))
        self._odd = OddPorts()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._nginx)
            stack.enter_context(self._odd)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def port(self, name: str) -> int:
        """The port on 127.0.0.1 of a site, or of `silent`, `reset` or `closed`."""
        return self._odd.port(name) if name in ("silent", "reset", "closed") else self._nginx.port(name)

    def url(self, name: str, host: str = "localhost") -> str:
        """The URL of a site."""
        return f"{'http' if name == 'http' else 'https'}://{host}:{self.port(name)}/"
