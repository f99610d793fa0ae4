"""What only a parameter file can declare: names that were left empty."""

from __future__ import annotations

import pytest

from azpreflight.checks import declaration
from azpreflight.model import Outcome, TargetKind
from azpreflight.site.model import Cluster, Witness, WitnessKind
from unit.checks.judging import findings_of, outcomes_of, site_of, view_of


def test_an_empty_cluster_name_fails_and_is_named() -> None:
    view = view_of(site=site_of(cluster=Cluster(name="")), kind=TargetKind.SITE)
    found = findings_of(declaration.cluster_name, view)
    assert found["cluster name"].outcome is Outcome.FAIL
    assert "left empty" in found["cluster name"].message


def test_an_empty_storage_account_fails() -> None:
    site = site_of(witness=Witness(kind=WitnessKind.CLOUD, storage_account=""))
    found = outcomes_of(declaration.witness, view_of(site=site, kind=TargetKind.CLUSTER))
    assert found == {"witness": Outcome.PASS, "storage account": Outcome.FAIL}


def test_a_storage_account_that_is_not_declared_is_no_mistake() -> None:
    site = site_of(witness={"kind": "cloud"})
    found = outcomes_of(declaration.witness, view_of(site=site, kind=TargetKind.CLUSTER))
    assert found == {"witness": Outcome.PASS}


def test_sixteen_nodes_and_no_more() -> None:
    nodes = [{"name": f"N{n}", "address": f"192.0.2.{n}"} for n in range(1, 18)]
    sixteen = view_of(site=site_of(nodes=nodes[:16]), kind=TargetKind.SITE)
    seventeen = view_of(site=site_of(nodes=nodes), kind=TargetKind.SITE)
    assert outcomes_of(declaration.node_count, sixteen) == {"system": Outcome.PASS}
    assert outcomes_of(declaration.node_count, seventeen) == {"system": Outcome.FAIL}


@pytest.mark.parametrize(
    "name", ["AZL_CL01", "azl.edge.example", "AZL CL01", "-AZL", "AZL-", "12345", "AZL-CL\u00e4", "CL\n"]
)
def test_a_cluster_is_called_as_a_machine_can_be(name: str) -> None:
    view = view_of(site=site_of(cluster=Cluster(name=name)), kind=TargetKind.SITE)
    assert outcomes_of(declaration.cluster_name, view)["characters"] is Outcome.FAIL
