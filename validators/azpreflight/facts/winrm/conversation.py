"""All questions to one node. The first connection authenticates alone; then a few more ask side by side.

Whatever the node does, every question gets its answer or the reason why it has none, and what was answered is kept.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from azpreflight.facts.collection import Collection, Keep, unobserved, utc_now
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.errors import Rejected, WireError
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.probes import probes_of
from azpreflight.facts.proxies import UnknownProxyError, proxies_of
from azpreflight.facts.query import (
    CimQuery,
    CurlQuery,
    MethodQuery,
    ProgramQuery,
    Query,
    RegistryQuery,
    WinrmQuery,
)
from azpreflight.facts.winrm import cim, methods, programs, registry
from azpreflight.facts.winrm.conditions import conditions
from azpreflight.facts.winrm.curl import Transfer
from azpreflight.facts.winrm.faults import CONTEXT_EXPIRED, HOST_RESTARTING, PROVIDER_NOT_LOADED, QUOTAS, Fault
from azpreflight.facts.winrm.lines import Line, lines_of
from azpreflight.facts.winrm.logins import without_logins
from azpreflight.facts.winrm.outbound import reach
from azpreflight.facts.winrm.session import Session
from azpreflight.facts.winrm.shell import Shell, open_shell
from azpreflight.model import Value
from azpreflight.site.model import Node

SOURCE = "winrm"
AUTHENTICATION = "winrm.authentication"
CONNECTIONS = 5
"""At most, to one node: each further one costs three requests and 3.5 ms of CPU to authenticate."""
CONNECTIONS_IN_ALL = 16
"""About as many are worth having at a time: one node is waited for, many keep the client busy anyway."""
QUESTIONS_PER_CONNECTION = 5
PROGRAM_SECONDS = 60.0
BACK_OFF_SECONDS = 1.0

_AGAIN = frozenset({CONTEXT_EXPIRED, HOST_RESTARTING, PROVIDER_NOT_LOADED})
"""Faults after which the same question may succeed; asked once more."""

R = TypeVar("R", CimQuery, CurlQuery, MethodQuery, ProgramQuery, RegistryQuery, WinrmQuery)
_IN_SHELL = (RegistryQuery, ProgramQuery, CurlQuery)


class Conversation:
    """All questions to one node, and what came of them.

    Args:
        node: who is asked.
        collection: what is wanted.
        deadline: for everything together.
        new_session: makes a session; the first is used alone until the credential was accepted.
        keep: takes each observation as soon as it is there.
    """

    def __init__(
        self,
        node: Node,
        collection: Collection,
        deadline: Deadline,
        new_session: Callable[[], Session],
        keep: Keep,
    ) -> None:
        self._node = node
        self._collection = collection
        self._deadline = deadline
        self._new_session = new_session
        self._keep = keep
        self._queries = collection.of_node(node)
        self._found: dict[str, Observation] = {}
        self._changed = threading.Condition()
        self._waiting = [
            name
            for name, query in self._queries.items()
            if not isinstance(query.read, _IN_SHELL) and name != AUTHENTICATION
        ]
        self._shell_waits = any(isinstance(query.read, _IN_SHELL) for query in self._queries.values())
        self._shell_first = False
        self._working = 0
        self._defect: Exception | None = None

    def run(self) -> Rejected | None:
        """Ask everything. Never raises for what the node does.

        Returns:
            How the node rejected the credential; None when it did not.
        """
        with self._new_session() as first:
            first.connect(self._deadline)
            self._work(first, until_accepted=True)
            if first.accepted:
                self._side_by_side(first)
            if AUTHENTICATION in self._queries:
                self._authentication(first)
            error = first.broken
        rest = [name for name in self._queries if name not in self._found]
        self._missing(rest, error or WireError(Status.FAILED, "the conversation ended before this was asked"))
        return error if isinstance(error, Rejected) and not first.accepted else None

    def _side_by_side(self, first: Session) -> None:
        """Work off the rest over a few connections; the calling thread has the first of them."""
        questions = len(self._waiting) + 2 * self._shell_waits
        helpers = [
            threading.Thread(target=self._with_own_session, name=f"{self._node.name}-{number}", daemon=True)
            for number in range(min(self._most_connections() - 1, questions // QUESTIONS_PER_CONNECTION))
        ]
        # Programs take longest: with company they begin at once; alone they come last, and delay nobody.
        self._shell_first = bool(helpers)
        for helper in helpers:
            helper.start()
        self._work(first)
        for helper in helpers:
            helper.join()
        if self._defect is not None:
            raise self._defect

    def _most_connections(self) -> int:
        return max(1, min(CONNECTIONS, CONNECTIONS_IN_ALL // len(self._collection.site.nodes)))

    def _with_own_session(self) -> None:
        try:
            with self._new_session() as session:
                self._work(session)
        except Exception as error:  # noqa: BLE001 - raised again by the thread that answers for the node
            self._defect = error

    def _work(self, session: Session, *, until_accepted: bool = False) -> None:
        """Take one question after the other until none is left, or the session is of no more use."""
        while session.broken is None and not (until_accepted and session.accepted):
            task = self._next()
            if task is None:
                return
            try:
                task(session)
            finally:
                with self._changed:
                    self._working -= 1
                    self._changed.notify_all()

    def _next(self) -> Callable[[Session], None] | None:
        """The next question whose dependencies are answered; None when none is left."""
        with self._changed:
            while True:
                ready = next((n for n in self._waiting if self._queries[n].depends_on <= self._found.keys()), None)
                if self._shell_waits and (ready is None or self._shell_first):
                    self._shell_waits = False
                    self._working += 1
                    return self._ask_in_shell
                if ready is not None:
                    self._waiting.remove(ready)
                    self._working += 1
                    return partial(self._ask, ready)
                if not self._waiting or not self._working:
                    return None
                self._changed.wait()

    def _ask(self, name: str, session: Session) -> None:
        query = self._queries[name]
        try:
            if query.asked_when is not None:
                self._condition(query.asked_when)
            value = self._again(session, partial(self._answer, query, session))
        except WireError as error:
            self._missing([name], error)
        else:
            self._observed(name, value)

    def _again(self, session: Session, ask: Callable[[], Value]) -> Value:
        """Ask, and once more where that may help: all questions read, so that asking twice does no harm."""
        try:
            return ask()
        except Fault as fault:
            if fault.code in QUOTAS:
                time.sleep(min(BACK_OFF_SECONDS, self._deadline.remaining))
            elif fault.code not in _AGAIN:
                raise
        except WireError as error:
            # Windows closes a connection that was idle for two minutes.
            if not error.fatal or error.status is Status.TIMED_OUT or not session.replace_once():
                raise
        return ask()

    def _answer(self, query: Query, session: Session) -> Value:
        match query.read:
            case CimQuery() as read:
                rows: list[Value] = []
                for where in conditions(query, read, self._collection.site, self._node, self._found):
                    rows += cim.rows(session, self._collection.classes, read, where, self._deadline)
                return rows
            case MethodQuery() as read:
                return methods.rows(session, self._collection.classes, read, self._found, self._deadline)
            case WinrmQuery(resource="config"):
                return cim.config(session, self._deadline)
            case WinrmQuery(resource="listeners"):
                return cim.listeners(session, self._deadline)
        raise WireError(Status.NOT_ASKED, f"{type(query.read).__name__} is not read over WinRM")

    def _condition(self, fact: str) -> None:
        observation = self._found[fact]
        if observation.status is not Status.OBSERVED:
            raise WireError(observation.status, f"not asked, since {fact} was not observed: {observation.reason}")
        if not observation.value:
            raise WireError(Status.NOT_ASKED, f"not asked, since {fact} has no row")

    def _ask_in_shell(self, session: Session) -> None:
        """Registry, programs and curl in one shell; where there is none, the registry through StdRegProv."""
        try:
            self._again(session, partial(self._use_shell, session))
        except WireError as error:
            if error.status is Status.REFUSED and not error.fatal:
                provider = registry.StdRegProv(session)
                for name, read in self._open(RegistryQuery).items():
                    self._take(name, partial(provider.read, read, self._deadline))
            self._missing([*self._open(RegistryQuery), *self._open(ProgramQuery), *self._open(CurlQuery)], error)

    def _use_shell(self, session: Session) -> None:
        with open_shell(session, self._deadline) as shell:
            self._run_lines(shell, session)
            self._run_curl(shell)

    def _run_lines(self, shell: Shell, session: Session) -> None:
        """Registry and programs in one command; then, apart, what asks the network for names or the time.

        A server that does not answer so costs nothing else.
        """
        local: dict[str, list[Line]] = {}
        remote: dict[str, list[Line]] = {}
        wanted: dict[str, RegistryQuery | ProgramQuery] = {**self._open(RegistryQuery), **self._open(ProgramQuery)}
        for name, read in wanted.items():
            query = self._queries[name]
            try:
                found = lines_of(query, read, self._collection.site, self._node)
            except WireError as error:
                self._missing([name], error)
            else:
                (remote if query.bind else local)[name] = found
        for name, outputs in self._outputs(shell, local).items():
            self._take(name, partial(self._result, name, outputs[0], session))
        if remote:
            try:
                outputs_of = self._outputs(shell, remote)
            except WireError as error:
                if error.fatal:
                    raise
                self._missing(remote, error)
                return
            for name, outputs in outputs_of.items():
                self._take(name, partial(self._rows, name, remote[name], outputs))

    def _outputs(self, shell: Shell, wanted: Mapping[str, Sequence[Line]]) -> dict[str, list[tuple[str, int]]]:
        """Output and exit code of each line, by fact; a fact with a line that came to no end is left out and told."""
        lines = [(name, line.text) for name, found in wanted.items() for line in found]
        token = secrets.token_hex(4)
        found: dict[int, tuple[str, int]] = {}
        for command in programs.chains([text for _, text in lines], token):
            output = shell.run(command, self._deadline.within(PROGRAM_SECONDS))
            found |= programs.unchain(output.stdout, token)
        outputs: dict[str, list[tuple[str, int]]] = {name: [] for name in wanted}
        for number, (name, text) in enumerate(lines):
            if number in found:
                outputs[name].append(found[number])
            else:
                self._missing([name], WireError(Status.FAILED, f"{text} came to no end"))
        return {name: answers for name, answers in outputs.items() if name not in self._found}

    def _rows(self, name: str, lines: Sequence[Line], outputs: Sequence[tuple[str, int]]) -> Value:
        """One row for each line: the values in it, exit code and output. A code other than 0 is an answer as well."""
        read = self._queries[name].read
        assert isinstance(read, ProgramQuery)  # noqa: S101 - only programs have placeholders
        return [
            {**line.values, "exit_code": code, "output": programs.parse(read, text) if code == 0 else None}
            for line, (text, code) in zip(lines, outputs, strict=True)
        ]

    def _result(self, name: str, output: tuple[str, int], session: Session) -> Value:
        read, (text, code) = self._queries[name].read, output
        if isinstance(read, RegistryQuery):
            if code == 0:
                return registry.parse(read, text)
            # reg.exe says "failed" for a missing key and for a denied one, in the node's language.
            if registry.StdRegProv(session).exists(read.key, self._deadline):
                raise WireError(Status.FAILED, f"reg.exe query {read.key} failed with exit code {code}")
            return registry.ABSENT
        assert isinstance(read, ProgramQuery)  # noqa: S101 - nothing else is read by a line
        if code != 0:
            status = Status.NOT_PRESENT if code in programs.NOT_THERE else Status.FAILED
            raise WireError(status, f"{read.program} {read.arguments} failed with exit code {code}")
        return programs.parse(read, text)

    def _run_curl(self, shell: Shell) -> None:
        """One work list for all queries; what several want to reach on the same way is tried once."""
        wanted: dict[str, list[Transfer]] = {}
        for name, read in self._open(CurlQuery).items():
            try:
                proxies = proxies_of(read, self._collection.site, self._found)
            except UnknownProxyError as error:
                self._missing([name], WireError(error.status, str(error)))
                continue
            probes = probes_of(read, name, self._node, self._collection)
            wanted[name] = [Transfer(probe=probe, proxy=proxies.of(probe.scheme, probe.host)) for probe in probes]
        transfers = list(dict.fromkeys(transfer for found in wanted.values() for transfer in found))
        rows: dict[Transfer, Value] = {}
        if transfers:
            try:
                rows = reach(shell, transfers, self._deadline)
            except WireError as error:
                self._missing(wanted, error)
                return
        for name, found in wanted.items():
            if found:
                self._observed(name, [rows[transfer] for transfer in found if transfer in rows])
            else:
                self._missing([name], WireError(Status.NOT_ASKED, "the site declares nothing to reach"))

    def _authentication(self, session: Session) -> None:
        if session.broken is None and not session.accepted:
            # Nothing else is wanted of this node: one harmless request proves the credential.
            try:
                cim.config(session, self._deadline)
            except WireError as error:
                if not session.accepted and session.broken is None:
                    self._missing([AUTHENTICATION], error)
        if session.accepted or isinstance(session.broken, Rejected):
            outcome = "accepted" if session.accepted else "rejected"
            endpoint = session.endpoint
            self._observed(
                AUTHENTICATION,
                {
                    "outcome": outcome,
                    "user": session.username,
                    "transport": endpoint.transport,
                    "encrypted": endpoint.encrypted,
                },
            )

    def _open(self, kind: type[R]) -> dict[str, R]:
        """What is still to be read in one way, by fact."""
        return {
            name: query.read
            for name, query in self._queries.items()
            if isinstance(query.read, kind) and name not in self._found
        }

    def _take(self, name: str, ask: Callable[[], Value]) -> None:
        try:
            value = ask()
        except WireError as error:
            self._missing([name], error)
        else:
            self._observed(name, value)

    def _observed(self, name: str, value: Value) -> None:
        self._record(
            Observation(
                fact=name,
                target=self._node.name,
                source=SOURCE,
                status=Status.OBSERVED,
                observed_at=utc_now(),
                value=without_logins(value),
            )
        )

    def _missing(self, names: Iterable[str], error: WireError) -> None:
        for observation in unobserved(names, self._node.name, SOURCE, error.status, error.reason):
            self._record(observation)

    def _record(self, observation: Observation) -> None:
        """Keep the first answer of each fact."""
        with self._changed:
            if observation.fact not in self._found:
                self._found[observation.fact] = observation
                self._keep(observation)
