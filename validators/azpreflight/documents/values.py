"""What is wrong with one value: a text, a number, a choice, a date."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import inspect

from azpreflight.documents.document import Place
from azpreflight.documents.words import LEAVES, count, kind_of, shown, words_for
from azpreflight.errors import nearest

_ACCEPTS = "accepts"


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake in a document against its type. code: stable, for programs."""

    place: Place
    code: str
    message: str


def accepted_by(accepts: Callable[[str], bool], description: str) -> msgspec.Meta:
    """For `Annotated[str, …]`: a text that `accepts` holds for, told to people as `description`."""
    return msgspec.Meta(description=description, extra={_ACCEPTS: accepts})


def choice_faults(data: Any, choices: list[Any], place: Place) -> Iterator[Fault]:
    """Data that is none of the values to choose from."""
    # 1 == True in Python, not in a document.
    if any(data == choice and isinstance(data, bool) == isinstance(choice, bool) for choice in choices):
        return
    known = ", ".join(shown(choice) for choice in choices)
    if not any(kind_of(choice) == kind_of(data) for choice in choices):
        yield Fault(place, "wrong-type", f"expected one of: {known}; got {kind_of(data)}")
        return
    guess = nearest(data, [choice for choice in choices if isinstance(choice, str)]) if isinstance(data, str) else None
    hint = f"did you mean {guess!r}?" if guess is not None else f"expected one of: {known}"
    yield Fault(place, "bad-value", f"{shown(data)} is not possible here; {hint}")


def text_faults(data: Any, kind: inspect.StrType, place: Place, meta: inspect.Metadata | None) -> Iterator[Fault]:
    """No text, or one that the type does not take."""
    expected = (meta.extra_json_schema or {}).get("description") if meta else None
    if not isinstance(data, str):
        yield Fault(place, "wrong-type", f"expected {expected or 'text'}, got {kind_of(data)}{_quotes_hint(data)}")
        return
    accepts = (meta.extra or {}).get(_ACCEPTS) if meta else None
    if (kind.pattern and not re.search(kind.pattern, data)) or (accepts and not accepts(data)):
        yield Fault(place, "bad-value", f"expected {expected or f'text like {kind.pattern}'}, got {shown(data)}")
    else:
        yield from length_faults(data, kind, place, "character")


def _quotes_hint(data: Any) -> str:
    return "; put it in quotes" if isinstance(data, bool | int | float) else ""


def number_faults(data: Any, kind: inspect.IntType | inspect.FloatType, place: Place) -> Iterator[Fault]:
    """No number, or one that is out of the type's limits."""
    whole = isinstance(kind, inspect.IntType)
    if isinstance(data, bool) or not isinstance(data, int if whole else int | float):
        yield wrong_type(data, kind, place)
        return
    limits: tuple[tuple[float | None, str, Callable[[float, float], bool]], ...] = (
        (kind.ge, "at least", operator.ge),
        (kind.gt, "more than", operator.gt),
        (kind.le, "at most", operator.le),
        (kind.lt, "less than", operator.lt),
        (kind.multiple_of, "a multiple of", lambda value, factor: value % factor == 0),
    )
    for limit, words, holds in limits:
        if limit is not None and not holds(data, limit):
            yield Fault(place, "bad-value", f"expected {words} {limit}, got {data}")


def leaf_faults(data: Any, kind: inspect.Type, place: Place) -> Iterator[Fault]:
    """Types whose values msgspec judges as well as we could."""
    if type(kind) not in LEAVES:
        return  # a type that only its own constructor can judge, which `convert` asks afterwards
    leaf, expected = LEAVES[type(kind)]
    try:
        msgspec.convert(data, leaf)
    except msgspec.ValidationError:
        if isinstance(data, str) and leaf not in {type(None), bool}:
            yield Fault(place, "bad-value", f"expected {expected}, got {shown(data)}")
        else:
            yield wrong_type(data, kind, place)


def length_faults(data: Any, kind: Any, place: Place, unit: str) -> Iterator[Fault]:
    """Too few or too many members, items or characters."""
    if kind.min_length is not None and len(data) < kind.min_length:
        yield Fault(place, "bad-value", f"expected at least {count(kind.min_length, unit)}, got {len(data) or 'none'}")
    if kind.max_length is not None and len(data) > kind.max_length:
        yield Fault(place, "bad-value", f"expected at most {count(kind.max_length, unit)}, got {len(data)}")


def wrong_type(data: Any, kind: inspect.Type, place: Place) -> Fault:
    """The fault of data that is of another kind altogether, with what to do about it where that is known."""
    hint = ""
    if isinstance(data, str):
        if isinstance(kind, inspect.BoolType):
            hint = "; write true or false, without quotes"
        elif isinstance(kind, inspect.IntType | inspect.FloatType):
            hint = "; write it without quotes"
    return Fault(place, "wrong-type", f"expected {words_for(kind)}, got {kind_of(data)}{hint}")
