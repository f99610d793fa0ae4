"""The OU of the cluster: what the declaration says of it, whether it is there, which group policies reach it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from netaddr import AddrFormatError, IPAddress, IPNetwork

from azpreflight.checks.agreement import named_rows
from azpreflight.checks.check import NoParameters, check, failed, irrelevant, judged, passed, unjudged
from azpreflight.checks.directory_rows import (
    OU,
    declared_ou,
    entries,
    existing_ou,
    has_class,
    is_observed,
    number,
    texts,
    understood_ou,
)
from azpreflight.checks.view import NotApplicable, Row, View
from azpreflight.model import Finding, Value
from azpreflight.site.distinguished_name import DistinguishedName

PARENTS = "directory.ou_parents"
POLICIES = "directory.policies"
SITES = "directory.sites"
SUBNETS = "directory.subnets"

FORBIDDEN = "&\"'<>"
BLOCKS_INHERITANCE = 1
LINK_DISABLED, LINK_ENFORCED = 1, 2
COMPUTER_PART_OFF = 2
"""Of the flags of a group policy."""

_LINK = re.compile(r"\[LDAP://(?P<policy>[^;\[\]]+);(?P<flags>[0-9]{1,9})\]", re.IGNORECASE)
_POLICY = re.compile(r"cn=(\{[0-9a-f-]+\}),.*", re.IGNORECASE)


@check("directory.ou_characters")
def ou_characters(view: View, _: NoParameters) -> Iterator[Finding]:
    """The distinguished name of the OU has none of the characters that the deployment does not take."""
    text = view.site.directory.ou
    if not text:
        raise NotApplicable("the site declares no directory.ou, or leaves it empty, as AZL-ADS-003 tells")
    found = [character for character in FORBIDDEN if character in text]
    yield judged(
        not found,
        "OU",
        if_good=f"{text} has none of {' '.join(FORBIDDEN)}",
        if_bad=f"{text} has {' '.join(found)}, which the deployment does not take",
        expected=f"none of {' '.join(FORBIDDEN)}",
        actual=text,
    )


@check("directory.ou_is_one")
def ou_is_one(view: View, _: NoParameters) -> Iterator[Finding]:
    """What is declared is the distinguished name of an OU in the declared domain, not the domain or a container."""
    name, fault = understood_ou(view)
    yield judged(
        fault is None,
        "OU",
        if_good=f"{name} is an OU in the domain",
        if_bad=str(fault),
        expected="OU=..., in the declared domain",
        actual=view.site.directory.ou,
    )


@check("directory.ou_exists", OU)
def ou_exists(view: View, _: NoParameters) -> Iterator[Finding]:
    """The directory has the declared OU, and it is an organizational unit."""
    declared = declared_ou(view)
    found = [row for name, row in entries(view, OU) if name == declared]
    if not found:
        message = f"{declared} does not exist, or the account that asks may not see it"
        yield failed("OU", message, expected=str(declared))
        return
    classes = texts(found[0]["objectClass"])
    if classes is None:
        yield unjudged("OU", f"{declared} does not tell what it is", actual=found[0]["objectClass"])
        return
    yield judged(
        has_class(classes, "organizationalUnit"),
        "OU",
        if_good=f"{declared} exists",
        if_bad=f"{declared} is no organizational unit, but {classes[-1]}",
        expected="organizationalUnit",
        actual=classes,
    )


@check("directory.inheritance_blocked", OU)
def inheritance_blocked(view: View, _: NoParameters) -> Iterator[Finding]:
    """The OU blocks the inheritance of group policies. An OU on which nobody ever set that does not."""
    ou, row = existing_ou(view)
    options = row["gPOptions"]
    flags = number(options)
    if flags is None and (options is not None or not _is_readable(row)):
        yield unjudged("gPOptions", f"whether {ou} blocks inheritance is not told", actual=options)
        return
    yield judged(
        bool((flags or 0) & BLOCKS_INHERITANCE),
        "gPOptions",
        if_good=f"{ou} blocks the inheritance of group policies",
        if_bad=f"{ou} does not block the inheritance of group policies",
        expected=BLOCKS_INHERITANCE,
        actual=options,
    )


def _is_readable(row: Row) -> bool:
    """Whether the account that asks may read the object: what every object has is told, so what is not, is not set."""
    return isinstance(row["whenCreated"], str)


class Link(NamedTuple):
    """A group policy linked to a place: its name as the policy's own, and the flags of the link."""

    policy: str
    flags: int


def links_of(value: Value) -> list[Link] | None:
    """The links in a `gPLink`, in its order; None where it is none. A blank is what remains of links taken away."""
    if value is None:
        return []
    if not isinstance(value, str):
        return None
    links = [Link(match["policy"], int(match["flags"])) for match in _LINK.finditer(value)]
    rest = _LINK.sub("", value).strip()
    return None if rest else links


@check("directory.no_enforced_policies", OU, PARENTS, POLICIES, SITES, SUBNETS)
def no_enforced_policies(view: View, _: NoParameters) -> Iterator[Finding]:
    """No group policy is enforced from above: such a one reaches the OU even where it blocks inheritance."""
    ou, _row = existing_ou(view)
    above = dict(entries(view, PARENTS))
    for parent in ou.parents:
        if parent not in above:
            yield unjudged(str(parent), f"what is linked to {parent} is not told")
        else:
            yield from _enforced(view, str(parent), above[parent])
    yield from _by_site(view)


def _enforced(view: View, place: str, row: Row) -> Iterator[Finding]:
    links = links_of(row["gPLink"])
    if links is None or (row["gPLink"] is None and not _is_readable(row)):
        yield unjudged(place, f"what is linked to {place} is not told, or is not understood", actual=row["gPLink"])
        return
    enforced = [link for link in links if link.flags & LINK_ENFORCED and not link.flags & LINK_DISABLED]
    if not enforced:
        yield passed(place, f"no group policy is enforced from {place}", actual=len(links))
    for link in dict.fromkeys(enforced):
        yield _enforced_link(view, place, link)


def _enforced_link(view: View, place: str, link: Link) -> Finding:
    policy = _policy(view, link)
    guid = _POLICY.fullmatch(link.policy)
    known = policy["displayName"] if policy is not None else None
    name = known if isinstance(known, str) else guid[1] if guid is not None else link.policy
    subject = f"{place} {link.policy}"
    if policy is not None:
        flags = number(policy["flags"])
        if flags is None:
            return unjudged(subject, f"{name} is enforced from {place}; whether it is switched off is not told")
        if flags & COMPUTER_PART_OFF:
            return passed(subject, f"{name} is enforced from {place}, and its part for computers is switched off")
        if policy["gPCWQLFilter"]:
            message = f"{name} is enforced from {place}; whether its WMI filter spares the nodes is not known"
            return unjudged(subject, message, expected="not enforced")
    message = f"the group policy {name} is enforced from {place}, and reaches the OU although it blocks inheritance"
    return failed(subject, message, expected="not enforced", actual=link.flags)


def _policy(view: View, link: Link) -> Row | None:
    """What the directory says of a linked policy; None where it is one of another domain, or nothing is told."""
    name = _parsed(link.policy)
    policies = entries(view, POLICIES) if is_observed(view, POLICIES) else []
    return next((row for dn, row in policies if dn == name), None)


def _by_site(view: View) -> Iterator[Finding]:
    """What is enforced from the sites that the nodes are in, as far as the directory tells which these are."""
    if not (is_observed(view, SITES) and is_observed(view, SUBNETS)):
        yield irrelevant(
            "site", "the directory does not tell its sites, so what is linked to that of the nodes is open"
        )
        return
    sites, subnets = dict(entries(view, SITES)), named_rows(view, SUBNETS, "cn")
    narrowest = (_narrowest(node.address, subnets) for node in view.nodes)
    found = {str(subnet["cn"]): subnet["siteObject"] for subnet in narrowest if subnet is not None}
    if not found:
        yield irrelevant("site", "no subnet of the directory holds a node, so that no site is theirs")
    for name in dict.fromkeys(_parsed(place) for place in found.values()):
        if name is None or name not in sites:
            yield unjudged("site", f"the site of the subnet of the nodes is not told: {', '.join(found)}")
        else:
            yield from _enforced(view, str(name), sites[name])


def _narrowest(address: str, subnets: list[Row]) -> Row | None:
    """The narrowest subnet that an address is in."""
    found = [
        (network.prefixlen, row)
        for row in subnets
        if (network := _network(row["cn"])) is not None and _contains(network, address)
    ]
    return max(found, key=lambda item: item[0])[1] if found else None


def _network(value: Value) -> IPNetwork | None:
    try:
        return IPNetwork(value) if isinstance(value, str) and "/" in value else None
    except (AddrFormatError, ValueError):
        return None


def _contains(network: IPNetwork, address: str) -> bool:
    try:
        return IPAddress(address) in network
    except (AddrFormatError, ValueError):
        return False


def _parsed(text: Value) -> DistinguishedName | None:
    try:
        return DistinguishedName.parse(text) if isinstance(text, str) and text else None
    except ValueError:
        return None
