"""Questions that several facts share: asked once, side by side, and what becomes of each fact."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias, TypeVar

from azpreflight.facts.collection import unobserved, utc_now
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.row_errors import NOT_TRIED
from azpreflight.model import Value
from azpreflight.site.model import Site

ReachedAt: TypeAlias = Callable[[str, int], tuple[str, int]]
"""Where a server is asked that is declared with one port, such as a DNS server."""
TriedAt: TypeAlias = Callable[[str, int], tuple[str, int] | None]
"""Where any port of a host is tried; None where a redirection of the host leads to one port that stands for another."""

PARALLEL = 64
"""Questions of one source at a time. Nearly all of their time is waiting."""

Q = TypeVar("Q", bound=Hashable)
R = TypeVar("R")


def ask_once(questions: Iterable[Q], ask: Callable[[Q], R]) -> dict[Q, R]:
    """What comes of every question, in the order of their first mention.

    Args:
        questions: of all facts; one that is there several times is asked once.
        ask: answers one; bounds its own time.
    """
    distinct = list(dict.fromkeys(questions))
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="asking") as pool:
        return dict(zip(distinct, pool.map(ask, distinct), strict=True))


def observed(name: str, rows: Sequence[Value | None], site: Site, source: str) -> Observation:
    """What becomes of a fact: its rows, or why it has none.

    Args:
        name: of the fact.
        rows: one for each of its questions. None, or one that says `NOT_TRIED`, says nothing; a fact of which none says
            more is not observed.
        site: whose fact it is.
        source: who asked.
    """
    found = [row for row in rows if row is not None]
    if not rows:
        reason = "the site declares nothing to ask"
        return unobserved([name], site.name, source, Status.NOT_ASKED, reason)[0]
    if all(row["error"] == NOT_TRIED for row in found):
        reason = "the time was over before anything had been given time to answer"
        return unobserved([name], site.name, source, Status.TIMED_OUT, reason)[0]
    now = utc_now()
    return Observation(fact=name, target=site.name, source=source, status=Status.OBSERVED, observed_at=now, value=found)
