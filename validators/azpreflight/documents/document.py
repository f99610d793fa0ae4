"""Plain data that knows where it stood in its file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

Place: TypeAlias = tuple[str | int, ...]
"""The way from the root of a document to one value: keys and positions."""

DEEPEST = 64


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a text; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data (mappings with text keys, lists, text, numbers, booleans, None) that knows where it stood in its file.

    marks: where each member and item begins; empty for JSON, whose places are told as JSON paths.
    """

    name: str
    data: Any
    marks: Mapping[Place, Mark] = field(default_factory=lambda: MappingProxyType({}))

    def where(self, place: Place = ()) -> str:
        """`file:line:column`, or `file: $.a.b[2]` for JSON. A place that does not exist is told as its parent's."""
        if not self.marks:
            return f"{self.name}: {json_path(place)}"
        known = next((place[:end] for end in range(len(place), -1, -1) if place[:end] in self.marks), None)
        if known is None:
            return self.name
        mark = self.marks[known]
        return f"{self.name}:{mark.line}:{mark.column}"


def json_path(place: Place) -> str:
    """A place as JSON path, such as `$.nodes[0].name`."""
    text = "$"
    for step in place:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r"[A-Za-z_$][\w$-]*", step):
            text += f".{step}"
        else:
            text += f"[{json.dumps(step)}]"
    return text
