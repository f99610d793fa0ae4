"""Rights on the OU: those of the deployment user, and those of the cluster's own account."""

from __future__ import annotations

from collections.abc import Iterator

from azpreflight.checks.access_control import (
    COMPUTER,
    CREATE_CHILD,
    DELETE_CHILD,
    EVERY_LOGON,
    FULL_CONTROL,
    LIST_CONTENTS,
    ORGANIZATIONAL_UNIT,
    READ_CONTROL,
    READ_PROPERTY,
    RECOVERY,
    Decision,
    Descriptor,
    Right,
    decide,
    descriptor_of,
)
from azpreflight.checks.check import NoParameters, check, judged
from azpreflight.checks.directory_computers import COMPUTERS, accounts_named
from azpreflight.checks.directory_rows import (
    OU,
    TOKEN,
    USER,
    declared_user,
    entries,
    existing_ou,
    existing_user,
    name_of,
    sid_of,
    token_of,
)
from azpreflight.checks.view import NotApplicable, NotObserved, View
from azpreflight.facts.observation import Status
from azpreflight.model import Finding
from azpreflight.site.references import LONGEST_NETBIOS_NAME

RIGHTS = "directory.ou_rights"
COMPUTER_TOKENS = "directory.computer_tokens"

OF_DEPLOYMENT_USER = (
    Right("create computers", CREATE_CHILD, COMPUTER),
    Right("delete computers", DELETE_CHILD, COMPUTER),
    Right("list its contents", LIST_CONTENTS, ORGANIZATIONAL_UNIT),
    Right("read its properties", READ_PROPERTY, ORGANIZATIONAL_UNIT),
    Right("read its permissions", READ_CONTROL, ORGANIZATIONAL_UNIT),
    Right("fully control BitLocker recovery objects below it", FULL_CONTROL, RECOVERY, below=True),
)
"""What a deployment does there. Full control of the OU and all below is more, and holds all of these."""

OF_CLUSTER = (
    Right("create computers", CREATE_CHILD, COMPUTER),
    Right("read its properties", READ_PROPERTY, ORGANIZATIONAL_UNIT),
)


@check("directory.deployment_user_rights", OU, RIGHTS, USER, TOKEN)
def deployment_user_rights(view: View, _: NoParameters) -> Iterator[Finding]:
    """The deployment user, or a group that the user is in, has every right on the OU that a deployment needs."""
    existing_ou(view)
    row = existing_user(view)
    descriptor = _descriptor(view)
    name = name_of(view, USER, row["dn"])
    sids = EVERY_LOGON | token_of(view, TOKEN, name) | {sid_of(view, USER, row)}
    yield from _each(declared_user(view), descriptor, sids, OF_DEPLOYMENT_USER)


@check("directory.cluster_rights", OU, RIGHTS, COMPUTERS, COMPUTER_TOKENS)
def cluster_rights(view: View, _: NoParameters) -> Iterator[Finding]:
    """The account of the cluster may read the OU and make computers there, as it does for clustered roles."""
    descriptor = _descriptor(view)
    cluster = (view.site.cluster.name or "")[:LONGEST_NETBIOS_NAME]
    found = accounts_named(view, COMPUTERS, cluster) if cluster else []
    if not found:
        raise NotApplicable("the domain has no account of the cluster, as AZL-ADS-018 tells")
    name, row = found[0]
    sids = EVERY_LOGON | token_of(view, COMPUTER_TOKENS, name) | {sid_of(view, COMPUTERS, row)}
    yield from _each(f"{cluster}$", descriptor, sids, OF_CLUSTER)


def _descriptor(view: View) -> Descriptor:
    """The security descriptor of the OU.

    Raises:
        NotApplicable: there is no such OU.
        NotObserved: the account that asks may not read it, or it holds what nobody understands.
    """
    name, _ = existing_ou(view)
    for found, row in entries(view, RIGHTS):
        descriptor = descriptor_of(row["nTSecurityDescriptor"])
        if found == name and descriptor is not None:
            return descriptor
    reason = f"the permissions of {name} are not told to the account that asks, or are not understood"
    raise NotObserved(RIGHTS, view.site.name, Status.FAILED, reason)


def _each(who: str, descriptor: Descriptor, sids: frozenset[str], rights: tuple[Right, ...]) -> Iterator[Finding]:
    for right in rights:
        decision = decide(descriptor, sids, right)
        yield judged(
            decision.granted,
            right.words,
            if_good=f"{who} may {right.words}",
            if_bad=f"{who} may not {right.words}: {_why(decision)}",
            expected="granted",
            actual=_why(decision) if not decision.granted else "granted",
        )


def _why(decision: Decision) -> str:
    denied = decision.denied_by
    return "nobody grants it" if denied is None else f"it is denied to {denied.holder}"
