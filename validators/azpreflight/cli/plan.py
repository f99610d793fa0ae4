"""`plan` in words: what would be judged, and what would touch each server."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from azpreflight.cli.output import STDOUT, write_whole
from azpreflight.engine.plan import Plan
from azpreflight.facts.dns import questions_of
from azpreflight.facts.query import DnsQuery
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
    """The plan as JSON. requests: of each node, by name. questions: to DNS servers. tables: what is asked rests on."""

    schema: str
    rules: tuple[PlannedRule, ...]
    requests: dict[str, tuple[Request, ...]]
    questions: tuple[str, ...]
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
    if document.questions:
        click.echo(f"\nDNS servers: {len(document.questions)} questions from this machine")
        for question in document.questions:
            click.echo(plain(f"  {question}"))
    for table in document.tables:
        click.echo(plain(f"\nTable of {table.name} of {table.date}, {'supplied' if table.supplied else 'of the pack'}"))


def _document(plan: Plan) -> PlanDocument:
    collection = plan.collection
    questions = [
        str(question)
        for query in collection.of_site.values()
        if isinstance(query.read, DnsQuery)
        for question in questions_of(query.read, collection.site)
    ]
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
        questions=tuple(dict.fromkeys(questions)),
        tables=plan.tables,
    )
