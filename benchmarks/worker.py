"""One way of reading nodes in a process of its own, measured from inside.

Reads one line of JSON with the setup, then one for each measurement, and answers each with one.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from benchmarks.ways import WAYS, Azpreflight, Requests, Setup, Way


@dataclass(frozen=True)
class Figures:
    """What a piece of work took.

    Attributes:
        wall: seconds.
        cpu: seconds of this process, all threads, user and system.
        resident: MiB of this process afterwards, at each mark.
        peak: MiB of this process at most, since its start.
        digest: of the facts that came; "" when nobody looked at them.
    """

    wall: float
    cpu: float
    resident: dict[int, float]
    peak: float
    digest: str = ""


class Worker:
    """The measurements of one way."""

    def __init__(self, way: str, hello: dict[str, Any]) -> None:
        fields = {key: hello[key] for key in ("user", "password", "scripts", "asked", "nodes")}
        self._ways: dict[str, Way] = {
            kind: WAYS[way](Setup(port=port, **fields)) for kind, port in hello["ports"].items()
        }

    def node(self, kind: str) -> Figures:
        """The facts of one node."""
        wall, cpu = time.perf_counter(), _cpu()
        facts = self._ways[kind].node()
        wall, cpu = time.perf_counter() - wall, _cpu() - cpu
        return Figures(wall, cpu, {}, _memory("VmHWM"), _digest(facts))

    def requests(self, kind: str, count: int) -> Figures:
        """Like requests, as the way sends them."""
        return self._counted(cast("Requests", self._ways[kind]).requests, count)

    def rows(self, kind: str, count: int) -> Figures:
        """Like requests over one connection of azpreflight."""
        return self._counted(cast("Azpreflight", self._ways[kind]).rows, count)

    def _counted(self, send: Callable[[int], None], count: int) -> Figures:
        wall, cpu = time.perf_counter(), _cpu()
        send(count)
        return Figures(time.perf_counter() - wall, _cpu() - cpu, {}, _memory("VmHWM"))

    def nodes(self, kind: str, count: int, jobs: int, marks: list[int]) -> Figures:
        """The facts of many nodes, `jobs` at a time; facts are thrown away as they come."""
        resident: dict[int, float] = {}
        way = self._ways[kind]
        wall, cpu = time.perf_counter(), _cpu()
        with ThreadPoolExecutor(jobs) as pool:
            for done, _ in enumerate(pool.map(lambda number: len(way.node(number)), range(count)), start=1):
                if done in marks:
                    resident[done] = _memory("VmRSS")
        return Figures(time.perf_counter() - wall, _cpu() - cpu, resident, _memory("VmHWM"))


def _digest(facts: Mapping[str, Any]) -> str:
    """The same for the same facts, whether they came as values or as JSON."""
    values = {name: json.loads(value) if isinstance(value, str) else value for name, value in facts.items()}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _memory(name: str) -> float:
    """MiB, as Linux tells: VmRSS now, VmHWM at most."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def main(way: str) -> None:
    """Measure until standard input ends."""
    worker = Worker(way, json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        task = json.loads(line)
        figures: Figures = getattr(worker, task.pop("do"))(**task)
        sys.stdout.write(json.dumps(vars(figures)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
