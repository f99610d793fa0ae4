"""What a pack consists of, as it stands in its YAML files."""

from __future__ import annotations

import datetime
from typing import Annotated, Any

import msgspec

from azpreflight.facts.endpoints import EndpointTable, Product
from azpreflight.facts.observation import Status
from azpreflight.facts.query import FactName, Query
from azpreflight.model import (
    Citation,
    Frozen,
    Outcome,
    PackInfo,
    Phase,
    Profile,
    Remedy,
    Severity,
    TableInfo,
    TargetKind,
)

RuleId = Annotated[str, msgspec.Meta(pattern=r"^[A-Z][A-Z0-9]{1,7}-[A-Z][A-Z0-9]{0,7}-[0-9]{3}$")]
Text = Annotated[str, msgspec.Meta(min_length=3, max_length=1200)]
Title = Annotated[str, msgspec.Meta(min_length=3, max_length=120)]


class Rule(Frozen, kw_only=True):
    """One condition: what is judged, how bad its failure is, why it matters and what puts it right.

    severity: one, or one per profile. check: one, or one per phase where phases read different facts.
    with_: parameters of the check. requires: paths of the site (`network.dns.zone`) without which the rule is not
    applicable. sources: the requirement that is enforced. note: a caveat that readers of a result should see, for
    example sources that conflict.
    """

    id: RuleId
    title: Title
    severity: Severity | dict[Profile, Severity]
    phases: Annotated[tuple[Phase, ...], msgspec.Meta(min_length=1)]
    profiles: Annotated[tuple[Profile, ...], msgspec.Meta(min_length=1)] = tuple(Profile)
    target: TargetKind
    check: str | dict[Phase, str]
    with_: dict[str, Any] = msgspec.field(name="with", default_factory=dict)
    requires: tuple[str, ...] = ()
    why: Text
    remedy: Remedy
    sources: Annotated[tuple[Citation, ...], msgspec.Meta(min_length=1)]
    note: str | None = None
    aliases: tuple[RuleId, ...] = ()

    def check_for(self, phase: Phase) -> str:
        """The name of the check that judges this rule in `phase`."""
        return self.check if isinstance(self.check, str) else self.check[phase]

    def severity_for(self, profile: Profile) -> Severity:
        """The severity of a failure under `profile`; a blocker where the rule names none for it."""
        if isinstance(self.severity, Severity):
            return self.severity
        return self.severity.get(profile, Severity.BLOCKER)


class Area(Frozen):
    """One YAML file of a pack: rules, queries, or both."""

    rules: tuple[Rule, ...] = ()
    queries: dict[FactName, Query] = {}


class PackManifest(Frozen):
    """`pack.yaml`.

    requires: packs whose queries and tables the rules of this one use. products: those of which its rules speak, and
    of which it sees the endpoints; all when empty.
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{1,40}$")]
    version: Annotated[str, msgspec.Meta(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")]
    title: Title
    date: datetime.date
    requires: tuple[str, ...] = ()
    products: tuple[Product, ...] = ()


class Unobserved(Frozen):
    """In an example: a fact that could not be had, and why."""

    status: Status
    reason: str = "as the example has it"


class Example(Frozen):
    """Facts and the outcome that a rule must reach on them.

    phase: of the run; the first of the rule when None. site: a JSON merge patch on the pack's example site.
    facts: the facts of every node, or of the site. nodes: what differs on one node, by its name. unobserved: facts
    that could not be had, on every node. says: words that the result must contain.
    """

    name: str
    expect: Outcome
    phase: Phase | None = None
    site: dict[str, Any] = {}
    facts: dict[FactName, Any] = {}
    nodes: dict[str, dict[FactName, Any]] = {}
    unobserved: dict[FactName, Unobserved] = {}
    says: str | None = None


class ExampleFile(Frozen):
    """`examples/<area>.yaml`: examples by rule id."""

    examples: dict[RuleId, Annotated[tuple[Example, ...], msgspec.Meta(min_length=1)]]


class Pack(Frozen):
    """A pack, read and checked in itself.

    classes of files: rules and queries by their names, tables by file name without suffix, examples by rule id.
    table_infos: the identity of each table.
    """

    info: PackInfo
    title: str
    rules: tuple[Rule, ...]
    queries: dict[str, Query]
    tables: dict[str, EndpointTable]
    table_infos: dict[str, TableInfo]
    requires: tuple[str, ...]
    products: tuple[Product, ...]
    origins: dict[str, str]
