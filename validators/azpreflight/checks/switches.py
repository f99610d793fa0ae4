"""Virtual switches that exist before Network ATC makes its own."""

from __future__ import annotations

from collections.abc import Iterator

from azpreflight.checks.agreement import named_rows, same
from azpreflight.checks.check import NoParameters, check, judged, unjudged
from azpreflight.checks.interfaces import management_intent, virtual_adapter
from azpreflight.checks.view import NotApplicable, NotObserved, Row, View
from azpreflight.facts.observation import Status
from azpreflight.model import Finding
from azpreflight.site.model import Node, Traffic

SWITCHES = "hyperv.switches"
HOST_PORTS = "hyperv.host_ports"
ALLOCATIONS = "hyperv.port_allocations"
ADAPTERS = "net.adapters"
SERVICES = "services.state"
HYPER_V = "vmms"
"""The service of Hyper-V; it is there if and only if Hyper-V is installed."""


def has_hyper_v(view: View, node: Node) -> bool:
    """Whether Hyper-V is installed, told by its service.

    That its classes are missing proves nothing: Windows gives the same fault to a query that it refuses.

    Raises:
        NotObserved: the node does not tell its services.
    """
    rows = named_rows(view, SERVICES, "Name", node=node)
    if not rows:
        raise NotObserved(SERVICES, node.name, Status.FAILED, "the node tells no service, not even WinRM")
    return any(same(row["Name"], HYPER_V) for row in rows)


def virtual_switches(view: View, node: Node) -> list[Row]:
    """The virtual switches of a node; none where Hyper-V is not installed, which is normal before deployment.

    Raises:
        NotObserved: Hyper-V is installed, and the node does not tell its switches.
    """
    if view.observation(SWITCHES, node).status is not Status.OBSERVED and not has_hyper_v(view, node):
        return []
    return named_rows(view, SWITCHES, "ElementName", "Name", node=node)


@check("net.virtual_switch_names", SERVICES, SWITCHES, HOST_PORTS, ALLOCATIONS, ADAPTERS)
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
    ports = named_rows(view, HOST_PORTS, "ElementName", "DeviceID")
    names = sorted({str(port["ElementName"]) for port in ports})
    for switch in switches:
        yield from _switch(str(switch["ElementName"]), wanted, _adapters_on(view, switch, set(names)))
    yield judged(
        virtual_adapter(management) in names,
        "management adapter",
        if_good=f"the host has the adapter {virtual_adapter(management)}",
        if_bad=f"the host has no adapter {virtual_adapter(management)} on a switch, but {', '.join(names) or 'none'}",
        expected=virtual_adapter(management),
        actual=names,
    )
    for port in ports:
        yield _same_name(view, port)


def _switch(name: str, wanted: set[str], attached: list[str]) -> Iterator[Finding]:
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


def _adapters_on(view: View, switch: Row, names: set[str]) -> list[str]:
    """Host adapters of a switch: allocations whose id begins with that of the switch, with the name of a host port."""
    prefix = f"Microsoft:{switch['Name']}\\".casefold()
    allocations = named_rows(view, ALLOCATIONS, "InstanceID", "ElementName")
    return sorted(
        {row["ElementName"] for row in allocations if row["InstanceID"].casefold().startswith(prefix)} & names
    )


def _same_name(view: View, port: Row) -> Finding:
    """Whether Windows calls an adapter as Hyper-V does. Both carry the same GUID."""
    name, adapters = str(port["ElementName"]), named_rows(view, ADAPTERS, "Name")
    subject = f"adapter {name}"
    if not adapters:
        return unjudged(subject, f"{view.node.name} tells no adapter, so not how Windows calls {name}", expected=name)
    guid = str(port["DeviceID"]).rpartition(":")[2].casefold()
    by_guid = [str(row["Name"]) for row in adapters if str(row["InterfaceGuid"]).casefold() == guid]
    return judged(
        name in (by_guid or [str(row["Name"]) for row in adapters]),
        subject,
        if_good=f"Windows calls the adapter {name} as Hyper-V does",
        if_bad=f"Hyper-V calls an adapter {name}, and Windows calls it {', '.join(by_guid) or 'something else'}",
        expected=name,
        actual=by_guid,
    )
