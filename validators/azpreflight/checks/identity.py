"""Who the nodes belong to, and what they are called."""

from __future__ import annotations

import re
from collections.abc import Iterator

from azpreflight.checks.agreement import same, told
from azpreflight.checks.check import NoParameters, check, failed, judged, unjudged
from azpreflight.checks.view import NotApplicable, View
from azpreflight.model import Finding

LONGEST_COMPUTER_NAME = 15
_LETTERS_DIGITS_HYPHENS = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?")


@check("identity.joined_to_domain", "system.computer")
def joined_to_domain(view: View, _: NoParameters) -> Iterator[Finding]:
    """The node is a member of the declared domain.

    A name without a dot is not compared with one that has dots: it may be the short name of the domain, which need not
    resemble the long one.
    """
    domain, name = view.site.directory.domain, view.node.name
    if not domain:
        raise NotApplicable("the site does not declare directory.domain")
    rows = view.rows("system.computer")
    joined, actual = told(rows, "PartOfDomain", bool), told(rows, "Domain", str)
    wanted = domain.rstrip(".").casefold()
    if joined is None or (joined and not actual):
        yield unjudged(name, f"{name} does not tell which domain it is in", expected=domain, actual=actual)
    elif not joined:
        yield failed(name, f"{name} is in no domain", expected=domain)
    elif actual is not None and "." not in actual and "." in wanted:
        reason = f"{name} tells the short name {actual}, which may be that of {domain} or of another domain"
        yield unjudged(name, reason, expected=domain, actual=actual)
    else:
        yield judged(
            same(str(actual).rstrip("."), wanted),
            name,
            if_good=f"{name} is a member of {actual}",
            if_bad=f"{name} is a member of {actual}",
            expected=domain,
            actual=actual,
        )


@check("identity.host_name", "system.names")
def host_name(view: View, _: NoParameters) -> Iterator[Finding]:
    """The node's name follows the rules, is the declared one and not the cluster's; no rename waits for a restart."""
    yield from _well_formed(view)
    names = view.registry("system.names")
    active = names.get("ComputerName", key="ActiveComputerName")
    pending = names.get("ComputerName", key="ComputerName")
    if not (isinstance(active, str) and isinstance(pending, str) and active and pending):
        yield unjudged(view.node.name, f"{view.node.name} does not tell its computer name", actual=active or pending)
        return
    yield judged(
        active.casefold() == view.node.name.casefold(),
        "computer name",
        if_good=f"the computer is called {active}",
        if_bad=f"the computer at {view.node.address} is called {active}, not {view.node.name}",
        expected=view.node.name,
        actual=active,
    )
    yield judged(
        active.casefold() == pending.casefold(),
        "rename",
        if_good="no new computer name waits for a restart",
        if_bad=f"the computer will be called {pending} after the next restart",
        expected=active,
        actual=pending,
    )


def malformed(name: str) -> list[str]:
    """What keeps a text from being the name of a machine or of a cluster, whatever its length."""
    faults = []
    if _LETTERS_DIGITS_HYPHENS.fullmatch(name) is None:
        faults.append("is not made of letters, digits and inner hyphens")
    if name.isdigit():
        faults.append("is made of digits only")
    return faults


def _well_formed(view: View) -> Iterator[Finding]:
    name = view.node.name
    faults = [f"is longer than {LONGEST_COMPUTER_NAME} characters"] if len(name) > LONGEST_COMPUTER_NAME else []
    faults += malformed(name)
    if name.casefold() == (view.site.cluster.name or "").casefold():
        faults.append("is the name of the cluster")
    if faults:
        yield failed("declared name", f"{name} {' and '.join(faults)}", actual=name)
