"""What a server was asked: the records that tests assert on."""

import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class Record:
    """One HTTP request and its answer."""

    number: int
    """Counts from 1 over all requests of the server."""
    connection: int
    operation: str
    """WS-Man operation, `Invoke`, or `Anonymous`, `Negotiate`, `Setup`, `Rejected`, `Idle`, `Undecryptable`."""
    resource: str
    wql: str
    command: str
    """Command line of Command, and of Receive, Send and Signal on it."""
    method: str
    """Method name of an Invoke."""
    user: str
    status: int
    """HTTP status; 0 when the request got no complete answer."""
    fault: int | None
    encrypted: bool
    https: bool
    request_size: int
    response_size: int


@dataclass(frozen=True)
class ShellRecord:
    """A shell that was created."""

    shell_id: str
    user: str
    options: dict[str, str]


class RequestLog:
    """Thread-safe log of one server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: list[Record] = []
        self._authentications: list[tuple[str, bool]] = []
        self._forbidden: list[str] = []
        self._shells: list[ShellRecord] = []
        self._command_options: list[dict[str, str]] = []
        self._open_shells: set[str] = set()
        self._open_contexts: set[str] = set()
        self._connections = 0

    @property
    def records(self) -> list[Record]:
        """All requests in the order of their answers."""
        with self._lock:
            return list(self._records)

    @property
    def requests(self) -> int:
        """Number of HTTP requests, unauthenticated ones included."""
        with self._lock:
            return len(self._records)

    @property
    def connections(self) -> int:
        """Number of TCP connections that were accepted."""
        with self._lock:
            return self._connections

    @property
    def authentications(self) -> list[tuple[str, bool]]:
        """(user, accepted) for every completed NTLM exchange and every Basic header."""
        with self._lock:
            return list(self._authentications)

    @property
    def forbidden(self) -> list[str]:
        """Everything that was no reading operation, in words."""
        with self._lock:
            return list(self._forbidden)

    @property
    def shells(self) -> list[ShellRecord]:
        """All shells ever created, with their options."""
        with self._lock:
            return list(self._shells)

    @property
    def command_options(self) -> list[dict[str, str]]:
        """The options of every Command, in order."""
        with self._lock:
            return [dict(options) for options in self._command_options]

    @property
    def open_shells(self) -> list[str]:
        """Shells that nobody has deleted."""
        with self._lock:
            return sorted(self._open_shells)

    @property
    def open_contexts(self) -> list[str]:
        """Enumerations neither exhausted nor released."""
        with self._lock:
            return sorted(self._open_contexts)

    def operations(self, name: str | None = None) -> list[Record]:
        """WS-Man operations only, all or those of one name."""
        preliminary = {"Anonymous", "Negotiate", "Setup", "Rejected", "Idle", "Undecryptable"}
        return [r for r in self.records if r.operation not in preliminary and (name is None or r.operation == name)]

    @property
    def queries(self) -> list[str]:
        """WQL texts in order."""
        return [r.wql for r in self.operations("Enumerate") if r.wql]

    @property
    def commands(self) -> list[str]:
        """Command lines in order."""
        return [r.command for r in self.operations("Command")]

    # What follows is for the server's own parts.

    def request(self, **fields: object) -> None:
        """Record one request and its answer: the fields of a Record but for the number."""
        with self._lock:
            self._records.append(Record(number=len(self._records) + 1, **fields))  # type: ignore[arg-type]

    def connection(self) -> int:
        """Record a connection and give its number."""
        with self._lock:
            self._connections += 1
            return self._connections

    def authentication(self, user: str, accepted: bool) -> None:
        """Record the outcome of an authentication."""
        with self._lock:
            self._authentications.append((user, accepted))

    def forbid(self, what: str) -> None:
        """Record something that only reads would not have sent."""
        with self._lock:
            self._forbidden.append(what)

    def shell_opened(self, shell_id: str, user: str, options: dict[str, str]) -> None:
        """Record a new shell."""
        with self._lock:
            self._shells.append(ShellRecord(shell_id, user, dict(options)))
            self._open_shells.add(shell_id)

    def shell_closed(self, shell_id: str) -> None:
        """Record the end of a shell."""
        with self._lock:
            self._open_shells.discard(shell_id)

    def command_started(self, options: dict[str, str]) -> None:
        """Record the options of a Command."""
        with self._lock:
            self._command_options.append(dict(options))

    def context_opened(self, context: str) -> None:
        """Record a new enumeration context."""
        with self._lock:
            self._open_contexts.add(context)

    def context_closed(self, context: str) -> None:
        """Record that a context was used up or released."""
        with self._lock:
            self._open_contexts.discard(context)
