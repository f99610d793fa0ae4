"""The proxies of the tests are what they claim to be, as seen by curl."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from servers.proxies import PASSWORD, Proxy, inspecting, refusing
from servers.tls import TlsServers


def asked(curl: str, *arguments: str) -> tuple[int, str]:
    """Exit code, and answer to CONNECT, status and certificate's issuer."""
    variables = "%{http_connect} %{http_code} %{certs}"
    command = [curl, "-q", "-sS", "-o", "/dev/null", "-w", variables, "--noproxy", "", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return done.returncode, done.stdout


@pytest.mark.usefixtures("mitmproxy")
def test_the_inspecting_one_shows_certificates_of_its_own(curl: str, tmp_path: Path, tls_servers: TlsServers) -> None:
    url, trusted = tls_servers.url("modern"), tls_servers.authority.file
    with inspecting(tmp_path / "mitm", trusted) as proxy:
        code, _ = asked(curl, "--proxy", proxy.url, "--cacert", str(trusted), url)
        assert code == 60
        code, told = asked(curl, "--proxy", proxy.url, "--cacert", str(proxy.authority), url)
    assert code == 0
    assert told.startswith("200 200 ")
    assert "Issuer:CN = mitmproxy, O = mitmproxy" in told


@pytest.mark.usefixtures("tinyproxy")
def test_the_refusing_one_connects_to_what_is_allowed(curl: str, tmp_path: Path, tls_servers: TlsServers) -> None:
    trusted = str(tls_servers.authority.file)
    with refusing(tmp_path / "tiny", tls_servers.port("modern")) as proxy:
        allowed = asked(curl, "--proxy", proxy.url, "--cacert", trusted, tls_servers.url("modern"))
        refused = asked(curl, "--proxy", proxy.url, "--cacert", trusted, tls_servers.url("tls1.2"))
    assert (allowed[0], allowed[1][:7]) == (0, "200 200")
    assert (refused[0], refused[1][:7]) == (56, "403 000")


def test_the_one_with_a_password_takes_the_right_one(curl: str, login_proxy: Proxy, tls_servers: TlsServers) -> None:
    arguments = ("--cacert", str(tls_servers.authority.file), tls_servers.url("modern"))
    without = asked(curl, "--proxy", login_proxy.url, *arguments)
    with_it = asked(curl, "--proxy", login_proxy.url, "--proxy-user", f"operator:{PASSWORD}", *arguments)
    assert (without[0], without[1][:7]) == (56, "407 000")
    assert (with_it[0], with_it[1][:7]) == (0, "200 200")
