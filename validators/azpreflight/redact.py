"""Secrets are taken out by value: of every fact where it comes in, and of every text for people where it leaves."""

from __future__ import annotations

import re

from azpreflight.model import Value

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
MASK = "********"
SHORTEST = 4
"""Characters of a secret that is looked for inside other text. A shorter one would tear every word, and tell by it."""


class Redactor:
    """Takes known secrets out of text and of plain data.

    Args:
        secrets: passwords in force; empty ones are left out.
    """

    def __init__(self, *secrets: str) -> None:
        # The longest first, so that a secret inside another does not leave the rest of it behind.
        self._secrets = sorted((secret for secret in secrets if secret), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._secrets:
            if text == secret:
                return MASK
            if len(secret) >= SHORTEST:
                text = text.replace(secret, MASK)
        return text

    def value(self, value: Value) -> Value:
        """Plain data without secrets: in texts, in lists and objects of texts; names of members stay."""
        match value:
            case str():
                return self(value)
            case list():
                return [self.value(part) for part in value]
            case dict():
                return {key: self.value(part) for key, part in value.items()}
        return value


def plain(text: str) -> str:
    """Text from elsewhere, fit for a terminal: control and direction characters are shown as `?`."""
    return _CONTROL.sub("?", text)
