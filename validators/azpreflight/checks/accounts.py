"""The local administrator that the site declares, as each node has it. No password, no hash, no comparison of dates."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from azpreflight.checks.check import NoParameters, check, failed, judged, passed, unjudged
from azpreflight.checks.view import NotApplicable, NotObserved, Row, View
from azpreflight.model import Finding, Frozen, Value

FIRST_OWN_RID = 1000
"""Relative ids below are those of accounts that Windows made, 500 being the built-in administrator."""


class Validity(Frozen, kw_only=True):
    """days: for how long a password must still be valid."""

    days: Annotated[int, Meta(ge=0)] = 30


def declared_name(view: View) -> str:
    """The declared name of the local administrator.

    Raises:
        NotApplicable: none is declared.
    """
    if not view.site.administrator.name:
        raise NotApplicable("the site does not name the local administrator")
    return view.site.administrator.name


def find_account(view: View, name: str) -> Row | None:
    """The local account of that name on the node, or None."""
    return next((row for row in view.rows("accounts.users") if row["Name"].casefold() == name.casefold()), None)


def declared_account(view: View) -> Row:
    """The declared administrator as the node has it.

    Raises:
        NotApplicable: none is declared, or the node has no such account, which is a matter of its own rule.
    """
    name = declared_name(view)
    row = find_account(view, name)
    if row is None:
        raise NotApplicable(f"{view.node.name} has no local account {name}, as AZL-ACC-001 tells")
    return row


def is_local(user: str, name: str, computer: str) -> bool:
    """Whether `user`, as it was given to authenticate, is the local account `name` of `computer`."""
    domain, _, local = user.rpartition("\\")
    return local.casefold() == name.casefold() and domain.casefold() in ("", ".", computer.casefold())


def authenticated_as(view: View, name: str) -> bool:
    """Whether the node accepted an authentication with its local account `name` in this run."""
    try:
        answer = view.value("winrm.authentication")
    except NotObserved:
        return False
    return answer["outcome"] == "accepted" and is_local(answer["user"], name, view.node.name)


def find_login(view: View, account: Row) -> Row | None:
    """What Windows keeps on network logins of a local account; it does not list every account."""
    full_name = f"{account['Domain']}\\{account['Name']}".casefold()
    return next((row for row in view.rows("accounts.logins") if row["Name"].casefold() == full_name), None)


def is_never(value: Value) -> bool:
    """Whether a date of expiry stands for never: none, or nothing but wildcards."""
    return value is None or str(value).strip("*.+:0") == ""


def moment(value: Value) -> datetime.datetime | None:
    """The moment that an ISO 8601 text names, or None. Without a zone it is taken as UTC, at most 14 hours off."""
    try:
        parsed = datetime.datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=datetime.UTC)


def password_end(view: View, account: Row) -> datetime.datetime | None:
    """When the password of a local account runs out; None when it does not, or when Windows does not tell."""
    if account["PasswordExpires"] is False:
        return None
    login = find_login(view, account)
    return moment(login["PasswordExpires"]) if login is not None else None


@check("accounts.administrator_exists", "accounts.users")
def administrator_exists(view: View, _: NoParameters) -> Iterator[Finding]:
    """The node has a local account with the declared name."""
    name = view.site.administrator.name
    if not name:
        yield failed("administrator name", "the name of the local administrator is left empty", actual=name)
        return
    row = find_account(view, name)
    yield judged(
        row is not None,
        name,
        if_good=f"{view.node.name} has the local account {name}",
        if_bad=f"{view.node.name} has no local account {name}",
        expected=name,
        actual=row["Name"] if row is not None else None,
    )


@check("accounts.administrator_is_own", "accounts.users")
def administrator_is_own(view: View, _: NoParameters) -> Iterator[Finding]:
    """The account is not one that Windows made, whatever name that has by now: its relative id is 1000 or higher."""
    account = declared_account(view)
    rid = int(account["SID"].rpartition("-")[2])
    what = "the built-in administrator" if rid == 500 else "an account that Windows made"
    yield judged(
        rid >= FIRST_OWN_RID,
        account["Name"],
        if_good=f"{account['Name']} is an account of its own (relative id {rid})",
        if_bad=f"{account['Name']} is {what} (relative id {rid})",
        expected=f"a relative id of {FIRST_OWN_RID} or higher",
        actual=account["SID"],
    )


@check("accounts.administrator_is_member", "accounts.users", "accounts.administrators_group", "accounts.administrators")
def administrator_is_member(view: View, _: NoParameters) -> Iterator[Finding]:
    """The local account, and not one of a domain that has its name, is a member of the group S-1-5-32-544."""
    account = declared_account(view)
    name = account["Name"]
    group = next(iter(view.rows("accounts.administrators_group")), None)
    if group is None:
        yield unjudged(name, f"{view.node.name} told no group S-1-5-32-544")
        return
    members = [row["PartComponent"]["keys"] for row in view.rows("accounts.administrators")]
    local = (group["Domain"].casefold(), name.casefold())
    yield judged(
        any((member["Domain"].casefold(), member["Name"].casefold()) == local for member in members),
        name,
        if_good=f"{name} is a member of {group['Name']}",
        if_bad=f"{name} is no member of {group['Name']}",
        expected=f"{group['Domain']}\\{name}",
        actual=sorted(f"{member['Domain']}\\{member['Name']}" for member in members),
    )


@check("accounts.administrator_is_usable", "accounts.users")
def administrator_is_usable(view: View, _: NoParameters) -> Iterator[Finding]:
    """The account is neither disabled nor locked out."""
    account = declared_account(view)
    name = account["Name"]
    for switch, good, bad in (
        ("Disabled", f"{name} is enabled", f"{name} is disabled"),
        ("Lockout", f"{name} is not locked out", f"{name} is locked out"),
    ):
        yield judged(
            account[switch] is False,
            f"{name} {switch}",
            if_good=good,
            if_bad=bad,
            expected=False,
            actual=account[switch],
        )


@check("accounts.password_is_settled", "accounts.users", "accounts.logins", "winrm.authentication")
def password_is_settled(view: View, _: NoParameters) -> Iterator[Finding]:
    """A login with the very account worked, so that its password need not be changed first.

    Without such a login only a password that has run out is known to need a change: no property tells the flag.
    """
    account = declared_account(view)
    name = account["Name"]
    if authenticated_as(view, name):
        yield passed(name, f"{name} logged on to {view.node.name}, so its password need not be changed first")
        return
    day = password_end(view, account)
    if day is not None and day <= view.now:
        message = f"the password of {name} ran out at {day.isoformat()} and must be changed first"
        yield failed(name, message, expected=f"after {view.now.isoformat()}", actual=day.isoformat())
        return
    reason = f"whether {name} must change its password is only known after a login with {name} itself"
    yield unjudged(name, reason, expected="a login with this account")


@check("accounts.account_does_not_expire", "accounts.users", "accounts.logins", "winrm.authentication")
def account_does_not_expire(view: View, _: NoParameters) -> Iterator[Finding]:
    """The account itself has not expired."""
    account = declared_account(view)
    name = account["Name"]
    login = find_login(view, account)
    expires = login["AccountExpires"] if login is not None else None
    if login is not None and is_never(expires):
        yield passed(name, f"{name} never expires")
    elif login is not None and (day := moment(expires)) is not None:
        yield judged(
            day > view.now,
            name,
            if_good=f"{name} expires at {expires}",
            if_bad=f"{name} expired at {expires}",
            expected=f"after {view.now.isoformat()}",
            actual=expires,
        )
    elif authenticated_as(view, name):
        yield passed(name, f"{name} logged on to {view.node.name}, so it has not expired")
    else:
        reason = f"{view.node.name} tells no date of expiry of {name}, and the run did not log on with {name} itself"
        yield unjudged(name, reason, actual=expires)


@check("accounts.password_does_not_expire", "accounts.users", "accounts.logins", parameters=Validity)
def password_does_not_expire(view: View, parameters: Validity) -> Iterator[Finding]:
    """The password never expires, or not within the given days."""
    account = declared_account(view)
    name = account["Name"]
    if account["PasswordExpires"] is False:
        yield passed(name, f"the password of {name} never expires")
        return
    day = password_end(view, account)
    if day is None:
        yield unjudged(name, f"the password of {name} expires, and {view.node.name} does not tell when")
        return
    limit = view.now + datetime.timedelta(days=parameters.days)
    yield judged(
        day > limit,
        name,
        if_good=f"the password of {name} is valid until {day.isoformat()}",
        if_bad=f"the password of {name} is valid until {day.isoformat()}, which is not {parameters.days} days from now",
        expected=f"after {limit.isoformat()}",
        actual=day.isoformat(),
    )


@check("accounts.credential_is_accepted", "winrm.authentication")
def credential_is_accepted(view: View, _: NoParameters) -> Iterator[Finding]:
    """The node accepted the one authentication, made with the declared administrator: the same user and password."""
    name = declared_name(view)
    answer = view.value("winrm.authentication")
    if not is_local(answer["user"], name, view.node.name):
        reason = f"the run logs on as {answer['user']}, which proves nothing of {name}"
        yield unjudged(name, reason, expected=name, actual=answer["user"])
        return
    yield judged(
        answer["outcome"] == "accepted",
        name,
        if_good=f"{view.node.name} accepts the credential of {answer['user']}",
        if_bad=f"{view.node.name} rejects the credential of {answer['user']}",
        expected="accepted",
        actual=answer["outcome"],
    )
