"""The command lines that nodes get, in a cmd.exe and a reg.exe that we did not write, over a registry that we filled.

What Wine cannot show, and Windows alone can: access denied, REG_QWORD (its reg.exe prints `(null)`), the code page
65001 (without a console it writes its OEM code page), and error texts, which are its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from string import ascii_lowercase

import pytest
import yaml

from azpreflight.facts.errors import WireError
from azpreflight.facts.query import RegistryQuery
from azpreflight.facts.registry_tree import RegistryTree
from azpreflight.facts.winrm import programs, registry
from azpreflight.model import Value
from azpreflight.packs.load import load_packs
from servers.winrm.regexe import reg_query
from servers.winrm.registry import Registry
from servers.winrm.scenario import SCENARIOS
from wine.conftest import Wine

Values = Mapping[str, Sequence[object]]
"""Type and data of each value by name, as scenarios write them."""

OWN = "HKLM\\SOFTWARE\\Azpreflight"
ODD_KEYS: dict[str, Values] = {
    f"{OWN}\\Blanks and (x86)": {"A": ["REG_DWORD", 1]},
    f"{OWN}\\{{33333333-0000-4000-8000-000000000001}}": {"A": ["REG_DWORD", 2]},
    f"{OWN}\\[a], b=c": {"A": ["REG_DWORD", 3]},
    f"{OWN}\\x@y*z": {"A": ["REG_DWORD", 4]},
    f"{OWN}\\{{(b) (c)}} ": {"A": ["REG_DWORD", 5]},
}
TYPES: Values = {
    "": ["REG_SZ", "the default value"],
    "Binary": ["REG_BINARY", "00FFAB10"],
    "Binary empty": ["REG_BINARY", ""],
    "Dword": ["REG_DWORD", 5],
    "Dword largest": ["REG_DWORD", 2**32 - 1],
    "Dword zero": ["REG_DWORD", 0],
    "Expand": ["REG_EXPAND_SZ", "%SystemRoot%\\System32"],
    "Lines": ["REG_SZ", "one\r\n\r\n  three"],
    "Multi": ["REG_MULTI_SZ", ["one", "two words"]],
    "Multi empty": ["REG_MULTI_SZ", []],
    "Multi of one": ["REG_MULTI_SZ", ["one"]],
    "None": ["REG_NONE", "01FF"],
    "Text": ["REG_SZ", "a  b"],
    "Text empty": ["REG_SZ", ""],
    "Text of cmd": ["REG_SZ", '& | < > ^ ! % "quoted" %PATH% !errorlevel!'],
    "Text with blanks around": ["REG_SZ", "  x  "],
    "Text like a mark": ["REG_SZ", "##0123abcd:0 1"],
    "Text with four    blanks": ["REG_SZ", "x    REG_DWORD    0x1"],
}
BELOW: dict[str, Values] = {
    f"{OWN}\\Types": TYPES,
    f"{OWN}\\Types\\Below (1)": {"A": ["REG_SZ", "x"]},
    f"{OWN}\\Types\\Below (1)\\Empty": {},
}
BARE: dict[str, Values] = {f"{OWN}\\Bare\\Below": {"A": ["REG_SZ", "x"]}, f"{OWN}\\Empty": {}}
LONG: dict[str, Values] = {f"{OWN}\\Long\\{letter * 200}": {"A": ["REG_SZ", letter]} for letter in ascii_lowercase}
QWORD: dict[str, Values] = {f"{OWN}\\Qword": {"A": ["REG_SZ", "x"], "Q": ["REG_QWORD", 2**40]}}
UMLAUTS: dict[str, Values] = {f"{OWN}\\Umlauts": {"Größe": ["REG_SZ", "größer"], "Last": ["REG_DWORD", 7]}}
ABSENT = RegistryQuery(key=f"{OWN}\\Nothing here", recurse=True)
STAND_IN = "%ProgramFiles%\\AzureConnectedMachineAgent"


def scenario_registry(name: str) -> dict[str, Values]:
    """The registry of a scenario as it is written."""
    found: dict[str, Values] = yaml.safe_load((SCENARIOS / f"{name}.yaml").read_text("utf-8"))["registry"]
    return found


HEALTHY = {**scenario_registry("healthy"), **scenario_registry("clustered")}
PACKED = {name: query.read for name, query in load_packs().queries.items() if isinstance(query.read, RegistryQuery)}
ALWAYS_WINES = {"timezonekeyname"}
"""Values that Wine sets anew at every start."""
SECTIONS: dict[str, list[RegistryQuery]] = {
    "packs": list(PACKED.values()),
    "scenario": [RegistryQuery(key=key) for key in HEALTHY],
    "odd": [RegistryQuery(key=key) for key in ODD_KEYS],
    "types": [RegistryQuery(key=f"{OWN}\\Types"), RegistryQuery(key=f"{OWN}\\Types", recurse=True)],
    "bare": [RegistryQuery(key=f"{OWN}\\{name}", recurse=deep) for name in ("Bare", "Empty") for deep in (False, True)],
    "absent": [RegistryQuery(key=f"{OWN}\\Empty"), ABSENT, RegistryQuery(key=f"{OWN}\\Bare\\Below"), ABSENT],
    "long": [RegistryQuery(key=key) for key in LONG],
    "qword": [RegistryQuery(key=f"{OWN}\\Qword", values=("A",)), RegistryQuery(key=f"{OWN}\\Qword")],
    "umlauts": [RegistryQuery(key=f"{OWN}\\Umlauts")],
}
"""What is asked, each section in a chain of its own, which its name marks."""
OTHER_PROGRAMS = [
    f"{programs.SYSTEM}nothing.exe --version",
    programs.program("azcmagent.exe").line("show -j"),
    programs.line_of(RegistryQuery(key=f"{OWN}\\Types\\Below (1)")),
]


def import_file(tree: Mapping[str, Values]) -> bytes:
    """The keys of a tree as `reg import` takes them.

    What Wine has of its own goes first where a query would see it: below a key, and where the tree has nothing.
    """
    lines = ["Windows Registry Editor Version 5.00"]
    for query in PACKED.values():
        if query.recurse or not fact(query, tree)["exists"]:
            lines += ["", f"[-{long(query.key)}]"]
    for key, values in tree.items():
        lines += ["", f"[{long(key)}]"]
        for name, (kind, data) in values.items():
            quoted = name.replace("\\", "\\\\").replace('"', '\\"')
            lines.append((f'"{quoted}"' if name else "@") + f"={imported(str(kind), data)}")
    return "".join(f"{line}\r\n" for line in lines).encode("utf-16")


def long(key: str) -> str:
    hive, _, path = key.partition("\\")
    return f"{registry.HIVES[hive][0]}\\{path}"


def imported(kind: str, data: object) -> str:
    """A value as a registry file writes it: everything but numbers as its bytes."""
    if kind == "REG_DWORD":
        return f"dword:{data:08x}"
    if kind == "REG_QWORD":
        content = int(str(data)).to_bytes(8, "little")
    elif isinstance(data, list):
        content = "".join(f"{text}\0" for text in [*data, ""]).encode("utf-16-le")
    elif kind in ("REG_BINARY", "REG_NONE"):
        content = bytes.fromhex(str(data))
    else:
        content = f"{data}\0".encode("utf-16-le")
    number = {"REG_NONE": 0, "REG_SZ": 1, "REG_EXPAND_SZ": 2, "REG_BINARY": 3, "REG_MULTI_SZ": 7, "REG_QWORD": 11}[kind]
    return f"hex({number:x}):{','.join(f'{byte:02x}' for byte in content)}"


def fact(query: RegistryQuery, tree: Mapping[str, Values]) -> Value:
    """What a query has to find in a tree, told without reg.exe or its parser."""
    root = query.key.casefold()
    keys: dict[str, dict[str, Value]] = {}
    for path, values in tree.items():
        if path.casefold() == root or path.casefold().startswith(f"{root}\\"):
            parts = path[len(query.key) :].removeprefix("\\").split("\\") if path.casefold() != root else []
            for depth in range(len(parts) + 1):
                keys.setdefault("\\".join(parts[:depth]), {})
            keys["\\".join(parts)] = {
                # reg.exe ends lines as Windows does; the fact has them as they are everywhere else.
                name: {"type": kind, "data": data.replace("\r\n", "\n") if isinstance(data, str) else data}
                for name, (kind, data) in values.items()
                if not query.values or name in query.values
            }
    if not keys:
        return registry.ABSENT
    return {"exists": True, "keys": keys if query.recurse else {"": keys[""]}}


ATTEMPTS = 3
"""A busy Wine has once failed to start a reg.exe that was there; a line that is wrong fails each time."""


@pytest.fixture(scope="module")
def everything() -> dict[str, Values]:
    return {**HEALTHY, **ODD_KEYS, **BELOW, **BARE, **LONG, **QWORD, **UMLAUTS}


@pytest.fixture(scope="module")
def output(wine: Wine, everything: dict[str, Values]) -> bytes:
    """What all sections write, one after the other, in one cmd.exe."""
    file = wine.folder / "fill.reg"
    file.write_bytes(import_file(everything))
    agent = f'"{STAND_IN}"'
    script = [
        "@echo off",
        f"reg import {wine.path(file)} >NUL",
        # reg.exe stands in for the agent: what counts is that a path with a blank runs.
        f"mkdir {agent} 2>NUL",
        f'copy {programs.SYSTEM}reg.exe "{STAND_IN}\\azcmagent.exe" >NUL',
    ]
    for name, queries in SECTIONS.items():
        script += programs.chains([programs.line_of(query) for query in queries], name)
    script += programs.chains(OTHER_PROGRAMS, "others")
    written = b""
    for _ in range(ATTEMPTS):
        written = wine.run("\n".join([*script, "exit /b 0", ""]))
        if not any(code == 9009 for name in SECTIONS for _, code in answers(written, name).values()):
            break
    return written


def answers(output: bytes, section: str, encoding: str = "utf-8") -> dict[int, tuple[str, int]]:
    """Output and exit code of each line of a section, told as the source does it."""
    found = programs.unchain(output.decode(encoding, "replace"), section)
    if 0 in found:
        # The sections before it stand before its first line.
        text, code = found[0]
        found[0] = (re.split(r"##[a-z]+:[0-9]+ -?[0-9]+[ \t]*\r\n", text)[-1], code)
    return found


def facts(output: bytes, section: str) -> list[Value]:
    """The facts of a section as the source would make them of its answers."""
    found = answers(output, section)
    queries = SECTIONS[section]
    assert sorted(found) == list(range(len(queries)))
    return [registry.parse(query, found[n][0]) if found[n][1] == 0 else found[n] for n, query in enumerate(queries)]


def common(found: Value, expected: Value) -> Value:
    """Of what was found, what the scenario tells of as well: Wine has values of its own beside it.

    Names keep the letter case in which they were first written, as on Windows.
    """
    names = {key: {name.casefold() for name in values} for key, values in expected["keys"].items()}
    return {
        key: {
            n.casefold(): entry for n, entry in values.items() if n.casefold() in names.get(key, set()) - ALWAYS_WINES
        }
        for key, values in found["keys"].items()
    }


def test_the_queries_of_the_packs_read_what_the_scenario_holds(output: bytes, everything: dict[str, Values]) -> None:
    expected = {name: fact(query, everything) for name, query in PACKED.items()}
    codes = {name: code for name, (_, (_, code)) in zip(PACKED, sorted(answers(output, "packs").items()), strict=True)}
    assert codes == {name: 0 if value["exists"] else 1 for name, value in expected.items()}
    for name, value in zip(PACKED, facts(output, "packs"), strict=True):
        if expected[name]["exists"]:
            assert common(value, expected[name]) == common(expected[name], expected[name]), name
    assert sum(value["exists"] for value in expected.values()) > 3


def test_every_key_of_the_scenario_reads_back(output: bytes, everything: dict[str, Values]) -> None:
    for query, value in zip(SECTIONS["scenario"], facts(output, "scenario"), strict=True):
        expected = fact(query, everything)
        assert common(value, expected) == common(expected, expected), query.key
    assert len(SECTIONS["scenario"]) > 10


@pytest.mark.parametrize("number", range(len(ODD_KEYS)), ids=list(ODD_KEYS))
def test_keys_with_odd_names_are_found(output: bytes, number: int) -> None:
    key, values = list(ODD_KEYS.items())[number]
    assert RegistryTree(facts(output, "odd")[number]).get("A") == values["A"][1], key


@pytest.mark.parametrize("name", TYPES)
def test_a_value_of_each_type_reads_back(output: bytes, everything: dict[str, Values], name: str) -> None:
    for value in facts(output, "types"):
        assert value["keys"][""][name] == fact(RegistryQuery(key=f"{OWN}\\Types"), everything)["keys"][""][name]


def test_keys_below_come_with_recursion_alone(output: bytes, everything: dict[str, Values]) -> None:
    flat, deep = facts(output, "types")
    assert list(flat["keys"]) == [""]
    assert deep == fact(RegistryQuery(key=f"{OWN}\\Types", recurse=True), everything)
    assert deep["keys"]["Below (1)\\Empty"] == {}


def test_a_key_without_values_exists(output: bytes) -> None:
    below = {"A": {"type": "REG_SZ", "data": "x"}}
    bare, bare_deep, empty, empty_deep = facts(output, "bare")
    assert bare == empty == empty_deep == {"exists": True, "keys": {"": {}}}
    assert bare_deep == {"exists": True, "keys": {"": {}, "Below": below}}


def test_a_missing_key_has_an_exit_code_of_its_own_between_others(output: bytes) -> None:
    assert [code for _, (_, code) in sorted(answers(output, "absent").items())] == [0, 1, 0, 1]


def test_a_chain_of_full_length_runs_to_its_end(output: bytes) -> None:
    lengths = [len(chain) for chain in programs.chains([programs.line_of(q) for q in SECTIONS["long"]], "long")]
    assert max(lengths) > programs.LINE_LIMIT - 300
    assert [RegistryTree(value).get("A") for value in facts(output, "long")] == list(ascii_lowercase)


def test_a_missing_program_is_told_from_one_that_fails_and_one_behind_a_blank_runs(output: bytes) -> None:
    found = answers(output, "others")
    assert found[0][1] in programs.NOT_THERE
    # The stand-in does not know `show`, and says so: it was found, and was given its arguments.
    assert found[1][1] not in {0, *programs.NOT_THERE}
    assert "show" in found[1][0]
    assert found[2][1] == 0


def test_a_program_that_ignores_the_code_page_costs_its_own_characters_alone(output: bytes) -> None:
    (query,) = SECTIONS["umlauts"]
    text, _ = answers(output, "umlauts", "cp437")[0]
    assert RegistryTree(registry.parse(query, text)).get("Größe") == "größer"
    text, _ = answers(output, "umlauts")[0]
    assert "\ufffd" in text
    assert RegistryTree(registry.parse(query, text)).get("Last") == 7


def test_the_endpoint_of_the_tests_writes_what_wine_writes(output: bytes, everything: dict[str, Values]) -> None:
    # Windows lists values as they were written, Wine by name. The endpoint ends lines by itself.
    ours = Registry(
        {
            key: {
                name: [kind, data.replace("\r\n", "\n") if isinstance(data, str) else data]
                for name, (kind, data) in sorted(values.items(), key=lambda item: item[0].casefold())
            }
            for key, values in everything.items()
            if key.startswith(OWN)
        }
    )
    for section in ("odd", "types", "bare", "absent"):
        found = answers(output, section)
        for number, query in enumerate(SECTIONS[section]):
            text, code = found[number]
            arguments = [query.key, *(["/s"] if query.recurse else []), "/reg:64"]
            stdout, _, expected = reg_query(ours, arguments, {})
            assert code == expected
            assert code == 1 or text == stdout, query


def test_german_answers_are_read_the_same_way(wine: Wine, output: bytes) -> None:
    queries = [*SECTIONS["types"], ABSENT]
    lines = programs.chains([programs.line_of(query) for query in queries], "german")
    german = wine.run("\n".join(["@echo off", *lines, "exit /b 0", ""]), "de_DE")
    assert b"(Standard)" in german
    assert b"(Default)" in output
    found = answers(german, "german")
    assert [registry.parse(query, found[n][0]) for n, query in enumerate(SECTIONS["types"])] == facts(output, "types")
    assert found[2][1] == 1


def test_what_wine_cannot_show_is_no_value_and_costs_no_other(output: bytes, everything: dict[str, Values]) -> None:
    one, all_ = SECTIONS["qword"]
    found = answers(output, "qword")
    assert registry.parse(one, found[0][0]) == fact(one, everything)
    with pytest.raises(WireError, match="Q is no REG_QWORD"):
        registry.parse(all_, found[1][0])
