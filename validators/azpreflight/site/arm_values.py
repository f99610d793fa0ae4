"""One value of an ARM file at a time: as text, number, flag or list, with what is odd about it told as a problem.

Nothing here raises for what a file holds. A value that cannot be used becomes None, and a problem says which and why.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from azpreflight.documents import Document, Place, read_json
from azpreflight.errors import InputError
from azpreflight.model import Problem
from azpreflight.site.formats import is_address, is_ipv4

ABSENT: Final = object()
"""The value of what a file does not mention; not the same as null."""

_PLACEHOLDER_ALONE = re.compile(
    r"to ?do\b.*|tbd|fix ?me|fill[ _-]?(me|in|out)\b.*|change[ _-]?(me|it|this)\b.*|replace[ _-]?(me|with|this)\b.*"
    r"|(enter|insert|specify|provide)[ _-].+|x{3,}|\?+|\.{3}|…|n/?a|gen-[a-z]+(-\d+)?",
    re.IGNORECASE,
)
_PLACEHOLDER_INSIDE = re.compile(
    r"<[^<>]+>|\{\{[^{}]*\}\}|\{[A-Za-z][\w -]*\}|\$\([^()]*\)|\$\{[^{}]*\}|#\{[^{}]*\}|__[A-Za-z]\w*__|\byour[ _-]\w",
    re.IGNORECASE,
)
_JSON_LIST = re.compile(r'\s*\[\s*["\[{\d-]')
"""How a list begins that is written as JSON; an ARM expression begins with a letter."""
_LONGEST_TEXT = 4096


def is_placeholder(text: str) -> bool:
    """Whether a text stands for something that somebody was meant to fill in."""
    return _PLACEHOLDER_ALONE.fullmatch(text) is not None or _PLACEHOLDER_INSIDE.search(text) is not None


@dataclass(frozen=True, slots=True)
class Slot:
    """A value with its name for people and its place in the file. In a vault: it is a Key Vault reference."""

    value: Any
    name: str
    place: Place
    in_vault: bool = False

    @property
    def absent(self) -> bool:
        """Whether the file does not mention it at all."""
        return self.value is ABSENT and not self.in_vault

    @property
    def empty(self) -> bool:
        """Whether the file mentions it and says nothing."""
        return (
            self.value is None
            or self.value in ("", [], [""])
            or (isinstance(self.value, str) and not self.value.strip())
        )

    def member(self, name: str) -> Slot:
        """A member of an object; letter case does not matter."""
        members = self.value if isinstance(self.value, Mapping) else {}
        found = next((key for key in members if key.casefold() == name.casefold()), None)
        value = ABSENT if found is None else members[found]
        return Slot(value, f"{self.name}.{name}", (*self.place, found if found is not None else name))


class Reader:
    """Reads slots of one file and collects what is odd about them.

    whole: the file is expected to have every required field, so that an absent one is a problem too.
    """

    def __init__(self, document: Document, *, whole: bool) -> None:
        self._document = document
        self.whole = whole
        self.problems: list[Problem] = []

    def note(self, code: str, slot: Slot, message: str) -> None:
        """Add a problem. Its message names the field and never shows a value that could be a secret."""
        self.problems.append(Problem(code=code, message=message, where=self.where(slot)))

    def where(self, slot: Slot) -> str:
        """The place of a slot, for people."""
        return self._document.where(slot.place)

    def text(self, slot: Slot, *, required: bool = False) -> str | None:
        """A text: "" when it is declared and not filled in, None when nothing is known of it."""
        value = slot.value
        if slot.in_vault:
            self.note("not-filled-in", slot, f"{slot.name} is a Key Vault reference; only a deployment reads its value")
            return None
        if value is ABSENT:
            if required and self.whole:
                self.note("not-filled-in", slot, f"{slot.name} is missing")
            return None
        if slot.empty:
            if required:
                self.note("not-filled-in", slot, f"{slot.name} is empty")
            return "" if required or value is not None else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
            self.note("wrong-type", slot, f"{slot.name} is not a text")
            return None
        return self._filled_in(slot, value)

    def _filled_in(self, slot: Slot, value: str) -> str | None:
        text = value.strip()
        if text != value:
            self.note("bad-value", slot, f"{slot.name} has blanks before or after its value")
        if text.startswith("[") and text.endswith("]") and not text.startswith("[["):
            self.note("not-filled-in", slot, f"{slot.name} is an ARM expression; only a deployment evaluates it")
            return None
        if is_placeholder(text):
            self.note("not-filled-in", slot, f"{slot.name} still holds a placeholder")
            return ""
        # Two brackets are how ARM writes a text that begins with one.
        return text[1:] if text.startswith("[[") else text

    def address(self, slot: Slot, *, required: bool = False, ipv4_only: bool = True) -> str | None:
        """An address, as it is written; a problem says so when it is none."""
        text = self.text(slot, required=required)
        if text and not (is_ipv4(text) if ipv4_only else is_address(text)):
            self.note("bad-value", slot, f"{slot.name} is not an {'IPv4' if ipv4_only else 'IP'} address")
        return text

    def flag(self, slot: Slot) -> bool | None:
        """True or false, also where it is written as text."""
        if isinstance(slot.value, bool):
            return slot.value
        text = self.text(slot)
        if not text:
            return None
        if text.casefold() not in {"true", "false"}:
            self.note("wrong-type", slot, f"{slot.name} is neither true nor false")
            return None
        return text.casefold() == "true"

    def number(self, slot: Slot) -> int | None:
        """A whole number, also where it is written as text."""
        text = self.text(slot)
        if not text:
            return None
        if not re.fullmatch(r"-?[0-9]{1,9}", text):
            self.note("wrong-type", slot, f"{slot.name} is not a whole number")
            return None
        return int(text)

    def choice(self, slot: Slot, choices: Mapping[str, Any]) -> Any:
        """What `choices` has for a text, regardless of letter case; None when it has nothing."""
        text = self.text(slot)
        if text is None or (not text and not slot.empty):
            # A placeholder chooses nothing, not even what an empty text chooses.
            return None
        folded = {word.casefold(): meaning for word, meaning in choices.items()}
        if text.casefold() in folded:
            return folded[text.casefold()]
        if text:
            self.note("bad-value", slot, f"{slot.name} is none of: {', '.join(word for word in choices if word)}")
        return None

    def items(self, slot: Slot, *, required: bool = False) -> tuple[Slot, ...] | None:
        """The items of a list: also of one that is written as text, or of a single object. None: not declared."""
        if slot.in_vault or slot.value is ABSENT or slot.empty:
            text = self.text(slot, required=required)
            return None if text is None else ()
        value = slot.value
        if isinstance(value, str):
            value = self._list_in(value)
            if value is None and _JSON_LIST.match(slot.value):
                self.note("wrong-type", slot, f"{slot.name} is written as text, and that is no valid JSON")
                return None
            if value is None:
                text = self.text(slot, required=required)
                if text:
                    self.note("wrong-type", slot, f"{slot.name} is not a list")
                return () if text == "" else None
        if isinstance(value, Mapping):
            return (slot,)
        if not isinstance(value, list):
            self.note("wrong-type", slot, f"{slot.name} is not a list")
            return None
        return tuple(self._item(slot, at, item) for at, item in enumerate(value))

    def objects(self, slot: Slot, *, required: bool = False) -> tuple[Slot, ...] | None:
        """The items of a list of objects; an item that is none is told and left out."""
        items = self.items(slot, required=required)
        if items is None:
            return None
        for item in items:
            if not isinstance(item.value, Mapping):
                self.note("wrong-type", item, f"{item.name} is not an object")
        return tuple(item for item in items if isinstance(item.value, Mapping))

    def texts(self, slot: Slot, *, required: bool = False) -> tuple[str, ...] | None:
        """The texts of a list, without those that are not filled in."""
        items = self.items(slot, required=required)
        return None if items is None else tuple(text for item in items if (text := self.text(item, required=True)))

    def addresses(self, slot: Slot, *, required: bool = False) -> tuple[str, ...] | None:
        """The IP addresses of a list, as they are written, without those that are not filled in."""
        items = self.items(slot, required=required)
        if items is None:
            return None
        read = (self.address(item, required=True, ipv4_only=False) for item in items)
        return tuple(address for address in read if address)

    def _item(self, slot: Slot, at: int, item: Any) -> Slot:
        if isinstance(item, str) and item.lstrip().startswith("{"):
            item = _json_in(item, item)
        # A list that was written as text has no places of its own.
        place = (*slot.place, at) if isinstance(slot.value, list) else slot.place
        return Slot(item, f"{slot.name}[{at}]", place)

    def _list_in(self, text: str) -> Any:
        """A list written as JSON or with commas; None for an expression or a placeholder, which `text` explains."""
        stripped = text.strip()
        if stripped.startswith(("[", "{")):
            return _json_in(stripped, None)
        if is_placeholder(stripped):
            return None
        return [part.strip() for part in stripped.split(",")]


def _json_in(text: str, otherwise: Any) -> Any:
    try:
        # Held to what the file itself is held to: a text can bring in half characters, or one member twice.
        value = read_json(text, "", fold_keys=True).data
    except InputError:
        return otherwise
    return value if isinstance(value, list | dict) else otherwise
