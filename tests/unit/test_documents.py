"""Reading of YAML and JSON documents: what is accepted, what is refused, and where a mistake is said to be."""

from __future__ import annotations

import contextlib
import datetime
import enum
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from azpreflight.documents import (
    DEEPEST,
    Document,
    Mark,
    accepted_by,
    convert,
    faults,
    json_path,
    read_bytes,
    read_json,
    read_yaml,
)
from azpreflight.errors import InputError


class Colour(enum.StrEnum):
    RED = "red"
    GREEN = "green"


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    part_name: str
    size: Annotated[int, msgspec.Meta(ge=1, le=9)] = 1
    colour: Colour | None = None
    since: datetime.date | None = None
    seen_at: datetime.datetime | None = None
    code: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")] = "ABC"
    even: Annotated[str, accepted_by(lambda text: len(text) % 2 == 0, "text of even length")] = ""
    mode: Literal["on", "off"] = "on"
    ratio: float = 0.0
    ready: bool = False
    tags: Annotated[tuple[str, ...], msgspec.Meta(max_length=2)] = ()
    pair: tuple[int, str] | None = None
    counts: dict[str, int] = {}
    by_number: dict[int, str] = {}
    anything: Any = None
    sub: Part | None = None


class Cat(msgspec.Struct, tag="cat", tag_field="kind", forbid_unknown_fields=True):
    lives: int


class Dog(msgspec.Struct, tag="dog", tag_field="kind", forbid_unknown_fields=True):
    name: str


class Owner(msgspec.Struct, forbid_unknown_fields=True):
    pets: list[Cat | Dog]
    only: Cat | None = None


class Even(msgspec.Struct):
    number: int

    def __post_init__(self) -> None:
        if self.number % 2:
            raise ValueError("is odd")


class Evens(msgspec.Struct):
    items: list[Even]


def problems(error: pytest.ExceptionInfo[InputError]) -> list[tuple[str, str]]:
    return [(problem.code, problem.where) for problem in error.value.problems]


def refused_yaml(text: str | bytes) -> str:
    with pytest.raises(InputError) as error:
        read_yaml(text, "x.yaml")
    return str(error.value)


def refused_json(text: str | bytes, *, fold_keys: bool = False) -> str:
    with pytest.raises(InputError) as error:
        read_json(text, "x.json", fold_keys=fold_keys)
    return str(error.value)


def found(text: str, kind: Any = Part) -> list[tuple[str, str, str]]:
    document = read_yaml(text, "x")
    with pytest.raises(InputError) as error:
        convert(document, kind)
    return [(problem.code, problem.where, problem.message) for problem in error.value.problems]


class TestYaml:
    @pytest.mark.parametrize(
        ("written", "meant"),
        [
            ("yes", "yes"),
            ("no", "no"),
            ("on", "on"),
            ("Off", "Off"),
            ("True", "True"),
            ("true", True),
            ("false", False),
            ("null", None),
            ("~", None),
            ("", None),
            ("0", 0),
            ("-17", -17),
            ("0711", "0711"),
            ("0o17", "0o17"),
            ("0x1F", "0x1F"),
            ("1_000", "1_000"),
            ("12:30:00", "12:30:00"),
            ("2026-01-31", "2026-01-31"),
            ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
            ("1.5", 1.5),
            ("1e3", "1e3"),
            (".inf", ".inf"),
            (".nan", ".nan"),
            ("10.0.26100.1", "10.0.26100.1"),
            ("'17'", "17"),
            ('"true"', "true"),
            ("'<<'", "<<"),
        ],
    )
    def test_a_scalar_means_what_everybody_reads_in_it(self, written: str, meant: Any) -> None:
        data = read_yaml(f"key: {written}", "x").data
        assert data == {"key": meant}
        assert type(data["key"]) is type(meant)

    def test_keys_are_text_whatever_they_look_like(self) -> None:
        assert read_yaml("{1: a, true: b, null: c, 2026-01-01: d}", "x").data == {
            "1": "a",
            "true": "b",
            "null": "c",
            "2026-01-01": "d",
        }

    def test_places_are_those_of_members_and_items(self) -> None:
        document = read_yaml("a:\n  - b: 1\n    c: 2\n  - 3\n", "x.yaml")
        assert document.data == {"a": [{"b": 1, "c": 2}, 3]}
        assert document.where() == "x.yaml:1:1"
        assert document.where(("a",)) == "x.yaml:1:1"
        assert document.where(("a", 0, "c")) == "x.yaml:3:5"
        assert document.where(("a", 1)) == "x.yaml:4:5"
        assert document.where(("a", 0, "missing", "more")) == "x.yaml:2:5"
        assert document.marks["a", 1] == Mark(4, 5)

    def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(self) -> None:
        assert read_yaml(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n", "x").data == {"a": 1, "b": 2}

    def test_utf_16_with_its_mark_is_read(self) -> None:
        assert read_yaml("a: ä\n".encode("utf-16"), "x").data == {"a": "ä"}

    def test_an_empty_document_is_nothing(self) -> None:
        for text in ("", "# only a comment\n", "---\n", "---\n...\n"):
            assert read_yaml(text, "x").data is None

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a: 1\nb: 2\na: 3\n", "x.yaml:3:1: the key 'a' appears twice in the same mapping"),
            ("a: &x [1]\nb: *x\n", "x.yaml:1:4: uses an anchor"),
            ("a: *x\n", "x.yaml:1:4: uses an alias"),
            ("a: !!python/object:os.system {}\n", "x.yaml:1:4: uses a tag"),
            ("a: !!str 1\n", "x.yaml:1:4: uses a tag"),
            ("a: ! 1\n", "x.yaml:1:4: uses a tag"),
            ("b:\n  <<: {a: 1}\n", "x.yaml:2:3: uses a merge key"),
            ("a: 1\n---\nb: 2\n", "x.yaml:2:1: holds a second document"),
            ("? [a]\n: 1\n", "x.yaml:1:3: has a key that is a mapping or a list"),
            ("a: [1, 2\n", "x.yaml:2:1: no valid YAML"),
            ("a: 1\n\tb: 2\n", "x.yaml:2:1: no valid YAML"),
            ("a: \x07\n", "x.yaml:1:4: holds the control character U+0007"),
            ("a: 1\nb: \x00\n", "x.yaml:2:4: holds the control character U+0000"),
            ('a: "\\0"\n', "x.yaml:1:4: holds a character that is no text"),
            (b"a: 1\nbc: \xff\n", "x.yaml:2:5: is not UTF-8"),
            (f"a: {'9' * 50}\n", "x.yaml:1:4: holds a number that is out of range"),
            ("a: 1.0e999\n", "x.yaml:1:4: holds a number that is out of range"),
        ],
    )
    def test_what_reads_differently_elsewhere_is_refused_at_its_place(self, text: str | bytes, message: str) -> None:
        assert refused_yaml(text).startswith(message)

    def test_every_duplicate_key_is_told(self) -> None:
        message = refused_yaml("a: 1\na: {x: 1, x: 2}\nb: 1\nb: 1\n")
        assert [line.split(": ")[0] for line in message.splitlines()] == ["x.yaml:2:1", "x.yaml:2:11", "x.yaml:4:1"]

    def test_the_text_around_a_mistake_is_not_quoted(self) -> None:
        assert "hunter2" not in refused_yaml("password: hunter2: [\nx: 'hunter2\n")

    def test_nesting_is_bounded(self) -> None:
        assert read_yaml("[" * DEEPEST + "]" * DEEPEST, "x").data
        assert "levels deep" in refused_yaml("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1))
        assert "levels deep" in refused_yaml("[" * 100_000)

    def test_size_is_bounded(self) -> None:
        with pytest.raises(InputError, match="larger than"):
            read_yaml("a" * 2000, "x", most=1024)


class TestJson:
    def test_places_are_json_paths(self) -> None:
        document = read_json(b'\xef\xbb\xbf{\r\n\t"a": [{"b c": 1}]\r\n}', "x.json")
        assert document.data == {"a": [{"b c": 1}]}
        assert document.where() == "x.json: $"
        assert document.where(("a", 0, "b c")) == 'x.json: $.a[0]["b c"]'

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_what_windows_editors_save_is_read(self, encoding: str) -> None:
        assert read_json('{"ä": 1}'.encode(encoding), "x").data == {"ä": 1}

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('{"a": 1,}', "x.json:1:9: no valid JSON"),
            ('{\n  "a" 1\n}', "x.json:2:7: no valid JSON"),
            ("", "x.json:1:1: no valid JSON"),
            ('{"a": 1, "a": 2}', "x.json: $.a: the key 'a' appears twice"),
            ('{"x": [{"a": {}, "a": {}}]}', "x.json: $.x[0].a: the key 'a' appears twice"),
            ("[NaN]", "x.json: holds a number that is out of range"),
            ("[-Infinity]", "x.json: holds a number that is out of range"),
            ("[1e999]", "x.json: holds a number that is out of range"),
            (f"[{'9' * 5000}]", "x.json: holds a number that is out of range"),
            ("[" * 100_000, "x.json: is nested more than"),
            ('["\\ud800"]', "x.json: $[0]: holds a character that is no text"),
            ('{"\\u0000": 1}', "x.json: $"),
            (b'{"a": "\xff"}', "x.json:1:8: is not UTF-8"),
        ],
    )
    def test_a_mistake_is_told_at_its_place(self, text: str | bytes, message: str) -> None:
        assert refused_json(text).startswith(message)

    def test_keys_that_differ_in_letter_case_are_duplicates_when_asked_for(self) -> None:
        assert read_json('{"a": 1, "A": 2}', "x").data == {"a": 1, "A": 2}
        assert refused_json('{"a": 1, "A": 2}', fold_keys=True) == (
            "x.json: $.A: the key 'A' appears twice in the same object as 'a'"
        )

    def test_the_text_around_a_mistake_is_not_quoted(self) -> None:
        for text in ('{"password": "hunter2\\q"}', '{"password": hunter2}', '{"password": "hunter2'):
            assert "hunter2" not in refused_json(text)


class TestConversion:
    def test_a_good_document_becomes_its_record(self) -> None:
        text = """
            part-name: x
            size: 9
            colour: green
            since: 2026-01-31
            seen-at: 2026-01-31T12:00:00Z
            ratio: 2
            tags: [a, b]
            pair: [1, x]
            counts: {a: 1}
            by-number: {711: x}
            anything: [1, {a: null}]
            sub: {part-name: y}
        """
        part = convert(read_yaml(text, "x"), Part)
        assert part.colour is Colour.GREEN
        assert part.since == datetime.date(2026, 1, 31)
        assert part.seen_at == datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
        assert part.by_number == {711: "x"}
        assert part.pair == (1, "x")
        assert part.sub == Part(part_name="y")

    def test_everything_that_is_wrong_is_told_at_once(self) -> None:
        assert found("part-nam: x\nsize: 10\nready: yes\nsub: {}\n") == [
            ("unknown-key", "x:1:1", "unknown key 'part-nam'; did you mean 'part-name'?"),
            ("missing-key", "x:1:1", "the key 'part-name' is missing"),
            ("bad-value", "x:2:1", "expected at most 9, got 10"),
            ("wrong-type", "x:3:1", "expected true or false, got text; write true or false, without quotes"),
            ("missing-key", "x:4:1", "the key 'part-name' is missing"),
        ]

    @pytest.mark.parametrize(
        ("member", "code", "message"),
        [
            ("part-name: 5", "wrong-type", "expected text, got a number; put it in quotes"),
            ("part-name: ", "wrong-type", "expected text, got nothing"),
            ("size: true", "wrong-type", "expected a whole number, got true or false"),
            ("size: 1.0", "wrong-type", "expected a whole number, got a number"),
            ("size: '1'", "wrong-type", "expected a whole number, got text; write it without quotes"),
            ("size: 0", "bad-value", "expected at least 1, got 0"),
            ("colour: gren", "bad-value", "\"gren\" is not possible here; did you mean 'green'?"),
            ("colour: [red]", "wrong-type", 'expected one of: "red", "green", got a list'),
            ("since: 31.1.2026", "bad-value", 'expected a date such as 2026-01-31, got "31.1.2026"'),
            ("since: 5", "wrong-type", "expected a date such as 2026-01-31, got a number"),
            ("code: abc", "bad-value", 'expected text like ^[A-Z]{3}$, got "abc"'),
            ("even: abc", "bad-value", 'expected text of even length, got "abc"'),
            ("even: 5", "wrong-type", "expected text of even length, got a number; put it in quotes"),
            ("mode: of", "bad-value", "\"of\" is not possible here; did you mean 'off'?"),
            ("mode: true", "wrong-type", 'expected one of: "off", "on"; got true or false'),
            ("ratio: x", "wrong-type", "expected a number, got text; write it without quotes"),
            ("tags: a", "wrong-type", "expected a list, got text"),
            ("tags: [a, b, c]", "bad-value", "expected at most 2 items, got 3"),
            ("tags: [a, 1]", "wrong-type", "expected text, got a number; put it in quotes"),
            ("pair: [1]", "bad-value", "expected 2 items, got 1"),
            ("pair: {}", "wrong-type", "expected a list, got a mapping"),
            ("counts: [1]", "wrong-type", "expected a mapping, got a list"),
            ("counts: {a: x}", "wrong-type", "expected a whole number, got text; write it without quotes"),
            ("by-number: {x: y}", "wrong-type", 'expected a whole number as key, got "x"'),
            ("sub: x", "wrong-type", "expected a mapping, got text"),
        ],
    )
    def test_a_mistake_is_told_in_plain_words(self, member: str, code: str, message: str) -> None:
        text = member if member.startswith("part-name") else f"part-name: x\n{member}"
        assert [(fault[0], fault[2]) for fault in found(text)] == [(code, message)]

    def test_the_record_of_a_tagged_union_is_chosen_by_its_tag(self) -> None:
        owner = convert(read_yaml("pets: [{kind: cat, lives: 9}, {kind: dog, name: Rex}]", "x"), Owner)
        assert owner.pets == [Cat(lives=9), Dog(name="Rex")]

    @pytest.mark.parametrize(
        ("text", "code", "message"),
        [
            ("pets: [{lives: 9}]", "missing-key", "the key 'kind' is missing; it is one of: cat, dog"),
            ("pets: [{kind: cta}]", "bad-value", "\"cta\" is not possible here; did you mean 'cat'?"),
            ("pets: [{kind: dog, name: 5}]", "wrong-type", "expected text, got a number; put it in quotes"),
            ("pets: [{kind: dog, nam: x}]", "unknown-key", "unknown key 'nam'; did you mean 'name'?"),
            ("pets: [5]", "wrong-type", "expected a mapping, got a number"),
        ],
    )
    def test_mistakes_in_a_tagged_union_are_those_of_the_record_that_was_meant(
        self, text: str, code: str, message: str
    ) -> None:
        assert (code, message) in [(fault[0], fault[2]) for fault in found(text, Owner)]

    def test_a_mistake_that_only_the_record_itself_can_tell_has_its_place(self) -> None:
        assert found("items:\n  - number: 2\n  - number: 3\n", Evens) == [("bad-value", "x:3:5", "is odd")]

    def test_a_part_of_a_document_is_told_at_its_place_in_the_whole(self) -> None:
        document = read_yaml("parts:\n  - part-name: 5\n", "x")
        with pytest.raises(InputError) as error:
            convert(document, Part, ("parts", 0))
        assert problems(error) == [("wrong-type", "x:2:5")]

    def test_long_values_are_shortened(self) -> None:
        assert len(found(f"part-name: x\ncode: {'a' * 5000}")[0][2]) < 150


class TestFiles:
    def test_content_comes_as_it_is(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"\x00\xff")
        assert read_bytes(tmp_path / "a") == b"\x00\xff"

    @pytest.mark.parametrize(
        ("name", "code"), [("missing", "not-found"), (".", "not-a-file"), ("a\0b", "unreadable"), ("f/x", "unreadable")]
    )
    def test_a_file_that_cannot_be_read_is_an_input_error(self, tmp_path: Path, name: str, code: str) -> None:
        (tmp_path / "f").write_text("x")
        with pytest.raises(InputError) as error:
            read_bytes(tmp_path / name)
        assert error.value.problems[0].code == code

    def test_a_large_file_is_refused_without_being_read_whole(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"x" * 100)
        with pytest.raises(InputError, match="larger than"):
            read_bytes(tmp_path / "a", most=99)


def test_json_paths_quote_what_is_no_plain_name() -> None:
    assert json_path(("a", 0, "b-c", "d.e", "")) == '$.a[0].b-c["d.e"][""]'


YAML_PIECES = st.sampled_from(
    ["a", "b", ": ", "\n", "  ", "- ", "[", "]", "{", "}", ",", "&x ", "*x", "!t ", "<<", "'", '"', "#", "|", ">", "%",
     "---\n", "? ", "1", "0x", "é", "\t", "\\", "\r", "\x85", "\u2028", "\ufeff", "~", "true"]
)  # fmt: skip
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["part-name", "sub", "kind", "x"]) | st.text(), inner)
    ),
)


@settings(max_examples=400)
@example("a: &a [*a]")
@example("%TAG ! tag:x,2000:\n--- !x a")
@given(st.lists(YAML_PIECES, max_size=40).map("".join) | st.text())
def test_any_text_is_a_yaml_document_or_an_input_error(text: str) -> None:
    with contextlib.suppress(InputError):
        document = read_yaml(text, "x")
        for kind in (Part, Owner, Evens):
            with contextlib.suppress(InputError):
                convert(document, kind)


@given(st.binary())
def test_any_bytes_are_a_document_or_an_input_error(content: bytes) -> None:
    for read in (read_yaml, read_json):
        with contextlib.suppress(InputError):
            read(content, "x")


@settings(max_examples=300)
@given(JSON_VALUES)
def test_any_json_is_a_record_or_an_input_error(value: Any) -> None:
    with contextlib.suppress(InputError):
        document = read_json(msgspec.json.encode(value), "x")
        for kind in (Part, Owner, Evens, Any):
            with contextlib.suppress(InputError):
                convert(document, kind)


@settings(max_examples=300)
@given(JSON_VALUES)
def test_no_fault_means_that_msgspec_agrees(value: Any) -> None:
    for kind in (Part, Owner):
        agreed = True
        try:
            msgspec.convert(value, kind, str_keys=True)
        except msgspec.ValidationError:
            agreed = False
        assert agreed or list(faults(value, kind))


def test_a_document_without_places_tells_json_paths() -> None:
    assert Document("x", {}).where(("a",)) == "x: $.a"
