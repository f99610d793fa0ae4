"""A closer look at a node that could not be talked to: bare connections that carry no HTTP and no credential."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

LOOK_SECONDS = 2.0
"""How long one look may take."""

_OTHER = {5985: (5986, "true"), 5986: (5985, "false")}
"""The default ports of WinRM, each with the other one and what `winrm.https` has to be for that."""
_MOST_NAMES = 5


def other_default_port(host: str, port: int, seconds: float = LOOK_SECONDS) -> str:
    """What to set when WinRM's other default port is open; "" when it is not, or `port` is none of the two."""
    if port not in _OTHER:
        return ""
    other, https = _OTHER[port]
    with contextlib.suppress(OSError), _connected(host, other, seconds):
        return f"; port {other} of the same machine is open, though: set winrm.https to {https}"
    return ""


def speaks_tls(host: str, port: int, seconds: float = LOOK_SECONDS) -> bool:
    """Whether a TLS handshake gets an answer in TLS."""
    try:
        presented_certificate(host, port, seconds)
    except ssl.SSLError as error:
        # An alert is TLS as well; what these name is not.
        return not isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)) and not is_no_tls(error)
    except OSError:
        return False
    return True


def is_no_tls(error: ssl.SSLError) -> bool:
    """Whether a handshake failed since the answer was no TLS: OpenSSL takes the first bytes for a strange version."""
    return error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")


def certificate_in_words(host: str, port: int, seconds: float = LOOK_SECONDS) -> str:
    """Whom the certificate on a port is for, who issued it and how long it holds; "" when it cannot be had."""
    from cryptography import x509

    try:
        certificate = x509.load_der_x509_certificate(presented_certificate(host, port, seconds))
        names = _names(certificate)
        issuer = "itself" if certificate.issuer == certificate.subject else _common_name(certificate.issuer)
        first, last = (_day(day) for day in (certificate.not_valid_before_utc, certificate.not_valid_after_utc))
    except (OSError, ValueError):
        return ""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    whom = ", ".join(names[:_MOST_NAMES]) or "nobody"
    return f"; the certificate is for {whom}{more}, issued by {issuer}, valid from {first} to {last}"


def presented_certificate(host: str, port: int, seconds: float) -> bytes:
    """The certificate that a TLS listener presents, in DER, verified by nobody.

    Raises:
        OSError: no connection, or no TLS (`ssl.SSLError`).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Only to read what a verified handshake has refused already; nothing is sent over this connection.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with _connected(host, port, seconds) as connection:
        connection.settimeout(seconds)
        with context.wrap_socket(connection, server_hostname=host) as stream:
            return stream.getpeercert(binary_form=True) or b""


def _connected(host: str, port: int, seconds: float) -> socket.socket:
    return socket.create_connection((host, port), timeout=max(0.01, seconds))


def _names(certificate: x509.Certificate) -> list[str]:
    """The names and addresses of a certificate; of an old one without any, its common name."""
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [_common_name(certificate.subject)]
    return [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]


def _common_name(name: x509.Name) -> str:
    from cryptography.x509.oid import NameOID

    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()


def _day(moment: datetime.datetime) -> str:
    return moment.date().isoformat()
