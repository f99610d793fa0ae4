"""Bare connections as `curl.exe` on a node found them: refused is not filtered, and neither is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from azpreflight.checks.agreement import same, told
from azpreflight.checks.view import Row
from azpreflight.facts import curl_exits

CONNECTED: Final = "connected"
REFUSED: Final = "refused or unreachable"
"""curl does not tell a host that refuses from a network that says that there is no way to it."""
FILTERED: Final = "no answer"
NAME_UNKNOWN: Final = "the name does not resolve"
UNKNOWN: Final = "the probe itself failed"

_BY_EXIT_CODE = {curl_exits.NAME: NAME_UNKNOWN, curl_exits.REFUSED: REFUSED, curl_exits.TIMEOUT: FILTERED}


def port_rows(rows: Sequence[Row], host: str, port: int) -> list[Row]:
    """The rows about one port of a host."""
    return [row for row in rows if same(row["host"], host) and same(row["port"], port)]


def connection(rows: Sequence[Row]) -> str:
    """What rows about one port say: one of the words above, `UNKNOWN` where they say nothing or contradict."""
    connected = told(rows, "connected", bool)
    if connected is None:
        return UNKNOWN
    if connected:
        return CONNECTED
    return _BY_EXIT_CODE.get(told(rows, "exit_code", int) or 0, UNKNOWN)
