"""The source `ldap` against a directory that answers as no good one does, or as none that runs on Debian."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from azpreflight.credentials import Credential
from azpreflight.facts.classes import ClassTable
from azpreflight.facts.collection import Collection
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.ldap import wire
from azpreflight.facts.ldap.login import WithPassword
from azpreflight.facts.ldap.source import LdapSource
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.query import LdapQuery, Query
from azpreflight.model import Phase, Profile, Sureness
from azpreflight.site.model import Directory, Node, Site
from servers.directory import DOMAIN, ROOT
from servers.samba import NAME
from servers.strange_directory import (
    DONE,
    REFERENCE,
    ROOT_DSE,
    Answer,
    StrangeDirectory,
    element,
    entry,
    message,
    result,
)
from servers.tls import Authority, Certificate

SECRET = "Never-Shown-7"


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Certificate:
    return authority.issue(NAME)


class Asking:
    """Asks a strange directory two searches."""

    def __init__(self, authority: Authority, certificate: Certificate) -> None:
        self._ca_file = str(authority.file)
        self._certificate = certificate

    def __call__(
        self,
        answer: Answer | None,
        *,
        attributes: tuple[str, ...] = ("cn", "objectSid"),
        root: Mapping[str, Sequence[bytes]] = ROOT_DSE,
        seconds: float = 5,
    ) -> list[Observation]:
        read = LdapQuery(base="domain", scope="subtree", attributes=attributes)
        queries = {
            name: Query(read=read, title="t", sureness=Sureness.DOCUMENTED, basis="b") for name in ("x.one", "x.two")
        }
        site = Site(
            name="lab",
            profile=Profile.ACTIVE_DIRECTORY,
            nodes=(Node(name="AZL-N01", address="192.0.2.11"),),
            directory=Directory(domain=DOMAIN, servers=(NAME,), ca_file=self._ca_file),
        )
        collection = Collection(site=site, phase=Phase.PRE_DEPLOY, queries=queries, tables={}, classes=ClassTable({}))
        kept: list[Observation] = []
        with StrangeDirectory(self._certificate, answer, root) as server:
            source = LdapSource(WithPassword(Credential("u@x", SECRET)), lambda host, port: ("127.0.0.1", server.port))
            source.collect_site(collection, Deadline(seconds), kept.append)
            assert server.binds <= 1
            assert server.connections == 1
        assert [observation.fact for observation in kept] == ["x.one", "x.two"]
        assert not any(SECRET in str(observation) for observation in kept)
        return kept


@pytest.fixture
def ask(authority: Authority, certificate: Certificate) -> Asking:
    return Asking(authority, certificate)


def references(number: int) -> bytes:
    urls = [
        f"ldaps://{DOMAIN}/DC=DomainDnsZones,{ROOT}".encode(),
        f"ldaps://child.{DOMAIN}/DC=child,{ROOT}".encode(),
    ]
    return b"".join(message(number, element(REFERENCE, element(0x04, url))) for url in urls)


def test_another_domain_of_the_forest_is_not_searched_but_told(ask: Asking) -> None:
    [one, _] = ask(lambda number: references(number) + message(number, result(DONE)))
    assert (one.status, one.value) == (Status.OBSERVED, [])
    assert one.note == f"not searched, for it lies elsewhere: ldaps://child.{DOMAIN}/DC=child,{ROOT}"


def test_a_referral_is_not_followed_and_named(ask: Asking) -> None:
    place = element(0xA3, element(0x04, b"ldaps://other.example/DC=other,DC=example"))
    [one, two] = ask(lambda number: message(number, result(DONE, 10, "", place)))
    assert (one.status, two.status) == (Status.FAILED, Status.FAILED)
    assert "refers to ldaps://other.example/DC=other,DC=example" in (one.reason or "")


@pytest.mark.parametrize(
    ("code", "status", "told"),
    [
        (3, Status.TIMED_OUT, "time limit"),
        (4, Status.FAILED, "more entries"),
        (8, Status.REFUSED, "directory.tls"),
        (50, Status.REFUSED, "give it the right"),
        (51, Status.FAILED, "busy"),
        (52, Status.UNREACHABLE, "not available"),
        (80, Status.FAILED, "other"),
    ],
)
def test_each_refusal_has_its_status_and_its_way_out(ask: Asking, code: int, status: Status, told: str) -> None:
    [one, two] = ask(lambda number: message(number, result(DONE, code, "its own \x1b words")))
    assert (one.status, two.status) == (status, status)
    assert told in (one.reason or "")
    assert "(its own words)" in (one.reason or "")


def test_no_such_object_is_an_empty_answer(ask: Asking) -> None:
    [one, _] = ask(lambda number: message(number, result(DONE, 32)))
    assert (one.status, one.value) == (Status.OBSERVED, [])


def test_an_attribute_that_is_not_of_its_syntax_fails_that_fact_alone(ask: Asking) -> None:
    answers = iter([b"\x01\x05short", bytes.fromhex("010100000000000512000000")])

    def answer(number: int) -> bytes:
        return message(number, entry(f"CN=a,{ROOT}", {"objectSid": [next(answers)]})) + message(number, result(DONE))

    [one, two] = ask(answer)
    assert one.status is Status.FAILED
    assert "objectSid is not of its syntax" in (one.reason or "")
    assert two.value == [{"dn": f"CN=a,{ROOT}", "cn": None, "objectSid": "S-1-5-18"}]


def test_bytes_that_are_no_text_are_said_and_not_shown(ask: Asking) -> None:
    def answer(number: int) -> bytes:
        return message(number, entry("CN=a", {"CN": [b"\xff\xfe\x00"]})) + message(number, result(DONE))

    [one, _] = ask(answer)
    assert one.value == [{"dn": "CN=a", "cn": "(3 bytes that are no text)", "objectSid": None}]


def test_a_connection_that_ends_costs_no_second_one(ask: Asking) -> None:
    [one, two] = ask(None)
    assert (one.status, two.status) == (Status.UNREACHABLE, Status.UNREACHABLE)
    assert one.reason == two.reason


def test_an_answer_without_end_is_cut(ask: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MOST_BYTES", 100_000)
    [one, _] = ask(lambda number: message(number, entry("CN=a", {"cn": [b"x" * 100]})) * 5000)
    assert one.status is Status.UNREACHABLE
    assert "longer than 100000 bytes" in (one.reason or "")


def test_a_length_that_is_never_reached_ends_with_the_deadline(ask: Asking) -> None:
    began = time.monotonic()
    [one, two] = ask(lambda number: b"\x30\x84\x7f\xff\xff\xff" + b"x" * 100, seconds=1)
    assert (one.status, two.status) == (Status.TIMED_OUT, Status.TIMED_OUT)
    assert time.monotonic() - began < 3


def test_a_listener_that_is_no_domain_controller_gets_no_password(ask: Asking) -> None:
    [one, _] = ask(None, root={"vendorName": [b"another"]})
    assert one.status is Status.FAILED
    assert "is no domain controller" in (one.reason or "")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(garbage=st.binary(min_size=1, max_size=200))
def test_garbage_is_never_an_answer_and_never_a_crash(ask: Asking, garbage: bytes) -> None:
    [one, _] = ask(lambda number: garbage, seconds=0.3)
    assert one.status in (Status.FAILED, Status.TIMED_OUT, Status.UNREACHABLE)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), octet=st.integers(0, 255))
def test_a_damaged_answer_is_an_observation_of_some_status(ask: Asking, place: float, octet: int) -> None:
    def answer(number: int) -> bytes:
        whole = message(number, entry(f"CN=a,{ROOT}", {"cn": [b"a"]})) + message(number, result(DONE))
        at = int(place * len(whole))
        return whole[:at] + bytes([octet]) + whole[at + 1 :]

    for observation in ask(answer, seconds=0.3):
        assert observation.status is Status.OBSERVED or observation.reason
