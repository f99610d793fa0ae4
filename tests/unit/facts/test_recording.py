"""Recordings: what was observed comes back as it was, and a damaged folder says what is wrong with it."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from azpreflight.errors import InputError
from azpreflight.facts.classes import ClassTable
from azpreflight.facts.collection import Collection
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.query import CimQuery, DnsQuery, Query
from azpreflight.facts.recording import SCHEMA, Recording, RecordingManifest, write_recording
from azpreflight.model import Phase, Profile, SiteInfo, Sureness, ToolInfo, Value
from azpreflight.site.model import Node, Site

NOW = datetime.datetime(2026, 3, 1, 10, 20, 30, 125000, datetime.UTC)
SITE = SiteInfo(
    name="lab",
    profile=Profile.LOCAL_IDENTITY,
    cluster=None,
    nodes=("azl1", "azl2"),
    format="site.yaml",
    sha256="0" * 64,
)


def manifest(site: SiteInfo = SITE) -> RecordingManifest:
    tool = ToolInfo(name="azpreflight", version="0.1.0")
    return RecordingManifest(
        schema=SCHEMA, tool=tool, site=site, phase=Phase.PRE_DEPLOY, collected_at=NOW, facts=("a", "b")
    )


def seen(target: str, fact: str, value: Value = 1, **more: Any) -> Observation:
    fields = {"status": Status.OBSERVED, "source": "winrm", "observed_at": NOW, **more}
    return Observation(fact=fact, target=target, value=value, **fields)


ALL = [
    seen("azl1", "b", [{"Name": "x", "Size": 2**64 - 1, "None": None, "Real": 1.5}]),
    seen("azl1", "a", None, status=Status.REFUSED, reason="denied"),
    seen("azl2", "a", "größer 表 \U0001f600"),
    seen("lab", "dns", [], source="dns"),
]


def replayed(recording: Recording) -> dict[tuple[str, str], Observation]:
    return dict(recording.observations())


def test_what_was_observed_comes_back(tmp_path: Path) -> None:
    write_recording(tmp_path / "new" / "folder", manifest(), ALL)
    recording = Recording(tmp_path / "new" / "folder")
    assert replayed(recording) == {(found.target, found.fact): found for found in ALL}
    assert recording.manifest == manifest()


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(VALUES)
def test_any_value_comes_back(tmp_path_factory: pytest.TempPathFactory, value: Value) -> None:
    folder = tmp_path_factory.mktemp("recording")
    write_recording(folder, manifest(), [seen("azl1", "a", value)])
    assert replayed(Recording(folder))["azl1", "a"].value == value


def test_targets_that_are_no_nodes_share_the_file_of_the_site(tmp_path: Path) -> None:
    others = [seen("lab", "dns"), seen("cluster", "x"), seen("azl9", "y")]
    write_recording(tmp_path, manifest(), [*ALL[:3], *others])
    assert {target for target, _ in replayed(Recording(tmp_path))} == {"azl1", "azl2", "lab", "cluster", "azl9"}
    assert sorted(path.name for path in (tmp_path / "nodes").iterdir()) == ["azl1.json", "azl2.json"]


def test_the_order_of_answers_changes_nothing(tmp_path: Path) -> None:
    write_recording(tmp_path / "1", manifest(), ALL)
    write_recording(tmp_path / "2", manifest(), ALL[::-1])
    assert Recording(tmp_path / "1").sha256 == Recording(tmp_path / "2").sha256
    (tmp_path / "2" / "site.json").write_bytes((tmp_path / "1" / "site.json").read_bytes().replace(b"\n", b"\r\n"))
    assert Recording(tmp_path / "1").sha256 == Recording(tmp_path / "2").sha256


def test_another_value_is_another_recording(tmp_path: Path) -> None:
    write_recording(tmp_path / "1", manifest(), ALL)
    write_recording(tmp_path / "2", manifest(), [*ALL[:3], seen("lab", "dns", [1], source="dns")])
    assert Recording(tmp_path / "1").sha256 != Recording(tmp_path / "2").sha256


def test_a_folder_with_anything_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        write_recording(tmp_path, manifest(), ALL)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written") as error:
        write_recording(tmp_path / "file" / "folder", manifest(), ALL)
    assert str(tmp_path) in error.value.problems[0].where


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_recording(tmp_path, manifest(), ALL)
    return tmp_path


def codes(folder: Path) -> list[str]:
    with pytest.raises(InputError) as error:
        Recording(folder)
    return [problem.code for problem in error.value.problems]


def test_a_folder_without_a_manifest_is_no_recording(folder: Path) -> None:
    (folder / "recording.json").unlink()
    assert codes(folder) == ["no-recording"]


def test_another_schema_is_told_before_its_unknown_fields(folder: Path) -> None:
    content = json.loads((folder / "recording.json").read_text())
    (folder / "recording.json").write_text(json.dumps({**content, "schema": "azpreflight/recording/9", "new": 1}))
    assert codes(folder) == ["schema"]


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"schema": 5}', "\0"])
def test_a_damaged_manifest_is_an_input_error(folder: Path, text: str) -> None:
    (folder / "recording.json").write_text(text)
    assert codes(folder)


def test_every_damaged_file_is_named(folder: Path) -> None:
    (folder / "site.json").write_text("{")
    (folder / "nodes" / "azl2.json").write_text('{"observations": [{}]}')
    with pytest.raises(InputError) as error:
        Recording(folder)
    where = " ".join(problem.where for problem in error.value.problems)
    assert "site.json" in where
    assert "azl2.json" in where


def encoded(*observations: Observation) -> bytes:
    return msgspec.json.encode({"observations": observations})


def test_a_fact_in_the_file_of_another_node_is_refused(folder: Path) -> None:
    (folder / "nodes" / "azl2.json").write_bytes(encoded(seen("azl1", "c")))
    assert codes(folder) == ["wrong-file"]


def test_a_fact_of_a_node_in_the_file_of_the_site_is_refused(folder: Path) -> None:
    (folder / "site.json").write_bytes(encoded(seen("azl1", "c"), seen("lab", "d")))
    assert codes(folder) == ["wrong-file"]


def test_a_fact_that_is_there_twice_is_refused(folder: Path) -> None:
    (folder / "site.json").write_bytes(encoded(seen("lab", "d"), seen("lab", "d", 2)))
    assert codes(folder) == ["duplicate-fact"]


def test_a_recording_of_other_machines_is_refused(folder: Path) -> None:
    recording = Recording(folder)
    with pytest.raises(InputError, match="other machines"):
        recording.holding(msgspec.structs.replace(SITE, nodes=("elsewhere",)), Phase.PRE_DEPLOY, where="x")


def test_a_recording_says_which_node_is_missing_and_that_the_site_changed(folder: Path) -> None:
    recording = Recording(folder)
    assert recording.holding(SITE, Phase.PRE_DEPLOY, where="x") == []
    changed = msgspec.structs.replace(SITE, nodes=("azl1", "azl3"), sha256="1" * 64)
    found = recording.holding(changed, Phase.PRE_DEPLOY, where="x")
    assert [problem.code for problem in found] == ["not-recorded", "site-changed"]


def test_a_replay_keeps_what_was_recorded_and_nothing_else(folder: Path) -> None:
    def query(read: CimQuery | DnsQuery) -> Query:
        return Query(read=read, title="x", sureness=Sureness.DOCUMENTED, basis="x")

    cim = query(CimQuery(namespace="root/cimv2", class_="X", properties=("A",)))
    nodes = (Node(name="azl1", address="192.0.2.11"), Node(name="azl3", address="192.0.2.13"))
    collection = Collection(
        site=Site(name="lab", profile=Profile.LOCAL_IDENTITY, nodes=nodes),
        phase=Phase.PRE_DEPLOY,
        queries={"a": cim, "c": cim, "dns": query(DnsQuery(names=("x",), type="A"))},
        tables={},
        classes=ClassTable({}),
    )
    recording, kept = Recording(folder), list[Observation]()
    for node in nodes:
        recording.collect_node(node, collection, Deadline(0), kept.append)
    recording.collect_site(collection, Deadline(0), kept.append)
    assert kept == [ALL[1], ALL[3]]
