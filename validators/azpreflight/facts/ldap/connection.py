"""A connection to a domain controller, driven through ldap3: opened, logged on to at most once, searched."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from azpreflight.credentials import Credential
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.errors import WireError
from azpreflight.facts.ldap import kerberos
from azpreflight.facts.ldap.attributes import DESCRIPTOR
from azpreflight.facts.ldap.library import (
    LDAPInvalidFilterError,
    ldap3,
    security_descriptor_control,
    send_sasl_negotiation,
)
from azpreflight.facts.ldap.results import NO_SUCH_OBJECT, SUCCESS, logon_error, search_error
from azpreflight.facts.ldap.wire import Line, connected, secured, unreachable
from azpreflight.facts.observation import Status
from azpreflight.site.model import Directory, DirectoryTls

SEARCH_SECONDS = 30.0
"""For one page of a search; the domain controller is asked to give up earlier, which keeps the connection."""
SERVER_SECONDS = 25
PAGE_ENTRIES = 1000
"""What Active Directory gives at most at a time."""
MOST_ENTRIES = 20_000
"""Of one search, on all its pages."""
_START_TLS = "1.3.6.1.4.1.1466.20037"
_PAGED = "1.2.840.113556.1.4.319"
_OWNER_GROUP_DACL = 0x07
"""The parts of a security descriptor that need no more than the right to read it; auditing needs a privilege."""
_SCOPES: Mapping[str, Literal["BASE", "LEVEL", "SUBTREE"]] = {"base": "BASE", "one": "LEVEL", "subtree": "SUBTREE"}


@dataclass(frozen=True)
class Place:
    """Where a domain controller is asked.

    Attributes:
        name: as declared, or as DNS has it; its certificate must bear it.
        host: where the connection leads to. port: likewise.
    """

    name: str
    host: str
    port: int


@dataclass(frozen=True)
class Entry:
    """One object. attributes: values as they came, by the folded name of the attribute."""

    dn: str
    attributes: Mapping[str, Sequence[bytes]]


@dataclass
class Found:
    """What a search brought. elsewhere: where the directory says that more of it lies, which was not searched."""

    entries: list[Entry] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)


class Connection:
    """A connection to a domain controller. Opening it is the only thing that may be tried at another one.

    Args:
        place: where.
        settings: TLS and what certificates are held to.
        deadline: of the whole conversation.
        page: entries that are asked for at a time.

    Raises:
        WireError: no connection, or no TLS on it; nothing of a credential has been sent.
    """

    def __init__(self, place: Place, settings: Directory, deadline: Deadline, page: int = PAGE_ENTRIES) -> None:
        self.place = place
        self._settings = settings
        self._deadline = deadline
        self._page = page
        self._dead: WireError | None = None
        server = ldap3.Server(place.name, port=place.port, get_info=ldap3.NONE)
        # read_only: ldap3 itself refuses whatever would write.
        self._ldap = ldap3.Connection(
            server, auto_referrals=False, check_names=False, auto_escape=False, read_only=True
        )
        try:
            self._line = Line(connected(place.host, place.port, deadline), deadline)
        except OSError as error:
            raise unreachable(error, place.name, place.port) from error
        self._take(self._line)
        try:
            self._secure()
        except OSError as error:
            self.close()
            raise unreachable(error, place.name, place.port) from error
        except WireError:
            self.close()
            raise

    def close(self) -> None:
        """End the connection, in order where that is possible."""
        with contextlib.suppress(Exception):
            self._line.expect(self._deadline.within(1))
            if self._ldap.bound:
                self._ldap.unbind()
        with contextlib.suppress(Exception):
            self._line.close()

    def log_on(self, credential: Credential) -> None:
        """A simple bind, over TLS alone. One attempt.

        Raises:
            WireError: it is refused, or the line broke.
        """
        if self._settings.tls is DirectoryTls.NONE:
            raise WireError(Status.NOT_ASKED, "without TLS the password would travel in the clear")
        self._ldap.user = credential.username
        # As bytes, the password is sent as it is: the directory knows nothing of RFC 4013.
        self._ldap.password = credential.password.encode()
        self._ldap.authentication = ldap3.SIMPLE
        with self._speaking():
            self._ldap.bind(read_server_info=False)
        self._ldap.password = None
        if self._ldap.result["result"] != SUCCESS:
            raise logon_error(self._ldap.result, credential.username, self.place.name)

    def log_on_with_ticket(self, host: str) -> None:
        """A bind with the Kerberos ticket at hand; without TLS, all that follows is sealed. One attempt.

        Args:
            host: the name of the domain controller in the Kerberos realm.

        Raises:
            WireError: it is refused, there is no ticket for it, or the line broke.
        """

        def bind(token: bytes) -> dict[str, Any]:
            with self._speaking():
                return dict(send_sasl_negotiation(self._ldap, None, token))  # type: ignore[no-untyped-call]

        self._ldap.sasl_mechanism = kerberos.MECHANISM
        kerberos.log_on(bind, self._line, host, self.place.name)
        self._ldap.bound = True

    def search(self, base: str, scope: str, filter_: str, attributes: Sequence[str]) -> Found:
        """All entries, page by page. A base that does not exist has none.

        Raises:
            WireError: there is no whole answer.
        """
        wants_descriptor = DESCRIPTOR.casefold() in map(str.casefold, attributes)
        controls = security_descriptor_control(True, _OWNER_GROUP_DACL) if wants_descriptor else None
        found, cookie = Found(), None
        while True:
            with self._speaking():
                self._ldap.search(
                    base,
                    filter_,
                    _SCOPES[scope],
                    ldap3.DEREF_NEVER,
                    attributes=list(attributes),
                    time_limit=SERVER_SECONDS,
                    controls=controls,
                    paged_size=None if scope == "base" else self._page,
                    paged_criticality=True,
                    paged_cookie=cookie,
                )
            result = self._ldap.result
            if result["result"] == NO_SUCH_OBJECT:
                return found
            if result["result"] != SUCCESS:
                raise search_error(result, self.place.name)
            self._collect(found)
            if len(found.entries) > MOST_ENTRIES:
                raise WireError(Status.FAILED, f"the search has more than {MOST_ENTRIES} entries")
            cookie = ((result.get("controls") or {}).get(_PAGED) or {}).get("value", {}).get("cookie")
            if not cookie:
                return found

    def _collect(self, found: Found) -> None:
        for entry in self._ldap.response or ():
            if entry["type"] == "searchResEntry":
                values = {name.casefold(): tuple(values) for name, values in entry["raw_attributes"].items()}
                found.entries.append(Entry(entry["dn"], values))
            elif entry["type"] == "searchResRef":
                found.elsewhere += [str(place) for place in entry["uri"]]

    def _secure(self) -> None:
        if self._settings.tls is DirectoryTls.STARTTLS:
            with self._speaking():
                self._ldap.extended(_START_TLS)
            if self._ldap.result["result"] != SUCCESS:
                raise WireError(
                    Status.UNREACHABLE,
                    f"{self.place.name} does not start TLS on port {self.place.port}: it has no certificate, perhaps",
                )
        if self._settings.tls is not DirectoryTls.NONE:
            stream = secured(self._line.stream, self.place.name, self._settings, self._deadline)
            self._line = Line(stream, self._deadline)
            self._take(self._line)

    def _take(self, line: Line) -> None:
        # ldap3 would connect by itself; then neither its waiting nor the size of answers would be bounded, and a
        # certificate would be good when it bears the name of the tunnel instead of the declared one.
        self._ldap.socket = line
        self._ldap.closed = False
        self._ldap.listening = True
        self._ldap.strategy._outstanding = {}

    @contextlib.contextmanager
    def _speaking(self) -> Iterator[None]:
        """One question and its answer; what goes wrong in between ends the conversation."""
        if self._dead is not None:
            raise self._dead
        self._line.expect(self._deadline.within(SEARCH_SECONDS))
        try:
            yield
        except LDAPInvalidFilterError:
            raise WireError(Status.FAILED, "the filter of the query is none") from None
        except Exception as error:
            # ldap3 raises whatever its decoder stumbles over, and errors of its own for those of the socket.
            self._dead = self._broken(error)
            raise self._dead from error

    def _broken(self, error: Exception) -> WireError:
        name = self.place.name
        match self._line.error:
            case TimeoutError():
                return WireError(Status.TIMED_OUT, f"{name} did not answer in time")
            case OSError() as cause:
                words = cause.strerror or str(cause) or type(cause).__name__
                return WireError(Status.UNREACHABLE, f"the connection to {name} broke: {words}")
        if type(error).__name__ in ("LDAPSessionTerminatedByServerError", "LDAPSocketOpenError"):
            return WireError(Status.UNREACHABLE, f"{name} ended the conversation")
        reason = f"{name} answered with what is no LDAP, or not understood ({type(error).__name__})"
        return WireError(Status.FAILED, reason)
