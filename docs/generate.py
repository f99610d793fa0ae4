"""Writes what is generated: docs/rules.md and the shipped JSON schemas. Run it after a change of rules or types.

python docs/generate.py           # writes
python docs/generate.py --check   # only tells what is stale, exit code 1
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from azpreflight.checks.builtin import check_registry
from azpreflight.model import Severity, Sureness
from azpreflight.packs.load import PackSet, load_packs
from azpreflight.packs.model import Rule
from azpreflight.reports.json import report_schema
from azpreflight.site.model import Site

ROOT = Path(__file__).parents[1]
SCHEMAS = ROOT / "validators/azpreflight/schemas"


def outputs() -> dict[Path, str]:
    """Every generated file and its text."""
    site = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "azpreflight site"}
    return {
        ROOT / "docs/rules.md": "\n".join(catalogue(load_packs())) + "\n",
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
    registry = check_registry()
    for rule in rules:
        yield f"\n## {rule.id}\n\n**{rule.title}**\n"
        profiles = " and ".join(profile.replace("-", " ") for profile in rule.profiles)
        yield f"{_severity(rule)}; {', '.join(rule.phases)}; judged per {rule.target}; for {profiles}.\n"
        yield rule.why
        facts: dict[str, None] = {}
        for name in [rule.check] if isinstance(rule.check, str) else rule.check.values():
            check = registry[name]
            facts |= dict.fromkeys(check.facts(msgspec.convert(rule.with_, check.parameters)))
        for fact in facts:
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
