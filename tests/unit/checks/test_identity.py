"""Which domain a node is in, and what it is called, when it tells less than that."""

from __future__ import annotations

from typing import Any

import pytest

from azpreflight.checks import identity
from azpreflight.model import Outcome
from unit.checks.judging import outcomes_of, site_of, view_of


@pytest.mark.parametrize(
    ("declared", "joined", "domain", "outcome"),
    [
        ("corp.example", True, "CORP.example", Outcome.PASS),
        ("corp.example", True, "corp.example.", Outcome.PASS),
        ("corp.example.", True, "corp.example", Outcome.PASS),
        ("corp", True, "CORP", Outcome.PASS),
        ("corp.example", True, "lab.example", Outcome.FAIL),
        ("corp.example", False, "corp.example", Outcome.FAIL),
        ("corp.example", True, "CORP", Outcome.ERROR),
        ("corp.example", True, "LAB", Outcome.ERROR),
        ("corp.example", True, None, Outcome.ERROR),
        ("corp.example", True, "", Outcome.ERROR),
        ("corp.example", None, "corp.example", Outcome.ERROR),
        ("corp.example", 0, "corp.example", Outcome.ERROR),
        ("corp.example", "false", "corp.example", Outcome.ERROR),
    ],
)
def test_membership(declared: str, joined: Any, domain: Any, outcome: Outcome) -> None:
    site = site_of(profile="active-directory", directory={"domain": declared})
    view = view_of({"system.computer": [{"PartOfDomain": joined, "Domain": domain}]}, site=site)
    assert outcomes_of(identity.joined_to_domain, view) == {"N1": outcome}


def test_rows_that_contradict_each_other_and_no_row_are_not_judged() -> None:
    site = site_of(profile="active-directory", directory={"domain": "corp.example"})
    rows = [{"PartOfDomain": joined, "Domain": "corp.example"} for joined in (True, False)]
    for found in (rows, []):
        view = view_of({"system.computer": found}, site=site)
        assert outcomes_of(identity.joined_to_domain, view) == {"N1": Outcome.ERROR}


@pytest.mark.parametrize("name", [None, "", 7, ["N1"]])
def test_a_computer_name_that_is_none_is_not_judged(name: Any) -> None:
    value = {"ComputerName": {"type": "REG_SZ", "data": name}}
    facts = {"system.names": {"exists": True, "keys": {"ActiveComputerName": value, "ComputerName": value}}}
    assert outcomes_of(identity.host_name, view_of(facts)) == {"N1": Outcome.ERROR}
