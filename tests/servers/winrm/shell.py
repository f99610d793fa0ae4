"""Windows Remote Shell: shells, their commands and streams."""

import base64
import binascii
import codecs
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field

from . import names
from .config import Config
from .faults import SHELL_PLUGIN, SHELL_PROVIDER, Code, Fault, Shape
from .log import RequestLog
from .programs import CONTROL_C, Interpreter
from .soap import Request, escape, local_name, new_id

LONGEST_LINE = 8191
_STATE = names.SHELL + "/CommandState/"
_ENVELOPE_ROOM = 4_000
_STREAM_ROOM = 130
_COALESCE_SECONDS = 0.02
"""How long a Receive with something to say waits for a command that is about to end."""


@dataclass
class Command:
    """A running command; what programs see of it is `programs.Process`."""

    command_id: str
    line: str
    codec: str
    chunk_bytes: int
    hangs: bool
    cut: bool
    killed: threading.Event = field(default_factory=threading.Event)
    condition: threading.Condition = field(default_factory=threading.Condition)
    output: list[tuple[str, bytes]] = field(default_factory=list)
    input: bytearray = field(default_factory=bytearray)
    input_ended: bool = False
    exit_code: int | None = None
    reported_done: bool = False
    cut_sent: bool = False
    kill_actions: list[Callable[[], None]] = field(default_factory=list)

    def write(self, stream: str, data: bytes) -> None:
        """Queue output in chunks that may end inside a character."""
        with self.condition:
            for start in range(0, len(data), self.chunk_bytes):
                self.output.append((stream, data[start : start + self.chunk_bytes]))
            self.condition.notify_all()

    def read_input(self) -> bytes:
        """Wait for the end of standard input."""
        with self.condition:
            self.condition.wait_for(lambda: self.input_ended or self.killed.is_set())
            return bytes(self.input)

    def encode(self, text: str) -> bytes:
        """Text in the code page of the shell."""
        return text.encode(self.codec, errors="replace")

    def on_kill(self, action: Callable[[], None]) -> None:
        """Remember how to stop the program."""
        with self.condition:
            if not self.killed.is_set():
                self.kill_actions.append(action)
                return
        action()

    def kill(self) -> None:
        """Stop the command."""
        with self.condition:
            self.killed.set()
            actions, self.kill_actions = self.kill_actions, []
            self.condition.notify_all()
        for action in actions:
            action()

    def run(self, interpreter: Interpreter) -> None:
        """Run to the end."""
        code = CONTROL_C
        try:
            if self.hangs:
                self.killed.wait()
            else:
                code = interpreter.run(self.line, self)
        finally:
            # Also when the emulation itself fails: a client must not wait for ever for that.
            with self.condition:
                self.exit_code = code
                self.condition.notify_all()


@dataclass
class _Shell:
    shell_id: str
    user: str
    codec: str
    commands: dict[str, Command] = field(default_factory=dict)


class OutputCutError(Exception):
    """The connection ends in the middle of a command's output."""


class ShellHost:
    """All shells of a server."""

    def __init__(
        self,
        log: RequestLog,
        config: Config,
        interpreter: Interpreter,
        machine: str,
        *,
        chunk_bytes: int,
        receive_bytes: int | None,
    ) -> None:
        self._log = log
        self._config = config
        self._interpreter = interpreter
        self._machine = machine
        self._chunk_bytes = chunk_bytes
        self._receive_bytes = receive_bytes
        self._lock = threading.Lock()
        self._shells: dict[str, _Shell] = {}
        self._threads: list[threading.Thread] = []

    def create(self, request: Request, user: str, client: str) -> str:
        """The body of the answer to Create."""
        if not self._config.flag("Winrs", "AllowRemoteShellAccess"):
            raise Fault(Code.SHELLS_NOT_ALLOWED, "w:InternalError", "Remote shells are not allowed on this machine.")
        if request.body is None or local_name(request.body) != "Shell":
            raise Fault(Code.SCHEMA, "w:SchemaValidationError", "The body holds no shell.")
        codec = _codec(request.options.get("WINRS_CODEPAGE", "437"))
        with self._lock:
            own = sum(1 for shell in self._shells.values() if shell.user == user)
            if own >= self._config.number("Winrs", "MaxShellsPerUser"):
                raise Fault(Code.SHELLS_PER_USER, "w:QuotaLimit", "This user has too many shells.")
            shell = _Shell(new_id(), user, codec)
            self._shells[shell.shell_id] = shell
        self._log.shell_opened(shell.shell_id, user, request.options)
        streams = {local_name(child): child.text or "" for child in request.body}
        seconds = self._config.number("Winrs", "IdleTimeout") / 1000
        return (
            f"<x:ResourceCreated><a:Address>http://{escape(self._machine)}:5985/wsman</a:Address>"
            f"<a:ReferenceParameters><w:ResourceURI>{names.SHELL_CMD}</w:ResourceURI><w:SelectorSet>"
            f'<w:Selector Name="ShellId">{shell.shell_id}</w:Selector></w:SelectorSet></a:ReferenceParameters>'
            f'</x:ResourceCreated><rsp:Shell xmlns:rsp="{names.SHELL}"><rsp:ShellId>{shell.shell_id}</rsp:ShellId>'
            f"<rsp:ResourceUri>{names.SHELL_CMD}</rsp:ResourceUri><rsp:Owner>{escape(user)}</rsp:Owner>"
            f"<rsp:ClientIP>{escape(client)}</rsp:ClientIP><rsp:IdleTimeOut>PT{seconds:.3f}S</rsp:IdleTimeOut>"
            f"<rsp:InputStreams>{escape(streams.get('InputStreams', 'stdin'))}</rsp:InputStreams>"
            f"<rsp:OutputStreams>{escape(streams.get('OutputStreams', 'stdout stderr'))}</rsp:OutputStreams>"
            "<rsp:ShellRunTime>P0DT0H0M0S</rsp:ShellRunTime><rsp:ShellInactivity>P0DT0H0M0S</rsp:ShellInactivity>"
            "</rsp:Shell>"
        )

    def start_command(self, request: Request, *, hangs: bool, cut: bool) -> str:
        """The body of the answer to Command."""
        shell = self._shell(request)
        line = command_line(request)
        if len(line) > LONGEST_LINE:
            raise Fault(
                Code.LINE_TOO_LONG,
                text="The filename or extension is too long.",
                shape=Shape.PROVIDER,
                provider=SHELL_PLUGIN,
            )
        if not line.strip():
            raise Fault(Code.WRONG_PARAMETER, "w:InvalidParameter", "The parameter is incorrect.")
        command = Command(new_id(), line, shell.codec, self._chunk_bytes, hangs, cut)
        with self._lock:
            if len(shell.commands) >= self._config.number("Winrs", "MaxProcessesPerShell"):
                raise Fault(Code.COMMANDS_PER_SHELL, "w:QuotaLimit", "This shell has too many processes.")
            shell.commands[command.command_id] = command
        self._log.command_started(request.options)
        thread = threading.Thread(target=command.run, args=(self._interpreter,), daemon=True)
        with self._lock:
            self._threads.append(thread)
        thread.start()
        return f"<rsp:CommandResponse><rsp:CommandId>{command.command_id}</rsp:CommandId></rsp:CommandResponse>"

    def send(self, request: Request) -> str:
        """The body of the answer to Send."""
        shell = self._shell(request)
        for stream in _children(request, "Stream"):
            command = _command(shell, stream.get("CommandId", ""))
            try:
                data = base64.b64decode(stream.text or "", validate=True)
            except binascii.Error:
                raise Fault(Code.SCHEMA, "w:SchemaValidationError", "The input is not base64.") from None
            with command.condition:
                if command.input_ended and (data or stream.get("End", "").lower() != "true"):
                    raise Fault(Code.WRONG_PARAMETER, "w:InvalidParameter", "The input has ended.")
                command.input += data
                command.input_ended |= stream.get("End", "").lower() == "true"
                command.condition.notify_all()
        return "<rsp:SendResponse/>"

    def receive(self, request: Request, limit: int, most_seconds: float) -> str:
        """The body of the answer to Receive."""
        shell = self._shell(request)
        command = _command(shell, _command_id(request))
        if command.reported_done:
            raise _no_such_command()
        seconds = min(request.timeout if request.timeout is not None else most_seconds, most_seconds)
        with command.condition:
            if command.cut_sent:
                raise OutputCutError
            if not command.condition.wait_for(lambda: command.output or command.exit_code is not None, seconds):
                raise Fault(
                    Code.TIMED_OUT,
                    "w:TimedOut",
                    "The operation did not complete within the time of OperationTimeout.",
                )
            command.condition.wait_for(lambda: command.exit_code is not None, min(_COALESCE_SECONDS, seconds))
            if command.cut:
                # Wait for the whole output so that what is missing is certain.
                command.condition.wait_for(lambda: command.exit_code is not None, seconds)
                taken, command.cut_sent = command.output[: len(command.output) // 2], True
                return _receive_body(command, taken, done=False)
            taken = _take(command, limit, self._receive_bytes)
            done = command.exit_code is not None and not command.output
            command.reported_done = done
        return _receive_body(command, taken, done=done)

    def signal(self, request: Request) -> str:
        """The body of the answer to Signal."""
        shell = self._shell(request)
        command_id = request.body.get("CommandId", "") if request.body is not None else ""
        command = _command(shell, command_id)
        code = next((element.text or "" for element in _children(request, "Code")), "").strip()
        if code.endswith("/signal/terminate"):
            command.kill()
            with self._lock:
                shell.commands.pop(command.command_id, None)
        elif code.endswith(("/signal/ctrl_c", "/signal/ctrl_break")):
            command.kill()
        else:
            raise Fault(Code.WRONG_PARAMETER, "w:InvalidParameter", "The signal is unknown.")
        return "<rsp:SignalResponse/>"

    def delete(self, request: Request) -> None:
        """End a shell and everything that runs in it."""
        shell = self._shell(request)
        with self._lock:
            self._shells.pop(shell.shell_id, None)
        for command in list(shell.commands.values()):
            command.kill()
        self._log.shell_closed(shell.shell_id)

    def line_of(self, request: Request) -> str:
        """The command line that a Receive, Send or Signal is about; empty if there is none."""
        shell = self._shells.get((request.selector("ShellId") or "").upper())
        command_id = _command_id(request) if request.body is not None else ""
        command = shell.commands.get(command_id.upper()) if shell is not None else None
        return command.line if command is not None else ""

    def stop(self) -> None:
        """Kill everything that runs; the shells stay open in the log, since nobody has closed them."""
        with self._lock:
            commands = [command for shell in self._shells.values() for command in shell.commands.values()]
            threads = list(self._threads)
        for command in commands:
            command.kill()
        for thread in threads:
            thread.join(timeout=2)

    def _shell(self, request: Request) -> _Shell:
        shell = self._shells.get((request.selector("ShellId") or "").upper())
        if shell is None:
            raise Fault(
                Code.INVALID_SELECTORS,
                "w:InvalidSelectors",
                "The request contains invalid selectors for the resource.",
                shape=Shape.PROVIDER,
                detail="UnexpectedSelectors",
                provider=SHELL_PROVIDER,
            )
        return shell


def command_line(request: Request) -> str:
    """The command and its arguments as one line."""
    if request.body is None or local_name(request.body) != "CommandLine":
        raise Fault(Code.SCHEMA, "w:SchemaValidationError", "The body holds no command line.")
    command = "".join(element.text or "" for element in _children(request, "Command"))
    arguments = [element.text or "" for element in _children(request, "Arguments")]
    return " ".join([command, *arguments])


def _children(request: Request, name: str) -> list[ET.Element]:
    return [child for child in request.body if local_name(child) == name] if request.body is not None else []


def _command_id(request: Request) -> str:
    """Signal names its command on the body's element, Receive and Send on a child of it."""
    if request.body is None:
        return ""
    elements = [request.body, *request.body]
    return next((element.get("CommandId", "") for element in elements if element.get("CommandId")), "")


def _command(shell: _Shell, command_id: str) -> Command:
    command = shell.commands.get(command_id.upper())
    if command is None:
        raise _no_such_command()
    return command


def _no_such_command() -> Fault:
    return Fault(
        Code.INVALID_SELECTORS,
        "w:InvalidSelectors",
        "The command has ended or never was.",
        detail="UnexpectedSelectors",
    )


def _codec(code_page: str) -> str:
    if code_page == "65001":
        return "utf-8"
    try:
        return codecs.lookup(f"cp{code_page}").name
    except LookupError:
        raise Fault(Code.WRONG_PARAMETER, "w:InvalidParameter", "The parameter is incorrect.") from None


def _take(command: Command, limit: int, most_bytes: int | None) -> list[tuple[str, bytes]]:
    """The next chunks that fit an envelope, always at least one; the caller holds the condition."""
    taken: list[tuple[str, bytes]] = []
    size, used = _ENVELOPE_ROOM, 0
    while command.output:
        data = command.output[0][1]
        size += _STREAM_ROOM + len(data) * 4 // 3
        used += len(data)
        if taken and (size > limit or (most_bytes is not None and used > most_bytes)):
            break
        taken.append(command.output.pop(0))
    return taken


def _receive_body(command: Command, chunks: list[tuple[str, bytes]], *, done: bool) -> str:
    identity = f'CommandId="{command.command_id}"'
    streams = "".join(
        f'<rsp:Stream Name="{stream}" {identity}>{base64.b64encode(data).decode()}</rsp:Stream>'
        for stream, data in chunks
    )
    if not done:
        state = f'<rsp:CommandState {identity} State="{_STATE}Running"></rsp:CommandState>'
    else:
        streams += "".join(
            f'<rsp:Stream Name="{name}" {identity} End="true"></rsp:Stream>' for name in ("stdout", "stderr")
        )
        state = (
            f'<rsp:CommandState {identity} State="{_STATE}Done">'
            f"<rsp:ExitCode>{command.exit_code}</rsp:ExitCode></rsp:CommandState>"
        )
    return f"<rsp:ReceiveResponse>{streams}{state}</rsp:ReceiveResponse>"
