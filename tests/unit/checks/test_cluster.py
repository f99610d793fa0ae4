"""The cluster's name and witness, when nodes tell different things or nothing."""

from __future__ import annotations

from typing import Any

import pytest

from azpreflight.checks import cluster
from azpreflight.checks.view import NotObserved
from azpreflight.facts.observation import Status
from azpreflight.model import Outcome, Phase, TargetKind
from unit.checks.judging import outcomes_of, site_of, view_of

WITNESS = {"Type": "Cloud Witness", "State": 2}
ABSENT = {"exists": False, "keys": {}}


def name_resource(value: Any) -> dict[str, Any]:
    private = {"class": "MSCluster_Property", "properties": {"ADAware": value}}
    return {"Type": "Network Name", "CoreResource": True, "Id": "1", "PrivateProperties": private}


def hive(**values: Any) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    for key, value in values.items():
        keys[key] = {"Type": {"type": "REG_SZ", "data": "Network Name"}}
        keys[f"{key}\\Parameters"] = {"ADAware": {"type": "REG_DWORD", "data": value}}
    return {"exists": True, "keys": keys}


def judged(nodes: dict[str, dict[str, Any]]) -> dict[str, Outcome]:
    view = view_of(nodes=nodes, kind=TargetKind.CLUSTER, phase=Phase.POST_DEPLOY)
    return outcomes_of(cluster.name_is_kept_by_profile, view)


def test_every_node_is_judged_by_what_it_tells() -> None:
    good = {"cluster.core_resources": [name_resource(2)], "cluster.registry": ABSENT}
    assert judged({"N1": good, "N2": {}}) == {"N1": Outcome.PASS, "N2": Outcome.ERROR}


@pytest.mark.parametrize("status", [Status.NOT_PRESENT, Status.TIMED_OUT, Status.REFUSED])
def test_one_witness_is_enough(status: Status) -> None:
    by_cim = {"cluster.core_resources": [name_resource("2")], "cluster.registry": status}
    by_registry = {"cluster.core_resources": status, "cluster.registry": hive(a=2)}
    assert judged({"N1": by_cim, "N2": by_registry}) == {"N1": Outcome.PASS, "N2": Outcome.PASS}


def test_zero_is_a_value_and_neither_profile() -> None:
    facts = {"cluster.core_resources": [name_resource(0)], "cluster.registry": ABSENT}
    assert judged({"N1": facts, "N2": facts}) == {"N1": Outcome.FAIL, "N2": Outcome.FAIL}


def test_two_names_in_the_hive_that_nobody_can_tell_apart_are_no_witness() -> None:
    facts = {"cluster.core_resources": [], "cluster.registry": hive(a=2, b=1)}
    assert judged({"N1": facts, "N2": facts}) == {"N1": Outcome.ERROR, "N2": Outcome.ERROR}


def test_a_witness_is_judged_by_the_nodes_that_answer() -> None:
    nodes: dict[str, Any] = {
        "N1": {"cluster.core_resources": Status.TIMED_OUT},
        "N2": {"cluster.core_resources": [WITNESS]},
    }
    view = view_of(nodes=nodes, kind=TargetKind.CLUSTER, phase=Phase.POST_DEPLOY)
    assert outcomes_of(cluster.witness_is_online, view) == {"N2": Outcome.PASS}


def test_no_answer_from_any_node_is_not_a_missing_witness() -> None:
    view = view_of({"cluster.core_resources": Status.TIMED_OUT}, kind=TargetKind.CLUSTER)
    with pytest.raises(NotObserved):
        outcomes_of(cluster.witness_is_online, view)


def test_a_share_counts_only_where_no_cloud_witness_is_needed() -> None:
    share = {"Type": "File Share Witness", "State": 2}
    three = [{"name": f"N{n}", "address": f"192.0.2.{n}"} for n in (1, 2, 3)]
    declared = {"kind": "file-share", "path": "//files.edge.example/witness"}
    two = view_of({"cluster.core_resources": [share]}, site=site_of(witness=declared), kind=TargetKind.CLUSTER)
    assert set(outcomes_of(cluster.witness_is_online, two).values()) == {Outcome.FAIL}
    site = site_of(witness=declared, nodes=three)
    more = view_of({"cluster.core_resources": [share]}, site=site, kind=TargetKind.CLUSTER)
    assert set(outcomes_of(cluster.witness_is_online, more).values()) == {Outcome.PASS}


@pytest.mark.parametrize("states", [[None], [-1], ["2"], [True], [2, 4]])
def test_a_witness_whose_state_nobody_knows_is_not_judged(states: list[Any]) -> None:
    rows = [{"Type": "Cloud Witness", "State": state} for state in states]
    view = view_of({"cluster.core_resources": rows}, kind=TargetKind.CLUSTER)
    assert set(outcomes_of(cluster.witness_is_online, view).values()) == {Outcome.ERROR}


def test_a_cluster_without_resources_is_no_cluster_without_a_witness() -> None:
    with pytest.raises(NotObserved):
        outcomes_of(cluster.witness_is_online, view_of({"cluster.core_resources": []}, kind=TargetKind.CLUSTER))
