"""The programs of a node and the cmd.exe that starts them."""

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import IO, Protocol

from . import cmdline
from .regexe import reg_query
from .registry import Registry

NOT_RECOGNIZED = 9009
CONTROL_C = 0xC000013A

VARIABLES: Mapping[str, str] = {
    "SystemRoot": "C:\\Windows",
    "windir": "C:\\Windows",
    "SystemDrive": "C:",
    "ComSpec": "C:\\Windows\\system32\\cmd.exe",
    "ProgramFiles": "C:\\Program Files",
    "ProgramW6432": "C:\\Program Files",
    "ProgramData": "C:\\ProgramData",
}
MESSAGES: Mapping[str, str] = {
    "not_recognized": "'{0}' is not recognized as an internal or external command,\noperable program or batch file.",
    "path_not_found": "The system cannot find the path specified.",
    "file_not_found": "The system cannot find the file specified.",
}

_FULL_PATH = re.compile(r"[A-Za-z]:\\(?:[^\\]+\\)*[^\\]+\.exe", re.IGNORECASE)
_SYSTEM_PROGRAMS = {
    "reg.exe", "curl.exe", "whoami.exe", "w32tm.exe", "nslookup.exe", "wevtutil.exe", "citool.exe", "cmd.exe",
}  # fmt: skip
_CURL_WRITES = {
    "-O", "--remote-name", "--remote-name-all", "-J", "--remote-header-name", "-T", "--upload-file", "-c",
    "--cookie-jar", "-D", "--dump-header", "--trace", "--trace-ascii", "--libcurl", "--stderr", "--etag-save",
}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What a program that is not emulated further prints."""

    pattern: re.Pattern[str]
    stdout: str = ""
    stderr: str = ""
    exit: int = 0


@dataclass(frozen=True)
class Identity:
    """What whoami.exe says."""

    user: tuple[str, str] = ("azl\\user", "S-1-5-21-1-2-3-1001")
    groups: tuple[tuple[str, str, str, str], ...] = ()


@dataclass(frozen=True)
class Curl:
    """The curl of this machine, standing in for the node's."""

    extra: Sequence[str] = ()
    """Arguments for every transfer: the network of the node, e.g. `--connect-to ::127.0.0.1:8443`."""
    binary: str = "curl"


class Process(Protocol):
    """What a program needs of the command that runs it."""

    killed: threading.Event

    def write(self, stream: str, data: bytes) -> None:
        """Write to stdout or stderr."""

    def read_input(self) -> bytes:
        """All of standard input, once it has ended or the command is killed."""

    def encode(self, text: str) -> bytes:
        """Text in the console code page."""

    def on_kill(self, action: Callable[[], None]) -> None:
        """Call something when the command is killed, at once if it already is."""


@dataclass
class Interpreter:
    """cmd.exe of one node."""

    registry: Registry
    forbid: Callable[[str], None]
    identity: Identity = Identity()
    answers: Sequence[Answer] = ()
    messages: Mapping[str, str] = field(default_factory=dict)
    curl: Curl = Curl()

    def run(self, line: str, process: Process) -> int:
        """Run a command line as `cmd /c` does; the exit code."""
        return _ended(self._chain(line, process, delayed=False))

    def expand(self, text: str) -> str:
        """Replace the environment variables of the node."""
        return cmdline.expand_percent(text, VARIABLES)

    def _chain(self, line: str, process: Process, *, delayed: bool) -> int:
        level = 0
        try:
            steps = cmdline.split_steps(cmdline.expand_percent(line, {**VARIABLES, "errorlevel": "0"}))
        except cmdline.UnsupportedLineError as error:
            self.forbid(f"{error} in: {line}")
            return 1
        for step in steps:
            if process.killed.is_set():
                return CONTROL_C
            if (step.link == "&&" and level) or (step.link == "||" and not level):
                continue
            text = step.text
            if delayed:
                text = cmdline.expand_delayed(text, {**VARIABLES, "errorlevel": str(level)})
            code = self._step(text, process)
            level = level if code is None else code
        return CONTROL_C if process.killed.is_set() else level

    def _step(self, text: str, process: Process) -> int | None:
        """Run one command; None leaves the error level as it is."""
        program, rest = cmdline.split_program(text)
        name = program.rpartition("\\")[2].lower()
        if name == "echo":
            # Everything after the one blank is printed, the blanks before the next & included.
            process.write("stdout", process.encode(rest[1:] + "\r\n"))
            return None
        if name in {"type", "dir"}:
            return self._answered(text, process, default=(1, "file_not_found"))
        if _FULL_PATH.fullmatch(program) is None:
            self.forbid(f"no full path: {text.strip()}")
            self._complain(process, "not_recognized", program)
            return NOT_RECOGNIZED
        directory = program.rpartition("\\")[0].lower()
        if name in _SYSTEM_PROGRAMS and directory != "c:\\windows\\system32":
            self._complain(process, "path_not_found")
            return 1
        if name == "cmd.exe":
            return self._nested(text, rest, process)
        arguments = cmdline.split_arguments(rest)
        if not _reads_only(name, arguments):
            self.forbid(f"program: {text.strip()}")
        if name == "reg.exe":
            return self._reg(arguments, process)
        if name == "curl.exe":
            return run_curl(self.curl, arguments, process, self.forbid)
        if name == "whoami.exe":
            return self._whoami(arguments, process)
        return self._answered(text, process, default=(NOT_RECOGNIZED, "not_recognized"), program=program)

    def _nested(self, text: str, rest: str, process: Process) -> int:
        inner = cmdline.inner_line(rest)
        if inner is None:
            self.forbid(f"interactive: {text.strip()}")
            return 1
        line, delayed = inner
        return _ended(self._chain(line, process, delayed=delayed))

    def _answered(self, text: str, process: Process, default: tuple[int, str], program: str = "") -> int:
        for answer in self.answers:
            if answer.pattern.search(text):
                process.write("stdout", process.encode(_crlf(answer.stdout)))
                process.write("stderr", process.encode(_crlf(answer.stderr)))
                return answer.exit
        code, message = default
        self._complain(process, message, program)
        return code

    def _complain(self, process: Process, message: str, *details: str) -> None:
        text = self.messages.get(message, MESSAGES[message]).format(*details)
        process.write("stderr", process.encode(_crlf(text + "\n")))

    def _reg(self, arguments: Sequence[str], process: Process) -> int:
        if not arguments or arguments[0].lower() != "query":
            return 1
        stdout, stderr, code = reg_query(self.registry, arguments[1:], self.messages)
        process.write("stdout", process.encode(stdout))
        process.write("stderr", process.encode(stderr))
        return code

    def _whoami(self, arguments: Sequence[str], process: Process) -> int:
        switches = [argument.lower() for argument in arguments]
        rows: Sequence[Sequence[str]]
        if sorted(switches) == sorted(["/user", "/fo", "csv", "/nh"]):
            rows = [self.identity.user]
        elif sorted(switches) == sorted(["/groups", "/fo", "csv", "/nh"]):
            rows = self.identity.groups
        elif not switches:
            process.write("stdout", process.encode(self.identity.user[0] + "\r\n"))
            return 0
        else:
            return self._answered(" ".join(["whoami.exe", *arguments]), process, default=(1, "file_not_found"))
        text = "".join(",".join(f'"{cell}"' for cell in row) + "\r\n" for row in rows)
        process.write("stdout", process.encode(text))
        return 0


def _ended(level: int) -> int:
    """The exit code of cmd /c: a program that it does not find makes it 1, 9009 is only its own error level."""
    return 1 if level == NOT_RECOGNIZED else level


def _crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


def _reads_only(name: str, arguments: Sequence[str]) -> bool:
    words = [argument.lower() for argument in arguments]
    first = words[0] if words else ""
    if name == "curl.exe":
        return not _CURL_WRITES & set(arguments) and all(
            value.upper() in {"NUL", "-"} for option, value in pairwise(arguments) if option in {"-o", "--output"}
        )
    allowed = {
        "reg.exe": first == "query",
        "whoami.exe": True,
        "nslookup.exe": True,
        "w32tm.exe": first in {"/query", "/stripchart", "/tz"},
        "wevtutil.exe": first in {"qe", "gl", "el", "gli", "query-events", "get-log", "enum-logs"},
        "citool.exe": first in {"--list-policies", "-lp"},
        "azcmagent.exe": first in {"show", "check", "version"}
        or words[:2] in (["config", "list"], ["config", "get"], ["config", "info"], ["extension", "list"]),
    }
    return allowed.get(name, False)


def run_curl(curl: Curl, arguments: Sequence[str], process: Process, forbid: Callable[[str], None]) -> int:
    """Run this machine's curl with the arguments and the standard input of the node's."""
    binary = shutil.which(curl.binary)
    if binary is None:
        raise FileNotFoundError(f"{curl.binary} is not installed on this machine")
    data = b""
    if any(option in {"-K", "--config"} and value == "-" for option, value in pairwise(arguments)):
        data = _config(process.read_input(), curl.extra, forbid)
        if process.killed.is_set():
            return CONTROL_C
    command = [binary, "-q", *curl.extra, *_arguments(arguments, curl.extra)]
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    process.on_kill(child.kill)
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    pumps = [
        threading.Thread(target=_pump, args=(child.stdout, "stdout", process), daemon=True),
        threading.Thread(target=_pump, args=(child.stderr, "stderr", process), daemon=True),
    ]
    for pump in pumps:
        pump.start()
    try:
        child.stdin.write(data)
        child.stdin.close()
    except BrokenPipeError:
        pass  # curl may end before it has read its input, e.g. after a usage error.
    code = child.wait()
    for pump in pumps:
        pump.join()
    child.stdout.close()
    child.stderr.close()
    return code if code >= 0 else CONTROL_C


def _pump(pipe: IO[bytes], stream: str, process: Process) -> None:
    while data := os.read(pipe.fileno(), 65536):
        process.write(stream, data)


def _arguments(arguments: Sequence[str], extra: Sequence[str]) -> list[str]:
    """NUL is /dev/null here; what --next starts anew needs the extra arguments again."""
    result: list[str] = []
    for argument in arguments:
        result.append("/dev/null" if argument.upper() == "NUL" else argument)
        if argument in {"--next", "-:"}:
            result += extra
    return result


def _config(data: bytes, extra: Sequence[str], forbid: Callable[[str], None]) -> bytes:
    """The same for a configuration on standard input."""
    result = []
    for original in data.decode("utf-8").splitlines():
        line = original
        output = re.fullmatch(r'\s*(?:-{0,2}output\b|-o)\s*[=:]?\s*"?([^"]*?)"?\s*', line)
        if output is not None:
            if output[1].upper() not in {"NUL", "-"}:
                forbid(f"curl writes: {line.strip()}")
            line = "output = /dev/null" if output[1].upper() == "NUL" else line
        result.append(line)
        if re.fullmatch(r"\s*(?:-{0,2}next|-:)\s*", line):
            result += _as_config(extra)
    return ("\n".join(result) + "\n").encode()


def _as_config(extra: Sequence[str]) -> list[str]:
    lines: list[str] = []
    for argument in extra:
        if argument.startswith("-"):
            lines.append(argument)
        else:
            quoted = argument.replace("\\", "\\\\").replace('"', '\\"')
            lines[-1] += f' "{quoted}"'
    return lines
