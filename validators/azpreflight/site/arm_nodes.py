"""The nodes of an ARM file, and which Arc machine stands for which."""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from azpreflight.errors import InputError
from azpreflight.model import Problem
from azpreflight.site.arm_parameters import Parameters
from azpreflight.site.arm_values import Reader, Slot
from azpreflight.site.formats import is_node_name
from azpreflight.site.model import Node

_ARC_MACHINE = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)"
    r"/providers/Microsoft\.HybridCompute/machines/(?P<name>[^/]+)/?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ArcMachine:
    """An Arc machine as its resource id tells it. The parts are None where the id is none."""

    id: str
    slot: Slot
    name: str | None = None
    subscription: str | None = None
    resource_group: str | None = None


def nodes_of(parameters: Parameters) -> tuple[Node, ...]:
    """The nodes with their addresses, without Arc machines; raises `InputError` when there is not one."""
    reader, slot = parameters.reader, parameters["physicalNodesSettings"]
    if slot.absent and not parameters["clusterNodeNames"].absent:
        # The templates that make the prerequisites as well read the addresses from the Arc machines.
        names = reader.items(parameters["clusterNodeNames"]) or ()
        nodes = tuple(Node(name=_name(reader, item, at), address="") for at, item in enumerate(names))
    else:
        items = reader.objects(slot, required=True) or ()
        nodes = tuple(_node(reader, item, at) for at, item in enumerate(items))
    if not nodes:
        message = f"no node is declared; list name and ipv4Address of every machine in {slot.name}"
        no_nodes = Problem(code="no-nodes", message=message, where=reader.where(slot))
        raise InputError(*(problem for problem in reader.problems if problem.where == no_nodes.where), no_nodes)
    return nodes


def _node(reader: Reader, item: Slot, at: int) -> Node:
    address = reader.address(item.member("ipv4Address"), required=True)
    return Node(name=_name(reader, item.member("name"), at), address=address or "")


def _name(reader: Reader, slot: Slot, at: int) -> str:
    name = reader.text(slot, required=True)
    if name and is_node_name(name):
        return name
    if name:
        reader.note("bad-value", slot, f"{slot.name} cannot be a computer name")
    # The node stays in the plan, under a name that is too long to pass for one that somebody chose.
    return f"not-filled-in-node-{at + 1}"


def arc_machines_of(parameters: Parameters) -> tuple[ArcMachine, ...]:
    """The Arc machines in the order of the file, without ids that are not filled in."""
    reader = parameters.reader
    machines: list[ArcMachine] = []
    for item in reader.items(parameters["arcNodeResourceIds"], required=True) or ():
        identifier = reader.text(item, required=True)
        if not identifier:
            continue
        parts = _ARC_MACHINE.fullmatch(identifier)
        if parts is None:
            reader.note("bad-value", item, f"{item.name} is not the resource id of an Arc machine")
            machines.append(ArcMachine(identifier, item))
        else:
            machines.append(ArcMachine(identifier, item, parts["name"], parts["subscription"], parts["group"]))
    groups = {(machine.subscription, machine.resource_group) for machine in machines if machine.name}
    if len({tuple(str(part).casefold() for part in group) for group in groups}) > 1:
        named = ", ".join(sorted({str(group) for _, group in groups}))
        message = f"the Arc machines are in different resource groups or subscriptions: {named}"
        reader.note("arc-resource-groups-differ", parameters["arcNodeResourceIds"], message)
    return tuple(machines)


def with_arc_machines(
    nodes: tuple[Node, ...], machines: tuple[ArcMachine, ...], parameters: Parameters
) -> tuple[Node, ...]:
    """The nodes with their Arc machines: of the same name, else at the same position where there are as many."""
    if not machines:
        return nodes
    reader = parameters.reader
    by_name: dict[str, int] = {}
    twice: set[int] = set()
    for at, machine in enumerate(machines):
        if machine.name and by_name.setdefault(machine.name.casefold(), at) != at:
            reader.note("duplicate-arc-machine", machine.slot, f"the Arc machine {machine.name!r} appears twice")
            twice.add(at)
    # By position, because the items of a list that is written as text all have the same place.
    matched: dict[str, int | None] = {node.name: by_name.get(node.name.casefold()) for node in nodes}
    taken = {at for at in matched.values() if at is not None} | twice
    for at, machine in enumerate(machines):
        if at in taken or machine.name is None:
            continue
        beside = nodes[at].name if len(machines) == len(nodes) and matched[nodes[at].name] is None else None
        names = beside or ", ".join(node.name for node in nodes)
        message = f"the Arc machine {machine.name!r} has the name of no node; beside it is declared: {names}"
        reader.note("arc-machine-name-differs", machine.slot, message)
    if len(machines) == len(nodes):
        for at, node in enumerate(nodes):
            if matched[node.name] is None and at not in taken:
                matched[node.name] = at
    for node in nodes:
        if matched[node.name] is None:
            message = f"no Arc machine is declared for the node {node.name!r}"
            reader.note("node-without-arc-machine", parameters["arcNodeResourceIds"], message)
    return tuple(
        msgspec.structs.replace(node, arc_resource_id=machines[found].id)
        if (found := matched[node.name]) is not None
        else node
        for node in nodes
    )
