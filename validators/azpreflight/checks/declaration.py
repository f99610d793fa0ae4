"""What the declaration alone tells: names, counts, the witness, the Arc machines."""

from __future__ import annotations

import re
from collections.abc import Iterator

from azpreflight.checks.check import NoParameters, check, failed, judged, passed
from azpreflight.checks.identity import LONGEST_COMPUTER_NAME, malformed
from azpreflight.checks.view import NotApplicable, View
from azpreflight.model import Finding
from azpreflight.site.model import Hardware, Node, WitnessKind

CLUSTER_NAME_LENGTHS = range(3, 25)
NODES = range(1, 17)
NODES_LOW_CAPACITY = range(1, 4)
NODES_SWITCHLESS = range(1, 5)
NODES_SWITCHLESS_PORTAL = range(1, 4)
NEEDS_CLOUD_WITNESS = 2
_STORAGE_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_ARC_MACHINE = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)"
    r"/providers/Microsoft\.HybridCompute/machines/(?P<name>[^/]+)/?",
    re.IGNORECASE,
)


@check("declaration.cluster_name")
def cluster_name(view: View, _: NoParameters) -> Iterator[Finding]:
    """The cluster has a name of its own, of characters that a machine can have and a length that the template takes."""
    name = view.site.cluster.name
    if name is None:
        raise NotApplicable("the site does not declare cluster.name")
    if not name:
        yield failed("cluster name", "the name of the cluster is left empty", expected="a name", actual=name)
        return
    twins = [node.name for node in view.nodes if node.name.casefold() == name.casefold()]
    yield judged(
        not twins,
        "cluster name",
        if_good=f"no node is called {name}",
        if_bad=f"the cluster is called {name}, and so is a node",
        expected="no name of a node",
        actual=name,
    )
    faults = malformed(name)
    yield judged(
        not faults,
        "characters",
        if_good=f"{name} is made of letters, digits and inner hyphens",
        if_bad=f"{name} {' and '.join(faults)}",
        expected="letters, digits and inner hyphens, and not digits only",
        actual=name,
    )
    yield _length(name)


def _length(name: str) -> Finding:
    shortest, longest = CLUSTER_NAME_LENGTHS[0], CLUSTER_NAME_LENGTHS[-1]
    good = f"{name} has {len(name)} characters"
    if len(name) > LONGEST_COMPUTER_NAME:
        good += f", of which NetBIOS keeps {LONGEST_COMPUTER_NAME}: choose a shorter one"
    return judged(
        len(name) in CLUSTER_NAME_LENGTHS,
        "length",
        if_good=good,
        if_bad=f"{name} has {len(name)} characters, which the template does not take",
        expected=f"{shortest} to {longest} characters",
        actual=len(name),
    )


@check("declaration.node_count")
def node_count(view: View, _: NoParameters) -> Iterator[Finding]:
    """There are as many nodes as the system, its class of hardware and its storage network can have."""
    count = len(view.nodes)
    limits = {"system": NODES}
    if view.site.cluster.hardware is Hardware.LOW_CAPACITY:
        limits["low capacity"] = NODES_LOW_CAPACITY
    if view.site.network.storage.switchless:
        limits["switchless storage"] = NODES_SWITCHLESS
    for subject, allowed in limits.items():
        good = f"{count} nodes are possible"
        if subject == "switchless storage" and count not in NODES_SWITCHLESS_PORTAL:
            good += " with a template only, not in the portal"
        yield judged(
            count in allowed,
            subject,
            if_good=good,
            if_bad=f"{count} nodes are declared, and {allowed[-1]} are the most",
            expected=f"{allowed[0]} to {allowed[-1]}",
            actual=count,
        )


@check("declaration.witness")
def witness(view: View, _: NoParameters) -> Iterator[Finding]:
    """Two nodes have a cloud witness, and the storage account of a cloud witness has a valid name."""
    kind, account = view.site.witness.kind, view.site.witness.storage_account
    if kind is None:
        raise NotApplicable("the site does not declare witness.kind")
    if len(view.nodes) == NEEDS_CLOUD_WITNESS:
        yield judged(
            kind is WitnessKind.CLOUD,
            "witness",
            if_good="the two nodes have a cloud witness",
            if_bad=f"the two nodes need a cloud witness; declared is {kind}",
            expected=WitnessKind.CLOUD,
            actual=kind,
        )
    else:
        yield passed("witness", f"{len(view.nodes)} nodes do not need a cloud witness", actual=kind)
    if kind is not WitnessKind.CLOUD or account is None:
        return
    message = f"the storage account of the witness is {account}"
    if account and account == view.site.azure.diagnostics_storage_account:
        message += ", which also takes diagnostics; whether that is allowed, Microsoft's pages disagree"
    yield judged(
        _STORAGE_ACCOUNT.fullmatch(account) is not None,
        "storage account",
        if_good=message,
        if_bad=f"{account!r} cannot name a storage account" if account else "the storage account is left empty",
        expected="3 to 24 lower-case letters and digits",
        actual=account,
    )


@check("declaration.arc_machines")
def arc_machines(view: View, _: NoParameters) -> Iterator[Finding]:
    """Every node has an Arc machine of its name, and all of these are in one resource group."""
    if all(node.arc_resource_id is None for node in view.nodes):
        raise NotApplicable("the site does not declare arc_resource_id")
    groups: dict[str, str] = {}
    for node in view.nodes:
        machine = _ARC_MACHINE.fullmatch(node.arc_resource_id or "")
        yield _arc_machine(node, machine)
        if machine is not None:
            group = f"{machine['subscription']}/{machine['group']}"
            groups.setdefault(group.casefold(), group)
    if groups:
        told = " and ".join(sorted(groups.values()))
        yield judged(
            len(groups) == 1,
            "resource group",
            if_good=f"all Arc machines are in {told}",
            if_bad=f"the Arc machines are in different resource groups: {told}",
            expected="one subscription and resource group",
            actual=sorted(groups.values()),
        )


def _arc_machine(node: Node, machine: re.Match[str] | None) -> Finding:
    if machine is None:
        told = f"{node.arc_resource_id} is no Arc machine" if node.arc_resource_id else "no Arc machine is declared"
        return failed(node.name, f"for {node.name}, {told}", expected=node.name, actual=node.arc_resource_id)
    return judged(
        machine["name"].casefold() == node.name.casefold(),
        node.name,
        if_good=f"the Arc machine of {node.name} has its name",
        if_bad=f"the Arc machine that is declared for {node.name} is called {machine['name']}",
        expected=node.name,
        actual=machine["name"],
    )


@check("declaration.tenant_restrictions")
def tenant_restrictions(view: View, _: NoParameters) -> Iterator[Finding]:
    """Nothing on the way out adds the header of tenant restrictions, first version; the operator's word."""
    yield judged(
        view.site.azure.tenant_restrictions is False,
        "tenant restrictions",
        if_good="the site declares that nothing adds the header of tenant restrictions",
        if_bad="the site declares that the header of tenant restrictions v1 is added on the way out",
        expected=False,
        actual=view.site.azure.tenant_restrictions,
    )
