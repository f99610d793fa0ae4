"""Many nodes in a process of their own, which a test can kill: `python -m servers.farm COUNT [LATENCY]` in tests/.

Prints the ports of its nodes on one line and then serves until its standard input ends.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from servers.lab import PASSWORD, USER, node_scenario
from servers.winrm import Misbehaviour, WinRMServer

TESTS = Path(__file__).parents[1]


class Farm:
    """A running farm, as a context manager.

    Attributes:
        ports: of its nodes.
    """

    def __init__(self, count: int, *, latency: float = 0.0) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "servers.farm", str(count), str(latency)],
            cwd=TESTS,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.ports = [int(port) for port in self._process.stdout.readline().split()]
        assert len(self.ports) == count

    def __enter__(self) -> Farm:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


def serve(count: int, latency: float) -> None:
    """Serve `count` nodes until standard input ends."""
    slow = [Misbehaviour("latency", seconds=latency)] if latency else []
    scenario = node_scenario(1)
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(WinRMServer(scenario, {USER: PASSWORD}, misbehaviours=slow)) for _ in range(count)
        ]
        sys.stdout.write(" ".join(str(server.http_port) for server in servers) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]))
