"""The source `tcp`: ports connected to from the operator's machine, and closed again at once.

A fact is one row for each host and port: `host` and `port` as asked; `connected`, None where nobody knows; `error`,
None when connected. A port that is refused and one that is silent are two things: the first has somebody behind it who
answers that nothing listens, the second may have a firewall in front of it.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from itertools import chain

from azpreflight.facts.collection import Collection, Keep
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.network.asking import TriedAt, ask_once, observed
from azpreflight.facts.network.stream import LookupFailedError, NoSuchNameError, Stream, connect
from azpreflight.facts.query import SiteRead, TcpQuery
from azpreflight.facts.row_errors import (
    LOOKUP_FAILED,
    NO_SUCH_NAME,
    NOT_TRIED,
    REDIRECTED,
    REFUSED,
    TIMEOUT,
    UNREACHABLE,
)
from azpreflight.model import Value
from azpreflight.site.model import Site
from azpreflight.site.references import values_of

SOURCE = "tcp"
CONNECT_SECONDS = 5.0

_NO_WAY = frozenset(
    getattr(errno, name)
    for name in ("ENETUNREACH", "EHOSTUNREACH", "ENETDOWN", "EHOSTDOWN", "EACCES", "EPERM", "EADDRNOTAVAIL")
    if hasattr(errno, name)
)


class NotConnected(Exception):
    """No connection came about.

    Attributes:
        word: why, as rows have it.
        known: whether the other side is known not to take one, as opposed to a try that could not be made.
    """

    def __init__(self, word: str, *, known: bool) -> None:
        self.word, self.known = word, known
        super().__init__(word)


def open_stream(host: str, port: int, tried_at: TriedAt, deadline: Deadline) -> Stream:
    """A connection to a declared host, given its own time.

    Raises:
        NotConnected: there is none.
    """
    where = tried_at(host, port)
    if where is None:
        raise NotConnected(REDIRECTED, known=False)
    if deadline.over:
        raise NotConnected(NOT_TRIED, known=False)
    try:
        return connect(*where, deadline.within(CONNECT_SECONDS))
    except NoSuchNameError:
        raise NotConnected(NO_SUCH_NAME, known=True) from None
    except (LookupFailedError, OSError) as error:
        if deadline.over:
            raise NotConnected(NOT_TRIED, known=False) from error
        raise _not_connected(error) from error


def _not_connected(error: Exception) -> NotConnected:
    """In words that are the same on every system and in every language."""
    match error:
        case TimeoutError():
            return NotConnected(TIMEOUT, known=True)
        case ConnectionError():
            return NotConnected(REFUSED, known=True)
        case OSError() if error.errno in _NO_WAY:
            return NotConnected(UNREACHABLE, known=True)
        case OSError():
            name = errno.errorcode.get(error.errno or 0, "unknown error")
            return NotConnected(f"could not be tried ({name})", known=False)
        case _:
            return NotConnected(LOOKUP_FAILED, known=False)


@dataclass(frozen=True)
class Door:
    """A port of a host."""

    host: str
    port: int


def doors_of(read: TcpQuery, site: Site) -> list[Door]:
    """What a query connects to; empty when its hosts are not declared."""
    return [Door(host, port) for host in values_of(read.hosts, site) for port in read.ports]


@dataclass(frozen=True)
class TcpSource:
    """Connects to ports.

    Attributes:
        tried_at: where a port of a declared host is tried.
    """

    tried_at: TriedAt
    name = SOURCE
    reads: tuple[type[SiteRead], ...] = (TcpQuery,)

    def collect_site(self, collection: Collection, deadline: Deadline, keep: Keep) -> None:
        """Keep one observation for each TCP query. Each host and port is tried once, whatever queries share it."""
        site = collection.site
        wanted = {name: doors_of(read, site) for name, read in collection.reads_of(TcpQuery).items()}
        rows = ask_once(chain.from_iterable(wanted.values()), lambda door: self._row(door, deadline))
        for name, doors in wanted.items():
            keep(observed(name, [rows[door] for door in doors], site, SOURCE))

    def _row(self, door: Door, deadline: Deadline) -> Value:
        row: dict[str, Value] = {"host": door.host, "port": door.port, "connected": True, "error": None}
        try:
            open_stream(door.host, door.port, self.tried_at, deadline).close()
        except NotConnected as failure:
            return {**row, "connected": False if failure.known else None, "error": failure.word}
        return row
