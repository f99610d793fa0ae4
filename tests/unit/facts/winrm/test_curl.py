"""Reachability by curl: its work list run by the real curl against real servers on loopback, and its reports read."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.probes import Probe
from azpreflight.facts.winrm import curl
from azpreflight.facts.winrm.curl import Transfer, runs
from azpreflight.facts.winrm.curl_reports import reports, row_of
from azpreflight.facts.winrm.dialect import CURRENT, PARALLEL
from azpreflight.facts.winrm.shell import Output
from azpreflight.model import Value
from servers.tls import self_signed

NAME = "node-endpoint.example.net"


class Handler(http.server.BaseHTTPRequestHandler):
    """404 for /missing, else 200 with more text than anybody wants in a report."""

    def do_GET(self) -> None:
        self.server.paths.append(self.path)  # type: ignore[attr-defined]
        self.send_response(404 if self.path == "/missing" else 200)
        self.end_headers()
        self.wfile.write(b"content that must not come back\n" * 10)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    """For as many connections at once as a work list makes."""

    request_queue_size = 128


@dataclass
class Net:
    """What runs on loopback, and the program that asks it."""

    curl: str
    http: int
    tls: int
    tls12: int
    closed: int
    silent: int
    authority: Path
    paths: list[str]


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory, curl: str) -> Iterator[Net]:
    certificate, key = self_signed(tmp_path_factory.mktemp("tls"), NAME, "127.0.0.1")
    servers: list[Server] = []
    seen: list[str] = []

    def serve(highest: ssl.TLSVersion | None = None, *, tls: bool = True) -> int:
        server = Server(("127.0.0.1", 0), Handler)
        server.paths = seen  # type: ignore[attr-defined]
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            if highest is not None:
                context.maximum_version = highest
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return server.server_port

    with socket.socket() as silent, socket.socket() as closed:
        for listening in (silent, closed):
            listening.bind(("127.0.0.1", 0))
        silent.listen()
        # Bound and not listening: nobody else can take the port, and connections are refused.
        yield Net(
            curl=curl,
            http=serve(tls=False),
            tls=serve(),
            tls12=serve(ssl.TLSVersion.TLSv1_2),
            closed=closed.getsockname()[1],
            silent=silent.getsockname()[1],
            authority=certificate,
            paths=seen,
        )
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curl, "TCP_SECONDS", 1)
    monkeypatch.setattr(curl, "TRANSFER_SECONDS", 3)
    monkeypatch.setattr(curl, "CONNECT_SECONDS", 2)
    monkeypatch.setattr(curl, "RETRIES", 0)


def run(text: str, net: Net, *extra: str, trust: bool = True, redirect: bool = True) -> Output:
    """The real curl with a work list. It can reach nothing but 127.0.0.1: every name and address is led there."""
    lines = ['connect-to = "::127.0.0.1:"'] if redirect else []
    if trust:
        lines.append(f"cacert = {net.authority}")
    lines += extra
    added = "\n".join(lines) + "\n"
    config = "next\n".join(added + block for block in text.split("next\n")).replace('"NUL"', '"/dev/null"')
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [net.curl, *CURRENT.arguments.split()],
        input=config.encode(),
        capture_output=True,
        env=environment,
        check=False,
        timeout=20,
    )
    return Output(done.stdout.decode(), done.stderr.decode(), done.returncode)


def work_list(transfers: Sequence[Transfer]) -> str:
    """What a patched machine's curl is given, in the one run that it makes."""
    (only,) = runs(transfers)
    return only.text


def listed(probes: Sequence[Probe], proxy: str | None = None) -> str:
    return work_list([Transfer(probe=probe, proxy=proxy) for probe in probes])


def rows(probes: Sequence[Probe], output: Output) -> dict[Probe, Value]:
    transfers = [Transfer(probe=probe) for probe in probes]
    return {transfer.probe: row_of(transfer, told) for transfer, told in reports(transfers, output, CURRENT).items()}


def reach(net: Net, *probes: Probe, trust: bool = True) -> dict[Probe, Value]:
    return rows(probes, run(listed(probes), net, trust=trust))


def http_probe(net: Net, path: str = "/") -> Probe:
    return Probe(scheme="http", host=NAME, port=net.http, path=path)


def tls_probe(port: int, **more: Any) -> Probe:
    return Probe(scheme="https", host=NAME, port=port, **more)


def test_all_kinds_of_ends_are_told_apart_in_one_run(net: Net) -> None:
    ok, missing = http_probe(net), http_probe(net, "/missing")
    refused = Probe(scheme="http", host=NAME, port=net.closed)
    secure = tls_probe(net.tls)
    open_port = Probe(scheme="tcp", host="192.0.2.7", port=net.silent)
    closed_port = Probe(scheme="tcp", host="192.0.2.7", port=net.closed)
    spoken = Probe(scheme="tcp", host="192.0.2.7", port=net.http)
    silent = Probe(scheme="http", host=NAME, port=net.silent)
    probes = [ok, missing, refused, secure, open_port, closed_port, spoken, silent]
    found = reach(net, *probes)
    assert list(found) == probes
    codes = {probe: (row["connected"], row["http_code"], row["exit_code"]) for probe, row in found.items()}
    assert codes == {
        ok: (True, 200, 0),
        missing: (True, 404, 0),
        refused: (False, 0, 7),
        secure: (True, 200, 0),
        open_port: (True, 0, 0),
        closed_port: (False, 0, 7),
        spoken: (True, 200, 0),
        silent: (True, 0, 28),
    }
    assert found[ok]["remote_ip"] == "127.0.0.1"
    assert found[open_port]["error"] == ""
    assert "onnect" in found[refused]["error"]


def test_a_certificate_that_is_not_trusted_is_exit_code_60(net: Net) -> None:
    probe = tls_probe(net.tls)
    row = reach(net, probe, trust=False)[probe]
    assert (row["connected"], row["http_code"], row["exit_code"]) == (True, 0, 60)
    other = Probe(scheme="https", host="other.example.net", port=net.tls)
    assert reach(net, other)[other]["exit_code"] == 60


def test_a_server_that_does_not_take_connections_is_not_connected(net: Net) -> None:
    with socket.socket() as full, contextlib.ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        port = full.getsockname()[1]
        probes = [tls_probe(port), Probe(scheme="tcp", host="192.0.2.7", port=port)]
        assert [(row["connected"], row["exit_code"]) for row in reach(net, *probes).values()] == [(False, 28)] * 2


def test_a_version_of_tls_is_pinned_both_ways(net: Net) -> None:
    probes = [tls_probe(port, tls=version) for port in (net.tls, net.tls12) for version in ("1.2", "1.3")]
    codes = [row["exit_code"] for row in reach(net, *probes).values()]
    assert codes[:3] == [0, 0, 0]
    assert codes[3] == 35


def test_more_than_one_round_of_transfers_reports_on_each_once(net: Net) -> None:
    probes = [http_probe(net, f"/{number}") for number in range(PARALLEL + 10)]
    found = reach(net, *probes)
    assert [row["http_code"] for row in found.values()] == [200] * len(probes)


def test_the_query_of_a_url_is_asked_for(net: Net) -> None:
    probe = Probe.of_url(f"http://{NAME}:{net.http}/a?b=c&d=%20")
    assert reach(net, probe)[probe]["http_code"] == 200
    assert net.paths[-1] == "/a?b=c&d=%20"


def test_a_proxy_is_asked_and_what_goes_around_it_is_not(net: Net) -> None:
    proxy = f"http://127.0.0.1:{net.http}"
    far = Probe(scheme="http", host="far.example.net", port=net.closed)
    near = Probe(scheme="http", host="near.example.org", port=net.closed)
    transfers = [Transfer(probe=far, proxy=proxy), Transfer(probe=near)]
    blocks = work_list(transfers).split("next\n")
    assert f'proxy = "{proxy}"\nnoproxy = ""\n' in blocks[0]
    assert 'proxy = ""\nnoproxy = "*"\n' in blocks[1]
    resolve = ["near.example.org", "far.example.net"]
    extra = [f"resolve = {host}:{net.closed}:127.0.0.1" for host in resolve]
    output = run(work_list(transfers), net, *extra, redirect=False)
    first, second = (row_of(*told) for told in reports(transfers, output, CURRENT).items())
    assert (first["http_code"], first["proxy"]) == (200, proxy)
    assert (second["exit_code"], second["proxy"]) == (7, None)


HOSTILE = [
    'x" \noutput = "PWNED',
    "x\noutput = PWNED\n",
    "x\r\noutput = PWNED\r\n",
    'x"\nnext\nurl = "file:///etc/hostname',
    "x\\",
    'x\\"',
    'x\\\\"\noutput = PWNED',
    "x\0y",
    "x\ty\x0bz\x1b",
    "[1-3]",
    "{a,b,c}",
    "x # y",
    " x",
    "größe",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_path_or_proxy_adds_no_option(
    text: str, net: Net, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    probes = [http_probe(net, f"/{text}"), http_probe(net, "/after")]
    net.paths.clear()
    output = run(listed(probes), net)
    found = rows(probes, output)
    assert found[probes[1]]["http_code"] == 200
    assert set(found) == set(probes)
    assert len(net.paths) <= 2
    assert "must not come back" not in output.stdout
    # As a proxy: it may be of no use, but it is nothing else. What reaches the network is led to loopback.
    proxied = run(listed(probes, f"http://127.0.0.1:{net.closed}/{text}"), net)
    assert "must not come back" not in proxied.stdout
    assert set(rows(probes, proxied)) == set(probes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url", ["file:///etc/hostname", "ftp://192.0.2.1/x", "gopher://192.0.2.1/x", "telnet://192.0.2.1"]
)
def test_nothing_but_http_is_spoken(url: str, net: Net) -> None:
    probe = Probe.of_url(url)
    output = run(listed([probe]), net)
    assert rows([probe], output)[probe]["exit_code"] in (1, 3)
    assert "must not come back" not in output.stdout


@given(st.text(), st.text(), st.text())
def test_each_option_stays_on_its_line(host: str, path: str, proxy: str) -> None:
    lines = listed([Probe(scheme="https", host=host, port=443, path=path)], proxy).split("\n")
    assert [line.partition(" ")[0] for line in lines] == [
        "url",
        "output",
        "proto",
        "globoff",
        "write-out",
        "connect-timeout",
        "max-time",
        "max-filesize",
        "proxy",
        "noproxy",
        "retry",
        "retry-all-errors",
        "retry-delay",
        "retry-max-time",
        "",
    ]
    assert not any(character < " " or character == "\x7f" for line in lines for character in line)
    for line in lines:
        value = line.partition(" = ")[2].replace("\\\\", "").replace('\\"', "")
        assert value.count('"') in (0, 2)
        assert not value or (value[0] == value[-1] == '"')


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example.net", "https://a.example.net/"),
        ("https://a.example.net:443/x", "https://a.example.net/x"),
        ("http://A.example.net:8080/X?y=z", "http://a.example.net:8080/X?y=z"),
        ("https://user:secret@a.example.net/", "https://a.example.net/"),
        ("http://[2001:db8::1]:81/", "http://[2001:db8::1]:81/"),
    ],
)
def test_a_url_is_told_in_its_plain_form(url: str, expected: str) -> None:
    assert Probe.of_url(url).url == expected


def test_a_bare_connection_is_named_by_host_and_port() -> None:
    assert Probe(scheme="tcp", host="192.0.2.7", port=22).url == "tcp://192.0.2.7:22"
    assert 'url = "http://[2001:db8::1]:22/"' in listed([Probe(scheme="tcp", host="2001:db8::1", port=22)])


# Reports

PROBES = [Probe(scheme="http", host=f"h{number}.example.net", port=80) for number in range(3)]
REPORT = {"exitcode": 0, "http_code": 200, "time_connect": 0.01, "errormsg": None, "remote_ip": "192.0.2.1"}


def report(number: int | str, **changes: object) -> str:
    return f"{number} {json.dumps({**REPORT, **changes})}\n"


def read(stdout: str, stderr: str = "", exit_code: int = 0) -> dict[Probe, Value]:
    return rows(PROBES, Output(stdout, stderr, exit_code))


def test_reports_are_sorted_and_what_is_no_report_is_passed_over() -> None:
    text = f"noise\r\n{report(2)}\r\n7 {{}}\n-1 {{}}\n\u0663 {{}}\n{'9' * 5000} {{}}\n1 [1]\n1 {{\n{report(0)}0"
    assert list(read(text)) == [PROBES[0], PROBES[2]]


def test_a_truncated_output_has_the_reports_that_are_whole() -> None:
    text = report(0) + report(1)
    assert list(read(text[:-20])) == [PROBES[0]]


@pytest.mark.parametrize("exit_code", [0, 2, 26, -1])
def test_no_report_at_all_is_an_error(exit_code: int) -> None:
    with pytest.raises(WireError, match=f"exit code {exit_code}") as error:
        read("garbage", "curl: (2) no\nURL " * 500, exit_code)
    assert error.value.status is Status.FAILED
    assert len(error.value.reason) < 400


def test_nothing_to_reach_is_no_error() -> None:
    assert rows([], Output("", "", 0)) == {}


def test_times_are_taken_out_of_messages() -> None:
    message = "Failed to connect to h0.example.net port 80 after 2031 ms: Couldn't connect to server"
    row = read(report(0, errormsg=message, exitcode=7, http_code=0, time_connect=0))[PROBES[0]]
    assert row["error"] == "Failed to connect to h0.example.net port 80: Couldn't connect to server"
    assert row["connected"] is False


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)
)


@given(st.dictionaries(st.sampled_from([*REPORT, "response_code"]), ANY | st.just(10**400)))
def test_whatever_a_report_holds_it_is_a_row_of_plain_data(content: dict[str, object]) -> None:
    found = read(f"0 {json.dumps(content)}\n{report(1)}")
    if PROBES[0] in found:
        row = found[PROBES[0]]
        assert json.loads(json.dumps(row, allow_nan=False)) == row
        assert isinstance(row["http_code"], int)
        assert row["error"].isprintable()
        assert str(row).encode()


@given(st.text())
def test_any_output_is_rows_or_a_wire_error(text: str) -> None:
    for stdout in (text, f"0 {text}", f"0 {{{text}"):
        with contextlib.suppress(WireError):
            assert read(stdout)


def seconds(probes: Sequence[Probe]) -> float:
    (only,) = runs([Transfer(probe=probe) for probe in probes])
    return only.seconds


def test_the_time_for_a_work_list_grows_by_rounds() -> None:
    assert seconds([]) == 10.0
    longest = curl.RETRY_WITHIN_SECONDS + curl.RETRY_DELAY_SECONDS + curl.TRANSFER_SECONDS
    assert seconds(PROBES) == longest + 10
    assert seconds(PROBES * 17) == 2 * longest + 10


def test_a_report_that_comes_twice_is_nobodys() -> None:
    assert list(read(report(0) + report(1) + report(0, http_code=500))) == [PROBES[1]]
