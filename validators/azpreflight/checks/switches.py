"""Virtual switches that exist before Network ATC makes its own."""

from __future__ import annotations

from collections.abc import Iterator

from azpreflight.checks.check import NoParameters, check, judged
from azpreflight.checks.interfaces import management_intent, virtual_adapter
from azpreflight.checks.view import NotApplicable, Row, View
from azpreflight.facts.observation import Status
from azpreflight.model import Finding
from azpreflight.site.model import Node, Traffic

SWITCHES = "hyperv.switches"
HOST_PORTS = "hyperv.host_ports"
ALLOCATIONS = "hyperv.port_allocations"


def virtual_switches(view: View, node: Node) -> list[Row]:
    """The virtual switches of a node; none where Hyper-V is not installed, which is normal before deployment."""
    if view.observation(SWITCHES, node).status is Status.NOT_PRESENT:
        return []
    return view.rows(SWITCHES, node)


@check("net.virtual_switch_names", SWITCHES, HOST_PORTS, ALLOCATIONS, "net.adapters")
def virtual_switch_names(view: View, _: NoParameters) -> Iterator[Finding]:
    """Virtual switches have the names that Network ATC would give, and each has a host adapter that is called alike.

    Letter case counts, because Network ATC compares it.
    """
    management = management_intent(view)
    switches = virtual_switches(view, view.node)
    if not switches:
        raise NotApplicable(f"{view.node.name} has no virtual switch")
    wanted = {
        f"ConvergedSwitch({intent.name})"
        for intent in view.site.network.intents or ()
        if {Traffic.MANAGEMENT, Traffic.COMPUTE} & set(intent.traffic)
    }
    ports = view.rows(HOST_PORTS)
    for switch in switches:
        yield from _switch(switch, wanted, _adapters_on(view, switch, ports))
    names = sorted(str(port["ElementName"]) for port in ports)
    yield judged(
        virtual_adapter(management) in names,
        "management adapter",
        if_good=f"the host has the adapter {virtual_adapter(management)}",
        if_bad=f"the host has no adapter {virtual_adapter(management)} on a switch, but {', '.join(names) or 'none'}",
        expected=virtual_adapter(management),
        actual=names,
    )
    for port in ports:
        yield _same_name(view.rows("net.adapters"), port)


def _switch(switch: Row, wanted: set[str], attached: list[str]) -> Iterator[Finding]:
    name = str(switch["ElementName"])
    yield judged(
        name in wanted,
        f"switch {name}",
        if_good=f"the virtual switch {name} has the name that its intent gives",
        if_bad=f"the virtual switch {name} is not called {' or '.join(sorted(wanted))}",
        expected=sorted(wanted),
        actual=name,
    )
    yield judged(
        bool(attached),
        f"switch {name} host adapter",
        if_good=f"the host is attached to {name} by {', '.join(attached)}",
        if_bad=f"the host has no adapter on the virtual switch {name}",
        expected="a host adapter",
        actual=attached,
    )


def _adapters_on(view: View, switch: Row, ports: list[Row]) -> list[str]:
    """Host adapters of a switch: allocations whose id begins with that of the switch, with the name of a host port."""
    names = {str(port["ElementName"]) for port in ports}
    prefix = f"Microsoft:{switch['Name']}\\".casefold()
    return sorted(
        str(row["ElementName"])
        for row in view.rows(ALLOCATIONS)
        if str(row["InstanceID"]).casefold().startswith(prefix) and str(row["ElementName"]) in names
    )


def _same_name(adapters: list[Row], port: Row) -> Finding:
    """Whether Windows calls an adapter as Hyper-V does. Both carry the same GUID."""
    name = str(port["ElementName"])
    guid = str(port["DeviceID"]).rpartition(":")[2].casefold()
    by_guid = [str(row["Name"]) for row in adapters if str(row["InterfaceGuid"]).casefold() == guid]
    return judged(
        name in (by_guid or [str(row["Name"]) for row in adapters]),
        f"adapter {name}",
        if_good=f"Windows calls the adapter {name} as Hyper-V does",
        if_bad=f"Hyper-V calls an adapter {name}, and Windows calls it {', '.join(by_guid) or 'something else'}",
        expected=name,
        actual=by_guid,
    )
