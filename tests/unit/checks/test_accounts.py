"""The local administrator: who an account is, and what a date of Windows means."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from azpreflight.checks import accounts
from azpreflight.checks.view import NotApplicable, NotObserved
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


@pytest.mark.parametrize("value", [None, "**************.******+***", "*"])
def test_dates_that_stand_for_never(value: Any) -> None:
    assert accounts.is_never(value)


@pytest.mark.parametrize("value", ["", "00000000000000.000000:000", "2027-06-30T22:00:00Z", 0, False, [], "+++", "*0"])
def test_dates_that_do_not(value: Any) -> None:
    assert not accounts.is_never(value)


@pytest.mark.parametrize("value", ["", "00000000000000.000000:000", 0, 20270630, True, ["2027-06-30T22:00:00Z"]])
def test_a_date_of_expiry_that_is_none_is_not_judged(value: Any) -> None:
    facts = {"accounts.users": [OPS], "accounts.logins": [{"Name": "N1\\azl-ops", "AccountExpires": value}]}
    assert outcomes_of(accounts.account_does_not_expire, view_of(facts, site=SITE)) == {"azl-ops": Outcome.ERROR}


def test_two_dates_of_expiry_are_none() -> None:
    logins = [{"Name": "N1\\azl-ops", "AccountExpires": day} for day in (None, "2020-01-01T00:00:00Z")]
    with pytest.raises(NotObserved, match="contradict"):
        outcomes_of(
            accounts.account_does_not_expire, view_of({"accounts.users": [OPS], "accounts.logins": logins}, site=SITE)
        )


@pytest.mark.parametrize(
    ("sid", "outcome"),
    [
        ("S-1-5-21-1-2-3-1001", Outcome.PASS),
        ("S-1-5-21-1-2-3-500", Outcome.FAIL),
        ("S-1-5-21-a-b-c-1001", Outcome.ERROR),
        ("S-1-5-21-1-2-1001", Outcome.ERROR),
        ("S-1-5-21-1-2-3-4294967296", Outcome.ERROR),
        ("S-1-5-32-544", Outcome.ERROR),
        ("1001", Outcome.ERROR),
        ("", Outcome.ERROR),
        (None, Outcome.ERROR),
        (1001, Outcome.ERROR),
    ],
)
def test_only_a_sid_of_an_account_tells_whose_it_is(sid: Any, outcome: Outcome) -> None:
    view = view_of({"accounts.users": [{**OPS, "SID": sid}]}, site=SITE)
    assert outcomes_of(accounts.administrator_is_own, view) == {"azl-ops": outcome}


@pytest.mark.parametrize("value", [None, 0, "false", []])
def test_a_switch_that_is_no_boolean_is_not_judged(value: Any) -> None:
    view = view_of({"accounts.users": [{**OPS, "Disabled": value, "Lockout": value}]}, site=SITE)
    assert set(outcomes_of(accounts.administrator_is_usable, view).values()) == {Outcome.ERROR}


def member(name: Any = "azl-ops", domain: Any = "N1", class_: str = "Win32_UserAccount") -> dict[str, Any]:
    return {"PartComponent": {"class": class_, "keys": {"Domain": domain, "Name": name}}}


@pytest.mark.parametrize(
    ("members", "outcome"),
    [
        ([member()], Outcome.PASS),
        ([member(class_="Win32_Group")], Outcome.FAIL),
        ([member(domain="EDGE")], Outcome.FAIL),
        ([member(domain="BUILTIN")], Outcome.FAIL),
        ([member(name=None)], Outcome.ERROR),
        ([{"PartComponent": None}], Outcome.ERROR),
        ([{"PartComponent": None}, member()], Outcome.PASS),
        ([], Outcome.ERROR),
    ],
)
def test_who_counts_as_the_member(members: list[Any], outcome: Outcome) -> None:
    group = [{"Name": "Administrators", "Domain": "BUILTIN", "SID": "S-1-5-32-544"}]
    facts = {"accounts.users": [OPS], "accounts.administrators_group": group, "accounts.administrators": members}
    assert outcomes_of(accounts.administrator_is_member, view_of(facts, site=SITE)) == {"azl-ops": outcome}


@pytest.mark.parametrize("rows", [[], [{"Name": None, "Domain": "N1"}]])
def test_a_node_that_tells_no_account_is_not_a_node_without_the_account(rows: list[Any]) -> None:
    with pytest.raises(NotObserved):
        outcomes_of(accounts.administrator_exists, view_of({"accounts.users": rows}, site=SITE))


@pytest.mark.parametrize(
    ("user", "says"),
    [
        ("azl-ops@edge.example", "azl-ops@edge.example, an account of a domain or of another machine"),
        ("EDGE\\azl-ops", "EDGE\\azl-ops, an account of a domain or of another machine"),
        ("Administrator", "Administrator, another account"),
    ],
)
def test_a_login_that_proves_nothing_names_one_that_would(user: str, says: str) -> None:
    view = view_of({"winrm.authentication": {"outcome": "accepted", "user": user}}, site=SITE)
    finding = findings_of(accounts.credential_is_accepted, view)["azl-ops"]
    assert finding.outcome is Outcome.ERROR
    assert says in finding.message
    assert "log on as azl-ops, .\\azl-ops or N1\\azl-ops" in finding.message


@pytest.mark.parametrize("answer", [{"outcome": None, "user": "azl-ops"}, {"outcome": "accepted", "user": None}])
def test_a_login_that_is_not_told_is_not_judged(answer: dict[str, Any]) -> None:
    view = view_of({"winrm.authentication": answer}, site=SITE)
    assert outcomes_of(accounts.credential_is_accepted, view) == {"azl-ops": Outcome.ERROR}


def test_a_long_computer_name_has_a_short_one() -> None:
    assert accounts.is_local("EDGE-BERLIN-NOD\\azl-ops", "azl-ops", "edge-berlin-node-01")


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
