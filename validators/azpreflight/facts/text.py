"""Text that came from elsewhere, made fit to stand in a fact or in a reason."""

from __future__ import annotations


def one_line(text: str, most: int) -> str:
    """The text on one line, each run of blanks and of what cannot be printed a single blank; `most` characters."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())[:most]
