"""Distinguished names as the directory writes them (RFC 4514): taken apart, compared, put together again. No I/O.

Two spellings of one name are the same: letter case, blanks around separators and runs of blanks do not count, an
escaped character is the character. A character that should have been escaped and can only be itself is taken as that,
so that a name which is odd is not one that cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+")
_BLANKS = re.compile(" +")
_HEX_PAIR = re.compile(r"[0-9A-Fa-f]{2}")
_ESCAPED = frozenset('"+,;<>\\')
_SEPARATORS = frozenset(",;")

Pair = tuple[str, str]
"""The type and the value of an attribute, for example `("OU", "Servers")`."""


@dataclass(frozen=True)
class Rdn:
    """One step of a name. Nearly always a single pair; several of them are joined by a plus sign."""

    pairs: tuple[Pair, ...]

    def __str__(self) -> str:
        return "+".join(f"{type_}={_escaped(value)}" for type_, value in self.pairs)

    @cached_property
    def key(self) -> frozenset[Pair]:
        """What two spellings of one step share."""
        return frozenset((type_.casefold(), _BLANKS.sub(" ", value).casefold()) for type_, value in self.pairs)

    def is_a(self, type_: str) -> bool:
        """Whether the step is a single one of this type, such as `OU`."""
        return len(self.pairs) == 1 and self.pairs[0][0].casefold() == type_.casefold()


@dataclass(frozen=True, eq=False)
class DistinguishedName:
    """A distinguished name, the object itself first, the top last."""

    rdns: tuple[Rdn, ...]

    @classmethod
    def parse(cls, text: str) -> DistinguishedName:
        """Take a name apart; the empty text is the top.

        Raises:
            ValueError: it is none, and why.
        """
        return cls(tuple(_steps(text)) if text.strip(" ") else ())

    def __str__(self) -> str:
        return ",".join(map(str, self.rdns))

    @cached_property
    def key(self) -> tuple[frozenset[Pair], ...]:
        """What two spellings of one name share."""
        return tuple(rdn.key for rdn in self.rdns)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DistinguishedName) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def is_under(self, other: DistinguishedName) -> bool:
        """Whether the object lies below `other`, at whatever depth. A name is not below itself."""
        extra = len(self.rdns) - len(other.rdns)
        return extra > 0 and self.key[extra:] == other.key

    @property
    def parents(self) -> tuple[DistinguishedName, ...]:
        """Every name above, the nearest first, up to the domain; without a domain, up to the last step."""
        below = len(self.rdns) - max(1, len(self._domain_steps))
        return tuple(DistinguishedName(self.rdns[start:]) for start in range(1, below + 1))

    @property
    def domain(self) -> str:
        """The DNS name that the last steps, of type DC, make up; empty where there are none."""
        return ".".join(rdn.pairs[0][1] for rdn in self._domain_steps)

    @property
    def is_domain(self) -> bool:
        """Whether it is the name of a domain itself."""
        return bool(self.rdns) and len(self._domain_steps) == len(self.rdns)

    @property
    def _domain_steps(self) -> tuple[Rdn, ...]:
        start = len(self.rdns)
        while start and self.rdns[start - 1].is_a("DC"):
            start -= 1
        return self.rdns[start:]


def _steps(text: str) -> Iterator[Rdn]:
    pairs: list[Pair] = []
    position = 0
    while True:
        pair, position = _pair(text, position)
        pairs.append(pair)
        mark = text[position : position + 1]
        if mark != "+":
            yield Rdn(tuple(pairs))
            pairs = []
        if not mark:
            return
        position += 1


def _pair(text: str, position: int) -> tuple[Pair, int]:
    """The pair that begins at `position`, and where it ends: at a separator, a plus sign or the end."""
    type_, equals, _ = text[position:].partition("=")
    if not equals or _TYPE.fullmatch(type_.strip(" ")) is None:
        raise ValueError(f"{text[position : position + 40]!r} does not begin with a type and an equals sign")
    value, end = _value(text, position + len(type_) + 1)
    if not value:
        raise ValueError(f"{type_.strip(' ')} has no value")
    return (type_.strip(" "), value), end


def _value(text: str, position: int) -> tuple[str, int]:
    """The value that begins at `position`, without escapes, and where it ends."""
    octets = bytearray()
    kept = 0
    """How many octets stay when blanks at the end are dropped: an escaped blank is no such."""
    while position < len(text) and text[position] == " ":
        position += 1
    while position < len(text):
        character = text[position]
        if character in _SEPARATORS or character == "+":
            break
        position += 1
        if character != "\\":
            octets += character.encode(errors="surrogatepass")
            kept = kept if character == " " else len(octets)
            continue
        if _HEX_PAIR.fullmatch(pair := text[position : position + 2]):
            octets.append(int(pair, 16))
            position += 2
        elif position < len(text):
            octets += text[position].encode(errors="surrogatepass")
            position += 1
        else:
            raise ValueError("it ends in the middle of an escaped character")
        kept = len(octets)
    try:
        return octets[:kept].decode(), position
    except UnicodeDecodeError:
        raise ValueError("its escaped characters are no UTF-8") from None


def _escaped(value: str) -> str:
    last = len(value) - 1
    return "".join(
        f"\\{character}"
        if character in _ESCAPED or (character == " " and index in (0, last)) or (character == "#" and index == 0)
        else f"\\{ord(character):02X}"
        if character < " "
        else character
        for index, character in enumerate(value)
    )
