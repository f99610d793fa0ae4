"""A moment after which nobody waits any longer."""

from __future__ import annotations

import threading
import time

GLANCE_SECONDS = 0.25
"""How soon a wait notices that everything was called off."""


class Deadline:
    """A point in monotonic time, or the moment when somebody calls everything off, whichever comes first.

    Deadlines nest: one made by `within` never outlasts the one it came from.
    """

    def __init__(self, seconds: float, called_off: threading.Event | None = None) -> None:
        self._at = time.monotonic() + seconds
        self._called_off = called_off

    @property
    def remaining(self) -> float:
        """Seconds left; 0 when it is over."""
        if self._called_off is not None and self._called_off.is_set():
            return 0.0
        return max(0.0, self._at - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether it is past."""
        return self.remaining == 0.0

    def within(self, seconds: float) -> Deadline:
        """The earlier of this deadline and `seconds` from now."""
        return Deadline(min(seconds, self.remaining), self._called_off)
