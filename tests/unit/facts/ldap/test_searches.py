"""Searches of a query: bases and filters with values in them, and what is never asked."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ldap3.operation.search import compile_filter, parse_filter

from azpreflight.facts.classes import ClassTable
from azpreflight.facts.collection import Collection
from azpreflight.facts.errors import WireError
from azpreflight.facts.ldap.searches import ALTERNATIVES, in_words, searches_of
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.query import FromFact, LdapQuery, Query
from azpreflight.model import Phase, Profile, Sureness
from azpreflight.site.model import Directory, Node, Site

OU = "OU=AZL-CL01,DC=corp,DC=example"


def site(*names: str, ou: str | None = OU) -> Site:
    return Site(
        name="lab",
        profile=Profile.ACTIVE_DIRECTORY,
        nodes=tuple(Node(name=name, address="192.0.2.11") for name in names or ("N1", "N2")),
        directory=Directory(domain="corp.example", ou=ou),
    )


def query(base: str, filter_: str = "(objectClass=*)", attributes: tuple[str, ...] = ("cn",), **bind: Any) -> Query:
    read = LdapQuery(base=base, filter=filter_, attributes=attributes)
    return Query(read=read, title="t", sureness=Sureness.DOCUMENTED, basis="b", bind=bind)


def searches(asked: Query, on: Site | None = None, **facts: Any) -> list[tuple[str, str]]:
    """Base and filter of each search; `facts` are rows of the facts `x.<name>`."""
    assert isinstance(asked.read, LdapQuery)
    now = datetime.datetime.now(datetime.UTC)
    observations = {
        f"x.{name}": Observation(
            fact=f"x.{name}", target="lab", source="ldap", status=Status.OBSERVED, observed_at=now, value=rows
        )
        for name, rows in facts.items()
    }
    return [(found.base, found.filter) for found in searches_of(asked, asked.read, on or site(), observations)]


def test_several_values_in_a_filter_are_one_search() -> None:
    found = searches(query("domain", "(sAMAccountName={name}$)", name="site.node_names"))
    assert found == [("domain", "(|(sAMAccountName=N1$)(sAMAccountName=N2$))")]


def test_one_value_is_no_alternative() -> None:
    found = searches(query("domain", "(&(objectClass=user)(cn={name}))", name="site.node_names"), site("N1"))
    assert found == [("domain", "(&(objectClass=user)(cn=N1))")]


def test_many_values_are_several_searches() -> None:
    names = [f"N{number:03}" for number in range(ALTERNATIVES + 1)]
    found = searches(query("domain", "(cn={name})", name="site.node_names"), site(*names))
    assert [text.count("(cn=") for _, text in found] == [ALTERNATIVES, 1]


def test_several_bases_are_one_search_each() -> None:
    found = searches(query("{dn}", dn=FromFact(fact="x.a", property="dn")), a=[{"dn": "CN=1"}, {"dn": "CN=2"}])
    assert found == [("CN=1", "(objectClass=*)"), ("CN=2", "(objectClass=*)")]


def test_values_of_one_row_stay_together() -> None:
    asked = query(
        "{dn}", "(objectSid={sid})", dn=FromFact(fact="x.a", property="dn"), sid=FromFact(fact="x.a", property="sid")
    )
    rows = [{"dn": "CN=1", "sid": "S-1"}, {"dn": "CN=2", "sid": "S-2"}, {"dn": "CN=1", "sid": "S-3"}]
    assert searches(asked, a=rows) == [
        ("CN=1", "(|(objectSid=S-1)(objectSid=S-3))"),
        ("CN=2", "(objectSid=S-2)"),
    ]


def test_a_list_stands_for_each_of_its_items_and_a_null_for_none() -> None:
    asked = query("domain", "(objectSid={sid})", sid=FromFact(fact="x.a", property="groups"))
    found = searches(asked, a=[{"groups": ["S-1", "S-2"]}, {"groups": None}, {"groups": []}])
    assert found == [("domain", "(|(objectSid=S-1)(objectSid=S-2))")]


@pytest.mark.parametrize("rows", [[], [{"groups": None}], [{"groups": []}], [{}]])
def test_without_a_value_nothing_is_asked(rows: list[Any]) -> None:
    with pytest.raises(WireError) as told:
        searches(query("domain", "(objectSid={sid})", sid=FromFact(fact="x.a", property="groups")), a=rows)
    assert told.value.status is Status.NOT_ASKED


def test_what_the_site_does_not_declare_is_not_asked_for() -> None:
    with pytest.raises(WireError, match="does not declare") as told:
        searches(query("{ou}", ou="site.ou"), site(ou=None))
    assert told.value.status is Status.NOT_ASKED


def test_a_value_is_a_whole_name_or_the_value_of_a_part() -> None:
    rows = [{"cn": "a,b+c", "dn": r"CN=a\,b"}]
    cn, dn = FromFact(fact="x.a", property="cn"), FromFact(fact="x.a", property="dn")
    assert searches(query("CN={cn},{dn}", cn=cn, dn=dn), a=rows) == [(r"CN=a\,b\+c,CN=a\,b", "(objectClass=*)")]


def test_braces_that_are_no_placeholder_stay() -> None:
    base = "CN={31B2F340-016D-11D2-945F-00C04FB984F9},CN=Policies,CN=System,DC=corp,DC=example"
    assert searches(query(base)) == [(base, "(objectClass=*)")]


@pytest.mark.parametrize("attribute", ["unicodePwd", "ms-mcs-admpwd", "msFVE-RecoveryPassword", "MSLAPS-PASSWORD"])
def test_secrets_are_never_asked_for(attribute: str) -> None:
    with pytest.raises(WireError, match="secret") as told:
        searches(query("domain", attributes=("cn", attribute)))
    assert told.value.status is Status.NOT_ASKED


@given(st.text(min_size=1, max_size=30))
@example("a>=b")
@example("a~=b:dn:=c")
@example(" *)(cn=*")
@example(r"\2a")
def test_no_value_can_become_part_of_a_filter(value: str) -> None:
    asked = query("domain", "(cn={name})", name=FromFact(fact="x.a", property="cn"))
    [(_, text)] = searches(asked, a=[{"cn": value}])
    tree = parse_filter(text, None, False, True, None, False)  # type: ignore[no-untyped-call]
    sent = compile_filter(tree.elements[0])  # type: ignore[no-untyped-call]
    assert bytes(sent["equalityMatch"]["assertionValue"]).decode() == value


def test_the_plan_tells_every_search_before_anything_is_known() -> None:
    queries = {
        "x.ou": query("{ou}", ou="site.ou"),
        "x.token": query("{dn}", attributes=("tokenGroups",), dn=FromFact(fact="x.user", property="dn")),
        "x.user": query("domain", "(sAMAccountName={name})", name="site.node_names"),
    }
    collection = Collection(
        site=site("N1", ou=None), phase=Phase.PRE_DEPLOY, queries=queries, tables={}, classes=ClassTable({})
    )
    assert in_words(collection) == [
        "x.ou: nothing is asked: the site does not declare site.ou",
        "x.user: the domain; scope base; (sAMAccountName=N1); cn",
        "x.token: <dn of x.user>; scope base; (objectClass=*); tokenGroups",
    ]
