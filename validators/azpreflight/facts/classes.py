"""The CIM class table: which classes and properties Windows has, with their types and value names."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import msgspec

from azpreflight.errors import nearest, unknown
from azpreflight.model import Frozen, Problem, Value


class Property(Frozen):
    """One property. type: a CIM type, `ref:CLASS` or `object:CLASS`. values: names of numbers, as documented.

    seen_on: machines that have it, where not all machines of its class do.
    """

    type: str
    array: bool = False
    key: bool = False
    values: dict[str, str] = {}
    seen_on: tuple[str, ...] = ()

    def mismatch(self, value: Value) -> str | None:
        """Why a decoded value cannot be one of this property; None when it can."""
        if value is None:
            return None
        if self.array:
            if not isinstance(value, list):
                return f"is no list but {value!r}"
            return next((found for part in value if (found := self._scalar_mismatch(part)) is not None), None)
        return self._scalar_mismatch(value)

    def _scalar_mismatch(self, value: Value) -> str | None:
        kind = self.type
        if kind.startswith(("ref:", "object:")):
            good = isinstance(value, dict) and "class" in value
        elif kind == "boolean":
            good = isinstance(value, bool)
        elif kind.startswith("real"):
            good = isinstance(value, (int, float)) and not isinstance(value, bool)
        elif kind in ("string", "datetime"):
            # A machine's class list tells `string` for references and dates as well.
            good = isinstance(value, (str, dict))
        elif isinstance(value, str):
            if value in self.values.values():
                return None
            guess = nearest(value, self.values.values())
            return f"has no value named {value!r}" + (f"; did you mean {guess!r}?" if guess else "")
        else:
            named = self.values.get(str(value))
            if named is not None:
                return f"is decoded to its name {named!r}, never to {value!r}"
            good = isinstance(value, int) and not isinstance(value, bool)
        return None if good else f"is a {kind} and cannot be {value!r}"


class CimClass(Frozen, dict=True):
    """One class. documented: Microsoft describes it on a page. seen_on: machines whose class list holds it."""

    documented: bool
    seen_on: tuple[str, ...]
    methods: tuple[str, ...]
    properties: dict[str, Property]

    @functools.cached_property
    def _folded(self) -> dict[str, tuple[str, Property]]:
        return {name.casefold(): (name, kind) for name, kind in self.properties.items()}

    def find(self, name: str) -> tuple[str, Property] | None:
        """A property by its name in any letter case: its own spelling and its definition."""
        return self._folded.get(name.casefold())


class _File(Frozen):
    about: str
    date: str
    namespaces: dict[str, dict[str, CimClass]]


class ClassTable:
    """All known classes, by namespace and name without regard to letter case."""

    def __init__(self, namespaces: Mapping[str, Mapping[str, CimClass]]) -> None:
        self._spelling = {namespace.casefold(): namespace for namespace in namespaces}
        self._classes = {
            (namespace.casefold(), name.casefold()): (name, kind)
            for namespace, classes in namespaces.items()
            for name, kind in classes.items()
        }

    @classmethod
    def read(cls, *paths: Path) -> ClassTable:
        """The classes of several files; a later file adds to an earlier one."""
        merged: dict[str, dict[str, CimClass]] = {}
        for path in paths:
            for namespace, classes in msgspec.json.decode(path.read_bytes(), type=_File).namespaces.items():
                merged.setdefault(namespace, {}).update(classes)
        return cls(merged)

    def find(self, namespace: str, name: str) -> tuple[str, CimClass] | None:
        """A class: its own spelling and its definition."""
        return self._classes.get((namespace.casefold(), name.casefold()))

    def check(self, namespace: str, name: str, properties: tuple[str, ...], *, where: str) -> list[Problem]:
        """What is unknown about a class and its properties, with the nearest known names."""
        if namespace.casefold() not in self._spelling:
            return [unknown("CIM namespace", namespace, self._spelling.values(), where=where)]
        found = self.find(namespace, name)
        if found is None:
            siblings = [own for (space, _), (own, _) in self._classes.items() if space == namespace.casefold()]
            return [unknown("CIM class", name, siblings, where=where)]
        own, kind = found
        return [
            unknown(f"property of {own}", wanted, kind.properties, where=where)
            for wanted in properties
            if kind.find(wanted) is None
        ]
