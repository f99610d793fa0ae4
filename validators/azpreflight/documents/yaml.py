"""Strict reading of YAML."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

import yaml

from azpreflight.documents.document import DEEPEST, Document, Mark, Place
from azpreflight.documents.text import (
    INTEGER,
    LONGEST_NUMBER,
    MOST_BYTES,
    UNUSABLE,
    decode,
    input_error,
    refuse_control_characters,
)
from azpreflight.errors import InputError
from azpreflight.model import Problem

_YAML_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_REAL = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+]?[0-9]+)?")
_WORDS = MappingProxyType({"": None, "~": None, "null": None, "true": True, "false": False})


def read_yaml(text: str | bytes, name: str, *, most: int = MOST_BYTES) -> Document:
    """One YAML document as plain data.

    Only what reads the same in every YAML version and to every person: no anchors, aliases, merge keys, tags or second
    document; `true` and `false` are the only booleans; numbers are decimal, without leading zeros or underscores;
    dates stay text; keys are text.
    """
    decoded = decode(text, name, most)
    refuse_control_characters(decoded, name)
    builder = _YamlBuilder(name)
    try:
        for event in yaml.parse(decoded, Loader=_YAML_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise input_error("syntax", f"no valid YAML: {_without_excerpt(error)}", place) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise input_error("syntax", f"no valid YAML ({type(error).__name__})", name) from None
    return builder.document()


@dataclass(slots=True)
class _Open:
    """A mapping or list that has begun and not ended. key: of the member whose value comes next."""

    place: Place
    into: dict[str, Any] | list[Any]
    key: str | None = None
    duplicate: bool = False


class _YamlBuilder:
    """Builds plain data from the parser's events, one by one, so that a refusal comes before anything grows."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._open: list[_Open] = []
        self._marks: dict[Place, Mark] = {}
        self._problems: list[Problem] = []
        self._data: Any = None
        self._documents = 0

    def document(self) -> Document:
        if self._problems:
            raise InputError(*self._problems)
        return Document(self._name, self._data, MappingProxyType(self._marks or {(): Mark(1, 1)}))

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._refuse(event, "holds a second document; keep one per file")
            case yaml.AliasEvent():
                self._refuse(event, "uses an alias (*); write the value out")
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._refuse_node_properties(event)
                self._begin(event, {} if isinstance(event, yaml.MappingStartEvent) else [])
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._open.pop()
            case yaml.ScalarEvent():
                self._refuse_node_properties(event)
                self._scalar(event)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        if UNUSABLE.search(event.value):
            self._refuse(event, "holds a character that is no text")
        parent = self._open[-1] if self._open else None
        if parent is not None and isinstance(parent.into, dict) and parent.key is None:
            self._key(event, parent)
        else:
            self._place(event, self._value(event))

    def _key(self, event: yaml.ScalarEvent, parent: _Open) -> None:
        if event.value == "<<" and _is_plain(event):
            self._refuse(event, "uses a merge key (<<); write the members out")
        parent.key = event.value
        parent.duplicate = event.value in parent.into
        if parent.duplicate:
            message = f"the key {event.value!r} appears twice in the same mapping"
            self._problems.append(Problem(code="duplicate-key", message=message, where=self._where(event)))
        else:
            self._marks[(*parent.place, event.value)] = _mark(event)

    def _value(self, event: yaml.ScalarEvent) -> Any:
        text = event.value
        if not _is_plain(event):
            return text
        if text in _WORDS:
            return _WORDS[text]
        integer = INTEGER.fullmatch(text)
        if not integer and not _REAL.fullmatch(text):
            return text
        number = (int(text) if integer else float(text)) if len(text) <= LONGEST_NUMBER else math.inf
        if math.isinf(number):
            self._refuse(event, "holds a number that is out of range; write it in quotes if it is a name")
        return number

    def _begin(self, event: yaml.Event, into: dict[str, Any] | list[Any]) -> None:
        parent = self._open[-1] if self._open else None
        if parent is not None and isinstance(parent.into, dict) and parent.key is None:
            self._refuse(event, "has a key that is a mapping or a list; keys are text")
        if len(self._open) >= DEEPEST:
            self._refuse(event, f"is nested more than {DEEPEST} levels deep")
        self._open.append(_Open(self._place(event, into), into))

    def _place(self, event: yaml.Event, value: Any) -> Place:
        """Put a value where it belongs, and say where that is."""
        if not self._open:
            self._data = value
            self._marks[()] = _mark(event)
            return ()
        parent = self._open[-1]
        if isinstance(parent.into, list):
            place: Place = (*parent.place, len(parent.into))
            parent.into.append(value)
            self._marks[place] = _mark(event)
            return place
        key = cast("str", parent.key)
        if not parent.duplicate:
            parent.into[key] = value
        parent.key = None
        return (*parent.place, key)

    def _refuse_node_properties(self, event: yaml.NodeEvent) -> None:
        if event.anchor is not None:
            self._refuse(event, "uses an anchor (&); write the value out where it is needed")
        if getattr(event, "tag", None) is not None:
            self._refuse(event, "uses a tag (!); values are typed by the field they fill")

    def _refuse(self, event: yaml.Event, message: str) -> None:
        raise InputError(*self._problems, Problem(code="syntax", message=message, where=self._where(event)))

    def _where(self, event: yaml.Event) -> str:
        mark = _mark(event)
        return f"{self._name}:{mark.line}:{mark.column}"


def _without_excerpt(error: yaml.MarkedYAMLError) -> str:
    # The parser in Python, which is used where the one in C is missing, quotes more than a character of the text here.
    return re.sub("(tag handle) .*", r"\1", str(error.problem or error.context), flags=re.DOTALL)


def _is_plain(event: yaml.ScalarEvent) -> bool:
    """Whether a scalar is written without quotes, so that its text decides its type."""
    return bool(event.implicit[0])


def _mark(event: yaml.Event) -> Mark:
    start = cast("yaml.Mark", event.start_mark)  # every event of a parser has one
    return Mark(start.line + 1, start.column + 1)
