"""Simple conditions that a pack can state without Python: a small closed set, each with typed parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from azpreflight.checks.check import check, failed, judged, passed, unjudged
from azpreflight.checks.view import NotApplicable, NotObserved, Row, View
from azpreflight.facts.query import FactName
from azpreflight.model import Finding, Frozen, Value
from azpreflight.site.model import Node

Scalar = bool | int | float | str | None
"""What a pack can compare with."""


class Rows(Frozen, kw_only=True):
    """Which rows of a fact are judged.

    where: properties that select them; without it, all. named_by: the property that tells rows apart in the report.
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


def same(left: Value, right: Value) -> bool:
    """Whether two plain values are the same. Texts regardless of letter case; a number is never a boolean."""
    if isinstance(left, str) and isinstance(right, str):
        return left.casefold() == right.casefold()
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


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


def _subject(parameters: Rows, row: Row, name: str) -> str:
    return f"{row[parameters.named_by]} {name}" if parameters.named_by else name


def _needs(parameters: Rows) -> tuple[str, ...]:
    return (parameters.fact,)


@check("fact.equals", parameters=Equals, needs=_needs)
def equals(view: View, parameters: Equals) -> Iterator[Finding]:
    """In every row, of which there must be one, the properties have the given values."""
    rows = selected(view, parameters)
    if not rows:
        yield _nothing(parameters, expected=parameters.properties)
    for row in rows:
        for name, expected in parameters.properties.items():
            subject = _subject(parameters, row, name)
            yield judged(
                same(row[name], expected),
                subject,
                if_good=f"{subject} is {row[name]}",
                if_bad=f"{subject} is {row[name]}, not {expected}",
                expected=expected,
                actual=row[name],
            )


@check("fact.at_least", parameters=AtLeast, needs=_needs)
def at_least(view: View, parameters: AtLeast) -> Iterator[Finding]:
    """In every row, of which there must be one, the property is a number of at least the given one."""
    rows = selected(view, parameters)
    if not rows:
        yield _nothing(parameters, expected=parameters.minimum)
    for row in rows:
        subject = _subject(parameters, row, parameters.property)
        actual = row[parameters.property]
        if isinstance(actual, bool) or not isinstance(actual, (int, float)):
            yield unjudged(subject, f"{subject} is no number: {actual}", expected=parameters.minimum, actual=actual)
            continue
        yield judged(
            actual >= parameters.minimum,
            subject,
            if_good=f"{subject} is {actual}",
            if_bad=f"{subject} is {actual}, less than {parameters.minimum}",
            expected=parameters.minimum,
            actual=actual,
        )


@check("fact.one_of", parameters=OneOf, needs=_needs)
def one_of(view: View, parameters: OneOf) -> Iterator[Finding]:
    """In every row, of which there must be one, the property has one of the given values."""
    rows = selected(view, parameters)
    expected = list(parameters.values)
    if not rows:
        yield _nothing(parameters, expected=expected)
    for row in rows:
        subject = _subject(parameters, row, parameters.property)
        actual = row[parameters.property]
        yield judged(
            any(same(actual, value) for value in expected),
            subject,
            if_good=f"{subject} is {actual}",
            if_bad=f"{subject} is {actual}, none of {', '.join(str(value) for value in expected)}",
            expected=expected,
            actual=actual,
        )


@check("fact.same_on_all_nodes", parameters=SameOnAllNodes, needs=_needs)
def same_on_all_nodes(view: View, parameters: SameOnAllNodes) -> Iterator[Finding]:
    """The properties have the same values on all nodes. One target for all: the cluster."""
    if len(view.nodes) == 1:
        raise NotApplicable("there is only one node")
    found: dict[str, list[Row]] = {}
    for node in view.nodes:
        try:
            found[node.name] = selected(view, parameters, node)
        except NotObserved as error:
            yield unjudged(node.name, str(error))
    for name in parameters.properties if found else ():
        values = {owner: sorted((row[name] for row in rows), key=_order) for owner, rows in found.items()}
        distinct: dict[str, list[str]] = {}
        for owner, value in values.items():
            distinct.setdefault(_spelled(value), []).append(owner)
        told = "; ".join(f"{value} on {', '.join(owners)}" for value, owners in distinct.items())
        yield judged(
            len(distinct) == 1,
            name,
            if_good=f"{name} is {told}",
            if_bad=f"{name} differs: {told}",
            expected="the same on all nodes",
            actual=values,
        )


def _order(value: Value) -> tuple[str, str]:
    return type(value).__name__, _spelled([value])


def _spelled(values: list[Value]) -> str:
    return ", ".join(str(value).casefold() for value in values) or "nothing"


@check("service.running", parameters=Service, needs=lambda parameters: (parameters.fact,))
def service_running(view: View, parameters: Service) -> Iterator[Finding]:
    """The service exists, runs, and starts by itself."""
    yield from service_findings(view, parameters)


def service_findings(view: View, parameters: Service) -> Iterator[Finding]:
    """One finding on the state of a service and one on its start mode."""
    name = parameters.name
    row = next((row for row in view.rows(parameters.fact) if same(row["Name"], name)), None)
    if row is None:
        yield failed(name, f"there is no service {name}", expected="Running")
        return
    yield judged(
        row["State"] == "Running",
        name,
        if_good=f"the service {name} is running",
        if_bad=f"the service {name} is not running: {row['State']}",
        expected="Running",
        actual=row["State"],
    )
    yield judged(
        row["StartMode"] in parameters.start_modes,
        f"{name} start mode",
        if_good=f"the service {name} has the start mode {row['StartMode']}",
        if_bad=f"the service {name} has the start mode {row['StartMode']}, not {' or '.join(parameters.start_modes)}",
        expected=list(parameters.start_modes),
        actual=row["StartMode"],
    )


@check("registry.value", parameters=RegistryValue, needs=lambda parameters: (parameters.fact,))
def registry_value(view: View, parameters: RegistryValue) -> Iterator[Finding]:
    """The registry value is one of those expected; what its absence means, the rule says."""
    subject = f"{parameters.key}\\{parameters.name}" if parameters.key else parameters.name
    expected = list(parameters.expected)
    actual = view.registry(parameters.fact).get(parameters.name, key=parameters.key)
    if actual is None:
        make = {"pass": passed, "fail": failed, "unknown": unjudged}[parameters.absent]
        yield make(subject, f"{subject} is not set", expected=expected)
        return
    yield judged(
        any(same(actual, value) for value in expected),
        subject,
        if_good=f"{subject} is {actual}",
        if_bad=f"{subject} is {actual}, not {' or '.join(str(value) for value in expected)}",
        expected=expected,
        actual=actual,
    )
