"""For authors of rules and checks: judge a rule on facts of your own, and run the examples of a pack."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from azpreflight.checks.builtin import check_registry
from azpreflight.checks.check import Check
from azpreflight.engine.judge import judge_pair
from azpreflight.engine.plan import Selection, make_plan
from azpreflight.errors import InputError
from azpreflight.facts.observation import Observation, Status
from azpreflight.model import Phase, Problem, Result, SiteInfo
from azpreflight.packs.load import PackSet, read_examples
from azpreflight.packs.model import Example, Unobserved
from azpreflight.packs.tables import read_document
from azpreflight.registry import Registry
from azpreflight.site.model import LoadedSite, Site

NOW = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.UTC)
"""The moment by which examples are judged."""


def judge_rule(
    packs: PackSet,
    rule: str,
    site: Site,
    facts: Mapping[str, Any],
    *,
    nodes: Mapping[str, Mapping[str, Any]] | None = None,
    unobserved: Mapping[str, Unobserved] | None = None,
    phase: Phase | None = None,
    target: str | None = None,
    now: datetime.datetime = NOW,
    checks: Registry[Check[Any]] | None = None,
) -> Result:
    """The result of one rule on given facts.

    Args:
        packs: where the rule is.
        rule: its id.
        site: the declaration.
        facts: by fact name; facts of nodes hold for every node.
        nodes: facts that differ on one node, by its name.
        unobserved: facts that could not be had.
        phase: of the run; the first of the rule when None.
        target: the node that is judged; the first when None. Other targets have no choice.
        now: the moment to judge by.
        checks: the checks there are; all that are installed when None. Give them when judging many times.

    Raises:
        InputError: no such rule or fact.
    """
    definition = packs.rules[rule]
    info = SiteInfo(
        name=site.name,
        profile=site.profile,
        cluster=site.cluster.name,
        nodes=tuple(node.name for node in site.nodes),
        format="yaml",
        sha256="",
    )
    selection = Selection(phase=phase or definition.phases[0], rules=(rule,))
    plan = make_plan(LoadedSite(site=site, info=info), packs, checks or check_registry(), selection)
    observations: dict[tuple[str, str], Observation] = {}
    for node in site.nodes:
        for name, value in {**facts, **((nodes or {}).get(node.name) or {})}.items():
            owner = site.name if packs.queries[name].of_site else node.name
            observations[owner, name] = _observation(name, owner, Status.OBSERVED, value, None, now)
        for name, missing in (unobserved or {}).items():
            owner = site.name if packs.queries[name].of_site else node.name
            observations[owner, name] = _observation(name, owner, missing.status, None, missing.reason, now)
    pair = next(pair for pair in plan.pairs if target in (None, pair.target.name))
    return judge_pair(pair, plan, observations, now)


def _observation(
    fact: str, target: str, status: Status, value: Any, reason: str | None, now: datetime.datetime
) -> Observation:
    return Observation(
        fact=fact, target=target, source="example", status=status, observed_at=now, value=value, reason=reason
    )


def examples_of(folder: Path) -> Iterator[tuple[str, int, Example]]:
    """The examples of a pack folder: rule id, number, example."""
    for _, file in read_examples(folder).values():
        for rule_id, examples in file.examples.items():
            for number, example in enumerate(examples):
                yield rule_id, number, example


def example_site(folder: Path, patch: Mapping[str, Any]) -> Site:
    """The example site of a pack with a JSON merge patch (RFC 7386) on it.

    Raises:
        InputError: the pack has none, or the patched site is none.
    """
    path = folder / "examples" / "site.yaml"
    if not path.is_file():
        message = "is missing: the examples of a pack start from it"
        raise InputError(Problem(code="no-site", message=message, where=str(path)))
    # Not held to the formats of `site.yaml`: an example may be what an ARM file left empty.
    try:
        return msgspec.convert(merged(read_document(path).data, patch), Site)
    except msgspec.ValidationError as error:
        raise InputError(Problem(code="bad-value", message=str(error), where=str(path))) from error


def merged(value: Any, patch: Any) -> Any:
    """`value` with a JSON merge patch on it: null removes a key, anything but an object replaces."""
    if not isinstance(patch, Mapping):
        return patch
    base = dict(value) if isinstance(value, Mapping) else {}
    for key, part in patch.items():
        if part is None:
            base.pop(key, None)
        else:
            base[key] = merged(base.get(key), part)
    return base


def judge_example(
    packs: PackSet, folder: Path, rule: str, example: Example, checks: Registry[Check[Any]] | None = None
) -> Result:
    """The result of an example. `checks` as for `judge_rule`."""
    return judge_rule(
        packs,
        rule,
        example_site(folder, example.site),
        example.facts,
        nodes=example.nodes,
        unobserved=example.unobserved,
        phase=example.phase,
        checks=checks,
    )
