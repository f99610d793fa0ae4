"""The source `winrm`: all facts of one node over one session. Whatever the node does, every query gets its answer."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from azpreflight.credentials import Credential
from azpreflight.facts.collection import Collection, Keep, unobserved, utc_now
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.endpoints import needed, probe_of
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.query import CimQuery, CurlQuery, DnsQuery, ProgramQuery, Query, RegistryQuery, WinrmQuery
from azpreflight.facts.winrm import cim, curl, programs, registry
from azpreflight.facts.winrm.conditions import conditions
from azpreflight.facts.winrm.errors import Rejected, WireError
from azpreflight.facts.winrm.channel import Endpoint
from azpreflight.facts.winrm.session import Session
from azpreflight.facts.winrm.shell import Shell, open_shell
from azpreflight.model import Value
from azpreflight.site.model import Node
from azpreflight.site.references import REFERENCES, resolve

SOURCE = "winrm"
AUTHENTICATION = "winrm.authentication"
QUERY_SECONDS = 60.0
"""How long one request may take on the node: Windows' own default limit (MaxTimeoutms)."""
PROGRAM_SECONDS = 60.0

R = TypeVar("R", bound=CimQuery | CurlQuery | DnsQuery | ProgramQuery | RegistryQuery | WinrmQuery)


def probes_of(read: CurlQuery, fact: str, node: Node, collection: Collection) -> list[curl.Probe]:
    """What a query lets `curl.exe` reach, in a stable order, each once."""
    site = collection.site
    found: list[curl.Probe] = []
    if read.table is not None:
        urls = [probe_of(endpoint, site) for endpoint in needed(collection.tables[fact], site, collection.phase)]
        found += [curl.Probe.of_url(url) for url in urls if url is not None]
    found += [curl.Probe.of_url(url, tls) for url in read.urls for tls in read.tls or (None,)]
    hosts = [host for name in read.tcp for host in (resolve(name, site, node) if name in REFERENCES else (name,))]
    found += [curl.Probe(scheme="tcp", host=host, port=port) for host in hosts for port in read.ports]
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class WinrmSource:
    """Reads nodes over WinRM.

    Attributes:
        credential: tried once per node.
        endpoint_of: where and how each node is reached.
        query_seconds: how long one request may take.
    """

    credential: Credential
    endpoint_of: Callable[[Node], Endpoint]
    query_seconds: float = QUERY_SECONDS

    def collect_node(self, node: Node, collection: Collection, deadline: Deadline, keep: Keep) -> None:
        """Keep one observation for each query that concerns the node. Never raises for what a node does."""
        with Session(self.endpoint_of(node), self.credential, self.query_seconds) as session:
            _Conversation(node, collection, deadline, session, keep).run()


class _Conversation:
    """All questions to one node, in order; what was answered is kept whatever comes after."""

    def __init__(
        self, node: Node, collection: Collection, deadline: Deadline, session: Session, keep: Keep
    ) -> None:
        self._keep_it = keep
        self._node = node
        self._collection = collection
        self._deadline = deadline
        self._session = session
        self._queries = collection.of_node(node)
        self._found: dict[str, Observation] = {}
        self._rejected: str | None = None

    def run(self) -> None:
        for name, query in self._queries.items():
            match query.read:
                case CimQuery() as read:
                    self._keep(name, partial(self._cim, query, read))
                case WinrmQuery(resource="config"):
                    self._keep(name, partial(cim.config, self._session, self._deadline))
                case WinrmQuery(resource="listeners"):
                    self._keep(name, partial(cim.listeners, self._session, self._deadline))
        if self._left():
            self._ask_in_shell()
        if AUTHENTICATION in self._queries:
            self._authentication()

    def _open_reads(self, kind: type[R]) -> dict[str, R]:
        """What is still to be read in one way, by fact."""
        return {
            name: query.read
            for name, query in self._queries.items()
            if isinstance(query.read, kind) and name not in self._found
        }

    def _left(self) -> list[str]:
        """The facts that need a shell and are not there yet."""
        return [*self._open_reads(RegistryQuery), *self._open_reads(ProgramQuery), *self._open_reads(CurlQuery)]

    def _keep(self, name: str, ask: Callable[[], Value]) -> None:
        """Ask, and keep the answer or the reason why there is none."""
        query = self._queries[name]
        try:
            if query.asked_when is not None:
                self._condition(query.asked_when)
            value = ask()
        except WireError as error:
            if isinstance(error, Rejected) and self._rejected is None:
                self._rejected = error.reason
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
                value=value,
            )
        )

    def _missing(self, names: Iterable[str], error: WireError) -> None:
        open_names = [name for name in names if name not in self._found]
        for observation in unobserved(open_names, self._node.name, SOURCE, error.status, error.reason):
            self._record(observation)

    def _record(self, observation: Observation) -> None:
        self._found[observation.fact] = observation
        self._keep_it(observation)

    def _condition(self, fact: str) -> None:
        observation = self._found[fact]
        if observation.status is not Status.OBSERVED:
            raise WireError(observation.status, f"not asked, since {fact} was not observed: {observation.reason}")
        if not observation.value:
            raise WireError(Status.NOT_ASKED, f"not asked, since {fact} has no row")

    def _cim(self, query: Query, read: CimQuery) -> Value:
        rows: list[Value] = []
        for where in conditions(query, read, self._collection.site, self._node, self._found):
            rows += cim.rows(self._session, self._collection.classes, read, where, self._deadline)
        return rows

    def _ask_in_shell(self) -> None:
        """Registry, programs and curl in one shell; where there is none, the registry through StdRegProv."""
        try:
            with open_shell(self._session, self._deadline) as shell:
                self._run_lines(shell)
                self._run_curl(shell)
        except WireError as error:
            if error.status is Status.REFUSED and not error.fatal:
                provider = registry.StdRegProv(self._session)
                for name, read in self._open_reads(RegistryQuery).items():
                    self._keep(name, partial(provider.read, read, self._deadline))
            self._missing(self._left(), error)

    def _run_lines(self, shell: Shell) -> None:
        wanted: dict[str, RegistryQuery | ProgramQuery] = {
            **self._open_reads(RegistryQuery),
            **self._open_reads(ProgramQuery),
        }
        lines = [programs.line_of(read) for read in wanted.values()]
        token = secrets.token_hex(4)
        outputs: dict[int, tuple[str, int]] = {}
        for command in programs.chains(lines, token):
            output = shell.run(command, self._deadline.within(PROGRAM_SECONDS))
            outputs |= programs.unchain(output.stdout, token)
        for number, (name, read) in enumerate(wanted.items()):
            if number in outputs:
                text, code = outputs[number]
                self._keep(name, partial(self._result, read, text, code))
            else:
                reason = f"{lines[number]} came to no end"
                self._missing([name], WireError(Status.FAILED, reason))

    def _result(self, read: RegistryQuery | ProgramQuery, text: str, code: int) -> Value:
        if isinstance(read, RegistryQuery):
            if code == 0:
                return registry.parse(read, text)
            # reg.exe says "failed" for a missing key and for a denied one, in the node's language.
            if registry.StdRegProv(self._session).exists(read.key, self._deadline):
                raise WireError(Status.FAILED, f"reg.exe query {read.key} failed with exit code {code}")
            return registry.ABSENT
        if code != 0:
            status = Status.NOT_PRESENT if code == 9009 else Status.FAILED
            raise WireError(status, f"{read.program} {read.arguments} failed with exit code {code}")
        return programs.parse(read, text)

    def _run_curl(self, shell: Shell) -> None:
        """One run of curl for all queries; what several want to reach is tried once."""
        wanted = {
            name: probes_of(read, name, self._node, self._collection)
            for name, read in self._open_reads(CurlQuery).items()
        }
        probes = list(dict.fromkeys(probe for found in wanted.values() for probe in found))
        rows: dict[curl.Probe, Value] = {}
        if probes:
            site = self._collection.site
            command = programs.program("curl.exe").line(curl.ARGUMENTS)
            deadline = self._deadline.within(curl.seconds_needed(probes))
            try:
                work_list = curl.work_list(probes, site.proxy.https, site.proxy.bypass or ())
                output = shell.run(command, deadline, work_list.encode())
                rows = curl.rows(probes, output)
            except WireError as error:
                self._missing(wanted, error)
                return
        for name, found in wanted.items():
            if found:
                self._observed(name, [rows[probe] for probe in found if probe in rows])
            else:
                reason = "the site declares nothing to reach"
                self._missing([name], WireError(Status.NOT_ASKED, reason))

    def _authentication(self) -> None:
        if not self._session.accepted and self._rejected is None and len(self._queries) == 1:
            # Nothing else is wanted of this node: one harmless request proves the credential.
            try:
                cim.config(self._session, self._deadline)
            except Rejected as error:
                self._rejected = error.reason
            except WireError as error:
                self._missing([AUTHENTICATION], error)
        if self._rejected is not None or self._session.accepted:
            endpoint = self._session.endpoint
            outcome = "rejected" if self._rejected is not None else "accepted"
            self._observed(
                AUTHENTICATION,
                {
                    "outcome": outcome,
                    "user": self._session.username,
                    "transport": endpoint.transport,
                    "encrypted": endpoint.encrypted,
                },
            )
        elif AUTHENTICATION not in self._found:
            nothing = WireError(Status.NOT_ASKED, "no request was sent to this node")
            self._missing([AUTHENTICATION], self._session.broken or nothing)
