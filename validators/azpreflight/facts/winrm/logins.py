"""User names and passwords inside the proxies that settings of a node name: out before a fact is made of them.

Nobody knows these secrets beforehand, so they are found by their place: before an `@`. That one was there stays to see.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from azpreflight.model import Value

MASK = "********"

# A semicolon may belong to a password, unless the next entry of a list begins behind it.
_IN_URL = re.compile(r"""(?P<before>://)(?:(?!;[A-Za-z]+=)[^\s/<>"'\x00-\x1f])*@""")
_IN_PROXY = re.compile(
    r"(?<![^\s;\x00-\x1f])(?P<before>(?:[a-z]+=)?(?:[a-z][a-z0-9+.-]*://)?)[^\s;\x00-\x1f]*@", re.IGNORECASE
)
"""Of each entry, where the text is a proxy or a list of them: all that stands before the last `@` but the scheme."""

_PROXIES_IN_BYTES = {"winhttpsettings", "defaultconnectionsettings"}
"""Registry values of bytes that hold proxies as text. Others, such as certificates, must stay as they are."""


_VALUE_LINE = re.compile(
    r"^(?P<head> {4}(?P<name>[^\r\n]*?) {4}(?P<type>REG_[A-Z_]+) {4})(?P<data>[^\r\n]*)", re.MULTILINE
)
"""A registry value as reg.exe lists it."""


def text_without_logins(text: bytes) -> bytes:
    """The same in whole lines as programs write them, and in answers, where only URLs are known for what they are."""
    # What is no UTF-8 stays as it is.
    lines = text.decode("utf-8", "surrogateescape")
    lines = _VALUE_LINE.sub(_value_line, lines)
    return _masked(lines, lambda _: MASK, proxies=False).encode("utf-8", "surrogateescape")


def _value_line(match: re.Match[str]) -> str:
    name, data = match["name"], match["data"]
    if name.casefold() in _PROXIES_IN_BYTES and match["type"] == "REG_BINARY":
        return f"{match['head']}{_bytes_without_logins(data)}"
    return f"{match['head']}{_masked(data, lambda _: MASK, proxies='proxy' in name.casefold())}"


def without_logins(value: Value) -> Value:
    """Plain data in which no URL, and no member that holds proxies by its name, has a user or a password in it."""
    return _cleaned(value, proxies=False)


def _cleaned(value: Value, *, proxies: bool) -> Value:
    match value:
        case str():
            return _masked(value, lambda _: MASK, proxies=proxies)
        case list():
            return [_cleaned(part, proxies=proxies) for part in value]
        case dict():
            return {name: _member(name, part, proxies=proxies) for name, part in value.items()}
    return value


def _member(name: str, value: Value, *, proxies: bool) -> Value:
    if name.casefold() in _PROXIES_IN_BYTES and isinstance(value, dict) and value.get("type") == "REG_BINARY":
        return {**value, "data": _bytes_without_logins(value["data"])}
    return _cleaned(value, proxies=proxies or "proxy" in name.casefold())


def _bytes_without_logins(data: Value) -> Value:
    """Hex text with every login overwritten. Lengths stay, since the bytes tell them elsewhere."""
    try:
        text = bytes.fromhex(data).decode("latin-1")
    except (TypeError, ValueError):
        return data
    return _masked(text, lambda login: "*" * len(login), proxies=True).encode("latin-1").hex().upper()


def _masked(text: str, mask: Callable[[str], str], *, proxies: bool) -> str:
    def hidden(match: re.Match[str]) -> str:
        before = match["before"]
        return f"{before}{mask(match[0][len(before) : -1])}@"

    text = _IN_URL.sub(hidden, text)
    return _IN_PROXY.sub(hidden, text) if proxies else text
