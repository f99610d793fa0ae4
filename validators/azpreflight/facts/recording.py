"""A recording: the facts of one collection in a folder. It replays through the same interface as live sources.

`recording.json` says what it is; `site.json` and `nodes/<name>.json` hold the observations, sorted by fact.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import get_args

import msgspec

from azpreflight.documents import convert, read_bytes, read_json
from azpreflight.errors import InputError
from azpreflight.facts.collection import Collection, Keep
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.query import SiteRead
from azpreflight.model import Frozen, Phase, Problem, SiteInfo, TableInfo, ToolInfo
from azpreflight.site.model import Node

SCHEMA = "azpreflight/recording/1"
MANIFEST = "recording.json"
SITE_FILE = "site.json"
MOST_BYTES = 256 * 1024 * 1024
"""Of one file, which no person has written: what was recorded can be read again, however large a directory is."""


class RecordingManifest(Frozen):
    """What a recording says of itself. collected_at: UTC. tables: those that decided what was asked."""

    schema: str
    tool: ToolInfo
    site: SiteInfo
    phase: Phase
    collected_at: datetime.datetime
    facts: tuple[str, ...]
    tables: tuple[TableInfo, ...] = ()


class ObservationFile(Frozen):
    """One file of observations."""

    observations: tuple[Observation, ...]


def require_new_folder(folder: Path) -> None:
    """Raise `InputError` when a recording could not go into `folder`: before a long run, not after it."""
    if folder.exists() and not folder.is_dir():
        raise InputError(Problem(code="not-a-folder", message="is a file; name a new folder", where=str(folder)))
    if folder.is_dir() and any(folder.iterdir()):
        message = "is not empty; a recording is never mixed with other files: name a new folder"
        raise InputError(Problem(code="not-empty", message=message, where=str(folder)))


def write_recording(folder: Path, manifest: RecordingManifest, observations: Sequence[Observation]) -> None:
    """Write a recording into a new or empty folder. The manifest comes last: without it, there is no recording.

    Raises:
        InputError: the folder holds something already, or cannot be written.
    """
    site_file = folder / SITE_FILE
    by_file: dict[Path, list[Observation]] = {_node_file(folder, name): [] for name in manifest.site.nodes}
    for observation in observations:
        of_node = observation.target in manifest.site.nodes
        by_file.setdefault(_node_file(folder, observation.target) if of_node else site_file, []).append(observation)
    try:
        require_new_folder(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "nodes").mkdir()
        for path, found in by_file.items():
            path.write_bytes(
                _encode(ObservationFile(observations=tuple(sorted(found, key=lambda o: (o.target, o.fact)))))
            )
        (folder / MANIFEST).write_bytes(_encode(manifest))
    except OSError as error:
        message = f"the recording cannot be written: {error.strerror or error}"
        raise InputError(Problem(code="unwritable", message=message, where=str(error.filename or folder))) from error


def _node_file(folder: Path, node: str) -> Path:
    return folder / "nodes" / f"{node}.json"


def _encode(value: Frozen) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


class Recording:
    """A recording that was read. A source for nodes and for the site: what it does not hold, stays unobserved.

    Attributes:
        manifest: what it says of itself.
        sha256: over names and contents of its files.
    """

    reads: tuple[type[SiteRead], ...] = get_args(SiteRead)
    name = "recording"

    def __init__(self, folder: Path) -> None:
        """Read a folder.

        Raises:
            InputError: it is no recording, or a file of it is damaged; names every mistake.
        """
        if not (folder / MANIFEST).is_file():
            message = f"is no recording: it has no {MANIFEST}; make one with `azpreflight collect SITE -o {folder}`"
            raise InputError(Problem(code="no-recording", message=message, where=str(folder)))
        digest = hashlib.sha256()
        document = read_json(read_bytes(folder / MANIFEST), str(folder / MANIFEST))
        # Another schema has other fields: say that, and not which of them are unknown here.
        schema = document.data.get("schema") if isinstance(document.data, dict) else None
        if isinstance(schema, str) and schema != SCHEMA:
            message = f"has the schema {schema!r}; this version reads {SCHEMA!r}"
            raise InputError(Problem(code="schema", message=message, where=str(folder / MANIFEST)))
        self.manifest = convert(document, RecordingManifest)
        self._observations: dict[tuple[str, str], Observation] = {}
        problems: list[Problem] = []
        for path in sorted([*folder.glob("*.json"), *folder.glob("nodes/*.json")]):
            data = read_bytes(path, most=MOST_BYTES)
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + data.replace(b"\r\n", b"\n") + b"\0")
            if path.name == MANIFEST:
                continue
            try:
                file = convert(read_json(data, str(path), most=MOST_BYTES), ObservationFile)
            except InputError as error:
                problems.extend(error.problems)
                continue
            problems.extend(self._add(path, file.observations))
        if problems:
            raise InputError(*problems)
        self.sha256 = digest.hexdigest()

    def _add(self, path: Path, observations: Sequence[Observation]) -> Iterator[Problem]:
        """Take over the observations of one file; what is there twice, or in the file of another node, is a mistake."""
        of_node = path.parent.name == "nodes"
        for observation in observations:
            key = (observation.target, observation.fact)
            if of_node != (observation.target in self.manifest.site.nodes) or (
                of_node and path.stem != observation.target
            ):
                message = f"holds the fact {observation.fact} of {observation.target}, which belongs into another file"
                yield Problem(code="wrong-file", message=message, where=str(path))
            elif wrong := _contradiction(observation):
                message = f"{observation.fact} of {observation.target} {wrong}"
                yield Problem(code="contradiction", message=message, where=str(path))
            elif key in self._observations:
                message = f"holds the fact {observation.fact} of {observation.target} twice"
                yield Problem(code="duplicate-fact", message=message, where=str(path))
            else:
                moment = observation.observed_at.astimezone(datetime.UTC)
                self._observations[key] = msgspec.structs.replace(observation, observed_at=moment)

    def holding(self, site: SiteInfo, phase: Phase, tables: Iterable[TableInfo] = (), *, where: str) -> list[Problem]:
        """What a reader should know when this recording is judged against `site` in `phase`, by `tables`.

        Raises:
            InputError: it holds no node of the site at all.
        """
        recorded = {name.casefold() for name in self.manifest.site.nodes}
        if not recorded & {name.casefold() for name in site.nodes}:
            nodes = f"it has {', '.join(self.manifest.site.nodes)}; the site declares {', '.join(site.nodes)}"
            message = f"is a recording of other machines: {nodes}"
            raise InputError(Problem(code="other-site", message=message, where=where))
        problems = [
            Problem(code="not-recorded", message=f"node {name} is not in the recording", where=where)
            for name in site.nodes
            if name.casefold() not in recorded
        ]
        if self.manifest.site.sha256 != site.sha256:
            message = "the site file is not the one that the recording was made with"
            problems.append(Problem(code="site-changed", message=message, where=where))
        if self.manifest.phase is not phase:
            message = f"the recording was made for phase {self.manifest.phase}; facts of {phase} may be missing"
            problems.append(Problem(code="other-phase", message=message, where=where))
        recorded_by = {table.name: table for table in self.manifest.tables}
        for table in tables:
            known = recorded_by.get(table.name)
            if known is not None and known.sha256 != table.sha256:
                made = f"the recording was made with the table of {table.name} of {known.date}"
                message = f"{made}, and is judged by another of {table.date}; what is new in that was not recorded"
                problems.append(Problem(code="table-changed", message=message, where=where))
        return problems

    def observations(self) -> Mapping[tuple[str, str], Observation]:
        """All observations, by target and fact."""
        return self._observations

    def collect_node(self, node: Node, collection: Collection, deadline: Deadline, keep: Keep) -> None:
        """Keep what was recorded of a node, whose name may be spelled in another letter case today."""
        spelled = {name.casefold(): name for name in self.manifest.site.nodes}.get(node.name.casefold())
        for name in collection.of_node(node) if spelled is not None else ():
            self._replay(spelled or "", name, node.name, keep)

    def collect_site(self, collection: Collection, deadline: Deadline, keep: Keep) -> None:
        """Keep what was recorded of the site, which may have another name today."""
        for name in collection.of_kinds(self.reads):
            self._replay(self.manifest.site.name, name, collection.site.name, keep)

    def _replay(self, recorded: str, fact: str, target: str, keep: Keep) -> None:
        observation = self._observations.get((recorded, fact))
        if observation is not None:
            keep(msgspec.structs.replace(observation, target=target))


def _contradiction(observation: Observation) -> str | None:
    """What in an observation cannot be, as an edit by hand may leave it; None when all is well."""
    if observation.observed_at.tzinfo is None:
        return "was observed at a time without a zone"
    if observation.status is Status.OBSERVED and observation.reason is not None:
        return "was observed and has a reason why it was not"
    if observation.status is not Status.OBSERVED and observation.value is not None:
        return f"was not observed ({observation.status}) and has a value"
    return None
