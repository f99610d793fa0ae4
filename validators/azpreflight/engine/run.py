"""A whole run: plan, gather (or replay), judge, report."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

from azpreflight.checks.builtin import check_registry
from azpreflight.checks.check import Check
from azpreflight.connect import Redirections
from azpreflight.credentials import Credential
from azpreflight.engine.directory import is_unverified
from azpreflight.engine.gather import Facts, Limits, gather
from azpreflight.engine.judge import judge
from azpreflight.engine.plan import Plan, Selection, make_plan
from azpreflight.engine.report import make_report
from azpreflight.engine.transport import Choice, choose, without_password
from azpreflight.errors import InputError
from azpreflight.facts.collection import NodeSource, SiteSource, utc_now
from azpreflight.facts.recording import SCHEMA as RECORDING_SCHEMA
from azpreflight.facts.recording import Recording, RecordingManifest, write_recording
from azpreflight.model import Mode, Problem, Report, RunInfo, Severity, TableInfo, ToolInfo
from azpreflight.packs.lint import require_valid
from azpreflight.packs.load import load_packs
from azpreflight.redact import Redactor
from azpreflight.registry import Registry
from azpreflight.site.model import LoadedSite, Transport

Progress = Callable[[str, bool], None]

TABLE_DAYS = 180
"""azpreflight's own threshold: the published lists of endpoints change every few months."""


def tool_info() -> ToolInfo:
    """Name and version of this package; an uninstalled checkout has no version."""
    try:
        return ToolInfo(name="azpreflight", version=version("azpreflight"))
    except PackageNotFoundError:
        return ToolInfo(name="azpreflight", version="0+checkout")


@dataclass(frozen=True)
class Options:
    """How a run is made.

    Attributes:
        selection: which rules.
        packs: names of packs; all that come along when empty. pack_folders: further packs by folder.
        fail_on: from which severity on a failure makes the site not ready.
        now: the moment to judge by; the moment of the run when None.
        redirections: where declared addresses are reached.
        limits: how much at once, and for how long.
        transport: how to authenticate; what the site says when None.
        try_all_nodes: whether nodes are still tried after one has rejected the credential.
        endpoints: a table of endpoints in place of the packs' own.
    """

    selection: Selection = field(default_factory=Selection)
    packs: tuple[str, ...] = ()
    pack_folders: tuple[Path, ...] = ()
    fail_on: Severity = Severity.BLOCKER
    now: datetime.datetime | None = None
    redirections: Redirections = field(default_factory=Redirections)
    limits: Limits = field(default_factory=Limits)
    transport: Transport | None = None
    try_all_nodes: bool = False
    endpoints: Path | None = None


class Preflight:
    """A site, planned. Judge it live, from a recording or by its declaration alone; or collect its facts.

    Attributes:
        plan: what will be judged and asked.
    """

    def __init__(self, loaded: LoadedSite, options: Options) -> None:
        """Read the packs, hold them to account and make the plan. Contacts nobody.

        Raises:
            InputError: a mistake in a pack, a selector or an option.
        """
        self.options = options
        self._loaded = loaded
        packs = load_packs(options.packs, folders=options.pack_folders, endpoints=options.endpoints)
        checks: Registry[Check[Any]] = check_registry()
        require_valid(packs, checks)
        options.redirections.require_declared(loaded.site)
        self.plan: Plan = make_plan(loaded, packs, checks, options.selection)
        self._transport: Choice | None = None
        self._closing = contextlib.ExitStack()
        self._problems: list[Problem] = [*loaded.problems, *checks.problems]

    def passwordless(self, username: str | None = None, *, has_password: bool = False) -> Credential | None:
        """The credential of a live run that needs no password: a client certificate, a Kerberos ticket; else None.

        Args:
            username: who was asked for, None when nobody was.
            has_password: whether a password was given; it goes before a ticket.

        Raises:
            InputError: the transport cannot be used, whatever the credential.
        """
        wanted = self.options.transport or self._loaded.site.winrm.transport
        return without_password(wanted, self._loaded.site, username, has_password=has_password)

    def run(
        self, credential: Credential, progress: Progress | None = None, *, directory: Credential | None = None
    ) -> Report:
        """Collect live facts and judge them.

        Args:
            credential: tried once on each node.
            progress: told of each target.
            directory: the credential for the site's directory, tried once.

        Raises:
            InputError: the way of reaching nodes or the directory that was chosen is refused as unsafe.
        """
        started = utc_now()
        facts = self._gather(*self._live(credential, directory), progress, _redactor(credential, directory))
        run_id = str(uuid.uuid4())
        return self._report(Mode.LIVE, started, facts, self._problems, run_id=run_id, clock=time.perf_counter)

    def run_recording(self, recording: Recording) -> Report:
        """Judge a recording. The same recording and the same `now` give the same report, byte for byte.

        Raises:
            InputError: it is a recording of other machines.
        """
        phase = self.options.selection.phase
        held = recording.holding(self._loaded.info, phase, self.plan.tables, where="recording")
        problems = [*self._problems, *held]
        problems += self._not_asked(recording)
        facts = self._gather(recording, (recording,), None)
        return self._reproducible(Mode.RECORDING, facts, problems, recording.sha256)

    def _not_asked(self, recording: Recording) -> list[Problem]:
        """A problem where a second opinion is wanted that was not asked for when the recording was made."""
        wanted = {name for name, query in self.plan.collection.queries.items() if query.advisory}
        if not wanted - set(recording.manifest.facts):
            return []
        message = "holds nothing that this machine asked by itself: it was collected without --from operator"
        return [Problem(code="not-recorded", message=message, where="--from operator")]

    def run_site_only(self) -> Report:
        """Judge what needs the declaration alone. Contacts nobody."""
        return self._reproducible(Mode.SITE_ONLY, {}, self._problems, "")

    def collect(
        self,
        credential: Credential,
        folder: Path,
        progress: Progress | None = None,
        *,
        raw: Path | None = None,
        directory: Credential | None = None,
    ) -> Facts:
        """Record live facts into a new folder, and judge nothing.

        Args:
            credential: tried once on each node.
            folder: of the recording.
            progress: told of each target.
            raw: another new folder, for the answers of the nodes as they come.
            directory: the credential for the site's directory, tried once.

        Raises:
            InputError: a folder cannot be written, or one would be inside the other.
        """
        if raw is not None and folder.resolve() in (raw.resolve(), *raw.resolve().parents):
            message = "is the folder of the recording, or inside it; raw answers need a folder of their own"
            raise InputError(Problem(code="bad-option", message=message, where=str(raw)))
        collected_at = utc_now()
        facts = self._gather(*self._live(credential, directory, raw), progress, _redactor(credential, directory))
        manifest = RecordingManifest(
            schema=RECORDING_SCHEMA,
            tool=tool_info(),
            site=self._loaded.info,
            phase=self.options.selection.phase,
            collected_at=collected_at,
            facts=tuple(self.plan.collection.queries),
            tables=self.plan.tables,
        )
        write_recording(folder, manifest, list(facts.values()))
        return facts

    def _gather(
        self, nodes: NodeSource, sites: Sequence[SiteSource], progress: Progress | None, redact: Redactor | None = None
    ) -> Facts:
        quiet: Progress = progress or (lambda target, done: None)
        with self._closing:
            return gather(self.plan.collection, nodes, sites, self.options.limits, quiet, redact)

    def _live(
        self, credential: Credential, directory: Credential | None, raw: Path | None = None
    ) -> tuple[NodeSource, Sequence[SiteSource]]:
        # It loads the network libraries, which a recording does without.
        from azpreflight.engine import live

        site, redirections = self._loaded.site, self.options.redirections
        choice = choose(self.options.transport or site.winrm.transport, site, credential)
        self._transport = choice
        ticket = live.new_ticket(choice, credential, self._closing)
        sources = live.site_sources(self.plan.collection, directory, ticket, redirections)
        try_all = self.options.try_all_nodes
        nodes = live.node_source(site, credential, choice, ticket, redirections, try_all=try_all, raw=raw)
        return nodes, sources

    def _reproducible(self, mode: Mode, facts: Facts, problems: Sequence[Problem], source: str) -> Report:
        """A report in which nothing depends on when and where it was made, but for `now`."""
        now = self.options.now or utc_now()
        rules = [(pair.rule.id, str(pair.target)) for pair in self.plan.pairs]
        plan = self.plan
        asked = ["from operator"] if self.options.selection.from_operator else []
        seed = msgspec.json.encode(
            [self._loaded.info, plan.packs, plan.tables, source, now, self.options.fail_on, rules, *asked]
        )
        run_id = str(uuid.UUID(bytes=hashlib.sha256(seed).digest()[:16], version=4))
        return self._report(mode, now, facts, problems, run_id=run_id, clock=lambda: 0.0, now=now)

    def _report(
        self,
        mode: Mode,
        started: datetime.datetime,
        facts: Facts,
        problems: Iterable[Problem],
        *,
        run_id: str,
        clock: Callable[[], float],
        now: datetime.datetime | None = None,
    ) -> Report:
        moment = now or self.options.now or utc_now()
        results = judge(self.plan, facts, moment, clock)
        winrm = self._loaded.site.winrm
        run = RunInfo(
            id=run_id,
            started_at=started,
            finished_at=utc_now() if now is None else now,
            now=moment,
            phase=self.options.selection.phase,
            mode=mode,
            fail_on=self.options.fail_on,
            packs=self.plan.packs,
            redirections=self.options.redirections.listed(),
            tls_unverified=winrm.https and not winrm.verify,
            directory_tls_unverified=is_unverified(self.plan.collection),
            rules=self.options.selection.rules,
            skip=self.options.selection.skip,
            transport=str(self._transport) if self._transport is not None and mode is Mode.LIVE else None,
            tables=self.plan.tables,
        )
        return make_report(tool_info(), run, self._loaded.info, [*problems, *_aged(self.plan.tables, moment)], results)


def _aged(tables: Iterable[TableInfo], now: datetime.datetime) -> Iterator[Problem]:
    """The tables that have been overtaken by now, in all likelihood."""
    for table in tables:
        days = (now.date() - table.date).days
        if days > TABLE_DAYS:
            message = (
                f"the table of {table.name} is of {table.date}, {days} days old: give a newer one with --endpoints"
            )
            yield Problem(code="table-old", message=message, where=table.name)
        elif table.date > now.date():
            message = f"the table of {table.name} is of {table.date}, a day that is yet to come"
            yield Problem(code="table-date", message=message, where=table.name)


def _redactor(*credentials: Credential | None) -> Redactor:
    return Redactor(*(credential.password for credential in credentials if credential is not None))
