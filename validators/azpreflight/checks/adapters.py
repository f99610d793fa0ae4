"""Adapters of the management intent: their links and their VLANs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from azpreflight.checks.addressing import ADDRESSES, ROUTES, link_local_addresses
from azpreflight.checks.agreement import named_rows, same, spelled_values, told
from azpreflight.checks.check import NoParameters, check, failed, judged, unjudged
from azpreflight.checks.interfaces import (
    NO_MANAGEMENT_INTERFACE,
    management_intent,
    management_interface,
    virtual_adapter,
)
from azpreflight.checks.switches import ADAPTERS, ALLOCATIONS, SERVICES, SWITCHES, virtual_switches
from azpreflight.checks.view import NotApplicable, NotObserved, Row, View
from azpreflight.facts.observation import Status
from azpreflight.model import Finding, Frozen
from azpreflight.site.model import Intent, Node

VLANS = "net.adapter_vlans"
PORT_VLANS = "hyperv.port_vlans"
PORT_ISOLATION = "hyperv.port_isolation"
UNTAGGED = 0
IDS = range(4096)


UNKNOWN = "Unknown"
"""What Windows itself calls a state that it does not know."""


class Vlan(Frozen, frozen=True):
    """The VLAN of one adapter, or why it is not known."""

    id: int | None
    reason: str = ""


def _adapters(view: View, node: Node) -> list[Row]:
    """The adapters of a node.

    Raises:
        NotObserved: there is none, although the node was reached by one.
    """
    rows = named_rows(view, ADAPTERS, "Name", node=node)
    if not rows:
        raise NotObserved(ADAPTERS, node.name, Status.FAILED, "the node tells no adapter")
    return rows


def _named(rows: list[Row], name: str) -> list[Row]:
    return [row for row in rows if same(row["Name"], name)]


@check("net.management_link", ADAPTERS, ADDRESSES, ROUTES)
def management_link(view: View, _: NoParameters) -> Iterator[Finding]:
    """The adapters of the management intent are up and connected, and the management interface has no APIPA address."""
    alias = management_interface(view, view.node)
    try:
        wanted = list(management_intent(view).adapters)
    except NotApplicable:
        wanted = [alias] if alias is not None else []
    rows = _adapters(view, view.node)
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


def _link(name: str, rows: list[Row]) -> Iterator[Finding]:
    if not rows:
        yield failed(name, f"there is no adapter called {name}", expected="Up", actual=None)
        return
    for subject, state, good in (
        (name, "InterfaceOperationalStatus", "Up"),
        (f"{name} media", "MediaConnectState", "Connected"),
    ):
        found = told(rows, state, str)
        if found in (None, UNKNOWN):
            message = f"{subject}: its state is not known: {spelled_values(rows, state)}"
            yield unjudged(subject, message, expected=good, actual=found)
            continue
        yield judged(
            found == good,
            subject,
            if_good=f"{subject} is {good}",
            if_bad=f"{subject} is {found}, not {good}",
            expected=good,
            actual=found,
        )


@check("net.management_vlan", SERVICES, ADAPTERS, VLANS, SWITCHES, ALLOCATIONS, PORT_VLANS, PORT_ISOLATION)
def management_vlan(view: View, _: NoParameters) -> Iterator[Finding]:
    """All management adapters of all nodes have one VLAN, the declared one where one is declared."""
    intent = management_intent(view)
    found: dict[str, int] = {}
    for node in view.nodes:
        try:
            for name, vlan in _vlans(view, node, intent).items():
                if vlan.id is None:
                    yield unjudged(f"{node.name} {name}", f"{node.name} {name}: {vlan.reason}")
                else:
                    found[f"{node.name} {name}"] = vlan.id
        except NotObserved as error:
            yield unjudged(node.name, str(error))
    declared = view.site.network.management.vlan
    if declared is not None:
        for subject, number in found.items():
            yield judged(
                number == declared,
                subject,
                if_good=f"{subject} has VLAN {number}, as declared",
                if_bad=f"{subject} has VLAN {number}, not {declared} as declared",
                expected=declared,
                actual=number,
            )
    elif found:
        yield _all_the_same(found)


def _all_the_same(found: dict[str, int]) -> Finding:
    vlans = sorted(set(found.values()))
    all_have = f"all management adapters have VLAN {vlans[0]}"
    each = ", ".join(f"{subject} has {vlan}" for subject, vlan in found.items())
    return judged(
        len(vlans) == 1,
        "management VLAN",
        if_good=all_have if vlans[0] == UNTAGGED else f"{all_have}; untagged (0) is recommended",
        if_bad=f"the management adapters have different VLANs: {each}",
        expected="the same VLAN",
        actual=found,
    )


def _vlans(view: View, node: Node, intent: Intent) -> dict[str, Vlan]:
    """The VLAN of each adapter that carries management.

    Where a virtual switch exists its host adapter carries management, and the VLAN is a setting of its port.
    """
    virtual = virtual_adapter(intent)
    if virtual_switches(view, node):
        allocations = named_rows(view, ALLOCATIONS, "ElementName", "InstanceID", node=node)
        ports = {str(row["InstanceID"]) for row in allocations if same(row["ElementName"], virtual)}
        if len(ports) > 1:
            return {virtual: Vlan(None, f"{len(ports)} ports of virtual switches have this name")}
        for port in ports:
            return {virtual: _port_vlan(view, node, port)}
    adapters, settings = _adapters(view, node), named_rows(view, VLANS, "Name", node=node)
    return {name: _adapter_vlan(_named(adapters, name), _named(settings, name)) for name in intent.adapters}


def _adapter_vlan(adapters: list[Row], settings: list[Row]) -> Vlan:
    """By the driver's setting; by the adapter where the driver has no such setting, which then cannot tag."""
    if not adapters:
        return Vlan(None, "there is no such adapter")
    if not settings:
        without = all(row["VlanID"] is None for row in adapters)
        return Vlan(UNTAGGED) if without else _number(adapters, "VlanID")
    texts = told(settings, "RegistryValue", list) or []
    text = texts[0] if len(texts) == 1 else None
    if not isinstance(text, str) or re.fullmatch(r"[0-9]{1,4}", text) is None or int(text) not in IDS:
        return Vlan(None, f"its VLAN setting is no number: {spelled_values(settings, 'RegistryValue')}")
    return Vlan(int(text))


def _port_vlan(view: View, node: Node, port: str) -> Vlan:
    """Isolation goes before the VLAN setting; a port without either is untagged."""
    isolation = [row for row in named_rows(view, PORT_ISOLATION, "InstanceID", node=node) if _belongs(row, port)]
    mode = told(isolation, "IsolationMode", str)
    if isolation and mode not in ("None", "VLAN"):
        return Vlan(None, f"its isolation is in mode {spelled_values(isolation, 'IsolationMode')}")
    if mode == "VLAN":
        return _number(isolation, "DefaultIsolationId")
    settings = [row for row in named_rows(view, PORT_VLANS, "InstanceID", node=node) if _belongs(row, port)]
    if not settings:
        return Vlan(UNTAGGED)
    if told(settings, "OperationMode", str) != "Access":
        return Vlan(None, f"the management port is in mode {spelled_values(settings, 'OperationMode')}")
    return _number(settings, "AccessVlanId")


def _number(rows: list[Row], name: str) -> Vlan:
    number = told(rows, name, int)
    if number is None or number not in IDS:
        return Vlan(None, f"{name} is no VLAN: {spelled_values(rows, name)}")
    return Vlan(number)


def _belongs(row: Row, port: str) -> bool:
    """The id of a port's setting begins with the id of the port."""
    return str(row["InstanceID"]).casefold().startswith(f"{port}\\".casefold())
