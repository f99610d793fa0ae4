"""The class table: names in any letter case, and what is wrong with a name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from azpreflight.facts.classes import ClassTable

ROOT = Path(__file__).parents[3]
REAL = ClassTable.read(ROOT / "rules" / "windows" / "classes.json")


def a_class(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"documented": True, "seen_on": [], "methods": [], "properties": properties}


def write(path: Path, **namespaces: dict[str, Any]) -> Path:
    content = {name.replace("_", "/"): classes for name, classes in namespaces.items()}
    path.write_text(json.dumps({"about": "x", "date": "2026-01-01", "namespaces": content}))
    return path


def test_classes_and_properties_are_found_in_any_letter_case() -> None:
    found = REAL.find("ROOT/CIMV2", "win32_operatingSYSTEM")
    assert found is not None
    name, kind = found
    assert name == "Win32_OperatingSystem"
    own = kind.find("buildnumber")
    assert own is not None
    assert own[0] == "BuildNumber"
    assert own[1].type == "string"
    assert kind.find("Nonsense") is None


def test_a_class_belongs_to_its_namespace() -> None:
    assert REAL.find("root/StandardCimv2", "Win32_OperatingSystem") is None
    assert REAL.find("root/nowhere", "Win32_OperatingSystem") is None


def test_what_is_known_has_no_problem() -> None:
    assert REAL.check("root/cimv2", "win32_service", ("name", "State"), where="x") == []


@pytest.mark.parametrize(
    ("namespace", "name", "properties", "messages"),
    [
        ("root/cimv3", "Win32_Service", (), ["unknown CIM namespace 'root/cimv3'; did you mean 'root/cimv2'?"]),
        ("root/cimv2", "Win32_Servise", (), ["unknown CIM class 'Win32_Servise'; did you mean 'Win32_Service'?"]),
        (
            "root/cimv2",
            "win32_service",
            ("Name", "Stat", "StartMod"),
            [
                "unknown property of Win32_Service 'Stat'; did you mean 'State'?",
                "unknown property of Win32_Service 'StartMod'; did you mean 'StartMode'?",
            ],
        ),
    ],
)
def test_what_is_unknown_is_named_with_the_nearest(
    namespace: str, name: str, properties: tuple[str, ...], messages: list[str]
) -> None:
    problems = REAL.check(namespace, name, properties, where="here.yaml")
    assert [problem.message for problem in problems] == messages
    assert {problem.where for problem in problems} == {"here.yaml"}


def test_a_later_file_adds_to_an_earlier_one(tmp_path: Path) -> None:
    first = write(tmp_path / "1.json", root_a={"A": a_class(X={"type": "string"}), "B": a_class()})
    second = write(
        tmp_path / "2.json", ROOT_A={"a": a_class(Y={"type": "uint8", "array": True})}, root_b={"C": a_class()}
    )
    table = ClassTable.read(first, second)
    found = table.find("root/a", "A")
    assert found is not None
    assert list(found[1].properties) == ["Y"]
    assert table.find("root/a", "B") is not None
    assert table.find("root/b", "c") is not None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"about": "x", "date": "y", "namespaces": {"a": {"B": {}}}}', "\xff"]
)
def test_a_damaged_file_is_an_error_of_decoding(tmp_path: Path, text: str) -> None:
    path = tmp_path / "classes.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(msgspec.DecodeError):
        ClassTable.read(path)


def test_every_type_of_the_real_table_is_one_that_the_decoder_knows() -> None:
    plain = {"string", "boolean", "datetime", "real32", "real64", "char16"}
    plain |= {f"{sign}int{bits}" for sign in "us" for bits in (8, 16, 32, 64)}
    for (_, _), (name, kind) in REAL._classes.items():
        for spelled, found in kind.properties.items():
            assert found.type in plain or found.type.partition(":")[0] in ("ref", "object"), f"{name}.{spelled}"
            assert not found.values or "int" in found.type
            assert all(number.lstrip("-").isdigit() for number in found.values)


@pytest.mark.parametrize(
    ("namespace", "name", "property_", "value", "told"),
    [
        ("root/StandardCimv2", "MSFT_NetIPAddress", "AddressState", "Prefered", "did you mean 'Preferred'"),
        ("root/StandardCimv2", "MSFT_NetIPAddress", "AddressState", 4, "decoded to its name 'Preferred'"),
        ("root/StandardCimv2", "MSFT_NetIPAddress", "AddressState", 77, None),
        ("root/StandardCimv2", "MSFT_NetIPAddress", "AddressState", None, None),
        ("root/StandardCimv2", "MSFT_NetIPAddress", "IPAddress", 4, "is a string"),
        ("root/cimv2", "Win32_ComputerSystem", "PartOfDomain", "true", "is a boolean"),
        ("root/StandardCimv2", "MSFT_DNSClientServerAddress", "ServerAddresses", "192.0.2.53", "is no list"),
        ("root/StandardCimv2", "MSFT_DNSClientServerAddress", "ServerAddresses", ["192.0.2.53"], None),
        ("root/cimv2", "Win32_GroupUser", "PartComponent", "azl-ops", "ref:Win32_Account"),
    ],
)
def test_values_that_no_answer_could_decode_to_are_told(
    namespace: str, name: str, property_: str, value: object, told: str | None
) -> None:
    found = REAL.find(namespace, name)
    assert found is not None
    known = found[1].find(property_)
    assert known is not None
    mismatch = known[1].mismatch(value)
    assert (told is None and mismatch is None) or (told is not None and told in (mismatch or ""))
