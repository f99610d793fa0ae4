"""Which addresses a listener of WinRM serves."""

from __future__ import annotations

from typing import Any

import pytest
from netaddr import IPAddress

from azpreflight.checks.remoting import listens_on, trusted_hosts_are_named
from azpreflight.checks.view import Row
from azpreflight.model import Outcome
from unit.checks.judging import outcomes_of, view_of


@pytest.mark.parametrize(
    ("listener", "expected"),
    [
        ({"Address": "*", "ListeningOn": ["127.0.0.1", "192.0.2.11"]}, True),
        ({"Address": "*", "ListeningOn": ["127.0.0.1", "fe80::1%7"]}, False),
        ({"Address": "*", "ListeningOn": []}, True),
        ({"Address": "*", "ListeningOn": None}, True),
        ({"Address": "*"}, True),
        ({"Address": "IP:192.0.2.11"}, True),
        ({"Address": "IP:192.0.2.12"}, False),
        ({"Address": "MAC:00-00-5E-00-53-01"}, False),
    ],
)
def test_listens_on(listener: dict[str, Any], expected: bool) -> None:
    assert listens_on(Row("winrm.listeners", "N1", listener), IPAddress("192.0.2.11")) is expected


@pytest.mark.parametrize(
    ("listed", "outcome"),
    [
        ("*", Outcome.FAIL),
        (" * ", Outcome.FAIL),
        ("N1, *", Outcome.FAIL),
        ("*.edge.example", Outcome.PASS),
        (None, Outcome.PASS),
    ],
)
def test_trusted_hosts(listed: str | None, outcome: Outcome) -> None:
    view = view_of({"winrm.config": {"Client": {"TrustedHosts": listed}}})
    assert outcomes_of(trusted_hosts_are_named, view) == {"TrustedHosts": outcome}
