"""Addresses of the nodes: where they come from, how many there are, where they sit."""

from __future__ import annotations

from collections.abc import Iterator

from netaddr import IPNetwork

from azpreflight.checks.agreement import grouped, spelled_values, told
from azpreflight.checks.check import NoParameters, check, failed, irrelevant, judged, passed, unjudged
from azpreflight.checks.interfaces import (
    IP_ADDRESSES,
    LINK_LOCAL,
    NO_MANAGEMENT_INTERFACE,
    active_rows,
    address_rows,
    addresses,
    is_within,
    management_aliases,
    management_intent,
    management_interface,
    on_interface,
)
from azpreflight.checks.ranges import address, network
from azpreflight.checks.view import NotApplicable, Row, View
from azpreflight.model import Finding, Profile

ADDRESSES = IP_ADDRESSES
ROUTES = "net.default_routes"


def _on_management(view: View) -> tuple[str | None, list[Row]]:
    """The management interface of the node, and the addresses on it that can carry traffic."""
    alias = management_interface(view, view.node)
    return alias, on_interface(addresses(view, view.node), alias)


def _judged_management(view: View) -> tuple[str, list[Row]] | Finding:
    """What `_on_management` gives, or the finding that says why there is nothing to judge."""
    missing = _declared_is_missing(view)
    if missing is not None:
        return missing
    alias, rows = _on_management(view)
    if alias is None:
        return failed("management interface", NO_MANAGEMENT_INTERFACE)
    return alias, rows


def _declared_is_missing(view: View) -> Finding | None:
    """The finding on a declared address that the node does not have; None when it has it, or when none is declared.

    Without its declared address a node has no management interface to judge: another one would only look like it.
    """
    declared = view.node.address
    if not declared:
        return None
    subject = "declared address"
    if address(declared) is None:
        return unjudged(subject, f"{declared} is declared, which is no IPv4 address", expected="IPv4", actual=declared)
    found = [str(row["IPAddress"]) for row in address_rows(view, view.node)]
    if declared in found:
        return None
    message = f"{view.node.name} does not have the declared address {declared}, but {', '.join(found)}"
    return failed(subject, message, expected=declared, actual=found)


@check("net.static_address", ADDRESSES, "net.ip_interfaces", ROUTES)
def static_address(view: View, _: NoParameters) -> Iterator[Finding]:
    """The management interface has a manual IPv4 address, no address from DHCP, and DHCP switched off.

    Where the site allows permanent reservations, the declared address may come from DHCP. That the reservation exists
    is the operator's word: no node can tell a reserved lease from another.
    """
    if view.profile is Profile.ACTIVE_DIRECTORY and view.site.network.management.dhcp is not False:
        raise NotApplicable("with Active Directory only where the site declares network.management.dhcp: false")
    management = _judged_management(view)
    if isinstance(management, Finding):
        yield management
        return
    alias, rows = management
    if not rows:
        yield failed(alias, f"{alias} has no IPv4 address", expected="a manual address", actual=None)
    for of_address in grouped(rows, "IPAddress").values():
        yield _origin(view, alias, of_address)
    yield _dhcp(view, alias, on_interface(active_rows(view, "net.ip_interfaces", view.node), alias))


def _origin(view: View, alias: str, rows: list[Row]) -> Finding:
    found, origin = rows[0]["IPAddress"], told(rows, "PrefixOrigin", str)
    subject = f"{alias} {found}"
    if origin is None:
        message = f"the origin of {found} on {alias} is not known: {spelled_values(rows, 'PrefixOrigin')}"
        return unjudged(subject, message, expected="Manual", actual=rows[0]["PrefixOrigin"])
    if _reservable(view) and origin == "Dhcp" and found == view.node.address:
        message = f"{found} on {alias} came from DHCP, which the site allows if the reservation is permanent"
        return passed(subject, message, expected=["Manual", "Dhcp"], actual="Dhcp")
    return judged(
        origin == "Manual",
        subject,
        if_good=f"{found} on {alias} was set by hand",
        if_bad=f"{found} on {alias} was not set by hand: its origin is {origin}",
        expected="Manual",
        actual=origin,
    )


def _dhcp(view: View, alias: str, interfaces: list[Row]) -> Finding:
    subject, dhcp = f"{alias} DHCP", told(interfaces, "Dhcp", str)
    if dhcp not in ("Disabled", "Enabled"):
        reason = f"the node does not tell whether DHCP is on on {alias}: {spelled_values(interfaces, 'Dhcp')}"
        return unjudged(subject, reason, expected="Disabled")
    if _reservable(view):
        message = f"DHCP is {dhcp.lower()} on {alias}; the site allows either"
        return passed(subject, message, expected=["Disabled", "Enabled"], actual=dhcp)
    return judged(
        dhcp == "Disabled",
        subject,
        if_good=f"DHCP is off on {alias}",
        if_bad=f"DHCP is on on {alias}",
        expected="Disabled",
        actual=dhcp,
    )


def _reservable(view: View) -> bool:
    return view.site.network.management.allow_dhcp_reservation


@check("net.one_management_address", ADDRESSES, ROUTES)
def one_management_address(view: View, _: NoParameters) -> Iterator[Finding]:
    """Exactly one address of the management interface can carry traffic and is preferred."""
    management = _judged_management(view)
    if isinstance(management, Finding):
        yield management
        return
    alias, rows = management
    states = {
        found: told(of_address, "AddressState", str) for (found,), of_address in grouped(rows, "IPAddress").items()
    }
    usable = sorted(found for found, state in states.items() if state == "Preferred")
    unknown = sorted(found for found, state in states.items() if state is None)
    if unknown and len(usable) <= 1:
        message = f"{alias} has {', '.join(unknown)}, and the node does not tell whether Windows uses it"
        yield unjudged(alias, message, expected="one address", actual=usable)
        return
    others = sorted(f"{found} ({state})" for found, state in states.items() if state not in (None, "Preferred"))
    left_out = f"; not usable: {', '.join(others)}" if others else ""
    count = f"{len(usable)} usable IPv4 addresses: {', '.join(usable)}" if usable else "no usable IPv4 address"
    yield judged(
        len(usable) == 1,
        alias,
        if_good=f"{''.join(usable)} is the one usable IPv4 address of {alias}{left_out}",
        if_bad=f"{alias} has {count}{left_out}",
        expected="one address",
        actual=usable,
    )


@check("net.address_on_first_adapter", ADDRESSES, ROUTES)
def address_on_first_adapter(view: View, _: NoParameters) -> Iterator[Finding]:
    """Address and default gateway sit on the first adapter of the management intent, or on its virtual adapter."""
    first = management_intent(view).adapters[0]
    expected = management_aliases(view)
    right = {alias.casefold() for alias in expected}
    found = {"address": _alias_of_address(view, right), "default gateway": _alias_of_gateway(view, right)}
    for subject, alias in found.items():
        yield judged(
            alias is not None and alias.casefold() in right,
            subject,
            if_good=f"the {subject} is on {alias}",
            if_bad=f"the {subject} is on {alias}, not on {first}, the first adapter of the management intent"
            if alias is not None
            else f"no interface of the node has the {subject}",
            expected=list(expected),
            actual=alias,
        )


def _alias_of_address(view: View, right: set[str]) -> str | None:
    """Where the declared address is; when none is declared, an interface with an address, a right one before others."""
    rows = addresses(view, view.node)
    if view.node.address:
        rows = [row for row in rows if row["IPAddress"] == view.node.address]
    return _preferably([str(row["InterfaceAlias"]) for row in rows], right)


def _alias_of_gateway(view: View, right: set[str]) -> str | None:
    return _preferably([str(row["InterfaceAlias"]) for row in active_rows(view, ROUTES, view.node)], right)


def _preferably(aliases: list[str], right: set[str]) -> str | None:
    return next(iter(sorted(aliases, key=lambda alias: alias.casefold() not in right)), None)


@check("net.address_in_subnet", ADDRESSES, ROUTES)
def address_in_subnet(view: View, _: NoParameters) -> Iterator[Finding]:
    """Every address of the management interface has the network and the prefix length of the infrastructure."""
    subnet = network(view.site.network.management.subnet)
    if subnet is None:
        text = view.site.network.management.subnet
        yield failed("subnet", f"the declared subnet {text!r} is no IPv4 network", expected="a network", actual=text)
        return
    missing = _declared_is_missing(view)
    if missing is not None:
        yield missing
        return
    alias, rows = _on_management(view)
    if alias is None or not rows:
        yield failed("management address", f"{alias or 'the node'} has no IPv4 address", expected=str(subnet))
    for of_address in grouped(rows, "IPAddress").values():
        yield _in_subnet(subnet, of_address)


def _in_subnet(subnet: IPNetwork, rows: list[Row]) -> Finding:
    found, length = str(rows[0]["IPAddress"]), told(rows, "PrefixLength", int)
    if length is None or length not in range(33):
        message = f"the prefix length of {found} is not known: {spelled_values(rows, 'PrefixLength')}"
        return unjudged(found, message, expected=str(subnet), actual=rows[0]["PrefixLength"])
    actual = IPNetwork(f"{found}/{length}")
    return judged(
        actual.cidr == subnet,
        found,
        if_good=f"{actual} is in {subnet}",
        if_bad=f"{actual} makes the network {actual.cidr}, not {subnet} of the infrastructure",
        expected=str(subnet),
        actual=str(actual.cidr),
    )


@check("net.management_has_ipv4", ADDRESSES, ROUTES)
def management_has_ipv4(view: View, _: NoParameters) -> Iterator[Finding]:
    """The management interface has an IPv4 address, and the declared one is IPv4. IPv6 beside it does no harm."""
    declared = view.node.address
    if declared and address(declared) is None:
        message = f"{declared} is declared, which is no IPv4 address"
        yield failed("declared address", message, expected="IPv4", actual=declared)
    alias, rows = _on_management(view)
    yield judged(
        bool(rows),
        "IPv4",
        if_good=f"{alias} has an IPv4 address",
        if_bad=f"{alias} has no IPv4 address" if alias else NO_MANAGEMENT_INTERFACE,
        expected="an IPv4 address",
        actual=[row["IPAddress"] for row in rows],
    )


@check("net.name_at_address", "system.computer")
def name_at_address(view: View, _: NoParameters) -> Iterator[Finding]:
    """The machine that answers at the declared address has the declared name.

    Judged by the DNS host name, because Windows cuts the computer name at 15 characters.
    """
    rows = view.rows("system.computer")
    actual = told(rows, "DNSHostName", str)
    if not actual:
        message = f"the machine at {view.node.address} does not tell its name"
        yield unjudged("computer name", message, expected=view.node.name, actual=[row["DNSHostName"] for row in rows])
        return
    yield judged(
        actual.casefold() == view.node.name.casefold(),
        "computer name",
        if_good=f"the machine at {view.node.address} is {actual}",
        if_bad=f"the machine at {view.node.address} is {actual}, not {view.node.name}",
        expected=view.node.name,
        actual=actual,
    )


@check("net.no_duplicate_address", ADDRESSES)
def no_duplicate_address(view: View, _: NoParameters) -> Iterator[Finding]:
    """Windows has tried each address of the node and found none of them in use by another machine.

    Only an address that is preferred or deprecated has been tried. One that is tentative has not, as all are on an
    adapter without a link: a link-local one there is nothing to judge, since Windows would take another.
    """
    for rows in grouped(address_rows(view, view.node), "InterfaceAlias", "IPAddress").values():
        found, alias, state = rows[0]["IPAddress"], rows[0]["InterfaceAlias"], told(rows, "AddressState", str)
        subject = f"{alias} {found}"
        if state == "Tentative" and is_within(found, LINK_LOCAL):
            yield irrelevant(subject, f"{found} on {alias} is link-local and not in use", actual=state)
        elif state not in ("Preferred", "Deprecated", "Duplicate"):
            message = f"whether another machine uses {found} on {alias} is not known"
            yield unjudged(subject, f"{message}: its state is {spelled_values(rows, 'AddressState')}", actual=state)
        else:
            yield judged(
                state != "Duplicate",
                subject,
                if_good=f"{found} on {alias} is {state}",
                if_bad=f"another machine uses {found} as well, which is on {alias} here",
                expected="no duplicate",
                actual=state,
            )


def link_local_addresses(view: View, alias: str) -> list[str]:
    """Link-local (APIPA) addresses on an interface of the node."""
    rows = on_interface(address_rows(view, view.node), alias)
    return [str(row["IPAddress"]) for row in rows if is_within(row["IPAddress"], LINK_LOCAL)]
