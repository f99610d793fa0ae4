"""Every example of every pack that comes along, through the code that judges real facts."""

from __future__ import annotations

import pytest

from azpreflight.checks.builtin import check_registry
from azpreflight.packs.lint import lint_examples, validate
from azpreflight.packs.load import find_packs, load_packs
from azpreflight.packs.model import Example
from azpreflight.testing import examples_of, judge_example

PACKS = load_packs()
FOLDERS = find_packs()
EXAMPLES = [
    pytest.param(pack, rule, example, id=f"{rule}-{number}-{example.name.replace(' ', '-')}")
    for pack, folder in FOLDERS.items()
    if (folder / "examples").is_dir()
    for rule, number, example in examples_of(folder)
]


@pytest.mark.parametrize(("pack", "rule", "example"), EXAMPLES)
def test_example_has_the_outcome_it_names(pack: str, rule: str, example: Example) -> None:
    result = judge_example(PACKS, FOLDERS[pack], rule, example)
    assert result.outcome is example.expect, f"{result.outcome}: {result.message} {result.findings}"
    if example.says is not None:
        said = " ".join([result.message, result.reason or "", *(finding.message for finding in result.findings)])
        assert example.says in said


def test_packs_are_valid() -> None:
    assert [str(problem) for problem in validate(PACKS, check_registry())] == []


@pytest.mark.parametrize("pack", [name for name, folder in FOLDERS.items() if (folder / "examples").is_dir()])
def test_every_rule_has_a_passing_and_a_failing_example_on_known_properties(pack: str) -> None:
    rules = {rule for rule, owner in PACKS.pack_of.items() if owner.info.name == pack}
    assert [str(problem) for problem in lint_examples(FOLDERS[pack], PACKS, rules)] == []
