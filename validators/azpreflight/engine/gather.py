"""Gathering: all facts of a plan, nodes side by side, each with its deadline. One bad node never stops the others."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from azpreflight.documents import usable
from azpreflight.facts.collection import Collection, NodeSource, SiteSource, unobserved
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.observation import Observation, Status
from azpreflight.redact import Redactor

Facts = Mapping[tuple[str, str], Observation]
"""Observations by target and fact."""

OVERRUN_SECONDS = 15.0
"""How long past its deadline a node may take to come back before it is left alone."""
GLANCE_SECONDS = 0.5
"""How soon an interruption is noticed at the latest."""
CALL_OFF_SECONDS = 10.0
"""How long an interrupted run waits for all its nodes to close what they opened."""


@dataclass(frozen=True)
class Limits:
    """How much at once, and for how long.

    Attributes:
        jobs: nodes at a time.
        node_seconds: for all questions to one node.
    """

    jobs: int = 16
    node_seconds: float = 180.0


@dataclass
class _Work:
    """One target's share of a collection, and what came of it."""

    target: str
    shown: str
    wanted: list[str]
    ask: Callable[[Deadline, Callable[[Observation], None]], None]
    found: dict[str, Observation] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)
    started: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None
    over_at: float = 0.0

    def keep(self, redact: Redactor, observation: Observation) -> None:
        """Take an observation without the secrets in it, fit to be recorded; the first of a fact counts."""
        clean = msgspec.structs.replace(
            observation,
            value=usable(redact.value(observation.value)),
            reason=usable(redact.value(observation.reason)),
            note=usable(redact.value(observation.note)),
        )
        self.found.setdefault(observation.fact, clean)


def gather(
    collection: Collection,
    nodes: NodeSource,
    sites: Sequence[SiteSource],
    limits: Limits,
    progress: Callable[[str, bool], None] = lambda target, done: None,
    redact: Redactor | None = None,
) -> Facts:
    """Collect every fact of `collection`.

    Args:
        collection: what is wanted.
        nodes: where facts of nodes come from.
        sites: where facts of the site come from; each is asked for what it reads, side by side with the nodes.
        limits: how much at once, and for how long.
        progress: told the name of each target, and of each source of the site, when it begins (False) and when it is
            done (True).
        redact: takes secrets out of every observation before anybody sees it.

    Returns:
        One observation for every wanted fact of every target that brought one; what overran is `TIMED_OUT`.

    Raises:
        KeyboardInterrupt: as it came, after open shells were closed.
    """
    works = _works(collection, nodes, sites)
    waiting: queue.SimpleQueue[_Work] = queue.SimpleQueue()
    for work in works:
        waiting.put(work)
    called_off = threading.Event()

    def worker() -> None:
        while not called_off.is_set():
            try:
                work = waiting.get_nowait()
            except queue.Empty:
                return
            work.over_at = time.monotonic() + limits.node_seconds + OVERRUN_SECONDS
            work.started.set()
            progress(work.shown, False)
            try:
                work.ask(Deadline(limits.node_seconds, called_off), partial(work.keep, redact or Redactor()))
            except Exception as error:  # noqa: BLE001 - a defect on one node must not lose the others; it is reported
                work.error = error
            work.done.set()
            progress(work.shown, True)

    def start_worker() -> None:
        # A daemon, so that a node which does not come back cannot keep the process alive.
        threading.Thread(target=worker, name="gather", daemon=True).start()

    for _ in range(min(limits.jobs, len(works))):
        start_worker()
    try:
        for work in works:
            _wait(work.started, math.inf)
            if not _wait(work.done, work.over_at):
                # Its worker is lost with it; those that wait behind it need another.
                start_worker()
    except BaseException:
        called_off.set()
        until = time.monotonic() + CALL_OFF_SECONDS
        for work in works:
            if work.started.is_set():
                work.done.wait(max(0.0, until - time.monotonic()))
        raise
    return {(o.target, o.fact): o for work in works for o in _complete(work)}


def _wait(event: threading.Event, until: float) -> bool:
    """Wait for an event until a moment of the monotonic clock; whether it came.

    In glances: an interruption that arrives just before a wait begins is noticed only when that one ends.
    """
    while (left := until - time.monotonic()) > 0:
        if event.wait(min(GLANCE_SECONDS, left)):
            return True
    return event.is_set()


def _works(collection: Collection, nodes: NodeSource, sites: Sequence[SiteSource]) -> list[_Work]:
    works, name = [], collection.site.name
    for source in sites:
        if queries := collection.of_kinds(source.reads):
            works.append(
                _Work(name, f"{name} ({source.name})", list(queries), partial(source.collect_site, collection))
            )
    for node in collection.site.nodes:
        if queries := collection.of_node(node):
            works.append(_Work(node.name, node.name, list(queries), partial(nodes.collect_node, node, collection)))
    return works


def _complete(work: _Work) -> list[Observation]:
    """What was found, and for the rest why it was not."""
    found = dict(work.found)
    missing = [name for name in work.wanted if name not in found]
    if work.error is not None:
        error = work.error
        reason = f"azpreflight failed while reading {work.target}: {type(error).__name__}: {error}; please report this"
        return [*found.values(), *unobserved(missing, work.target, "none", Status.FAILED, reason)]
    if not work.done.is_set():
        reason = f"{work.target} did not come back within its deadline and was left alone"
        return [*found.values(), *unobserved(missing, work.target, "none", Status.TIMED_OUT, reason)]
    return list(found.values())
