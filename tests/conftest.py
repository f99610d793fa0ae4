"""Servers that many tests talk to: started once for each session, ended with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from servers.dns import DnsServer
from servers.processes import MissingProgramError, find_program
from servers.proxies import Proxy, mitmdump, wanting_a_password
from servers.tls import Authority, TlsServers


def needed(name: str, package: str, find: Callable[[], str] | None = None) -> str:
    """The path of a program. Without it the test fails and says how to get it: a skipped test looks like a good one.

    find: for a program that no package brings.
    """
    try:
        return find() if find is not None else find_program(name, package)
    except MissingProgramError as error:
        message = str(error)
    pytest.fail(message, pytrace=False)


@pytest.fixture(scope="session")
def curl() -> str:
    """The path of curl."""
    return needed("curl", "curl")


@pytest.fixture(scope="session")
def openssl() -> str:
    """The path of the openssl program."""
    return needed("openssl", "openssl")


@pytest.fixture(scope="session")
def dns_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DnsServer]:
    """BIND with a server of each kind; see `servers.dns.VIEWS`."""
    needed("named", "bind9")
    with DnsServer(tmp_path_factory.mktemp("dns")) as server:
        yield server


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A private certification authority."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def tls_servers(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[TlsServers]:
    """A listener of each kind; see `servers.tls.sites` and `OddPorts`."""
    needed("nginx", "nginx-light")
    with TlsServers(tmp_path_factory.mktemp("tls"), authority) as servers:
        yield servers


@pytest.fixture(scope="session")
def login_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """proxy.py, which wants a password."""
    with wanting_a_password(tmp_path_factory.mktemp("login-proxy")) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def mitmproxy() -> str:
    """The path of mitmdump, which inspects TLS."""
    return needed("mitmdump", "mitmproxy", mitmdump)


@pytest.fixture(scope="session")
def tinyproxy() -> str:
    """The path of tinyproxy, which refuses CONNECT to some ports."""
    return needed("tinyproxy", "tinyproxy-bin")
