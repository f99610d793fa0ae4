"""The cluster as it was formed: how its name is kept, what its witness does."""

from __future__ import annotations

from collections.abc import Iterator

from azpreflight.checks.check import NoParameters, check, failed, judged, passed, unjudged
from azpreflight.checks.view import NotApplicable, NotObserved, Row, View
from azpreflight.model import Finding, Profile, Value
from azpreflight.site.model import Node, WitnessKind

AD_AWARE = {Profile.ACTIVE_DIRECTORY: 1, Profile.LOCAL_IDENTITY: 2}
"""The property ADAware of the cluster's network name, by profile; 0 would be neither."""

ONLINE = 2
"""MSCluster_Resource.State of a resource that is online."""

RESOURCE_TYPES = {WitnessKind.CLOUD: "Cloud Witness", WitnessKind.FILE_SHARE: "File Share Witness"}
NEEDS_WITNESS = 2
"""The number of nodes that cannot keep a majority without a witness."""


def core_name(view: View, node: Node) -> Row | None:
    """The core resource that is the cluster's network name. Found by type, since its own name is localised."""
    rows = view.rows("cluster.core_resources", node)
    return next((row for row in rows if row["Type"] == "Network Name" and row["CoreResource"] is True), None)


def _number(value: Value) -> int | None:
    # Members of an embedded object may come as text.
    return int(value) if str(value).isdigit() else None


def _from_cim(row: Row | None) -> int | None:
    private = row["PrivateProperties"] if row is not None and "PrivateProperties" in row else None
    return _number(private["properties"].get("ADAware")) if private else None


def _from_registry(view: View, node: Node, resource: str | None) -> int | None:
    """ADAware in the node's copy of the cluster hive: of the resource with that id, else of the one that has it."""
    tree = view.registry("cluster.registry", node)
    names = [key for key in tree.keys() if tree.get("Type", key=key) == "Network Name"]  # noqa: SIM118 - no mapping
    if resource is not None and len(names) > 1:
        names = [key for key in names if key.strip("{}").casefold() == resource.strip("{}").casefold()]
    values = {_number(tree.get("ADAware", key=f"{key}\\Parameters")) for key in names} - {None}
    return values.pop() if len(values) == 1 else None


def ad_aware(view: View, node: Node) -> dict[str, int]:
    """What each witness on a node tells of ADAware; one that does not tell is left out.

    Raises:
        NotObserved: neither witness could be asked.
    """
    told: dict[str, int | None] = {}
    missing: list[NotObserved] = []
    row: Row | None = None
    try:
        row = core_name(view, node)
        told["cluster service"] = _from_cim(row)
    except NotObserved as error:
        missing.append(error)
    try:
        resource = row["Id"] if row is not None and "Id" in row else None
        told["registry"] = _from_registry(view, node, resource)
    except NotObserved as error:
        missing.append(error)
    if not told:
        raise missing[0]
    return {witness: value for witness, value in told.items() if value is not None}


@check("cluster.name_is_kept_by_profile", "cluster.core_resources", "cluster.registry")
def name_is_kept_by_profile(view: View, _: NoParameters) -> Iterator[Finding]:
    """The cluster's network name has the ADAware of the profile: 2 with local identity, 1 with Active Directory."""
    expected = AD_AWARE[view.profile]
    for node in view.nodes:
        try:
            told = ad_aware(view, node)
        except NotObserved as error:
            yield unjudged(node.name, str(error))
            continue
        if not told:
            reason = f"{node.name} tells no ADAware: the value is at its default, or the cluster hive is not loaded"
            yield unjudged(node.name, reason, expected=expected)
            continue
        spelled = ", ".join(f"{value} by the {witness}" for witness, value in told.items())
        yield judged(
            set(told.values()) == {expected},
            node.name,
            if_good=f"ADAware is {spelled}",
            if_bad=f"ADAware is {spelled}, where the profile {view.profile} means {expected}",
            expected=expected,
            actual=told,
        )


@check("cluster.witness_is_online", "cluster.core_resources")
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
            answers[node.name] = [row for row in view.rows("cluster.core_resources", node) if row["Type"] == wanted]
        except NotObserved as error:
            silent.append(error)
    if not answers:
        raise silent[0]
    for node_name, rows in answers.items():
        if not rows:
            yield failed(node_name, f"{node_name} knows of no {wanted}", expected=wanted)
        for row in rows:
            if row["State"] == ONLINE:
                yield passed(
                    node_name, f"{node_name} tells that the {wanted} is online", expected=ONLINE, actual=ONLINE
                )
            else:
                message = f"{node_name} tells that the {wanted} is not online: state {row['State']}"
                yield failed(node_name, message, expected=ONLINE, actual=row["State"])
