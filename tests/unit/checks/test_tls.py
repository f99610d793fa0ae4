"""Schannel's switches: what is on, what is off, and what is not set."""

from __future__ import annotations

from typing import Any

import pytest

from azpreflight.checks.tls import is_on, minimum_version
from azpreflight.facts.registry_tree import RegistryTree


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


@pytest.mark.parametrize(("text", "expected"), [("1.2", (1, 2)), ("TLS 1.3", (1, 3)), ("", None), (None, None)])
def test_minimum_version(text: str | None, expected: tuple[int, int] | None) -> None:
    values = {} if text is None else {"OverrideMinimumEnabledTLSVersionClient": text}
    assert minimum_version(tree("", **values), "Client") == expected
    assert minimum_version(tree("", **values), "Server") is None
