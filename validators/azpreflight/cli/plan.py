"""`plan` in words: what would be judged, and what would touch each server."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import click
import msgspec

from azpreflight.cli.output import STDOUT, write_whole
from azpreflight.engine.plan import Plan
from azpreflight.facts.collection import Collection
from azpreflight.facts.ldap.searches import in_words
from azpreflight.facts.network.dns import questions_of
from azpreflight.facts.network.http import routes_of
from azpreflight.facts.network.tcp import doors_of
from azpreflight.facts.network.tls import handshakes_of
from azpreflight.facts.query import DnsQuery, HttpQuery, TcpQuery, TlsQuery
from azpreflight.facts.winrm.requests import Request, requests_of
from azpreflight.model import Frozen, Severity, TableInfo, Target
from azpreflight.redact import plain

NAMES_SHOWN = 8


class PlannedRule(Frozen):
    """A rule on a target, as the plan has it."""

    rule: str
    title: str
    severity: Severity
    target: Target
    not_applicable: str | None
    facts: tuple[str, ...]


class PlanDocument(Frozen):
    """The plan as JSON.

    requests: of each node, by name. questions: of this machine, by what is asked. tables: what is asked rests on.
    """

    schema: str
    rules: tuple[PlannedRule, ...]
    requests: dict[str, tuple[Request, ...]]
    questions: dict[str, tuple[str, ...]]
    tables: tuple[TableInfo, ...]


def print_plan(plan: Plan, json_file: str | None) -> None:
    """Write a plan to the terminal, or as JSON to a file or standard output."""
    document = _document(plan)
    if json_file is not None:
        content = msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
        if json_file == STDOUT:
            sys.stdout.buffer.write(content)
        else:
            write_whole(Path(json_file), content)
        return
    click.echo(f"Rules of phase {plan.selection.phase}, {len(document.rules)} on their targets:")
    for rule in document.rules:
        reason = f"  (not applicable: {rule.not_applicable})" if rule.not_applicable else ""
        click.echo(plain(f"  {rule.severity.value:<8} {rule.rule}  {rule.target}  {rule.title}{reason}"))
    # Nodes that get the same requests are shown once: a large site has thousands of them.
    alike: dict[tuple[Request, ...], list[str]] = {}
    for node, requests in document.requests.items():
        alike.setdefault(requests, []).append(node)
    for requests, nodes in alike.items():
        names = ", ".join(nodes[:NAMES_SHOWN]) + (
            f" and {len(nodes) - NAMES_SHOWN} more" if nodes[NAMES_SHOWN:] else ""
        )
        click.echo(plain(f"\n{names}: {len(requests)} questions each, all reading"))
        for request in requests:
            condition = f"  [{request.condition}]" if request.condition else ""
            click.echo(plain(f"  {request.fact}: {request.operation}{condition}"))
            click.echo(plain(f"      {request.text}"))
            for item in request.items:
                click.echo(plain(f"        {item}"))
    for what, questions in document.questions.items():
        click.echo(f"\n{what}: {len(questions)} questions from this machine, all reading")
        for question in questions:
            click.echo(plain(f"  {question}"))
    for table in document.tables:
        click.echo(plain(f"\nTable of {table.name} of {table.date}, {'supplied' if table.supplied else 'of the pack'}"))


def _document(plan: Plan) -> PlanDocument:
    collection = plan.collection
    return PlanDocument(
        schema="azpreflight/plan/1",
        rules=tuple(
            PlannedRule(
                rule=pair.rule.id,
                title=pair.rule.title,
                severity=pair.severity,
                target=pair.target,
                not_applicable=pair.not_applicable,
                facts=pair.facts,
            )
            for pair in plan.pairs
        ),
        requests={node.name: tuple(requests_of(collection, node)) for node in collection.site.nodes},
        questions={
            what: tuple(found) for what, lines in _QUESTIONS.items() if (found := dict.fromkeys(lines(collection)))
        },
        tables=plan.tables,
    )


def _dns(collection: Collection) -> Iterator[str]:
    for read in collection.reads_of(DnsQuery).values():
        for question in questions_of(read, collection.site):
            yield str(question)


def _ports(collection: Collection) -> Iterator[str]:
    for read in collection.reads_of(TcpQuery).values():
        for door in doors_of(read, collection.site):
            yield f"{door.host}: TCP {door.port}"


def _handshakes(collection: Collection) -> Iterator[str]:
    for read in collection.reads_of(TlsQuery).values():
        for handshake in handshakes_of(read, collection.site):
            listener = handshake.listener
            before = " after the negotiation of Remote Desktop" if listener.starts == "rdp" else ""
            yield f"{listener.host}: TLS {handshake.version} on {listener.port}{before}"


def _urls(collection: Collection) -> Iterator[str]:
    for name, read in collection.reads_of(HttpQuery).items():
        for route in routes_of(read, name, collection):
            yield f"GET {route.probe.url}" + (f" through {route.proxy}" if route.proxy else "")


_QUESTIONS: Mapping[str, Callable[[Collection], Iterable[str]]] = {
    "DNS servers": _dns,
    "Ports": _ports,
    "TLS handshakes": _handshakes,
    "URLs": _urls,
    "Directory": in_words,
}
"""What this machine asks by itself: one function for each kind of query that a site has."""
