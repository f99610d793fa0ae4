"""The DNS servers of the tests are what they claim to be."""

from __future__ import annotations

import time
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from servers.dns import (
    EDGE,
    Dnsmasq,
    DnsServer,
    Endpoint,
    StrangeServer,
    UdpAlone,
    View,
    Zone,
    garbage,
    truncated,
    whole,
)
from servers.processes import Daemon, MissingProgramError, StartError, find_program


def ask(endpoint: Endpoint, name: str, kind: str = "A") -> dns.message.Message:
    return dns.query.udp(dns.message.make_query(name, kind), endpoint.host, 3, endpoint.port)


@pytest.mark.parametrize(
    ("view", "name", "rcode", "authoritative", "answers"),
    [
        ("authoritative", "azl-n01.edge.example", "NOERROR", True, ["192.0.2.11"]),
        ("authoritative", "azl-n09.edge.example", "NXDOMAIN", True, []),
        ("authoritative", "azl-n01.elsewhere.example", "REFUSED", False, []),
        ("stale", "azl-n01.edge.example", "NOERROR", True, ["192.0.2.99"]),
        ("refusing", "azl-n01.edge.example", "REFUSED", False, []),
        ("broken", "azl-n01.edge.example", "SERVFAIL", False, []),
        ("forwarding", "azl-n02.edge.example", "NOERROR", False, ["192.0.2.12"]),
        ("wildcard", "whatever.edge.example", "NOERROR", True, ["192.0.2.200"]),
    ],
)
def test_each_view_answers_in_its_way(
    dns_server: DnsServer, view: str, name: str, rcode: str, authoritative: bool, answers: list[str]
) -> None:
    response = ask(dns_server.at(view), name)
    assert dns.rcode.to_text(response.rcode()) == rcode
    assert bool(response.flags & dns.flags.AA) is authoritative
    assert [str(record) for rrset in response.answer for record in rrset] == answers


def test_a_long_answer_is_truncated_over_udp(dns_server: DnsServer) -> None:
    assert ask(dns_server.at("authoritative"), "many.edge.example").flags & dns.flags.TC


def test_a_name_nobody_forwards_for_is_refused_without_asking_the_world(dns_server: DnsServer) -> None:
    # The forwarder refuses, so the forwarding server has nobody left to ask.
    start = time.monotonic()
    assert ask(dns_server.at("forwarding"), "www.example.net").rcode() == dns.rcode.SERVFAIL
    assert time.monotonic() - start < 2


def test_bind_ends_with_its_context_and_leaves_its_files_in_its_folder(tmp_path: Path) -> None:
    with DnsServer(tmp_path, {"own": View([Zone("own.example", {"a": ["A 192.0.2.1"]})])}) as server:
        endpoint = server.at("own")
        assert ask(endpoint, "a.own.example").answer
    written = {file.name for file in (tmp_path / "own").iterdir()}
    assert written >= {"named.conf", "own.example.zone", "log"}
    with pytest.raises(ConnectionRefusedError):
        dns.query.tcp(dns.message.make_query(EDGE.name, "SOA"), endpoint.host, 1, endpoint.port)


def test_a_bind_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="expected near"), DnsServer(tmp_path, {"bad": View([Zone('x"; y "', {})])}):
        pass


def test_a_program_that_never_becomes_ready_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servers.processes.START_SECONDS", 0.1)
    daemon = Daemon(["/bin/sleep", "60"], tmp_path)
    with pytest.raises(StartError, match="did not become ready"):
        daemon.start(lambda: False)


def test_a_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(MissingProgramError, match=r"apt-get install .* no-such-package"):
        find_program("no-such-program", "no-such-package")


def test_the_strange_server_does_as_it_is_told() -> None:
    with StrangeServer(udp=[truncated], tcp=[whole]) as server:
        host, port = server.endpoint
        _, by_tcp = dns.query.udp_with_fallback(dns.message.make_query("a.example", "A"), host, 3, port)
        assert by_tcp
        assert server.asked == ["udp", "tcp"]
    with StrangeServer(udp=[garbage, whole]) as server:
        query = dns.message.make_query("a.example", "A")
        assert dns.query.udp(query, server.endpoint.host, 3, server.endpoint.port, ignore_errors=True).answer


def addresses(response: dns.message.Message) -> list[str]:
    return [str(record) for rrset in response.answer for record in rrset]


def test_dnsmasq_answers_what_its_options_say_and_sends_the_rest_on(dns_server: DnsServer, tmp_path: Path) -> None:
    options = ["--host-record=azl-n01.edge.example,192.0.2.99", "--address=/wild.example/192.0.2.200"]
    with Dnsmasq(tmp_path, options, dns_server.at("authoritative")) as server:
        lie = ask(server.endpoint, "azl-n01.edge.example")
        assert (addresses(lie), bool(lie.flags & dns.flags.AA)) == (["192.0.2.99"], True)
        assert addresses(ask(server.endpoint, "whatever.wild.example")) == ["192.0.2.200"]
        passed_on = ask(server.endpoint, "azl-n02.edge.example")
        # It passes on what it gets as it is, the flag of authority too.
        assert (addresses(passed_on), bool(passed_on.flags & dns.flags.AA)) == (["192.0.2.12"], True)
        assert ask(server.endpoint, "azl-n09.edge.example").rcode() == dns.rcode.NXDOMAIN
    assert {file.name for file in tmp_path.iterdir()} == {"log"}


def test_a_dnsmasq_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="bad command line options"), Dnsmasq(tmp_path, ["--no-such-option"]):
        pass


def test_a_firewall_may_pass_udp_alone(dns_server: DnsServer) -> None:
    with UdpAlone(dns_server.at("authoritative")) as firewall:
        assert addresses(ask(firewall.endpoint, "azl-n01.edge.example")) == ["192.0.2.11"]
        with pytest.raises(ConnectionRefusedError):
            dns.query.tcp(dns.message.make_query(EDGE.name, "SOA"), firewall.endpoint.host, 1, firewall.endpoint.port)
