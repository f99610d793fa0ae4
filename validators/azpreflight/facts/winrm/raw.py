"""What nodes answered, as it came: kept in a folder that people can read, look through and send, and that replays.

One folder for each node, numbered files in it. `NNNN-Operation.request.txt` says what was asked, `.answer.xml` beside
it is the decrypted answer. What programs wrote stands in a text file of its own, under the number of their command:
there everybody can read it, and nothing secret can hide in a cut between two answers. `winrm/replay.py` reads it.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import re
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

from azpreflight.credentials import Credential
from azpreflight.errors import InputError
from azpreflight.facts.collection import utc_now
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.errors import Rejected, WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.winrm.channel import Channel, Endpoint
from azpreflight.facts.winrm.logins import text_without_logins
from azpreflight.facts.winrm.masking import Mask, without_secret_values
from azpreflight.facts.winrm.soap import child, descendant, local, text_of
from azpreflight.facts.winrm.wire import Wire
from azpreflight.model import Frozen, Problem
from azpreflight.site.model import Node

STREAM = re.compile(rb"(<(?:[\w.-]+:)?Stream\b[^>]*[^/>]>|<(?:[\w.-]+:)?Stream>)([^<]+)(</(?:[\w.-]+:)?Stream\s*>)")
"""A piece of what a program wrote: opening tag, base64, closing tag."""
ELSEWHERE = "in {file}"
"""What stands in its place in the answer."""

_STREAM_NAME = re.compile(rb"\bName=[\"'](stdout|stderr)[\"']")
_COMMAND_ID = re.compile(rb"CommandId>([^<]+)<")
_DONE = b"CommandState/Done"

README = """\
What the nodes of one site answered to azpreflight, as it came over WinRM. It was asked for with `--raw`.

One folder for each node; in it, numbered in the order in which the answers came:

  NNNN-Operation.request.txt   what was asked: operation, resource, then the WQL text or the command line
  NNNN-Operation.answer.xml    the answer of the node, decrypted
  NNNN-Command.stdout.txt      what the programs of command NNNN wrote (.stderr.txt likewise), taken out of the answers

The password of the run was taken out by value, in every form that is known, and shows as ********. The data of registry
values whose name speaks of a password, a secret, a credential or a product id was left out, and so was what stands
before the @ in proxies and URLs. No header of the authentication is in here.

LOOK THROUGH IT BEFORE YOU SEND IT TO ANYBODY. It holds names, addresses and serial numbers of your machines, names and
SIDs of accounts and groups, certificates without their keys, settings of the registry beyond those that become facts,
and whatever else the programs wrote. Another password than that of the run, in a place where nobody expects one, is not
known to azpreflight and would still be in here. The text files may be edited; keep the lines that begin with ##, which
part the outputs of the programs from one another.
"""


class Asked(Frozen):
    """A request in words.

    operation: last part of the action. text: one line for each text in the body, as `Name: text`; what is sent to a
    program's standard input is decoded.
    """

    operation: str
    action: str
    resource: str
    selectors: Mapping[str, str]
    options: Mapping[str, str]
    text: str


class Exchange(Frozen):
    """One request and what came of it.

    asked_at: UTC. seconds: until the answer was there. answer: decrypted body, empty when none came; then `error`,
    `fatal` and `rejected` are those of the `WireError`, and `status` is what it makes of facts.
    authenticated: whether the node had accepted the credential after it.
    """

    asked: Asked
    asked_at: datetime.datetime
    seconds: float
    authenticated: bool
    answer: bytes = b""
    status: Status = Status.OBSERVED
    error: str = ""
    fatal: bool = False
    rejected: bool = False


def asked_of(message: bytes) -> Asked:
    """An envelope of ours in words. What differs from run to run is left out: its id, its address, its timeout."""
    root = ET.fromstring(message)  # noqa: S314 - our own envelope
    action = text_of(descendant(root, "Action"))
    body = child(root, "Body")
    return Asked(
        operation=action.rpartition("/")[2],
        action=action,
        resource=text_of(descendant(root, "ResourceURI")),
        selectors=_named(root, "Selector"),
        options=_named(root, "Option"),
        text="\n".join(_lines(body)) if body is not None else "",
    )


def _named(root: ET.Element, name: str) -> dict[str, str]:
    header = child(root, "Header")
    found = header.iter() if header is not None else ()
    return {element.get("Name", ""): element.text or "" for element in found if local(element) == name}


def _lines(body: ET.Element) -> list[str]:
    lines = []
    for element in body.iter():
        text = element.text or ""
        if len(element) or (not text and not element.attrib):
            continue
        attributes = "".join(f" {name.rpartition('}')[2]}={value}" for name, value in element.attrib.items())
        if local(element) == "Stream":
            text = "\n" + base64.b64decode(text).decode("utf-8", "replace")
        lines.append(f"{local(element)}{attributes}: {text}")
    return lines


class RawFolder:
    """A folder that keeps all exchanges of a run.

    Args:
        folder: new or empty.
        credential: of the run; its password is kept out.

    Raises:
        InputError: the folder holds something already, or cannot be written.
    """

    def __init__(self, folder: Path, credential: Credential) -> None:
        self._folder = folder
        self._credential = credential
        self._mask = Mask(credential.password)
        self._nodes: dict[str, _NodeFolder] = {}
        self._lock = threading.Lock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(folder.iterdir()):
                message = "is not empty; raw answers are never mixed with other files: name a new folder"
                raise InputError(Problem(code="not-empty", message=message, where=str(folder)))
            (folder / "README.txt").write_text(README, encoding="utf-8")
        except OSError as error:
            message = f"raw answers cannot be written: {error.strerror or error}"
            raise InputError(Problem(code="unwritable", message=message, where=str(folder))) from error

    def channel_of(self, node: Node, endpoint: Endpoint) -> Wire:
        """A connection to a node, all of whose exchanges are kept."""
        with self._lock:
            kept = self._nodes.setdefault(node.name, _NodeFolder(self._folder / node.name, self._mask))
        return _KeptChannel(Channel(endpoint, self._credential), kept)


class _KeptChannel:
    """A channel that keeps what goes over it."""

    def __init__(self, channel: Channel, kept: _NodeFolder) -> None:
        self._channel = channel
        self._kept = kept

    @property
    def authenticated(self) -> bool:
        return self._channel.authenticated

    def connect(self, deadline: Deadline) -> None:
        # Nothing: the first question authenticates, so that a refusal is kept with it.
        ...

    def close(self) -> None:
        self._channel.close()

    def send(self, message: bytes, deadline: Deadline) -> bytes:
        asked, asked_at, began = asked_of(message), utc_now(), time.monotonic()
        try:
            answer = self._channel.send(message, deadline)
        except WireError as error:
            exchange = Exchange(
                asked=asked,
                asked_at=asked_at,
                seconds=time.monotonic() - began,
                authenticated=self.authenticated,
                status=error.status,
                error=error.reason,
                fatal=error.fatal,
                rejected=isinstance(error, Rejected),
            )
            self._kept.keep(exchange)
            raise
        seconds = time.monotonic() - began
        self._kept.keep(Exchange(asked=asked, asked_at=asked_at, seconds=seconds, authenticated=True, answer=answer))
        return answer


class _NodeFolder:
    """The files of one node. Several connections may write side by side."""

    def __init__(self, folder: Path, mask: Mask) -> None:
        self._folder = folder
        self._mask = mask
        self._lock = threading.Lock()
        self._count = 0
        self._stems: dict[bytes, str] = {}
        self._begun: dict[Path, bytes] = {}

    def keep(self, exchange: Exchange) -> None:
        """Write an exchange as soon as it is there, so that a crash takes nothing along but itself.

        Raises:
            WireError: it cannot be written: an incomplete folder would be taken for a complete one.
        """
        with self._lock:
            self._count += 1
            stem = f"{self._count:04}-{exchange.asked.operation}"
            try:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                answer = exchange.answer
                if exchange.asked.operation == "Command" and (found := _COMMAND_ID.search(answer)) is not None:
                    self._stems[found[1].strip()] = stem
                if exchange.asked.operation == "Receive":
                    answer = self._without_streams(exchange, stem)
                if exchange.error or _DONE in answer or exchange.asked.operation in ("Signal", "Delete"):
                    for file in list(self._begun):
                        self._append(file, b"", whole=True)
                (self._folder / f"{stem}.request.txt").write_bytes(self._mask(_request(exchange).encode()))
                if answer:
                    (self._folder / f"{stem}.answer.xml").write_bytes(self._mask(text_without_logins(answer)))
            except OSError as error:
                reason = f"raw answers cannot be written to {self._folder}: {error.strerror or error}"
                raise WireError(Status.FAILED, reason) from error

    def _without_streams(self, exchange: Exchange, stem: str) -> bytes:
        """An answer whose streams went to the file of their command."""
        command = re.search(r"CommandId=([^\s:]+)", exchange.asked.text)
        stem = self._stems.get(command[1].strip().encode(), stem) if command is not None else stem

        def moved(match: re.Match[bytes]) -> bytes:
            name = _STREAM_NAME.search(match[1])
            if name is None:
                return match[0]
            try:
                data = base64.b64decode(b"".join(match[2].split()), validate=True)
            except binascii.Error:
                return match[0]
            file = self._folder / f"{stem}.{name[1].decode()}.txt"
            self._append(file, data)
            return match[1] + ELSEWHERE.format(file=file.name).encode() + match[3]

        return STREAM.sub(moved, exchange.answer)

    def _append(self, file: Path, data: bytes, *, whole: bool = False) -> None:
        """Write whole lines; the line that has begun waits for its end, for a secret may be cut in two."""
        lines = self._begun.pop(file, b"") + data
        end = len(lines) if whole else lines.rfind(b"\n") + 1
        if end < len(lines):
            self._begun[file] = lines[end:]
        if end:
            with file.open("ab") as opened:
                opened.write(self._mask(text_without_logins(without_secret_values(lines[:end]))))


def _request(exchange: Exchange) -> str:
    """A request as a text that people and `replay` read: `name: value` lines, a blank line, the text."""
    asked = exchange.asked
    headers = {
        "operation": asked.operation,
        "action": asked.action,
        "resource": asked.resource,
        **{f"selector {name}": value for name, value in asked.selectors.items()},
        **{f"option {name}": value for name, value in asked.options.items()},
        "asked at": exchange.asked_at.isoformat().replace("+00:00", "Z"),
        "seconds": f"{exchange.seconds:.3f}",
        "authenticated": "yes" if exchange.authenticated else "no",
    }
    if exchange.error:
        headers |= {
            "status": exchange.status.value,
            "fatal": "yes" if exchange.fatal else "no",
            "rejected": "yes" if exchange.rejected else "no",
            "error": " ".join(exchange.error.split()),
        }
    return "".join(f"{name}: {value}\n" for name, value in headers.items()) + f"\n{asked.text}\n"
