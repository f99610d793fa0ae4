"""What commands leave behind, for tests of the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Done(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


Typed = Callable[..., Done]
"""Runs a command line."""
