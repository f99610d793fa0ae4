"""DNS suffixes of a node whose own is not the name of the domain: a disjoint namespace."""

from __future__ import annotations

from collections.abc import Iterator

from azpreflight.checks.addressing import ADDRESSES, ROUTES
from azpreflight.checks.agreement import same, told
from azpreflight.checks.check import NoParameters, check, judged, passed, unjudged
from azpreflight.checks.interfaces import management_interface, on_interface
from azpreflight.checks.view import NotApplicable, View
from azpreflight.model import Finding, Value

DNS_CLIENT = "net.dns_client"
TCPIP = "system.tcpip"
DNS_POLICY = "net.dns_policy"


@check("directory.disjoint_namespace", TCPIP, DNS_CLIENT, DNS_POLICY, ADDRESSES, ROUTES)
def disjoint_namespace(view: View, _: NoParameters) -> Iterator[Finding]:
    """A node whose primary suffix is not the domain's name has that name as the suffix of its management interface."""
    domain = (view.site.directory.domain or "").rstrip(".")
    if not domain:
        raise NotApplicable("the site does not declare directory.domain")
    name = view.node.name
    suffix = _suffix(view)
    if not isinstance(suffix, str):
        yield unjudged(name, f"{name} does not tell its primary DNS suffix", actual=suffix)
        return
    if not suffix or same(suffix.strip("."), domain):
        shown = suffix or "empty, and joining the domain sets it"
        yield passed(name, f"the primary DNS suffix of {name} is {shown}", actual=suffix)
        return
    yield from _connection_suffix(view, domain, suffix)
    tree = view.registry(DNS_POLICY)
    policy = tree.get("SearchList") if tree.has_value("SearchList") else ""
    if not isinstance(policy, str):
        yield unjudged(
            "suffix list", f"the list of DNS suffixes that a policy sets on {name} is not told", actual=policy
        )
        return
    yield judged(
        not policy,
        "suffix list",
        if_good=f"no policy sets a list of DNS suffixes on {name}",
        if_bad=f"a policy sets the list of DNS suffixes of {name}: {policy}",
        expected="none",
        actual=policy,
    )


def _suffix(view: View) -> Value:
    """The primary suffix after the next restart, or the one in force; empty where neither is set."""
    tree = view.registry(TCPIP)
    return next((tree.get(value) for value in ("NV Domain", "Domain") if tree.has_value(value)), "")


def _connection_suffix(view: View, domain: str, suffix: str) -> Iterator[Finding]:
    name = view.node.name
    alias = management_interface(view, view.node)
    rows = on_interface(view.rows(DNS_CLIENT), alias) if alias is not None else []
    actual = told(rows, "ConnectionSpecificSuffix", str)
    if alias is None or actual is None:
        yield unjudged("connection suffix", f"{name} does not tell the DNS suffix of its management interface")
        return
    yield judged(
        same(actual.strip("."), domain),
        "connection suffix",
        if_good=f"the primary DNS suffix of {name} is {suffix}, and {alias} has {domain}",
        if_bad=f"the primary DNS suffix of {name} is {suffix}, not {domain}, and {alias} has {actual or 'none'}",
        expected=domain,
        actual=actual,
    )
