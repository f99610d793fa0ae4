"""Writes what is generated: docs/rules.md, docs/coverage-facts.md and the shipped JSON schemas.

Run it after a change of rules, queries, conditions or types.

python docs/generate.py           # writes
python docs/generate.py --check   # only tells what is stale, exit code 1
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from azpreflight.checks.builtin import check_registry
from azpreflight.documents import convert, read_bytes, read_yaml
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
    WinrmQuery,
)
from azpreflight.facts.winrm.programs import program
from azpreflight.model import Frozen, Severity, Sureness
from azpreflight.packs.load import PackSet, load_packs
from azpreflight.packs.model import Rule
from azpreflight.reports.json import report_schema
from azpreflight.site.model import Site

ROOT = Path(__file__).parents[1]
SCHEMAS = ROOT / "validators/azpreflight/schemas"
CONDITIONS = ROOT / "docs/conditions.yaml"


class Condition(Frozen):
    """What answers one condition: facts, of which `part` tells how far they go; or the reason why no query does."""

    facts: tuple[str, ...] = ()
    part: str | None = None
    reason: str | None = None


class Conditions(Frozen):
    """docs/conditions.yaml."""

    conditions: dict[str, Condition]


def outputs() -> dict[Path, str]:
    """Every generated file and its text."""
    site = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "azpreflight site"}
    packs = load_packs()
    conditions = convert(read_yaml(read_bytes(CONDITIONS), str(CONDITIONS)), Conditions).conditions
    return {
        ROOT / "docs/rules.md": "\n".join(catalogue(packs)) + "\n",
        ROOT / "docs/coverage-facts.md": "\n".join(coverage(packs, conditions)) + "\n",
        SCHEMAS / "report-1.json": json.dumps(report_schema(), indent=1, ensure_ascii=False) + "\n",
        SCHEMAS / "site-1.json": json.dumps({**site, **msgspec.json.schema(Site)}, indent=1, ensure_ascii=False) + "\n",
    }


def catalogue(packs: PackSet) -> Iterator[str]:
    """The catalogue of rules as Markdown."""
    yield "# Rules\n\nGenerated from the packs by `python docs/generate.py`; do not edit.\n"
    yield "| rule | severity | phases | condition |\n|---|---|---|---|"
    rules = sorted(packs.rules.values(), key=lambda rule: rule.id)
    for rule in rules:
        phases = ", ".join(rule.phases)
        yield f"| [{rule.id}](#{rule.id.lower()}) | {_severity(rule)} | {phases} | {rule.title} |"
    for rule in rules:
        yield f"\n## {rule.id}\n\n**{rule.title}**\n"
        profiles = " and ".join(profile.replace("-", " ") for profile in rule.profiles)
        yield f"{_severity(rule)}; {', '.join(rule.phases)}; judged per {rule.target}; for {profiles}.\n"
        yield rule.why
        for fact in _facts(rule):
            query = packs.queries[fact]
            mark = "" if query.sureness is Sureness.DOCUMENTED else f" (**{query.sureness}**: {query.basis})"
            yield f"\n* reads `{fact}`: {query.title}{mark}"
        yield f"\nRemedy: {rule.remedy.text}"
        if rule.remedy.command:
            yield f"\n```powershell\n{rule.remedy.command}\n```"
        if rule.remedy.link:
            yield f"\n<{rule.remedy.link}>"
        if rule.note:
            yield f"\nNote: {rule.note}"
        sources = ["; ".join(part for part in (s.title, s.section, s.date) if part) for s in rule.sources]
        yield "\nSources: " + ". ".join(sources) + "."


def coverage(packs: PackSet, conditions: Mapping[str, Condition]) -> Iterator[str]:
    """Every query with what it reads, what it answers and who uses it; every condition without one; the numbers."""
    yield "# Facts\n\nGenerated from the packs and docs/conditions.yaml by `python docs/generate.py`; do not edit.\n"
    yield "How each fact is read, how sure that is and by what, which conditions it answers, which rules use it."
    rules: dict[str, list[str]] = {name: [] for name in packs.queries}
    for rule in sorted(packs.rules.values(), key=lambda rule: rule.id):
        for fact in _facts(rule):
            rules[fact].append(rule.id)
    answered: dict[str, list[str]] = {name: [] for name in packs.queries}
    for name, condition in conditions.items():
        for fact in condition.facts:
            answered[fact].append(name)
    for name, query in sorted(packs.queries.items()):
        yield f"\n## {name}\n\n{query.title}.\n"
        yield f"* {_read(query)}"
        yield from (f"* {line}" for line in _circumstances(query))
        yield f"* {query.sureness}: {query.basis}"
        yield f"* answers {_listed(answered[name])}; used by {_listed(rules[name])}"
    yield "\n# Conditions that facts answer in part\n\n| condition | what is not told, or how far it goes |\n|---|---|"
    yield from (f"| {name} | {condition.part} |" for name, condition in conditions.items() if condition.part)
    yield "\n# Conditions that no query answers\n\n| condition | reason |\n|---|---|"
    yield from (f"| {name} | {condition.reason} |" for name, condition in conditions.items() if condition.reason)
    yield from _numbers(packs, conditions)


def _numbers(packs: PackSet, conditions: Mapping[str, Condition]) -> Iterator[str]:
    yield "\n# Numbers\n\n| read from | " + " | ".join(Sureness) + " | all |\n|---|" + "---|" * (len(Sureness) + 1)
    count = Counter((_kind(query), query.sureness) for query in packs.queries.values())
    for kind in sorted({kind for kind, _ in count}):
        row = [count[kind, sureness] for sureness in Sureness]
        yield f"| {kind} | " + " | ".join(map(str, [*row, sum(row)])) + " |"
    answered = sum(bool(condition.facts) for condition in conditions.values())
    part = sum(condition.part is not None for condition in conditions.values())
    yield f"\n{len(packs.queries)} facts. Of {len(conditions)} conditions, {answered} have facts that answer them,"
    yield f"{part} of these in part; {len(conditions) - answered} have none."


def _facts(rule: Rule) -> list[str]:
    """The facts that a rule reads, in the order of its checks."""
    facts: dict[str, None] = {}
    for name in [rule.check] if isinstance(rule.check, str) else rule.check.values():
        check = check_registry()[name]
        facts |= dict.fromkeys(check.facts(msgspec.convert(rule.with_, check.parameters)))
    return list(facts)


def _kind(query: Query) -> str:
    return str(msgspec.to_builtins(query.read)["from"])


def _read(query: Query) -> str:
    """Class, key, program or name that a query reads, with its columns and filter."""
    match query.read:
        case CimQuery() as read:
            columns = "all properties" if read.properties == "all" else ", ".join(read.properties)
            filters = " and ".join(f"`{text}`" for text in (read.where, read.and_) if text)
            return f"`{read.namespace}` `{read.class_}`: {columns}" + (f"; where {filters}" if filters else "")
        case MethodQuery() as read:
            inputs = ", ".join(f"{name}={value}" for name, value in read.arguments.items())
            return f"`{read.namespace}` `{read.class_}`, method `{read.method}({inputs})`" + _bound(read.keys)
        case RegistryQuery() as read:
            values = ", ".join(name or "the value without a name" for name in read.values) or "all values"
            return f"`{read.key}`{' and the keys below' if read.recurse else ''}: {values}"
        case ProgramQuery() as read:
            line = f"{program(read.program).path} {read.arguments}".rstrip()
            return f"`{line}` ({read.output})"
        case CurlQuery() as read:
            table = [f"table `{read.table}`"] if read.table else []
            urls = [f"`{url}`" for url in read.urls]
            tcp = [f"`{host}` on TCP {', '.join(map(str, read.ports))}" for host in read.tcp]
            tls = f", with TLS {' and '.join(read.tls)} each" if read.tls else ""
            return f"`curl.exe`: {'; '.join([*table, *urls, *tcp])}{tls}"
        case DnsQuery() as read:
            tcp = " over TCP" if read.transport == "tcp" else ""
            names = [f"{name.property} of {name.fact}" if isinstance(name, FromFact) else name for name in read.names]
            return f"DNS{tcp}, type {read.type} from `{read.servers}`: {_ticked(names)}"
        case TcpQuery() as read:
            return f"TCP {', '.join(map(str, read.ports))} of {_ticked(read.hosts)}"
        case TlsQuery() as read:
            before = " after RDP's negotiation" if read.starts == "rdp" else ""
            versions, ports = ", ".join(read.versions), ", ".join(map(str, read.ports))
            return f"TLS {versions}{before} with {_ticked(read.hosts)} on {ports}"
        case HttpQuery() as read:
            return f"HTTP: {'; '.join([*([f'table `{read.table}`'] if read.table else []), *map(_tick, read.urls)])}"
        case LdapQuery() as read:
            where = "global catalog" if read.catalog else "directory"
            return f"{where}, {read.scope} of `{read.base}` `{read.filter}`: {', '.join(read.attributes)}"
        case WinrmQuery() as read:
            return f"WinRM: {read.resource}"


def _tick(name: str) -> str:
    return f"`{name}`"


def _ticked(names: Sequence[str]) -> str:
    return ", ".join(map(_tick, names))


def _circumstances(query: Query) -> Iterator[str]:
    if query.bind:
        yield "with" + _bound(query.bind)
    if query.asked_when:
        yield f"asked when `{query.asked_when}` has a row"
    if query.nodes == "first":
        yield "asked on the first node, for all"


def _bound(values: Mapping[str, str | FromFact]) -> str:
    """Where placeholders and keys get their values from."""
    named = (
        (name, f"{value.property} of {value.fact}" if isinstance(value, FromFact) else value)
        for name, value in values.items()
    )
    return "".join(f" {name} from `{source}`" for name, source in named)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "nothing yet"


def _severity(rule: Rule) -> str:
    if isinstance(rule.severity, Severity):
        return rule.severity.value
    return ", ".join(f"{severity} ({profile})" for profile, severity in rule.severity.items())


def main() -> int:
    """Write, or check."""
    stale = [path for path, text in outputs().items() if not path.is_file() or path.read_text("utf-8") != text]
    if "--check" in sys.argv:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(ROOT)} is stale; run python docs/generate.py\n")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(outputs()[path], "utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
