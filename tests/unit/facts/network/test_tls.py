"""The source `tls` against nginx, openssl s_server, Remote Desktop and ports that speak no TLS, all on loopback."""

from __future__ import annotations

import json
import ssl
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azpreflight.facts import row_errors
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.network import tcp
from azpreflight.facts.network import tls as source
from azpreflight.facts.network.tls import TlsSource
from azpreflight.facts.observation import Status
from azpreflight.facts.query import TlsQuery
from servers.outside import black_hole
from servers.processes import Daemon, free_port
from servers.rdp import CERTIFICATE_MISSING, HYBRID, HYBRID_EX, HYBRID_REQUIRED, SSL, SSL_NOT_ALLOWED, RdpServer
from servers.tls import HOST, Authority, TlsServers, self_signed
from unit.facts.network.asked import answering, collected, rows_of, site_of

ALL: tuple[Any, ...] = ("1.0", "1.1", "1.2", "1.3")
OLD: tuple[Any, ...] = ("1.0", "1.1")
KNOWN = {row_errors.CLOSED, row_errors.NOT_TLS, row_errors.NOT_RDP, row_errors.OTHER_VERSION, row_errors.UNFINISHED}
SHORT = 0.5


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "CONNECT_SECONDS", SHORT)
    monkeypatch.setattr(source, "HANDSHAKE_SECONDS", SHORT)


def rows_from(port: int, versions: tuple[Any, ...] = ALL, starts: Any = "tls") -> list[Any]:
    query = TlsQuery(hosts=(HOST,), ports=(port,), versions=versions, starts=starts)
    rows = rows_of(collected(TlsSource(lambda host, port: (host, port)), {"f": query}, site_of())["f"])
    assert json.loads(json.dumps(rows)) == rows
    assert [(row["host"], row["port"], row["version"]) for row in rows] == [(HOST, port, v) for v in versions]
    for row in rows:
        session = row["offered"] is True and row["error"] is None
        assert (row["cipher"] is not None, row["chain"] is not None) == (session, session)
    return rows


def offered(rows: list[Any]) -> dict[str, bool | None]:
    return {row["version"]: row["offered"] for row in rows}


def errors(rows: list[Any]) -> set[str | None]:
    return {row["error"] for row in rows}


@pytest.mark.parametrize(
    ("listener", "taken"),
    [
        ("tls1.0", {"1.0"}),
        ("tls1.1", {"1.1"}),
        ("tls1.2", {"1.2"}),
        ("tls1.3", {"1.3"}),
        ("modern", {"1.2", "1.3"}),
        ("expired", {"1.2", "1.3"}),
        ("unknown-authority", {"1.2", "1.3"}),
    ],
)
def test_each_listener_offers_its_versions_and_declines_the_others(
    tls_servers: TlsServers, listener: str, taken: set[str]
) -> None:
    rows = rows_from(tls_servers.port(listener))
    assert offered(rows) == {version: version in taken for version in ALL}
    # A server may answer a newer client in its own version.
    declined = {row["error"] for row in rows if not row["offered"]}
    assert declined in ({"alert protocol_version"}, {"alert protocol_version", "another version"})
    assert listener.startswith("tls1") or declined == {"alert protocol_version"}


def test_the_chain_is_what_the_listener_shows(tls_servers: TlsServers) -> None:
    for row in rows_from(tls_servers.port("unknown-authority"), ("1.2", "1.3")):
        (leaf,) = row["chain"]
        assert leaf["issuer_name"] == "an authority that nobody knows"
        assert "service.example" in leaf["names"]
        assert leaf["self_issued"] is False


def test_rows_are_the_same_from_run_to_run(tls_servers: TlsServers) -> None:
    ports = (tls_servers.port("modern"), tls_servers.port("http"), tls_servers.port("reset"))
    query = TlsQuery(hosts=(HOST,), ports=ports, versions=ALL)

    def once() -> list[Any]:
        return rows_of(collected(TlsSource(lambda host, port: (host, port)), {"f": query}, site_of())["f"])

    assert once() == once()


@pytest.fixture
def s_server(openssl: str, tmp_path: Path, authority: Authority) -> Iterator[Any]:
    """Starts openssl s_server with further arguments, and tells its port."""
    files = authority.issue("localhost", HOST)
    running: list[Daemon] = []

    def start(*arguments: str) -> int:
        folder = tmp_path / str(len(running))
        folder.mkdir()
        port = free_port()
        command = [openssl, "s_server", "-accept", f"{HOST}:{port}", "-cert", str(files.certificate)]
        command += ["-key", str(files.key), "-www", *arguments]
        running.append(Daemon(command, folder))
        running[-1].start(lambda: "ACCEPT" in running[-1].log)
        return port

    yield start
    for daemon in running:
        daemon.stop()


@pytest.mark.parametrize(
    ("option", "version"), [("-tls1", "1.0"), ("-tls1_1", "1.1"), ("-tls1_2", "1.2"), ("-tls1_3", "1.3")]
)
def test_openssl_agrees_with_nginx(s_server: Any, option: str, version: str) -> None:
    port = s_server(option, "-cipher", "ALL:@SECLEVEL=0")
    assert offered(rows_from(port)) == {each: each == version for each in ALL}


def test_a_server_without_a_common_cipher_declines_by_another_alert(s_server: Any) -> None:
    # An RSA key exchange with a certificate of an elliptic curve.
    (row,) = rows_from(s_server("-tls1_2", "-cipher", "AES128-SHA256"), ("1.2",))
    assert (row["offered"], row["error"]) == (False, "alert handshake_failure")


def test_a_server_that_wants_a_certificate_of_ours_has_agreed_on_the_version(s_server: Any) -> None:
    (row,) = rows_from(s_server("-tls1_2", "-Verify", "1", "-verify_return_error"), ("1.2",))
    assert (row["offered"], row["error"]) == (True, "agreed on and not finished")


@pytest.mark.parametrize(
    ("listener", "error"), [("closed", "refused"), ("reset", "reset"), ("http", "not TLS"), ("silent", "no answer")]
)
def test_ports_that_tell_nothing_of_a_version(tls_servers: TlsServers, quick: None, listener: str, error: str) -> None:
    rows = rows_from(tls_servers.port(listener))
    assert errors(rows) == {error}
    assert set(offered(rows).values()) == ({False} if error == "not TLS" else {None})


def test_a_filtered_port_costs_one_timeout_for_all_versions(quick: None) -> None:
    with black_hole() as port:
        started = time.monotonic()
        rows = rows_from(port)
        took = time.monotonic() - started
    assert errors(rows) == {"timeout"}
    assert took < 2 * SHORT


def hello(version: bytes) -> bytes:
    """A server's hello of that version, with AES128-SHA, as servers sent it before TLS 1.3."""
    body = version + bytes(32) + b"\x00" + b"\x00\x2f" + b"\x00"
    message = b"\x02" + len(body).to_bytes(3) + body
    return b"\x16" + version + len(message).to_bytes(2) + message


@pytest.mark.parametrize(
    ("data", "version", "found", "error"),
    [
        (b"", "1.2", None, "closed"),
        (b"\x15", "1.2", None, "closed"),
        (b"\x15\x03\x03\x00\x02\x02\x46", "1.0", False, "alert protocol_version"),
        (b"\x15\x03\x01\x00\x02\x02\x28", "1.0", False, "alert handshake_failure"),
        (b"\x15\x03\x03\x00\x02\x02\x50", "1.2", None, "alert internal_error"),
        (b"\x15\x03\x03\x00\x02\x02\xfe", "1.2", None, "alert 254"),
        (hello(b"\x03\x01"), "1.2", False, "another version"),
        (hello(b"\x03\x02"), "1.1", True, "agreed on and not finished"),
        (hello(b"\x03\x03"), "1.3", False, "another version"),
        (hello(b"\x03\x00"), "1.0", False, "another version"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "1.2", False, "not TLS"),
        (b"\x16\x03", "1.2", None, "closed"),
        (b"\xff" * 4096, "1.3", False, "not TLS"),
    ],
)
def test_what_comes_in_place_of_a_handshake(data: bytes, version: Any, found: bool | None, error: str) -> None:
    with answering(data) as port:
        (row,) = rows_from(port, (version,))
    assert (row["offered"], row["error"]) == (found, error)


def context_with(ciphers: str) -> ssl.SSLContext:
    """A context for TLS 1.0 alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(ciphers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.maximum_version = context.minimum_version = ssl.TLSVersion.TLSv1
    return context


@pytest.mark.parametrize(
    ("ciphers", "found"),
    [
        # Python's own choice has no cipher of old versions: it gives up before a byte is sent.
        ("ECDHE+AESGCM", (None, "this machine's OpenSSL does not speak it")),
        # Here it gives up after the server has agreed, over the signature.
        ("DEFAULT:@SECLEVEL=1", (True, "agreed on and not finished")),
    ],
)
def test_what_openssl_refuses_by_itself_is_not_told_of_the_listener(
    tls_servers: TlsServers, monkeypatch: pytest.MonkeyPatch, ciphers: str, found: tuple[bool | None, str]
) -> None:
    monkeypatch.setattr(source, "contexts", lambda: {"1.0": context_with(ciphers)})
    (row,) = rows_from(tls_servers.port("tls1.0"), ("1.0",))
    assert (row["offered"], row["error"]) == found


def test_a_version_that_openssl_was_built_without_is_unknown_and_the_others_are_tried(
    tls_servers: TlsServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(source._HAS, "1.0", False)
    source.contexts.cache_clear()
    try:
        rows = rows_from(tls_servers.port("tls1.1"))
        assert offered(rows) == {"1.0": None, "1.1": True, "1.2": False, "1.3": False}
        assert rows[0]["error"] == "this machine's OpenSSL does not speak it"
        (refused, *_) = rows_from(tls_servers.port("closed"), ("1.1", "1.0"))
        assert refused["error"] == "refused"
    finally:
        source.contexts.cache_clear()


@pytest.mark.parametrize("select", [SSL, HYBRID, HYBRID_EX])
def test_remote_desktop_negotiates_before_tls(authority: Authority, select: int) -> None:
    with RdpServer(authority.issue("node.example"), select=select) as server:
        rows = rows_from(server.port, starts="rdp")
        assert (server.requested, server.malformed) == ([SSL | HYBRID] * 4, [])
    assert offered(rows) == {"1.0": False, "1.1": False, "1.2": True, "1.3": True}
    assert rows[2]["chain"][0]["common_name"] == "node.example"


def test_remote_desktop_with_old_versions_and_a_certificate_of_its_own(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path, "azl-n01")
    old = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2)
    with RdpServer(certificate, oldest=old[0], newest=old[1]) as server:
        rows = rows_from(server.port, starts="rdp")
    assert offered(rows) == {"1.0": True, "1.1": True, "1.2": True, "1.3": False}
    assert rows[0]["chain"][0]["self_issued"] is True


@pytest.mark.parametrize(
    ("options", "found", "error"),
    [
        ({"failure": SSL_NOT_ALLOWED}, False, "RDP: SSL_NOT_ALLOWED_BY_SERVER"),
        ({"failure": CERTIFICATE_MISSING}, False, "RDP: SSL_CERT_NOT_ON_SERVER"),
        ({"failure": HYBRID_REQUIRED}, None, "RDP: HYBRID_REQUIRED_BY_SERVER"),
        ({"failure": 99}, None, "RDP: FAILURE_99"),
        ({"select": 0}, False, "RDP: STANDARD_RDP_SECURITY"),
        ({"without_negotiation": True}, False, "RDP: STANDARD_RDP_SECURITY"),
        ({"says": b"HTTP/1.1 400 Bad Request\r\n\r\n"}, None, "not RDP"),
        ({"says": b"\x03\x00\xff\xff"}, None, "not RDP"),
        ({"says": b"\x03\x00\x00\x0b\x06\xf0\x00\x00\x00\x00\x00"}, None, "not RDP"),
        ({"says": b""}, None, "closed"),
        ({"says": b"\x03\x00\x00\x13\x0e"}, None, "closed"),
    ],
)
def test_remote_desktop_that_does_not_go_on_to_tls(
    authority: Authority, options: Any, found: bool | None, error: str
) -> None:
    with RdpServer(authority.issue("node.example"), **options) as server:
        rows = rows_from(server.port, OLD, starts="rdp")
    assert [(row["offered"], row["error"]) for row in rows] == [(found, error)] * 2


def test_a_listener_that_drips_gets_no_more_time_than_a_silent_one(quick: None) -> None:
    with answering(b"\x16\x03\x03\x3f\xff" + bytes(99), byte_by_byte=0.02) as port:
        assert errors(rows_from(port, OLD)) == {"no answer"}
    with answering(b"\x03\x00\x03\xff" + bytes(99), byte_by_byte=0.02) as port:
        assert errors(rows_from(port, OLD, starts="rdp")) == {"no answer"}


def test_a_silent_remote_desktop(tls_servers: TlsServers, quick: None) -> None:
    assert errors(rows_from(tls_servers.port("silent"), OLD, starts="rdp")) == {"no answer"}


def test_each_listener_and_version_is_tried_once_whatever_queries_share_it(tls_servers: TlsServers) -> None:
    tried: list[tuple[str, int]] = []

    def noting(host: str, port: int) -> tuple[str, int]:
        tried.append((host, port))
        return HOST, tls_servers.port("modern")

    hosts = ("site.node_addresses",)
    reads = {
        "first": TlsQuery(hosts=hosts, ports=(5986,), versions=("1.2", "1.3")),
        "second": TlsQuery(hosts=hosts, ports=(5986, 443), versions=ALL),
    }
    found = collected(TlsSource(noting), reads, site_of("192.0.2.11", "192.0.2.12"))
    assert len(tried) == 2 * 2 * 4
    assert rows_of(found["first"]) == [
        r for r in rows_of(found["second"]) if r["port"] == 5986 and r["version"] > "1.1"
    ]


def test_a_listener_behind_a_redirection_that_stands_for_another_is_not_tried() -> None:
    query = TlsQuery(hosts=("192.0.2.11",), ports=(3389,), versions=OLD, starts="rdp")
    rows = rows_of(collected(TlsSource(lambda _, __: None), {"f": query}, site_of())["f"])
    assert [(row["offered"], row["error"]) for row in rows] == [(None, "redirected")] * 2


def test_what_was_not_given_its_time_says_nothing(tls_servers: TlsServers) -> None:
    for listener, deadline in (("modern", Deadline(0)), ("silent", Deadline(SHORT))):
        query = TlsQuery(hosts=(HOST,), ports=(tls_servers.port(listener),), versions=OLD)
        straight = TlsSource(lambda host, port: (host, port))
        found = collected(straight, {"f": query}, site_of(), deadline=deadline)["f"]
        assert found.status is Status.TIMED_OUT, listener


class Saying:
    """A conversation whose other side says some bytes and ends."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = list(parts)

    def send(self, data: bytes, until: Deadline) -> None:
        """Nothing."""

    def receive(self, until: Deadline) -> bytes:
        """The next part; empty at the end."""
        return self._parts.pop(0) if self._parts else b""


_RECORDS = st.sampled_from([b"\x15\x03\x03\x00\x02", b"\x16\x03\x01", hello(b"\x03\x03"), b"\x03\x00\x00\x13\x0e\xd0"])


@settings(deadline=None)
@given(
    parts=st.lists(st.binary(min_size=1, max_size=40) | _RECORDS, max_size=4),
    version=st.sampled_from(ALL),
    starts=st.sampled_from(["tls", "rdp"]),
)
def test_whatever_the_other_side_says_becomes_a_row(parts: list[bytes], version: str, starts: str) -> None:
    context = source.contexts()[version]
    assert context is not None
    found = source._agree(Saying(*parts), starts, version, context, Deadline(5))
    assert found["error"] in KNOWN or found["error"].startswith(("alert ", "RDP: "))
    assert found.get("offered") in (True, False, None)
