"""`rules list|show|check`: the catalogue of conditions."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from azpreflight.checks.builtin import check_registry
from azpreflight.errors import InputError, unknown
from azpreflight.model import Problem, Severity, Sureness
from azpreflight.packs.lint import lint_examples, validate
from azpreflight.packs.load import PackSet, find_packs, load_packs
from azpreflight.packs.model import Rule
from azpreflight.testing import examples_of, judge_example


@click.group("rules")
def rules_group() -> None:
    """The catalogue: list the rules, show one, check a pack."""


@rules_group.command("list")
@click.option("--pack", "packs", multiple=True, metavar="NAME", help="Only this pack. Repeatable.")
def list_rules(packs: tuple[str, ...]) -> int:
    """List every rule: id, severity, phases, title."""
    for rule in load_packs(packs).rules.values():
        phases = ",".join(phase.value for phase in rule.phases)
        click.echo(f"{rule.id:<12} {_severity(rule):<30} {phases:<24} {rule.title}")
    return 0


@rules_group.command("show")
@click.argument("rule_id", metavar="ID")
def show_rule(rule_id: str) -> int:
    """Show one rule: why, what is read, remedy, sources."""
    packs = load_packs()
    name = packs.aliases.get(rule_id.upper(), rule_id.upper())
    if name not in packs.rules:
        raise InputError(unknown("rule", rule_id, packs.rules, where="rules show"))
    rule = packs.rules[name]
    click.echo(f"{rule.id}  {rule.title}\n")
    click.echo(f"severity  {_severity(rule)}")
    click.echo(f"phases    {', '.join(rule.phases)}")
    click.echo(f"profiles  {', '.join(rule.profiles)}")
    click.echo(f"target    {rule.target}")
    click.echo(f"\nWhy: {rule.why}")
    for fact in _facts(rule):
        query = packs.queries[fact]
        mark = "" if query.sureness is Sureness.DOCUMENTED else f"  [{query.sureness}: {query.basis}]"
        click.echo(f"\nReads {fact}: {query.title}{mark}")
    click.echo(f"\nRemedy: {rule.remedy.text}")
    if rule.remedy.command:
        click.echo(f"    {rule.remedy.command}")
    if rule.remedy.link:
        click.echo(f"    {rule.remedy.link}")
    if rule.note:
        click.echo(f"\nNote: {rule.note}")
    for source in rule.sources:
        click.echo("\nSource: " + ", ".join(part for part in (source.title, source.section, source.date) if part))
    return 0


@rules_group.command("check")
@click.argument("folder", metavar="[PATH]", required=False, type=click.Path(path_type=Path))
def check_pack(folder: Path | None) -> int:
    """Check a pack, or all that come along: names, types, classes, properties, and every example."""
    folders = find_packs() if folder is None else {folder.resolve().name: folder}
    packs = load_packs(() if folder is None else ("windows",), folders=() if folder is None else (folder,))
    problems = validate(packs, check_registry())
    for name, path in folders.items():
        rules = {rule for rule, pack in packs.pack_of.items() if pack.info.name == name}
        problems += lint_examples(path, packs, rules) if not problems else []
        problems += _examples(path, packs) if not problems else []
    if problems:
        raise InputError(*problems)
    counts = f"{len(packs.rules)} rules and {len(packs.queries)} queries"
    click.echo(f"{counts} in {', '.join(folders)}: nothing to complain of")
    return 0


def _examples(folder: Path, packs: PackSet) -> list[Problem]:
    problems = []
    for rule, number, example in examples_of(folder):
        result = judge_example(packs, folder, rule, example)
        if result.outcome is not example.expect:
            found = f"expected {example.expect}, is {result.outcome}: {result.message}"
            message = f"{rule}, example {number + 1} ({example.name}): {found}"
            problems.append(Problem(code="example", message=message, where=str(folder / "examples")))
    return problems


def _severity(rule: Rule) -> str:
    if isinstance(rule.severity, Severity):
        return rule.severity.value
    return ", ".join(f"{severity} ({profile})" for profile, severity in rule.severity.items())


def _facts(rule: Rule) -> list[str]:
    found: dict[str, None] = {}
    registry = check_registry()
    for name in [rule.check] if isinstance(rule.check, str) else rule.check.values():
        check = registry[name]
        found |= dict.fromkeys(check.facts(msgspec.convert(rule.with_, check.parameters)))
    return list(found)
