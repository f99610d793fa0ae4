"""Security descriptors and identifiers as directories store them ([MS-DTYP] 2.4), decoded. Pure.

A descriptor becomes plain data: `owner`, a SID or None; `protected`, whether entries of containers above are kept off;
`dacl_present`, which is False where nothing limits access; `dacl`, the entries in their order, each with `type`
(`allow` or `deny`), `sid`, `name` (None until somebody resolves it), `mask`, `object_type` and `inherited_object_type`
(GUIDs or None), `inherited`, `inherit_only`, `container_inherit`, `no_propagate`.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from azpreflight.model import Value

_HEADER = struct.Struct("<BBHIIII")
_ACL = struct.Struct("<BBHHH")
_ACE = struct.Struct("<BBHI")
_DACL_PRESENT = 0x0004
_DACL_PROTECTED = 0x1000
_SELF_RELATIVE = 0x8000
_HAS_OBJECT_TYPE = 0x1
_HAS_INHERITED_OBJECT_TYPE = 0x2
_MOST_AUTHORITIES = 15

_TYPES: Mapping[int, tuple[str, bool]] = MappingProxyType(
    {0x00: ("allow", False), 0x01: ("deny", False), 0x05: ("allow", True), 0x06: ("deny", True)}
)
"""What an entry of a type does, and whether it may be about a class or an attribute alone."""

WELL_KNOWN: Mapping[str, str] = MappingProxyType(
    {
        "S-1-1-0": "Everyone",
        "S-1-3-0": "CREATOR OWNER",
        "S-1-3-1": "CREATOR GROUP",
        "S-1-5-7": "ANONYMOUS LOGON",
        "S-1-5-9": "ENTERPRISE DOMAIN CONTROLLERS",
        "S-1-5-10": "SELF",
        "S-1-5-11": "Authenticated Users",
        "S-1-5-18": "SYSTEM",
        "S-1-5-19": "LOCAL SERVICE",
        "S-1-5-20": "NETWORK SERVICE",
        "S-1-5-32-544": "Administrators",
        "S-1-5-32-545": "Users",
        "S-1-5-32-548": "Account Operators",
        "S-1-5-32-549": "Server Operators",
        "S-1-5-32-550": "Print Operators",
        "S-1-5-32-551": "Backup Operators",
        "S-1-5-32-554": "Pre-Windows 2000 Compatible Access",
    }
)
"""Names of identities that are the same in every domain ([MS-DTYP] 2.4.2.4)."""


class DescriptorError(ValueError):
    """Bytes that are no security descriptor or no SID, or that say something unknown."""


def sid_text(data: bytes) -> str:
    """A SID as text, such as `S-1-5-18`.

    Raises:
        DescriptorError: it is none, or more follows.
    """
    text, size = _sid(data, 0)
    if size != len(data):
        raise DescriptorError("more follows the SID")
    return text


def descriptor(data: bytes) -> dict[str, Value]:
    """A self-relative security descriptor as plain data (see the module).

    Raises:
        DescriptorError: it is damaged, or has an entry of a kind that cannot be judged, such as a conditional one.
    """
    _, _, control, owner, _, _, dacl = _unpacked(_HEADER, data, 0)
    if not control & _SELF_RELATIVE:
        raise DescriptorError("the descriptor is not self-relative")
    present = bool(control & _DACL_PRESENT) and dacl != 0
    return {
        "owner": _sid(data, owner)[0] if owner else None,
        "protected": bool(control & _DACL_PROTECTED),
        "dacl_present": present,
        "dacl": list(_entries(data, dacl)) if present else [],
    }


def _entries(data: bytes, at: int) -> Iterator[Value]:
    _, _, size, count, _ = _unpacked(_ACL, data, at)
    end = at + size
    if end > len(data):
        raise DescriptorError("the list of entries is cut off")
    at += _ACL.size
    for _ in range(count):
        kind, flags, length, mask = _unpacked(_ACE, data, at)
        if length < _ACE.size or at + length > end:
            raise DescriptorError("an entry does not fit into its list")
        yield _entry(data[at : at + length], kind, flags, mask)
        at += length


def _entry(data: bytes, kind: int, flags: int, mask: int) -> dict[str, Value]:
    if kind not in _TYPES:
        raise DescriptorError(f"an entry is of type {kind:#04x}, which azpreflight does not judge")
    does, of_object = _TYPES[kind]
    at, object_type, inherited_object_type = _ACE.size, None, None
    if of_object:
        (present,) = _unpacked(struct.Struct("<I"), data, at)
        at += 4
        if present & _HAS_OBJECT_TYPE:
            object_type, at = _guid(data, at), at + 16
        if present & _HAS_INHERITED_OBJECT_TYPE:
            inherited_object_type, at = _guid(data, at), at + 16
    sid, _ = _sid(data, at)
    return {
        "type": does,
        "sid": sid,
        "name": WELL_KNOWN.get(sid),
        "mask": mask,
        "object_type": object_type,
        "inherited_object_type": inherited_object_type,
        "inherited": bool(flags & 0x10),
        "inherit_only": bool(flags & 0x08),
        "container_inherit": bool(flags & 0x02),
        "no_propagate": bool(flags & 0x04),
    }


def _sid(data: bytes, at: int) -> tuple[str, int]:
    """A SID and how many bytes it takes."""
    if at + 8 > len(data):
        raise DescriptorError("a SID is cut off")
    revision, count = data[at], data[at + 1]
    size = 8 + 4 * count
    if revision != 1 or count > _MOST_AUTHORITIES or at + size > len(data):
        raise DescriptorError("a SID is damaged")
    authority = int.from_bytes(data[at + 2 : at + 8])
    parts = struct.unpack_from(f"<{count}I", data, at + 8)
    # Authorities of more than 32 bits are written in hexadecimal ([MS-DTYP] 2.4.2.1).
    shown = str(authority) if authority < 2**32 else f"0x{authority:012X}"
    return "-".join(["S-1", shown, *map(str, parts)]), size


def _guid(data: bytes, at: int) -> str:
    if at + 16 > len(data):
        raise DescriptorError("a GUID is cut off")
    return str(uuid.UUID(bytes_le=data[at : at + 16]))


def _unpacked(layout: struct.Struct, data: bytes, at: int) -> tuple[int, ...]:
    try:
        return layout.unpack_from(data, at)
    except struct.error:
        raise DescriptorError("the descriptor is cut off") from None
