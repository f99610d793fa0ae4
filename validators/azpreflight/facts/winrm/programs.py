r"""The fixed list of programs that may run on a node, and the command lines that are made of them.

Every command line that reaches a node is built here. A program runs by its full path, with arguments that match its
pattern: it only reads. No pack can add to the list.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from azpreflight.documents import read_json
from azpreflight.errors import InputError, nearest
from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.query import ProgramQuery, RegistryQuery
from azpreflight.model import Value

SYSTEM = "%SystemRoot%\\System32\\"
AGENT = "%ProgramFiles%\\AzureConnectedMachineAgent\\"

NOT_THERE = frozenset({9009, 15007})
"""Exit codes that tell absence: of the program (cmd.exe), of an event channel (ERROR_EVT_CHANNEL_NOT_FOUND)."""

LINE_LIMIT = 8000
"""Characters of one command line; cmd.exe refuses more than 8191."""
ARGUMENTS_LIMIT = 1000
"""Characters of the arguments of one program, so that each fits a line of its own."""

_SAFE = r"[A-Za-z0-9_.,:/ {}()=*@'\[\]-]"
"""What names of registry keys are made of: nothing that cmd.exe gives a meaning to, in quotes or out of them.

A line is read twice, by the cmd.exe of the shell and by the one of the chain, and what is quoted for one of them is not
for the other.
"""
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.:-]*"
"""A name or address; what starts with a dash or a slash would be taken for an option."""

_SIDE_BY_SIDE = r" -Z --parallel-max [0-9]{1,2}( --parallel-immediate --no-progress-meter)?"
"""How curl is told to do a list at once, as far as it can."""


@dataclass(frozen=True)
class Program:
    """A program of the fixed list.

    Attributes:
        path: where it is on every Windows.
        arguments: what it may be given, in full.
        purpose: why this only reads.
    """

    path: str
    arguments: re.Pattern[str]
    purpose: str

    def line(self, arguments: str) -> str:
        """The command that runs it.

        Raises:
            ValueError: these arguments are not allowed.
        """
        if self.arguments.fullmatch(arguments) is None or len(arguments) > ARGUMENTS_LIMIT:
            raise ValueError(f"{self.path} may not be run with {arguments[:200]!r}")
        # Only the path of the agent has a blank in it, behind its variable.
        path = f'"{self.path}"' if "Program" in self.path else self.path
        return f"{path} {arguments}".rstrip()


PROGRAMS: dict[str, Program] = {
    "reg.exe": Program(
        SYSTEM + "reg.exe",
        re.compile(rf'query "(HKLM|HKU|HKCR)(\\{_SAFE}+)+"( /s)? /reg:64'),
        "reads registry keys",
    ),
    "curl.exe": Program(
        SYSTEM + "curl.exe",
        re.compile(rf"(-q -sS({_SIDE_BY_SIDE})? -K -|--version)"),
        "asks for URLs and throws the answers away",
    ),
    "whoami.exe": Program(
        SYSTEM + "whoami.exe", re.compile(r"/(user|groups) /fo csv /nh"), "shows the session's own account"
    ),
    "w32tm.exe": Program(
        SYSTEM + "w32tm.exe",
        re.compile(
            r"(/query /(source|status|peers|configuration)( /verbose)?"
            rf"|/stripchart /computer:{_NAME} /dataonly /samples:[1-5])"
        ),
        "shows the time service, or asks a time server for the time",
    ),
    "wevtutil.exe": Program(
        SYSTEM + "wevtutil.exe",
        re.compile(
            r'(qe|gl) [A-Za-z0-9][A-Za-z0-9/_-]*( /q:"[A-Za-z0-9*\[\]()=\'@: _./-]+")?'
            r"( /c:[0-9]{1,3})?( /rd:true)?( /f:xml)?( /e:[A-Za-z]{1,20})?"
        ),
        "reads event logs",
    ),
    "nslookup.exe": Program(
        SYSTEM + "nslookup.exe",
        re.compile(rf"-type=[A-Z]+ -timeout=[0-9] -retry=[0-9] {_NAME} {_NAME}"),
        "asks a DNS server for a name",
    ),
    "type": Program(f"type {SYSTEM}drivers\\etc\\hosts", re.compile(""), "prints the hosts file, and no other"),
    "CiTool.exe": Program(SYSTEM + "CiTool.exe", re.compile(r"--list-policies -json"), "lists code integrity policies"),
    "azcmagent.exe": Program(
        AGENT + "azcmagent.exe",
        re.compile(rf"(show|config list|version|extension list|check -l {_NAME})( -j)?"),
        "shows the state of the Arc agent",
    ),
}
"""By name. `cmd.exe` itself runs them in sequence; `type` is its own, for one file."""


def program(name: str) -> Program:
    """A program of the list.

    Raises:
        ValueError: it is not on it; names the nearest.
    """
    found = PROGRAMS.get(name)
    if found is None:
        guess = nearest(name, PROGRAMS)
        raise ValueError(f"{name} is not on the list of programs" + (f"; did you mean {guess}?" if guess else ""))
    return found


def line_of(query: ProgramQuery | RegistryQuery) -> str:
    """The command line that answers a query.

    Raises:
        ValueError: the fixed list does not allow it.
    """
    if isinstance(query, RegistryQuery):
        return program("reg.exe").line(f'query "{query.key}"{" /s" if query.recurse else ""} /reg:64')
    return program(query.program).line(query.arguments)


def chains(lines: Sequence[str], token: str) -> list[str]:
    """Command lines that run `lines` one after the other, each followed by its number and exit code.

    `token` marks these marks; it must not occur in the outputs. `/d` keeps AutoRun out, `/v:on` lets each exit code be
    told although cmd.exe expands a line before it runs.
    """
    start, end = f'{SYSTEM}cmd.exe /d /v:on /s /c "', '"'
    found: list[str] = []
    parts: list[str] = []
    for number, line in enumerate(lines):
        part = f"{line} & echo ##{token}:{number} !errorlevel!"
        if parts and len(start) + len(" & ".join([*parts, part])) + len(end) > LINE_LIMIT:
            found.append(start + " & ".join(parts) + end)
            parts = []
        parts.append(part)
    if parts:
        found.append(start + " & ".join(parts) + end)
    return found


def unchain(output: str, token: str) -> dict[int, tuple[str, int]]:
    """The output and exit code of each command of a chain that came to its end, by number."""
    found: dict[int, tuple[str, int]] = {}
    mark = re.compile(rf"##{re.escape(token)}:([0-9]{{1,4}}) (-?[0-9]{{1,10}})[ \t]*(?:\r?\n|\Z)")
    start = 0
    for match in mark.finditer(output):
        found[int(match[1])] = (output[start : match.start()], int(match[2]))
        start = match.end()
    return found


def parse(query: ProgramQuery, output: str) -> Value:
    """The output of a program as plain data.

    Raises:
        WireError: it is not what the query says.
    """
    where = f"{query.program} {query.arguments}"
    try:
        match query.output:
            case "csv":
                return [row for row in csv.reader(io.StringIO(output), strict=True) if row]
            case "json":
                return read_json(output, query.program).data
            case "xml":
                if "<!DOCTYPE" in output:
                    raise WireError(Status.FAILED, f"the output of {where} carries a document type declaration")
                ET.fromstring(output)  # noqa: S314 - entities need a document type, which was refused above
                return output
            case "text":
                return output
    except (csv.Error, InputError, ValueError, ET.ParseError) as error:
        raise WireError(Status.FAILED, f"the output of {where} is no {query.output.upper()}: {error}") from error
