"""What the operator's machine asks by itself, in whole runs: ports and listeners of nodes, and the second opinion."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from azpreflight import Credential, Outcome, Report, collect, load_recording, load_site, run
from azpreflight.facts.network import http
from servers.lab import PASSWORD, SITE, USER, node_scenario, running_lab
from servers.outside import endpoint_hosts
from servers.processes import environment
from servers.rdp import RdpServer
from servers.tls import HOST, Authority, Nginx, Site
from servers.winrm import Fault, Misbehaviour, WinRMServer

PORTS = ["AZL-FW-003", "AZL-FW-013"]


def result_of(report: Report, rule: str) -> Any:
    (result,) = (result for result in report.results if result.rule == rule)
    return result


def said(report: Report, rule: str) -> str:
    return " | ".join(finding.message for finding in result_of(report, rule).findings)


@pytest.fixture
def address() -> str:
    """An address of loopback that no other session of the tests uses, so that default ports are free."""
    return f"127.{80 + os.getpid() % 100}.{os.getpid() // 100 % 250}.11"


def site_at(folder: Path, address: str, more: str = "") -> Path:
    path = folder / "site.yaml"
    path.write_text(SITE % {"nodes": f"  - {{name: AZL-N01, address: {address}}}"} + more)
    return path


def test_a_node_at_its_own_ports(tmp_path: Path, address: str, authority: Authority) -> None:
    off = {"Enabled": ["REG_DWORD", 0]}
    key = r"HKLM\SYSTEM\CurrentControlSet\Control\SecurityProviders\SCHANNEL\Protocols"
    settings = {rf"{key}\{version}\Server": off for version in ("TLS 1.0", "TLS 1.1")}
    scenario = node_scenario(1, "clustered").patched({"registry": settings})
    certificate = authority.issue(address)
    site = load_site(site_at(tmp_path, address))
    credential = Credential(USER, PASSWORD)
    rules = ["AZL-FW-005", "AZL-TLS-008"]
    winrm = WinRMServer(scenario, {USER: PASSWORD}, certificate=certificate, host=address, ports=(5985, 5986))
    with winrm, RdpServer(certificate, oldest=ssl.TLSVersion.TLSv1, host=address, port=3389):
        before = run(site, credential=credential, rules=PORTS, phase="day-2")
        after = run(site, credential=credential, rules=rules, phase="post-deploy")
        collect(site, tmp_path / "recording", credential=credential, rules=rules, phase="post-deploy")
    replayed = run(site, recording=load_recording(tmp_path / "recording"), rules=rules, phase="post-deploy")
    assert result_of(before, "AZL-FW-003").outcome is Outcome.PASS
    assert "on 5985 and 5986" in said(before, "AZL-FW-003")
    # Nobody listens at 445 and 135 of this address, and the system says so.
    assert result_of(before, "AZL-FW-013").outcome is Outcome.NOT_APPLICABLE
    for report in (after, replayed):
        assert result_of(report, "AZL-TLS-008").outcome is Outcome.FAIL
        outcomes = {finding.subject: finding.outcome for finding in result_of(report, "AZL-TLS-008").findings}
        assert outcomes == {
            "TCP 5986 TLS 1.0": Outcome.PASS,
            "TCP 5986 TLS 1.1": Outcome.PASS,
            "TCP 443": Outcome.NOT_APPLICABLE,
            "TCP 3389 TLS 1.0": Outcome.FAIL,
            "TCP 3389 TLS 1.1": Outcome.FAIL,
        }
    assert result_of(after, "AZL-FW-005").outcome is Outcome.NOT_APPLICABLE


def test_a_node_where_winrm_does_not_run(tmp_path: Path, address: str) -> None:
    site = load_site(site_at(tmp_path, address))
    report = run(site, credential=Credential(USER, PASSWORD), rules=PORTS, phase="day-2")
    assert report.exit_code == 1
    assert "5985: refused, so that somebody is there and nothing listens" in said(report, "AZL-FW-003")


def test_a_tunnel_stands_for_the_port_of_winrm_and_for_no_other(tmp_path: Path) -> None:
    with running_lab(tmp_path, 1) as lab:
        site = load_site(lab.site)
        report = run(site, credential=lab.credential, connect_to=lab.connect_to, rules=PORTS, phase="day-2")
        after = run(
            site, credential=lab.credential, connect_to=lab.connect_to, rules=["AZL-TLS-008"], phase="post-deploy"
        )
        lab.assert_only_read()
    assert result_of(report, "AZL-FW-003").outcome is Outcome.PASS
    assert result_of(report, "AZL-FW-013").outcome is Outcome.NOT_APPLICABLE
    assert "the node is reached through a redirection" in said(report, "AZL-FW-013")
    assert result_of(after, "AZL-TLS-008").outcome is Outcome.NOT_APPLICABLE


class _Many(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 256


class LeadingProxy:
    """A proxy that leads every name to one place, and is refused at every address; as a context manager."""

    def __init__(self, ports: dict[int, int]) -> None:
        outer = self
        self.asked: list[str] = []

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    outer._serve(self)

        self._ports = ports
        self._server = _Many((HOST, 0), Handler)
        self.url = f"http://{HOST}:{self._server.server_address[1]}"

    def __enter__(self) -> LeadingProxy:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, handler: socketserver.StreamRequestHandler) -> None:
        method, target, _ = handler.rfile.readline().decode("ascii").split()
        while handler.rfile.readline().strip():
            pass
        self.asked.append(f"{method} {target}")
        if HOST in target:
            handler.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        with socket.create_connection((HOST, self._ports[443 if method == "CONNECT" else 80])) as onward:
            if method == "CONNECT":
                handler.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                onward.sendall(f"{method} {target} HTTP/1.0\r\n\r\n".encode("ascii"))
            _relay(handler.connection, onward)


def _relay(one: socket.socket, other: socket.socket) -> None:
    while True:
        for ready in select.select([one, other], [], [], 5)[0] or [one]:
            if not (data := ready.recv(65536)):
                return
            (other if ready is one else one).sendall(data)


@pytest.fixture
def azure(tmp_path: Path, authority: Authority) -> Iterator[LeadingProxy]:
    """All of Azure as one nginx behind a proxy, whose authority this machine trusts."""
    plain = tmp_path / "plain.yaml"
    plain.write_text(SITE % {"nodes": "  - {name: AZL-N01, address: 192.0.2.11}"})
    certificate = authority.issue(*endpoint_hosts(plain))
    listeners = {"http": Site(None), "https": Site(certificate, status=404)}
    http.trusted.cache_clear()
    with (
        environment({"SSL_CERT_FILE": str(authority.file)}),
        Nginx(tmp_path / "nginx", listeners) as nginx,
        LeadingProxy({80: nginx.port("http"), 443: nginx.port("https")}) as proxy,
    ):
        yield proxy
    http.trusted.cache_clear()


def test_a_second_opinion_is_told_beside_the_nodes_own_and_replays(
    tmp_path: Path, azure: LeadingProxy, authority: Authority
) -> None:
    def with_proxy(text: str) -> str:
        return f"{text}proxy: {{http: '{azure.url}', https: '{azure.url}'}}\n"

    # The network of the node leads one name elsewhere; the machine of the operator knows nothing of that.
    network = ["--connect-to", f"aka.ms::{HOST}:1", "--cacert", str(authority.file)]
    with running_lab(tmp_path, 1, edit=with_proxy, curl_arguments=network) as lab:
        site, options = load_site(lab.site), {"connect_to": lab.connect_to, "rules": ["AZL-FW-020"]}
        alone = run(site, credential=lab.credential, **options)  # type: ignore[arg-type]
        assert f"CONNECT {HOST}:1" in azure.asked
        assert "CONNECT aka.ms:443" not in azure.asked
        both = run(site, credential=lab.credential, from_operator=True, **options)  # type: ignore[arg-type]
        collect(site, tmp_path / "both", credential=lab.credential, from_operator=True, **options)  # type: ignore[arg-type]
    assert "CONNECT aka.ms:443" in azure.asked
    heard = load_recording(tmp_path / "both")
    again = run(site, recording=heard, from_operator=True, rules=["AZL-FW-020"])
    silent = run(site, recording=heard, rules=["AZL-FW-020"])
    told = "this machine, which runs azpreflight, reaches it (HTTP status 404)"
    for report, heard_of in ((alone, False), (both, True), (again, True), (silent, False)):
        result = result_of(report, "AZL-FW-020")
        failing = {finding.subject: finding.message for finding in result.findings if finding.outcome is Outcome.FAIL}
        assert (result.outcome, list(failing)) == (Outcome.FAIL, ["aka.ms:443"])
        assert failing["aka.ms:443"].endswith(told) is heard_of
    assert again.run.id != silent.run.id


def test_where_a_node_cannot_be_asked_the_second_opinion_stands_alone(tmp_path: Path, azure: LeadingProxy) -> None:
    def with_proxy(text: str) -> str:
        return f"{text}proxy: {{https: '{azure.url}'}}\n"

    no_shell = {"AZL-N01": [Misbehaviour("fault", operation="Create", fault=Fault(5))]}
    with running_lab(tmp_path, 1, edit=with_proxy, misbehaviours=no_shell) as lab:
        site = load_site(lab.site)
        report = run(
            site, credential=lab.credential, connect_to=lab.connect_to, rules=["AZL-FW-020"], from_operator=True
        )
    result = result_of(report, "AZL-FW-020")
    assert result.outcome is Outcome.ERROR
    words = [finding.message for finding in result.findings if finding.subject == "aka.ms:443"]
    assert len(words) == 1
    assert "AZL-N01 could not be asked" in result.reason
    assert "this machine, which runs azpreflight, reaches" in result.reason
    assert "could not be asked for on AZL-N01" in words[0]
    assert words[0].endswith("this machine, which runs azpreflight, reaches it (HTTP status 404)")
    assert report.exit_code == 3
