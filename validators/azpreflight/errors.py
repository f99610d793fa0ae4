"""The errors that azpreflight raises on purpose. Each carries fields, so that callers need not read its text."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Iterable
from typing import TypeVar

from azpreflight.model import Problem


class AzpreflightError(Exception):
    """Base of every error that azpreflight raises on purpose."""


class InputError(AzpreflightError):
    """Something that the user gave is wrong: a site, a pack, a waiver, an option, a recording.

    problems: every mistake found, in the order of the input; never empty.
    """

    def __init__(self, *problems: Problem) -> None:
        if not problems:
            raise ValueError("an InputError names at least one problem")
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate most like `word`, regardless of letter case, or None when nothing comes close."""
    folded = {candidate.casefold(): candidate for candidate in candidates}
    matches = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return folded[matches[0]] if matches else None


def unknown(kind: str, word: str, candidates: Iterable[str], *, where: str = "") -> Problem:
    """The problem of a name that does not exist, with the nearest one that does."""
    known = list(candidates)
    guess = nearest(word, known)
    if guess is not None:
        hint = f"did you mean {guess!r}?"
    elif known and len(known) <= 12:
        hint = f"known: {', '.join(sorted(known))}"
    else:
        hint = f"{len(known)} are known" if known else "none is known"
    return Problem(code=f"unknown-{kind.replace(' ', '-')}", message=f"unknown {kind} {word!r}; {hint}", where=where)


E = TypeVar("E", bound=enum.StrEnum)


def choice(kind: type[E], word: str, where: str) -> E:
    """The member of an enumeration that `word` is.

    Raises:
        InputError: it is none; names the nearest.
    """
    try:
        return kind(word)
    except ValueError:
        raise InputError(unknown(kind.__name__.lower(), word, [member.value for member in kind], where=where)) from None
