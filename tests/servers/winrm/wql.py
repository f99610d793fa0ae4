"""The part of WQL that reading needs: SELECT with columns, WHERE with comparisons, AND, OR, NOT."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from .cim import Instance
from .classes import CimClass, Property, Reference, Scalar, Time

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
      | (?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?))
      | (?P<name>[A-Za-z_][A-Za-z0-9_.]*)
      | (?P<op><>|!=|<=|>=|=|<|>)
      | (?P<mark>[(),*])
    )""",
    re.VERBOSE | re.DOTALL,
)
_COMPARE: dict[str, Callable[[int], bool]] = {
    "=": lambda order: order == 0,
    "<>": lambda order: order != 0,
    "!=": lambda order: order != 0,
    "<": lambda order: order < 0,
    ">": lambda order: order > 0,
    "<=": lambda order: order <= 0,
    ">=": lambda order: order >= 0,
}
_MIRROR = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


class InvalidQueryError(Exception):
    """The text is no query that WMI would take."""


@dataclass(frozen=True)
class Comparison:
    """`property operator constant`."""

    name: str
    operator: str
    constant: str | int | float | bool | None


@dataclass(frozen=True)
class Junction:
    """`AND`, `OR` or `NOT` of conditions."""

    word: str
    parts: tuple["Condition", ...]


Condition = Comparison | Junction


@dataclass(frozen=True)
class Query:
    """A parsed SELECT."""

    columns: tuple[str, ...] | None
    """None for `*`."""
    class_name: str
    where: Condition | None

    def comparisons(self) -> list[Comparison]:
        """All comparisons of the WHERE clause."""
        return list(_walk(self.where)) if self.where is not None else []


def _walk(condition: Condition) -> Iterator[Comparison]:
    if isinstance(condition, Comparison):
        yield condition
    else:
        for part in condition.parts:
            yield from _walk(part)


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        position = 0
        text = text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise InvalidQueryError(text[position:])
            self.tokens.append((str(match.lastgroup), match.group(str(match.lastgroup))))
            position = match.end()
        self.at = 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def take(self) -> tuple[str, str]:
        token = self.peek()
        self.at += 1
        return token

    def word(self, *words: str) -> bool:
        """Take the next token if it is one of these keywords or marks."""
        if self.peek()[1].upper() in words and self.peek()[0] in {"name", "mark"}:
            self.at += 1
            return True
        return False

    def name(self) -> str:
        kind, text = self.take()
        if kind != "name" or text.upper() in {"SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "NULL"}:
            raise InvalidQueryError(f"a name was expected, not {text!r}")
        return text

    def query(self) -> Query:
        if not self.word("SELECT"):
            raise InvalidQueryError("SELECT was expected")
        columns: tuple[str, ...] | None = None
        if not self.word("*"):
            found = [self.name()]
            while self.word(","):
                found.append(self.name())
            columns = tuple(found)
        if not self.word("FROM"):
            raise InvalidQueryError("FROM was expected")
        class_name = self.name()
        where = self.either() if self.word("WHERE") else None
        if self.peek()[0] != "end":
            raise InvalidQueryError(f"nothing was expected after the query, not {self.peek()[1]!r}")
        return Query(columns, class_name, where)

    def either(self) -> Condition:
        parts = [self.both()]
        while self.word("OR"):
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else Junction("OR", tuple(parts))

    def both(self) -> Condition:
        parts = [self.single()]
        while self.word("AND"):
            parts.append(self.single())
        return parts[0] if len(parts) == 1 else Junction("AND", tuple(parts))

    def single(self) -> Condition:
        if self.word("NOT"):
            return Junction("NOT", (self.single(),))
        if self.word("("):
            inner = self.either()
            if not self.word(")"):
                raise InvalidQueryError(") was expected")
            return inner
        if self.peek()[0] in {"string", "number"}:
            constant = self.constant()
            kind, operator = self.take()
            if kind != "op":
                raise InvalidQueryError(f"an operator was expected, not {operator!r}")
            return Comparison(self.name(), _MIRROR.get(operator, operator), constant)
        name = self.name()
        if self.word("IS"):
            operator = "<>" if self.word("NOT") else "="
            if not self.word("NULL"):
                raise InvalidQueryError("NULL was expected")
            return Comparison(name, operator, None)
        if self.word("LIKE"):
            constant = self.constant()
            if not isinstance(constant, str):
                raise InvalidQueryError("LIKE needs a text")
            return Comparison(name, "LIKE", constant)
        kind, operator = self.take()
        if kind != "op":
            raise InvalidQueryError(f"an operator was expected, not {operator!r}")
        return Comparison(name, operator, self.constant())

    def constant(self) -> str | int | float | bool | None:
        kind, text = self.take()
        if kind == "string":
            return _unescape(text[1:-1])
        if kind == "number":
            if "x" in text.lower():
                return int(text, 16)
            return float(text) if any(mark in text for mark in ".eE") else int(text)
        if kind == "name" and text.upper() in {"TRUE", "FALSE"}:
            return text.upper() == "TRUE"
        if kind == "name" and text.upper() == "NULL":
            return None
        raise InvalidQueryError(f"a constant was expected, not {text!r}")


def _unescape(text: str) -> str:
    result, characters = [], iter(text)
    for character in characters:
        if character == "\\":
            escaped = next(characters)
            if escaped not in "\\'\"":
                raise InvalidQueryError(f"\\{escaped} is no escape sequence")
            result.append(escaped)
        else:
            result.append(character)
    return "".join(result)


def parse(text: str) -> Query:
    """Parse a query; InvalidQueryError when WMI would refuse it."""
    return _Parser(text).query()


def check(query: Query, cls: CimClass) -> None:
    """Refuse unknown properties, arrays in WHERE, and constants of the wrong kind."""
    for column in query.columns or ():
        _property(cls, column)
    for comparison in query.comparisons():
        prop = _property(cls, comparison.name)
        if prop.array or prop.type.startswith("object:"):
            raise InvalidQueryError(f"{prop.name} cannot be compared")
        if comparison.constant is not None:
            _constant(prop, comparison)


def _property(cls: CimClass, name: str) -> Property:
    prop = cls.properties.get(name.lower())
    if prop is None:
        raise InvalidQueryError(f"{cls.name} has no property {name}")
    return prop


def _constant(prop: Property, comparison: Comparison) -> "str | int | float | datetime | ObjectPath":
    """The constant in the type of the property, as WMI converts it."""
    constant = comparison.constant
    if prop.type.startswith("ref:"):
        if isinstance(constant, str) and comparison.operator in {"=", "<>", "!="}:
            return ObjectPath.parse(constant)
    elif comparison.operator == "LIKE":
        if prop.type == "string" and isinstance(constant, str):
            return constant
    elif prop.type == "string":
        if isinstance(constant, str):
            return constant.lower()
    elif prop.type == "boolean":
        if isinstance(constant, str) and constant.lower() in {"true", "false"}:
            return constant.lower() == "true"
        if isinstance(constant, (bool, int)) and constant in (0, 1):
            return int(constant)
    elif prop.type == "datetime":
        if isinstance(constant, str):
            return parse_datetime(constant)
    elif isinstance(constant, (int, float)) and not isinstance(constant, bool):
        return constant
    elif isinstance(constant, str):
        try:
            return int(constant, 0)
        except ValueError:
            pass
    raise InvalidQueryError(f"{prop.name} {comparison.operator} {constant!r}: a {prop.type} cannot be compared so")


def parse_datetime(text: str) -> datetime:
    """A point in time, in ISO 8601 or in the DMTF form that WQL uses."""
    match = re.fullmatch(r"(\d{14}\.\d{6})([+-])(\d{3})", text)
    try:
        if match is None:
            return datetime.fromisoformat(text)
        minutes = int(match[3])
        return datetime.strptime(f"{match[1]}{match[2]}{minutes // 60:02}{minutes % 60:02}", "%Y%m%d%H%M%S.%f%z")
    except ValueError:
        raise InvalidQueryError(f"{text!r} is no datetime") from None


@dataclass(frozen=True)
class ObjectPath:
    """`Class.Key='value',…`: how WQL names an object."""

    class_name: str
    keys: frozenset[tuple[str, str]]
    """Lower-case names and values."""

    @classmethod
    def parse(cls, text: str) -> "ObjectPath":
        """Parse a path; a server and namespace before the class are skipped."""
        match = re.fullmatch(r"(?:\\\\[^\\]+\\)?(?:[\w\\/]+:)?(\w+)\.(.+)", text, re.DOTALL)
        if match is None:
            raise InvalidQueryError(f"{text!r} is no object path")
        keys, rest = set(), match[2]
        while rest:
            pair = re.match(r"""(\w+)=(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(\d+))(,(?=.)|$)""", rest, re.DOTALL)
            if pair is None:
                raise InvalidQueryError(f"{text!r} is no object path")
            value = pair[4] if pair[4] is not None else _unescape(pair[2] if pair[2] is not None else pair[3])
            keys.add((pair[1].lower(), value.lower()))
            rest = rest[pair.end() :]
        return cls(match[1].lower(), frozenset(keys))

    def names(self, reference: Reference) -> bool:
        """Whether a reference points to the object of this path."""
        keys = frozenset((name.lower(), value.lower()) for name, value in reference.keys.items())
        return self.class_name == reference.class_name.lower() and self.keys == keys


def matches(condition: Condition | None, instance: Instance) -> bool:
    """Whether an instance satisfies a condition that `check` has accepted."""
    if condition is None:
        return True
    if isinstance(condition, Comparison):
        return _compare(condition, instance)
    if condition.word == "NOT":
        return not matches(condition.parts[0], instance)
    decide = all if condition.word == "AND" else any
    return decide(matches(part, instance) for part in condition.parts)


def _compare(comparison: Comparison, instance: Instance) -> bool:
    prop = _property(instance.cls, comparison.name)
    value = instance.value(prop)
    assert not isinstance(value, tuple), "check() refuses arrays"
    if comparison.constant is None:
        return (value is None) == (comparison.operator == "=")
    if value is None:
        return False
    constant = _constant(prop, comparison)
    if isinstance(constant, ObjectPath):
        same = isinstance(value, Reference) and constant.names(value)
        return same == (comparison.operator == "=")
    if comparison.operator == "LIKE":
        return _like(str(constant)).fullmatch(str(value)) is not None
    left, right = _comparable(value), constant
    return _COMPARE[comparison.operator]((left > right) - (left < right))  # type: ignore[operator]


def _comparable(value: Scalar) -> str | int | float | datetime:
    if isinstance(value, Time):
        return parse_datetime(value.text)
    if isinstance(value, str):
        return value.lower()
    assert isinstance(value, (int, float)), "check() refuses the other kinds"
    return value


def _like(pattern: str) -> re.Pattern[str]:
    """The pattern of LIKE: % any text, _ any character, [abc], [a-z], [^a]."""
    result, position = "", 0
    while position < len(pattern):
        character = pattern[position]
        end = pattern.find("]", position + 1)
        if character == "%":
            result += ".*"
        elif character == "_":
            result += "."
        elif character == "[" and end > position + 1:
            content = pattern[position + 1 : end]
            negated = content.startswith("^")
            inner = re.sub(r"([\\\[\]^])", r"\\\1", content.removeprefix("^"))
            result += f"[{'^' if negated else ''}{inner}]"
            position = end
        else:
            result += re.escape(character)
        position += 1
    return re.compile(result, re.IGNORECASE | re.DOTALL)
