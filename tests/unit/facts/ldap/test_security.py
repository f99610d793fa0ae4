"""Security descriptors and SIDs, held against Samba's own reading of SDDL, and against garbage."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azpreflight.facts.ldap.security import DescriptorError, descriptor, sid_text
from servers.processes import find_program

DOMAIN_SID = "S-1-5-21-1111111111-2222222222-3333333333"
COMPUTER = "bf967a86-0de6-11d0-a285-00aa003049e2"
RECOVERY = "ea715d30-8f53-40d0-bd1e-6109186d782c"

SDDL = [
    "O:DAG:DAD:(A;;GA;;;SY)",
    "O:SYG:SYD:P(A;CI;RPLCLORC;;;AU)(D;;WD;;;WD)",
    f"O:DAD:AI(OA;CI;CCDC;{COMPUTER};;{DOMAIN_SID}-1104)(OA;CIIO;RPWP;;{RECOVERY};{DOMAIN_SID}-1104)",
    f"D:PAI(OA;CIID;CR;{COMPUTER};{RECOVERY};S-1-5-32-544)(OD;;WP;{COMPUTER};;S-1-1-0)",
    "O:DAG:DAD:(A;OICINPIO;0x1f01ff;;;CO)(A;NP;0x20094;;;S-1-5-32-554)S:(AU;SA;WDWO;;;WD)",
    "O:DAD:",
    "O:DAS:(AU;SA;WDWO;;;WD)",
]
# Prints, for each SDDL, the descriptor as bytes and what Samba's own structures hold of it.
_ORACLE = """
import json, sys
from samba.dcerpc import security
from samba.ndr import ndr_pack
domain = security.dom_sid(sys.argv[1])
def entry(ace):
    found = {"type": ace.type, "sid": str(ace.trustee), "mask": ace.access_mask, "flags": ace.flags}
    if ace.type in (5, 6):
        if ace.object.flags & 1:
            found["object_type"] = str(ace.object.type)
        if ace.object.flags & 2:
            found["inherited_object_type"] = str(ace.object.inherited_type)
    return found
told = []
for text in json.load(sys.stdin):
    made = security.descriptor.from_sddl(text, domain)
    told.append({
        "bytes": ndr_pack(made).hex(), "owner": str(made.owner_sid) if made.owner_sid else None, "flags": made.type,
        "dacl": [entry(ace) for ace in made.dacl.aces] if made.dacl else None})
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def samba_says() -> dict[str, Any]:
    """What Samba makes of each SDDL."""
    python = Path(find_program("samba-tool", "samba-ad-dc")).read_text().splitlines()[0].removeprefix("#!").split()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [*python, "-c", _ORACLE, DOMAIN_SID],
        input=json.dumps(SDDL),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(SDDL, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("sddl", SDDL)
def test_a_descriptor_reads_as_samba_reads_it(samba_says: dict[str, Any], sddl: str) -> None:
    expected = samba_says[sddl]
    found: Any = descriptor(bytes.fromhex(expected["bytes"]))
    assert found["owner"] == expected["owner"]
    assert found["protected"] == bool(expected["flags"] & 0x1000)
    assert found["dacl_present"] == (expected["dacl"] is not None)
    for mine, theirs in zip(found["dacl"], expected["dacl"] or [], strict=True):
        assert mine["type"] == ("allow" if theirs["type"] in (0, 5) else "deny")
        assert (mine["sid"], mine["mask"]) == (theirs["sid"], theirs["mask"])
        assert mine["object_type"] == theirs.get("object_type")
        assert mine["inherited_object_type"] == theirs.get("inherited_object_type")
        flags = {"container_inherit": 2, "no_propagate": 4, "inherit_only": 8, "inherited": 16}
        assert {name: mine[name] for name in flags} == {
            name: bool(theirs["flags"] & bit) for name, bit in flags.items()
        }


def test_no_list_and_an_empty_list_are_not_the_same(samba_says: dict[str, Any]) -> None:
    nothing_limits: Any = descriptor(bytes.fromhex(samba_says["O:DAS:(AU;SA;WDWO;;;WD)"]["bytes"]))
    nobody_may: Any = descriptor(bytes.fromhex(samba_says["O:DAD:"]["bytes"]))
    assert (nothing_limits["dacl_present"], nothing_limits["dacl"]) == (False, [])
    assert (nobody_may["dacl_present"], nobody_may["dacl"]) == (True, [])


def test_a_present_list_that_lies_nowhere_limits_nothing() -> None:
    found = descriptor(bytes.fromhex("01000480" + "00" * 16))
    assert found == {"owner": None, "protected": False, "dacl_present": False, "dacl": []}


@pytest.mark.parametrize("kind", [0x04, 0x09, 0x0B, 0x11, 0xFF])
def test_an_entry_of_another_kind_leaves_the_whole_open(samba_says: dict[str, Any], kind: int) -> None:
    data = bytearray.fromhex(samba_says["O:DAG:DAD:(A;;GA;;;SY)"]["bytes"])
    at = int.from_bytes(data[16:20], "little") + 8
    assert data[at] == 0
    data[at] = kind
    with pytest.raises(DescriptorError, match=f"{kind:#04x}"):
        descriptor(bytes(data))


@pytest.mark.parametrize("sddl", SDDL)
def test_a_descriptor_that_is_cut_or_changed_is_read_or_refused_and_nothing_else(
    samba_says: dict[str, Any], sddl: str
) -> None:
    whole = bytes.fromhex(samba_says[sddl]["bytes"])
    for size in range(len(whole)):
        with contextlib.suppress(DescriptorError):
            descriptor(whole[:size])
    for at in range(len(whole)):
        for octet in (0x00, 0x7F, 0x80, 0xFF):
            with contextlib.suppress(DescriptorError):
                descriptor(whole[:at] + bytes([octet]) + whole[at + 1 :])


@given(st.binary(max_size=300))
def test_garbage_is_refused_or_read_and_nothing_else(data: bytes) -> None:
    with contextlib.suppress(DescriptorError):
        found = descriptor(data)
        assert set(found) == {"owner", "protected", "dacl", "dacl_present"}


@given(st.integers(0, 2**48 - 1), st.lists(st.integers(0, 2**32 - 1), max_size=15))
def test_every_sid_is_told_as_windows_tells_it(authority: int, parts: list[int]) -> None:
    data = bytes([1, len(parts)]) + authority.to_bytes(6) + b"".join(part.to_bytes(4, "little") for part in parts)
    shown = sid_text(data).split("-")
    assert shown[:2] == ["S", "1"]
    assert int(shown[2], 0) == authority
    assert [int(part) for part in shown[3:]] == parts


@pytest.mark.parametrize(
    "data", ["", "0105", "020100000000000512000000", "010100000000000512000000ff", "01100000000000051200"]
)
def test_what_is_no_sid_is_refused(data: str) -> None:
    with pytest.raises(DescriptorError):
        sid_text(bytes.fromhex(data))
