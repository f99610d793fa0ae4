"""A recording: the facts of one collection in a folder. It replays through the same interface as live sources.

`recording.json` says what it is; `site.json` and `nodes/<name>.json` hold the observations, sorted by fact.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from azpreflight.documents import convert, read_bytes, read_json
from azpreflight.errors import InputError
from azpreflight.facts.collection import Collection, Keep
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.observation import Observation
from azpreflight.model import Frozen, Phase, Problem, SiteInfo, ToolInfo
from azpreflight.site.model import Node

SCHEMA = "azpreflight/recording/1"
MANIFEST = "recording.json"
SITE_FILE = "site.json"


class RecordingManifest(Frozen):
    """What a recording says of itself. collected_at: UTC."""

    schema: str
    tool: ToolInfo
    site: SiteInfo
    phase: Phase
    collected_at: datetime.datetime
    facts: tuple[str, ...]


class ObservationFile(Frozen):
    """One file of observations."""

    observations: tuple[Observation, ...]


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
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            message = "is not empty; a recording is never mixed with other files: name a new folder"
            raise InputError(Problem(code="not-empty", message=message, where=str(folder)))
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
            data = read_bytes(path)
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + data.replace(b"\r\n", b"\n") + b"\0")
            if path.name == MANIFEST:
                continue
            try:
                file = convert(read_json(data, str(path)), ObservationFile)
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
            elif key in self._observations:
                message = f"holds the fact {observation.fact} of {observation.target} twice"
                yield Problem(code="duplicate-fact", message=message, where=str(path))
            else:
                self._observations[key] = observation

    def holding(self, site: SiteInfo, *, where: str) -> list[Problem]:
        """What a reader should know when this recording is judged against `site`.

        Raises:
            InputError: it holds no node of the site at all.
        """
        recorded = set(self.manifest.site.nodes)
        if not recorded & set(site.nodes):
            nodes = f"it has {', '.join(sorted(recorded))}; the site declares {', '.join(site.nodes)}"
            message = f"is a recording of other machines: {nodes}"
            raise InputError(Problem(code="other-site", message=message, where=where))
        problems = [
            Problem(code="not-recorded", message=f"node {name} is not in the recording", where=where)
            for name in site.nodes
            if name not in recorded
        ]
        if self.manifest.site.sha256 != site.sha256:
            message = "the site file is not the one that the recording was made with"
            problems.append(Problem(code="site-changed", message=message, where=where))
        return problems

    def observations(self) -> Mapping[tuple[str, str], Observation]:
        """All observations, by target and fact."""
        return self._observations

    def collect_node(self, node: Node, collection: Collection, deadline: Deadline, keep: Keep) -> None:
        """Keep what was recorded of a node."""
        for name in collection.of_node(node):
            self._replay(node.name, name, keep)

    def collect_site(self, collection: Collection, deadline: Deadline, keep: Keep) -> None:
        """Keep what was recorded of the site."""
        for name in collection.of_site:
            self._replay(self.manifest.site.name, name, keep)

    def _replay(self, target: str, fact: str, keep: Keep) -> None:
        observation = self._observations.get((target, fact))
        if observation is not None:
            keep(observation)
