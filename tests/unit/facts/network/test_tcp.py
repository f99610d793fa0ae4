"""The source `tcp` against ports of every kind, on loopback."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import pytest

from azpreflight.facts.deadline import Deadline
from azpreflight.facts.network import stream, tcp
from azpreflight.facts.network.tcp import TcpSource
from azpreflight.facts.observation import Status
from azpreflight.facts.query import TcpQuery
from azpreflight.facts.row_errors import NOT_TRIED, REDIRECTED
from servers.outside import black_hole
from servers.tls import HOST, OddPorts
from unit.facts.network.asked import collected, rows_of, site_of

SHORT = 0.4


@pytest.fixture(scope="module")
def odd() -> Iterator[OddPorts]:
    with OddPorts() as ports:
        yield ports


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "CONNECT_SECONDS", SHORT)


def straight(host: str, port: int) -> tuple[str, int]:
    return host, port


def row_of(host: str, port: int) -> dict[str, object]:
    (row,) = rows_of(collected(TcpSource(straight), {"f": TcpQuery(hosts=(host,), ports=(port,))}, site_of())["f"])
    assert json.loads(json.dumps(row)) == row
    assert (row.pop("host"), row.pop("port")) == (host, port)
    found: dict[str, object] = row
    return found


def test_a_port_that_takes_the_connection_and_one_that_refuses(odd: OddPorts) -> None:
    assert row_of(HOST, odd.port("silent")) == {"connected": True, "error": None}
    assert row_of(HOST, odd.port("closed")) == {"connected": False, "error": "refused"}


def test_a_port_that_drops_what_comes_is_a_timeout_and_no_refusal(quick: None) -> None:
    with black_hole() as port:
        assert row_of(HOST, port) == {"connected": False, "error": "timeout"}


def test_an_address_without_a_way_to_it() -> None:
    # Class E: no system routes it.
    assert row_of("255.255.255.255", 445) == {"connected": False, "error": "unreachable"}


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70 + ".invalid", "..", "nul\0byte"])
def test_a_name_without_an_address(host: str) -> None:
    assert row_of(host, 445)["error"] in {"no such name", "name lookup failed"}
    # What can be no name at all is told without a resolver.
    if host != "no-such-host.invalid":
        assert row_of(host, 445) == {"connected": False, "error": "no such name"}


def test_a_name_with_two_addresses_is_connected_by_the_one_that_takes_it(
    odd: OddPorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = odd.port("silent")
    real = stream._looked_up

    def both(host: str, port: int, flags: int) -> list[tuple[int, object]]:
        found = real("127.0.0.9", port, flags) if flags else []
        return [*found, *real(HOST, port, 0)]

    monkeypatch.setattr(stream, "_looked_up", both)
    assert row_of("two.example", port) == {"connected": True, "error": None}


def test_a_lookup_that_never_ends_costs_its_time_and_no_more(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    ending = threading.Event()

    def never(host: str, port: int, flags: int) -> list[tuple[int, object]]:
        if flags:
            raise stream.NoSuchNameError
        ending.wait(10)
        return []

    monkeypatch.setattr(stream, "_looked_up", never)
    started = time.monotonic()
    assert row_of("slow.example", 445) == {"connected": None, "error": "name lookup failed"}
    assert time.monotonic() - started < 3 * SHORT
    ending.set()


def test_each_host_and_port_is_tried_once_whatever_queries_share_it(odd: OddPorts) -> None:
    tried: list[tuple[str, int]] = []

    def noting(host: str, port: int) -> tuple[str, int]:
        tried.append((host, port))
        return HOST, odd.port("silent")

    reads = {
        "first": TcpQuery(hosts=("site.node_addresses",), ports=(5985, 445)),
        "second": TcpQuery(hosts=("site.node_addresses", "192.0.2.99"), ports=(445, 2179)),
    }
    found = collected(TcpSource(noting), reads, site_of("192.0.2.11", "192.0.2.12"))
    assert sorted(tried) == sorted(set(tried))
    asked = [(row["host"], row["port"]) for row in rows_of(found["second"])]
    assert asked == [(f"192.0.2.{last}", port) for last in (11, 12, 99) for port in (445, 2179)]


def test_a_hundred_silent_ports_take_about_one_timeout(quick: None) -> None:
    with black_hole() as port:
        source = TcpSource(lambda host, _: (host, port))
        query = TcpQuery(hosts=(HOST,), ports=tuple(range(1, 101)))
        started = time.monotonic()
        rows = rows_of(collected(source, {"f": query}, site_of())["f"])
        took = time.monotonic() - started
    assert {row["error"] for row in rows} == {"timeout"}
    assert took < 4 * SHORT


def test_a_port_behind_a_redirection_that_stands_for_another_is_not_tried() -> None:
    query = TcpQuery(hosts=("192.0.2.11",), ports=(445,))
    rows = rows_of(collected(TcpSource(lambda _, __: None), {"f": query}, site_of())["f"])
    assert rows == [{"host": "192.0.2.11", "port": 445, "connected": None, "error": REDIRECTED}]


def test_what_was_not_given_its_time_says_nothing(odd: OddPorts) -> None:
    query = TcpQuery(hosts=(HOST,), ports=(odd.port("silent"),))
    found = collected(TcpSource(straight), {"f": query}, site_of(), deadline=Deadline(0))["f"]
    assert (found.status, found.value) == (Status.TIMED_OUT, None)


def test_a_deadline_that_passes_in_the_middle_is_no_timeout_of_the_port() -> None:
    with black_hole() as port:
        query = TcpQuery(hosts=(HOST,), ports=(port,))
        found = collected(TcpSource(straight), {"f": query}, site_of(), deadline=Deadline(SHORT))["f"]
    assert found.status is Status.TIMED_OUT


def test_a_run_that_is_called_off_ends_at_once() -> None:
    called_off = threading.Event()
    with black_hole() as port:
        query = TcpQuery(hosts=(HOST,), ports=(port,))
        threading.Timer(0.2, called_off.set).start()
        started = time.monotonic()
        found = collected(TcpSource(straight), {"f": query}, site_of(), deadline=Deadline(30, called_off))["f"]
        assert time.monotonic() - started < 2
    assert found.status is Status.TIMED_OUT


def test_nothing_is_asked_where_no_node_has_an_address() -> None:
    found = collected(TcpSource(straight), {"f": TcpQuery(hosts=("site.node_addresses",), ports=(445,))}, site_of())
    assert found["f"].status is Status.NOT_ASKED


def test_one_row_that_was_tried_makes_the_fact_observed(odd: OddPorts) -> None:
    def half(host: str, port: int) -> tuple[str, int] | None:
        return (HOST, odd.port("silent")) if port == 5985 else None

    query = TcpQuery(hosts=("192.0.2.11",), ports=(5985, 445))
    rows = rows_of(collected(TcpSource(half), {"f": query}, site_of())["f"])
    assert [row["connected"] for row in rows] == [True, None]
    assert NOT_TRIED not in {row["error"] for row in rows}
