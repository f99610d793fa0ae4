r"""Registry facts: read with `reg.exe query` in a shell, or value by value with StdRegProv where there is no shell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from azpreflight.facts.deadline import Deadline
from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.query import RegistryQuery
from azpreflight.facts.winrm.cim import Sender, invoke
from azpreflight.facts.winrm.faults import Fault
from azpreflight.facts.winrm.soap import local, text_of
from azpreflight.model import Value

HIVES = {
    "HKCR": ("HKEY_CLASSES_ROOT", 2147483648),
    "HKLM": ("HKEY_LOCAL_MACHINE", 2147483650),
    "HKU": ("HKEY_USERS", 2147483651),
}
"""Full name and hDefKey of the hives that queries may name."""

MAX_KEYS = 500
"""Keys of one recursive read by StdRegProv, which costs a request or more for each."""

_VALUE = re.compile(r" {4}(?P<name>.+?) {4}(?P<type>REG_[A-Z_]+)(?: {4}(?P<data>.*)| {0,3})")
_TRAILER = re.compile(r"\S.*: [0-9]+ \S.*")
"""How many matches a search found, in any language: the last line, after a blank one. Plain queries have none."""
_MISSING, _DENIED = "2", "5"
_TYPES = {
    "1": "REG_SZ",
    "2": "REG_EXPAND_SZ",
    "3": "REG_BINARY",
    "4": "REG_DWORD",
    "7": "REG_MULTI_SZ",
    "11": "REG_QWORD",
}
_GETTERS = {
    "1": ("GetStringValue", "sValue"),
    "2": ("GetExpandedStringValue", "sValue"),
    "3": ("GetBinaryValue", "uValue"),
    "4": ("GetDWORDValue", "uValue"),
    "7": ("GetMultiStringValue", "sValue"),
    "11": ("GetQWORDValue", "uValue"),
}

ABSENT: Value = {"exists": False, "keys": {}}
"""The value of the fact of a key that does not exist."""


def parse(query: RegistryQuery, output: str) -> Value:
    """The output of `reg.exe query` as the value of a registry fact (see `RegistryTree`).

    Without `recurse` reg.exe lists the names of subkeys without their values: they are left out.

    Raises:
        WireError: it is not in the format of Windows Vista or later.
    """
    hive, _, path = query.key.partition("\\")
    root = f"{HIVES[hive][0]}\\{path}"
    lines = [line.removesuffix("\r") for line in output.split("\n")]
    # A key without values need not show itself: a blank line, or nothing at all, means that it is there and empty.
    keys: dict[str, dict[str, dict[str, Value]]] = {"": {}}
    values: dict[str, dict[str, Value]] | None = None
    raw: list[tuple[dict[str, dict[str, Value]], str, str, list[str]]] = []
    for line in _without_trailer(lines):
        if line.startswith("HKEY_"):
            if values:
                _end_value(raw[-1][3])
            values = keys.setdefault(_relative(query, root, line), {})
        elif (match := _VALUE.fullmatch(line)) is not None and values is not None:
            name = _value_name(match["name"], first=not values)
            values[name] = {}
            raw.append((values, name, match["type"], [match["data"] or ""]))
        elif values:
            # Data may hold line breaks: what fits nothing belongs to the value above.
            raw[-1][3].append(line)
        elif line.strip():
            raise WireError(Status.FAILED, f"reg.exe query {query.key}: unexpected line {line[:60]!r}")
    if values:
        _end_value(raw[-1][3])
    wanted = {name.casefold() for name in query.values}
    for target, name, kind, data in raw:
        if wanted and name.casefold() not in wanted:
            # What nobody wants need not be of a kind that can be read.
            target.pop(name, None)
        else:
            target[name] = {"type": kind, "data": _data(f"{query.key}: {name}", kind, "\n".join(data))}
    return {"exists": True, "keys": {key: found for key, found in keys.items() if query.recurse or not key}}


def _without_trailer(lines: list[str]) -> list[str]:
    """The lines without the empty text after the last line break, and without the count of matches of a search."""
    end = len(lines)
    while end and not lines[end - 1]:
        end -= 1
    if end > 1 and not lines[end - 2] and _TRAILER.fullmatch(lines[end - 1]):
        return lines[: end - 1]
    return lines[:-1] if not lines[-1] else lines


def _end_value(data: list[str]) -> None:
    """Take the blank line that ends a key off the data of its last value."""
    if len(data) > 1 and not data[-1]:
        data.pop()


def _relative(query: RegistryQuery, root: str, line: str) -> str:
    if line.casefold() == root.casefold():
        return ""
    if not line.casefold().startswith(root.casefold() + "\\"):
        raise WireError(Status.FAILED, f"reg.exe query {query.key} answered another key: {line[:120]!r}")
    return line[len(root) + 1 :]


def _value_name(text: str, *, first: bool) -> str:
    # The default value is listed first, under a translated name in parentheses.
    return "" if first and text.startswith("(") and text.endswith(")") else text


def _data(where: str, kind: str, text: str) -> Value:
    try:
        match kind:
            case "REG_DWORD" | "REG_QWORD" | "REG_DWORD_BIG_ENDIAN":
                return _number(text)
            case "REG_MULTI_SZ":
                return text.split("\\0") if text else []
            case "REG_SZ" | "REG_EXPAND_SZ" | "REG_LINK":
                return text
            case _:
                return bytes.fromhex(text).hex().upper()
    except ValueError:
        raise WireError(Status.FAILED, f"{where} is no {kind}: {text[:40]!r}") from None


def _number(text: str) -> int:
    if re.fullmatch(r"0x[0-9a-fA-F]{1,16}", text.strip()) is None:
        raise ValueError(text)
    return int(text.strip(), 16)


class StdRegProv:
    """The registry through WMI: typed, one request per value, and able to tell a missing key from a denied one."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        # Current Windows has it in root/cimv2, the only capture of an old one in root/default.
        self._namespaces = ["root/cimv2", "root/default"]

    def read(self, query: RegistryQuery, deadline: Deadline) -> Value:
        """The value of a registry fact.

        Raises:
            WireError: access denied, too many keys, or the request failed.
        """
        keys: dict[str, dict[str, dict[str, Value]]] = {}
        queue = [""]
        while queue:
            relative = queue.pop(0)
            if len(keys) >= MAX_KEYS:
                raise WireError(Status.FAILED, f"{query.key} has more than {MAX_KEYS} keys")
            path = f"{query.key}\\{relative}" if relative else query.key
            values = self._values(query, path, deadline)
            if values is None:
                if not relative:
                    return ABSENT
                continue
            keys[relative] = values
            subkeys = list(self._subkeys(path, deadline)) if query.recurse else []
            queue.extend(f"{relative}\\{name}" if relative else name for name in subkeys)
        return {"exists": True, "keys": keys}

    def exists(self, key: str, deadline: Deadline) -> bool:
        """Whether a key exists.

        Raises:
            WireError: access denied, or the request failed.
        """
        return self._call("EnumKey", key, "", deadline) is not None

    def _values(self, query: RegistryQuery, key: str, deadline: Deadline) -> dict[str, dict[str, Value]] | None:
        listed = self._call("EnumValues", key, "", deadline)
        if listed is None:
            return None
        # A blank at either end is part of a name.
        names = [element.text or "" for element in listed if local(element) == "sNames"]
        types = [text_of(element) for element in listed if local(element) == "Types"]
        if len(names) != len(types):
            raise WireError(Status.FAILED, f"{key}: {len(names)} names of values came with {len(types)} types")
        wanted = {name.casefold() for name in query.values}
        found: dict[str, dict[str, Value]] = {}
        for name, kind in zip(names, types, strict=True):
            if kind not in _GETTERS or (wanted and name.casefold() not in wanted):
                continue
            method, member = _GETTERS[kind]
            answer = self._call(method, key, f"<m:sValueName>{escape(name)}</m:sValueName>", deadline)
            if answer is None:
                continue
            texts = [element.text or "" for element in answer if local(element) == member]
            found[name] = {"type": _TYPES[kind], "data": _std_data(f"{key}: {name}", kind, texts)}
        return found

    def _subkeys(self, key: str, deadline: Deadline) -> Iterator[str]:
        answer = self._call("EnumKey", key, "", deadline)
        for element in answer if answer is not None else ():
            if local(element) == "sNames" and element.text:
                yield element.text

    def _call(self, method: str, key: str, rest: str, deadline: Deadline) -> ET.Element | None:
        """The output of a method, None when the key or value does not exist."""
        hive, _, path = key.partition("\\")
        body = f"<m:hDefKey>{HIVES[hive][1]}</m:hDefKey><m:sSubKeyName>{escape(path)}</m:sSubKeyName>{rest}"
        try:
            output = invoke(self._sender, self._namespaces[0], "StdRegProv", method, body, deadline)
        except Fault as fault:
            if fault.status is not Status.NOT_PRESENT or len(self._namespaces) == 1:
                raise
            self._namespaces.pop(0)
            return self._call(method, key, rest, deadline)
        code = next((text_of(element) for element in output if local(element) == "ReturnValue"), "")
        if code == _DENIED:
            raise WireError(Status.REFUSED, f"access denied to {key}")
        if code == _MISSING or (code == "1" and rest):
            return None
        if code != "0":
            raise WireError(Status.FAILED, f"StdRegProv.{method} of {key} returned {code or 'nothing'}")
        return output


def _decimal(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,20}", text.strip()) is None:
        raise ValueError(text)
    return int(text)


def _std_data(where: str, kind: str, texts: list[str]) -> Value:
    try:
        match _TYPES[kind]:
            case "REG_DWORD" | "REG_QWORD":
                return _decimal(texts[0])
            case "REG_MULTI_SZ":
                return texts
            case "REG_BINARY":
                return bytes(_decimal(text) for text in texts).hex().upper()
            case _:
                return texts[0] if texts else ""
    except (ValueError, IndexError):
        raise WireError(Status.FAILED, f"{where} is no {_TYPES[kind]}: {texts[:3]!r}") from None
