"""The deployment user: its state in the directory, its name, and its place on the nodes. No password, no hash."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping

from azpreflight.checks.accounts import GROUP, MEMBERS
from azpreflight.checks.agreement import named_rows, same
from azpreflight.checks.check import NoParameters, check, failed, judged, passed, unjudged
from azpreflight.checks.directory_rows import (
    TOKEN,
    USER,
    declared_user,
    entries,
    existing_user,
    found_users,
    is_sid,
    name_of,
    number,
    sid_of,
    token_of,
)
from azpreflight.checks.view import NotApplicable, NotObserved, Row, View
from azpreflight.facts.observation import Status
from azpreflight.model import Finding, Value
from azpreflight.site.references import account_name, deployment_upn

UPN_HOLDERS = "directory.upn_holders"
GROUPS_BY_NAME = "directory.deployment_user_groups"
NETBIOS_NAMES = "directory.netbios_names"

DISABLED = 0x2
LOCKED_OUT = 0x10
PASSWORD_EXPIRED = 0x800000
"""Flags of userAccountControl; the latter two are only told by its computed companion."""

NEVER = (0, 0x7FFFFFFFFFFFFFFF)
"""Values of accountExpires that stand for no end."""
PROTECTED_USERS = 525
"""The relative id of the group Protected Users."""

_FIRST_TICK = datetime.datetime(1601, 1, 1, tzinfo=datetime.UTC)


def moment_of(ticks: int) -> datetime.datetime | None:
    """The moment of a Windows time, which counts tenths of microseconds since 1601; None beyond all calendars."""
    try:
        return _FIRST_TICK + datetime.timedelta(microseconds=ticks // 10)
    except OverflowError:
        return None


@check("directory.deployment_user_usable", USER)
def deployment_user_usable(view: View, _: NoParameters) -> Iterator[Finding]:
    """The deployment user exists and can log on: enabled, not locked out, not expired, with a password in force."""
    user = declared_user(view)
    rows = found_users(view)
    if not rows:
        message = f"the domain has no user {user}, or the account that asks may not see it"
        yield failed("account", message, expected=user)
        return
    row = rows[0]
    yield _flag(row, user, "userAccountControl", DISABLED, ("enabled", "disabled"))
    yield _flag(row, user, "msDS-User-Account-Control-Computed", LOCKED_OUT, ("not locked out", "locked out"))
    yield _account_expiry(view, row, user)
    yield _password(row, user)


def _flag(row: Row, user: str, attribute: str, flag: int, words: tuple[str, str]) -> Finding:
    good, bad = words
    flags = number(row[attribute])
    if flags is None:
        return unjudged(good, f"whether {user} is {bad} is not told: {attribute} is {row[attribute]}")
    return judged(
        not flags & flag,
        good,
        if_good=f"{user} is {good}",
        if_bad=f"{user} is {bad}",
        expected=good,
        actual=flags,
    )


def _account_expiry(view: View, row: Row, user: str) -> Finding:
    expires = number(row["accountExpires"])
    if expires is None or expires < 0:
        return unjudged("not expired", f"when {user} expires is not told", actual=row["accountExpires"])
    end = moment_of(expires)
    if expires in NEVER or end is None:
        return passed("not expired", f"{user} never expires", actual=expires)
    return judged(
        end > view.now,
        "not expired",
        if_good=f"{user} expires at {end.isoformat()}",
        if_bad=f"{user} expired at {end.isoformat()}",
        expected=f"after {view.now.isoformat()}",
        actual=end.isoformat(),
    )


def _password(row: Row, user: str) -> Finding:
    last_set, flags = number(row["pwdLastSet"]), number(row["msDS-User-Account-Control-Computed"])
    subject = "password in force"
    if last_set == 0:
        message = f"{user} must change the password at the next logon"
        return failed(subject, message, expected="a password that need not be changed", actual=0)
    if flags is not None and flags & PASSWORD_EXPIRED:
        return failed(subject, f"the password of {user} has expired", expected="a password in force", actual=flags)
    if last_set is None or flags is None:
        return unjudged(subject, f"whether the password of {user} is in force is not told")
    return passed(subject, f"the password of {user} is in force")


@check("directory.not_protected_user", USER, TOKEN)
def not_protected_user(view: View, _: NoParameters) -> Iterator[Finding]:
    """The deployment user is not in the group Protected Users, directly or through another group."""
    row, user = existing_user(view), declared_user(view)
    sid = sid_of(view, USER, row)
    group = f"{sid.rpartition('-')[0]}-{PROTECTED_USERS}"
    groups = token_of(view, TOKEN, name_of(view, USER, row["dn"]))
    yield judged(
        group.casefold() not in {sid.casefold() for sid in groups},
        user,
        if_good=f"{user} is not in Protected Users",
        if_bad=f"{user} is in Protected Users, directly or through a group",
        expected=f"not in {group}",
        actual=sorted(groups),
    )


@check("directory.deployment_user_name", USER, UPN_HOLDERS)
def deployment_user_name(view: View, _: NoParameters) -> Iterator[Finding]:
    """The deployment user is given by its name alone, is not the local administrator, and its UPN is nobody else's."""
    declared = view.site.directory.deployment_user
    if not declared:
        yield failed("name", "the name of the deployment user is left empty", expected="a name", actual=declared)
        return
    user = account_name(declared)
    yield judged(
        user == declared,
        "name",
        if_good=f"{declared} is given without the domain",
        if_bad=f"{declared} is given with a domain, which the deployment does not take",
        expected=user,
        actual=declared,
    )
    administrator = view.site.administrator.name
    if administrator:
        yield judged(
            administrator.casefold() != user.casefold(),
            "local administrator",
            if_good=f"{user} is not the name of the local administrator",
            if_bad=f"{user} is also the name of the local administrator",
            expected=f"not {administrator}",
            actual=user,
        )
    yield from _upn(view, user)


def _upn(view: View, user: str) -> Iterator[Finding]:
    upn = deployment_upn(view.site)
    if upn is None:
        return
    own = {sid_of(view, USER, row).casefold() for row in found_users(view)}
    holders = entries(view, UPN_HOLDERS)
    others = [(dn, row) for dn, row in holders if not (is_sid(row["objectSid"]) and row["objectSid"].casefold() in own)]
    for dn, row in others:
        if is_sid(row["objectSid"]):
            yield failed(f"{upn} at {dn}", f"{upn} belongs to {dn} already", expected=user, actual=str(dn))
        else:
            yield unjudged(f"{upn} at {dn}", f"whose {upn} is, {dn} does not tell", actual=row["objectSid"])
    if not others:
        yield passed(upn, f"{upn} is nobody else's")


@check("directory.deployment_user_is_administrator", USER, GROUP, MEMBERS, GROUPS_BY_NAME, NETBIOS_NAMES)
def deployment_user_is_administrator(view: View, _: NoParameters) -> Iterator[Finding]:
    """The deployment user is a member of the node's group S-1-5-32-544, directly or through a group of the domain."""
    user, node = declared_user(view), view.node.name
    existing_user(view)
    domain = _netbios_name(view)
    parts = [_named(row["PartComponent"]) for row in view.rows(MEMBERS)]
    group = next(iter(view.rows(GROUP)), None)
    if group is None or not parts:
        yield unjudged(node, f"{node} told no group S-1-5-32-544, or no member of it")
        return
    members = [part for part in parts if part is not None]
    direct = any(same(part, ("Win32_UserAccount", domain, user)) for part in members)
    through = None if direct else _shared_group(view, domain, members)
    if direct or through is not None:
        yield passed(node, f"{user} is an administrator of {node}" + ("" if direct else f" as a member of {through}"))
    elif len(members) < len(parts):
        yield unjudged(node, f"{node} told an administrator without a name", actual=len(parts))
    else:
        actual = sorted(f"{of}\\{name}" for _, of, name in members)
        message = f"{user} is no administrator of {node}, nor is a group that {user} is known to be in"
        yield failed(node, message, expected=f"{domain}\\{user}", actual=actual)


def _shared_group(view: View, domain: str, members: list[tuple[str, str, str]]) -> str | None:
    """A group of the domain that the deployment user is in and that is among the members."""
    names = [row["sAMAccountName"] for row in named_rows(view, GROUPS_BY_NAME, "sAMAccountName")]
    groups = [name for kind, of, name in members if same(kind, "Win32_Group") and same(of, domain)]
    return next((name for name in groups if any(same(name, known) for known in names)), None)


def _netbios_name(view: View) -> str:
    """The short name of the declared domain.

    Raises:
        NotApplicable: no domain is declared.
        NotObserved: the directory does not tell it.
    """
    domain = view.site.directory.domain
    if not domain:
        raise NotApplicable("the site does not declare directory.domain")
    for row in view.rows(NETBIOS_NAMES):
        dns, short = row["dnsRoot"], row["nETBIOSName"]
        # The schema lets dnsRoot have several values; a domain has one.
        dns = dns[0] if isinstance(dns, list) and len(dns) == 1 else dns
        if same(dns, domain.rstrip(".")) and isinstance(short, str) and short:
            return short
    reason = f"the directory tells no short name of {domain}"
    raise NotObserved(NETBIOS_NAMES, view.site.name, Status.FAILED, reason)


def _named(part: Value) -> tuple[str, str, str] | None:
    """Class, domain and name of a member; None where it does not tell one of them."""
    if not isinstance(part, Mapping) or not isinstance(keys := part.get("keys"), Mapping):
        return None
    match (part.get("class"), keys.get("Domain"), keys.get("Name")):
        case (str(kind), str(domain), str(name)):
            return kind, domain, name
        case _:
            return None
