"""Addresses of the nodes: where they come from, how many there are, where they sit."""

from __future__ import annotations

from collections.abc import Iterator

from netaddr import IPNetwork

from azpreflight.checks.check import NoParameters, check, failed, judged, passed, unjudged
from azpreflight.checks.interfaces import (
    LINK_LOCAL,
    NO_MANAGEMENT_INTERFACE,
    active_rows,
    addresses,
    management_aliases,
    management_intent,
    management_interface,
)
from azpreflight.checks.ranges import address, network
from azpreflight.checks.view import NotApplicable, Row, View
from azpreflight.model import Finding, Profile

ADDRESSES = "net.ip_addresses"
ROUTES = "net.default_routes"


def _on_management(view: View) -> tuple[str | None, list[Row]]:
    """The management interface of the node, and the addresses on it that can carry traffic."""
    alias = management_interface(view, view.node)
    return alias, [row for row in addresses(view, view.node) if row["InterfaceAlias"] == alias]


@check("net.static_address", ADDRESSES, "net.ip_interfaces", ROUTES)
def static_address(view: View, _: NoParameters) -> Iterator[Finding]:
    """The management interface has a manual IPv4 address, no address from DHCP, and DHCP switched off.

    Where the site allows permanent reservations, the declared address may come from DHCP. That the reservation exists
    is the operator's word: no node can tell a reserved lease from another.
    """
    if view.profile is Profile.ACTIVE_DIRECTORY and view.site.network.management.dhcp is not False:
        raise NotApplicable("with Active Directory only where the site declares network.management.dhcp: false")
    alias, rows = _on_management(view)
    if alias is None:
        yield failed("management interface", NO_MANAGEMENT_INTERFACE)
        return
    if not rows:
        yield failed(alias, f"{alias} has no IPv4 address", expected="a manual address", actual=None)
    for row in rows:
        yield _origin(view, alias, row)
    interfaces = [row for row in active_rows(view, "net.ip_interfaces", view.node) if row["InterfaceAlias"] == alias]
    if not interfaces:
        yield unjudged(f"{alias} DHCP", f"the node does not tell whether DHCP is on on {alias}", expected="Disabled")
    for interface in interfaces:
        yield _dhcp(view, alias, interface)


def _origin(view: View, alias: str, row: Row) -> Finding:
    subject, found = f"{alias} {row['IPAddress']}", row["IPAddress"]
    if _reservable(view) and row["PrefixOrigin"] == "Dhcp" and found == view.node.address:
        message = f"{found} on {alias} came from DHCP, which the site allows if the reservation is permanent"
        return passed(subject, message, expected=["Manual", "Dhcp"], actual="Dhcp")
    return judged(
        row["PrefixOrigin"] == "Manual",
        subject,
        if_good=f"{found} on {alias} was set by hand",
        if_bad=f"{found} on {alias} was not set by hand: its origin is {row['PrefixOrigin']}",
        expected="Manual",
        actual=row["PrefixOrigin"],
    )


def _dhcp(view: View, alias: str, interface: Row) -> Finding:
    subject = f"{alias} DHCP"
    if _reservable(view):
        message = f"DHCP is {str(interface['Dhcp']).lower()} on {alias}; the site allows either"
        return passed(subject, message, expected=["Disabled", "Enabled"], actual=interface["Dhcp"])
    return judged(
        interface["Dhcp"] == "Disabled",
        subject,
        if_good=f"DHCP is off on {alias}",
        if_bad=f"DHCP is on on {alias}",
        expected="Disabled",
        actual=interface["Dhcp"],
    )


def _reservable(view: View) -> bool:
    return view.site.network.management.allow_dhcp_reservation


@check("net.one_management_address", ADDRESSES, ROUTES)
def one_management_address(view: View, _: NoParameters) -> Iterator[Finding]:
    """Exactly one address of the management interface can carry traffic and is preferred."""
    alias, rows = _on_management(view)
    if alias is None:
        yield failed("management interface", NO_MANAGEMENT_INTERFACE)
        return
    usable = sorted({str(row["IPAddress"]) for row in rows if row["AddressState"] == "Preferred"})
    others = sorted(f"{row['IPAddress']} ({row['AddressState']})" for row in rows if row["AddressState"] != "Preferred")
    left_out = f"; not usable: {', '.join(others)}" if others else ""
    told = f"{len(usable)} usable IPv4 addresses: {', '.join(usable)}" if usable else "no usable IPv4 address"
    yield judged(
        len(usable) == 1,
        alias,
        if_good=f"{''.join(usable)} is the one usable IPv4 address of {alias}{left_out}",
        if_bad=f"{alias} has {told}{left_out}",
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
    alias, rows = _on_management(view)
    if alias is None or not rows:
        yield failed("management address", f"{alias or 'the node'} has no IPv4 address", expected=str(subnet))
    for row in rows:
        actual = IPNetwork(f"{row['IPAddress']}/{row['PrefixLength']}")
        yield judged(
            actual.cidr == subnet,
            str(row["IPAddress"]),
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
    if not rows:
        yield unjudged("computer name", f"the machine at {view.node.address} does not tell its name")
    for row in rows:
        actual = row["DNSHostName"]
        yield judged(
            isinstance(actual, str) and actual.casefold() == view.node.name.casefold(),
            "computer name",
            if_good=f"the machine at {view.node.address} is {actual}",
            if_bad=f"the machine at {view.node.address} is {actual}, not {view.node.name}",
            expected=view.node.name,
            actual=actual,
        )


@check("net.no_duplicate_address", ADDRESSES)
def no_duplicate_address(view: View, _: NoParameters) -> Iterator[Finding]:
    """Windows found none of the node's addresses in use by another machine."""
    rows = active_rows(view, ADDRESSES, view.node)
    if not rows:
        yield unjudged("addresses", "the node tells no IPv4 address")
        return
    for row in rows:
        subject = f"{row['InterfaceAlias']} {row['IPAddress']}"
        yield judged(
            row["AddressState"] != "Duplicate",
            subject,
            if_good=f"{row['IPAddress']} on {row['InterfaceAlias']} is {row['AddressState']}",
            if_bad=f"another machine uses {row['IPAddress']} as well, which is on {row['InterfaceAlias']} here",
            expected="no duplicate",
            actual=row["AddressState"],
        )


def link_local_addresses(view: View, alias: str) -> list[str]:
    """Link-local (APIPA) addresses on an interface of the node."""
    return [
        str(row["IPAddress"])
        for row in active_rows(view, ADDRESSES, view.node)
        if str(row["InterfaceAlias"]).casefold() == alias.casefold()
        and (parsed := address(row["IPAddress"])) is not None
        and parsed in LINK_LOCAL
    ]
