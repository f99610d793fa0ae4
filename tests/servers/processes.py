"""Programs that tests run beside themselves: found, started, waited for, ended."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

START_SECONDS = 10.0
STOP_SECONDS = 3.0
STARTS = 3
"""How often a server is started: somebody else may take a free port before the server does."""
# Debian keeps daemons out of the path of ordinary users.
_MORE_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")


class MissingProgramError(Exception):
    """A program that tests need is not installed; the message says how to get it."""


class StartError(Exception):
    """A program ended before it was ready, or never became ready."""


def find_program(name: str, package: str) -> str:
    """The full path of a program that the Debian package of that name brings."""
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *_MORE_FOLDERS]))
    if path is None:
        raise MissingProgramError(f"the tests need `{name}`: apt-get install --no-install-recommends {package}")
    return path


def free_port(hosts: Iterable[str] = ("127.0.0.1",)) -> int:
    """A port that nobody uses on any of the hosts, over neither TCP nor UDP, at this moment."""
    first, *rest = dict.fromkeys(hosts)
    for _ in range(50):
        with ExitStack() as held, socket.socket() as probe:
            probe.bind((first, 0))
            port: int = probe.getsockname()[1]
            wanted = [(first, socket.SOCK_DGRAM)]
            wanted += [(host, kind) for host in rest for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
            try:
                for host, kind in wanted:
                    held.enter_context(socket.socket(type=kind)).bind((host, port))
            except OSError:
                continue
            return port
    raise StartError("no free port found")


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process, and leave them as they were before."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Daemon:
    """A program that runs in the foreground until it is stopped, its output in `log` in its folder."""

    def __init__(self, command: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.command = command
        self._environment = environment or {}
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What the program has written so far."""
        return (self._folder / "log").read_text("utf-8", "replace")

    def start(self, ready: Callable[[], bool]) -> None:
        """Run the program until `ready` says so.

        Raises:
            StartError: it ended or did not become ready; the end of its output is in the message.
        """
        # A session of its own: Ctrl-C reaches the tests, which then stop the program in order.
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environment},
                start_new_session=True,
            )
        try:
            self._wait(ready)
        except BaseException:
            self.stop()
            raise

    def start_configured(self, configure: Callable[[], None], ready: Callable[[], bool]) -> None:
        """`start` after `configure`, which chooses free ports; both again while the program does not start.

        Raises:
            StartError: as `start`, of the last time.
        """
        for left in reversed(range(STARTS)):
            configure()
            try:
                self.start(ready)
            except StartError:
                if not left:
                    raise
            else:
                break

    def _wait(self, ready: Callable[[], bool]) -> None:
        assert self._process is not None
        until = time.monotonic() + START_SECONDS
        while not ready():
            ended = self._process.poll()
            if ended is not None or time.monotonic() > until:
                what = "did not become ready" if ended is None else f"ended with exit code {ended}"
                raise StartError(f"{self.command[0]} {what}:\n{self.log[-3000:]}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End the program, by force if it does not go."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
