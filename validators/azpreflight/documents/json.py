"""Strict reading of JSON."""

from __future__ import annotations

import json
import math
from typing import Any

from azpreflight.documents.document import DEEPEST, Document, Place, json_path
from azpreflight.documents.text import LONGEST_NUMBER, MOST_BYTES, UNUSABLE, decode, input_error
from azpreflight.errors import InputError
from azpreflight.model import Problem


def read_json(text: str | bytes, name: str, *, fold_keys: bool = False, most: int = MOST_BYTES) -> Document:
    """One JSON document as plain data. fold_keys: keys that differ in letter case only are duplicates too."""
    decoded = decode(text, name, most)
    try:
        raw = json.loads(
            decoded,
            object_pairs_hook=_Members,
            parse_constant=_refuse_number,
            parse_float=_json_float,
            parse_int=_json_int,
        )
    except json.JSONDecodeError as error:
        place = f"{name}:{error.lineno}:{error.colno}"
        raise input_error("syntax", f"no valid JSON: {_without_excerpt(error.msg)}", place) from None
    except RecursionError:
        raise input_error("syntax", f"is nested more than {DEEPEST} levels deep", name) from None
    except _UnusableNumberError:
        raise input_error("syntax", "holds a number that is out of range", name) from None
    problems: list[Problem] = []
    data = _plain(raw, (), name, problems, fold_keys=fold_keys)
    if problems:
        raise InputError(*problems)
    return Document(name, data)


class _Members(list[tuple[str, Any]]):
    """The members of a JSON object as they were written, duplicates and all."""


class _UnusableNumberError(Exception):
    """A number that has no finite value here."""


def _refuse_number(_: str) -> float:
    raise _UnusableNumberError


def _json_float(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse_number(text)


def _json_int(text: str) -> int | float:
    return int(text) if len(text) <= LONGEST_NUMBER else _refuse_number(text)


def _without_excerpt(message: str) -> str:
    # "Invalid \\escape: 'x'" is the one message of the json module that quotes the text.
    return message.partition(": ")[0]


def _plain(raw: Any, place: Place, name: str, problems: list[Problem], *, fold_keys: bool) -> Any:
    if len(place) > DEEPEST:
        raise input_error("syntax", f"is nested more than {DEEPEST} levels deep", f"{name}: {json_path(place[:8])}…")
    if isinstance(raw, _Members):
        members: dict[str, Any] = {}
        seen: dict[str, str] = {}
        for key, value in raw:
            earlier = seen.setdefault(key.casefold() if fold_keys else key, key)
            if key in members or earlier != key:
                again = f" as {earlier!r}" if earlier != key else ""
                message = f"the key {key!r} appears twice in the same object{again}"
                where = f"{name}: {json_path((*place, key))}"
                problems.append(Problem(code="duplicate-key", message=message, where=where))
            _refuse_half_characters(key, place, name)
            members[key] = _plain(value, (*place, key), name, problems, fold_keys=fold_keys)
        return members
    if isinstance(raw, list):
        return [_plain(item, (*place, at), name, problems, fold_keys=fold_keys) for at, item in enumerate(raw)]
    if isinstance(raw, str):
        _refuse_half_characters(raw, place, name)
    return raw


def _refuse_half_characters(text: str, place: Place, name: str) -> None:
    if UNUSABLE.search(text):
        raise input_error("syntax", "holds a character that is no text", f"{name}: {json_path(place)}")
