"""The one exit for text: secrets are taken out by value, terminal control sequences by kind."""

from __future__ import annotations

import json
import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_MASK = "********"


class Redactor:
    """Takes known secrets out of text.

    Args:
        secrets: passwords in force; empty ones are left out. A short one is masked as well: better a torn word than a
            leak.
    """

    def __init__(self, *secrets: str) -> None:
        # The longest first, so that a secret inside another does not leave the rest of it behind.
        self._secrets = sorted((secret for secret in secrets if secret), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The text without secrets, neither plain nor as JSON writes them."""
        for secret in self._secrets:
            for form in (secret, _as_json(secret)):
                text = text.replace(form, _MASK)
        return text


def _as_json(secret: str) -> str:
    return json.dumps(secret, ensure_ascii=False)[1:-1]


def plain(text: str) -> str:
    """Text from elsewhere, fit for a terminal: control and direction characters are shown as `?`."""
    return _CONTROL.sub("?", text)
