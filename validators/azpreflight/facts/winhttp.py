r"""The bytes in which Windows stores the proxy of WinHTTP: `WinHttpSettings` below `Internet Settings\Connections`.

Known from machines, documented nowhere: little-endian words for the format, a counter of changes and the flags, then
texts, each after its length in bytes: proxy, bypass list and, where there is a third, a configuration script's URL.
"""

from __future__ import annotations

import re
import struct
from typing import Final

from azpreflight.model import Frozen

DIRECT: Final = 1
NAMED_PROXY: Final = 2
SCRIPT: Final = 4
AUTO_DETECT: Final = 8
"""Bits of the flags. A named proxy has `DIRECT` as well, for what goes around it."""

_HEAD = struct.Struct("<III")
_LENGTH = struct.Struct("<I")
_SCHEME = re.compile(r"(?:(?P<scheme>[a-z]+)=)?(?P<server>\S+)", re.IGNORECASE)


class WinHttpProxy(Frozen, kw_only=True):
    """What the bytes say.

    flags: as stored. proxy: as it was set, `host:port` or `http=host:port;https=host:port`; may hold user information.
    bypass: as it was set, entries separated by `;`. script: URL of a configuration script. None for an empty text.
    """

    flags: int
    proxy: str | None = None
    bypass: str | None = None
    script: str | None = None

    @property
    def direct(self) -> bool:
        """Whether no proxy is used: none is named, no script is, and none is looked for."""
        return not self.flags & (NAMED_PROXY | SCRIPT | AUTO_DETECT)

    @property
    def servers(self) -> dict[str, str]:
        """The named proxy for `http` and `https`, without a scheme of its own where none was set; empty when direct."""
        if not self.flags & NAMED_PROXY or self.proxy is None:
            return {}
        found: dict[str, str] = {}
        for part in re.split(r"[;\s]+", self.proxy):
            match = _SCHEME.fullmatch(part)
            if match is None:
                continue
            scheme = (match["scheme"] or "").casefold()
            for name in (scheme,) if scheme else ("http", "https"):
                found.setdefault(name, match["server"])
        return {scheme: server for scheme, server in found.items() if scheme in ("http", "https")}

    @property
    def around(self) -> tuple[str, ...]:
        """The entries of the bypass list, as they were set."""
        return tuple(filter(None, re.split(r"[;,\s]+", self.bypass or "")))


def parse_winhttp(blob: bytes) -> WinHttpProxy:
    """What `WinHttpSettings` holds. What follows the last text is passed over.

    Raises:
        ValueError: the bytes end too early. They may mean anything then, a proxy as well as none.
    """
    if len(blob) < _HEAD.size:
        raise ValueError(f"{len(blob)} bytes hold no settings")
    _, _, flags = _HEAD.unpack_from(blob)
    texts: list[str | None] = []
    at = _HEAD.size
    while len(texts) < 3 and len(blob) >= at + _LENGTH.size:
        (length,) = _LENGTH.unpack_from(blob, at)
        at += _LENGTH.size
        if length > len(blob) - at:
            if len(texts) < 2:
                raise ValueError(f"a text of {length} bytes is longer than what is left of them")
            break
        # Names are ASCII there; anything else would be a setting that nobody can follow, and stays visible as such.
        texts.append(blob[at : at + length].decode("ascii", "backslashreplace").strip("\0 ") or None)
        at += length
    if len(texts) < 2:
        raise ValueError("the bytes end before proxy and bypass list")
    proxy, bypass, script = (*texts, None)[:3]
    return WinHttpProxy(flags=flags, proxy=proxy, bypass=bypass, script=script)
