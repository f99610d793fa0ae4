"""The searches of a query: one for each base, its filter filled with values of the declaration and of other facts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from azpreflight.facts.bindings import combinations, placeholders
from azpreflight.facts.collection import Collection
from azpreflight.facts.errors import WireError
from azpreflight.facts.ldap.attributes import SECRETS
from azpreflight.facts.ldap.library import escape_filter_chars, escape_rdn
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.query import LdapQuery, Query
from azpreflight.site.model import Site

ALTERNATIVES = 64
"""Filters that are joined by OR in one search."""
MOST_SEARCHES = 128
"""Searches of one query; the containers above an OU and the nodes of a site are few."""
ROOT_DSE, DOMAIN, CONFIGURATION = "root_dse", "domain", "configuration"
_EDGES = re.compile(r"^\s+|\s+$")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True)
class Search:
    """One search. base: a distinguished name, or one of the words that a query may have in its place."""

    base: str
    scope: str
    filter: str
    attributes: tuple[str, ...]
    catalog: bool

    def __str__(self) -> str:
        place = {ROOT_DSE: "the rootDSE", DOMAIN: "the domain", CONFIGURATION: "the configuration of the forest"}
        shown = place.get(self.base, self.base)
        if self.catalog:
            shown = "the whole forest" if self.base == ROOT_DSE else shown
            shown += ", in the global catalog"
        return f"{shown}; scope {self.scope}; {self.filter}; {', '.join(self.attributes)}"


def searches_of(query: Query, read: LdapQuery, site: Site, observations: Mapping[str, Observation]) -> list[Search]:
    """The searches that answer a query.

    Raises:
        WireError: a value is not declared, the fact that it comes from was not observed, a secret is asked for, or
            there are too many. Nothing is asked.
    """
    if secrets := [name for name in read.attributes if name.casefold() in SECRETS]:
        raise WireError(Status.NOT_ASKED, f"{', '.join(secrets)} holds a secret, which azpreflight does not read")
    filters: dict[str, dict[str, None]] = {}
    for values in combinations(query, site, None, observations):
        filled = filters.setdefault(_base(read.base, values), {})
        filled[_filled(read.filter, _assertion, values)] = None
    found = [
        Search(base, read.scope, _any(list(each)[start : start + ALTERNATIVES]), read.attributes, read.catalog)
        for base, each in filters.items()
        for start in range(0, len(each), ALTERNATIVES)
    ]
    if len(found) > MOST_SEARCHES:
        raise WireError(Status.NOT_ASKED, f"the bound values make more than {MOST_SEARCHES} searches")
    return found


def in_words(collection: Collection) -> list[str]:
    """Every search of a plan, before anything was asked: values of other facts stand as names in angle brackets."""
    site = collection.site
    told: list[str] = []
    for name, query in collection.of_kinds((LdapQuery,)).items():
        assert isinstance(query.read, LdapQuery)  # noqa: S101 - of_kinds gives no other
        try:
            found = searches_of(query, query.read, site, placeholders(query, site.name))
        except WireError as error:
            told.append(f"{name}: nothing is asked: {error.reason}")
        else:
            told += [f"{name}: {search}" for search in found]
    return told


def _assertion(text: str, _: str) -> str:
    """A value as a filter takes it. ldap3 would drop blanks at its ends."""
    escaped = str(escape_filter_chars(text))
    return _EDGES.sub(lambda found: "".join(f"\\{octet:02x}" for octet in found[0].encode()), escaped)


def _base(base: str, values: Mapping[str, str]) -> str:
    def fit(text: str, before: str) -> str:
        # Behind "CN=" stands the value of a name's part; anywhere else a whole name.
        return str(escape_rdn(text)) if before.rstrip().endswith("=") else text

    return _filled(base, fit, values)


def _filled(text: str, fit: Callable[[str, str], str], values: Mapping[str, str]) -> str:
    """A text with values in place of its placeholders, each made to `fit` what stands before it."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise WireError(Status.FAILED, f"the placeholder {{{found[1]}}} of a query is not bound")
        return fit(values[found[1]], text[: found.start()])

    return _PLACEHOLDER.sub(value, text)


def _any(filters: list[str]) -> str:
    return filters[0] if len(filters) == 1 else f"(|{''.join(filters)})"
