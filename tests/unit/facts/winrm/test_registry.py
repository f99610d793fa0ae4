"""The registry: the text of reg.exe in any language, and the methods of StdRegProv."""

from __future__ import annotations

import contextlib
import re
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azpreflight.facts.deadline import Deadline
from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.query import RegistryQuery
from azpreflight.facts.registry_tree import RegistryTree
from azpreflight.facts.winrm import registry
from azpreflight.facts.winrm.faults import Fault
from azpreflight.model import Value
from unit.facts.winrm.support import Node, Sent, fault

KEY, FULL = "HKLM\\SOFTWARE\\Example", "HKEY_LOCAL_MACHINE\\SOFTWARE\\Example"
TREE = RegistryQuery(key=KEY, recurse=True)
FLAT = RegistryQuery(key=KEY)


def parse(*lines: str, query: RegistryQuery = TREE) -> dict[str, dict[str, Value]]:
    """The keys of an output, which begins with a blank line."""
    value = registry.parse(query, "".join(f"{line}\r\n" for line in ("", *lines)))
    assert value["exists"] is True
    found: dict[str, dict[str, Value]] = value["keys"]
    return found


def value(*lines: str) -> tuple[str, str, Value]:
    """Name, type and data of the one value of a key."""
    ((name, entry),) = parse(FULL, *lines, "")[""].items()
    return name, entry["type"], entry["data"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("    A    REG_SZ    text", ("A", "REG_SZ", "text")),
        ("    A    REG_SZ    ", ("A", "REG_SZ", "")),
        ("    A    REG_SZ", ("A", "REG_SZ", "")),
        ("    A    REG_SZ     ", ("A", "REG_SZ", " ")),
        ("    A    REG_SZ ", ("A", "REG_SZ", "")),
        ("    A    REG_SZ      two before", ("A", "REG_SZ", "  two before")),
        ("    A    REG_SZ    behind  ", ("A", "REG_SZ", "behind  ")),
        ("    A    REG_SZ    x    REG_DWORD    0x1", ("A", "REG_SZ", "x    REG_DWORD    0x1")),
        ("    Two  blanks, and    four    REG_SZ    x", ("Two  blanks, and    four", "REG_SZ", "x")),
        ("      Blanks before    REG_SZ    x", ("  Blanks before", "REG_SZ", "x")),
        ("    REG_SZ    REG_SZ    x", ("REG_SZ", "REG_SZ", "x")),
        ("    A    REG_DWORD    0x0", ("A", "REG_DWORD", 0)),
        ("    A    REG_DWORD    0xffffffff", ("A", "REG_DWORD", 2**32 - 1)),
        ("    A    REG_QWORD    0xffffffffffffffff", ("A", "REG_QWORD", 2**64 - 1)),
        ("    A    REG_MULTI_SZ    one\\0two", ("A", "REG_MULTI_SZ", ["one", "two"])),
        ("    A    REG_MULTI_SZ    one", ("A", "REG_MULTI_SZ", ["one"])),
        ("    A    REG_MULTI_SZ    ", ("A", "REG_MULTI_SZ", [])),
        ("    A    REG_MULTI_SZ", ("A", "REG_MULTI_SZ", [])),
        ('    A    REG_MULTI_SZ    ""', ("A", "REG_MULTI_SZ", ['""'])),
        ("    A    REG_BINARY    00FF10", ("A", "REG_BINARY", "00FF10")),
        ("    A    REG_BINARY    ", ("A", "REG_BINARY", "")),
        ("    A    REG_NONE    ", ("A", "REG_NONE", "")),
        ("    A    REG_NONE    0A0B", ("A", "REG_NONE", "0A0B")),
        ("    A    REG_EXPAND_SZ    %SystemRoot%\\x", ("A", "REG_EXPAND_SZ", "%SystemRoot%\\x")),
        ("    Größe 表    REG_SZ    größer", ("Größe 表", "REG_SZ", "größer")),
    ],
)
def test_a_line_is_name_type_and_data(line: str, expected: tuple[str, str, Value]) -> None:
    assert value(line) == expected


@pytest.mark.parametrize("name", ["(Default)", "(Standard)", "(par défaut)", "(既定)", "(Predeterminado)"])
def test_the_default_value_comes_first_under_a_name_in_any_language(name: str) -> None:
    assert value(f"    {name}    REG_SZ    x") == ("", "REG_SZ", "x")


def test_a_later_name_in_parentheses_is_a_name() -> None:
    assert list(parse(FULL, "    A    REG_SZ    x", "    (B)    REG_SZ    y", "")[""]) == ["A", "(B)"]


def test_data_may_hold_line_breaks_and_blank_lines() -> None:
    found = parse(FULL, "    A    REG_SZ    one", "two", "", "  three", "    B    REG_SZ    x", "", f"{FULL}\\Sub", "")
    assert found[""]["A"]["data"] == "one\ntwo\n\n  three"
    assert found[""]["B"]["data"] == "x"


def test_the_count_of_matches_of_a_search_is_no_data() -> None:
    assert value("    A    REG_SZ    x", "", "Ende der Suche: 1 Übereinstimmung(en) gefunden.") == ("A", "REG_SZ", "x")


def test_subkeys_have_names_relative_to_the_key() -> None:
    found = parse(
        FULL, "    A    REG_SZ    x", "", f"{FULL}\\Sub", "    B    REG_SZ    y", "", f"{FULL}\\Sub\\Below", ""
    )
    assert {key: list(values) for key, values in found.items()} == {"": ["A"], "Sub": ["B"], "Sub\\Below": []}


def test_without_recursion_subkeys_are_left_out_since_their_values_were_not_read() -> None:
    assert list(parse(FULL, "    A    REG_SZ    x", "", f"{FULL}\\Sub", query=FLAT)) == [""]


def test_the_letter_case_of_the_key_is_nothing_to_go_by() -> None:
    upper, lower = FULL.upper(), FULL.replace("SOFTWARE", "software")
    assert parse(upper, "    A    REG_SZ    x", "", f"{lower}\\Sub", "").keys() == {"", "Sub"}


def test_a_key_without_values_need_not_show_itself() -> None:
    assert parse(f"{FULL}\\Sub", "    B    REG_SZ    y", "") == {"": {}, "Sub": {"B": {"type": "REG_SZ", "data": "y"}}}


def test_an_empty_key_is_there_and_empty() -> None:
    assert parse() == parse(FULL, "") == parse(FULL) == {"": {}}


@pytest.mark.parametrize("query", [TREE, FLAT])
def test_success_without_any_output_is_an_empty_key(query: RegistryQuery) -> None:
    assert registry.parse(query, "") == {"exists": True, "keys": {"": {}}}


def test_a_value_that_nobody_wants_may_be_of_any_kind() -> None:
    wanted = RegistryQuery(key=KEY, values=("A",))
    found = parse(FULL, "    A    REG_SZ    x", "    B    REG_QWORD    (null)", query=wanted)
    assert found == {"": {"A": {"type": "REG_SZ", "data": "x"}}}


def test_only_the_wanted_values_are_kept() -> None:
    wanted = RegistryQuery(key=KEY, values=("a", "C"))
    found = parse(FULL, "    A    REG_SZ    x", "    B    REG_SZ    secret", "    C    REG_SZ    y", "", query=wanted)
    assert list(found[""]) == ["A", "C"]


@pytest.mark.parametrize("hive", ["HKLM", "HKU", "HKCR"])
def test_hives_are_told_by_their_full_names(hive: str) -> None:
    root = registry.HIVES[hive][0]
    assert parse(f"{root}\\X", "    A    REG_SZ    x", query=RegistryQuery(key=f"{hive}\\X"))[""]["A"]["data"] == "x"


@pytest.mark.parametrize(
    "lines",
    [
        ("FEHLER: Nichts da.",),
        ("garbage", FULL),
        ("    A    REG_SZ    before any key",),
        (FULL, "no value"),
        (FULL, "\tA\tREG_SZ\tx"),
        ("! REG.EXE VERSION 3.0", "", FULL, "\t<NO NAME>\tREG_SZ\tx"),
        ("HKEY_LOCAL_MACHINE\\SOFTWARE\\Other",),
        ("HKEY_LOCAL_MACHINE\\SOFTWARE\\Example2",),
        ("HKEY_USERS\\SOFTWARE\\Example",),
        (FULL, "    A    REG_DWORD    5"),
        (FULL, "    A    REG_DWORD    "),
        (FULL, "    A    REG_DWORD    0x1_0"),
        (FULL, "    A    REG_DWORD    -0x1"),
        (FULL, "    A    REG_QWORD    0x" + "f" * 5000),
        (FULL, "    A    REG_DWORD    0x1", "more"),
        (FULL, "    A    REG_BINARY    0F0"),
        (FULL, "    A    REG_BINARY    zz"),
        (FULL, "    A    REG_STRANGE    zz"),
    ],
)
def test_what_is_not_in_the_format_is_refused(lines: tuple[str, ...]) -> None:
    with pytest.raises(WireError) as error:
        parse(*lines)
    assert error.value.status is Status.FAILED
    assert len(error.value.reason) < 300


@given(
    st.text()
    | st.lists(st.sampled_from([FULL, f"{FULL}\\S", "", "    A    REG_SZ", "    B    REG_DWORD    0x1", "x"])).map(
        "\r\n".join
    )
)
def test_any_text_is_a_tree_or_a_wire_error(text: str) -> None:
    with contextlib.suppress(WireError):
        assert registry.parse(TREE, text)["keys"]


# A tree that is printed comes back

LETTERS = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="\\")
NAMES = st.text(LETTERS, min_size=1, max_size=12).filter(lambda n: "    REG_" not in f"    {n}    " and n == n.strip())
LINES = st.text(LETTERS, max_size=12).filter(lambda text: "    " not in text and not text.startswith("HKEY_"))
DATA: dict[str, st.SearchStrategy[Value]] = {
    "REG_SZ": LINES | st.lists(LINES, min_size=2, max_size=4).map("\n".join),
    "REG_EXPAND_SZ": LINES,
    "REG_DWORD": st.integers(0, 2**32 - 1),
    "REG_QWORD": st.integers(0, 2**64 - 1),
    "REG_MULTI_SZ": st.lists(st.text(LETTERS, min_size=1, max_size=8), max_size=3),
    "REG_BINARY": st.binary(max_size=8).map(lambda data: data.hex().upper()),
}
ENTRIES = st.sampled_from(sorted(DATA)).flatmap(lambda kind: DATA[kind].map(lambda data: {"type": kind, "data": data}))
KEYS = st.lists(NAMES, max_size=3).map("\\".join)
TREES = st.dictionaries(KEYS, st.dictionaries(NAMES, ENTRIES, max_size=4), max_size=4)


def printed(kind: str, data: Value) -> str:
    match kind:
        case "REG_DWORD" | "REG_QWORD":
            return f"0x{data:x}"
        case "REG_MULTI_SZ":
            return "\\0".join(data)
        case _:
            return str(data).replace("\n", "\r\n")


@given(TREES, st.none() | ENTRIES)
def test_a_printed_tree_comes_back_as_it_was(tree: dict[str, dict[str, Value]], default: Value) -> None:
    keys = {"": {}, **{key: dict(values) for key, values in tree.items()}}
    if default is not None:
        keys[""] = {"": default, **keys[""]}
    lines = [""]
    for key, values in keys.items():
        lines.append(f"{FULL}\\{key}" if key else FULL)
        for number, (name, entry) in enumerate(values.items()):
            # Without a default value a first name in parentheses cannot be told from it.
            if number == 0 and re.fullmatch(r"\(.*\)", name):
                return
            lines.append(f"    {name or '(Standard)'}    {entry['type']}    {printed(entry['type'], entry['data'])}")
        lines.append("")
    if len(lines) > 2 and re.fullmatch(r"\S.*: [0-9]+ \S.*", lines[-2].rpartition("\n")[2]):
        return
    assert registry.parse(TREE, "".join(f"{line}\r\n" for line in lines)) == {"exists": True, "keys": keys}


def test_a_tree_is_read_without_regard_to_letter_case() -> None:
    tree = RegistryTree(registry.parse(TREE, f"\r\n{FULL}\\Sub\r\n    Name    REG_DWORD    0x5\r\n\r\n"))
    assert tree.get("NAME", key="sub") == 5
    assert tree.get("Name") is None
    assert list(tree.keys()) == ["", "Sub"]


# StdRegProv


class Provider(Node):
    """A registry behind StdRegProv: keys with their values, `codes` for what goes wrong."""

    def __init__(
        self,
        keys: dict[str, dict[str, tuple[int, Value]]] | None = None,
        *,
        codes: dict[str, int | str] | None = None,
        faults: dict[str, int] | None = None,
    ) -> None:
        self.keys = keys or {}
        self.codes = codes or {}
        self.faults = faults or {}
        super().__init__(self.method)

    @property
    def methods(self) -> list[str]:
        return [sent.operation for sent in self.sent]

    def method(self, sent: Sent) -> str:
        namespace = sent.uri.rpartition("/wmi/")[2].rpartition("/")[0]
        if namespace in self.faults:
            return fault(self.faults[namespace])
        key = re.search(r"<m:sSubKeyName>(.*)</m:sSubKeyName>", sent.body)
        name = re.search(r"<m:sValueName>(.*)</m:sValueName>", sent.body, re.DOTALL)
        assert key is not None
        return self.output(sent.operation, key[1], name[1] if name is not None else None)

    def output(self, method: str, key: str, name: str | None) -> str:
        code: int | str = self.codes.get(method, 0 if key in self.keys else 2)
        values = self.keys.get(key, {})
        content = ""
        if method == "EnumKey":
            below = [found.removeprefix(f"{key}\\") for found in self.keys if found.startswith(f"{key}\\")]
            content = "".join(f"<p:sNames>{escape(found)}</p:sNames>" for found in below if "\\" not in found)
        elif method == "EnumValues":
            content = "".join(f"<p:sNames>{escape(found)}</p:sNames>" for found in values)
            content += "".join(f"<p:Types>{kind}</p:Types>" for kind, _ in values.values())
        elif code == 0 and name in {escape(found) for found in values}:
            data = next(data for found, (_, data) in values.items() if escape(found) == name)
            tag = "sValue" if "String" in method else "uValue"
            texts = data if isinstance(data, list) else [data]
            content = "".join(f"<p:{tag}>{escape(str(text))}</p:{tag}>" for text in texts if text is not None)
        return f"<p:{method}_OUTPUT>{content}<p:ReturnValue>{code}</p:ReturnValue></p:{method}_OUTPUT>"


PATH = "SOFTWARE\\Example"


def read(provider: Provider, query: RegistryQuery = FLAT) -> Value:
    return registry.StdRegProv(provider).read(query, Deadline(5))


def test_every_type_is_read_by_its_method() -> None:
    values: dict[str, tuple[int, Value]] = {
        "": (1, "default"),
        "Text": (1, ""),
        " R&D <x> ": (1, " a & b "),
        "Path": (2, "C:\\Windows"),
        "Bytes": (3, [0, 255, 16]),
        "Number": (4, 42),
        "List": (7, ["one", "two"]),
        "One": (7, "one"),
        "Nothing": (7, None),
        "Long": (11, 2**64 - 1),
        "Unread": (0, None),
    }
    provider = Provider({PATH: values})
    found = read(provider)["keys"][""]
    assert {name: entry["data"] for name, entry in found.items()} == {
        "": "default",
        "Text": "",
        " R&D <x> ": " a & b ",
        "Path": "C:\\Windows",
        "Bytes": "00FF10",
        "Number": 42,
        "List": ["one", "two"],
        "One": ["one"],
        "Nothing": [],
        "Long": 2**64 - 1,
    }
    assert found["Number"]["type"] == "REG_DWORD"
    assert "<m:hDefKey>2147483650</m:hDefKey>" in provider.sent[0].body


def test_only_the_wanted_values_are_asked_for() -> None:
    provider = Provider({PATH: {"A": (1, "x"), "B": (1, "secret")}})
    assert list(read(provider, RegistryQuery(key=KEY, values=("a",)))["keys"][""]) == ["A"]
    assert provider.methods == ["EnumValues", "GetStringValue"]


def test_a_key_that_does_not_exist_is_absent() -> None:
    assert read(Provider()) == registry.ABSENT == {"exists": False, "keys": {}}
    assert not registry.StdRegProv(Provider()).exists(KEY, Deadline(5))
    assert registry.StdRegProv(Provider({PATH: {}})).exists(KEY, Deadline(5))


def test_a_key_that_is_denied_is_refused() -> None:
    with pytest.raises(WireError, match="access denied") as error:
        read(Provider({PATH: {}}, codes={"EnumValues": 5}))
    assert error.value.status is Status.REFUSED


def test_a_value_that_went_away_or_has_another_type_is_left_out() -> None:
    assert read(Provider({PATH: {"A": (1, "x")}}, codes={"GetStringValue": 1}))["keys"] == {"": {}}
    assert read(Provider({PATH: {"A": (1, "x")}}, codes={"GetStringValue": 2}))["keys"] == {"": {}}


@pytest.mark.parametrize("code", [1, 6, 87, 2147749889, "", "x"])
def test_any_other_number_is_an_error(code: int | str) -> None:
    with pytest.raises(WireError, match="returned") as error:
        read(Provider({PATH: {}}, codes={"EnumValues": code}))
    assert error.value.status is Status.FAILED


@pytest.mark.parametrize("code", [2150858778, 2147749904, 2147749902, 2150858811])
def test_where_one_namespace_does_not_have_the_class_the_other_is_asked(code: int) -> None:
    provider = Provider({PATH: {"A": (4, 1)}}, faults={"root/cimv2": code})
    assert read(provider)["keys"][""]["A"]["data"] == 1
    assert [sent.uri.rpartition("/wmi/")[2] for sent in provider.sent] == [
        "root/cimv2/StdRegProv",
        "root/default/StdRegProv",
        "root/default/StdRegProv",
    ]


def test_where_no_namespace_has_the_class_the_fault_is_told() -> None:
    with pytest.raises(Fault) as error:
        read(Provider(faults={"root/cimv2": 2150858778, "root/default": 2150858778}))
    assert error.value.status is Status.NOT_PRESENT


def test_another_fault_is_not_asked_again_elsewhere() -> None:
    provider = Provider(faults={"root/cimv2": 2150859013})
    with pytest.raises(Fault):
        read(provider)
    assert len(provider.sent) == 1


def test_a_tree_is_read_key_by_key() -> None:
    keys: dict[str, dict[str, tuple[int, Value]]] = {
        PATH: {},
        f"{PATH}\\A & B": {"X": (4, 1)},
        f"{PATH}\\A & B\\C": {},
        f"{PATH}\\D": {},
    }
    provider = Provider({escape(key): values for key, values in keys.items()})
    provider.keys = {key.replace("&amp;", "&"): values for key, values in provider.keys.items()}
    found = read(_Escaped(provider.keys), TREE)["keys"]
    assert set(found) == {"", "A & B", "A & B\\C", "D"}
    assert list(read(_Escaped(provider.keys))["keys"]) == [""]


class _Escaped(Provider):
    def output(self, method: str, key: str, name: str | None) -> str:
        return super().output(method, key.replace("&amp;", "&"), name)


def test_a_tree_without_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MAX_KEYS", 5)

    class Endless(Provider):
        def output(self, method: str, key: str, name: str | None) -> str:
            names = "<p:sNames>Again</p:sNames>" if method == "EnumKey" else ""
            return f"<p:{method}_OUTPUT>{names}<p:ReturnValue>0</p:ReturnValue></p:{method}_OUTPUT>"

    provider = Endless()
    with pytest.raises(WireError, match="more than 5 keys"):
        read(provider, TREE)
    assert len(provider.sent) == 10


@pytest.mark.parametrize(
    ("names", "types"),
    [
        ("<p:sNames>A</p:sNames><p:sNames>B</p:sNames>", "<p:Types>1</p:Types>"),
        ("<p:sNames>A</p:sNames>", "<p:Types>1</p:Types><p:Types>4</p:Types>"),
    ],
)
def test_names_that_do_not_fit_their_types_are_refused(names: str, types: str) -> None:
    answer = f"<p:EnumValues_OUTPUT>{names}{types}<p:ReturnValue>0</p:ReturnValue></p:EnumValues_OUTPUT>"
    with pytest.raises(WireError, match="names of values"):
        registry.StdRegProv(Node(lambda _: answer)).read(FLAT, Deadline(5))


@pytest.mark.parametrize(
    ("kind", "data"), [(4, "x"), (4, None), (4, "-1"), (11, "9" * 5000), (3, ["256"]), (3, ["x"]), (3, ["-1"])]
)
def test_data_of_another_type_is_refused(kind: int, data: Value) -> None:
    with pytest.raises(WireError, match="is no REG_"):
        read(Provider({PATH: {"A": (kind, data)}}))


@pytest.mark.parametrize("kind", ["x", "", "-1", "99"])
def test_a_type_that_nobody_knows_is_left_out(kind: str) -> None:
    answer = (
        f"<p:EnumValues_OUTPUT><p:sNames>A</p:sNames><p:Types>{kind}</p:Types>"
        "<p:ReturnValue>0</p:ReturnValue></p:EnumValues_OUTPUT>"
    )
    assert registry.StdRegProv(Node(lambda _: answer)).read(FLAT, Deadline(5))["keys"] == {"": {}}
