"""Simple conditions that a pack can state without Python: a small closed set, each with typed parameters."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from azpreflight.checks.agreement import contradict, grouped, kind_of, named_rows, same, spelled_values, told
from azpreflight.checks.check import check, failed, judged, passed, unjudged
from azpreflight.checks.view import NotApplicable, NotObserved, Row, View
from azpreflight.facts.query import FactName
from azpreflight.model import Finding, Frozen, Value
from azpreflight.site.model import Node

Scalar = bool | int | float | str | None
"""What a pack can compare with."""


class Rows(Frozen, kw_only=True):
    """Which rows of a fact are judged.

    where: properties that select them; without it, all. named_by: the property that tells rows apart; rows that it does
    not tell apart are about one thing and must not contradict each other.
    """

    fact: FactName
    where: dict[str, Scalar] = msgspec.field(default_factory=dict)
    named_by: str | None = None


class Equals(Rows, kw_only=True):
    """`properties`: what each must be. Texts are compared regardless of letter case."""

    properties: Annotated[dict[str, Scalar], Meta(min_length=1)]


class AtLeast(Rows, kw_only=True):
    """`property` must be a number of at least `minimum`."""

    property: str
    minimum: int | float


class OneOf(Rows, kw_only=True):
    """`property` must be one of `values`. Texts are compared regardless of letter case."""

    property: str
    values: Annotated[tuple[Scalar, ...], Meta(min_length=1)]


class SameOnAllNodes(Rows, kw_only=True):
    """`properties` must have the same values on all nodes, whatever the order of the rows."""

    properties: Annotated[tuple[str, ...], Meta(min_length=1)]


class Service(Frozen, kw_only=True):
    """A service by its short name. start_modes: those that are accepted."""

    name: str
    start_modes: tuple[str, ...] = ("Auto",)
    fact: FactName = "services.state"


class RegistryValue(Frozen, kw_only=True):
    """A value below the key of a registry fact.

    key: relative to the key of the fact. expected: every value that is accepted. absent: what it means that the value
    does not exist.
    """

    fact: FactName
    key: str = ""
    name: str
    expected: Annotated[tuple[Any, ...], Meta(min_length=1)]
    absent: Literal["pass", "fail", "unknown"]


def selected(view: View, parameters: Rows, node: Node | None = None) -> list[Row]:
    """The rows that `parameters` select."""
    return [
        row
        for row in view.rows(parameters.fact, node)
        if all(same(row[name], value) for name, value in parameters.where.items())
    ]


def _described(parameters: Rows) -> str:
    conditions = ", ".join(f"{name} {value}" for name, value in parameters.where.items())
    return f"{parameters.fact} with {conditions}" if conditions else parameters.fact


def _nothing(parameters: Rows, *, expected: Value) -> Finding:
    """No row at all: what was looked for is not there, or, when nothing was looked for, the answer tells nothing."""
    subject = _described(parameters)
    if parameters.where:
        return failed(subject, f"there is no {subject}", expected=expected)
    return unjudged(subject, f"the node answered no row for {subject}", expected=expected)


def _things(parameters: Rows, rows: list[Row]) -> Iterator[tuple[str, list[Row]]]:
    """The rows about each thing, with what its subject begins with."""
    if parameters.named_by is None:
        yield from (("", rows),) if rows else ()
        return
    for of_thing in grouped(rows, parameters.named_by).values():
        yield f"{of_thing[0][parameters.named_by]} ", of_thing


def _unknown(rows: list[Row], name: str, expected: list[Value]) -> str | None:
    """Why rows about one thing do not tell a property that can be compared; None when they do."""
    if contradict(rows, name):
        return f"the node contradicts itself: {spelled_values(rows, name)}"
    actual = rows[0][name]
    if kind_of(actual) not in {kind_of(value) for value in expected}:
        return f"{actual} is no {' or '.join(sorted({kind_of(value) for value in expected}))}"
    return None


def _compared(
    rows: list[Row],
    name: str,
    *,
    subject: str,
    holds: Callable[[Any], bool],
    comparable: list[Value],
    expected: Value,
    otherwise: str,
) -> Finding:
    """Whether a property of the rows about one thing `holds`; not judged when no `comparable` value has its type."""
    actual = rows[0][name]
    if (reason := _unknown(rows, name, comparable)) is not None:
        return unjudged(subject, f"{subject} is not known: {reason}", expected=expected, actual=actual)
    return judged(
        holds(actual),
        subject,
        if_good=f"{subject} is {actual}",
        if_bad=f"{subject} is {actual}, {otherwise}",
        expected=expected,
        actual=actual,
    )


def _needs(parameters: Rows) -> tuple[str, ...]:
    return (parameters.fact,)


@check("fact.equals", parameters=Equals, needs=_needs)
def equals(view: View, parameters: Equals) -> Iterator[Finding]:
    """In every row, of which there must be one, the properties have the given values. Another type is not judged."""
    rows = selected(view, parameters)
    if not rows:
        yield _nothing(parameters, expected=parameters.properties)
    for prefix, of_thing in _things(parameters, rows):
        for name, expected in parameters.properties.items():
            yield _compared(
                of_thing,
                name,
                subject=f"{prefix}{name}",
                holds=partial(same, expected),
                comparable=[expected],
                expected=expected,
                otherwise=f"not {expected}",
            )


@check("fact.at_least", parameters=AtLeast, needs=_needs)
def at_least(view: View, parameters: AtLeast) -> Iterator[Finding]:
    """In every row, of which there must be one, the property is a number of at least the given one."""
    rows = selected(view, parameters)
    if not rows:
        yield _nothing(parameters, expected=parameters.minimum)
    for prefix, of_thing in _things(parameters, rows):
        yield _compared(
            of_thing,
            parameters.property,
            subject=f"{prefix}{parameters.property}",
            holds=lambda actual: actual >= parameters.minimum,
            comparable=[parameters.minimum],
            expected=parameters.minimum,
            otherwise=f"less than {parameters.minimum}",
        )


@check("fact.one_of", parameters=OneOf, needs=_needs)
def one_of(view: View, parameters: OneOf) -> Iterator[Finding]:
    """In every row, of which there must be one, the property has one of the given values.

    A value of a type that none of them has is not judged.
    """
    rows = selected(view, parameters)
    expected = list(parameters.values)
    if not rows:
        yield _nothing(parameters, expected=expected)
    for prefix, of_thing in _things(parameters, rows):
        yield _compared(
            of_thing,
            parameters.property,
            subject=f"{prefix}{parameters.property}",
            holds=lambda actual: any(same(actual, value) for value in expected),
            comparable=expected,
            expected=expected,
            otherwise=f"none of {', '.join(str(value) for value in expected)}",
        )


@check("fact.same_on_all_nodes", parameters=SameOnAllNodes, needs=_needs)
def same_on_all_nodes(view: View, parameters: SameOnAllNodes) -> Iterator[Finding]:
    """The properties have the same values on all nodes. One target for all: the cluster.

    A node without a row, or with a null, is not judged, and neither equal to nor different from the others.
    """
    if len(view.nodes) == 1:
        raise NotApplicable("there is only one node")
    found: dict[str, list[Row]] = {}
    for node in view.nodes:
        try:
            rows = selected(view, parameters, node)
        except NotObserved as error:
            yield unjudged(node.name, str(error))
            continue
        if rows:
            found[node.name] = rows
        else:
            yield unjudged(node.name, f"{node.name} answered no row for {_described(parameters)}")
    for name in parameters.properties if found else ():
        yield from _same_values(name, {owner: [row[name] for row in rows] for owner, rows in found.items()})


def _same_values(name: str, values: dict[str, list[Value]]) -> Iterator[Finding]:
    distinct: dict[str, list[str]] = {}
    for owner, of_node in values.items():
        if any(value is None for value in of_node):
            yield unjudged(f"{owner} {name}", f"{owner} does not tell {name}", actual=of_node)
        else:
            distinct.setdefault(", ".join(sorted(map(_spelled, of_node))), []).append(owner)
    if not distinct:
        return
    each = "; ".join(f"{value} on {', '.join(owners)}" for value, owners in distinct.items())
    yield judged(
        len(distinct) == 1,
        name,
        if_good=f"{name} is {each}",
        if_bad=f"{name} differs: {each}",
        expected="the same on all nodes",
        actual=values,
    )


def _spelled(value: Value) -> str:
    """A value so that two are spelled alike only if they are the same: texts in quotes, in small letters."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True).casefold()


@check("service.running", parameters=Service, needs=lambda parameters: (parameters.fact,))
def service_running(view: View, parameters: Service) -> Iterator[Finding]:
    """The service exists, runs, and starts by itself."""
    yield from service_findings(view, parameters)


def service_findings(view: View, parameters: Service) -> Iterator[Finding]:
    """One finding on the state of a service and one on its start mode."""
    name = parameters.name
    services = named_rows(view, parameters.fact, "Name")
    rows = [row for row in services if same(row["Name"], name)]
    if not services:
        yield unjudged(name, "the node tells no service at all", expected="Running")
        return
    if not rows:
        yield failed(name, f"there is no service {name}", expected="Running")
        return
    yield _service_state(name, rows)
    yield _service_start(parameters, rows)


def _service_state(name: str, rows: list[Row]) -> Finding:
    state = told(rows, "State", str)
    if state in (None, "Unknown"):
        message = f"whether the service {name} runs is not known: {spelled_values(rows, 'State')}"
        return unjudged(name, message, expected="Running", actual=state)
    return judged(
        state == "Running",
        name,
        if_good=f"the service {name} is running",
        if_bad=f"the service {name} is not running: {state}",
        expected="Running",
        actual=state,
    )


def _service_start(parameters: Service, rows: list[Row]) -> Finding:
    name, mode, expected = parameters.name, told(rows, "StartMode", str), list(parameters.start_modes)
    subject = f"{name} start mode"
    if mode is None:
        message = f"how the service {name} starts is not known: {spelled_values(rows, 'StartMode')}"
        return unjudged(subject, message, expected=expected)
    return judged(
        mode in expected,
        subject,
        if_good=f"the service {name} has the start mode {mode}",
        if_bad=f"the service {name} has the start mode {mode}, not {' or '.join(expected)}",
        expected=expected,
        actual=mode,
    )


@check("registry.value", parameters=RegistryValue, needs=lambda parameters: (parameters.fact,))
def registry_value(view: View, parameters: RegistryValue) -> Iterator[Finding]:
    """The registry value is one of those expected; what its absence means, the rule says.

    A value of a type that none of those expected has is not judged.
    """
    subject = f"{parameters.key}\\{parameters.name}" if parameters.key else parameters.name
    expected = list(parameters.expected)
    tree = view.registry(parameters.fact)
    actual = tree.get(parameters.name, key=parameters.key)
    if not tree.has_value(parameters.name, key=parameters.key):
        make = {"pass": passed, "fail": failed, "unknown": unjudged}[parameters.absent]
        yield make(subject, f"{subject} is not set", expected=expected)
        return
    if kind_of(actual) not in {kind_of(value) for value in expected}:
        yield unjudged(subject, f"{subject} is of another type: {actual}", expected=expected, actual=actual)
        return
    yield judged(
        any(same(actual, value) for value in expected),
        subject,
        if_good=f"{subject} is {actual}",
        if_bad=f"{subject} is {actual}, not {' or '.join(str(value) for value in expected)}",
        expected=expected,
        actual=actual,
    )
