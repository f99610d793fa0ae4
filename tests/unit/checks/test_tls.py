"""Schannel's switches: what is on, what is off, and what is not set."""

from __future__ import annotations

from typing import Any

import pytest

from azpreflight.checks.tls import Unreadable, is_on, minimum_version, protocol_enabled, protocols_disabled
from azpreflight.facts.registry_tree import RegistryTree
from azpreflight.model import Outcome
from unit.checks.judging import outcomes_of, view_of


def tree(key: str, **values: Any) -> RegistryTree:
    kept = {name: {"type": "REG_DWORD", "data": data} for name, data in values.items()}
    return RegistryTree({"exists": True, "keys": {key: kept}})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, None),
        ({"Enabled": 1}, True),
        ({"Enabled": 4294967295}, True),
        ({"Enabled": 0}, False),
        ({"Enabled": 0, "DisabledByDefault": 0}, False),
        ({"Enabled": 1, "DisabledByDefault": 0}, True),
        ({"Enabled": 1, "DisabledByDefault": 1}, False),
        ({"DisabledByDefault": 0}, True),
        ({"DisabledByDefault": 1}, False),
        ({"DisabledByDefault": 4294967295}, False),
    ],
)
def test_is_on(values: dict[str, int], expected: bool | None) -> None:
    assert is_on(tree("TLS 1.2\\Client", **values), "TLS 1.2", "Client") is expected
    assert is_on(tree("TLS 1.2\\Client", **values), "TLS 1.2", "Server") is None


@pytest.mark.parametrize(("text", "expected"), [("1.2", (1, 2)), ("TLS 1.3", (1, 3)), (None, None)])
def test_minimum_version(text: str | None, expected: tuple[int, int] | None) -> None:
    values = {} if text is None else {"OverrideMinimumEnabledTLSVersionClient": text}
    assert minimum_version(tree("", **values), "Client") == expected
    assert minimum_version(tree("", **values), "Server") is None


@pytest.mark.parametrize("text", ["", "99.9", "1.7", "11.2", "none", 1.2, ["1.2"]])
def test_a_policy_that_names_no_version_is_an_open_question(text: Any) -> None:
    with pytest.raises(Unreadable):
        minimum_version(tree("", OverrideMinimumEnabledTLSVersionClient=text), "Client")


def schannel(key: str, **values: Any) -> dict[str, Any]:
    kept = {name: {"type": "REG_DWORD", "data": data} for name, data in values.items()}
    return {"exists": True, "keys": {key: kept}}


@pytest.mark.parametrize("value", [None, "1", "", [1], True])
@pytest.mark.parametrize("name", ["Enabled", "DisabledByDefault"])
def test_a_switch_that_is_no_number_is_not_judged(name: str, value: Any) -> None:
    facts = {"tls.schannel_protocols": schannel("TLS 1.2\\Client", **{name: value})}
    found = outcomes_of(protocol_enabled, view_of(facts), protocol="TLS 1.2")
    assert found == {"TLS 1.2 Client": Outcome.ERROR, "TLS 1.2 Server": Outcome.PASS}


@pytest.mark.parametrize(
    ("protocol", "values", "minimum", "outcome"),
    [
        ("TLS 1.0", {"Enabled": 0}, None, Outcome.PASS),
        ("TLS 1.0", {"Enabled": 0, "DisabledByDefault": 0}, None, Outcome.PASS),
        ("TLS 1.0", {"DisabledByDefault": 1}, None, Outcome.FAIL),
        ("TLS 1.0", {"Enabled": 1, "DisabledByDefault": 1}, None, Outcome.FAIL),
        ("TLS 1.0", {"Enabled": 1}, "1.2", Outcome.PASS),
        ("TLS 1.1", {}, "1.1", Outcome.FAIL),
        ("TLS 1.1", {}, "99.9", Outcome.ERROR),
        ("TLS 1.1", {"Enabled": None}, "1.2", Outcome.ERROR),
        ("SSL 3.0", {}, None, Outcome.PASS),
        ("SSL 3.0", {"DisabledByDefault": 1}, None, Outcome.PASS),
        ("SSL 3.0", {"Enabled": 1, "DisabledByDefault": 1}, None, Outcome.FAIL),
        ("SSL 3.0", {"Enabled": "0"}, None, Outcome.ERROR),
    ],
)
def test_off_is_what_no_program_can_ask_for(
    protocol: str, values: dict[str, Any], minimum: str | None, outcome: Outcome
) -> None:
    policy = {} if minimum is None else {"OverrideMinimumEnabledTLSVersionClient": minimum}
    facts = {
        "tls.schannel_protocols": schannel(f"{protocol}\\Client", **values),
        "tls.minimum_version": schannel("", **policy),
        "system.version": schannel("", CurrentBuildNumber="25398"),
    }
    found = outcomes_of(protocols_disabled, view_of(facts), protocols=[protocol])
    assert found[f"{protocol} Client"] is outcome
