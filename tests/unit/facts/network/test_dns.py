"""The source `dns` against BIND and against a server that breaks every habit, all on loopback."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import dns.exception
import dns.message
import dns.rcode
import dns.rrset
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from azpreflight.connect import Redirections
from azpreflight.facts.classes import ClassTable
from azpreflight.facts.collection import Collection
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.network import dns as source
from azpreflight.facts.network import dns_wire as wire
from azpreflight.facts.network.dns import DnsSource, Question, questions_of
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.query import DnsQuery, FromFact, Query, WinrmQuery
from azpreflight.facts.row_errors import NOT_TRIED, PORT_CLOSED, TIMEOUT
from azpreflight.model import Phase, Profile, Sureness
from azpreflight.site.model import Cluster, Dns, Network, Node, Site
from servers.dns import (
    DnsServer,
    Endpoint,
    StrangeServer,
    garbage,
    question_itself,
    reached_at,
    truncated,
    whole,
    wrong_id,
    wrong_question,
)
from servers.processes import free_port

SERVER = "192.0.2.53"
NAME = "azl-n01.edge.example"
SHORT = 0.2


def site(*servers: str) -> Site:
    return Site(
        name="lab",
        profile=Profile.LOCAL_IDENTITY,
        cluster=Cluster(name="azl-cl01"),
        nodes=(Node(name="azl-n01", address="192.0.2.11"), Node(name="azl-n02", address="192.0.2.12")),
        network=Network(dns=Dns(servers=servers or None, zone="edge.example")),
    )


def query(*names: str | FromFact, kind: Any = "A", **read: Any) -> Query:
    return Query(read=DnsQuery(names=names, type=kind, **read), title="t", sureness=Sureness.DOCUMENTED, basis="b")


def collect(
    queries: dict[str, Query],
    servers: Sequence[str],
    where: Callable[[str, int], tuple[str, int]],
    deadline: Deadline | None = None,
) -> dict[str, Observation]:
    """What the source keeps, by the name of the fact."""
    kept: list[Observation] = []
    collection = Collection(
        site=site(*servers), phase=Phase.PRE_DEPLOY, queries=queries, tables={}, classes=ClassTable({})
    )
    DnsSource(where).collect_site(collection, deadline or Deadline(30), kept.append)
    assert sorted(observation.fact for observation in kept) == sorted(collection.of_site)
    assert {(observation.target, observation.source) for observation in kept} == {("lab", "dns")}
    return {observation.fact: observation for observation in kept}


def row_from(where: Callable[[str, int], tuple[str, int]], name: str = NAME, kind: str = "A") -> Any:
    """The only row of one question to one server."""
    observation = collect({"f": query(name, kind=kind)}, [SERVER], where)["f"]
    assert observation.status is Status.OBSERVED
    (row,) = observation.value
    assert json.loads(json.dumps(row)) == row
    return row


def strange_row(server: StrangeServer, name: str = NAME) -> Any:
    with server:
        return row_from(reached_at({SERVER: server.endpoint}), name)


def answered(**changed: Any) -> dict[str, Any]:
    right = {
        "rcode": "NOERROR",
        "error": None,
        "authoritative": True,
        "transport": "udp",
        "truncated": False,
        "aliases": [],
        "answers": ["192.0.2.11"],
    }
    return {"server": SERVER, "name": NAME, "type": "A", **right, **changed}


def unanswered(error: str, **changed: Any) -> dict[str, Any]:
    return answered(rcode=None, error=error, authoritative=False, answers=[], **changed)


CUT = {"transport": "tcp", "truncated": True}
"""What a row says where an answer over UDP was cut."""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries that are over soon."""
    monkeypatch.setattr(wire, "TRY_SECONDS", SHORT)


@pytest.fixture
def closed() -> Endpoint:
    """A port that was free a moment ago."""
    return Endpoint("127.0.0.1", free_port())


@pytest.mark.parametrize(
    ("view", "name", "expected"),
    [
        ("authoritative", NAME, {}),
        ("authoritative", "AZL-N01.Edge.Example", {}),
        ("authoritative", "azl-n09.edge.example", {"rcode": "NXDOMAIN", "answers": []}),
        ("authoritative", "six.edge.example", {"answers": []}),
        ("authoritative", "two.edge.example", {"answers": ["192.0.2.31", "192.0.2.32"]}),
        ("authoritative", "alias.edge.example", {"aliases": ["alias2.edge.example", NAME]}),
        (
            "authoritative",
            "dangling.edge.example",
            {"rcode": "NXDOMAIN", "aliases": ["nowhere.edge.example"], "answers": []},
        ),
        ("authoritative", "loop.edge.example", {"rcode": "SERVFAIL", "answers": []}),
        ("authoritative", "azl-n01.other.example", {"rcode": "REFUSED", "authoritative": False, "answers": []}),
        ("stale", NAME, {"answers": ["192.0.2.99"]}),
        ("refusing", NAME, {"rcode": "REFUSED", "authoritative": False, "answers": []}),
        ("broken", NAME, {"rcode": "SERVFAIL", "authoritative": False, "answers": []}),
        ("forwarding", NAME, {"authoritative": False}),
        ("forwarding", "azl-n09.edge.example", {"rcode": "NXDOMAIN", "authoritative": False, "answers": []}),
        ("wildcard", "surely-not-there.edge.example", {"answers": ["192.0.2.200"]}),
    ],
)
def test_a_row_says_what_the_server_answered(
    dns_server: DnsServer, view: str, name: str, expected: dict[str, Any]
) -> None:
    assert row_from(dns_server.reached_at({SERVER: view}), name) == answered(name=name, **expected)


@pytest.mark.parametrize(
    ("kind", "name", "answers"),
    [
        ("AAAA", "six.edge.example", ["2001:db8::6"]),
        ("CNAME", "alias.edge.example", ["alias2.edge.example."]),
        ("NS", "edge.example", ["ns.edge.example."]),
        ("SOA", "edge.example", ["ns.edge.example. admin.edge.example. 1 3600 600 86400 300"]),
        ("SRV", "_ldap._tcp.edge.example", ["0 100 389 azl-n01.edge.example."]),
        ("PTR", "11.2.0.192.in-addr.arpa", ["azl-n01.edge.example."]),
        ("PTR", "192.0.2.11", ["azl-n01.edge.example."]),
    ],
)
def test_every_type_is_answered_with_its_own_data(
    dns_server: DnsServer, kind: str, name: str, answers: list[str]
) -> None:
    row = row_from(dns_server.reached_at({SERVER: "authoritative"}), name, kind)
    expected = {"targets": ["azl-n01.edge.example"]} if kind == "SRV" else {}
    assert row == answered(name=name, type=kind, answers=answers, **expected)


def test_the_hosts_of_a_service_are_asked_for_in_turn(dns_server: DnsServer) -> None:
    targets = FromFact(fact="services", property="targets")
    queries = {"addresses": query(targets), "services": query("_ldap._tcp.edge.example", kind="SRV")}
    found = collect(queries, [SERVER], dns_server.reached_at({SERVER: "authoritative"}))
    assert found["addresses"].value == [answered(name="azl-n01.edge.example")]


def test_hosts_of_a_service_that_nobody_knows_are_not_asked_for(dns_server: DnsServer) -> None:
    targets = FromFact(fact="services", property="targets")
    queries = {"addresses": query(targets), "services": query("_ldap._tcp.other.example", kind="SRV")}
    found = collect(queries, [SERVER], dns_server.reached_at({SERVER: "authoritative"}))
    assert found["addresses"].status is Status.NOT_ASKED


def test_before_anything_is_asked_names_of_other_answers_are_words() -> None:
    read = DnsQuery(names=(FromFact(fact="services", property="targets"),), type="A")
    assert [str(question) for question in questions_of(read, site(SERVER))] == [f"{SERVER}: <targets of services> A"]


def test_an_answer_too_long_for_a_datagram_comes_over_tcp(dns_server: DnsServer) -> None:
    row = row_from(dns_server.reached_at({SERVER: "authoritative"}), "many.edge.example")
    addresses = sorted(f"198.51.100.{number}" for number in range(1, 61))
    assert row == answered(name="many.edge.example", answers=addresses, **CUT)


@pytest.mark.parametrize(
    ("server", "row"),
    [
        (StrangeServer(udp=[truncated], tcp=[whole]), answered(**CUT)),
        (StrangeServer(udp=[truncated], tcp=None), unanswered("port closed", **CUT)),
        (StrangeServer(udp=[truncated], tcp=[]), unanswered("connection closed", **CUT)),
        (
            StrangeServer(udp=[truncated], tcp=[truncated]),
            unanswered("the answer is no DNS answer to the question", **CUT),
        ),
        (
            StrangeServer(udp=[truncated], tcp=[garbage]),
            unanswered("the answer is no DNS answer to the question", **CUT),
        ),
        (
            StrangeServer(udp=[truncated], tcp=[wrong_id]),
            unanswered("the answer is no DNS answer to the question", **CUT),
        ),
        (StrangeServer(udp=[truncated], stays_silent=True), unanswered("timeout", **CUT)),
    ],
    ids=["whole", "closed", "hangs-up", "truncated-again", "garbage", "wrong-id", "silent"],
)
@pytest.mark.usefixtures("impatient")
def test_a_truncated_answer_is_asked_for_over_tcp_whatever_comes_of_it(
    server: StrangeServer, row: dict[str, Any]
) -> None:
    assert strange_row(server) == row


@pytest.mark.parametrize(
    ("server", "row"),
    [
        (StrangeServer(udp=[whole], tcp=[whole]), answered(transport="tcp")),
        (StrangeServer(udp=[whole], tcp=None), unanswered("port closed", transport="tcp")),
        (StrangeServer(udp=[whole], tcp=[]), unanswered("connection closed", transport="tcp")),
        (StrangeServer(udp=[whole], stays_silent=True), unanswered("timeout", transport="tcp")),
    ],
    ids=["whole", "closed", "hangs-up", "silent"],
)
@pytest.mark.usefixtures("impatient")
def test_what_only_tcp_may_carry_is_never_asked_over_udp(server: StrangeServer, row: dict[str, Any]) -> None:
    with server:
        asked = {"f": query(NAME, transport="tcp")}
        assert collect(asked, [SERVER], reached_at({SERVER: server.endpoint}))["f"].value == [row]
    assert "udp" not in server.asked


@pytest.mark.usefixtures("impatient")
def test_silence_over_udp_is_not_explained_by_a_closed_port_of_tcp() -> None:
    asked = {"udp": query(NAME), "tcp": query(NAME, transport="tcp")}
    with StrangeServer(udp=[], tcp=None) as server:
        facts = collect(asked, [SERVER], reached_at({SERVER: server.endpoint}))
    assert facts["udp"].value == [unanswered("timeout")]
    assert facts["tcp"].value == [unanswered("port closed", transport="tcp")]


def test_a_query_says_which_servers_are_asked() -> None:
    forwarding = msgspec.structs.replace(site(SERVER), network=Network(dns=Dns(forwarders=("192.0.2.99",))))
    read = DnsQuery(names=("a.example",), type="A", servers="site.dns_forwarders")
    assert questions_of(read, forwarding) == [Question("192.0.2.99", "a.example", "A")]


@pytest.mark.parametrize(
    "before", [garbage, wrong_id, wrong_question, question_itself, lambda query: b"", lambda query: b"\x00" * 3]
)
def test_a_datagram_that_is_no_answer_is_passed_over(before: Callable[[dns.message.Message], bytes]) -> None:
    assert strange_row(StrangeServer(udp=[before, before, whole])) == answered()


@pytest.mark.parametrize("reply", [garbage, wrong_id, wrong_question, question_itself])
@pytest.mark.usefixtures("impatient")
def test_a_server_that_never_answers_to_the_point_is_silent_after_its_tries(
    reply: Callable[[dns.message.Message], bytes],
) -> None:
    server = StrangeServer(udp=[reply])
    assert strange_row(server) == unanswered("timeout")
    assert server.asked == ["udp"] * wire.TRIES


@pytest.mark.usefixtures("impatient")
def test_a_flood_of_garbage_ends_with_the_tries() -> None:
    start = time.monotonic()
    assert strange_row(StrangeServer(udp=[garbage], floods=True)) == unanswered("timeout")
    assert time.monotonic() - start < wire.TRIES * SHORT + 2


@pytest.mark.usefixtures("impatient")
def test_a_lost_datagram_does_no_harm() -> None:
    server = StrangeServer(udp=[whole], lost=1)
    assert strange_row(server) == answered()
    assert server.asked[:2] == ["udp", "udp"]


def test_a_closed_port_is_told_at_once(closed: Endpoint) -> None:
    start = time.monotonic()
    assert row_from(reached_at({SERVER: closed})) == unanswered("port closed")
    assert time.monotonic() - start < 1


def test_a_closed_port_is_one_for_every_question_even_if_the_system_says_so_once_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def tries(request: dns.message.Message, *_: object) -> wire.Reply:
        first = request.question[0].name.to_text() == NAME + "."
        return wire.Reply("udp", None, PORT_CLOSED if first else TIMEOUT)

    monkeypatch.setattr(wire, "_try", tries)
    rows = collect({"f": query(NAME, "other.example")}, [SERVER], reached_at({}))["f"].value
    assert [row["error"] for row in rows] == ["port closed", "port closed"]


@given(data=st.data())
def test_no_bytes_that_a_server_may_send_get_past_the_reader(data: st.DataObject) -> None:
    request = dns.message.make_query(NAME, "A", id=1)
    sent = bytearray(whole(request))
    for _ in range(data.draw(st.integers(0, 4))):
        sent[data.draw(st.integers(0, len(sent) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(sent[: data.draw(st.integers(0, len(sent)))]) + data.draw(st.binary(max_size=20))
    with contextlib.suppress(dns.exception.DNSException):
        aliases, answers = source._answers(wire._understood(cut, request))
        assert all(isinstance(text, str) for text in [*aliases, *answers])


def test_an_answer_full_of_addresses_is_kept_in_part() -> None:
    def crowd(query: dns.message.Message) -> bytes:
        response = dns.message.make_response(query)
        addresses = [f"10.0.{number // 256}.{number % 256}" for number in range(1000)]
        response.answer.append(dns.rrset.from_text(query.question[0].name, 300, "IN", "A", *addresses))
        return response.to_wire()

    row = strange_row(StrangeServer(udp=[truncated], tcp=[crowd]))
    assert len(row["answers"]) == source.ANSWERS_KEPT


def test_an_address_of_another_name_in_the_answer_does_not_count() -> None:
    def stray(query: dns.message.Message) -> bytes:
        response = dns.message.from_wire(whole(query))
        response.answer.append(dns.rrset.from_text("other.example.", 300, "IN", "A", "198.51.100.66"))
        return response.to_wire()

    assert strange_row(StrangeServer(udp=[stray])) == answered()


def test_a_refusal_without_the_question_in_it_is_a_refusal() -> None:
    def curt(query: dns.message.Message) -> bytes:
        response = dns.message.make_response(query)
        response.set_rcode(dns.rcode.REFUSED)
        response.question = []
        return response.to_wire()

    row = strange_row(StrangeServer(udp=[curt]))
    assert row == answered(rcode="REFUSED", authoritative=False, answers=[])


@pytest.mark.parametrize(
    "name",
    ["two..dots.example", f"{'x' * 64}.example", ".".join(["abcdefgh"] * 40), "bad\\999.example", "\u200d.example"],
)
def test_a_name_that_is_no_dns_name_is_not_asked(name: str) -> None:
    server = StrangeServer(udp=[whole])
    row = strange_row(server, name)
    assert row["error"].startswith("the name is no DNS name: ")
    assert len(row["error"]) <= 200
    assert row == answered(name=name, rcode=None, error=row["error"], authoritative=False, answers=[])
    assert server.asked == []


@pytest.mark.parametrize("server", ["dns.edge.example", "192.0.2.256", "127.1", "", "a" * 300, "\u00fc..", "\x00"])
def test_a_server_that_is_no_address_is_told_and_not_looked_up(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("looked up"))
    row = source.DnsSource(lambda host, port: (host, port)).ask(Question(server, NAME, "A"), Deadline(5))
    assert row == {**unanswered("the server is no IP address"), "server": server}


def test_a_server_declared_by_an_ipv6_address_is_asked_where_it_is_redirected_to(dns_server: DnsServer) -> None:
    redirections = Redirections([f"2001:db8::53={dns_server.at('authoritative')}"])
    value = collect({"f": query(NAME)}, ["2001:db8::53"], redirections.reach)["f"].value
    assert value == [{**answered(), "server": "2001:db8::53"}]


def test_a_server_is_asked_over_ipv6() -> None:
    # Where the machine has no IPv6 at all, that is what the row says.
    try:
        with StrangeServer(udp=[whole], host="::1") as server:
            assert row_from(reached_at({SERVER: server.endpoint})) == answered()
    except OSError:
        assert row_from(reached_at({SERVER: Endpoint("::1", 9)}))["rcode"] is None


def test_a_redirection_to_a_host_name_is_followed() -> None:
    with StrangeServer(udp=[whole]) as server:
        assert row_from(reached_at({SERVER: Endpoint("localhost", server.endpoint.port)})) == answered()


def test_a_redirection_to_a_name_that_has_no_address_is_told() -> None:
    # Too long for a name, so that no resolver is asked.
    host = "x" * 64
    row = row_from(reached_at({SERVER: Endpoint(host, 53)}))
    assert row == unanswered(f"{host}, where the server is to be reached, has no address")


def test_an_address_that_cannot_be_reached_is_told_without_the_words_of_the_system() -> None:
    # The system does not send to a broadcast address unless asked to.
    row = row_from(reached_at({SERVER: Endpoint("255.255.255.255", 53)}))
    assert row["error"].startswith("cannot be reached (E")


def test_each_question_is_asked_once_whatever_facts_share_it() -> None:
    with StrangeServer(udp=[whole], tcp=[whole]) as server:
        queries = {
            "nodes": query("site.node_fqdns"),
            "all": query("site.node_fqdns", "site.cluster_fqdn", "AZL-LITERAL.edge.example."),
            "tcp": query("site.cluster_fqdn", transport="tcp"),
            "not.ours": Query(read=WinrmQuery(resource="config"), title="t", sureness=Sureness.DOCUMENTED, basis="b"),
        }
        found = collect(queries, [SERVER], reached_at({SERVER: server.endpoint}))
    assert sorted(server.asked) == ["tcp"] + ["udp"] * 4
    names = ["azl-n01.edge.example", "azl-n02.edge.example", "azl-cl01.edge.example", "AZL-LITERAL.edge.example"]
    assert [row["name"] for row in found["all"].value] == names
    assert [row["name"] for row in found["nodes"].value] == names[:2]


def test_a_name_with_and_without_its_last_dot_is_one_question() -> None:
    read = DnsQuery(names=("a.example", "a.example."), type="A")
    assert questions_of(read, site("192.0.2.53", "192.0.2.53")) == [Question("192.0.2.53", "a.example", "A")]


@pytest.mark.parametrize(("servers", "names"), [((), [NAME]), ((SERVER,), ["site.domain"])])
def test_nothing_to_ask_for_is_not_asked(servers: tuple[str, ...], names: list[str]) -> None:
    observation = collect({"f": query(*names)}, servers, reached_at({}))["f"]
    assert observation.status is Status.NOT_ASKED
    assert observation.value is None
    assert observation.reason == "the site declares nothing to ask"


def test_bad_servers_do_not_touch_the_rows_of_good_ones(dns_server: DnsServer, closed: Endpoint) -> None:
    servers = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "no-address"]
    places = {servers[0]: closed, servers[1]: dns_server.at("stale"), servers[2]: dns_server.at("authoritative")}
    value = collect({"f": query(NAME)}, servers, reached_at(places))["f"].value
    assert [(row["server"], row["error"], row["answers"]) for row in value] == [
        ("192.0.2.1", "port closed", []),
        ("192.0.2.2", None, ["192.0.2.99"]),
        ("192.0.2.3", None, ["192.0.2.11"]),
        ("no-address", "the server is no IP address", []),
    ]


def test_after_the_deadline_nobody_is_asked_and_nothing_is_held_against_a_server() -> None:
    with StrangeServer(udp=[whole]) as server:
        observation = collect({"f": query(NAME)}, [SERVER], reached_at({SERVER: server.endpoint}), Deadline(-1))["f"]
    assert server.asked == []
    assert observation.status is Status.TIMED_OUT
    assert observation.value is None
    assert observation.reason == "the time was over before anything had been given time to answer"


def test_a_deadline_that_cuts_a_wait_short_holds_and_leaves_answered_facts_alone() -> None:
    places = {}
    with StrangeServer(udp=[whole]) as good, StrangeServer(udp=[]) as silent:
        places = {SERVER: good.endpoint}
        facts = collect({"f": query(NAME)}, [SERVER], reached_at(places), Deadline(0.5))
        assert facts["f"].value == [answered()]
        start = time.monotonic()
        places = {SERVER: silent.endpoint}
        facts = collect({"f": query(NAME)}, [SERVER], reached_at(places), Deadline(0.5))
    assert time.monotonic() - start < 1
    assert facts["f"].status is Status.TIMED_OUT


def test_what_was_answered_before_the_deadline_is_kept_beside_what_was_cut_short() -> None:
    with StrangeServer(udp=[whole]) as good, StrangeServer(udp=[]) as silent:
        places = {SERVER: good.endpoint, "192.0.2.54": silent.endpoint}
        value = collect({"f": query(NAME)}, list(places), reached_at(places), Deadline(0.5))["f"].value
    assert value == [answered(), {**unanswered(NOT_TRIED), "server": "192.0.2.54"}]


def test_a_run_that_is_called_off_waits_no_longer() -> None:
    called_off = threading.Event()
    threading.Timer(0.2, called_off.set).start()
    start = time.monotonic()
    with StrangeServer(udp=[]) as silent:
        where = reached_at({SERVER: silent.endpoint})
        facts = collect({"f": query(NAME)}, [SERVER], where, Deadline(60, called_off))
    assert time.monotonic() - start < 1.5
    assert facts["f"].status is Status.TIMED_OUT


def test_sixty_four_names_at_three_servers_take_a_moment_and_one_silent_server_only_its_own_time(
    dns_server: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"name{number:02}.edge.example" for number in range(64)]
    servers = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    places = {server: dns_server.at("authoritative") for server in servers}
    start = time.monotonic()
    value = collect({"f": query(*names)}, servers, reached_at(places))["f"].value
    assert time.monotonic() - start < 2
    assert [(row["name"], row["server"]) for row in value] == [(name, server) for name in names for server in servers]
    assert all(row["answers"] == [f"203.0.113.{int(row['name'][4:6])}"] for row in value)

    monkeypatch.setattr(wire, "TRY_SECONDS", SHORT)
    with StrangeServer(udp=[]) as silent:
        places[servers[0]] = silent.endpoint
        start = time.monotonic()
        value = collect({"f": query(*names)}, servers, reached_at(places))["f"].value
    assert time.monotonic() - start < 2 * wire.TRIES * SHORT + 2
    assert {row["error"] for row in value if row["server"] == servers[0]} == {"timeout"}
    assert {row["error"] for row in value if row["server"] != servers[0]} == {None}


@pytest.mark.usefixtures("impatient")
def test_two_runs_give_the_same_rows(dns_server: DnsServer, closed: Endpoint) -> None:
    servers = [f"192.0.2.{number}" for number in range(1, 6)]
    with StrangeServer(udp=[truncated], tcp=[]) as hangs_up, StrangeServer(udp=[garbage]) as mad:
        places = dict(
            zip(
                servers,
                [closed, dns_server.at("forwarding"), dns_server.at("authoritative"), hangs_up.endpoint, mad.endpoint],
                strict=True,
            )
        )
        asked = query("many.edge.example", "two.edge.example", "no..name")
        first, second = (collect({"f": asked}, servers, reached_at(places))["f"].value for _ in range(2))
    assert first == second
    assert not any(str(place.port) in json.dumps(first) for place in places.values())
