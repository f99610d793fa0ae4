"""The source `http` against nginx, odd ports and real proxies, on loopback, and beside curl."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from azpreflight.facts.collection import Collection
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.network import http as source
from azpreflight.facts.network.http import HttpSource
from azpreflight.facts.observation import Status
from azpreflight.facts.query import HttpQuery
from azpreflight.packs.load import load_packs
from azpreflight.site.model import Proxy
from servers.outside import black_hole
from servers.processes import environment
from servers.proxies import Proxy as ProxyServer
from servers.proxies import inspecting, over_tls, refusing
from servers.tls import HOST, Authority, OddPorts, TlsServers
from unit.facts.network.asked import answering, collected, rows_of, site_of

SHORT = 0.6
COLUMNS = {
    *("host", "port", "url", "tls", "connected", "http_code", "connect_code", "exit_code", "error"),
    *("remote_ip", "proxy", "revocation_skipped", "chain"),
}


@pytest.fixture(autouse=True)
def trusting(authority: Authority) -> Iterator[None]:
    """The system trusts the tests' authority, and its environment names a proxy that nobody asked for."""
    wrong = f"http://{HOST}:9"
    variables = {"SSL_CERT_FILE": str(authority.file), "https_proxy": wrong, "http_proxy": wrong, "ALL_PROXY": wrong}
    source.trusted.cache_clear()
    with environment(variables):
        yield
    source.trusted.cache_clear()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "CONNECT_SECONDS", SHORT)
    monkeypatch.setattr(source, "TRANSFER_SECONDS", SHORT)


def row_of(url: str, proxy: Proxy | None = None) -> Any:
    (row,) = rows_of(collected(HttpSource(), {"f": HttpQuery(urls=(url,))}, site_of(proxy=proxy))["f"])
    assert json.loads(json.dumps(row)) == row
    assert row.keys() == COLUMNS
    assert (row["url"], row["tls"], row["revocation_skipped"]) == (url, None, False)
    return row


def told(row: Any) -> tuple[bool, int, int]:
    return row["connected"], row["http_code"], row["exit_code"]


@pytest.mark.parametrize(
    ("listener", "status"), [("modern", 200), ("redirect", 302), ("forbidden", 403), ("not-found", 404), ("http", 200)]
)
def test_any_status_is_an_answer_and_redirects_are_not_followed(
    tls_servers: TlsServers, listener: str, status: int
) -> None:
    row = row_of(tls_servers.url(listener))
    assert (told(row), row["error"], row["remote_ip"], row["proxy"]) == ((True, status, 0), "", HOST, None)
    assert (row["chain"] is None) == (listener == "http")


@pytest.mark.parametrize(
    ("listener", "words"),
    [
        ("expired", "the certificate has expired"),
        ("not-yet-valid", "the certificate is not yet valid"),
        ("wrong-name", "the certificate is not valid for this name"),
        ("unknown-authority", "there is no local issuer: who signed the certificate is not known here"),
    ],
)
def test_a_certificate_that_nobody_can_trust_is_said_and_its_chain_shown(
    tls_servers: TlsServers, listener: str, words: str
) -> None:
    row = row_of(tls_servers.url(listener))
    assert (told(row), row["error"]) == ((True, 0, 60), words)
    assert row["chain"][0]["common_name"] == ("elsewhere.example" if listener == "wrong-name" else "localhost")


def test_an_address_is_held_to_the_certificate_too(tls_servers: TlsServers) -> None:
    assert told(row_of(tls_servers.url("modern", HOST))) == (True, 200, 0)
    row = row_of(tls_servers.url("wrong-name", HOST))
    assert (row["exit_code"], row["error"]) == (60, "the certificate is not valid for this address")


@pytest.mark.parametrize(
    "listener",
    [
        *("modern", "http", "forbidden", "not-found", "redirect", "expired", "not-yet-valid", "wrong-name"),
        *("unknown-authority", "tls1.0", "tls1.2", "tls1.3", "closed", "reset", "silent"),
    ],
)
def test_it_speaks_as_curl_does(
    tls_servers: TlsServers, authority: Authority, curl: str, quick: None, listener: str
) -> None:
    url = tls_servers.url(listener)
    arguments = ["-q", "-s", "--cacert", str(authority.file), "--max-time", "1", "--noproxy", "*", "-o", "/dev/null"]
    done = subprocess.run([curl, *arguments, "-w", "%{json}", url], capture_output=True, timeout=20, check=False)
    report = json.loads(done.stdout)
    row = row_of(url)
    assert (row["http_code"], row["exit_code"]) == (report["http_code"], report["exitcode"])
    assert row["connected"] == (bool(report["local_ip"]) or report["time_connect"] > 0)


@pytest.mark.parametrize(
    ("scheme", "data", "exit_code", "error"),
    [
        ("https", b"", 35, "the connection ended in the handshake"),
        ("https", b"HTTP/1.1 400 Bad Request\r\n\r\n", 35, "wrong version number, as where no TLS is spoken"),
        ("https", b"\x15\x03\x03\x00\x02\x02\x28", 35, "alert handshake failure"),
        ("http", b"", 52, "the connection ended before an answer"),
        ("http", b"HTTP/1.1 200 OK\r\nServer: x", 56, "the connection ended before an answer"),
        ("http", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 8, "the answer is no HTTP"),
        ("http", b"HTTP/1.1 0200 OK\r\n\r\n", 8, "the answer is no HTTP"),
        ("http", b"x" * 200_000, 8, "the answer has no end of its head"),
    ],
)
def test_answers_that_are_none(scheme: str, data: bytes, exit_code: int, error: str) -> None:
    with answering(data) as port:
        row = row_of(f"{scheme}://localhost:{port}/")
    assert (told(row), row["error"]) == ((True, 0, exit_code), error)


def test_a_server_that_drips_gets_no_more_time_than_a_silent_one(quick: None) -> None:
    started = time.monotonic()
    with answering(b"HTTP/1.1 200 OK\r\nx: y", byte_by_byte=0.02) as port:
        row = row_of(f"http://localhost:{port}/")
    assert (told(row), row["error"]) == ((True, 0, 28), "nothing answered in time")
    with answering(b"\x16\x03\x03\x3f\xff" + bytes(99), byte_by_byte=0.02) as port:
        row = row_of(f"https://localhost:{port}/")
    assert (told(row), row["error"]) == ((True, 0, 28), "the TLS session was not agreed on in time")
    assert time.monotonic() - started < 4 * SHORT


def test_an_answer_to_wait_for_another_is_not_the_answer() -> None:
    with answering(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n") as port:
        assert told(row_of(f"http://localhost:{port}/")) == (True, 204, 0)


def test_a_name_without_an_address() -> None:
    row = row_of("https://no-such-host.invalid/")
    assert (told(row), row["remote_ip"]) == ((False, 0, 6), None)


def test_a_filtered_port_and_a_silent_server_are_timeouts_at_different_places(
    tls_servers: TlsServers, quick: None
) -> None:
    with black_hole() as port:
        row = row_of(f"https://localhost:{port}/")
        assert (told(row), row["error"]) == ((False, 0, 28), "the connection timed out")
    silent = f"localhost:{tls_servers.port('silent')}/"
    row = row_of(f"https://{silent}")
    assert (told(row), row["error"]) == ((True, 0, 28), "the TLS session was not agreed on in time")
    row = row_of(f"http://{silent}")
    assert (told(row), row["error"]) == ((True, 0, 28), "nothing answered in time")


def test_a_hundred_urls_of_which_ten_are_black_holes_take_about_one_timeout(
    tls_servers: TlsServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "CONNECT_SECONDS", SHORT)
    with black_hole() as hole:
        ports = [hole if number % 10 == 0 else tls_servers.port("modern") for number in range(100)]
        urls = tuple(f"https://localhost:{port}/{number}" for number, port in enumerate(ports))
        started = time.monotonic()
        rows = rows_of(collected(HttpSource(), {"f": HttpQuery(urls=urls)}, site_of())["f"])
        took = time.monotonic() - started
    assert [row["url"] for row in rows] == list(urls)
    assert [told(row) for row in rows] == [(False, 0, 28) if port == hole else (True, 200, 0) for port in ports]
    assert took < 5 * SHORT


def test_rows_are_the_same_from_run_to_run(tls_servers: TlsServers) -> None:
    urls = tuple(tls_servers.url(listener) for listener in ("modern", "expired", "reset", "closed", "http"))

    def once() -> list[Any]:
        return rows_of(collected(HttpSource(), {"f": HttpQuery(urls=urls)}, site_of())["f"])

    assert once() == once()


def test_a_url_that_was_not_given_its_time_has_no_row(tls_servers: TlsServers) -> None:
    urls = (tls_servers.url("modern"), tls_servers.url("silent"))
    found = collected(HttpSource(), {"f": HttpQuery(urls=urls)}, site_of(), deadline=Deadline(SHORT))["f"]
    assert [row["url"] for row in rows_of(found)] == [urls[0]]
    found = collected(HttpSource(), {"f": HttpQuery(urls=urls)}, site_of(), deadline=Deadline(0))["f"]
    assert found.status is Status.TIMED_OUT


def test_a_run_that_is_called_off_ends_at_once(tls_servers: TlsServers) -> None:
    called_off = threading.Event()
    threading.Timer(0.3, called_off.set).start()
    query = HttpQuery(urls=(tls_servers.url("silent"),))
    started = time.monotonic()
    found = collected(HttpSource(), {"f": query}, site_of(), deadline=Deadline(30, called_off))["f"]
    assert found.status is Status.TIMED_OUT
    assert time.monotonic() - started < 2


def test_each_url_is_asked_for_once_whatever_queries_share_it(tls_servers: TlsServers) -> None:
    url = tls_servers.url("modern")
    reads = {"first": HttpQuery(urls=(url,)), "second": HttpQuery(urls=(url, url))}
    found = collected(HttpSource(), reads, site_of())
    assert rows_of(found["first"]) == rows_of(found["second"])
    assert len(rows_of(found["second"])) == 1


def test_a_query_by_table_asks_for_every_endpoint_of_it_that_can_be_probed() -> None:
    packs = load_packs()
    table = packs.table_of("outbound.from_operator")
    assert table is not None
    site = site_of(proxy=Proxy(https="http://proxy.example:3128", bypass=("*.azure.com",)))
    collection = Collection(
        site=site, phase=packs.rules["AZL-FW-020"].phases[0], queries={}, tables={"f": table}, classes=packs.classes
    )
    routes = source.routes_of(HttpQuery(table="endpoints"), "f", collection)
    assert len(routes) == len({(route.probe.host, route.probe.port) for route in routes}) > 20
    by_host = {route.probe.host: route.proxy for route in routes}
    assert by_host["management.azure.com"] is None
    assert by_host["aka.ms"] == "http://proxy.example:3128"


def through(proxy: str) -> Proxy:
    return Proxy(http=proxy, https=proxy)


@pytest.fixture(scope="module")
def some_ports(tmp_path_factory: pytest.TempPathFactory, tls_servers: TlsServers, tinyproxy: str) -> Iterator[str]:
    """A proxy that lets CONNECT go to some ports alone."""
    allowed = [tls_servers.port(name) for name in ("modern", "expired", "closed", "forbidden")]
    with refusing(tmp_path_factory.mktemp("tinyproxy"), *allowed) as proxy:
        yield proxy.url


def test_through_a_proxy_the_endpoint_is_told_from_the_proxy(tls_servers: TlsServers, some_ports: str) -> None:
    proxy = through(some_ports)
    good = row_of(tls_servers.url("modern"), proxy)
    assert (told(good), good["connect_code"], good["proxy"]) == ((True, 200, 0), 200, some_ports)
    assert good["chain"][0]["common_name"] == "localhost"
    assert row_of(tls_servers.url("forbidden"), proxy)["http_code"] == 403
    expired = row_of(tls_servers.url("expired"), proxy)
    assert (told(expired), expired["connect_code"]) == ((True, 0, 60), 200)
    assert expired["chain"][0]["issuer_name"] == "azpreflight tests"
    refused = row_of(tls_servers.url("redirect"), proxy)
    assert (told(refused), refused["connect_code"]) == ((True, 0, 56), 403)
    assert refused["error"] == "the proxy answered 403 to CONNECT"
    nobody = row_of(tls_servers.url("closed"), proxy)
    assert (nobody["exit_code"], nobody["connect_code"] in range(500, 600)) == (56, True)
    plain = row_of(tls_servers.url("http"), proxy)
    assert (told(plain), plain["connect_code"], plain["chain"]) == ((True, 200, 0), 0, None)


def test_a_proxy_that_wants_a_login(tls_servers: TlsServers, login_proxy: ProxyServer) -> None:
    row = row_of(tls_servers.url("modern"), through(login_proxy.url))
    assert (told(row), row["connect_code"]) == ((True, 0, 56), 407)
    assert row["error"] == "the proxy answered 407 to CONNECT"
    assert row_of(tls_servers.url("http"), through(login_proxy.url))["http_code"] == 407


def test_a_proxy_that_is_spoken_to_over_tls(tls_servers: TlsServers, authority: Authority, tmp_path: Path) -> None:
    with over_tls(tmp_path, authority.issue("localhost")) as proxy:
        row = row_of(tls_servers.url("modern"), through(proxy.url))
    assert (told(row), row["connect_code"]) == ((True, 200, 0), 200)
    assert "service.example" in row["chain"][0]["names"]


def test_a_proxy_that_inspects_is_seen_by_its_own_authority(
    tls_servers: TlsServers, authority: Authority, tmp_path: Path, mitmproxy: str
) -> None:
    with inspecting(tmp_path, authority.file) as proxy:
        row = row_of(tls_servers.url("modern"), through(proxy.url))
    assert (told(row), row["connect_code"]) == ((True, 0, 60), 200)
    assert row["chain"][0]["issuer_name"] == "mitmproxy"


@pytest.mark.parametrize(
    ("proxy", "found", "error"),
    [
        ("http://no-such-proxy.invalid:3128", (False, 0, 5), None),
        ("http://localhost:{closed}", (False, 0, 7), "the connection was refused"),
        (
            "http://localhost:{reset}",
            (True, 0, 56),
            "the proxy ended CONNECT: the connection was reset before an answer",
        ),
        ("http://localhost:{silent}", (True, 0, 28), "nothing answered in time"),
        ("socks5://localhost:{closed}", (False, 0, 1), "a proxy of this kind is not spoken to: socks5"),
        ("http://some body:secret@x:y", (False, 0, 1), "a proxy of this kind is not spoken to: no URL"),
    ],
)
def test_a_proxy_that_does_not_do_its_work(
    tls_servers: TlsServers, quick: None, proxy: str, found: tuple[bool, int, int], error: str | None
) -> None:
    ports = {name: tls_servers.port(name) for name in ("closed", "reset", "silent")}
    row = row_of(tls_servers.url("modern"), through(proxy.format(**ports)))
    assert (told(row), row["connect_code"]) == (found, 0)
    assert error is None or row["error"] == error


def test_what_goes_around_the_proxy_is_reached_directly(tls_servers: TlsServers) -> None:
    with OddPorts() as odd:
        dead = f"http://{HOST}:{odd.port('closed')}"
        row = row_of(tls_servers.url("modern"), Proxy(https=dead, bypass=("localhost",)))
    assert (told(row), row["proxy"]) == ((True, 200, 0), None)


def test_the_query_of_a_url_keeps_what_it_says(tls_servers: TlsServers, tmp_path: Path) -> None:
    row = row_of(f"{tls_servers.url('http')}a%20b?api-version=2024-01-01&x=[1]")
    assert told(row) == (True, 200, 0)
