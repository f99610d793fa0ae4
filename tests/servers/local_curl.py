"""This machine's curl in the place of a node's: the very command lines and work lists, without a node around them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from azpreflight.facts.deadline import Deadline
from azpreflight.facts.winrm.shell import Output
from servers.winrm.programs import Curl, run_curl


class _Process:
    """A command without a shell: what it reads is given, what it writes is kept."""

    def __init__(self, given: bytes) -> None:
        self.killed = threading.Event()
        self.written = {"stdout": bytearray(), "stderr": bytearray()}
        self._given = given

    def write(self, stream: str, data: bytes) -> None:
        self.written[stream] += data

    def read_input(self) -> bytes:
        return self._given

    def encode(self, text: str) -> bytes:
        return text.encode()

    def on_kill(self, action: Callable[[], None]) -> None:
        """Nobody kills it."""


class LocalCurl:
    """Runs curl as a node's shell does.

    Args:
        network: arguments that stand for the network of the node (`--connect-to`, `--cacert`).
        binary: another curl than the system's.

    Attributes:
        commands: what was run, with what on standard input.
    """

    def __init__(self, network: Sequence[str] = (), binary: str = "curl") -> None:
        self._curl = Curl(tuple(network), binary)
        self.commands: list[tuple[str, str]] = []

    def run(self, command: str, deadline: Deadline, stdin: bytes | None = None) -> Output:
        """Run a command line of curl to its end."""
        self.commands.append((command, (stdin or b"").decode()))
        process = _Process(stdin or b"")
        code = run_curl(self._curl, command.split()[1:], process, _forbidden)
        texts = {name: bytes(data).decode("utf-8", "replace") for name, data in process.written.items()}
        return Output(texts["stdout"], texts["stderr"], code)


def _forbidden(what: str) -> None:
    raise AssertionError(f"a node would refuse this: {what}")
