"""Questions that several facts share: asked once, side by side, and what becomes of each fact."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias, TypeVar

from azpreflight.facts.collection import Keep, unobserved, utc_now
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.row_errors import NOT_TRIED
from azpreflight.model import Value
from azpreflight.site.model import Site
from azpreflight.site.references import REFERENCES, resolve

ReachedAt: TypeAlias = Callable[[str, int], tuple[str, int] | None]
"""Where a host and port are reached; None where a redirection of the host leads to one port that stands for another."""

Q = TypeVar("Q", bound=Hashable)


def hosts_of(names: Sequence[str], site: Site) -> list[str]:
    """The hosts that references and literals stand for, each once."""
    return list(
        dict.fromkeys(host for name in names for host in (resolve(name, site) if name in REFERENCES else (name,)))
    )


def ask_once(wanted: Mapping[str, Sequence[Q]], ask: Callable[[Q], Value], parallel: int) -> dict[Q, Value]:
    """The row of every question of every fact, in a stable order.

    Args:
        wanted: the questions of each fact.
        ask: answers one with its row; bounds its own time.
        parallel: how many at a time.
    """
    questions = list(dict.fromkeys(question for asked in wanted.values() for question in asked))
    with ThreadPoolExecutor(parallel, thread_name_prefix="asking") as pool:
        return dict(zip(questions, pool.map(ask, questions), strict=True))


def keep_rows(
    wanted: Mapping[str, Sequence[Q]], rows: Mapping[Q, Value | None], *, site: Site, source: str, keep: Keep
) -> None:
    """Keep one observation for each fact: its rows, or why it has none.

    A question without a row, or with one that says `NOT_TRIED`, says nothing; a fact of which none says more is not
    observed.
    """
    for name, questions in wanted.items():
        found = [row for question in questions if (row := rows.get(question)) is not None]
        if not questions:
            reason = "the site declares nothing to ask"
            keep(*unobserved([name], site.name, source, Status.NOT_ASKED, reason))
        elif all(row["error"] == NOT_TRIED for row in found):
            reason = "the time was over before anything had been given time to answer"
            keep(*unobserved([name], site.name, source, Status.TIMED_OUT, reason))
        else:
            observed = Observation(
                fact=name, target=site.name, source=source, status=Status.OBSERVED, observed_at=utc_now(), value=found
            )
            keep(observed)
