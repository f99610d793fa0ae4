"""Filling the conditions of CIM queries with values of the declaration and of other facts."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping

from azpreflight.facts.bindings import combinations, placeholders
from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.query import CimQuery, Query
from azpreflight.facts.winrm.cim import quote
from azpreflight.site.model import Node, Site

ALTERNATIVES = 32
"""Conditions that are joined by OR in one query: a provider that waits for each one must stay within the timeout."""


def conditions(
    query: Query, read: CimQuery, site: Site, node: Node, observations: Mapping[str, Observation]
) -> list[str | None]:
    """The WHERE clauses of a query: one without bound values, else one for every `ALTERNATIVES` combinations.

    Raises:
        WireError: a value is not declared, or the fact that it comes from was not observed.
    """
    if read.where is None:
        return [read.and_]
    filled = [_filled(read.where, values) for values in combinations(query, site, node, observations)]
    found: list[str | None] = []
    for start in range(0, len(filled), ALTERNATIVES):
        batch = filled[start : start + ALTERNATIVES]
        found.append(_both(" OR ".join(batch), read.and_))
    return found


def described(query: Query, read: CimQuery, site: Site, node: Node) -> list[str | None]:
    """The same before anything was asked: values of other facts stand as their names in angle brackets."""
    return conditions(query, read, site, node, placeholders(query, node.name))


def _filled(where: str, values: Mapping[str, str]) -> str:
    r"""A condition with its values in place, each quoted as often as there are quotes around it.

    In `A="Class.Key='{x}'"` the value is a text inside an object path, which is a text inside WQL.
    """
    parts: list[str] = []
    opened: list[str] = []
    for literal, name, _, _ in string.Formatter().parse(where):
        _follow_quotes(literal, opened)
        parts.append(literal)
        if name is None:
            continue
        if name not in values:
            raise WireError(Status.FAILED, f"the placeholder {{{name}}} of a query is not bound")
        if not opened:
            raise WireError(Status.FAILED, f"the placeholder {{{name}}} of a query stands outside quotes")
        text = values[name]
        for _ in opened:
            text = quote(text)
        parts.append(text)
    return "".join(parts)


def _follow_quotes(literal: str, opened: list[str]) -> None:
    """Note which quotes are open after a piece of WQL."""
    for mark in re.findall(r"\\.|['\"]", literal, re.DOTALL):
        if opened and mark == opened[-1]:
            opened.pop()
        elif mark in ("'", '"'):
            opened.append(mark)


def _both(where: str | None, and_: str | None) -> str | None:
    return f"{_grouped(where)} AND {_grouped(and_)}" if where and and_ else where or and_


def _grouped(condition: str) -> str:
    """A condition that can be joined by AND; one that cannot hold an OR stays as simple as it is."""
    return f"({condition})" if re.search(r"\bor\b", condition, re.IGNORECASE) else condition
