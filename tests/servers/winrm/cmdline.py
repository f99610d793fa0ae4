"""How cmd.exe reads a command line, and how a program splits its own."""

import re
from collections.abc import Mapping
from dataclasses import dataclass


class UnsupportedLineError(Exception):
    """The line redirects, pipes or groups: more than reading programs need."""


@dataclass(frozen=True)
class Step:
    """One command of a chain, and what links it to the one before: empty, `&`, `&&` or `||`."""

    link: str
    text: str


def expand_percent(line: str, variables: Mapping[str, str]) -> str:
    """Replace %NAME%; as on an interactive line, an unknown name stays as it is, percent signs included."""
    known = {name.lower(): value for name, value in variables.items()}
    result, position = "", 0
    while position < len(line):
        end = line.find("%", position + 1) if line[position] == "%" else -1
        name = line[position + 1 : end].lower() if end > position else ""
        if name in known and name:
            result += known[name]
            position = end + 1
        else:
            result += line[position]
            position += 1
    return result


def expand_delayed(text: str, variables: Mapping[str, str]) -> str:
    """Replace !NAME! under `/v:on`: unknown names become empty, a lonely exclamation mark vanishes."""
    known = {name.lower(): value for name, value in variables.items()}
    replaced = re.sub(r"!([^!]+)!", lambda match: known.get(match[1].lower(), ""), text)
    return replaced.replace("!", "")


def split_steps(line: str) -> list[Step]:
    """Split at &, && and || outside quotes, removing carets; UnsupportedLineError for redirections and pipes."""
    steps: list[Step] = []
    link, text, quoted, position = "", "", False, 0
    while position < len(line):
        character = line[position]
        if character == '"':
            quoted = not quoted
        elif not quoted and character == "^":
            position += 1
            text += line[position : position + 1]
            position += 1
            continue
        elif not quoted and character in "&|":
            doubled = line[position : position + 2] == character * 2
            if character == "|" and not doubled:
                raise UnsupportedLineError("a pipe")
            steps.append(Step(link, text))
            link, text = (character * 2 if doubled else character), ""
            position += len(link)
            continue
        elif not quoted and character in "<>":
            raise UnsupportedLineError("a redirection")
        elif not quoted and character == "(" and not text.strip():
            raise UnsupportedLineError("a group")
        text += character
        position += 1
    steps.append(Step(link, text))
    return [step for step in steps if step.text.strip()]


def split_program(text: str) -> tuple[str, str]:
    """The program of a command and the rest of its line."""
    text = text.lstrip()
    if text.startswith('"'):
        program, _, rest = text[1:].partition('"')
        return program, rest
    match = re.match(r"[^\s]+", text)
    program = match.group() if match is not None else ""
    return program, text[len(program) :]


def inner_line(rest: str) -> tuple[str, bool] | None:
    """The line that `cmd.exe rest` runs, and whether with /v:on; None when it runs none."""
    match = re.match(r"((?:\s*/[a-bd-jl-z]\S*)*)\s*/c\s?(.*)", rest, re.IGNORECASE | re.DOTALL)
    if match is None:
        return None
    switches = match[1].lower().split()
    line = match[2].strip()
    # With /s the first and the last quote go; without it they stay if they only quote the program.
    if line.startswith('"') and ("/s" in switches or line.count('"') != 2 or "&" in line):
        head, _, tail = line[1:].rpartition('"')
        line = head + tail
    return line, "/v:on" in switches


def split_arguments(text: str) -> list[str]:
    """Split like the C runtime of Windows: quotes group, a backslash matters only before a quote."""
    arguments: list[str] = []
    current, started, quoted, position = "", False, False, 0
    while position < len(text):
        character = text[position]
        if character == "\\":
            end = position
            while end < len(text) and text[end] == "\\":
                end += 1
            count = end - position
            position = end
            started = True
            if end < len(text) and text[end] == '"':
                current += "\\" * (count // 2)
                if count % 2:
                    current += '"'
                    position += 1
            else:
                current += "\\" * count
            continue
        if character == '"':
            started = True
            if quoted and text[position + 1 : position + 2] == '"':
                current += '"'
                position += 1
            else:
                quoted = not quoted
        elif character in " \t" and not quoted:
            if started:
                arguments.append(current)
            current, started = "", False
        else:
            current += character
            started = True
        position += 1
    return [*arguments, current] if started else arguments
