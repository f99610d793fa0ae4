"""What reading Windows nodes costs, in one run: pywinrm, pytest-testinfra, pypsrp, azpreflight, and the least possible.

    python benchmarks/winrm.py [--quick] [--rounds N] [--nodes N]

The node is the tests' WinRM endpoint, in a process of its own; each way has a process of its own as well. They take
turns, round by round. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[1]
WAYS = {
    "pywinrm": "pywinrm, run_ps per fact",
    "testinfra": "pytest-testinfra, host.run per fact",
    "pypsrp": "pypsrp, one shell, process per fact",
    "floor": "floor: the requests of azpreflight",
    "azpreflight": "azpreflight",
}
PACKAGES = ("azpreflight", "pywinrm", "pytest-testinfra", "pypsrp", "pyspnego", "requests", "urllib3")
JOBS = 16
"""Nodes at a time, as in a run of azpreflight."""


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        rounds: turns of each way.
        starts_rounds: turns with the modelled starts, which take long.
        requests: like requests in a row, in each turn.
        nodes: many nodes for azpreflight. sample: as many for testinfra.
        divisor: of every latency.
    """

    rounds: int
    starts_rounds: int
    requests: int
    nodes: int
    sample: int
    divisor: float


class Child:
    """A process of the benchmark that answers one line of JSON for each line it is sent."""

    def __init__(self, module: str, argument: str) -> None:
        paths = (ROOT, ROOT / "tests", ROOT / "validators")
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
        # -P: else this file would be found where pywinrm's package `winrm` is meant.
        command = [sys.executable, "-P", "-m", f"benchmarks.{module}", argument]
        self._process = subprocess.Popen(  # noqa: S603 - Python itself, with arguments from here
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def tell(self, **message: Any) -> None:
        """Send a line."""
        assert self._process.stdin is not None  # noqa: S101 - asked for above
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """Wait for a line.

        Raises:
            RuntimeError: the process ended instead; it has said why on standard error.
        """
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended with exit code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, **message: Any) -> dict[str, Any]:
        """Send a line and wait for the answer."""
        self.tell(**message)
        return self.hear()


@dataclass(frozen=True)
class Turn:
    """One measurement of one way.

    Attributes:
        requests: HTTP requests that the endpoint got.
        wall, cpu: seconds; the latter of the client.
        endpoint_cpu: seconds of the endpoint.
        peak: MiB of the client at most. resident: MiB after so many nodes.
    """

    requests: int
    wall: float
    cpu: float
    endpoint_cpu: float
    peak: float
    resident: Mapping[str, float]
    digest: str


class Bench:
    """The endpoint and the ways, all running."""

    def __init__(self, endpoint: Child, workers: Mapping[str, Child]) -> None:
        self._endpoint = endpoint
        self._workers = workers

    def turn(self, way: str, kind: str, do: str, **arguments: Any) -> Turn:
        """Let one way do one thing; nothing else runs meanwhile."""
        before = self._endpoint.ask()
        found = self._workers[way].ask(do=do, kind=kind, **arguments)
        after = self._endpoint.ask()
        return Turn(
            requests=after["requests"][kind] - before["requests"][kind],
            wall=found["wall"],
            cpu=found["cpu"],
            endpoint_cpu=after["cpu"] - before["cpu"],
            peak=found["peak"],
            resident=found["resident"],
            digest=found["digest"],
        )

    def rounds(self, ways: Sequence[str], turns_each: int, kind: str) -> dict[str, list[Turn]]:
        """One node by every way in turn, `turns_each` times; one more round, to warm up, does not count."""
        turns: dict[str, list[Turn]] = {way: [] for way in ways}
        for number in range(turns_each + 1):
            for way in ways:
                # What warms up needs no latency.
                turn = self.turn(way, kind if number else "fast", "node")
                if number:
                    turns[way].append(turn)
        return turns


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Median and range."""
    return f"{statistics.median(values):{form}} ({min(values):{form}}-{max(values):{form}})"


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> None:
    """Print a table in Markdown."""
    lines = ["", f"### {title}", "", f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    lines += ["", *notes] if notes else []
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def one_node(bench: Bench, size: Size) -> None:
    """Tables 1 and 2."""
    plain = bench.rounds(list(WAYS), size.rounds, "plain")
    heads = ["way", "HTTP requests", "wall s", "wall / ours", "client CPU ms", "CPU / ours", "peak MiB"]
    rows = [
        [
            WAYS[way],
            f"{statistics.median(turn.requests for turn in found):.0f}",
            spread([turn.wall for turn in found], ".3f"),
            ratio(found, plain["azpreflight"], lambda turn: turn.wall),
            spread([turn.cpu * 1000 for turn in found], ".0f"),
            ratio(found, plain["azpreflight"], lambda turn: turn.cpu),
            f"{max(turn.peak for turn in found):.0f}",
        ]
        for way, found in plain.items()
    ]
    notes = [f"Median (least-most) of {size.rounds} turns. The ways brought the same facts, compared value by value."]
    table(f"1. One node, 30 facts, {20 / size.divisor:g} ms per request", heads, rows, notes)

    starts = bench.rounds(list(WAYS), size.starts_rounds, "starts")
    ours = starts["azpreflight"]
    programs = bench.rounds(["azpreflight"], size.starts_rounds, "programs")["azpreflight"]
    names = {**WAYS, "programs": f"azpreflight, and {30 / size.divisor:g} ms for each program it starts"}
    rows = [
        [names[way], spread([turn.wall for turn in found], ".3f"), ratio(found, ours, lambda turn: turn.wall)]
        for way, found in {**starts, "programs": programs}.items()
    ]
    title = (
        f"2. The same with modelled times of the node: {300 / size.divisor:g} ms for each start of powershell.exe, "
        f"{30 / size.divisor:g} ms for each CIM query"
    )
    notes = [
        f"Median (least-most) of {size.starts_rounds} turns.",
        "Modelled: the endpoint waits so long before it answers; no node was measured.",
    ]
    table(title, ["way", "wall s", "wall / ours"], rows, notes)
    for turns in (plain, starts):
        digests = {turn.digest for way, found in turns.items() if way != "floor" for turn in found}
        if len(digests) != 1:
            raise RuntimeError("the ways did not bring the same facts")


def ratio(found: Sequence[Turn], ours: Sequence[Turn], of: Callable[[Turn], float]) -> str:
    """How many times as much as ours, by the medians."""
    return f"{statistics.median(map(of, found)) / statistics.median(map(of, ours)):.1f}"


def each_request(bench: Bench, size: Size) -> None:
    """Table 3."""
    what = {
        ("floor", "requests"): "floor: http.client, pyspnego, templates; answer decrypted",
        ("azpreflight", "rows"): "azpreflight: cim.rows, one connection; answer parsed and decoded",
        ("azpreflight", "requests"): "azpreflight: collect_node, its connections side by side; facts kept",
        ("pywinrm", "requests"): "pywinrm: Transport.send_message; answer decrypted",
    }
    each: dict[str, list[float]] = {name: [] for name in what.values()}
    for number in range(size.rounds + 1):
        for (way, do), name in what.items():
            turn = bench.turn(way, "fast", do, count=size.requests)
            if number:
                each[name].append(turn.cpu / turn.requests * 1000)
    floor = statistics.median(each[what["floor", "requests"]])
    rows = [[name, spread(found, ".3f"), f"{statistics.median(found) / floor:.1f}"] for name, found in each.items()]
    notes = [
        f"An enumeration of one row, {size.requests} in each of {size.rounds} turns; median (least-most).",
        "The handshakes are in it. Without latency, threads side by side get in each other's way.",
    ]
    table("3. Client CPU per encrypted request, no latency", ["what", "ms", "/ floor"], rows, notes)


def many_nodes(bench: Bench, size: Size) -> None:
    """Table 4."""
    marks = sorted({min(100, size.nodes), size.nodes // 2, size.nodes})
    ours = bench.turn("azpreflight", "plain", "nodes", count=size.nodes, jobs=JOBS, marks=marks)
    others = bench.turn("testinfra", "plain", "nodes", count=size.sample, jobs=JOBS, marks=[size.sample])
    factor = size.nodes / size.sample

    def row(name: str, turn: Turn, nodes: int) -> list[str]:
        resident = ", ".join(f"{mib:.0f} after {mark}" for mark, mib in turn.resident.items())
        return [
            name,
            str(nodes),
            str(turn.requests),
            f"{turn.wall:.1f}",
            f"{turn.cpu:.1f}",
            f"{turn.cpu / nodes * 1000:.1f}",
            f"{turn.endpoint_cpu:.0f}",
            resident or "-",
        ]

    scaled = Turn(
        requests=round(others.requests * factor),
        wall=others.wall * factor,
        cpu=others.cpu * factor,
        endpoint_cpu=others.endpoint_cpu * factor,
        peak=others.peak,
        resident={},
        digest="",
    )
    rows = [
        row("azpreflight", ours, size.nodes),
        row("testinfra, a sample", others, size.sample),
        row("testinfra, scaled from the sample", scaled, size.nodes),
    ]
    heads = ["way", "nodes", "HTTP requests", "wall s", "client CPU s", "CPU ms per node", "endpoint CPU s", "RSS MiB"]
    per_node = others.cpu / size.sample / (ours.cpu / size.nodes)
    grown = ours.resident[str(marks[-1])] - ours.resident[str(marks[0])]
    notes = [
        f"Client CPU per node: testinfra's way takes {per_node:.1f} times as much.",
        f"RSS of azpreflight from {marks[0]} to {marks[-1]} nodes: {grown:+.1f} MiB; facts are thrown away at once.",
        "All nodes are one endpoint, one Python process, which bounds the wall times as much as the client does.",
    ]
    table(f"4. Many nodes, 30 facts each, {JOBS} at a time, {20 / size.divisor:g} ms per request", heads, rows, notes)


def machine() -> str:
    """What all this ran on, and with."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    system = f"{platform.system()} {platform.machine()}"
    return f"{os.cpu_count()} cores, {system}, Python {platform.python_version()}; {versions}"


def arguments() -> Size:
    """How much is wanted."""
    parser = argparse.ArgumentParser(description="What reading Windows nodes costs, against other WinRM clients.")
    parser.add_argument("--quick", action="store_true", help="see whether it runs; the figures mean nothing")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each way (%(default)s)")
    parser.add_argument("--nodes", type=int, default=1000, help="many nodes (%(default)s)")
    given = parser.parse_args()
    if given.rounds < 1 or given.nodes < 1:
        parser.error("--rounds and --nodes are 1 at least")
    if given.quick:
        return Size(rounds=1, starts_rounds=1, requests=100, nodes=8, sample=2, divisor=20)
    return Size(
        rounds=given.rounds,
        starts_rounds=min(given.rounds, 3),
        requests=1000,
        nodes=given.nodes,
        sample=min(given.nodes, 2 * JOBS),
        divisor=1,
    )


def main() -> int:
    """Run everything; the exit code."""
    size = arguments()
    try:
        sys.stdout.write(f"{machine()}\n")
    except PackageNotFoundError as error:
        sys.stderr.write(f"{error.name} is not installed; pip install -e '.[bench,test]' installs what is compared\n")
        return 2
    if size.divisor != 1:
        sys.stdout.write(f"QUICK: every latency is divided by {size.divisor:g}, one round; the figures mean nothing.\n")
    with ExitStack() as stack:
        endpoint = stack.enter_context(Child("endpoint", str(size.divisor)))
        hello = endpoint.hear()
        workers = {way: stack.enter_context(Child("worker", way)) for way in WAYS}
        for worker in workers.values():
            worker.tell(**hello, nodes=size.nodes)
        bench = Bench(endpoint, workers)
        one_node(bench, size)
        each_request(bench, size)
        many_nodes(bench, size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
