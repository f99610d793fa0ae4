"""The certificates that a server showed, as plain data: what both sides, node and operator, tell of a chain."""

from __future__ import annotations

import datetime
import itertools
import re
import threading
import warnings
from collections.abc import Callable, Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from azpreflight.facts.text import one_line
from azpreflight.model import Value

MOST_CERTIFICATES = 10
"""Of one chain; real ones have four at most."""
MOST_BYTES = 64 * 1024
"""Of one certificate."""
MOST_NAMES = 100
MOST_CHARACTERS = 300

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
# Filters of warnings belong to the process, and chains are read by several threads.
_WARNINGS = threading.Lock()


def chain_of_pem(text: str) -> list[Value] | None:
    """The certificates in a text, leaf first; None where it holds none that can be read. See `chain_of_der`."""
    found = _PEM.findall(text[: MOST_CERTIFICATES * MOST_BYTES])
    return _chain(x509.load_pem_x509_certificate, [pem.encode() for pem in found])


def chain_of_der(certificates: Sequence[bytes]) -> list[Value] | None:
    """The certificates of one chain, leaf first, each as a plain object; None where not even the first can be read.

    subject, issuer: names as of RFC 4514. common_name: of the subject. issuer_name, organization: of the issuer.
    self_issued: subject and issuer are the same. sha256: of the DER, hex. not_before, not_after: ISO 8601, UTC. names:
    DNS names and addresses, None where they cannot be read. negative_serial: the serial number is below zero.
    """
    return _chain(x509.load_der_x509_certificate, certificates)


def _chain(load: Callable[[bytes], x509.Certificate], certificates: Sequence[bytes]) -> list[Value] | None:
    found: list[Value] = []
    for data in certificates[:MOST_CERTIFICATES]:
        try:
            # A serial number below zero is worth a warning to the library, and a word in the fact to us.
            with _WARNINGS, warnings.catch_warnings(action="ignore"):
                found.append(_described(load(data[:MOST_BYTES])))
        except (ValueError, TypeError, x509.InvalidVersion):
            # All that cryptography raises for bytes that are no certificate. What comes after them is not its issuer.
            break
    return _leaf_first(found) or None


def _leaf_first(chain: list[Value]) -> list[Value]:
    """The chain, turned round where its first certificate issued the second.

    curl with Schannel tells it root first on Windows Server 2016 and later, until curl 8.3.
    """
    issued = any(first["subject"] == second["issuer"] for first, second in itertools.pairwise(chain[:2]))
    return chain[::-1] if issued and not chain[1]["self_issued"] else chain


def _described(certificate: x509.Certificate) -> Value:
    subject, issuer = certificate.subject, certificate.issuer
    return {
        "subject": _text(subject.rfc4514_string()),
        "issuer": _text(issuer.rfc4514_string()),
        "common_name": _part(subject, NameOID.COMMON_NAME),
        "issuer_name": _part(issuer, NameOID.COMMON_NAME),
        "organization": _part(issuer, NameOID.ORGANIZATION_NAME),
        "self_issued": subject == issuer,
        "sha256": certificate.fingerprint(hashes.SHA256()).hex(),
        "not_before": _moment(certificate.not_valid_before_utc),
        "not_after": _moment(certificate.not_valid_after_utc),
        "names": _names(certificate),
        "negative_serial": certificate.serial_number < 0,
    }


def _part(name: x509.Name, kind: x509.ObjectIdentifier) -> str | None:
    found = name.get_attributes_for_oid(kind)
    return _text(str(found[0].value)) if found else None


def _names(certificate: x509.Certificate) -> list[Value] | None:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return None
    told = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    return [_text(name) for name in told[:MOST_NAMES]]


def _moment(moment: datetime.datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _text(text: str) -> str:
    """What somebody wrote into a certificate."""
    return one_line(text, MOST_CHARACTERS)
