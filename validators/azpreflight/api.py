"""What `from azpreflight import ...` gives: the run as functions."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from pathlib import Path

from azpreflight.connect import Redirections
from azpreflight.credentials import Credential
from azpreflight.engine.gather import Facts, Limits
from azpreflight.engine.plan import Selection
from azpreflight.engine.run import Options, Preflight
from azpreflight.errors import InputError, choice
from azpreflight.facts.recording import Recording
from azpreflight.model import Phase, Problem, Report, Severity
from azpreflight.site.model import LoadedSite


def load_recording(folder: str | Path) -> Recording:
    """Read a recording made by `collect`.

    Raises:
        InputError: the folder is no recording, or a file of it is damaged.
    """
    return Recording(Path(folder))


def run(
    site: LoadedSite,
    *,
    credential: Credential | None = None,
    recording: Recording | None = None,
    site_only: bool = False,
    phase: Phase | str = Phase.PRE_DEPLOY,
    packs: Iterable[str] = (),
    rules: Iterable[str] = (),
    skip: Iterable[str] = (),
    fail_on: Severity | str = Severity.BLOCKER,
    now: datetime.datetime | None = None,
    connect_to: Mapping[str, str] | None = None,
    jobs: int = Limits.jobs,
    node_timeout: float = Limits.node_seconds,
    try_all_nodes: bool = False,
    endpoints: str | Path | None = None,
) -> Report:
    """Judge a site: live with a credential, from a recording, or by its declaration alone.

    Args:
        site: what `load_site` returned.
        credential: tried once on each node; not needed with a client certificate or a Kerberos ticket.
        recording: judged instead of the live site.
        site_only: only what needs neither.
        phase: `pre-deploy`, `post-deploy` or `day-2`.
        packs: names of packs; all when empty.
        rules: globs of rule ids to judge; all when empty.
        skip: globs of rule ids to leave out.
        fail_on: from which severity on a failure makes the site not ready.
        now: the moment to judge by, with a time zone.
        connect_to: declared addresses and where to reach them, as `HOST` or `HOST:PORT`.
        jobs: nodes at a time.
        node_timeout: seconds for all questions to one node.
        try_all_nodes: go on to further nodes after one has rejected the credential.
        endpoints: a file with a newer table of endpoints than the packs have.

    Raises:
        InputError: something that was given is wrong; its `problems` name all of it.
    """
    options = _options(
        Selection(choice(Phase, phase, "phase"), tuple(rules), tuple(skip), site_only),
        packs=packs,
        fail_on=choice(Severity, fail_on, "fail_on"),
        now=now,
        connect_to=connect_to,
        limits=Limits(jobs=jobs, node_seconds=node_timeout),
        try_all_nodes=try_all_nodes,
        endpoints=endpoints,
    )
    preflight = Preflight(site, options)
    if site_only:
        return preflight.run_site_only()
    if recording is not None:
        return preflight.run_recording(recording)
    return preflight.run(_required(credential or preflight.passwordless()))


def collect(
    site: LoadedSite,
    folder: str | Path,
    *,
    credential: Credential | None = None,
    phase: Phase | str = Phase.PRE_DEPLOY,
    packs: Iterable[str] = (),
    rules: Iterable[str] = (),
    skip: Iterable[str] = (),
    connect_to: Mapping[str, str] | None = None,
    jobs: int = Limits.jobs,
    node_timeout: float = Limits.node_seconds,
    try_all_nodes: bool = False,
    raw: str | Path | None = None,
    endpoints: str | Path | None = None,
) -> Facts:
    """Record the facts of a site into a new folder and judge nothing.

    The arguments are those of `run`. `raw` is another new folder, in which the answers of the nodes are kept as they
    come; None keeps none.

    Raises:
        InputError: something that was given is wrong, or a folder cannot be written.
    """
    options = _options(
        Selection(choice(Phase, phase, "phase"), tuple(rules), tuple(skip)),
        packs=packs,
        connect_to=connect_to,
        limits=Limits(jobs=jobs, node_seconds=node_timeout),
        try_all_nodes=try_all_nodes,
        endpoints=endpoints,
    )
    kept = Path(raw) if raw is not None else None
    preflight = Preflight(site, options)
    return preflight.collect(_required(credential or preflight.passwordless()), Path(folder), raw=kept)


def _required(credential: Credential | None) -> Credential:
    if credential is None:
        message = "a live run needs a credential; or give a recording, or site_only"
        raise InputError(Problem(code="no-credential", message=message, where="credential"))
    return credential


def _options(
    selection: Selection,
    *,
    packs: Iterable[str],
    connect_to: Mapping[str, str] | None,
    limits: Limits,
    try_all_nodes: bool,
    endpoints: str | Path | None,
    fail_on: Severity = Severity.BLOCKER,
    now: datetime.datetime | None = None,
) -> Options:
    if now is not None and now.tzinfo is None:
        message = "a moment without a time zone could be any of a day's; give one, such as datetime.UTC"
        raise InputError(Problem(code="bad-option", message=message, where="now"))
    return Options(
        selection=selection,
        packs=tuple(packs),
        fail_on=fail_on,
        now=now.astimezone(datetime.UTC) if now is not None else None,
        redirections=Redirections(f"{declared}={host}" for declared, host in (connect_to or {}).items()),
        limits=limits,
        try_all_nodes=try_all_nodes,
        endpoints=Path(endpoints) if endpoints is not None else None,
    )
