"""Why a node could not be reached: each way of failing is told by its cause."""

from __future__ import annotations

import datetime
import errno
import http.server
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import requests.adapters
import urllib3.exceptions

from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.winrm import reach
from servers.tls import self_signed

NAME = "azl1.example.net"
URL = "https://127.0.86.1:5986/wsman"
"""An address of this machine where nothing listens: what failed is looked at again."""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("tls"), NAME)


@pytest.fixture(scope="module")
def port(certificate: tuple[Path, Path]) -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


class NamedAdapter(requests.adapters.HTTPAdapter):
    """Holds certificates to another name than the one of the URL."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, assert_hostname=self.name, **kwargs)


def get(url: str, *, trust: Path | None = None, name: str | None = None) -> int:
    with requests.Session() as http:
        http.trust_env = False
        if name is not None:
            http.mount("https://", NamedAdapter(name))
        return http.get(url, timeout=0.5, verify=str(trust) if trust is not None else True).status_code


def failure(url: str, *, answered: bool = False, trust: Path | None = None, name: str | None = None) -> WireError:
    """How a real request to `url` failed, explained."""
    with pytest.raises((requests.RequestException, urllib3.exceptions.HTTPError, OSError)) as error:
        get(url, trust=trust, name=name)
    return checked(reach.explain(error.value, url, answered=answered))


def checked(found: WireError) -> WireError:
    assert found.fatal
    assert found.reason.isprintable()
    assert len(found.reason) < 600
    return found


def test_a_certificate_of_another_name_says_so(port: int, certificate: tuple[Path, Path]) -> None:
    found = failure(f"https://127.0.0.1:{port}/", trust=certificate[0], name="azl2.example.net")
    assert found.status is Status.UNREACHABLE
    assert "is not accepted" in found.reason
    assert "azl2.example.net" in found.reason


def test_the_own_check_of_names_says_so_too(port: int, certificate: tuple[Path, Path]) -> None:
    found = failure(f"https://127.0.0.1:{port}/", trust=certificate[0])
    assert "is not accepted" in found.reason
    assert "127.0.0.1" in found.reason


def test_a_certificate_of_an_unknown_authority_leads_to_the_setting(port: int) -> None:
    found = failure(f"https://127.0.0.1:{port}/", name=NAME)
    assert found.status is Status.UNREACHABLE
    assert "self-signed" in found.reason
    assert "winrm.ca_file" in found.reason


def test_a_listener_that_speaks_no_tls_says_so() -> None:
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        found = failure(f"https://127.0.0.1:{server.server_port}/")
    finally:
        server.shutdown()
        server.server_close()
    assert found.status is Status.UNREACHABLE
    assert "no TLS session" in found.reason
    assert "set winrm.https to false" in found.reason


def test_plain_http_to_a_tls_listener_leads_to_the_setting(port: int) -> None:
    found = failure(f"http://127.0.0.1:{port}/")
    assert found.status is Status.UNREACHABLE
    assert "set winrm.https to true" in found.reason


def test_a_certificate_is_described_with_its_names_issuer_and_dates(port: int) -> None:
    found = failure(f"https://127.0.0.1:{port}/", name=NAME)
    today = datetime.datetime.now(datetime.UTC).date()
    dates = [(today + datetime.timedelta(days=days)).isoformat() for days in (-1, 1)]
    assert f"the certificate is for {NAME}, issued by itself, valid from {dates[0]} to {dates[1]}" in found.reason


def test_when_time_is_up_nothing_is_looked_at_any_more(port: int) -> None:
    started = time.monotonic()
    found = reach.explain(wrapped(ConnectionRefusedError(111, "refused")), URL, answered=False, seconds=0)
    assert "refuses connections" in found.reason
    assert time.monotonic() - started < 0.5


def test_a_closed_port_is_told_from_a_silent_one() -> None:
    with socket.socket() as closed, socket.socket() as silent:
        for bound in (closed, silent):
            bound.bind(("127.0.0.1", 0))
        silent.listen()
        refused = failure(f"http://127.0.0.1:{closed.getsockname()[1]}/")
        waiting = failure(f"http://127.0.0.1:{silent.getsockname()[1]}/")
    assert refused.status is Status.UNREACHABLE
    assert "refuses connections" in refused.reason
    assert waiting.status is Status.TIMED_OUT
    assert "did not answer in time" in waiting.reason


def test_a_connection_that_breaks_says_when() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def hang_up() -> None:
            # The request before any answer is looked at again, in TLS.
            for _ in range(3):
                connection, _ = listening.accept()
                connection.recv(100)
                connection.close()

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        before, within = failure(url), failure(url, answered=True)
        thread.join(5)
    assert (before.status, within.status) == (Status.UNREACHABLE, Status.FAILED)
    assert "before it answered" in before.reason
    assert "in the middle of the conversation" in within.reason


def explained(error: Exception, *, answered: bool = False) -> WireError:
    return checked(reach.explain(error, URL, answered=answered))


def wrapped(cause: BaseException) -> Exception:
    """As requests hands it on: in the arguments of an error in the arguments of an error."""
    return requests.ConnectionError(urllib3.exceptions.ProtocolError("Connection aborted.", cause))


def test_a_name_that_does_not_resolve_is_told() -> None:
    assert "does not resolve" in explained(wrapped(socket.gaierror(-2, "Name or service not known"))).reason


def test_dropped_packets_are_told() -> None:
    assert "firewall" in explained(requests.ConnectTimeout("timed out")).reason


def test_what_the_system_says_is_told() -> None:
    found = explained(wrapped(OSError(errno.EHOSTUNREACH, "No route to host")))
    assert found.status is Status.UNREACHABLE
    assert "No route to host" in found.reason


def test_tls_that_breaks_in_the_middle_is_a_broken_connection() -> None:
    found = explained(wrapped(ssl.SSLEOFError(8, "EOF occurred in violation of protocol")), answered=True)
    assert found.status is Status.FAILED
    assert "in the middle" in found.reason


def test_an_error_without_a_cause_is_told_by_its_own_words() -> None:
    found = explained(requests.exceptions.InvalidURL("Failed to parse: a\x1b[31m\nb"))
    assert "InvalidURL" in found.reason or "Failed to parse" in found.reason
    assert explained(requests.RequestException()).reason.endswith("RequestException")


def test_errors_that_point_at_each_other_end() -> None:
    first, second = OSError("a"), OSError("b")
    first.__cause__, second.__cause__ = second, first
    assert explained(first).status is Status.UNREACHABLE
