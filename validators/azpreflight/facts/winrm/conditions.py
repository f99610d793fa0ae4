"""Filling the conditions of CIM queries with values of the declaration and of other facts."""

from __future__ import annotations

import datetime
import itertools
import re
import string
from collections.abc import Mapping

from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.query import CimQuery, FromFact, Query
from azpreflight.facts.winrm.cim import quote
from azpreflight.facts.winrm.errors import WireError
from azpreflight.site.model import Node, Site
from azpreflight.site.references import resolve

_NO_TIME = datetime.datetime.min.replace(tzinfo=datetime.UTC)

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
    if not query.bind:
        return [_both(_filled(read.where, {}), read.and_)]
    groups: list[list[dict[str, str]]] = []
    for source in dict.fromkeys(_source(bound) for bound in query.bind.values()):
        names = [name for name, bound in query.bind.items() if _source(bound) == source]
        groups.append(_values(query, names, site, node, observations))
    filled = [
        _filled(read.where, {name: text for part in combination for name, text in part.items()})
        for combination in itertools.product(*groups)
    ]
    found: list[str | None] = []
    for start in range(0, len(filled), ALTERNATIVES):
        batch = filled[start : start + ALTERNATIVES]
        found.append(_both(" OR ".join(batch), read.and_))
    return found


def described(query: Query, read: CimQuery, site: Site, node: Node) -> list[str | None]:
    """The same before anything was asked: values of other facts stand as their names in angle brackets."""
    placeholders = {
        bound.fact: Observation(
            fact=bound.fact,
            target=node.name,
            source="plan",
            status=Status.OBSERVED,
            observed_at=_NO_TIME,
            value=[{b.property: f"<{b.property} of {b.fact}>" for b in query.bind.values() if isinstance(b, FromFact)}],
        )
        for bound in query.bind.values()
        if isinstance(bound, FromFact)
    }
    return conditions(query, read, site, node, placeholders)


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


def _source(bound: str | FromFact) -> str:
    return f"fact {bound.fact}" if isinstance(bound, FromFact) else bound


def _values(
    query: Query, names: list[str], site: Site, node: Node, observations: Mapping[str, Observation]
) -> list[dict[str, str]]:
    bound = query.bind[names[0]]
    if isinstance(bound, str):
        texts = resolve(bound, site, node)
        if not texts:
            raise WireError(Status.NOT_ASKED, f"the site does not declare {bound}")
        return [dict.fromkeys(names, text) for text in texts]
    observation = observations.get(bound.fact)
    if observation is None or observation.status is not Status.OBSERVED or not observation.value:
        status = observation.status if observation is not None else Status.NOT_ASKED
        reason = (observation.reason if observation is not None else None) or f"{bound.fact} has no row"
        raise WireError(Status.NOT_ASKED if status is Status.OBSERVED else status, f"needs {bound.fact}: {reason}")
    properties = {name: value.property for name, value in query.bind.items() if isinstance(value, FromFact)}
    if not isinstance(observation.value, list) or not all(isinstance(row, dict) for row in observation.value):
        raise WireError(Status.FAILED, f"needs rows of {bound.fact}, which has none")
    found = [{name: row.get(properties[name]) for name in names} for row in observation.value]
    # A null is no value to ask for.
    complete = [{name: str(value) for name, value in row.items()} for row in found if None not in row.values()]
    if not complete:
        wanted = ", ".join(sorted({properties[name] for name in names}))
        raise WireError(Status.NOT_ASKED, f"needs {wanted} of {bound.fact}, which no row has")
    return complete
