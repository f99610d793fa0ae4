"""User names and passwords inside the proxies that settings of a node name: out before a fact is made of them.

Nobody knows these secrets beforehand, so they are found by their place: before an `@`. That one was there stays to see.
"""

from __future__ import annotations

import re

from azpreflight.model import Value

MASK = "********"

_IN_URL = re.compile(r"(?<=://)[^\s/\x00-\x1f]*@")
_BEFORE_HOST = re.compile(r"(?<![^\s;,=\x00-\x1f])[^\s/;,=:@\x00-\x1f]+:[^\s/;,\x00-\x1f]*@")
"""`user:password@`, as a proxy without a scheme has it: at the start, or after what separates entries of a list."""

_LISTS_IN_BYTES = {"winhttpsettings", "defaultconnectionsettings"}
"""Registry values of bytes that hold proxies as text. Others, such as certificates, must stay as they are."""


def without_logins(value: Value) -> Value:
    """Plain data in which no text, and no value of bytes that holds proxies, names a user or a password."""
    match value:
        case str():
            return _BEFORE_HOST.sub(f"{MASK}@", _IN_URL.sub(f"{MASK}@", value))
        case list():
            return [without_logins(part) for part in value]
        case dict():
            return {name: _member(name, part) for name, part in value.items()}
    return value


def _member(name: str, value: Value) -> Value:
    if name.casefold() in _LISTS_IN_BYTES and isinstance(value, dict) and value.get("type") == "REG_BINARY":
        return {**value, "data": _bytes_without_logins(value["data"])}
    return without_logins(value)


def _bytes_without_logins(data: Value) -> Value:
    """Hex text with every login overwritten. Lengths stay, since the bytes tell them elsewhere."""
    try:
        found = bytes.fromhex(data)
    except (TypeError, ValueError):
        return data
    text = found.decode("latin-1")
    for pattern in (_IN_URL, _BEFORE_HOST):
        text = pattern.sub(lambda match: "*" * (len(match[0]) - 1) + "@", text)
    return text.encode("latin-1").hex().upper()
