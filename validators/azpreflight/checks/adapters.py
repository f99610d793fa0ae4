"""Adapters of the management intent: their links and their VLANs."""

from __future__ import annotations

from collections.abc import Iterator

from azpreflight.checks.addressing import ADDRESSES, ROUTES, link_local_addresses
from azpreflight.checks.check import NoParameters, check, failed, judged, unjudged
from azpreflight.checks.interfaces import (
    NO_MANAGEMENT_INTERFACE,
    management_intent,
    management_interface,
    virtual_adapter,
)
from azpreflight.checks.switches import ALLOCATIONS, SWITCHES, virtual_switches
from azpreflight.checks.view import NotApplicable, NotObserved, Row, View
from azpreflight.facts.observation import Status
from azpreflight.model import Finding
from azpreflight.site.model import Intent, Node

ADAPTERS = "net.adapters"
VLANS = "net.adapter_vlans"
PORT_VLANS = "hyperv.port_vlans"
PORT_ISOLATION = "hyperv.port_isolation"
UNTAGGED = 0


def _named(rows: list[Row], name: str) -> Row | None:
    return next((row for row in rows if str(row["Name"]).casefold() == name.casefold()), None)


@check("net.management_link", ADAPTERS, ADDRESSES, ROUTES)
def management_link(view: View, _: NoParameters) -> Iterator[Finding]:
    """The adapters of the management intent are up and connected, and the management interface has no APIPA address."""
    alias = management_interface(view, view.node)
    try:
        wanted = list(management_intent(view).adapters)
    except NotApplicable:
        wanted = [alias] if alias is not None else []
    rows = view.rows(ADAPTERS)
    for name in dict.fromkeys(wanted):
        yield from _link(name, _named(rows, name))
    if alias is None:
        yield failed("management interface", NO_MANAGEMENT_INTERFACE)
        return
    found = link_local_addresses(view, alias)
    yield judged(
        not found,
        f"{alias} link-local",
        if_good=f"{alias} has no link-local address",
        if_bad=f"{alias} has the link-local address {', '.join(found)}: DHCP gave none, or its own is in conflict",
        expected="none in 169.254.0.0/16",
        actual=found,
    )


def _link(name: str, row: Row | None) -> Iterator[Finding]:
    if row is None:
        yield failed(name, f"there is no adapter called {name}", expected="Up", actual=None)
        return
    for subject, found, good in (
        (name, row["InterfaceOperationalStatus"], "Up"),
        (f"{name} media", row["MediaConnectState"], "Connected"),
    ):
        yield judged(
            found == good,
            subject,
            if_good=f"{subject} is {good}",
            if_bad=f"{subject} is {found}, not {good}",
            expected=good,
            actual=found,
        )


@check("net.management_vlan", ADAPTERS, VLANS, SWITCHES, ALLOCATIONS, PORT_VLANS, PORT_ISOLATION)
def management_vlan(view: View, _: NoParameters) -> Iterator[Finding]:
    """All management adapters of all nodes have one VLAN, the declared one where one is declared."""
    intent = management_intent(view)
    found: dict[str, int] = {}
    for node in view.nodes:
        try:
            for name, vlan in _vlans(view, node, intent).items():
                if vlan is None:
                    yield unjudged(f"{node.name} {name}", f"{node.name} has no adapter called {name}")
                else:
                    found[f"{node.name} {name}"] = vlan
        except NotObserved as error:
            yield unjudged(node.name, str(error))
    declared = view.site.network.management.vlan
    if declared is not None:
        for subject, vlan in found.items():
            yield judged(
                vlan == declared,
                subject,
                if_good=f"{subject} has VLAN {vlan}, as declared",
                if_bad=f"{subject} has VLAN {vlan}, not {declared} as declared",
                expected=declared,
                actual=vlan,
            )
    elif found:
        yield _all_the_same(found)


def _all_the_same(found: dict[str, int]) -> Finding:
    vlans = sorted(set(found.values()))
    told = f"all management adapters have VLAN {vlans[0]}"
    each = ", ".join(f"{subject} has {vlan}" for subject, vlan in found.items())
    return judged(
        len(vlans) == 1,
        "management VLAN",
        if_good=told if vlans[0] == UNTAGGED else f"{told}; untagged (0) is recommended",
        if_bad=f"the management adapters have different VLANs: {each}",
        expected="the same VLAN",
        actual=found,
    )


def _vlans(view: View, node: Node, intent: Intent) -> dict[str, int | None]:
    """The VLAN of each adapter that carries management; None for an adapter that the node does not have.

    Where a virtual switch exists its host adapter carries management, and the VLAN is a setting of its port.
    """
    virtual = virtual_adapter(intent)
    if virtual_switches(view, node):
        for row in view.rows(ALLOCATIONS, node):
            if str(row["ElementName"]).casefold() == virtual.casefold():
                return {virtual: _port_vlan(view, node, str(row["InstanceID"]))}
    adapters, settings = view.rows(ADAPTERS, node), view.rows(VLANS, node)
    return {name: _adapter_vlan(node, _named(adapters, name), _named(settings, name)) for name in intent.adapters}


def _adapter_vlan(node: Node, adapter: Row | None, setting: Row | None) -> int | None:
    """By the driver's setting; by the adapter where the driver has no such setting. Empty is untagged."""
    if adapter is None:
        return None
    if setting is None:
        return UNTAGGED if adapter["VlanID"] is None else int(adapter["VlanID"])
    text = next(iter(setting["RegistryValue"] or ()), "")
    if not text:
        return UNTAGGED
    if not text.isdecimal():
        raise NotObserved(VLANS, node.name, Status.FAILED, f"{adapter['Name']} has a VLAN that is no number: {text}")
    return int(text)


def _port_vlan(view: View, node: Node, port: str) -> int:
    """Isolation goes before the VLAN setting; a port without either is untagged."""
    for row in view.rows(PORT_ISOLATION, node):
        if _belongs(row, port) and row["IsolationMode"] == "VLAN":
            return int(row["DefaultIsolationId"])
    for row in view.rows(PORT_VLANS, node):
        if _belongs(row, port):
            if row["OperationMode"] != "Access":
                reason = f"the management port is in mode {row['OperationMode']}"
                raise NotObserved(PORT_VLANS, node.name, Status.FAILED, reason)
            return int(row["AccessVlanId"])
    return UNTAGGED


def _belongs(row: Row, port: str) -> bool:
    """The id of a port's setting begins with the id of the port."""
    return str(row["InstanceID"]).casefold().startswith(f"{port}\\".casefold())
