"""Everything that a node or the way to it may do to one question: its own words, its status, nothing left open."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from azpreflight import Credential
from azpreflight.facts.collection import Collection, with_dependencies
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.winrm.channel import Endpoint
from azpreflight.facts.winrm.source import WinrmSource
from azpreflight.model import Phase
from azpreflight.packs.load import load_packs
from azpreflight.site import load_site
from servers.lab import PASSWORD, SITE, USER, node_scenario
from servers.processes import free_port
from servers.tls import Authority, Certificate
from servers.winrm import Fault, Misbehaviour, Shape, WinRMServer

PACKS = load_packs(["windows"])
ASKED = "system.computer"
FACTS = ("net.ip_addresses", "system.computer", "system.version", "winrm.authentication", "winrm.config")

REFUSED = (5, 2147749891, 2147942405, 2150858815, 2150859012, 2150859013, 2150859014)
REFUSED_QUOTAS = (2150859173, 2150859174, 2150859175, 2150859176, 2150859179, *range(2150859236, 2150859243))
NOT_PRESENT = (2150858752, 2150858778, 2150858811, 2147749890, 2147749902, 2147749904)
TIMED_OUT = (2150858793, 2147749993)
FAILED = (
    *(87, 1018, 2150858753, 2150858755, 2150858767, 2150858790, 2150858817, 2150858823, 2150858824, 2150858825),
    *(2150858843, 2150858884, 2150858906, 2150859002, 2150859003, 2150859010, 2150859011, 2150859016, 2150859038),
    *(2150859042, 2150859181, 2147749889, 2147749907, 2147749911),
)
FAULTS = [
    *((code, Status.REFUSED) for code in (*REFUSED, *REFUSED_QUOTAS)),
    *((code, Status.NOT_PRESENT) for code in NOT_PRESENT),
    *((code, Status.TIMED_OUT) for code in TIMED_OUT),
    *((code, Status.FAILED) for code in FAILED),
]


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    path = tmp_path_factory.mktemp("site") / "site.yaml"
    path.write_text(SITE % {"nodes": "  - {name: AZL-N01, address: 192.0.2.11}"})
    return Collection(
        site=load_site(path).site,
        phase=Phase.PRE_DEPLOY,
        queries=with_dependencies(FACTS, PACKS.queries),
        tables={},
        classes=PACKS.classes,
    )


@contextmanager
def node(*misbehaviours: Misbehaviour, certificate: Certificate | None = None) -> Iterator[WinRMServer]:
    with WinRMServer(
        node_scenario(1), {USER: PASSWORD}, misbehaviours=misbehaviours, certificate=certificate
    ) as server:
        yield server


def asked(
    collection: Collection, endpoint: Endpoint, *, seconds: float = 30, password: str = PASSWORD
) -> dict[str, Observation]:
    """What came of each fact, in bounded time."""
    found: list[Observation] = []
    source = WinrmSource(Credential(USER, password), lambda _: endpoint, query_seconds=min(seconds, 60))
    started = time.monotonic()
    source.collect_node(collection.site.nodes[0], collection, Deadline(seconds), found.append)
    assert time.monotonic() - started < seconds + 10
    assert sorted(observation.fact for observation in found) == sorted(FACTS)
    return {observation.fact: observation for observation in found}


def plain(server: WinRMServer) -> Endpoint:
    return Endpoint("127.0.0.1", server.http_port, https=False, certificate_name="192.0.2.11")


def nothing_left(server: WinRMServer) -> None:
    assert server.log.forbidden == []
    assert server.log.open_shells == []
    assert server.log.open_contexts == []


@pytest.mark.parametrize(("code", "status"), FAULTS)
def test_a_fault_costs_the_one_fact_and_says_what_it_means(collection: Collection, code: int, status: Status) -> None:
    fault = Fault(code, text="Ein Fehler ist aufgetreten.")
    with node(Misbehaviour("fault", pattern="Win32_ComputerSystem", fault=fault)) as server:
        found = asked(collection, plain(server))
        nothing_left(server)
    assert found[ASKED].status is status
    assert str(code) in (found[ASKED].reason or "")
    assert "Ein Fehler ist aufgetreten." in (found[ASKED].reason or "")
    others = {name: o.status for name, o in found.items() if name != ASKED}
    assert set(others.values()) == {Status.OBSERVED}


def test_every_fault_has_a_meaning_of_its_own(collection: Collection) -> None:
    from azpreflight.facts.winrm.faults import MEANING

    told = {code for code, _ in FAULTS}
    # The rest are met by shells alone, and tried below.
    assert MEANING.keys() - told == {2147942402, 2147942606, 2150859180}


@pytest.mark.parametrize("shape", [Shape.PROVIDER, Shape.WMI_ERROR])
def test_the_inner_code_decides_in_every_shape(collection: Collection, shape: Shape) -> None:
    inner = 2150859013 if shape is Shape.PROVIDER else None
    fault = Fault(2150858755 if inner else 2150859013, shape=shape, inner_code=inner)
    with node(Misbehaviour("fault", pattern="Win32_ComputerSystem", fault=fault)) as server:
        found = asked(collection, plain(server))
    assert found[ASKED].status is Status.REFUSED
    assert "provider" in (found[ASKED].reason or "")


@pytest.mark.parametrize("code", [1018, 2150858884, 2150858906, 2150859174])
def test_a_passing_fault_is_asked_again_once(collection: Collection, code: int) -> None:
    with node(Misbehaviour("fault", pattern="Win32_ComputerSystem", nth=1, fault=Fault(code))) as server:
        found = asked(collection, plain(server))
        nothing_left(server)
    assert found[ASKED].status is Status.OBSERVED


def test_an_enumeration_context_that_expired_is_begun_anew(collection: Collection) -> None:
    with node(Misbehaviour("fault", operation="Pull", nth=1, fault=Fault(2150858884))) as server:
        found = asked(collection, plain(server))
    assert found["net.ip_addresses"].status is Status.OBSERVED


@pytest.mark.parametrize("action", ["reset", "close_mid_body"])
def test_a_connection_that_broke_once_is_replaced_and_nothing_is_lost(collection: Collection, action: str) -> None:
    once = Misbehaviour(action, pattern="Win32_ComputerSystem", nth=1)  # type: ignore[arg-type]
    with node(once) as server:
        found = asked(collection, plain(server))
        accepted = [accepted for _, accepted in server.log.authentications]
        assert len(accepted) > 1
        assert all(accepted)
        assert server.log.forbidden == []
        assert server.log.open_shells == []
    assert {o.status for o in found.values()} == {Status.OBSERVED}


def test_a_security_context_that_the_node_forgot_is_replaced(collection: Collection) -> None:
    # What Windows answers after two idle minutes.
    once = Misbehaviour("http_status", status=400, pattern="Win32_ComputerSystem", nth=1)
    with node(once) as server:
        found = asked(collection, plain(server))
        nothing_left(server)
    assert {o.status for o in found.values()} == {Status.OBSERVED}


UNREADABLE = [
    (Misbehaviour("garbage_xml", pattern="Win32_ComputerSystem"), Status.FAILED, "answer is not"),
    (Misbehaviour("truncated_xml", pattern="Win32_ComputerSystem"), Status.FAILED, "well-formed"),
    (Misbehaviour("reset", pattern="Win32_ComputerSystem"), Status.FAILED, "broke"),
    (Misbehaviour("close_mid_body", pattern="Win32_ComputerSystem"), Status.FAILED, "cut in the middle"),
    (Misbehaviour("http_status", pattern="Win32_ComputerSystem", status=500), Status.FAILED, "500"),
    (Misbehaviour("http_status", pattern="Win32_ComputerSystem", status=503), Status.FAILED, "503"),
]


@pytest.mark.parametrize(("misbehaviour", "status", "words"), UNREADABLE)
def test_an_answer_that_cannot_be_read_is_no_answer(
    collection: Collection, misbehaviour: Misbehaviour, status: Status, words: str
) -> None:
    with node(misbehaviour) as server:
        found = asked(collection, plain(server))
        assert server.log.forbidden == []
        assert server.log.open_shells == []
    assert found[ASKED].status is status
    assert words in (found[ASKED].reason or "")
    assert found["winrm.authentication"].value["outcome"] == "accepted"


@pytest.mark.parametrize("action", ["hang", "drip"])
def test_a_node_that_is_too_slow_costs_its_deadline_and_no_more(collection: Collection, action: str) -> None:
    slow = Misbehaviour(action, pattern="Win32_ComputerSystem", seconds=0.5)  # type: ignore[arg-type]
    with node(slow) as server:
        found = asked(collection, plain(server), seconds=4)
        assert server.log.open_shells == []
    assert found[ASKED].status is Status.TIMED_OUT
    assert found["winrm.config"].status in (Status.OBSERVED, Status.TIMED_OUT)


def test_what_was_answered_before_the_deadline_is_kept(collection: Collection) -> None:
    with node(Misbehaviour("hang", pattern="reg.exe")) as server:
        found = asked(collection, plain(server), seconds=5)
        assert server.log.open_shells == []
    assert found["system.version"].status is Status.TIMED_OUT
    assert found[ASKED].status is Status.OBSERVED
    assert found["net.ip_addresses"].status is Status.OBSERVED


SHELL_FAULTS = [
    (Misbehaviour("fault", operation="Create", fault=Fault(2150859180)), "AllowRemoteShellAccess"),
    (Misbehaviour("fault", operation="Create", fault=Fault(2150859173)), "MaxShellsPerUser"),
    (Misbehaviour("fault", operation="Create", fault=Fault(5)), "access denied"),
]


@pytest.mark.parametrize(("misbehaviour", "words"), SHELL_FAULTS)
def test_without_a_shell_the_registry_comes_through_stdregprov_and_programs_do_not(
    collection: Collection, misbehaviour: Misbehaviour, words: str
) -> None:
    facts = {**collection.queries, **with_dependencies(["accounts.token"], PACKS.queries)}
    more = Collection(collection.site, collection.phase, facts, {}, collection.classes)
    found: list[Observation] = []
    with node(misbehaviour) as server:
        source = WinrmSource(Credential(USER, PASSWORD), lambda _: plain(server))
        source.collect_node(more.site.nodes[0], more, Deadline(30), found.append)
        nothing_left(server)
    by_name = {observation.fact: observation for observation in found}
    assert by_name["system.version"].status is Status.OBSERVED
    assert by_name["accounts.token"].status is Status.REFUSED
    assert words in (by_name["accounts.token"].reason or "")


def test_an_account_that_is_no_administrator_is_told_so(collection: Collection) -> None:
    with WinRMServer(node_scenario(1).with_(non_administrators=[USER]), {USER: PASSWORD}) as server:
        found = asked(collection, plain(server))
    assert found["winrm.config"].status is Status.REFUSED
    assert "no administrator" in (found["winrm.config"].reason or "")


def test_a_rejected_credential_is_tried_once_and_nothing_else_is_asked(collection: Collection) -> None:
    with node() as server:
        found = asked(collection, plain(server), password="not the one")
        assert server.log.authentications == [(USER, False)]
    assert found["winrm.authentication"].value["outcome"] == "rejected"
    assert {o.status for name, o in found.items() if name != "winrm.authentication"} == {Status.REFUSED}
    assert "no second attempt" in (found[ASKED].reason or "")


def test_a_refusal_without_end_is_not_read(collection: Collection) -> None:
    head = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\n"
    for length in ("Content-Length: 99999999999\r\n", "Transfer-Encoding: chunked\r\n", ""):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            sent: list[int] = []

            def flood(listener: socket.socket = listener, length: str = length, sent: list[int] = sent) -> None:
                peer, _ = listener.accept()
                with peer, contextlib.suppress(OSError):
                    peer.recv(65_536)
                    peer.sendall(f"{head}{length}\r\n".encode())
                    for _ in range(2000):
                        sent.append(peer.send(b"x" * 65_536))

            thread = threading.Thread(target=flood, daemon=True)
            thread.start()
            endpoint = Endpoint("127.0.0.1", listener.getsockname()[1], https=False, certificate_name="x")
            found = asked(collection, endpoint, seconds=5)
            thread.join(timeout=5)
        assert found[ASKED].status is Status.FAILED
        assert "no WinRM service sends" in (found[ASKED].reason or "")
        assert sum(sent) < 16 * 1024 * 1024


def test_a_port_without_listener_and_a_name_without_address_say_so(collection: Collection) -> None:
    closed = asked(collection, Endpoint("127.0.0.1", free_port(), https=False, certificate_name="x"))
    assert {o.status for o in closed.values()} == {Status.UNREACHABLE}
    assert "refuses connections" in (closed[ASKED].reason or "")
    nameless = asked(collection, Endpoint(".".join(["n" * 63] * 5), 5985, https=False, certificate_name="x"))
    assert {o.status for o in nameless.values()} == {Status.UNREACHABLE}
    assert "does not resolve" in (nameless[ASKED].reason or "")


def test_tls_where_there_is_none_and_none_where_there_is_tls(collection: Collection, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with node(certificate=authority.issue("192.0.2.11")) as server:
        wrong = Endpoint("127.0.0.1", server.http_port, https=True, certificate_name="x", ca_file=str(authority.file))
        assert "TLS" in (asked(collection, wrong)[ASKED].reason or "")
        other = Endpoint("127.0.0.1", server.https_port, https=False, certificate_name="x")
        assert asked(collection, other)[ASKED].status is not Status.OBSERVED


CERTIFICATES: Sequence[tuple[tuple[str, ...], dict[str, bool], str]] = [
    (("elsewhere.example",), {}, "doesn't match"),
    (("192.0.2.11",), {"expired": True}, "expired"),
    (("192.0.2.11",), {"not_yet_valid": True}, "not yet valid"),
]


@pytest.mark.parametrize(("names", "options", "words"), CERTIFICATES)
def test_a_bad_certificate_ends_it_before_the_password_is_sent(
    collection: Collection, tmp_path: Path, names: tuple[str, ...], options: dict[str, bool], words: str
) -> None:
    authority = Authority(tmp_path)
    with node(certificate=authority.issue(*names, **options)) as server:
        endpoint = Endpoint(
            "127.0.0.1", server.https_port, https=True, certificate_name="192.0.2.11", ca_file=str(authority.file)
        )
        found = asked(collection, endpoint)
        assert server.log.authentications == []
    assert found[ASKED].status is Status.UNREACHABLE
    assert words in (found[ASKED].reason or "")


def test_an_unknown_authority_is_not_trusted_unless_verification_is_off(collection: Collection, tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    with node(certificate=theirs.issue("192.0.2.11")) as server:
        port = server.https_port
        strict = Endpoint("127.0.0.1", port, https=True, certificate_name="192.0.2.11", ca_file=str(ours.file))
        assert asked(collection, strict)[ASKED].status is Status.UNREACHABLE
        lax = Endpoint("127.0.0.1", port, https=True, certificate_name="192.0.2.11", verify=False)
        assert asked(collection, lax)[ASKED].status is Status.OBSERVED
