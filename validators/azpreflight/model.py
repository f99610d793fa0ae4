"""The words of azpreflight as types: what a rule is, what a result is, what a report is. No I/O.

The JSON schema of the report is generated from these types, so the names of the fields are a contract.
"""

from __future__ import annotations

import datetime
import enum
from typing import Any, TypeAlias, dataclass_transform

import msgspec

Value: TypeAlias = Any
"""A fact's value: plain JSON data, times as ISO 8601 text. `Any`, since msgspec knows no recursive alias for JSON."""


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class Frozen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every record: immutable, strict about its fields."""


class Severity(enum.StrEnum):
    """How bad it is when a rule fails. Belongs to the rule, never to a result."""

    BLOCKER = "blocker"
    WARNING = "warning"
    INFO = "info"

    def at_least(self, threshold: Severity) -> bool:
        """Whether this severity is as bad as `threshold` or worse."""
        order = list(Severity)
        return order.index(self) <= order.index(threshold)


class Outcome(enum.StrEnum):
    """What was found. `ERROR` means that it could not be judged, never that it is bad."""

    PASS = "pass"  # noqa: S105 - an outcome, no password
    FAIL = "fail"
    NOT_APPLICABLE = "not_applicable"
    ERROR = "error"


class Verdict(enum.StrEnum):
    """The one answer of a report."""

    READY = "ready"
    NOT_READY = "not_ready"
    INCONCLUSIVE = "inconclusive"


class Phase(enum.StrEnum):
    """When a rule is judged in the life of a deployment."""

    PRE_DEPLOY = "pre-deploy"
    POST_DEPLOY = "post-deploy"
    DAY_2 = "day-2"


class Profile(enum.StrEnum):
    """Who proves identities in the cluster."""

    LOCAL_IDENTITY = "local-identity"
    ACTIVE_DIRECTORY = "active-directory"


class TargetKind(enum.StrEnum):
    """What a result speaks of."""

    SITE = "site"
    NODE = "node"
    CLUSTER = "cluster"
    AZURE = "azure"


class Sureness(enum.StrEnum):
    """How well a way of reading a fact is confirmed."""

    DOCUMENTED = "documented"
    SEEN = "seen on a machine"
    KNOWN = "known only"


class Mode(enum.StrEnum):
    """Where the facts of a run came from."""

    LIVE = "live"
    RECORDING = "recording"
    SITE_ONLY = "site-only"


class Problem(Frozen):
    """Something odd about the run itself or its input, apart from any rule.

    code: stable, for programs. where: file with line and column, or JSON path, or the name of a node.
    """

    code: str
    message: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class Target(Frozen):
    """What a result speaks of: the site as declared, one node, the cluster, or something in Azure."""

    kind: TargetKind
    name: str

    def __str__(self) -> str:
        return self.name


class Finding(Frozen):
    """One observation inside a result. Its identity is (rule, target, subject), never its text."""

    subject: str
    outcome: Outcome
    message: str
    expected: Value = None
    actual: Value = None


class Evidence(Frozen):
    """A fact that a result rests on.

    source: where it came from. observed_at: UTC. value: plain data, bounded in size.
    sureness: how well the way of reading it is confirmed; None for what needs no such mark.
    note: what the value leaves out, None for nothing.
    """

    fact: str
    target: str
    source: str
    observed_at: datetime.datetime
    value: Value = None
    sureness: Sureness | None = None
    note: str | None = None


class Remedy(Frozen):
    """How to put a failure right: words, a command to paste, a page to read."""

    text: str
    command: str | None = None
    link: str | None = None


class Citation(Frozen):
    """The requirement that a rule enforces: document, section, date of the document."""

    title: str
    section: str | None = None
    date: str | None = None


class Waiver(Frozen):
    """A dated, reasoned acceptance of a failing result. It never hides the outcome.

    until: the last day, UTC, on which it holds.
    """

    reason: str
    owner: str
    until: datetime.date


class Result(Frozen):
    """The judgement of one rule on one target. Every planned pair has exactly one."""

    rule: str
    title: str
    pack: str
    severity: Severity
    target: Target
    outcome: Outcome
    reason: str | None
    message: str
    findings: tuple[Finding, ...]
    evidence: tuple[Evidence, ...]
    remedy: Remedy
    sources: tuple[Citation, ...]
    waiver: Waiver | None = None
    duration_ms: float = 0.0


class ToolInfo(Frozen):
    """What made the report."""

    name: str
    version: str


class PackInfo(Frozen):
    """A pack whose rules were judged. sha256: of the names and contents of its files."""

    name: str
    version: str
    sha256: str


class TableInfo(Frozen):
    """A table that was judged by. sha256: of its file. supplied: by the operator, in place of the pack's own."""

    name: str
    date: datetime.date
    sha256: str
    supplied: bool = False


class Redirection(Frozen):
    """A declared address that was reached somewhere else (`--connect-to`). Never changes what is judged."""

    declared: str
    reached_at: str


class RunInfo(Frozen):
    """When and how a run was made. Times are UTC; `now` is the moment that checks judge by.

    rules, skip: the selectors that were given; without any, all rules of the phase were judged.
    transport: how nodes were authenticated to, in a live run, and why where it was chosen.
    tables: those that the judged rules rest on.
    tls_unverified, directory_tls_unverified: certificates of nodes, of domain controllers, were accepted as they are.
    """

    id: str
    started_at: datetime.datetime
    finished_at: datetime.datetime
    now: datetime.datetime
    phase: Phase
    mode: Mode
    fail_on: Severity
    packs: tuple[PackInfo, ...]
    redirections: tuple[Redirection, ...] = ()
    tls_unverified: bool = False
    directory_tls_unverified: bool = False
    rules: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    transport: str | None = None
    tables: tuple[TableInfo, ...] = ()


class SiteInfo(Frozen):
    """The site that was judged. sha256: of the file as it was read."""

    name: str
    profile: Profile
    cluster: str | None
    nodes: tuple[str, ...]
    format: str
    sha256: str


class SeverityCounts(Frozen):
    """How many failing, unwaived results there are of each severity."""

    blocker: int = 0
    warning: int = 0
    info: int = 0


class Summary(Frozen, rename={"passed": "pass"}):
    """How many results there are of each outcome. waived: failing results with a waiver in force."""

    passed: int
    fail: int
    error: int
    not_applicable: int
    waived: int
    by_severity: SeverityCounts


class Report(Frozen):
    """Results plus one verdict: what every output is drawn from."""

    schema: str
    tool: ToolInfo
    run: RunInfo
    site: SiteInfo
    verdict: Verdict
    summary: Summary
    problems: tuple[Problem, ...]
    results: tuple[Result, ...]

    def to_json(self) -> str:
        """The canonical JSON text: two-space indented, ending in a newline. The same report gives the same text."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode() + "\n"

    @property
    def exit_code(self) -> int:
        """0 ready, 1 not ready, 3 could not be judged: what the command line returns."""
        return {Verdict.READY: 0, Verdict.NOT_READY: 1, Verdict.INCONCLUSIVE: 3}[self.verdict]
