"""Secrets out of bytes that came from a node, in whatever form they are written there."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from urllib.parse import quote
from xml.sax.saxutils import escape

MASK = b"********"

_SECRET_VALUES = re.compile(
    rb"(?im)^( {4}[^\r\n]*?(?:DigitalProductId|Password|Passphrase|Secret|Credential)[^\r\n]*?"
    rb" {4}REG_(?:SZ|EXPAND_SZ|MULTI_SZ|BINARY|NONE))(?: {4}[^\r\n]*)?"
)
"""Registry values that hold a secret by their name, as reg.exe lists them. Numbers are settings, and stay."""
_QUOTES = {'"': "&quot;", "'": "&apos;"}
SHORTEST = 4
"""Characters below which a secret cannot be told from chance inside other bytes, nor can its base64."""


class Mask:
    """Takes known secrets out of bytes: plain, as JSON, XML, URLs and hex write them, in UTF-16, within base64."""

    def __init__(self, *secrets: str) -> None:
        known = [secret for secret in secrets if len(secret) >= SHORTEST]
        # The longest first, so that a secret inside another does not leave the rest of it behind.
        forms = sorted({form for secret in known for form in _forms(secret)}, key=len, reverse=True)
        cores = sorted({core for secret in known for core in _cores(secret)}, key=len, reverse=True)
        self._plain = re.compile(b"|".join(map(re.escape, forms))) if forms else None
        self._base64 = _runs(cores) if cores else None

    def __call__(self, data: bytes) -> bytes:
        """The bytes without secrets."""
        for pattern in (self._base64, self._plain):
            data = pattern.sub(MASK, data) if pattern is not None else data
        return data


def without_secret_values(lines: bytes) -> bytes:
    """Whole lines of reg.exe, the data of values that are secrets by their name left out."""
    return _SECRET_VALUES.sub(rb"\1    ", lines)


def _forms(secret: str) -> Iterator[bytes]:
    percent = quote(secret, safe="")
    texts = {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        escape(secret),
        escape(secret, _QUOTES),
        percent,
        re.sub("%..", lambda match: match[0].lower(), percent),
    }
    for text in texts:
        for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
            yield text.encode(encoding)
    for encoding in ("utf-8", "utf-16-le"):
        digits = secret.encode(encoding).hex()
        yield from (digits.encode(), digits.upper().encode())


def _cores(secret: str) -> Iterator[bytes]:
    """The characters of base64 that are the same whatever stands around a secret, for each of its three positions."""
    for encoding in ("utf-8", "utf-16-le"):
        data = secret.encode(encoding)
        for before in range(3):
            text = base64.b64encode(bytes(before) + data)
            core = text[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
            if len(core) >= SHORTEST:
                yield core


def _runs(cores: list[bytes]) -> re.Pattern[bytes]:
    """Whole runs of base64 that hold one of the cores, in lines or unbroken."""
    broken = (rb"\s*".join(re.escape(bytes([character])) for character in core) for core in cores)
    return re.compile(rb"[A-Za-z0-9+/]*(?:" + b"|".join(broken) + rb")[A-Za-z0-9+/]*={0,2}")
