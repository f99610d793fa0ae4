"""The values that the placeholders of a query stand for: from the declaration, and from the rows of other facts."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Mapping
from typing import Any

from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.query import FromFact, Query
from azpreflight.site.model import Node, Site
from azpreflight.site.references import resolve

_NO_TIME = datetime.datetime.min.replace(tzinfo=datetime.UTC)


def combinations(
    query: Query, site: Site, node: Node | None, observations: Mapping[str, Observation]
) -> list[dict[str, str]]:
    """Every combination of values of a query's placeholders, by name. Values of the same row stay together.

    A property that is a list stands for each of its items. A query without placeholders has one, empty combination.

    Raises:
        WireError: a value is not declared, or the fact that it comes from was not observed.
    """
    groups: list[list[dict[str, str]]] = []
    for source in dict.fromkeys(_source(bound) for bound in query.bind.values()):
        names = [name for name, bound in query.bind.items() if _source(bound) == source]
        groups.append(_values(query, names, site, node, observations))
    return [
        {name: text for part in combination for name, text in part.items()}
        for combination in itertools.product(*groups)
    ]


def placeholders(query: Query, target: str) -> dict[str, Observation]:
    """Facts that a query depends on, before anything was asked: their values stand as names in angle brackets."""
    return {
        bound.fact: Observation(
            fact=bound.fact,
            target=target,
            source="plan",
            status=Status.OBSERVED,
            observed_at=_NO_TIME,
            value=[{b.property: f"<{b.property} of {b.fact}>" for b in query.bind.values() if isinstance(b, FromFact)}],
        )
        for bound in query.bind.values()
        if isinstance(bound, FromFact)
    }


def _source(bound: str | FromFact) -> str:
    return f"fact {bound.fact}" if isinstance(bound, FromFact) else bound


def _values(
    query: Query, names: list[str], site: Site, node: Node | None, observations: Mapping[str, Observation]
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
    complete = [
        dict(zip(names, map(str, values), strict=True))
        for row in observation.value
        for values in itertools.product(*(_items(row.get(properties[name])) for name in names))
    ]
    if not complete:
        wanted = ", ".join(sorted({properties[name] for name in names}))
        raise WireError(Status.NOT_ASKED, f"needs {wanted} of {bound.fact}, which no row has")
    return complete


def _items(value: Any) -> list[Any]:
    """What a property stands for; a null is no value to ask for."""
    items = value if isinstance(value, list) else [value]
    return [item for item in items if item is not None]
