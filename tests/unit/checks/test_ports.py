"""Ports: open, refused, silent and unknown stay apart; words of programs are read whatever their language."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from azpreflight.checks.ports import between_nodes, dns_over_udp, multicast_dns, of_cluster, time_servers
from azpreflight.checks.reach import CONNECTED, FILTERED, NAME_UNKNOWN, REFUSED, UNKNOWN, connection, port_rows
from azpreflight.checks.view import NotApplicable, NotObserved, Row, View
from azpreflight.facts.observation import Status
from azpreflight.model import Outcome, Phase
from unit.checks.judging import findings_of, outcomes_of, site_of, view_of

OTHER = "192.0.2.12"


def row(connected: Any, exit_code: Any = 0, *, host: Any = OTHER, port: Any = 445) -> dict[str, Any]:
    return {"host": host, "port": port, "connected": connected, "exit_code": exit_code}


def rows_of(*rows: dict[str, Any]) -> list[Row]:
    return [Row("reach.peers", "N1", values) for values in rows]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row(True)], CONNECTED),
        ([row(True), row(True)], CONNECTED),
        ([row(False, 7)], REFUSED),
        ([row(False, 28)], FILTERED),
        ([row(False, 6)], NAME_UNKNOWN),
        ([row(False, 2)], UNKNOWN),
        ([row(False, 0)], UNKNOWN),
        ([row(False, "28")], UNKNOWN),
        ([row(None, 28)], UNKNOWN),
        ([row(False, 28), row(True)], UNKNOWN),
        ([], UNKNOWN),
    ],
)
def test_what_became_of_a_connection(rows: list[dict[str, Any]], expected: str) -> None:
    assert connection(rows_of(*rows)) == expected


def test_rows_are_those_of_one_port_of_one_host() -> None:
    found = rows_of(
        row(True), row(True, port=5985), row(True, host="192.0.2.11"), row(True, port="445"), row(True, host=1)
    )
    assert port_rows(found, OTHER, 445) == [found[0]]


def peers(state: dict[int, int], echo: Any = 0, phase: Phase = Phase.DAY_2, **declared: Any) -> View:
    """A view on N1, to which ports of N2 answered with these exit codes of curl."""
    rows = [row(code == 0, code, port=port) for port, code in state.items()]
    facts = {"reach.peers": rows, "net.peer_ping": [{"Address": OTHER, "StatusCode": echo}]}
    return view_of(facts, site=site_of(**declared), phase=phase)


PORTS = {"fact": "reach.peers", "ports": [445, 5985], "later": [445], "iwarp": [5445]}


@pytest.mark.parametrize(
    ("state", "echo", "expected"),
    [
        ({445: 0, 5985: 0}, 0, ("pass", "pass", "pass")),
        ({445: 7, 5985: 0}, 0, ("pass", "not_applicable", "pass")),
        ({445: 7, 5985: 0}, 11010, ("fail", "not_applicable", "pass")),
        ({445: 7, 5985: 7}, 11010, ("fail", "error", "error")),
        ({445: 28, 5985: 0}, 0, ("pass", "fail", "pass")),
        ({445: 28, 5985: 28}, 11003, ("fail", "fail", "fail")),
        ({445: 0}, 0, ("pass", "pass", "error")),
        ({445: 0, 5985: 0}, None, ("error", "pass", "pass")),
        ({445: 0, 5985: 0}, 11050, ("error", "pass", "pass")),
    ],
)
def test_the_way_to_the_other_node(state: dict[int, int], echo: Any, expected: tuple[str, str, str]) -> None:
    found = outcomes_of(between_nodes, peers(state, echo), **PORTS)
    assert found == dict(zip(("ICMP to N2", "N2:445", "N2:5985"), expected, strict=True))


@pytest.mark.parametrize(
    ("state", "echo", "expected"),
    [
        ({445: 28, 5985: 0}, 11010, ("not_applicable", "not_applicable", "pass")),
        ({445: 28, 5985: 0}, 0, ("pass", "not_applicable", "pass")),
        ({445: 0, 5985: 28}, 11010, ("not_applicable", "pass", "fail")),
        ({445: 28, 5985: 28}, 11010, ("fail", "fail", "fail")),
        ({445: 28, 5985: 7}, 0, ("pass", "fail", "not_applicable")),
        ({445: 28, 5985: 2}, 11010, ("error", "error", "error")),
    ],
)
def test_fresh_nodes_keep_their_own_firewalls_closed(
    state: dict[int, int], echo: int, expected: tuple[str, str, str]
) -> None:
    found = outcomes_of(between_nodes, peers(state, echo, Phase.PRE_DEPLOY), **PORTS)
    assert found == dict(zip(("ICMP to N2", "N2:445", "N2:5985"), expected, strict=True))


def test_echo_and_ports_are_judged_without_each_other() -> None:
    pings = [{"Address": OTHER, "StatusCode": 11010}]
    for phase, outcome in ((Phase.DAY_2, Outcome.FAIL), (Phase.PRE_DEPLOY, Outcome.ERROR)):
        view = view_of({"reach.peers": Status.NOT_PRESENT, "net.peer_ping": pings}, phase=phase)
        judging = between_nodes.judge(view, msgspec.convert(PORTS, between_nodes.parameters))
        assert next(iter(judging)).outcome is outcome
    facts = {"reach.peers": [row(False, 28), row(False, 7, port=5985)], "net.peer_ping": Status.TIMED_OUT}
    found = outcomes_of(between_nodes, view_of(facts), **PORTS)
    assert found == {"ICMP to N2": Outcome.ERROR, "N2:445": Outcome.FAIL, "N2:5985": Outcome.ERROR}


@pytest.mark.parametrize(
    ("technology", "traffic", "asked"),
    [("iWARP", "storage", True), ("IWARP", "storage", True), ("RoCEv2", "storage", False), ("iWARP", "compute", False)],
)
def test_smb_direct_over_iwarp_has_a_port_of_its_own(technology: str, traffic: str, asked: bool) -> None:
    intent = {
        "name": "i",
        "traffic": [traffic],
        "adapters": ["A"],
        "overrides": {"network_direct_technology": technology},
    }
    view = peers({445: 0, 5985: 0, 5445: 28}, network={"intents": [intent]})
    found = outcomes_of(between_nodes, view, **PORTS)
    assert found.get("N2:5445") == (Outcome.NOT_APPLICABLE if asked else None)


def test_a_node_does_not_judge_itself() -> None:
    one = site_of(nodes=[{"name": "N1", "address": "192.0.2.11"}])
    with pytest.raises(NotApplicable, match="no other node"):
        findings_of(of_cluster, view_of({"reach.peers": [row(False, 28, host="192.0.2.11")]}, site=one), **PORTS)


NTP = site_of(network={"ntp_servers": ["ntp1"]})


def told(output: str | None, exit_code: int = 0) -> View:
    return view_of({"time.declared_servers": [{"server": "ntp1", "output": output, "exit_code": exit_code}]}, site=NTP)


@pytest.mark.parametrize(
    ("output", "exit_code", "outcome"),
    [
        ("x\r\n12:00:00, +00.0012345s\r\n", 0, Outcome.PASS),
        ("x\n12:00:00, -00,0012345s", 0, Outcome.PASS),
        ("x\n12:00:00, +12.5s\n12:00:02, +12.5s\n", 0, Outcome.PASS),
        ("x\n12:00:00, error: 0x800705B4\n", 0, Outcome.FAIL),
        ("x\n12:00:00, Fehler: 0x800705b4\n", 0, Outcome.FAIL),
        ("x\n12:00:00, error: 0x80070005\n", 0, Outcome.ERROR),
        ("The current time is 12:00:00.\n", 0, Outcome.ERROR),
        ("", 0, Outcome.ERROR),
        (None, -2147023436, Outcome.FAIL),
        (None, 0x80072AF9, Outcome.FAIL),
        (None, 1, Outcome.ERROR),
        (None, 0, Outcome.ERROR),
    ],
)
def test_what_a_time_server_told(output: str | None, exit_code: int, outcome: Outcome) -> None:
    assert outcomes_of(time_servers, told(output, exit_code)) == {"NTP server ntp1": outcome}


def test_a_server_that_was_not_asked_is_no_good_one() -> None:
    view = view_of({"time.declared_servers": []}, site=NTP)
    assert outcomes_of(time_servers, view) == {"NTP server ntp1": Outcome.ERROR}


DNS = site_of(network={"dns": {"servers": ["192.0.2.53"]}})
ASKED_FOR = {"server": "192.0.2.53", "name": "management.azure.com"}
ASKED = "Server:  UnKnown\r\nAddress:  192.0.2.53\r\n\r\n"


def answers(output: str | None, operator: Any) -> View:
    facts: dict[str, Any] = {"reach.public_names": [{**ASKED_FOR, "exit_code": 0, "output": output}]}
    asked = (
        operator
        if isinstance(operator, Status)
        else [
            {**ASKED_FOR, "answers": operator},
            {**ASKED_FOR, "name": "other.example", "answers": ["203.0.113.9"]},
        ]
    )
    return view_of({**facts, "dns.public_names": asked}, site=DNS)


@pytest.mark.parametrize(
    ("output", "operator", "outcome"),
    [
        (f"{ASKED}Name:    x\r\nAddress:  203.0.113.1\r\n", [], Outcome.PASS),
        (f"{ASKED}Name:    x\r\nAddresses:  2001:db8::1\r\n          203.0.113.1\r\n", [], Outcome.PASS),
        ("Server:  dns1\r\nAddress:  192.0.2.53#53\r\n\r\nNom :    x\r\nAddress:  203.0.113.1\r\n", [], Outcome.PASS),
        (ASKED, ["203.0.113.1"], Outcome.FAIL),
        (f"DNS request timed out.\r\n    timeout was 3 seconds.\r\n{ASKED}", ["203.0.113.1"], Outcome.FAIL),
        ("", ["203.0.113.1"], Outcome.FAIL),
        (ASKED, [], Outcome.NOT_APPLICABLE),
        (ASKED, None, Outcome.ERROR),
        (None, ["203.0.113.1"], Outcome.ERROR),
    ],
)
def test_what_a_dns_server_told_the_node(output: str | None, operator: Any, outcome: Outcome) -> None:
    assert outcomes_of(dns_over_udp, answers(output, operator)) == {"DNS server 192.0.2.53": outcome}


def test_without_the_operators_side_silence_is_an_open_question() -> None:
    with pytest.raises(NotObserved):
        findings_of(dns_over_udp, answers(ASKED, Status.TIMED_OUT))


@pytest.mark.parametrize(
    ("value", "ports", "expected"),
    [
        (None, [5353], {"UDP 5353": Outcome.PASS}),
        (1, [443, 5353], {"UDP 5353": Outcome.PASS}),
        (0, [5353], {"EnableMDNS": Outcome.FAIL}),
        (1, [443], {"UDP 5353": Outcome.FAIL}),
        ("0", [5353], {"EnableMDNS": Outcome.ERROR, "UDP 5353": Outcome.PASS}),
        (None, [None], {"UDP 5353": Outcome.ERROR}),
    ],
)
def test_multicast_dns(value: Any, ports: list[Any], expected: dict[str, Outcome]) -> None:
    site = site_of(network={"dns": {"mode": "forwarder", "forwarders": ["192.0.2.53"]}})
    kept = {} if value is None else {"EnableMDNS": {"type": "REG_DWORD", "data": value}}
    facts = {
        "net.udp_listeners": [{"LocalPort": port} for port in ports],
        "net.dns_cache_service": {"exists": True, "keys": {"": kept}},
    }
    assert outcomes_of(multicast_dns, view_of(facts, site=site)) == expected
