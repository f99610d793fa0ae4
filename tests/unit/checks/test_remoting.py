"""Which addresses a listener of WinRM serves."""

from __future__ import annotations

from typing import Any

import pytest
from netaddr import IPAddress

from azpreflight.checks.remoting import listens_on, trusted_hosts_are_named, winrm_listens
from azpreflight.checks.view import Row
from azpreflight.model import Outcome
from unit.checks.judging import outcomes_of, view_of


@pytest.mark.parametrize(
    ("listener", "expected"),
    [
        ({"Address": "*", "ListeningOn": ["127.0.0.1", "192.0.2.11"]}, True),
        ({"Address": "*", "ListeningOn": ["127.0.0.1", "fe80::1%7"]}, False),
        ({"Address": "*", "ListeningOn": []}, None),
        ({"Address": "*", "ListeningOn": None}, None),
        ({"Address": "*"}, None),
        ({"Address": "*", "ListeningOn": "192.0.2.11"}, None),
        ({"Address": "*", "ListeningOn": [None]}, None),
        ({"Address": "IP:192.0.2.11"}, None),
        ({"Address": "IP:192.0.2.12"}, False),
        ({"Address": "MAC:00-00-5E-00-53-01"}, None),
    ],
)
def test_listens_on(listener: dict[str, Any], expected: bool | None) -> None:
    assert listens_on(Row("winrm.listeners", "N1", listener), IPAddress("192.0.2.11")) is expected


@pytest.mark.parametrize(
    ("listed", "outcome"),
    [
        ("*", Outcome.FAIL),
        (" * ", Outcome.FAIL),
        ("N1, *", Outcome.FAIL),
        ("*.edge.example", Outcome.PASS),
        ("**", Outcome.FAIL),
        ("N1,***", Outcome.FAIL),
        ("", Outcome.PASS),
        (None, Outcome.ERROR),
        (False, Outcome.ERROR),
        (0, Outcome.ERROR),
        ([], Outcome.ERROR),
    ],
)
def test_trusted_hosts(listed: Any, outcome: Outcome) -> None:
    view = view_of({"winrm.config": {"Client": {"TrustedHosts": listed}}})
    assert outcomes_of(trusted_hosts_are_named, view) == {"TrustedHosts": outcome}


@pytest.mark.parametrize("client", [None, [], "*"])
def test_a_client_without_settings_is_not_judged(client: Any) -> None:
    view = view_of({"winrm.config": {"Client": client}})
    assert outcomes_of(trusted_hosts_are_named, view) == {"TrustedHosts": Outcome.ERROR}


@pytest.mark.parametrize(
    ("listeners", "outcome"),
    [
        ([{"Enabled": True, "ListeningOn": ["192.0.2.11"]}], Outcome.PASS),
        ([{"Enabled": False, "ListeningOn": ["192.0.2.11"]}], Outcome.FAIL),
        ([{"Enabled": None, "ListeningOn": ["192.0.2.11"]}], Outcome.ERROR),
        ([{"Enabled": "true", "ListeningOn": ["192.0.2.11"]}], Outcome.ERROR),
        ([{"Enabled": True, "ListeningOn": []}], Outcome.ERROR),
        ([{"Enabled": False, "ListeningOn": []}], Outcome.FAIL),
        ([], Outcome.ERROR),
        (
            [{"Enabled": True, "ListeningOn": ["192.0.2.11"]}, {"Enabled": True, "ListeningOn": ["127.0.0.1"]}],
            Outcome.ERROR,
        ),
    ],
)
def test_a_listener_counts_when_it_is_known_to_serve_the_address(listeners: list[Any], outcome: Outcome) -> None:
    rows = [{"Address": "*", "Transport": "HTTP", "Port": 5985, **listener} for listener in listeners]
    services = [{"Name": "WinRM", "State": "Running", "StartMode": "Auto"}]
    view = view_of({"services.state": services, "winrm.listeners": rows})
    assert outcomes_of(winrm_listens, view)["listener"] is outcome
