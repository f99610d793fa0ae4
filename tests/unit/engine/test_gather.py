"""Gathering when things go wrong in it: an interruption, answers that no document can hold."""

from __future__ import annotations

import math
import signal
import threading
import time
from pathlib import Path

import pytest

from azpreflight.engine import gather as module
from azpreflight.engine.gather import Limits, gather
from azpreflight.engine.run import tool_info
from azpreflight.facts.collection import Collection, Keep, utc_now
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.recording import SCHEMA, Recording, RecordingManifest, write_recording
from azpreflight.model import Phase, Profile, SiteInfo, Value
from azpreflight.packs.load import load_packs
from azpreflight.site.model import Node, Site

NODES = tuple(Node(name=f"N{number}", address=f"192.0.2.{number}") for number in range(1, 9))


FACT = "system.version"


def collection() -> Collection:
    """One fact of every node."""
    packs = load_packs(["windows"])
    site = Site(name="s", profile=Profile.LOCAL_IDENTITY, nodes=NODES)
    return Collection(site, Phase.PRE_DEPLOY, {FACT: packs.queries[FACT]}, {}, packs.classes)


class Deaf:
    """A source whose nodes hear nothing of a deadline."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.released = threading.Event()

    def collect_node(self, node: Node, collection: Collection, deadline: Deadline, keep: Keep) -> None:
        self.asked.release()
        self.released.wait(60)


class Odd:
    """A source that brings a value, whatever it is."""

    def __init__(self, value: Value) -> None:
        self._value = value

    def collect_node(self, node: Node, collection: Collection, deadline: Deadline, keep: Keep) -> None:
        keep(
            Observation(
                fact=FACT,
                target=node.name,
                source="odd",
                status=Status.OBSERVED,
                observed_at=utc_now(),
                value=self._value,
                note="NUL \0",
            )
        )


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ([{"a\0b": "NUL \0", "c": ["half \ud800 of one"]}], [{"a\ufffdb": "NUL \ufffd", "c": ["half \ufffd of one"]}]),
        ([10**5000, -(10**50), 2**64, True], ["a number that is out of range"] * 2 + [2**64, True]),
        ([math.nan, math.inf, 1.5], ["a number that is out of range"] * 2 + [1.5]),
        (["\x1b[2J\u202e{0}\ufffe\r\n", None, "x" * 6_000_000], ["\x1b[2J\u202e{0}\ufffe\r\n", None, "x" * 6_000_000]),
    ],
    ids=["characters", "integers", "numbers", "anything-else"],
)
def test_whatever_comes_can_be_recorded_and_read_again(tmp_path: Path, value: Value, kept: Value) -> None:
    facts = gather(collection(), Odd(value), (), Limits())
    assert [observation.value for observation in facts.values()] == [kept] * len(NODES)
    info = SiteInfo(
        name="s",
        profile=Profile.LOCAL_IDENTITY,
        cluster=None,
        nodes=tuple(node.name for node in NODES),
        format="yaml",
        sha256="0" * 64,
    )
    manifest = RecordingManifest(SCHEMA, tool_info(), info, Phase.PRE_DEPLOY, utc_now(), (FACT,))
    write_recording(tmp_path / "recording", manifest, list(facts.values()))
    assert Recording(tmp_path / "recording").observations() == facts


def test_an_interruption_waits_once_for_all_nodes_and_not_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALL_OFF_SECONDS", 0.5)
    source = Deaf()
    main = threading.get_ident()

    def interrupt() -> None:
        for _ in NODES:
            source.asked.acquire()
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        gather(collection(), source, (), Limits(jobs=len(NODES), node_seconds=30))
    took = time.monotonic() - began
    source.released.set()
    assert took < 3
