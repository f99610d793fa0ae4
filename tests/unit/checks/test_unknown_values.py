"""What a node does not tell, or tells in a type that nobody expects, is neither good nor bad."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from azpreflight.checks.builtin import check_registry
from azpreflight.model import Outcome
from azpreflight.packs.load import find_packs, load_packs
from azpreflight.packs.model import Example
from azpreflight.testing import examples_of, judge_example
from unit.checks.judging import replaced

PACKS = load_packs()
FOLDER = find_packs()["azure-local"]
CHECKS = check_registry()
UNKNOWN: tuple[Any, ...] = (None, 4711, True, [])

NULLS_THAT_SAY_SOMETHING = {"AccountExpires", "gPOptions", "gPLink", "object_type", "inherited_object_type"}
"""Where a null is the documented way to say never, nothing set yet, or all types."""

EMPTY_WITHOUT_A_SIGN = {"ServerAddresses"}
"""Lists of which the wire has no way to say that they are empty but by leaving them out."""

TOLD_TWICE = "AZL-IDN-005"
"""The rule on what two sources tell, of which one is enough: where one falls silent, the other counts."""


def cases(*outcomes: Outcome, without: str = "") -> list[Any]:
    """The examples with one of these outcomes that have facts, `without` those of one rule."""
    return [
        pytest.param(rule, example, id=f"{rule}-{number}")
        for rule, number, example in examples_of(FOLDER)
        if example.expect in outcomes and rule != without and (example.facts or example.nodes)
    ]


def turned(rule: str, example: Example, outcome: Outcome, unknown: tuple[Any, ...]) -> list[str]:
    """The unknown values that give an example another outcome."""
    changed = mutants(example, unknown)
    results = ((which, judge_example(PACKS, FOLDER, rule, mutant, CHECKS)) for which, mutant in changed)
    return [f"{which}: {result.message}" for which, result in results if result.outcome is outcome]


def values(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every scalar and every list of a fact, with where it is."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from values(part, (*path, key))
    else:
        yield path, value
        for index, part in enumerate(value if isinstance(value, list) else ()):
            yield from values(part, (*path, index))


def mutants(example: Example, unknown_values: tuple[Any, ...]) -> Iterator[tuple[str, Example]]:
    """The example with one value of its facts unknown, and which that is."""
    whole = {"facts": example.facts, "nodes": example.nodes}
    for path, value in values(whole):
        for unknown in unknown_values:
            # Another value of the same type may well be a bad one, and so may a list without its rows.
            if type(unknown) is type(value) or (isinstance(value, list) and unknown == []):
                continue
            if unknown is None and path[-1] in EMPTY_WITHOUT_A_SIGN | NULLS_THAT_SAY_SOMETHING:
                continue
            changed = replaced(whole, path, unknown)
            yield f"{path} {unknown}", msgspec.structs.replace(example, facts=changed["facts"], nodes=changed["nodes"])


@pytest.mark.parametrize(("rule", "example"), cases(Outcome.PASS))
def test_a_value_that_nobody_understands_makes_no_failure(rule: str, example: Example) -> None:
    assert turned(rule, example, Outcome.FAIL, UNKNOWN) == []


@pytest.mark.parametrize(("rule", "example"), cases(Outcome.FAIL, Outcome.ERROR, without=TOLD_TWICE))
def test_a_null_makes_no_pass(rule: str, example: Example) -> None:
    assert turned(rule, example, Outcome.PASS, (None,)) == []
