"""Holding packs to account: every name that a rule or a query uses must exist, before anything is contacted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from azpreflight.checks.check import Check
from azpreflight.documents import Document, Place, faults
from azpreflight.errors import InputError, unknown
from azpreflight.facts.ldap.attributes import SECRETS
from azpreflight.facts.query import (
    CimQuery,
    CurlQuery,
    DnsQuery,
    FromFact,
    HttpQuery,
    LdapQuery,
    MethodQuery,
    ProgramQuery,
    Query,
    RegistryQuery,
    TcpQuery,
    TlsQuery,
)
from azpreflight.facts.winrm.cim import READING_METHODS
from azpreflight.facts.winrm.programs import line_of
from azpreflight.model import Outcome, Problem
from azpreflight.packs.load import PackSet, read_examples
from azpreflight.packs.model import Example, Rule
from azpreflight.registry import Registry
from azpreflight.site.references import REFERENCES, check_path

_WQL_WORDS = frozenset({"and", "or", "not", "like", "is", "null", "true", "false", "isa"})
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_WQL_STRING = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"")


def validate(packs: PackSet, checks: Registry[Check[Any]]) -> list[Problem]:
    """Every name in rules and queries that does not exist, with the nearest that does. Empty when all is well."""
    problems = [problem for rule in packs.rules.values() for problem in _rule(rule, packs, checks)]
    problems += [problem for name, query in packs.queries.items() for problem in _query(name, query, packs)]
    return problems


def require_valid(packs: PackSet, checks: Registry[Check[Any]]) -> None:
    """Raise `InputError` with everything that `validate` finds."""
    if problems := validate(packs, checks):
        raise InputError(*problems)


def _rule(rule: Rule, packs: PackSet, checks: Registry[Check[Any]]) -> Iterator[Problem]:
    where = packs.origins[rule.id]
    yield from _paths(rule, where)
    if not isinstance(rule.check, str):
        for phase in rule.phases:
            if phase not in rule.check:
                yield Problem(code="no-check", message=f"{rule.id} names no check for phase {phase}", where=where)
    if not isinstance(rule.severity, str):
        for profile in rule.profiles:
            if profile not in rule.severity:
                yield Problem(code="no-severity", message=f"{rule.id} has no severity for {profile}", where=where)
    for name in dict.fromkeys([rule.check] if isinstance(rule.check, str) else rule.check.values()):
        if name not in checks:
            yield unknown("check", name, checks, where=where)
            continue
        check = checks[name]
        wrong = [f.message for f in faults(rule.with_, check.parameters)]
        if wrong:
            for text in wrong:
                yield Problem(code="bad-parameter", message=f"{rule.id}, with: {text}", where=where)
            continue
        for fact in check.facts(_parameters(check, rule)):
            if fact not in packs.queries:
                yield unknown("fact", fact, packs.queries, where=where)


def _parameters(check: Check[Any], rule: Rule) -> Any:
    return msgspec.convert(rule.with_, check.parameters)


def _paths(rule: Rule, where: str) -> Iterator[Problem]:
    for path in rule.requires:
        try:
            check_path(path, where=where)
        except InputError as error:
            yield from error.problems


def _query(name: str, query: Query, packs: PackSet) -> Iterator[Problem]:
    where = packs.origins[name]
    for fact in query.depends_on:
        if fact not in packs.queries:
            yield unknown("fact", fact, packs.queries, where=where)
    for bound in query.bind.values():
        if not isinstance(bound, FromFact) and bound not in REFERENCES:
            yield unknown("reference", bound, REFERENCES, where=where)
    yield from _without_effect(name, query, where)
    match query.read:
        case CimQuery() as read:
            yield from _cim(name, query, read, packs, where)
        case MethodQuery() as read:
            yield from _method(name, read, packs, where)
        case RegistryQuery() | ProgramQuery() as read:
            yield from _line(name, query, read, where)
        case CurlQuery() | HttpQuery() as read:
            if read.table is not None and read.table not in packs.tables_beside(name):
                yield unknown("table", read.table, packs.tables_beside(name), where=where)
            yield from _references(read.tcp if isinstance(read, CurlQuery) else (), where)
        case DnsQuery(names=names, servers=servers):
            yield from _references((*(given for given in names if isinstance(given, str)), servers), where)
            yield from _of_dns(name, names, packs, where)
        case TcpQuery(hosts=hosts) | TlsQuery(hosts=hosts):
            yield from _references(hosts, where)
        case LdapQuery() as read:
            yield from _placeholders(name, query, f"{read.base} {read.filter}", where)
            yield from _attributes(name, read, where)


def _of_dns(name: str, names: Iterable[str | FromFact], packs: PackSet, where: str) -> Iterator[Problem]:
    """Names that come from a fact which another source brings, so that it may not be there in time."""
    for given in names:
        source = packs.queries.get(given.fact) if isinstance(given, FromFact) else None
        if source is not None and not isinstance(source.read, DnsQuery):
            message = f"{name}: names come from the site or from a DNS fact"
            yield Problem(code="no-effect", message=message, where=where)


def _attributes(name: str, read: LdapQuery, where: str) -> Iterator[Problem]:
    """Attributes that are not read, or not that way."""
    for attribute in read.attributes:
        if attribute.casefold() in SECRETS:
            message = f"{name}: {attribute} holds a secret; azpreflight does not read it"
            yield Problem(code="not-allowed", message=message, where=where)
        if attribute.casefold().startswith("tokengroups") and read.scope != "base":
            message = f"{name}: {attribute} is told of a single object alone, in scope base"
            yield Problem(code="no-effect", message=message, where=where)


def _line(name: str, query: Query, read: RegistryQuery | ProgramQuery, where: str) -> Iterator[Problem]:
    """What the fixed list of programs says to a line, with a word for each placeholder."""
    filled = read
    if isinstance(read, ProgramQuery):
        yield from _placeholders(name, query, read.arguments, where)
        if any(isinstance(bound, FromFact) for bound in query.bind.values()):
            message = f"{name}: a program's arguments take values of the site alone"
            yield Problem(code="placeholder", message=message, where=where)
        filled = msgspec.structs.replace(read, arguments=_PLACEHOLDER.sub("word", read.arguments))
    try:
        line_of(filled)
    except ValueError as error:
        yield Problem(code="not-allowed", message=f"{name}: {error}", where=where)


def _placeholders(name: str, query: Query, text: str, where: str) -> Iterator[Problem]:
    """Placeholders that nothing is bound to, and bindings that no placeholder uses."""
    used = set(_PLACEHOLDER.findall(text))
    for placeholder in sorted(used ^ query.bind.keys()):
        what = "is not bound" if placeholder in used else "is bound and not used"
        yield Problem(code="placeholder", message=f"{name}: {{{placeholder}}} {what}", where=where)


def _without_effect(name: str, query: Query, where: str) -> Iterator[Problem]:
    if query.asked_when is not None and not isinstance(query.read, (CimQuery, MethodQuery)):
        message = f"{name}: asked_when has no effect on what is read in a shell or from the site"
        yield Problem(code="no-effect", message=message, where=where)
    if query.bind and not isinstance(query.read, (CimQuery, ProgramQuery, LdapQuery)):
        message = f"{name}: bind has an effect in CIM, program and LDAP queries alone"
        yield Problem(code="no-effect", message=message, where=where)


def _method(name: str, read: MethodQuery, packs: PackSet, where: str) -> Iterator[Problem]:
    if problems := packs.classes.check(read.namespace, read.class_, tuple(read.keys), where=where):
        yield from problems
    elif (read.class_.casefold(), read.method.casefold()) not in READING_METHODS:
        message = f"{name}: {read.class_}.{read.method} is not on the list of reading methods"
        yield Problem(code="not-allowed", message=message, where=where)


def _references(names: Iterable[str], where: str) -> Iterator[Problem]:
    """Names that look like references and are none; others stand for themselves."""
    for name in names:
        if name.startswith(("site.", "node.")) and name not in REFERENCES:
            yield unknown("reference", name, REFERENCES, where=where)


def _cim(name: str, query: Query, read: CimQuery, packs: PackSet, where: str) -> Iterator[Problem]:
    columns = () if read.properties == "all" else read.properties
    conditions = " ".join(text for text in (read.where, read.and_) if text)
    words = re.findall(r"[A-Za-z_][A-Za-z0-9_]*", _WQL_STRING.sub(" ", conditions))
    compared = tuple(dict.fromkeys(word for word in words if word.casefold() not in _WQL_WORDS))
    yield from packs.classes.check(read.namespace, read.class_, (*columns, *compared), where=where)
    yield from _placeholders(name, query, read.where or "", where)
    # A bound value is quoted for use between quotes; anywhere else it would be part of the query.
    outside = "".join(_WQL_STRING.sub("", text) for text in (read.where, read.and_) if text)
    if "{" in outside or "{" in (read.and_ or ""):
        message = f"{name}: a placeholder stands between quotes, and in `where` alone"
        yield Problem(code="placeholder", message=message, where=where)


def lint_examples(folder: Path, packs: PackSet, rule_ids: set[str]) -> list[Problem]:
    """What is wrong with the examples of a pack: rules without a pass or a fail, unknown rules, facts, properties."""
    try:
        files = read_examples(folder)
    except InputError as error:
        return list(error.problems)
    problems: list[Problem] = []
    outcomes: dict[str, set[Outcome]] = {rule_id: set() for rule_id in rule_ids}
    for document, file in files.values():
        for rule_id, examples in file.examples.items():
            where = document.where(("examples", rule_id))
            if rule_id not in rule_ids:
                problems.append(unknown("rule", rule_id, rule_ids, where=where))
                continue
            outcomes[rule_id] |= {example.expect for example in examples}
            for index, example in enumerate(examples):
                problems += _example(example, packs, document, ("examples", rule_id, index))
    for rule_id, seen in sorted(outcomes.items()):
        for outcome in (Outcome.PASS, Outcome.FAIL):
            if outcome not in seen:
                message = f"{rule_id} has no example that expects {outcome}"
                problems.append(Problem(code="no-example", message=message, where=packs.origins[rule_id]))
    return problems


def _values(read: CimQuery, rows: list[dict[str, Any]], packs: PackSet, where: str) -> Iterator[Problem]:
    """Values that the decoder would never make of an answer."""
    found = packs.classes.find(read.namespace, read.class_)
    for row in rows if found is not None else ():
        for name, value in row.items():
            known = found[1].find(name) if found is not None else None
            if known is not None and (wrong := known[1].mismatch(value)) is not None:
                yield Problem(code="bad-value", message=f"{read.class_}.{known[0]} {wrong}", where=where)


def _example(example: Example, packs: PackSet, document: Document, place: Place) -> Iterator[Problem]:
    groups: list[tuple[Place, dict[str, Any]]] = [((*place, "facts"), example.facts)]
    groups += [((*place, "nodes", node), facts) for node, facts in example.nodes.items()]
    groups.append(((*place, "unobserved"), dict.fromkeys(example.unobserved)))
    for at, facts in groups:
        for fact, value in facts.items():
            where = document.where((*at, fact))
            if fact not in packs.queries:
                yield unknown("fact", fact, packs.queries, where=where)
                continue
            read = packs.queries[fact].read
            if isinstance(read, CimQuery) and isinstance(value, list):
                rows = [row for row in value if isinstance(row, dict)]
                names = tuple(dict.fromkeys(name for row in rows for name in row))
                yield from packs.classes.check(read.namespace, read.class_, names, where=where)
                yield from _values(read, rows, packs, where)
