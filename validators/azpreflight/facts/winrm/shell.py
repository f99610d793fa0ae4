"""One command shell on a node: opened without a profile, in UTF-8, closed on every path."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

from azpreflight.facts.deadline import Deadline
from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.winrm.faults import TIMED_OUT, Fault
from azpreflight.facts.winrm.session import Session
from azpreflight.facts.winrm.soap import SHELL, TRANSFER, child, descendant, local, text_of

URI = f"{SHELL}/cmd"
POLL_SECONDS = 5.0
"""How long one Receive may wait on the node: an interrupted run closes its shell after this at the latest."""
CLOSING_SECONDS = 8.0
MAX_OUTPUT = 16 * 1024 * 1024
_TERMINATE = f"{SHELL}/signal/terminate"


@dataclass(frozen=True)
class Output:
    """What a command wrote. Bytes of UTF-8 where the program follows the code page; decoded leniently."""

    stdout: str
    stderr: str
    exit_code: int


@contextlib.contextmanager
def open_shell(session: Session, deadline: Deadline) -> Iterator[Shell]:
    """A shell that is deleted whatever happens.

    Raises:
        WireError: the node opens none.
    """
    body = (
        "<rsp:Shell><rsp:InputStreams>stdin</rsp:InputStreams>"
        "<rsp:OutputStreams>stdout stderr</rsp:OutputStreams></rsp:Shell>"
    )
    # Without NOPROFILE a first logon would make a user profile on the node.
    options = {"WINRS_NOPROFILE": "TRUE", "WINRS_CODEPAGE": "65001"}
    answer = session.request(URI, f"{TRANSFER}/Create", body, deadline=deadline, options=options)
    shell_id = next(
        (text_of(e) for e in answer.iter() if local(e) == "Selector" and e.get("Name") == "ShellId"),
        text_of(descendant(answer, "ShellId")),
    )
    if not shell_id:
        raise WireError(Status.FAILED, "the answer to a shell's Create names no shell")
    try:
        yield Shell(session, shell_id)
    finally:
        # A node that is gone takes its shells along; there is nobody to tell. A broken connection is no such sign.
        with contextlib.suppress(WireError):
            session.revive()
            selectors = {"ShellId": shell_id}
            session.request(URI, f"{TRANSFER}/Delete", "", deadline=Deadline(CLOSING_SECONDS), selectors=selectors)


class Shell:
    """An open shell. Commands run one after the other."""

    def __init__(self, session: Session, shell_id: str) -> None:
        self._session = session
        self._selectors = {"ShellId": shell_id}

    def run(self, command: str, deadline: Deadline, stdin: bytes | None = None) -> Output:
        """Run a command line to its end.

        Raises:
            WireError: it did not end in time (it was terminated), or the node failed. The output so far is lost.
        """
        # A pipe for standard input instead of a console, and cmd.exe to run the line.
        options = {"WINRS_CONSOLEMODE_STDIN": "FALSE", "WINRS_SKIP_CMD_SHELL": "FALSE"}
        body = f"<rsp:CommandLine><rsp:Command>{escape(command)}</rsp:Command></rsp:CommandLine>"
        answer = self._session.request(
            URI, f"{SHELL}/Command", body, deadline=deadline, selectors=self._selectors, options=options
        )
        command_id = text_of(descendant(answer, "CommandId"))
        if not command_id:
            raise WireError(Status.FAILED, "the answer to a Command names no command")
        try:
            if stdin is not None:
                self._send(command_id, stdin, deadline)
            return self._receive(command_id, deadline)
        except BaseException:
            with contextlib.suppress(WireError):
                self._terminate(command_id)
            raise

    def _send(self, command_id: str, data: bytes, deadline: Deadline) -> None:
        content = base64.b64encode(data).decode()
        stream = f'<rsp:Stream Name="stdin" CommandId={quoteattr(command_id)} End="true">{content}</rsp:Stream>'
        body = f"<rsp:Send>{stream}</rsp:Send>"
        self._session.request(URI, f"{SHELL}/Send", body, deadline=deadline, selectors=self._selectors)

    def _receive(self, command_id: str, deadline: Deadline) -> Output:
        # Chunks are cut anywhere, also inside a character: join the bytes first.
        streams = {"stdout": bytearray(), "stderr": bytearray()}
        wanted = f"<rsp:DesiredStream CommandId={quoteattr(command_id)}>stdout stderr</rsp:DesiredStream>"
        body = f"<rsp:Receive>{wanted}</rsp:Receive>"
        while True:
            if deadline.over:
                raise WireError(Status.TIMED_OUT, "the program did not end in the time given")
            try:
                answer = self._session.request(
                    URI, f"{SHELL}/Receive", body, deadline=deadline, seconds=POLL_SECONDS, selectors=self._selectors
                )
            except Fault as fault:
                if fault.code == TIMED_OUT:
                    continue
                raise
            _collect(answer, streams)
            state = descendant(answer, "CommandState")
            if state is not None and state.get("State", "").endswith("/Done"):
                code = text_of(child(state, "ExitCode"))
                exit_code = int(code) if re.fullmatch(r"-?[0-9]{1,10}", code) else -1
                # A NUL is no character of a text, and no recording takes it.
                texts = {n: data.decode("utf-8", "replace").replace("\0", "\ufffd") for n, data in streams.items()}
                return Output(texts["stdout"], texts["stderr"], exit_code)

    def _terminate(self, command_id: str) -> None:
        body = f"<rsp:Signal CommandId={quoteattr(command_id)}><rsp:Code>{_TERMINATE}</rsp:Code></rsp:Signal>"
        deadline = Deadline(CLOSING_SECONDS)
        self._session.request(URI, f"{SHELL}/Signal", body, deadline=deadline, selectors=self._selectors)


def _collect(answer: ET.Element, streams: dict[str, bytearray]) -> None:
    for element in answer.iter():
        if local(element) == "Stream" and element.text and (stream := streams.get(element.get("Name", ""))) is not None:
            try:
                stream += base64.b64decode("".join(element.text.split()), validate=True)
            except ValueError as error:
                raise WireError(Status.FAILED, f"a stream of a command is no base64: {error}") from error
            if len(stream) > MAX_OUTPUT:
                raise WireError(Status.FAILED, f"a program wrote more than {MAX_OUTPUT >> 20} MiB")
