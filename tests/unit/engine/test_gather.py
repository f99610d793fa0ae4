"""Gathering when things go wrong in it: an interruption."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from azpreflight.engine import gather as module
from azpreflight.engine.gather import Limits, gather
from azpreflight.facts.collection import Collection, Keep
from azpreflight.facts.deadline import Deadline
from azpreflight.model import Phase, Profile
from azpreflight.packs.load import load_packs
from azpreflight.site.model import Node, Site

NODES = tuple(Node(name=f"N{number}", address=f"192.0.2.{number}") for number in range(1, 9))


class Deaf:
    """A source whose nodes hear nothing of a deadline."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.released = threading.Event()

    def collect_node(self, node: Node, collection: Collection, deadline: Deadline, keep: Keep) -> None:
        self.asked.release()
        self.released.wait(60)


def test_an_interruption_waits_once_for_all_nodes_and_not_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALL_OFF_SECONDS", 0.5)
    packs = load_packs(["windows"])
    site = Site(name="s", profile=Profile.LOCAL_IDENTITY, nodes=NODES)
    queries = {"system.version": packs.queries["system.version"]}
    collection = Collection(site, Phase.PRE_DEPLOY, queries, {}, packs.classes)
    source = Deaf()
    main = threading.get_ident()

    def interrupt() -> None:
        for _ in NODES:
            source.asked.acquire()
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        gather(collection, source, (), Limits(jobs=len(NODES), node_seconds=30))
    took = time.monotonic() - began
    source.released.set()
    assert took < 3
