"""A conversation with the directory of one site: the domain controller that answers, its global catalog, the logon."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

from azpreflight.facts.deadline import Deadline
from azpreflight.facts.errors import WireError
from azpreflight.facts.ldap.connection import Connection, Place
from azpreflight.facts.ldap.controllers import catalog_of, controllers
from azpreflight.facts.ldap.login import Login, Nobody, WithPassword, WithTicket
from azpreflight.facts.network.asking import ReachedAt
from azpreflight.facts.observation import Status
from azpreflight.site.distinguished_name import DistinguishedName
from azpreflight.site.formats import is_address
from azpreflight.site.model import DirectoryTls, Site

_ROOT_ATTRIBUTES = ("defaultNamingContext", "configurationNamingContext", "dnsHostName", "namingContexts")


@dataclass(frozen=True)
class Root:
    """What a domain controller says of itself. domain, configuration, holds: distinguished names."""

    domain: str
    configuration: str
    host: str
    holds: frozenset[str]

    def elsewhere(self, references: Iterable[str]) -> list[str]:
        """References that lead beyond what this domain controller holds, which are other domains."""
        return [url for url in references if unquote(urlsplit(url).path).strip("/").casefold() not in self.holds]


class Conversation:
    """Connects when something is asked, logs on when that is needed; as a context manager.

    What failed once fails again in the same words, without another attempt: no second bind ever follows a refused one.

    Args:
        site: whose directory.
        login: who logs on.
        reached_at: where a declared host and port is asked.
        deadline: of everything.
        page: entries that are asked for at a time.
    """

    def __init__(self, site: Site, login: Login, reached_at: ReachedAt, deadline: Deadline, page: int) -> None:
        self._site = site
        self._login = login
        self._reached_at = reached_at
        self._deadline = deadline
        self._page = page
        self._opened: list[Connection] = []
        self._logged_on: list[Connection] = []
        self._domain: Connection | WireError | None = None
        self._catalog: Connection | WireError | None = None
        self._refused: WireError | None = None
        self._root: Root | None = None

    @property
    def root(self) -> Root:
        """What the domain controller says of itself; only after `controller` was there."""
        assert self._root is not None  # noqa: S101 - set with the connection
        return self._root

    def controller(self, *, catalog: bool = False, anonymous: bool = False) -> Connection:
        """The domain controller to ask.

        Args:
            catalog: the global catalog.
            anonymous: for something that it tells anybody.

        Raises:
            WireError: there is none, or it refuses the logon.
        """
        if isinstance(self._login, Nobody) and not anonymous:
            raise WireError(Status.NOT_ASKED, self._login.reason)
        if self._domain is None:
            self._domain = self._of_domain()
        if isinstance(self._domain, WireError):
            raise self._domain
        if not anonymous or self._to_be_sealed:
            self._log_on(self._domain)
        if not catalog:
            return self._domain
        if self._catalog is None:
            self._catalog = self._of_catalog(self._domain)
        if isinstance(self._catalog, WireError):
            raise self._catalog
        self._log_on(self._catalog)
        return self._catalog

    @property
    def _to_be_sealed(self) -> bool:
        """Whether only a logon will protect the line."""
        return self._site.directory.tls is DirectoryTls.NONE and not isinstance(self._login, Nobody)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for controller in self._opened:
            controller.close()

    def _of_domain(self) -> Connection | WireError:
        try:
            found = self._first(controllers(self._site, self._reached_at, self._deadline))
            self._root = self._introduced(found)
        except WireError as error:
            return error
        return found

    def _of_catalog(self, controller: Connection) -> Connection | WireError:
        try:
            return self._first(iter([catalog_of(controller.place, self._site.directory)]))
        except WireError as error:
            reason = f"no global catalog: {error.reason}; declare a domain controller that is one"
            return WireError(error.status, reason)

    def _first(self, places: Iterator[Place]) -> Connection:
        """The first that lets itself be connected to. Only that may fail more than once: no credential was sent."""
        failures: list[WireError] = []
        for place in places:
            try:
                opened = Connection(place, self._site.directory, self._deadline, self._page)
            except WireError as error:
                failures.append(error)
                continue
            self._opened.append(opened)
            return opened
        reason = "; ".join(dict.fromkeys(failure.reason for failure in failures))
        raise WireError(failures[0].status if failures else Status.UNREACHABLE, reason)

    def _introduced(self, controller: Connection) -> Root:
        found = controller.search("", "base", "(objectClass=*)", _ROOT_ATTRIBUTES)
        values = found.entries[0].attributes if found.entries else {}
        domain, configuration, host = (_text(values, name) for name in _ROOT_ATTRIBUTES[:3])
        held = (context.decode(errors="replace").casefold() for context in values.get("namingcontexts", ()))
        declared = self._site.directory.domain or ""
        try:
            served = DistinguishedName.parse(domain).domain
        except ValueError:
            served = ""
        if served.casefold() != declared.rstrip(".").casefold():
            whom = f"serves the domain {served}" if served else "is no domain controller"
            reason = f"{controller.place.name} {whom}, and {declared} is declared: correct directory.domain or servers"
            raise WireError(Status.FAILED, reason)
        return Root(domain, configuration, host, frozenset(held))

    def _log_on(self, controller: Connection) -> None:
        if self._refused is not None:
            raise self._refused
        if controller in self._logged_on:
            return
        try:
            match self._login:
                case WithPassword(credential):
                    controller.log_on(credential)
                case WithTicket(ticket):
                    ticket.require()
                    controller.log_on_with_ticket(self._kerberos_host(controller))
            if self._to_be_sealed:
                # What was told on the bare line somebody may have changed on the way.
                self._root = self._introduced(controller)
        except WireError as error:
            self._refused = error
            raise
        self._logged_on.append(controller)

    def _kerberos_host(self, controller: Connection) -> str:
        """The name under which the domain controller has its keys.

        What it says of itself counts only where an address, or the domain as a whole, was declared, and then only when
        the name lies in the domain: the domain would know no other.
        """
        name, domain = controller.place.name.rstrip("."), (self._site.directory.domain or "").rstrip(".")
        if not is_address(name) and name.casefold() != domain.casefold():
            return name
        if self.root.host.casefold().endswith(f".{domain.casefold()}"):
            return self.root.host
        reason = f"{name} tells no name in {domain}: declare it by name in directory.servers"
        raise WireError(Status.FAILED, reason)


def _text(values: Mapping[str, Sequence[bytes]], name: str) -> str:
    """The only value of an attribute as text, empty without one."""
    found = values.get(name.casefold(), ())
    return found[0].decode(errors="replace") if found else ""
