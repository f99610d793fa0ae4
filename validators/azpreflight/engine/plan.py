"""The plan: every pair of rule and target that will be judged, and every fact that has to be had. Contacts nobody."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from azpreflight.checks.check import Check
from azpreflight.errors import InputError, unknown
from azpreflight.facts.collection import Collection, with_dependencies
from azpreflight.facts.endpoints import EndpointTable, needed
from azpreflight.facts.query import CurlQuery, HttpQuery, Query
from azpreflight.model import Frozen, PackInfo, Phase, Problem, Profile, Severity, TableInfo, Target, TargetKind
from azpreflight.packs.load import PackSet
from azpreflight.packs.model import Rule
from azpreflight.registry import Registry
from azpreflight.site.model import LoadedSite, Site
from azpreflight.site.references import declared


@dataclass(frozen=True)
class Selection:
    """Which rules are wanted.

    Attributes:
        phase: only rules of this phase.
        rules: globs of rule ids (or old ids) to take; all when empty.
        skip: globs of rule ids to leave out.
        site_only: only rules that need nothing but the declaration.
        from_operator: whether rules get the second opinion of the machine that runs azpreflight, where they have one.
    """

    phase: Phase = Phase.PRE_DEPLOY
    rules: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    site_only: bool = False
    from_operator: bool = False


@dataclass(frozen=True)
class Pair:
    """One rule on one target. Becomes exactly one result.

    Attributes:
        rule: the rule. pack: the name of its pack.
        target: what it is judged on.
        severity: of a failure, under the profile of the site.
        check: what judges it. parameters: what it is given.
        facts: what it reads. tables: of its pack.
        not_applicable: why there is nothing to judge; None when there is.
    """

    rule: Rule
    pack: str
    target: Target
    severity: Severity
    check: Check[Any]
    parameters: Frozen
    facts: tuple[str, ...]
    tables: Mapping[str, EndpointTable]
    not_applicable: str | None = None


@dataclass(frozen=True)
class Plan:
    """Everything that a run will do, before it does anything.

    Attributes:
        loaded: the site. selection: which rules are wanted.
        pairs: what will be judged. collection: what will be asked.
        packs: those that have a part in it. tables: those that decide what is asked.
    """

    loaded: LoadedSite
    selection: Selection
    pairs: tuple[Pair, ...]
    collection: Collection
    packs: tuple[PackInfo, ...]
    tables: tuple[TableInfo, ...]


def make_plan(loaded: LoadedSite, packs: PackSet, checks: Registry[Check[Any]], selection: Selection) -> Plan:
    """Work out the plan.

    Raises:
        InputError: a selector matches no rule, nothing at all is left to judge, or a table that was supplied names
            nothing that the site needs.
    """
    site = loaded.site
    pairs = [pair for rule in _selected(packs, selection) for pair in _pairs(rule, packs, checks, selection, site)]
    if not pairs:
        only = " that needs the declaration alone" if selection.site_only else ""
        message = f"no rule of phase {selection.phase}{only} is left to judge"
        raise InputError(Problem(code="no-rules", message=message, where="selection"))
    wanted = {fact for pair in pairs if pair.not_applicable is None for fact in pair.facts}
    queries = with_dependencies(wanted, packs.queries)
    tables = {name: table for name in queries if (table := packs.table_of(name)) is not None}
    infos = tuple(packs.table_infos[name] for name in sorted(_tables_of(queries.values())))
    if any(info.supplied for info in infos):
        _require_of_use(tables.values(), site, selection.phase)
    used = {pair.pack for pair in pairs}
    return Plan(
        loaded=loaded,
        selection=selection,
        pairs=tuple(sorted(pairs, key=lambda pair: (pair.rule.id, pair.target.kind, pair.target.name))),
        collection=Collection(
            site=site,
            phase=selection.phase,
            queries=queries,
            tables=tables,
            classes=packs.classes,
        ),
        packs=tuple(
            sorted(
                (pack.info for pack in packs.packs if pack.info.name in used or pack.queries or pack.tables),
                key=lambda info: info.name,
            )
        ),
        tables=infos,
    )


def _pairs(
    rule: Rule, packs: PackSet, checks: Registry[Check[Any]], selection: Selection, site: Site
) -> Iterator[Pair]:
    """A rule on each of its targets; on none where it needs more than is looked at."""
    check = checks.find(rule.check_for(selection.phase), where=packs.origins[rule.id])
    parameters = msgspec.convert(rule.with_, check.parameters)
    facts = check.facts(parameters)
    if selection.site_only and facts:
        return
    if not selection.from_operator:
        facts = tuple(fact for fact in facts if not packs.queries[fact].advisory)
    pack = packs.pack_of[rule.id]
    for target in _targets(rule, site):
        yield Pair(
            rule=rule,
            pack=pack.info.name,
            target=target,
            severity=rule.severity_for(site.profile),
            check=check,
            parameters=parameters,
            facts=facts,
            tables=packs.tables_of(pack),
            not_applicable=_not_applicable(rule, site),
        )


def _require_of_use(tables: Iterable[EndpointTable], site: Site, phase: Phase) -> None:
    """Raise `InputError` for a supplied table of something else: nothing would be asked, and nothing would fail."""
    for table in tables:
        # What a service or a vendor asks for comes beside what the cluster itself does.
        own = [found for found in needed(table, site, phase) if not found.services and found.vendor is None]
        if not own or table.listed_regions(site.azure.cloud) == ():
            message = (
                f"the table names no endpoint that this site needs by itself in phase {phase} in {site.azure.cloud}: "
                "it is of another product or cloud, perhaps"
            )
            raise InputError(Problem(code="no-effect", message=message, where="--endpoints"))


def _tables_of(queries: Iterable[Query]) -> set[str]:
    """The names of the tables that queries are asked by."""
    reads = (query.read for query in queries)
    return {read.table for read in reads if isinstance(read, (CurlQuery, HttpQuery)) and read.table is not None}


def _selected(packs: PackSet, selection: Selection) -> Iterable[Rule]:
    taken = _matching(packs, selection.rules, "--rule") if selection.rules else set(packs.rules)
    left_out = _matching(packs, selection.skip, "--skip") if selection.skip else set()
    for rule_id, rule in sorted(packs.rules.items()):
        if rule_id in taken - left_out and selection.phase in rule.phases:
            yield rule


def _matching(packs: PackSet, globs: Sequence[str], option: str) -> set[str]:
    """Rules whose id or old id matches one of the globs. A glob that matches nothing is a mistake, never a silence."""
    names = {**{rule_id: rule_id for rule_id in packs.rules}, **packs.aliases}
    found: set[str] = set()
    problems: list[Problem] = []
    for glob in globs:
        matched = {rule for name, rule in names.items() if fnmatch.fnmatchcase(name, glob.upper())}
        if not matched:
            problems.append(unknown("rule", glob, names, where=option))
        found |= matched
    if problems:
        raise InputError(*problems)
    return found


def _targets(rule: Rule, site: Site) -> list[Target]:
    match rule.target:
        case TargetKind.NODE:
            return [Target(kind=TargetKind.NODE, name=node.name) for node in site.nodes]
        case TargetKind.CLUSTER:
            return [Target(kind=TargetKind.CLUSTER, name=site.cluster.name or site.name)]
        case _:
            return [Target(kind=rule.target, name=site.name)]


def _not_applicable(rule: Rule, site: Site) -> str | None:
    if site.profile not in rule.profiles:
        other = {Profile.LOCAL_IDENTITY: "local identity", Profile.ACTIVE_DIRECTORY: "Active Directory"}
        return f"only for {' and '.join(other[profile] for profile in rule.profiles)}"
    missing = [path for path in rule.requires if not declared(site, path)]
    return f"the site does not declare {', '.join(missing)}" if missing else None
