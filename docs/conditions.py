"""docs/coverage.md: which rule judges each condition, or why reading cannot tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from azpreflight.errors import InputError, unknown
from azpreflight.model import Frozen, Problem
from azpreflight.packs.load import PackSet

COMPLETE = ("AZL-DNS", "AZL-FW", "AZL-PRX", "AZL-TLS", "AZL-ADS")
"""Areas in which every condition is a rule, or has a reason why not."""


class Condition(Frozen):
    """What answers one condition.

    facts: those that tell. part: how far they go. reason: why no query tells.
    judged_by: rules of other ids that judge it. not_judged: why no rule does, since reading does not tell.
    """

    facts: tuple[str, ...] = ()
    part: str | None = None
    reason: str | None = None
    judged_by: tuple[str, ...] = ()
    not_judged: str | None = None


class Conditions(Frozen):
    """docs/conditions.yaml."""

    conditions: dict[str, Condition]


def judged(packs: PackSet, conditions: Mapping[str, Condition]) -> Iterator[str]:
    """docs/coverage.md.

    Raises:
        InputError: a condition names a rule that does not exist, or one of a complete area has neither rule nor reason.
    """
    yield "# Conditions and their rules\n"
    yield "Generated from the packs and docs/conditions.yaml by `python docs/generate.py`; do not edit.\n"
    yield "Every condition of the areas below is judged by a rule, or says why reading cannot tell."
    for area in COMPLETE:
        yield f"\n## {area}\n\n| condition | rule, or the reason why there is none |\n|---|---|"
        for name, condition in conditions.items():
            if area_of(name) == area:
                yield f"| {name} | {_judge(name, condition, packs)} |"
    yield "\n# Other areas\n\n| area | conditions | with a rule | still without one |\n|---|---|---|---|"
    others: dict[str, list[str]] = {}
    for name in conditions:
        if area_of(name) not in COMPLETE:
            others.setdefault(area_of(name), []).append(name)
    for area, names in others.items():
        ruled = [name for name in names if name in packs.rules or conditions[name].judged_by]
        without = [name.removeprefix(f"{area}-") for name in names if name not in ruled]
        yield f"| {area} | {len(names)} | {len(ruled)} | {', '.join(without) if ruled else 'all'} |"


def area_of(name: str) -> str:
    """The area of a condition: its id without the number."""
    return name.rpartition("-")[0]


def _judge(name: str, condition: Condition, packs: PackSet) -> str:
    missing = [rule for rule in condition.judged_by if rule not in packs.rules]
    if missing:
        raise InputError(*(unknown("rule", rule, packs.rules, where=name) for rule in missing))
    rules = [rule for rule in (name, *condition.judged_by) if rule in packs.rules]
    links = ", ".join(f"[{rule}](rules.md#{rule.lower()})" for rule in rules)
    if not links and condition.not_judged is None:
        message = f"{name} has neither a rule nor a reason (not_judged) why it has none"
        raise InputError(Problem(code="not-judged", message=message, where="docs/conditions.yaml"))
    return "; ".join(filter(None, (links, condition.not_judged)))
