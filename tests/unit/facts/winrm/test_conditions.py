"""Conditions of queries: values of the site and of other facts, quoted as often as they are inside quotes."""

from __future__ import annotations

import datetime
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.query import CimQuery, FromFact, Query
from azpreflight.facts.winrm import cim
from azpreflight.facts.winrm.conditions import ALTERNATIVES, conditions, described
from azpreflight.model import Profile, Sureness, Value
from azpreflight.site.model import Node, Site
from servers.winrm import wql

NODE = Node(name="azl1", address="192.0.2.11")
SITE = Site(name="lab", profile=Profile.LOCAL_IDENTITY, nodes=(NODE, Node(name="azl2", address="192.0.2.12")))
MEMBERS = "GroupComponent=\"Win32_Group.Domain='{domain}',Name='{group}'\""
Bound: TypeAlias = str | FromFact
OF_GROUP: dict[str, Any] = {
    "domain": FromFact(fact="group", property="Domain"),
    "group": FromFact(fact="group", property="Name"),
}


def query(where: str | None, and_: str | None = None, **bind: str | FromFact) -> tuple[Query, CimQuery]:
    read = CimQuery(
        namespace="root/cimv2", class_="Win32_GroupUser", properties=("PartComponent",), where=where, and_=and_
    )
    return Query(read=read, title="x", sureness=Sureness.DOCUMENTED, basis="x", bind=dict(bind)), read


def seen(value: Value, status: Status = Status.OBSERVED, reason: str | None = None) -> dict[str, Observation]:
    now = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
    found = Observation(
        fact="group", target="azl1", source="winrm", status=status, observed_at=now, value=value, reason=reason
    )
    return {"group": found}


def filled(
    where: str | None, and_: str | None = None, *, facts: dict[str, Observation] | None = None, **bind: Bound
) -> list[str | None]:
    whole, read = query(where, and_, **bind)
    return conditions(whole, read, SITE, NODE, facts or {})


def parsed(where: str | None) -> wql.Condition:
    """A condition as WMI reads it."""
    condition = wql.parse(f"select X from Y where {where}").where
    assert condition is not None
    return condition


def test_without_bound_values_there_is_one_query() -> None:
    assert filled(None) == [None]
    assert filled("A=1") == ["A=1"]
    assert filled(None, "B=2") == ["B=2"]
    assert filled("A=1", "B=2") == ["A=1 AND B=2"]


def test_a_further_condition_holds_for_every_alternative() -> None:
    assert filled("A=1 OR B=2", "C=3 or D=4") == ["(A=1 OR B=2) AND (C=3 or D=4)"]
    assert filled("A='{n}'", "C=3", n="site.node_names") == ["(A='azl1' OR A='azl2') AND C=3"]


def test_doubled_braces_are_single_ones() -> None:
    assert filled("A='{{0}}'") == ["A='{0}'"]
    assert filled("A='{{0}}' AND B='{n}'", n="node.name") == ["A='{0}' AND B='azl1'"]


def test_values_of_the_declaration_are_joined() -> None:
    assert filled("A='{n}'", n="node.address") == ["A='192.0.2.11'"]
    assert filled("A='{n}'", n="site.node_names") == ["A='azl1' OR A='azl2'"]


def test_values_of_two_sources_are_combined() -> None:
    assert filled("A='{n}' AND B='{a}'", n="site.node_names", a="node.address") == [
        "A='azl1' AND B='192.0.2.11' OR A='azl2' AND B='192.0.2.11'"
    ]


def test_values_of_one_row_stay_together() -> None:
    facts = seen([{"Domain": "D1", "Name": "N1"}, {"Domain": "D2", "Name": "N2"}])
    assert filled(MEMBERS, facts=facts, **OF_GROUP) == [
        "GroupComponent=\"Win32_Group.Domain='D1',Name='N1'\" OR GroupComponent=\"Win32_Group.Domain='D2',Name='N2'\""
    ]


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (32, [32]), (33, [32, 1]), (100, [32, 32, 32, 4])])
def test_many_values_are_asked_in_batches(count: int, sizes: list[int]) -> None:
    facts = seen([{"Name": f"n{number}"} for number in range(count)])
    found = filled("A='{n}'", "B=1", facts=facts, n=FromFact(fact="group", property="Name"))
    assert [len(str(where).split(" OR ")) for where in found] == sizes
    assert all(size <= ALTERNATIVES for size in sizes)
    assert str(found[0]).endswith("B=1")
    assert [f"n{number}'" in "".join(map(str, found)) for number in range(count)] == [True] * count


HOSTILE = [
    "O'Brien",
    'the "x"',
    "a\\y",
    'O\'Brien "x" \\ y',
    "\\",
    "'",
    '"',
    "\\'",
    "x' OR 'a'='a",
    "%_[a]",
    "{n}",
    "größer",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_value_is_the_value_and_nothing_else(text: str) -> None:
    _plain(text)
    _in_object_path(text)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1))
def test_any_value_is_the_value_and_nothing_else(text: str) -> None:
    _plain(text)
    _in_object_path(text)


def _plain(text: str) -> None:
    for where in ("A='{n}' AND B=1", 'A="{n}" AND B=1'):
        (found,) = filled(where, facts=seen([{"Name": text}]), n=FromFact(fact="group", property="Name"))
        condition = parsed(found)
        assert isinstance(condition, wql.Junction)
        assert condition.parts == (wql.Comparison("A", "=", text), wql.Comparison("B", "=", 1))


def _in_object_path(text: str) -> None:
    (found,) = filled(MEMBERS, facts=seen([{"Domain": "AZL1", "Name": text}]), **OF_GROUP)
    condition = parsed(found)
    assert isinstance(condition, wql.Comparison)
    path = wql.ObjectPath.parse(str(condition.constant))
    assert path.keys == {("domain", "azl1"), ("name", text.lower())}


def test_a_value_between_single_quotes_is_quoted_once_and_in_an_object_path_twice() -> None:
    assert cim.quote("O'Brien") == "O\\'Brien"
    facts = seen([{"Domain": "D", "Name": "O'Brien"}])
    assert filled("A='{n}'", facts=facts, n=OF_GROUP["group"]) == ["A='O\\'Brien'"]
    assert filled(MEMBERS, facts=facts, **OF_GROUP) == [
        "GroupComponent=\"Win32_Group.Domain='D',Name='O\\\\\\'Brien'\""
    ]


def test_a_value_outside_quotes_is_refused() -> None:
    with pytest.raises(WireError, match="outside quotes"):
        filled("A={n}", n="node.name")


def test_a_placeholder_that_nothing_is_bound_to_is_refused() -> None:
    with pytest.raises(WireError, match="not bound"):
        filled("A='{m}' AND B='{n}'", n="node.name")


@pytest.mark.parametrize(
    ("facts", "status", "reason"),
    [
        ({}, Status.NOT_ASKED, "needs group: group has no row"),
        (seen([]), Status.NOT_ASKED, "needs group: group has no row"),
        (seen(None), Status.NOT_ASKED, "needs group: group has no row"),
        (seen([{"Domain": "D", "Name": None}]), Status.NOT_ASKED, "needs Domain, Name of group, which no row has"),
        (seen([{"Domain": "D"}]), Status.NOT_ASKED, "needs Domain, Name of group, which no row has"),
        (seen({"exists": True}), Status.FAILED, "needs rows of group, which has none"),
        (seen([["a"]]), Status.FAILED, "needs rows of group, which has none"),
        (seen(None, Status.REFUSED, "denied"), Status.REFUSED, "needs group: denied"),
        (seen(None, Status.TIMED_OUT, "late"), Status.TIMED_OUT, "needs group: late"),
    ],
)
def test_without_the_other_fact_nothing_is_asked(facts: dict[str, Observation], status: Status, reason: str) -> None:
    with pytest.raises(WireError) as error:
        filled(MEMBERS, facts=facts, **OF_GROUP)
    assert (error.value.status, error.value.reason) == (status, reason)


def test_a_row_without_the_value_is_passed_over_and_zero_is_a_value() -> None:
    facts = seen([{"Index": None}, {"Index": 0}, {"Index": 7}])
    assert filled("A='{n}'", facts=facts, n=FromFact(fact="group", property="Index")) == ["A='0' OR A='7'"]


def test_what_the_site_does_not_declare_is_not_asked_for() -> None:
    with pytest.raises(WireError, match=r"the site does not declare site\.gateway") as error:
        filled("A='{n}'", n="site.gateway")
    assert error.value.status is Status.NOT_ASKED


def test_before_anything_was_asked_values_of_facts_stand_as_names() -> None:
    whole, read = query(MEMBERS, None, **OF_GROUP)
    assert described(whole, read, SITE, NODE) == [
        "GroupComponent=\"Win32_Group.Domain='<Domain of group>',Name='<Name of group>'\""
    ]
