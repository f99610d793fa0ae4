"""Chains of certificates as plain data: real certificates, unusual ones, and bytes that are none."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from azpreflight.facts.chains import MOST_CERTIFICATES, MOST_CHARACTERS, MOST_NAMES, chain_of_der, chain_of_pem
from servers.tls import HOST, Authority, self_signed

NOW = datetime.datetime(2026, 11, 20, tzinfo=datetime.UTC)
SERIAL = 0x3344556677889911


def made(
    subject: str, *, serial: int = SERIAL, names: Sequence[str] = (), extra: x509.ExtensionType | None = None
) -> bytes:
    """A certificate that is its own issuer, in DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(NOW)
        .not_valid_after(NOW + datetime.timedelta(days=1))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    if extra is not None:
        builder = builder.add_extension(extra, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def test_a_leaf_and_what_issued_it(authority: Authority) -> None:
    leaf = authority.issue("service.example", HOST)
    text = leaf.certificate.read_text() + "Subject: noise\n" + authority.file.read_text()
    first, second = chain_of_pem(text) or []
    assert (first["subject"], first["issuer"]) == ("CN=service.example", "CN=azpreflight tests")
    assert (first["common_name"], first["issuer_name"]) == ("service.example", "azpreflight tests")
    assert first["organization"] is None
    assert first["names"] == ["service.example", HOST]
    assert [first["self_issued"], second["self_issued"]] == [False, True]
    assert second["subject"] == first["issuer"]
    certificate = x509.load_pem_x509_certificate(leaf.certificate.read_bytes())
    assert first["sha256"] == certificate.fingerprint(hashes.SHA256()).hex()


def test_a_chain_begins_with_its_leaf_whatever_the_order_it_came_in(authority: Authority) -> None:
    leaf, issuer = authority.issue("service.example").certificate.read_text(), authority.file.read_text()
    assert chain_of_pem(issuer + leaf) == chain_of_pem(leaf + issuer)
    alone = made("a")
    assert [found["common_name"] for found in chain_of_der([alone, made("b")]) or []] == ["a", "b"]
    assert len(chain_of_der([alone, alone]) or []) == 2


def test_moments_are_utc() -> None:
    (found,) = chain_of_der([made("a.example")]) or []
    assert (found["not_before"], found["not_after"]) == ("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z")


def test_a_serial_number_below_zero_is_told() -> None:
    der = made("a.example")
    negative = der.replace(SERIAL.to_bytes(8, "big"), (SERIAL | 1 << 63).to_bytes(8, "big"), 1)
    assert [chain_of_der([data])[0]["negative_serial"] for data in (der, negative)] == [False, True]  # type: ignore[index]


def test_text_in_a_certificate_is_bounded_and_controls_nothing() -> None:
    (found,) = chain_of_der([made("a\x1b[2J\nb")]) or []
    assert found["common_name"] == "a [2J b"
    assert found["subject"].isprintable()
    (found,) = chain_of_der([made("a", names=[f"{n}.example" for n in range(MOST_NAMES + 50)])]) or []
    assert len(found["names"]) == MOST_NAMES
    (found,) = chain_of_der([made("a", names=["x" * 1000])]) or []
    assert len(found["names"][0]) == MOST_CHARACTERS


def test_names_that_cannot_be_read_are_not_no_names() -> None:
    broken = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x30\x03\x82\x01")
    (found,) = chain_of_der([made("a", extra=broken)]) or []
    assert found["names"] is None
    (found,) = chain_of_der([made("a")]) or []
    assert found["names"] == []


def test_a_chain_ends_where_it_cannot_be_read() -> None:
    good = made("a")
    assert len(chain_of_der([good, b"\x30\x00", good]) or []) == 1
    assert chain_of_der([b"", good]) is None
    assert chain_of_der([]) is None
    assert len(chain_of_der([good] * 50) or []) == MOST_CERTIFICATES


def test_a_self_signed_certificate_is_its_own_issuer(authority: Authority) -> None:
    (found,) = chain_of_pem(self_signed(authority.file.parent, "node.example").certificate.read_text()) or []
    assert found["self_issued"]


def test_a_version_that_does_not_exist_is_no_certificate() -> None:
    der = made("a")
    assert chain_of_der([der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x63", 1)]) is None


@given(st.text() | st.text().map(lambda text: f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----"))
def test_any_text_is_a_chain_or_none(text: str) -> None:
    assert chain_of_pem(text) is None


@given(st.lists(st.binary(max_size=200), max_size=3), st.integers(0, 500), st.binary(min_size=1, max_size=3))
def test_any_bytes_are_a_chain_or_none(certificates: list[bytes], at: int, change: bytes) -> None:
    der = _DER[:at] + change + _DER[at + len(change) :]
    for data in ([*certificates], [der, *certificates]):
        found = chain_of_der(data)
        assert found is None or json.loads(json.dumps(found)) == found


_DER = made("a.example", names=["a.example"])
