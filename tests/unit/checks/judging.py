"""What the tests of checks share: a site, a view on given facts, and the findings of a check by their subjects."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Mapping
from typing import Any

import msgspec

from azpreflight.checks.check import Check, NoParameters
from azpreflight.checks.view import View
from azpreflight.facts.endpoints import EndpointTable
from azpreflight.facts.observation import Observation, Status
from azpreflight.model import Finding, Outcome, Phase, Target, TargetKind
from azpreflight.site.model import Site

STAGES = ("deployment", "post-deployment")
NOW = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.UTC)


def site_of(**changes: Any) -> Site:
    """A site of two nodes, N1 and N2, with some fields changed."""
    nodes = [{"name": "N1", "address": "192.0.2.11"}, {"name": "N2", "address": "192.0.2.12"}]
    declared = {"name": "lab", "profile": "local-identity", "nodes": nodes, **changes}
    return msgspec.convert(declared, Site)


def view_of(
    facts: Mapping[str, Any] | None = None,
    *,
    site: Site | None = None,
    nodes: Mapping[str, Mapping[str, Any]] | None = None,
    kind: TargetKind = TargetKind.NODE,
    phase: Phase = Phase.PRE_DEPLOY,
    tables: Mapping[str, EndpointTable] | None = None,
) -> View:
    """A view on N1, or on cluster or site. A fact that is a `Status` could not be had."""
    site = site or site_of()
    observations: dict[tuple[str, str], Observation] = {}
    for node in site.nodes:
        for name, value in {**(facts or {}), **(nodes or {}).get(node.name, {})}.items():
            status = value if isinstance(value, Status) else Status.OBSERVED
            observations[node.name, name] = Observation(
                fact=name,
                target=node.name,
                source="test",
                status=status,
                observed_at=NOW,
                value=value if status is Status.OBSERVED else None,
            )
    target = Target(kind, site.nodes[0].name if kind is TargetKind.NODE else site.name)
    return View(site, target, phase=phase, now=NOW, facts=observations, tables=tables or {}, site_facts=())


def findings_of(check: Check[Any], view: View, **parameters: Any) -> dict[str, Finding]:
    """What a check finds, by subject; no subject may come twice."""
    given = msgspec.convert(parameters, check.parameters) if parameters else NoParameters()
    found = list(check.judge(view, given))
    assert len({finding.subject for finding in found}) == len(found)
    return {finding.subject: finding for finding in found}


def outcomes_of(check: Check[Any], view: View, **parameters: Any) -> dict[str, Outcome]:
    """The outcomes of a check's findings, by subject."""
    return {subject: finding.outcome for subject, finding in findings_of(check, view, **parameters).items()}


def replaced(whole: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """A copy of `whole` with another value at `path`."""
    result = copy.deepcopy(whole)
    place = result
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return result


def table_of(*hosts: str, **rest: Any) -> EndpointTable:
    """A table of endpoints that every site needs, all alike but for their hosts."""
    alike = {
        "product": "azure-local",
        "service": "s",
        "clouds": ["AzureCloud"],
        "phases": list(STAGES),
        "sources": ["s"],
    }
    endpoints = [{"id": f"AZL-{number}", "host": host, **alike, **rest} for number, host in enumerate(hosts)]
    whole = {"date": "2026-01-01", "sources": {"s": {"title": "a title"}}, "endpoints": endpoints}
    return msgspec.convert(whole, EndpointTable, strict=False)
