"""Rows about one thing: what they say when they agree. A null, another type or a contradiction says nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from azpreflight.checks.view import NotObserved, Row, View
from azpreflight.facts.observation import Status
from azpreflight.model import Value
from azpreflight.site.model import Node

T = TypeVar("T")


def kind_of(value: Value) -> str:
    """What kind of plain value this is. A boolean is no number."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list() | tuple():
            return "list"
        case _:
            return "object"


def same(left: Value, right: Value) -> bool:
    """Whether two plain values are the same. Texts regardless of letter case; values of two kinds never are."""
    if kind_of(left) != kind_of(right):
        return False
    if isinstance(left, str):
        return bool(left.casefold() == right.casefold())
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(same(*pair) for pair in zip(left, right, strict=True))
    return bool(left == right)


def named_rows(view: View, fact: str, *names: str, node: Node | None = None) -> list[Row]:
    """The rows of a fact, of which each says by texts in these properties what it is about.

    Raises:
        NotObserved: one does not, so that it may be about the very thing that is looked for.
    """
    rows = view.rows(fact, node)
    for row in rows:
        for name in names:
            if not isinstance(row[name], str):
                target = view.observation(fact, node).target
                raise NotObserved(fact, target, Status.FAILED, f"a row without a name: {name} is {row[name]}")
    return rows


def grouped(rows: Iterable[Row], *names: str) -> dict[tuple[str, ...], list[Row]]:
    """Rows by what these properties say, regardless of letter case, in the order of the answer."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(str(row[name]).casefold() for name in names), []).append(row)
    return found


def contradict(rows: Sequence[Row], *names: str) -> bool:
    """Whether rows about one thing say different things of these properties."""
    return any(not same(rows[0][name], row[name]) for row in rows[1:] for name in names)


def told(rows: Sequence[Row], name: str, kind: type[T]) -> T | None:
    """What rows about one thing say of a property, or None.

    None stands for all that is no answer: no row, a null, a value of another type, rows that contradict each other.
    """
    if not rows or contradict(rows, name):
        return None
    value = rows[0][name]
    if isinstance(value, bool) and kind is not bool:
        return None
    return value if isinstance(value, kind) else None


def spelled_values(rows: Sequence[Row], name: str) -> str:
    """What rows say of a property, for a message on why that is no answer."""
    return " and ".join(dict.fromkeys(str(row[name]) for row in rows)) or "nothing"
