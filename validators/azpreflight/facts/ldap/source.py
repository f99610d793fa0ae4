"""The source `ldap`: searches in the directory of the site's domain, from the machine that runs azpreflight.

A fact is a list with one row for each entry that its searches found, in the order of bases and names: `dn` and every
attribute of the query by the query's own spelling, None where the directory gave none. A base that does not exist, or
that the account may not see, has no entries. Values are decoded by `azpreflight.facts.ldap.attributes`.

Referrals are not followed: they lead to servers that nobody declared. A search that is answered by one has failed; a
search that found only part of what is below its base is observed, and its note names where the rest lies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from azpreflight.facts.collection import Collection, Keep, unobserved, utc_now
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.errors import WireError
from azpreflight.facts.ldap.attributes import DESCRIPTOR, decoded
from azpreflight.facts.ldap.connection import PAGE_ENTRIES, Connection
from azpreflight.facts.ldap.conversation import Conversation
from azpreflight.facts.ldap.login import Login
from azpreflight.facts.ldap.searches import CONFIGURATION, DOMAIN, ROOT_DSE, Search, searches_of
from azpreflight.facts.ldap.security import sid_text
from azpreflight.facts.network.asking import ReachedAt
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.query import LdapQuery, Query, SiteRead
from azpreflight.model import Value

SOURCE = "ldap"
_PLACES_TOLD = 5
_SIDS_AT_ONCE = 64


@dataclass(frozen=True)
class LdapSource:
    """Asks the directory.

    Attributes:
        login: who logs on.
        reached_at: host and port where a declared domain controller, domain or DNS server is asked.
        page: entries that are asked for at a time.
    """

    login: Login
    reached_at: ReachedAt
    page: int = PAGE_ENTRIES
    name = SOURCE
    reads: tuple[type[SiteRead], ...] = (LdapQuery,)

    def collect_site(self, collection: Collection, deadline: Deadline, keep: Keep) -> None:
        """Keep one observation for each LDAP query."""
        observations: dict[str, Observation] = {}
        with Conversation(collection.site, self.login, self.reached_at, deadline, self.page) as conversation:
            reader = _Reader(collection, conversation)
            for name, query in collection.of_kinds(self.reads).items():
                observation = reader.observed(name, query, observations)
                observations[name] = observation
                keep(observation)


class _Reader:
    """Answers queries in one conversation."""

    def __init__(self, collection: Collection, conversation: Conversation) -> None:
        self._collection = collection
        self._conversation = conversation
        self._names: dict[str, str | None] = {}

    def observed(self, name: str, query: Query, observations: Mapping[str, Observation]) -> Observation:
        """The observation of one query."""
        target = self._collection.site.name
        assert isinstance(query.read, LdapQuery)  # noqa: S101 - of_kinds gives no other
        try:
            searches = searches_of(query, query.read, self._collection.site, observations)
            rows, elsewhere = self._rows(searches)
        except WireError as error:
            [observation] = unobserved([name], target, SOURCE, error.status, error.reason)
            return observation
        told = f"not searched, for it lies elsewhere: {', '.join(elsewhere)}" if elsewhere else None
        return Observation(
            fact=name,
            target=target,
            source=SOURCE,
            status=Status.OBSERVED,
            observed_at=utc_now(),
            value=rows,
            note=told,
        )

    def _rows(self, searches: Iterable[Search]) -> tuple[list[Value], list[str]]:
        found: dict[str, dict[str, Value]] = {}
        elsewhere: dict[str, None] = {}
        for search in searches:
            controller = self._conversation.controller(catalog=search.catalog, anonymous=_is_open(search))
            answer = controller.search(self._base(search.base), search.scope, search.filter, search.attributes)
            elsewhere |= dict.fromkeys(self._conversation.root.elsewhere(answer.elsewhere))
            for entry in sorted(answer.entries, key=lambda entry: entry.dn.casefold()):
                # One object, however many searches find it.
                found.setdefault(entry.dn.casefold(), _row(entry.dn, entry.attributes, search.attributes))
        rows = list(found.values())
        self._name_identities(rows)
        return list(rows), list(elsewhere)[:_PLACES_TOLD]

    def _base(self, base: str) -> str:
        match base:
            case str() if base == ROOT_DSE:
                return ""
            case str() if base == DOMAIN:
                return self._conversation.root.domain
            case str() if base == CONFIGURATION:
                return self._conversation.root.configuration
        return base

    def _name_identities(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Put names to the SIDs in descriptors, as far as this domain knows them."""
        entries = [
            entry
            for row in rows
            for name, value in row.items()
            if name.casefold() == DESCRIPTOR.casefold() and isinstance(value, dict)
            for entry in value["dacl"]
        ]
        unknown = list(dict.fromkeys(e["sid"] for e in entries if e["name"] is None and e["sid"] not in self._names))
        for start in range(0, len(unknown), _SIDS_AT_ONCE):
            batch = unknown[start : start + _SIDS_AT_ONCE]
            self._names |= dict.fromkeys(batch)
            self._names |= self._named(self._conversation.controller(), batch)
        for entry in entries:
            entry["name"] = entry["name"] or self._names.get(entry["sid"])

    def _named(self, controller: Connection, sids: Sequence[str]) -> dict[str, str | None]:
        wanted = f"(|{''.join(f'(objectSid={sid})' for sid in sids)})"
        attributes = ("objectSid", "sAMAccountName")
        try:
            found = controller.search(self._conversation.root.domain, "subtree", wanted, attributes)
        except WireError:
            # A name is a help to people; without it the SID says the same.
            return {}
        return {
            sid_text(entry.attributes["objectsid"][0]): entry.attributes["samaccountname"][0].decode(errors="replace")
            for entry in found.entries
            if entry.attributes.get("objectsid") and entry.attributes.get("samaccountname")
        }


def _is_open(search: Search) -> bool:
    """Whether domain controllers tell it to anybody."""
    return search.base == ROOT_DSE and search.scope == "base" and not search.catalog


def _row(dn: str, attributes: Mapping[str, Sequence[bytes]], wanted: Iterable[str]) -> dict[str, Value]:
    try:
        values = {name: decoded(name, attributes.get(name.casefold(), ())) for name in wanted}
    except ValueError as error:
        raise WireError(Status.FAILED, f"{dn or 'the rootDSE'}: {error}") from error
    return {"dn": dn, **values}
