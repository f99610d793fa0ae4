"""Documents as values of a type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from azpreflight.documents.document import Document, Place
from azpreflight.documents.text import input_error
from azpreflight.documents.types import faults_at
from azpreflight.documents.values import Fault
from azpreflight.errors import InputError
from azpreflight.model import Problem

T = TypeVar("T")


def convert(document: Document, kind: type[T], at: Place = ()) -> T:
    """The part of a document at `at` as `kind`; raises one `InputError` with everything that is wrong."""
    data = document.data
    for step in at:
        data = data[step]
    found = [
        Problem(code=fault.code, message=fault.message, where=document.where((*at, *fault.place)))
        for fault in faults(data, kind)
    ]
    if found:
        raise InputError(*found)
    try:
        return msgspec.convert(data, kind, str_keys=True)
    except msgspec.ValidationError as error:
        # What only the type's own constructor can tell.
        message, _, path = str(error).partition(" - at `")
        place = _place_of(path.rstrip("`"))
        raise input_error("bad-value", message, document.where((*at, *place))) from None


def faults(data: Any, kind: Any) -> Iterator[Fault]:
    """Everything that is wrong with plain data as `kind`, in the order of the type's fields."""
    return faults_at(data, inspect.type_info(kind), ())


def _place_of(path: str) -> Place:
    """The place that msgspec names as `$.a[0].b`; what cannot be told apart from it ends the place early."""
    steps = re.findall(r"\.([^.\[]+)|\[(\d+)\]", path)
    return tuple(name or int(position) for name, position in steps)
