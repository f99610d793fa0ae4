"""Accounts of computers in the directory: those of nodes and cluster, and where they are."""

from __future__ import annotations

from collections.abc import Iterator

from azpreflight.checks.check import NoParameters, check, failed, judged, passed, unjudged
from azpreflight.checks.directory_rows import OU, declared_ou, entries, existing_ou, has_class, number, texts
from azpreflight.checks.view import NotObserved, Row, View
from azpreflight.facts.observation import Status
from azpreflight.model import Finding
from azpreflight.site.distinguished_name import DistinguishedName
from azpreflight.site.references import LONGEST_NETBIOS_NAME, computer_names

COMPUTERS = "directory.computers"
FOREST = "directory.forest_computers"
IN_OU = "directory.ou_computers"
RECOVERY_OBJECTS = "directory.recovery_objects"
DISABLED = 0x2
"""Of userAccountControl."""

Account = tuple[DistinguishedName, Row]


def accounts_named(view: View, fact: str, name: str) -> list[Account]:
    """The accounts of a computer's name, which in the directory ends with a dollar sign.

    Raises:
        NotObserved: a row does not tell whose account it is.
    """
    found = []
    for dn, row in entries(view, fact):
        account = row["sAMAccountName"]
        if not isinstance(account, str):
            raise NotObserved(fact, view.site.name, Status.FAILED, f"{dn} has no readable account name: {account}")
        if account.casefold() == f"{name}$".casefold():
            found.append((dn, row))
    return found


@check("directory.no_clashing_computers", COMPUTERS, FOREST)
def no_clashing_computers(view: View, _: NoParameters) -> Iterator[Finding]:
    """No account of the forest has the name of a node or of the cluster, unless it was prepared in the OU."""
    ou = declared_ou(view)
    cluster = (view.site.cluster.name or "")[:LONGEST_NETBIOS_NAME]
    names = computer_names(view.site)
    # The domain first: what it knows is a failure also where the catalog of the forest cannot be asked.
    in_domain = {name: accounts_named(view, COMPUTERS, name) for name in names}
    for name in names:
        yield from _clashes(ou, name, in_domain[name], is_cluster=name == cluster)
    for name in names:
        known = {dn for dn, _ in in_domain[name]}
        others = [(dn, row) for dn, row in accounts_named(view, FOREST, name) if dn not in known]
        yield from _clashes(ou, name, others, is_cluster=name == cluster)
        if not known and not others:
            yield passed(f"{name}$", f"no account of the forest is called {name}$")


def _clashes(ou: DistinguishedName, name: str, found: list[Account], *, is_cluster: bool) -> Iterator[Finding]:
    for dn, row in found:
        subject = f"{name}$ at {dn}"
        classes = texts(row["objectClass"])
        if not dn.is_under(ou):
            yield failed(subject, f"{dn} has the name {name}$, outside {ou}", expected=f"in {ou}", actual=str(dn))
        elif classes is None:
            yield unjudged(subject, f"{dn} does not tell what it is", actual=row["objectClass"])
        elif not has_class(classes, "computer"):
            yield failed(subject, f"{dn} has the name {name}$ and is no computer", expected="computer", actual=classes)
        elif not is_cluster:
            yield passed(subject, f"{name}$ was prepared in the OU")
        else:
            yield _prepared_cluster(subject, name, row)


def _prepared_cluster(subject: str, name: str, row: Row) -> Finding:
    flags = number(row["userAccountControl"])
    if flags is None:
        return unjudged(subject, f"whether {name}$ is disabled is not told", actual=row["userAccountControl"])
    return judged(
        bool(flags & DISABLED),
        subject,
        if_good=f"{name}$ was prepared in the OU and is disabled",
        if_bad=f"{name}$ was prepared in the OU for the cluster and is enabled, as if a cluster had it already",
        expected="disabled",
        actual=flags,
    )


@check("directory.own_ou", OU, IN_OU)
def own_ou(view: View, _: NoParameters) -> Iterator[Finding]:
    """No computer but those of nodes and cluster is in the OU or below it."""
    ou, _row = existing_ou(view)
    own = {f"{name}$".casefold() for name in computer_names(view.site)}
    foreign = 0
    for dn, row in entries(view, IN_OU):
        account = row["sAMAccountName"]
        if not isinstance(account, str):
            yield unjudged(str(dn), f"{dn} does not tell its account name", actual=account)
            foreign += 1
        elif account.casefold() not in own:
            yield failed(str(dn), f"{account} is in the OU and is no node of this cluster: {dn}", actual=account)
            foreign += 1
    if not foreign:
        yield passed(str(ou), f"no other computer is in {ou}")


@check("directory.computers_in_ou", COMPUTERS)
def computers_in_ou(view: View, _: NoParameters) -> Iterator[Finding]:
    """The accounts of all nodes and of the cluster are in the OU or below it."""
    ou = declared_ou(view)
    for name in computer_names(view.site):
        found = accounts_named(view, COMPUTERS, name)
        if not found:
            yield unjudged(f"{name}$", f"the directory shows no account {name}$ in the domain", expected=f"in {ou}")
        for dn, _row in found:
            yield judged(
                dn.is_under(ou),
                f"{name}$",
                if_good=f"{name}$ is in the OU",
                if_bad=f"{name}$ is not in {ou}, but at {dn}",
                expected=f"in {ou}",
                actual=str(dn),
            )


@check("directory.recovery_objects", COMPUTERS, RECOVERY_OBJECTS)
def recovery_objects(view: View, _: NoParameters) -> Iterator[Finding]:
    """Every node has a BitLocker recovery object below its account.

    An account without rights on these objects sees none at all: only where some are seen, others are missing.
    """
    objects = [dn for dn, _row in entries(view, RECOVERY_OBJECTS)]
    for node in view.nodes:
        name = node.name[:LONGEST_NETBIOS_NAME]
        found = accounts_named(view, COMPUTERS, name)
        count = sum(dn.is_under(account) for account, _row in found for dn in objects)
        if count:
            yield passed(node.name, f"{count} recovery objects are below {name}$", actual=count)
        elif not found:
            yield unjudged(node.name, f"the directory shows no account {name}$ in the domain")
        elif objects:
            message = f"no recovery object is below {name}$, and other computers have them"
            yield failed(node.name, message, expected="at least one", actual=0)
        else:
            message = "no recovery object is seen at all: there is none, or the account that asks may not see them"
            yield unjudged(node.name, message, expected="at least one", actual=0)


@check("directory.no_stale_computers", COMPUTERS, FOREST)
def no_stale_computers(view: View, _: NoParameters) -> Iterator[Finding]:
    """No account of the named directory has the name of a node or of the cluster, which are in none."""
    names = computer_names(view.site)
    found: dict[str, set[DistinguishedName]] = {name: set() for name in names}
    for fact in (COMPUTERS, FOREST):
        for name in names:
            for dn, _row in accounts_named(view, fact, name):
                if dn not in found[name]:
                    message = f"{dn} has the name {name}$, though nothing of this site belongs to a domain"
                    yield failed(f"{name}$ at {dn}", message, actual=str(dn))
                found[name].add(dn)
    for name in names:
        if not found[name]:
            yield passed(f"{name}$", f"no account of the forest is called {name}$")
