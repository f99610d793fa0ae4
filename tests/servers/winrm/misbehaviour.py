"""Ways in which a server can go wrong on purpose."""

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .faults import Fault

Action = Literal[
    "hang",
    "reset",
    "close_mid_body",
    "truncated_xml",
    "garbage_xml",
    "drip",
    "http_status",
    "fault",
    "unauthorized",
    "idle_400",
    "latency",
    "never_ends",
    "cut_output",
]


@dataclass(frozen=True)
class Misbehaviour:
    """What goes wrong, and for which requests: all criteria that are given must fit.

    hang            answer nothing until the server stops
    reset           reset the connection before the operation is done
    close_mid_body  do it, send half of the HTTP body, close
    truncated_xml   do it, send a whole HTTP answer with half of the XML
    garbage_xml     do it, send a whole HTTP answer that is no XML
    drip            do it, send the answer byte by byte with `seconds` between
    http_status     answer `status` with no SOAP
    fault           answer `fault`
    unauthorized    refuse every logon, right passwords included
    idle_400        answer an encrypted request after `seconds` without one with an empty 400
    latency         wait `seconds` before the answer
    never_ends      the command runs until it is killed
    cut_output      the first Receive gives half of the output, the next one gets a reset
    """

    action: Action
    operation: str | None = None
    """Name as in the log: Enumerate, Pull, …, also Anonymous, Negotiate and Setup."""
    pattern: str | None = None
    """Regular expression searched in the WQL, the command line, and the resource URI, letter case ignored."""
    nth: int | None = None
    """Only the nth request that fits the other criteria, counted from 1."""
    seconds: float = 0.0
    status: int = 503
    fault: Fault | None = None

    def __post_init__(self) -> None:
        if (self.action == "fault") != (self.fault is not None):
            raise ValueError("`fault` is given with the action fault and only then")

    def fits(self, operation: str, texts: Sequence[str]) -> bool:
        """Whether the criteria other than `nth` fit a request."""
        if self.operation is not None and self.operation.lower() != operation.lower():
            return False
        return self.pattern is None or any(re.search(self.pattern, text, re.IGNORECASE) for text in texts)


class Misbehaviours:
    """The misbehaviours of one server, with their counts."""

    def __init__(self, items: Sequence[Misbehaviour]) -> None:
        self._items = items
        self._counts = [0] * len(items)
        self._lock = threading.Lock()

    def choose(self, operation: str, texts: Sequence[str]) -> list[Misbehaviour]:
        """What applies to a request."""
        chosen = []
        with self._lock:
            for index, item in enumerate(self._items):
                if item.fits(operation, texts):
                    self._counts[index] += 1
                    if item.nth in (None, self._counts[index]):
                        chosen.append(item)
        return chosen

    def permanent(self, action: Action) -> Misbehaviour | None:
        """The first misbehaviour of a kind that concerns connections rather than requests."""
        return next((item for item in self._items if item.action == action), None)
