"""The local administrator: who an account is, and what a date of Windows means."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from azpreflight.checks import accounts
from azpreflight.checks.view import NotApplicable
from azpreflight.model import Outcome
from azpreflight.site.model import Administrator
from unit.checks.judging import findings_of, outcomes_of, site_of, view_of

OPS = {"Name": "azl-ops", "Domain": "N1", "PasswordExpires": True}
SITE = site_of(administrator={"name": "azl-ops"})


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("azl-ops", True),
        ("AZL-OPS", True),
        (".\\azl-ops", True),
        ("n1\\azl-ops", True),
        ("N2\\azl-ops", False),
        ("EDGE\\azl-ops", False),
        ("azl-ops@edge.example", False),
        ("Administrator", False),
        ("", False),
    ],
)
def test_whose_login_it_was(user: str, expected: bool) -> None:
    assert accounts.is_local(user, "azl-ops", "N1") is expected


@pytest.mark.parametrize("value", [None, "", "**************.******+***", "00000000000000.000000:000"])
def test_dates_that_stand_for_never(value: Any) -> None:
    assert accounts.is_never(value)


def test_a_date_without_zone_is_taken_as_utc() -> None:
    assert accounts.moment("2026-12-24T18:00:00") == datetime.datetime(2026, 12, 24, 18, tzinfo=datetime.UTC)
    assert accounts.moment("soon") is None


def test_an_empty_name_fails_and_is_the_matter_of_one_rule_only() -> None:
    # Only a parameter file can leave it empty.
    site = site_of(administrator=Administrator(name=""))
    view = view_of({"accounts.users": [OPS]}, site=site)
    assert outcomes_of(accounts.administrator_exists, view) == {"administrator name": Outcome.FAIL}
    with pytest.raises(NotApplicable):
        findings_of(accounts.administrator_is_own, view)
    with pytest.raises(NotApplicable):
        findings_of(accounts.credential_is_accepted, view)


def test_a_login_of_another_node_is_not_taken_for_this_one() -> None:
    logins = [{"Name": "N2\\azl-ops", "AccountExpires": "2020-01-01T00:00:00Z"}]
    facts = {"accounts.users": [OPS], "accounts.logins": logins}
    assert outcomes_of(accounts.account_does_not_expire, view_of(facts, site=SITE)) == {"azl-ops": Outcome.ERROR}


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        ("2026-12-21T12:00:00Z", Outcome.FAIL),
        ("2026-12-21T12:00:01Z", Outcome.PASS),
        ("2026-12-21T13:30:00+02:00", Outcome.FAIL),
        ("**************.******+***", Outcome.ERROR),
        (None, Outcome.ERROR),
    ],
)
def test_the_password_outlives_the_window(end: str | None, outcome: Outcome) -> None:
    logins = [{"Name": "N1\\AZL-OPS", "PasswordExpires": end}]
    view = view_of({"accounts.users": [OPS], "accounts.logins": logins}, site=SITE)
    assert outcomes_of(accounts.password_does_not_expire, view, days=30) == {"azl-ops": outcome}


def test_an_expired_password_with_the_flag_never_is_no_expired_password() -> None:
    logins = [{"Name": "N1\\azl-ops", "PasswordExpires": "2020-01-01T00:00:00Z"}]
    users = [{**OPS, "PasswordExpires": False}]
    view = view_of({"accounts.users": users, "accounts.logins": logins}, site=SITE)
    assert outcomes_of(accounts.password_is_settled, view) == {"azl-ops": Outcome.ERROR}
