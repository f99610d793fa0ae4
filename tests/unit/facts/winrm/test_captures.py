"""Whole answers: ours in `tests/captures`, and those of real Windows machines in a folder named by the environment.

The real ones were recorded by others and do not come along; whoever has them sets AZPREFLIGHT_CAPTURES to their folder.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from azpreflight.facts.classes import ClassTable
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.errors import WireError
from azpreflight.facts.query import RegistryQuery
from azpreflight.facts.winrm import cim, registry
from azpreflight.facts.winrm.decode import Decoder
from azpreflight.facts.winrm.faults import fault_of
from azpreflight.facts.winrm.shell import _collect
from azpreflight.facts.winrm.soap import body_of, child, descendant, local, parse, text_of
from unit.facts.winrm.support import NAMESPACES, Node

VARIABLE = "AZPREFLIGHT_CAPTURES"
ROOT = Path(__file__).parents[4]
OWN = ROOT / "tests" / "captures"
NAMED = os.environ.get(VARIABLE)
FOLDERS = [OWN] + ([Path(NAMED)] if NAMED else [])
TABLE = ClassTable.read(ROOT / "rules" / "windows" / "classes.json")
WMI = "http://schemas.microsoft.com/wbem/wsman/1/wmi/"


def captures(*patterns: str) -> list[Any]:
    """The captures of all folders whose names match, as parameters with readable ids."""
    paths = {path for folder in FOLDERS for pattern in patterns for path in folder.glob(pattern)}
    return [pytest.param(path, id=path.name) for path in sorted(paths)]


def test_the_captures_of_real_windows_are_there() -> None:
    if NAMED is None:
        reason = f"{VARIABLE} is not set: answers of real Windows machines were not decoded"
        if os.environ.get("CI", "").casefold() in ("true", "1"):
            pytest.fail(reason)
        pytest.skip(reason)
    assert len(list(Path(NAMED).glob("*.xml"))) >= 60
    assert len(list(Path(NAMED).glob("reg-*.txt"))) >= 10


def answer(path: Path) -> ET.Element:
    """The SOAP body of a capture; what was captured without an envelope gets one."""
    data = path.read_bytes()
    if data.startswith(b"<f:WSManFault"):
        fault = b"<s:Fault><s:Detail>" + data + b"</s:Detail></s:Fault>"
        data = b"<s:Envelope " + NAMESPACES.encode() + b"><s:Body>" + fault + b"</s:Body></s:Envelope>"
    return body_of(parse(data))


def is_recording(path: Path) -> bool:
    """Whether a file is a conversation instead of an answer."""
    return b"<!DOCTYPE" in path.read_bytes()[:2000]


@pytest.mark.parametrize("path", captures("*.xml"))
def test_every_answer_has_a_body(path: Path) -> None:
    if is_recording(path):
        with pytest.raises(WireError, match="document type"):
            answer(path)
    else:
        assert local(answer(path)) == "Body"


@pytest.mark.parametrize("path", captures("*.xml"))
def test_every_fault_has_a_number_or_name_a_meaning_and_one_sentence_of_the_node(path: Path) -> None:
    if is_recording(path) or b"Fault>" not in path.read_bytes():
        return
    fault = fault_of(answer(path))
    assert fault is not None
    text = path.read_text(encoding="utf-8")
    numbers = re.findall(r'\bCode=["\'](\d+)|error_Code[^>]*>(\d+)<|StatusCode>(\d+)<', text)
    innermost = [int(next(filter(None, found))) for found in numbers]
    assert fault.code == 0 if not innermost else fault.code in innermost
    assert fault.code or fault.subcode
    # A number of PowerShell's plugin is the one that is not known.
    assert fault.code in (0, 2152992672) or "reported a fault" not in fault.reason
    assert 0 < len(fault.text) <= 300
    for name in ("ParameterInfo", "Operation"):
        for found in re.findall(rf"{name}[^>]*>([^<]+)<", text):
            assert found not in fault.text


def items(path: Path) -> list[ET.Element]:
    """The items of an enumeration's answer."""
    page = next(iter(answer(path)))
    found = child(page, "Items")
    return list(found) if local(page) in ("EnumerateResponse", "PullResponse") and found is not None else []


def class_of(path: Path) -> str:
    """The class that a capture's name tells."""
    found = re.search(r"(Win32_[A-Za-z0-9_]+?)_(?:star|all)_", path.name)
    return found[1] if found else ""


def decoded(path: Path, asked: tuple[str, ...] | None = None) -> list[dict[str, Any]]:
    """The items of a capture, decoded as those of its class."""
    found = items(path)
    name = class_of(path) or ("Win32_NetworkAdapterConfiguration" if "NetworkAdapterC" in path.name else "")
    name = name or (local(found[0]) if found else "")
    namespace = "root/cimv2"
    if found and found[0].tag.startswith("{" + WMI):
        namespace = found[0].tag.removeprefix("{" + WMI).partition("}")[0].rpartition("/")[0]
    decoder = Decoder(TABLE, namespace, name, asked)
    return [decoder.item(item) for item in found]


@pytest.mark.parametrize("path", captures("*.xml"))
def test_every_item_decodes_by_the_class_table(path: Path) -> None:
    if is_recording(path) or b":Items>" not in path.read_bytes():
        return
    rows = decoded(path)
    assert rows
    assert all(rows)
    known = TABLE.find("root/cimv2", class_of(path))
    if known is not None:
        strangers = Counter(name for row in rows for name in row if known[1].find(name) is None)
        # Properties of derived classes come along; nothing else may be unknown.
        assert set(strangers) <= {"DisconnectedSessions", "EstimatedSessions", "RawSessions", "TotalSessions"}


def fragment_of(star: Path) -> Path:
    """The capture of the same objects with named properties."""
    return star.with_name(star.name.replace("_star_", "_all_"))


PAIRS = [parameter for parameter in captures("*_star_*.xml") if fragment_of(parameter.values[0]).is_file()]


@pytest.mark.parametrize("star", PAIRS)
def test_instances_and_fragments_of_the_same_objects_decode_alike(star: Path) -> None:
    asked = tuple({local(found) for item in items(fragment_of(star)) for found in item})
    left, right = decoded(star), decoded(fragment_of(star), asked)
    assert len(left) == len(right)
    different = 0
    for instance, part in zip(left, right, strict=True):
        assert {name for name, value in part.items() if value is not None} <= set(instance)
        for name, value in part.items():
            other = instance.get(name)
            if value != other:
                # Clocks, counters and free memory may go on between two captures; shapes may not differ.
                different += 1
                assert type(value) is type(other), name
                assert isinstance(value, int) or re.match(r"20\d\d-", str(value)), name
    assert different <= 8 * len(left)


def test_our_own_instances_and_fragments_are_equal_to_the_last_value() -> None:
    for number in ("000", "001"):
        star = OWN / f"own-NetworkAdapterConfiguration_star_{number}.xml"
        assert decoded(star) == decoded(fragment_of(star))


def test_two_pages_make_one_answer() -> None:
    pages = {
        "Enumerate": OWN / "own-NetworkAdapterConfiguration_star_000.xml",
        "Pull": OWN / "own-NetworkAdapterConfiguration_star_001.xml",
    }
    node = Node(lambda sent: "".join(ET.tostring(e, "unicode") for e in answer(pages[sent.operation])))
    found = list(cim.enumerate_(node, "uri", "", Deadline(5)))
    assert [descendant(item, "Index").text for item in found] == ["0", "1", "2"]  # type: ignore[union-attr]
    assert [sent.operation for sent in node.sent] == ["Enumerate", "Pull"]


def test_arrays_nulls_and_times_of_a_page() -> None:
    rows = decoded(OWN / "own-NetworkAdapterConfiguration_star_001.xml")
    assert rows[0]["IPAddress"] == ["192.0.2.11", "fe80::11"]
    assert rows[0]["DefaultIPGateway"] == ["192.0.2.1"]
    assert rows[0]["DHCPLeaseObtained"] is None
    assert rows[0]["ServiceName"] == ""
    assert rows[1]["DefaultIPGateway"] is None
    assert rows[1]["DHCPLeaseObtained"] == "2026-03-01T06:15:30.250000Z"
    assert rows[1]["DHCPEnabled"] is True


def test_a_get_of_an_old_version_carries_an_address_that_is_no_property() -> None:
    instance = answer(OWN / "own-Get_with_location.xml")[0]
    row = Decoder(TABLE, "root/cimv2", "Win32_OperatingSystem", None).item(instance)
    assert row["MUILanguages"] == ["en-US"]
    assert "Location" not in row


def test_an_association_is_two_references() -> None:
    assert decoded(OWN / "own-GroupUser_references.xml") == [
        {
            "GroupComponent": {"class": "Win32_Group", "keys": {"Domain": "AZL1", "Name": "Operators"}},
            "PartComponent": {"class": "Win32_UserAccount", "keys": {"Domain": "AZL1", "Name": "ops"}},
        }
    ]


@pytest.mark.parametrize("path", captures("*config*.xml"))
def test_the_configuration_of_the_service_is_a_tree_of_values(path: Path) -> None:
    tree = cim.config(Node(lambda _: "".join(ET.tostring(e, "unicode") for e in answer(path))), Deadline(5))
    assert isinstance(tree["MaxEnvelopeSizekb"], int)
    assert isinstance(tree["Service"]["AllowUnencrypted"], bool)
    assert isinstance(tree["Service"]["Auth"]["Basic"], bool)


@pytest.mark.parametrize("path", captures("*.xml"))
def test_every_answer_of_a_shell_names_its_shell_or_command_or_holds_its_streams(path: Path) -> None:
    if is_recording(path):
        return
    body = answer(path)
    kind = local(body[0]) if len(body) else ""
    if kind in ("Shell", "ResourceCreated"):
        assert any(local(e) in ("ShellId", "Selector") and text_of(e) for e in body.iter())
    elif kind == "CommandResponse":
        assert text_of(descendant(body, "CommandId"))
    elif kind == "ReceiveResponse":
        streams = {"stdout": bytearray(), "stderr": bytearray()}
        _collect(body, streams)
        state = descendant(body, "CommandState")
        assert state is not None
        done = state.get("State", "").endswith("/Done")
        assert done == (child(state, "ExitCode") is not None)
        assert done or streams["stdout"]


@pytest.mark.parametrize("path", captures("reg-*.txt"))
def test_every_output_of_reg_is_read_or_refused(path: Path) -> None:
    text = path.read_bytes().decode()
    keys = re.findall(r"^(HKEY_[A-Z_]+)(\\[^\r\n]*)", text, re.MULTILINE)
    if not keys:
        keys = [("HKEY_LOCAL_MACHINE", "\\SOFTWARE\\Example")]
        if not path.name.startswith(("reg-missing-", "reg-xp-")):
            # Only the lines of the values were written down.
            text = f"\r\n{keys[0][0]}{keys[0][1]}\r\n{text}"
    hive = next(short for short, (name, _) in registry.HIVES.items() if name == keys[0][0])
    query = RegistryQuery(key=hive + keys[0][1], recurse=True)
    if path.name.startswith(("reg-missing-", "reg-xp-")):
        with pytest.raises(WireError):
            registry.parse(query, text)
        return
    tree = registry.parse(query, text)
    assert tree["exists"]
    assert set(tree["keys"]) == {""} | {(hive + below)[len(query.key) + 1 :] for _, below in keys}
    entries = [entry for values in tree["keys"].values() for entry in values.values()]
    assert len(entries) == len(re.findall(r"^ {4}\S.* {4}REG_", text, re.MULTILINE))
    for entry in entries:
        expected = {"REG_DWORD": int, "REG_QWORD": int, "REG_MULTI_SZ": list}.get(entry["type"], str)
        assert isinstance(entry["data"], expected)
        assert "found." not in str(entry["data"])
