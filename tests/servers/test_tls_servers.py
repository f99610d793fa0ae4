"""The TLS listeners of the tests are what they claim to be."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import warnings
from pathlib import Path

import pytest

from servers.tls import HOST, Authority, TlsServers

VERSIONS = {
    "tls1.0": ssl.TLSVersion.TLSv1,
    "tls1.1": ssl.TLSVersion.TLSv1_1,
    "tls1.2": ssl.TLSVersion.TLSv1_2,
    "tls1.3": ssl.TLSVersion.TLSv1_3,
}


def agrees_on(port: int, version: ssl.TLSVersion) -> bool:
    """Whether a listener takes a client that offers one version only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Without this OpenSSL 3 gives up on old versions by itself.
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.maximum_version = version
        context.minimum_version = version
    try:
        with socket.create_connection((HOST, port), timeout=5) as plain, context.wrap_socket(plain):
            return True
    except ssl.SSLError:
        return False


@pytest.mark.parametrize(
    ("name", "taken"),
    [*((name, [name]) for name in VERSIONS), ("modern", ["tls1.2", "tls1.3"]), ("expired", ["tls1.2", "tls1.3"])],
)
def test_each_listener_takes_its_versions_and_no_other(tls_servers: TlsServers, name: str, taken: list[str]) -> None:
    port = tls_servers.port(name)
    assert [label for label, version in VERSIONS.items() if agrees_on(port, version)] == taken


@pytest.mark.parametrize(
    ("name", "exit_code", "http_code"),
    [
        ("modern", 0, 200),
        ("forbidden", 0, 403),
        ("http", 0, 200),
        ("expired", 60, 0),
        ("not-yet-valid", 60, 0),
        ("wrong-name", 60, 0),
        ("unknown-authority", 60, 0),
        ("tls1.0", 35, 0),
        ("reset", 35, 0),
        ("closed", 7, 0),
        ("silent", 28, 0),
    ],
)
def test_curl_tells_the_listeners_apart(
    tls_servers: TlsServers, authority: Authority, curl: str, name: str, exit_code: int, http_code: int
) -> None:
    arguments = ["-q", "-s", "--cacert", str(authority.file), "--max-time", "1", "--noproxy", "*", "-o", "/dev/null"]
    done = subprocess.run(
        [curl, *arguments, "-w", "%{json}", tls_servers.url(name)], capture_output=True, timeout=20, check=False
    )
    assert (done.returncode, json.loads(done.stdout)["http_code"]) == (exit_code, http_code), done.stderr


def test_openssl_verifies_what_the_authority_issued(authority: Authority, openssl: str, tmp_path: Path) -> None:
    files = authority.issue("node.example", "192.0.2.11")
    command = [openssl, "verify", "-x509_strict", "-CAfile", str(authority.file), "-purpose", "sslserver"]
    for check in (["-verify_hostname", "node.example"], ["-verify_ip", "192.0.2.11"]):
        assert subprocess.run([*command, *check, str(files.certificate)], check=True, capture_output=True, cwd=tmp_path)
    other = Authority(tmp_path / "other").issue("node.example")
    assert subprocess.run([*command, str(other.certificate)], check=False, capture_output=True).returncode != 0


def test_python_trusts_the_authority_by_its_context(tls_servers: TlsServers, authority: Authority) -> None:
    with (
        socket.create_connection((HOST, tls_servers.port("tls1.3")), timeout=5) as plain,
        authority.context().wrap_socket(plain, server_hostname="service.example") as stream,
    ):
        assert stream.version() == "TLSv1.3"
