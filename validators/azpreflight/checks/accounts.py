"""The local administrator that the site declares, as each node has it. No password, no hash, no comparison of dates."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from typing import Annotated

from msgspec import Meta

from azpreflight.checks.agreement import contradict, same
from azpreflight.checks.check import NoParameters, check, failed, judged, passed, unjudged
from azpreflight.checks.identity import LONGEST_COMPUTER_NAME
from azpreflight.checks.view import NotApplicable, NotObserved, Row, View
from azpreflight.facts.observation import Status
from azpreflight.model import Finding, Frozen, Value

USERS = "accounts.users"
GROUP = "accounts.administrators_group"
MEMBERS = "accounts.administrators"
LOGINS = "accounts.logins"
USER_CLASS = "Win32_UserAccount"
LARGEST_SUB_AUTHORITY = 0xFFFFFFFF
_ACCOUNT_SID = re.compile(r"S-1-5-21-([0-9]+)-([0-9]+)-([0-9]+)-(?P<rid>[0-9]+)", re.IGNORECASE)
_WILDCARDS = re.compile(r"\*+[*.:+-]*")

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


def local_accounts(view: View) -> list[Row]:
    """The local accounts of the node.

    Raises:
        NotObserved: there is none, although Windows makes some itself, or one without a name.
    """
    rows = view.rows(USERS)
    if not rows or not all(isinstance(row["Name"], str) for row in rows):
        raise NotObserved(
            USERS, view.node.name, Status.FAILED, "the node tells no local account, or one without a name"
        )
    return rows


def accounts_called(view: View, name: str) -> list[Row]:
    """The rows on the local account of that name; none where the node has no such account."""
    return [row for row in local_accounts(view) if same(row["Name"], name)]


def declared_account(view: View) -> Row:
    """The declared administrator as the node has it.

    Raises:
        NotApplicable: none is declared, or the node has no such account, which is a matter of its own rule.
        NotObserved: the node contradicts itself on that account.
    """
    name = declared_name(view)
    rows = accounts_called(view, name)
    if not rows:
        raise NotApplicable(f"{view.node.name} has no local account {name}, as AZL-ACC-001 tells")
    if contradict(rows, *rows[0]):
        raise NotObserved(USERS, view.node.name, Status.FAILED, f"two rows on {name} contradict each other")
    return rows[0]


def is_local(user: str, name: str, computer: str) -> bool:
    """Whether `user`, as it was given to authenticate, is the local account `name` of `computer`.

    A computer has a short name as well, of which Windows keeps 15 characters.
    """
    domain, _, local = user.rpartition("\\")
    computers = ("", ".", computer.casefold(), computer[:LONGEST_COMPUTER_NAME].casefold())
    return local.casefold() == name.casefold() and domain.casefold() in computers


def whose_login(user: str, name: str) -> str:
    """What kind of account a login used that is not the local account `name`, in a few words."""
    domain, _, local = user.rpartition("\\")
    if "@" in user or (same(local, name) and domain):
        return f"{user}, an account of a domain or of another machine"
    return f"{user}, another account"


def authenticated_as(view: View, name: str) -> bool:
    """Whether the node accepted an authentication with its local account `name` in this run."""
    try:
        answer = view.value("winrm.authentication")
    except NotObserved:
        return False
    user = answer["user"]
    return answer["outcome"] == "accepted" and isinstance(user, str) and is_local(user, name, view.node.name)


def find_login(view: View, account: Row) -> Row | None:
    """What Windows keeps on network logins of a local account; it does not list every account.

    Raises:
        NotObserved: the node contradicts itself on when the account or its password expires.
    """
    full_name = f"{account['Domain']}\\{account['Name']}"
    rows = [row for row in view.rows(LOGINS) if same(row["Name"], full_name)]
    if rows and contradict(rows, *(name for name in ("AccountExpires", "PasswordExpires") if name in rows[0])):
        raise NotObserved(LOGINS, view.node.name, Status.FAILED, f"two rows on {full_name} contradict each other")
    return rows[0] if rows else None


def is_never(value: Value) -> bool:
    """Whether a date of expiry stands for never: a null, or a date of nothing but asterisks. Zeros are no answer."""
    return value is None or (isinstance(value, str) and _WILDCARDS.fullmatch(value) is not None)


def moment(value: Value) -> datetime.datetime | None:
    """The moment that an ISO 8601 text names, or None. Without a zone it is taken as UTC, at most 14 hours off."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.datetime.fromisoformat(value)
    except ValueError:
        return None
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=datetime.UTC)


def password_end(view: View, account: Row) -> datetime.datetime | None:
    """When the password of a local account runs out; None when it does not, or when Windows does not tell."""
    if account["PasswordExpires"] is False:
        return None
    login = find_login(view, account)
    return moment(login["PasswordExpires"]) if login is not None else None


@check("accounts.administrator_exists", USERS)
def administrator_exists(view: View, _: NoParameters) -> Iterator[Finding]:
    """The node has a local account with the declared name."""
    name = view.site.administrator.name
    if not name:
        yield failed("administrator name", "the name of the local administrator is left empty", actual=name)
        return
    rows = accounts_called(view, name)
    yield judged(
        bool(rows),
        name,
        if_good=f"{view.node.name} has the local account {name}",
        if_bad=f"{view.node.name} has no local account {name}",
        expected=name,
        actual=rows[0]["Name"] if rows else None,
    )


@check("accounts.administrator_is_own", USERS)
def administrator_is_own(view: View, _: NoParameters) -> Iterator[Finding]:
    """The account is not one that Windows made, whatever name that has by now: its relative id is 1000 or higher."""
    account = declared_account(view)
    sid = _ACCOUNT_SID.fullmatch(account["SID"]) if isinstance(account["SID"], str) else None
    if sid is None or any(int(part) > LARGEST_SUB_AUTHORITY for part in sid.groups()):
        message = f"the SID of {account['Name']} is none of an account: {account['SID']}"
        yield unjudged(account["Name"], message, actual=account["SID"])
        return
    rid = int(sid["rid"])
    what = "the built-in administrator" if rid == 500 else "an account that Windows made"
    yield judged(
        rid >= FIRST_OWN_RID,
        account["Name"],
        if_good=f"{account['Name']} is an account of its own (relative id {rid})",
        if_bad=f"{account['Name']} is {what} (relative id {rid})",
        expected=f"a relative id of {FIRST_OWN_RID} or higher",
        actual=account["SID"],
    )


@check("accounts.administrator_is_member", USERS, GROUP, MEMBERS)
def administrator_is_member(view: View, _: NoParameters) -> Iterator[Finding]:
    """The local account, and not one of a domain that has its name, is a member of the group S-1-5-32-544."""
    account = declared_account(view)
    name, domain = account["Name"], account["Domain"]
    group = next(iter(view.rows(GROUP)), None)
    parts = [row["PartComponent"] for row in view.rows(MEMBERS)]
    if group is None or not parts:
        yield unjudged(name, f"{view.node.name} told no group S-1-5-32-544, or no member of it")
        return
    is_member = any(_names(part, USER_CLASS, domain, name) for part in parts)
    if not is_member and not all(map(_is_reference, [*parts, {"class": USER_CLASS, "keys": account}])):
        yield unjudged(
            name, f"{view.node.name} told a member of {group['Name']}, or {name}, without a name", actual=parts
        )
        return
    yield judged(
        is_member,
        name,
        if_good=f"{name} is a member of {group['Name']}",
        if_bad=f"{name} is no member of {group['Name']}",
        expected=f"{domain}\\{name}",
        actual=sorted(f"{part['keys']['Domain']}\\{part['keys']['Name']}" for part in filter(_is_reference, parts)),
    )


def _is_reference(part: Value) -> bool:
    """Whether a reference names an instance of a class by domain and name."""
    if not isinstance(part, Mapping) or not isinstance(part.get("class"), str):
        return False
    keys = part.get("keys")
    return isinstance(keys, Mapping) and all(isinstance(keys.get(key), str) for key in ("Domain", "Name"))


def _names(part: Value, class_: str, domain: Value, name: str) -> bool:
    """Whether a reference is one to the instance of `class_` with that domain and name. A group has other members."""
    if not _is_reference(part) or not same(part["class"], class_):
        return False
    return same(part["keys"]["Domain"], domain) and same(part["keys"]["Name"], name)


@check("accounts.administrator_is_usable", USERS)
def administrator_is_usable(view: View, _: NoParameters) -> Iterator[Finding]:
    """The account is neither disabled nor locked out."""
    account = declared_account(view)
    name = account["Name"]
    for switch, good, bad in (
        ("Disabled", f"{name} is enabled", f"{name} is disabled"),
        ("Lockout", f"{name} is not locked out", f"{name} is locked out"),
    ):
        subject = f"{name} {switch}"
        if not isinstance(account[switch], bool):
            message = f"{view.node.name} does not tell {switch} of {name}: {account[switch]}"
            yield unjudged(subject, message, expected=False, actual=account[switch])
            continue
        yield judged(
            account[switch] is False,
            subject,
            if_good=good,
            if_bad=bad,
            expected=False,
            actual=account[switch],
        )


@check("accounts.password_is_settled", USERS, LOGINS, "winrm.authentication")
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


@check("accounts.account_does_not_expire", USERS, LOGINS, "winrm.authentication")
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


@check("accounts.password_does_not_expire", USERS, LOGINS, parameters=Validity)
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
    user, outcome = answer["user"], answer["outcome"]
    if not isinstance(user, str) or outcome not in ("accepted", "rejected"):
        yield unjudged(name, f"what became of the login is not known: {outcome} as {user}", expected=name, actual=user)
        return
    if not is_local(user, name, view.node.name):
        who = whose_login(user, name)
        reason = (
            f"the run logs on as {who}, which proves nothing of {name} on {view.node.name}: "
            f"log on as {name}, .\\{name} or {view.node.name}\\{name}"
        )
        yield unjudged(name, reason, expected=name, actual=user)
        return
    yield judged(
        outcome == "accepted",
        name,
        if_good=f"{view.node.name} accepts the credential of {user}",
        if_bad=f"{view.node.name} rejects the credential of {user}",
        expected="accepted",
        actual=outcome,
    )
