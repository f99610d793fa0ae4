"""A folder of raw answers in the place of its node: the same code reads it that reads nodes.

Requests are matched by what they ask, not by their order. Programs are matched one by one, whatever chain they stand
in, so that a folder still answers when queries were added since: what it was never asked, stays without an answer.
"""

from __future__ import annotations

import base64
import re
import threading
from collections import deque
from pathlib import Path

from azpreflight.errors import InputError
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.errors import Rejected, WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.winrm import programs
from azpreflight.facts.winrm.channel import Endpoint
from azpreflight.facts.winrm.raw import STREAM, Asked, asked_of
from azpreflight.facts.winrm.wire import Wire
from azpreflight.model import Frozen, Problem
from azpreflight.site.model import Node

_CHAIN = re.compile(r'Command: \S+cmd\.exe /d /v:on /s /c "(.*)"')
_MARK = re.compile(r" & echo ##([0-9a-f]+):([0-9]+) !errorlevel!(?: & |$)")
_COMMAND_ID = re.compile(r"CommandId>([^<]+)<|CommandId=([^\s:]+)")
_ELSEWHERE = re.compile(rb"in ([\w-]+\.(?:stdout|stderr)\.txt)")
_WRITE_OUT = re.compile(r'^write-out = "([0-9]+) .*\n', re.MULTILINE)
_REPORT = re.compile(r"^((?:curl: .*\n)*)([0-9]+) (\{.*)$", re.MULTILINE)
"""A report, and before it curl's words, which are a line of their own until 7.75."""


class _Kept(Frozen):
    """An exchange as it was read: its files' common name, the request, the answer or the error."""

    stem: str
    asked: Asked
    headers: dict[str, str]
    answer: bytes | None


class RawReplay:
    """The raw answers of all nodes of a site. Each answers once: a second run needs a second one of these.

    Args:
        folder: what `collect --raw` wrote.

    Raises:
        InputError: it cannot be read, holds no answers, or a file that is none of its own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._nodes = {path.name: _Node(path) for path in sorted(folder.iterdir()) if path.is_dir()}
        if not self._nodes:
            message = "holds no raw answers: no folder of a node is in it"
            raise InputError(Problem(code="no-raw", message=message, where=str(folder)))

    def channel_of(self, node: Node, endpoint: Endpoint) -> Wire:
        """A connection to what is left of a node."""
        return _ReplayedChannel(self._nodes.setdefault(node.name, _Node(self._folder / node.name)))


class _ReplayedChannel:
    """A connection over which kept answers come."""

    def __init__(self, node: _Node) -> None:
        self._node = node
        self.authenticated = False

    def connect(self, deadline: Deadline) -> None:
        # Nothing was kept of it: a recorded conversation begins with its first question.
        ...

    def close(self) -> None:
        """Nothing is open."""

    def send(self, message: bytes, deadline: Deadline) -> bytes:
        kept = self._node.next(asked_of(message))
        self.authenticated = self.authenticated or kept.headers.get("authenticated") == "yes"
        if kept.answer is not None:
            return kept.answer
        reason = kept.headers.get("error", "no answer was kept")
        if kept.headers.get("rejected") == "yes":
            raise Rejected(reason)
        status = Status(kept.headers.get("status", Status.FAILED.value))
        raise WireError(status, reason, fatal=kept.headers.get("fatal") == "yes")


class _Node:
    """The exchanges of one node, in the order of each question, and what its programs wrote."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._kept: dict[tuple[object, ...], deque[_Kept]] = {}
        self._results: dict[str, tuple[str, int]] = {}
        self._reports: dict[str, tuple[str, str]] = {}
        self._lists: dict[str, str] = {}
        self._written: dict[str, dict[str, bytes]] = {}
        stems: dict[str, str] = {}
        for path in sorted(folder.glob("*.request.txt")):
            kept = _read(path)
            self._kept.setdefault(_key(kept.asked), deque()).append(kept)
            if kept.asked.operation == "Command" and kept.answer is not None:
                stems[_command_id(kept.answer.decode("utf-8", "replace"))] = kept.stem
                self._learn_chain(kept)
            elif kept.asked.operation == "Send":
                self._learn_work_list(kept, stems.get(_command_id(kept.asked.text), kept.stem))

    def next(self, asked: Asked) -> _Kept:
        """The next answer to a question.

        Raises:
            WireError: the node was not asked that, or not so often.
        """
        with self._lock:
            found = self._kept.get(_key(asked))
            if not found:
                raise WireError(Status.FAILED, f"the raw answers hold no {asked.operation} like this one")
            kept = found.popleft()
            if kept.answer is None:
                return kept
            if asked.operation == "Command":
                self._begin(asked, kept)
            elif asked.operation == "Send":
                self._written[_command_id(asked.text)]["stdout"] = self._reported(asked)
            elif asked.operation == "Receive":
                return _with(kept, self._streams_in(kept, _command_id(asked.text)))
            return kept

    def _output(self, stem: str, name: str) -> bytes:
        file = self._folder / f"{stem}.{name}.txt"
        return file.read_bytes() if file.exists() else b""

    def _learn_chain(self, kept: _Kept) -> None:
        token, lines = _chain(kept.asked)
        # Bytes of any code page survive as characters of this one.
        found = programs.unchain(self._output(kept.stem, "stdout").decode("latin-1"), token)
        self._results |= {lines[number]: result for number, result in found.items() if number in lines}

    def _learn_work_list(self, kept: _Kept, stem: str) -> None:
        text = self._output(stem, "stdout").decode("latin-1").replace("\r", "")
        reports = {number: (words, report) for words, number, report in _REPORT.findall(text)}
        blocks = _blocks(kept.asked)
        for number, block in blocks:
            if number in reports:
                self._reports[block] = reports[number]
        if not blocks:
            # A curl before 7.66 reports in the order of its list, without numbers: that is answered as a whole.
            self._lists[_list(kept.asked)] = text

    def _begin(self, asked: Asked, kept: _Kept) -> None:
        """What a command will write: of a chain, what each of its programs wrote when it was asked."""
        written = {name: self._output(kept.stem, name) for name in ("stdout", "stderr")}
        token, lines = _chain(asked)
        if lines:
            results = [(number, self._results[line]) for number, line in lines.items() if line in self._results]
            text = "".join(f"{text}##{token}:{number} {code}\r\n" for number, (text, code) in results)
            written["stdout"] = text.encode("latin-1")
        self._written[_command_id((kept.answer or b"").decode("utf-8", "replace"))] = written

    def _reported(self, asked: Asked) -> bytes:
        blocks = _blocks(asked)
        if not blocks:
            return self._lists.get(_list(asked), "").encode("latin-1")
        found = [(number, *self._reports[block]) for number, block in blocks if block in self._reports]
        return "".join(f"{words}{number} {report}\n" for number, words, report in found).encode("latin-1")

    def _streams_in(self, kept: _Kept, command: str) -> bytes:
        """An answer with its streams back: the whole output in the first piece of each, nothing in the others."""

        def back(match: re.Match[bytes]) -> bytes:
            elsewhere = _ELSEWHERE.fullmatch(match[2].strip())
            if elsewhere is None:
                return match[0]
            name = elsewhere[1].decode().rsplit(".", 2)[1]
            return match[1] + base64.b64encode(self._written[command].pop(name, b"")) + match[3]

        return STREAM.sub(back, kept.answer or b"")


def _read(path: Path) -> _Kept:
    """An exchange from its files."""
    head, blank, text = path.read_text(encoding="utf-8").partition("\n\n")
    headers = {name: value.strip() for name, _, value in (line.partition(":") for line in head.split("\n"))}
    if not blank or not {"operation", "action", "resource"} <= headers.keys():
        message = "is no request of a raw folder: its first lines name no operation, action and resource"
        raise InputError(Problem(code="no-raw", message=message, where=str(path)))
    stem = path.name.removesuffix(".request.txt")
    answer = path.with_name(f"{stem}.answer.xml")
    asked = Asked(
        operation=headers["operation"],
        action=headers["action"],
        resource=headers["resource"],
        selectors=_of_kind(headers, "selector "),
        options=_of_kind(headers, "option "),
        text=text.removesuffix("\n"),
    )
    return _Kept(stem=stem, asked=asked, headers=headers, answer=answer.read_bytes() if answer.exists() else None)


def _of_kind(headers: dict[str, str], kind: str) -> dict[str, str]:
    return {name.removeprefix(kind): value for name, value in headers.items() if name.startswith(kind)}


def _key(asked: Asked) -> tuple[object, ...]:
    """What makes two requests the same question. Which programs a chain runs is looked up for each of them."""
    text = asked.text
    if asked.operation == "Send":
        text = text.partition("\n")[0]
    elif asked.operation == "Command" and _CHAIN.fullmatch(text) is not None:
        text = "a chain of programs"
    selectors, options = (tuple(sorted(named.items())) for named in (asked.selectors, asked.options))
    return asked.action, asked.resource, selectors, options, text


def _with(kept: _Kept, answer: bytes) -> _Kept:
    return _Kept(stem=kept.stem, asked=kept.asked, headers=kept.headers, answer=answer)


def _chain(asked: Asked) -> tuple[str, dict[int, str]]:
    """The token of a chain and its command lines by number; nothing when it is none."""
    chain = _CHAIN.fullmatch(asked.text)
    if chain is None:
        return "", {}
    # What stands before each mark, its token and its number, in turn.
    parts = _MARK.split(chain[1])
    return parts[1] if len(parts) > 1 else "", {int(parts[n + 2]): parts[n] for n in range(0, len(parts) - 2, 3)}


def _blocks(asked: Asked) -> list[tuple[str, str]]:
    """The items of a work list of curl, each with its number, which the item itself is freed of."""
    found = []
    for block in _list(asked).split("next\n"):
        number = _WRITE_OUT.search(block)
        if number is not None:
            found.append((number[1], _WRITE_OUT.sub("", block).strip()))
    return found


def _list(asked: Asked) -> str:
    """What curl was given: all of what was sent but the command that it was sent to."""
    return asked.text.partition("\n")[2]


def _command_id(text: str) -> str:
    found = _COMMAND_ID.search(text)
    return (found[1] or found[2] or "").strip() if found is not None else ""
