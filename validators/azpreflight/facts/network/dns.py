"""The source `dns`: names asked of chosen servers directly, from the operator's machine.

A fact is one row for each server and name, whatever became of the question: `server`, `name` and `type` as asked;
`rcode` in words, None without an answer; `error`, None with one; `authoritative`; `transport`, the one that the row
speaks of; `truncated`, whether an answer over UDP was cut, so that TCP had to follow; `aliases`, the names to which the
asked one leads one after the other (CNAME); `answers`, the data of the records of the wanted type, sorted, at the end
of any chain of aliases; for SRV records `targets`, the hosts that they lead to. Rows are the same from run to run as
long as the servers are: no port, time or identifier enters them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import dns.exception
import dns.flags
import dns.message
import dns.rcode

from azpreflight.facts.collection import Collection, Keep
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.network.asking import ReachedAt, ask_once, observed
from azpreflight.facts.network.dns_wire import address_of, ask, request_of
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.query import DnsQuery, FromFact, Query, SiteRead
from azpreflight.facts.row_errors import PORT_CLOSED, TIMEOUT
from azpreflight.model import Value
from azpreflight.site.model import Site
from azpreflight.site.references import resolve, values_of

SOURCE = "dns"
ANSWERS_KEPT = 200
ALIASES_KEPT = 20
TARGETS_KEPT = 16
"""A large domain has hundreds of controllers; a sample of them is asked for."""


@dataclass(frozen=True)
class Question:
    """One name asked of one server over one transport; see `DnsQuery`."""

    server: str
    name: str
    type: str
    transport: Literal["udp", "tcp"] = "udp"

    def __str__(self) -> str:
        return f"{self.server}: {self.name} {self.type}{' over TCP' if self.transport == 'tcp' else ''}"


def questions_of(read: DnsQuery, site: Site, observations: Mapping[str, Observation] | None = None) -> list[Question]:
    """What a query asks, every server in turn; empty when servers or names are not declared, or not known.

    Args:
        read: the query.
        site: the declaration.
        observations: of the facts that names come from; None before anything was asked, when these stand as words in
            angle brackets.
    """
    names = [name for given in read.names for name in _names(given, site, observations)]
    servers = dict.fromkeys(resolve(read.servers, site))
    distinct = dict.fromkeys(name.rstrip(".") for name in names)
    return [Question(server, name, read.type, read.transport) for name in distinct for server in servers]


def _names(given: str | FromFact, site: Site, observations: Mapping[str, Observation] | None) -> Iterable[str]:
    if isinstance(given, str):
        return values_of([given], site)
    if observations is None:
        return (f"<{given.property} of {given.fact}>",)
    observation = observations.get(given.fact)
    rows = observation.value if observation is not None and observation.status is Status.OBSERVED else []
    values = [row[given.property] for row in rows]
    return (name for value in values for name in (value if isinstance(value, list) else [value]))


@dataclass(frozen=True)
class DnsSource:
    """Asks DNS servers.

    Attributes:
        reached_at: host and port where a declared server is asked.
    """

    reached_at: ReachedAt
    name = SOURCE
    reads: tuple[type[SiteRead], ...] = (DnsQuery,)

    def collect_site(self, collection: Collection, deadline: Deadline, keep: Keep) -> None:
        """Keep one observation for each DNS query. Each question is asked once, whatever queries share it.

        A server that was not given its time because the deadline passed has not failed to answer: its row says so, and
        a fact of which no row says more is not observed.
        """
        rows: dict[Question, dict[str, Value]] = {}
        observations: dict[str, Observation] = {}
        for queries in _rounds(collection.of_kinds(self.reads)):
            wanted = {
                name: questions_of(query.read, collection.site, observations)
                for name, query in queries.items()
                if isinstance(query.read, DnsQuery)
            }
            rows |= self._rows({question for found in wanted.values() for question in found} - rows.keys(), deadline)
            for name, questions in wanted.items():
                observations[name] = observed(name, [rows[question] for question in questions], collection.site, SOURCE)
                keep(observations[name])

    def _rows(self, wanted: Iterable[Question], deadline: Deadline) -> dict[Question, dict[str, Value]]:
        # Servers alternate, so that a silent one does not occupy every worker.
        questions = sorted(wanted, key=lambda asked: (asked.name, asked.type, asked.transport, asked.server))
        rows = ask_once(questions, lambda question: self.ask(question, deadline))
        # Systems send only so many "port unreachable" a second: the questions that got none tell no other story.
        closed = {(row["server"], row["transport"]) for row in rows.values() if row["error"] == PORT_CLOSED}
        return {
            question: {**row, "error": PORT_CLOSED}
            if row["error"] == TIMEOUT and (row["server"], row["transport"]) in closed
            else row
            for question, row in rows.items()
        }

    def ask(self, question: Question, deadline: Deadline) -> dict[str, Value]:
        """The row of one question. It says so where the server was not given its time."""
        row: dict[str, Value] = {
            "server": question.server,
            "name": question.name,
            "type": question.type,
            "rcode": None,
            "error": None,
            "authoritative": False,
            "transport": question.transport,
            "truncated": False,
            "aliases": [],
            "answers": [],
            **({"targets": []} if question.type == "SRV" else {}),
        }
        try:
            request = request_of(question.name, question.type)
        except dns.exception.DNSException as error:
            return {**row, "error": f"the name is no DNS name: {error}"[:200]}
        try:
            address = address_of(question.server, self.reached_at(question.server, 53))
        except ValueError as error:
            return {**row, "error": str(error)}
        reply = ask(request, address, question.transport, deadline)
        row |= {"transport": reply.transport, "truncated": reply.transport != question.transport}
        if reply.message is None:
            return {**row, "error": reply.error}
        aliases, answers = _answers(reply.message)
        return {
            **row,
            "rcode": dns.rcode.to_text(reply.message.rcode()),
            "authoritative": bool(reply.message.flags & dns.flags.AA),
            "aliases": aliases,
            "answers": answers,
            **({"targets": _targets(answers)} if question.type == "SRV" else {}),
        }


def _rounds(queries: Mapping[str, Query]) -> Iterable[dict[str, Query]]:
    """Queries in rounds, each of which rests on earlier ones alone."""
    rounds: dict[str, int] = {}
    for name, query in queries.items():
        rounds[name] = max((rounds[needed] + 1 for needed in query.depends_on if needed in rounds), default=0)
    for number in sorted(set(rounds.values())):
        yield {name: query for name, query in queries.items() if rounds[name] == number}


def _targets(answers: Iterable[str]) -> list[str]:
    """The hosts that SRV records lead to. A dot stands for none."""
    hosts = (answer.rpartition(" ")[2].rstrip(".") for answer in answers)
    return sorted({host for host in hosts if host})[:TARGETS_KEPT]


def _answers(message: dns.message.Message) -> tuple[list[str], list[str]]:
    """The aliases in order, and the data of the records that answer the question, sorted: servers rotate them."""
    if not (isinstance(message, dns.message.QueryMessage) and message.question):
        return [], []
    try:
        chain = message.resolve_chaining()
    except dns.exception.DNSException:
        return [], []
    aliases = [str(rrset[0].target).rstrip(".") for rrset in chain.cnames]
    return aliases[:ALIASES_KEPT], sorted(str(record) for record in chain.answer or ())[:ANSWERS_KEPT]
