"""What a collection has to bring: the facts wanted, and all that sources need to know to ask for them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

from azpreflight.facts.classes import ClassTable
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.endpoints import EndpointTable
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.query import DnsQuery, HttpQuery, LdapQuery, Query, SiteRead, TcpQuery, TlsQuery
from azpreflight.model import Phase
from azpreflight.site.model import Node, Site

R = TypeVar("R", DnsQuery, HttpQuery, LdapQuery, TcpQuery, TlsQuery)

Keep: TypeAlias = Callable[[Observation], None]
"""Takes an observation as soon as it is there: what has been answered is kept whatever comes after."""


@dataclass(frozen=True)
class Collection:
    """The facts of one run.

    Attributes:
        site: the declaration.
        phase: of the run; it decides which endpoints are needed.
        queries: the definition of every wanted fact, and of those they depend on.
        tables: the endpoint table of each fact that names one.
        classes: the class table.
    """

    site: Site
    phase: Phase
    queries: Mapping[str, Query]
    tables: Mapping[str, EndpointTable]
    classes: ClassTable

    def of_node(self, node: Node) -> dict[str, Query]:
        """The queries that a node is asked, those that others depend on first."""
        first = node.name == self.site.nodes[0].name
        wanted = {
            name: query
            for name, query in sorted(self.queries.items())
            if not query.of_site and (first or query.nodes == "each")
        }
        return in_order(wanted)

    @property
    def of_site(self) -> dict[str, Query]:
        """The queries that are asked once for the whole site."""
        return {name: query for name, query in sorted(self.queries.items()) if query.of_site}

    def of_kinds(self, kinds: tuple[type[SiteRead], ...]) -> dict[str, Query]:
        """The queries of the site that are read in one of these ways, those that others depend on first."""
        return in_order({name: query for name, query in self.of_site.items() if isinstance(query.read, kinds)})

    def reads_of(self, kind: type[R]) -> dict[str, R]:
        """What queries of the site of one kind ask, by fact, those that others depend on first."""
        return {name: query.read for name, query in self.of_kinds((kind,)).items() if isinstance(query.read, kind)}


def in_order(queries: Mapping[str, Query]) -> dict[str, Query]:
    """Queries in an order in which each comes after those it depends on."""
    ordered: dict[str, Query] = {}

    def add(name: str) -> None:
        if name in queries and name not in ordered:
            for needed in sorted(queries[name].depends_on):
                add(needed)
            ordered[name] = queries[name]

    for name in queries:
        add(name)
    return ordered


def with_dependencies(names: Iterable[str], queries: Mapping[str, Query]) -> dict[str, Query]:
    """The named queries and all that they depend on, by name."""
    found: dict[str, Query] = {}
    queue = list(names)
    while queue:
        name = queue.pop()
        if name not in found:
            found[name] = queries[name]
            queue.extend(queries[name].depends_on)
    return dict(sorted(found.items()))


class NodeSource(Protocol):
    """Where the facts of nodes come from."""

    def collect_node(self, node: Node, collection: Collection, deadline: Deadline, keep: Keep) -> None:
        """Keep one observation for each query that concerns the node, as it comes; never raises for a bad node."""
        ...


class SiteSource(Protocol):
    """Where facts of the site as a whole come from."""

    @property
    def name(self) -> str:
        """Of the source, as observations and progress show it."""
        ...

    @property
    def reads(self) -> tuple[type[SiteRead], ...]:
        """The kinds of queries that it answers."""
        ...

    def collect_site(self, collection: Collection, deadline: Deadline, keep: Keep) -> None:
        """Keep one observation for each query of the site that it `reads`; never raises for a bad server."""
        ...


def utc_now() -> datetime.datetime:
    """This moment in UTC, to the millisecond."""
    now = datetime.datetime.now(datetime.UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def unobserved(names: Iterable[str], target: str, source: str, status: Status, reason: str) -> list[Observation]:
    """The same reason for several facts that could not be had."""
    now = utc_now()
    return [
        Observation(fact=name, target=target, source=source, status=status, observed_at=now, reason=reason)
        for name in names
    ]
