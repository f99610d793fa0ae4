"""A rule that no changed value can turn judges nothing: changes in facts and declaration must change verdicts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from azpreflight.checks.builtin import check_registry
from azpreflight.errors import InputError
from azpreflight.model import Outcome
from azpreflight.packs.load import find_packs, load_packs
from azpreflight.packs.model import Example
from azpreflight.packs.tables import read_document
from azpreflight.testing import examples_of, judge_example, merged
from unit.checks.judging import replaced

PACKS = load_packs()
CHECKS = check_registry()
FOLDERS = find_packs()
EXAMPLES: dict[tuple[str, str, Outcome], list[Example]] = {}
for _pack, _folder in FOLDERS.items():
    if (_folder / "examples").is_dir():
        for _rule, _, _example in examples_of(_folder):
            if _example.expect in (Outcome.PASS, Outcome.FAIL):
                EXAMPLES.setdefault((_pack, _rule, _example.expect), []).append(_example)
CASES = [pytest.param(*key, id=f"{key[1]}-{key[2]}") for key in EXAMPLES]

Path = tuple[str | int, ...]


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every scalar and every list, with where it is."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(part, (*path, key))
    elif isinstance(value, list):
        yield path, value
        for index, part in enumerate(value):
            yield from leaves(part, (*path, index))
    else:
        yield path, value


def changes(value: Any, words: list[str], numbers: list[int]) -> Iterator[Any]:
    """Other values of the same kind, the likeliest to matter first."""
    match value:
        case bool():
            yield not value
        case int():
            yield from (number for number in [*numbers, value + 1, value - 1, 0, 1, 2] if number != value)
        case str():
            yield from (word for word in ["", f"x{value}", *words] if word != value)
        case list():
            yield []
            yield value * 17
            yield from (value[:index] + value[index + 1 :] for index in range(len(value)))
            yield from ([*value, changed] for part in value[:1] for changed in changes(part, words, numbers))
        case None:
            yield from (True, 1, "x", "2026-01-01T00:00:00Z")
        case dict():
            for key, part in value.items():
                yield from ({**value, key: changed} for changed in itertools.islice(changes(part, words, numbers), 6))


def mutants(pack: str, example: Example) -> Iterator[Example]:
    """The example with one value changed: in a fact, in a fact of one node, in the declaration."""
    site = merged(read_document(FOLDERS[pack] / "examples" / "site.yaml").data, example.site)
    whole = {"facts": example.facts, "nodes": example.nodes, "site": site}
    found = list(leaves(whole))
    words = list(dict.fromkeys(value for _, value in found if isinstance(value, str)))
    numbers = list(dict.fromkeys(value for _, value in found if type(value) is int))
    words += [
        "*",
        "Stopped",
        "Disabled",
        "Enabled",
        "Up",
        "Down",
        "Manual",
        "Dhcp",
        "Preferred",
        "Duplicate",
        "NOERROR",
        "NXDOMAIN",
    ]
    for path, value in found:
        for changed in changes(value, words, numbers):
            mutated = replaced(whole, path, changed)
            # The whole site replaces the example site: keys that the patch does not name would come back otherwise.
            yield msgspec.structs.replace(example, facts=mutated["facts"], nodes=mutated["nodes"], site=mutated["site"])


@pytest.mark.parametrize(("pack", "rule", "outcome"), CASES)
def test_some_changed_value_turns_the_verdict(pack: str, rule: str, outcome: Outcome) -> None:
    """Of the examples with one outcome, one at least turns: others may rest on an absence, or on two causes."""
    tried = 0
    for example in EXAMPLES[pack, rule, outcome]:
        for mutant in mutants(pack, example):
            tried += 1
            try:
                result = judge_example(PACKS, FOLDERS[pack], rule, mutant, CHECKS)
            except InputError:
                continue
            if result.outcome is not outcome:
                return
    pytest.fail(f"{tried} changed values, and {rule} stays {outcome}")
