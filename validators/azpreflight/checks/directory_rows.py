"""What the checks of Active Directory share: the declared OU and user, as the directory has them, and their values.

Whether these exist is a matter of one rule each. All others have nothing to say where they do not.
"""

from __future__ import annotations

import contextlib
import re

from azpreflight.checks.view import NotApplicable, NotObserved, Row, View
from azpreflight.facts.observation import Status
from azpreflight.model import Value
from azpreflight.site.distinguished_name import DistinguishedName
from azpreflight.site.references import account_name

ROOT = "directory.root"
OU = "directory.ou"
USER = "directory.deployment_user"
TOKEN = "directory.deployment_user_token"  # noqa: S105 - groups, no secret

_SID = re.compile(r"S-1(-[0-9]+)+", re.IGNORECASE)


def entries(view: View, fact: str) -> list[tuple[DistinguishedName, Row]]:
    """The rows of a fact, each with its name.

    Raises:
        NotObserved: a row has none, so that it may be the very one that is looked for.
    """
    return [(name_of(view, fact, row["dn"]), row) for row in view.rows(fact)]


def is_observed(view: View, fact: str) -> bool:
    """Whether a fact that only adds to a judgement is there at all. One that is, and garbled, is another matter."""
    return view.observation(fact).status is Status.OBSERVED


def name_of(view: View, fact: str, value: Value) -> DistinguishedName:
    """The distinguished name that a value of a fact is.

    Raises:
        NotObserved: it is none.
    """
    with contextlib.suppress(ValueError):
        if isinstance(value, str):
            return DistinguishedName.parse(value)
    target = view.observation(fact).target
    raise NotObserved(fact, target, Status.FAILED, f"it holds no distinguished name: {value}")


def declared_ou(view: View) -> DistinguishedName:
    """The declared OU.

    Raises:
        NotApplicable: it is none of the declared domain, or not declared.
    """
    if view.site.directory.ou is None:
        raise NotApplicable("the site does not declare directory.ou")
    name, fault = understood_ou(view)
    if name is None or fault is not None:
        raise NotApplicable(f"{fault}, as AZL-ADS-003 tells")
    return name


def understood_ou(view: View) -> tuple[DistinguishedName | None, str | None]:
    """The declared OU and what keeps it from being one, in words; one of the two is None, or the second."""
    text, domain = view.site.directory.ou or "", view.site.directory.domain
    if not text.strip():
        return None, "the OU is left empty"
    try:
        name = DistinguishedName.parse(text)
    except ValueError as error:
        return None, f"{text} is no distinguished name: {error}"
    if name.is_domain:
        return name, f"{text} is the domain itself, not an OU in it"
    if not name.rdns[0].is_a("OU"):
        return name, f"{text} is no OU: it does not begin with OU="
    if not name.domain or (domain and name.domain.casefold() != domain.rstrip(".").casefold()):
        return name, f"{text} is not in the domain {domain or 'of its own: it does not end with DC='}"
    return name, None


def existing_ou(view: View) -> tuple[DistinguishedName, Row]:
    """The declared OU, as the directory has it.

    Raises:
        NotApplicable: the directory has none of that name.
    """
    declared = declared_ou(view)
    found = entries(view, OU)
    if not found:
        raise NotApplicable(f"{declared} does not exist, as AZL-ADS-001 tells")
    name, row = found[0]
    if name != declared:
        raise NotObserved(OU, view.site.name, Status.FAILED, f"the answer is about {name}, not about {declared}")
    classes = texts(row["objectClass"])
    if classes is not None and not has_class(classes, "organizationalUnit"):
        raise NotApplicable(f"{declared} is no organizational unit, as AZL-ADS-001 tells")
    return name, row


def declared_user(view: View) -> str:
    """The name of the declared deployment user, without a domain.

    Raises:
        NotApplicable: none is declared, or it is left empty.
    """
    if view.site.directory.deployment_user is None:
        raise NotApplicable("the site does not declare directory.deployment_user")
    name = account_name(view.site.directory.deployment_user)
    if not name:
        raise NotApplicable("the name of the deployment user is left empty, as AZL-ADS-010 tells")
    return name


def found_users(view: View) -> list[Row]:
    """The rows on the deployment user: one, or none.

    Raises:
        NotObserved: a row is about somebody else.
    """
    user = declared_user(view)
    rows = view.rows(USER)
    for row in rows:
        if not isinstance(row["sAMAccountName"], str) or row["sAMAccountName"].casefold() != user.casefold():
            reason = f"the answer is about {row['sAMAccountName']}, not about {user}"
            raise NotObserved(USER, view.site.name, Status.FAILED, reason)
    if len(rows) > 1:
        raise NotObserved(USER, view.site.name, Status.FAILED, f"{len(rows)} accounts are called {user}")
    return rows


def existing_user(view: View) -> Row:
    """The deployment user, as the directory has it.

    Raises:
        NotApplicable: the directory has none of that name.
    """
    rows = found_users(view)
    if not rows:
        raise NotApplicable(f"the domain has no user {declared_user(view)}, as AZL-ADS-007 tells")
    return rows[0]


def sid_of(view: View, fact: str, row: Row) -> str:
    """The SID of an account.

    Raises:
        NotObserved: the directory does not tell it.
    """
    sid = row["objectSid"]
    if not is_sid(sid):
        raise NotObserved(fact, view.site.name, Status.FAILED, f"the SID is not told, or is none: {sid}")
    return str(sid)


def token_of(view: View, fact: str, owner: DistinguishedName) -> frozenset[str]:
    """The SIDs of all groups that an account is in.

    Raises:
        NotObserved: the directory does not tell them. Everybody is in one at least.
    """
    for name, row in entries(view, fact):
        groups = row["tokenGroups"]
        if name == owner and isinstance(groups, list) and groups and all(map(is_sid, groups)):
            return frozenset(groups)
    raise NotObserved(fact, view.site.name, Status.FAILED, f"the groups of {owner} are not told")


def is_sid(value: Value) -> bool:
    """Whether a value is a SID."""
    return isinstance(value, str) and _SID.fullmatch(value) is not None


def texts(value: Value) -> list[str] | None:
    """A list of texts that is not empty, or None."""
    if isinstance(value, list) and value and all(isinstance(text, str) for text in value):
        return value
    return None


def has_class(classes: list[str], wanted: str) -> bool:
    """Whether an object is of a class, given all its classes."""
    return wanted.casefold() in (text.casefold() for text in classes)


def number(value: Value) -> int | None:
    """A whole number, or None; a boolean is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
