"""The cluster as it was formed: how its name is kept, what its witness does."""

from __future__ import annotations

from collections.abc import Iterator

from azpreflight.checks.agreement import named_rows, spelled_values, told
from azpreflight.checks.check import NoParameters, check, failed, judged, unjudged
from azpreflight.checks.view import NotApplicable, NotObserved, Row, View
from azpreflight.facts.observation import Status
from azpreflight.model import Finding, Profile, Value
from azpreflight.site.model import Node, WitnessKind

AD_AWARE = {Profile.ACTIVE_DIRECTORY: 1, Profile.LOCAL_IDENTITY: 2}
"""The property ADAware of the cluster's network name, by profile; 0 would be neither."""

KNOWN = range(3)
"""What ADAware can be."""

ONLINE = 2
"""MSCluster_Resource.State of a resource that is online."""

RESOURCE_TYPES = {WitnessKind.CLOUD: "Cloud Witness", WitnessKind.FILE_SHARE: "File Share Witness"}
RESOURCES = "cluster.core_resources"
HIVE = "cluster.registry"
NEEDS_WITNESS = 2
"""The number of nodes that cannot keep a majority without a witness."""


def core_name(view: View, node: Node) -> Row | None:
    """The core resource that is the cluster's network name. Found by type, since its own name is localised."""
    rows = named_rows(view, RESOURCES, "Type", node=node)
    return next((row for row in rows if row["Type"] == "Network Name" and row["CoreResource"] is True), None)


def _number(value: Value) -> int | None:
    # Members of an embedded object may come as text.
    return int(value) if str(value).isdigit() else None


def _from_cim(row: Row | None) -> int | None:
    private = row["PrivateProperties"] if row is not None and "PrivateProperties" in row else None
    return _number(private["properties"].get("ADAware")) if private else None


def _from_registry(view: View, node: Node, resource: str | None) -> int | None:
    """ADAware in the node's copy of the cluster hive: of the resource with that id, else of the one that has it."""
    tree = view.registry(HIVE, node)
    types = {key: tree.get("Type", key=key) for key in tree.keys() if tree.has_value("Type", key=key)}  # noqa: SIM118
    if not all(isinstance(found, str) for found in types.values()):
        raise NotObserved(HIVE, node.name, Status.FAILED, "a resource in the cluster hive has no type")
    names = [key for key, found in types.items() if found == "Network Name"]
    if resource is not None and len(names) > 1:
        names = [key for key in names if key.strip("{}").casefold() == resource.strip("{}").casefold()]
    values = {_number(tree.get("ADAware", key=f"{key}\\Parameters")) for key in names} - {None}
    return values.pop() if len(values) == 1 else None


def ad_aware(view: View, node: Node) -> dict[str, int]:
    """What each witness on a node tells of ADAware; one that does not tell is left out.

    Raises:
        NotObserved: neither witness could be asked.
    """
    answers: dict[str, int | None] = {}
    missing: list[NotObserved] = []
    row: Row | None = None
    try:
        row = core_name(view, node)
        answers["cluster service"] = _from_cim(row)
    except NotObserved as error:
        missing.append(error)
    try:
        resource = row["Id"] if row is not None and "Id" in row else None
        answers["registry"] = _from_registry(view, node, resource)
    except NotObserved as error:
        missing.append(error)
    if not answers:
        raise missing[0]
    return {witness: value for witness, value in answers.items() if value is not None}


@check("cluster.name_is_kept_by_profile", RESOURCES, HIVE)
def name_is_kept_by_profile(view: View, _: NoParameters) -> Iterator[Finding]:
    """The cluster's network name has the ADAware of the profile: 2 with local identity, 1 with Active Directory."""
    expected = AD_AWARE[view.profile]
    for node in view.nodes:
        try:
            answers = ad_aware(view, node)
        except NotObserved as error:
            yield unjudged(node.name, str(error))
            continue
        if not answers:
            reason = f"{node.name} tells no ADAware: the value is at its default, or the cluster hive is not loaded"
            yield unjudged(node.name, reason, expected=expected)
            continue
        if any(value not in KNOWN for value in answers.values()):
            reason = f"{node.name} tells an ADAware that nobody knows: {answers}"
            yield unjudged(node.name, reason, expected=expected, actual=answers)
            continue
        spelled = ", ".join(f"{value} by the {witness}" for witness, value in answers.items())
        yield judged(
            set(answers.values()) == {expected},
            node.name,
            if_good=f"ADAware is {spelled}",
            if_bad=f"ADAware is {spelled}, where the profile {view.profile} means {expected}",
            expected=expected,
            actual=answers,
        )


def _core_resources(view: View, node: Node) -> list[Row]:
    """The core resources of the cluster, as a node tells them.

    Raises:
        NotObserved: there is none, although every cluster has a name.
    """
    rows = named_rows(view, RESOURCES, "Type", node=node)
    if not rows:
        raise NotObserved(RESOURCES, node.name, Status.FAILED, "the node tells no resource of the cluster")
    return rows


@check("cluster.witness_is_online", RESOURCES)
def witness_is_online(view: View, _: NoParameters) -> Iterator[Finding]:
    """The witness that the site wants, and a cloud witness in any case with two nodes, is online."""
    kind = WitnessKind.CLOUD if len(view.nodes) == NEEDS_WITNESS else view.site.witness.kind
    if kind is None or kind is WitnessKind.NONE:
        raise NotApplicable("the site wants no witness, and does not need one")
    wanted = RESOURCE_TYPES[kind]
    answers: dict[str, list[Row]] = {}
    silent: list[NotObserved] = []
    for node in view.nodes:
        try:
            answers[node.name] = [row for row in _core_resources(view, node) if row["Type"] == wanted]
        except NotObserved as error:
            silent.append(error)
    if not answers:
        raise silent[0]
    for node_name, rows in answers.items():
        yield _witness_state(node_name, wanted, rows)


def _witness_state(node_name: str, wanted: str, rows: list[Row]) -> Finding:
    if not rows:
        return failed(node_name, f"{node_name} knows of no {wanted}", expected=wanted)
    state = told(rows, "State", int)
    if state is None or state < 0:
        message = f"{node_name} does not tell the state of the {wanted}: {spelled_values(rows, 'State')}"
        return unjudged(node_name, message, expected=ONLINE, actual=state)
    return judged(
        state == ONLINE,
        node_name,
        if_good=f"{node_name} tells that the {wanted} is online",
        if_bad=f"{node_name} tells that the {wanted} is not online: state {state}",
        expected=ONLINE,
        actual=state,
    )
