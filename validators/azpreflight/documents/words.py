"""How types and values are told to people."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from msgspec import inspect

LEAVES: Mapping[type[inspect.Type], tuple[Any, str]] = MappingProxyType(
    {
        inspect.NoneType: (type(None), "nothing"),
        inspect.BoolType: (bool, "true or false"),
        inspect.DateType: (datetime.date, "a date such as 2026-01-31"),
        inspect.DateTimeType: (datetime.datetime, "a time such as 2026-01-31T12:00:00Z"),
        inspect.TimeType: (datetime.time, "a time of day such as 12:00:00"),
        inspect.TimeDeltaType: (datetime.timedelta, "a duration such as PT15M"),
    }
)


def words_for(kind: inspect.Type) -> str:
    """What a type takes."""
    match kind:
        case inspect.Metadata(extra_json_schema={"description": str(description)}):
            return description
        case inspect.Metadata(type=inner):
            return words_for(inner)
        case inspect.UnionType(types=types):
            # "or leave it out" is what None means in a document that people write.
            named = [words_for(member) for member in types if not isinstance(member, inspect.NoneType)]
            return " or ".join(dict.fromkeys(named))
        case inspect.StructType() | inspect.DictType():
            return "a mapping"
        case inspect.StrType():
            return "text"
        case inspect.IntType():
            return "a whole number"
        case inspect.FloatType():
            return "a number"
        case inspect.EnumType(cls=cls):
            return "one of: " + ", ".join(shown(member.value) for member in cls)
        case inspect.LiteralType(values=values):
            return "one of: " + ", ".join(map(shown, values))
        case _:
            return LEAVES[type(kind)][1] if type(kind) in LEAVES else "a list"


def kind_of(data: Any) -> str:
    """What a value is."""
    match data:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case str():
            return "text"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case _:
            return "a mapping"


def shown(value: Any) -> str:
    """A value in a message, bounded."""
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value).lower()
    return text if len(text) <= 60 else f'{text[:56]}…"'


def count(number: int, unit: str) -> str:
    """A number of things, such as `1 item` or `2 items`."""
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
