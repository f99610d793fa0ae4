"""Security descriptors of the directory: which rights a set of SIDs has, as the directory itself works it out.

Entries count in the order in which they are stored; for each right the first that speaks of it decides (MS-DTYP
2.5.3.2, MS-ADTS 5.1.3.3). Entries on single properties do not touch a right on the whole object.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from azpreflight.model import Value

CREATE_CHILD = 0x1
DELETE_CHILD = 0x2
LIST_CONTENTS = 0x4
READ_PROPERTY = 0x10
READ_CONTROL = 0x20000
WRITE_DAC = 0x40000
FULL_CONTROL = 0xF01FF

COMPUTER = "bf967a86-0de6-11d0-a285-00aa003049e2"
"""The class `computer`."""
ORGANIZATIONAL_UNIT = "bf967aa5-0de6-11d0-a285-00aa003049e2"
"""The class `organizationalUnit`."""
RECOVERY = "ea715d30-8f53-40d0-bd1e-6109186d782c"
"""The class `msFVE-RecoveryInformation`, of objects with the recovery passwords of BitLocker."""

OWNER_RIGHTS = "S-1-3-4"
EVERY_LOGON = frozenset({"S-1-1-0", "S-1-5-11", "S-1-5-2", "S-1-5-15"})
"""Everyone, authenticated users, network, this organization: groups that a domain user asking the directory is in."""

_GENERIC = {0x10000000: FULL_CONTROL, 0x20000000: 0x20004, 0x40000000: 0x20028, 0x80000000: 0x20094}
"""Generic rights as the directory maps them; entries that are only there to be inherited may keep them unmapped."""


class Ace(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of an access control list, as the fact has it."""

    type: Literal["allow", "deny"]
    sid: str
    name: str | None = None
    mask: int
    object_type: str | None
    inherited_object_type: str | None
    inherit_only: bool
    container_inherit: bool
    no_propagate: bool

    @property
    def rights(self) -> int:
        """The mask with generic rights spelled out."""
        mapped = (specific for generic, specific in _GENERIC.items() if self.mask & generic)
        rights = self.mask
        for specific in mapped:
            rights |= specific
        return rights

    @property
    def holder(self) -> str:
        """Whom it is about, by name where one is known."""
        return self.name or self.sid


class Descriptor(msgspec.Struct, frozen=True, kw_only=True):
    """A security descriptor, as the fact has it. Without a list of entries everybody may do everything."""

    owner: str | None
    dacl_present: bool
    dacl: tuple[Ace, ...]


class Right(NamedTuple):
    """Something that somebody may need to do.

    words: what that is, behind "may not". mask: the rights of which all are needed. object_type: the class of children,
    where it is about making or deleting them, else the class of the object itself; an entry for that class is one for
    the whole object. below: whether it is about objects of that class below, and not about the object itself.
    """

    words: str
    mask: int
    object_type: str
    below: bool = False


class Decision(NamedTuple):
    """Whether a right is there. denied_by: the entry that takes it away, if one does."""

    granted: bool
    denied_by: Ace | None = None


def descriptor_of(value: Value) -> Descriptor | None:
    """The descriptor that a fact's value is; None where it is none, or one with an entry that nobody understands."""
    try:
        return msgspec.convert(value, Descriptor)
    except msgspec.ValidationError:
        return None


def decide(descriptor: Descriptor, sids: frozenset[str], right: Right) -> Decision:
    """Whether somebody with all of these SIDs has a right.

    Of objects below, only what they inherit is known here: entries of their own may say otherwise.
    """
    if not descriptor.dacl_present:
        return Decision(True)
    token = {sid.upper() for sid in sids}
    owns = descriptor.owner is not None and descriptor.owner.upper() in token
    needed = right.mask
    if owns:
        token.add(OWNER_RIGHTS)
        if not right.below and not any(ace.sid.upper() == OWNER_RIGHTS for ace in descriptor.dacl):
            needed &= ~(READ_CONTROL | WRITE_DAC)
    for ace in descriptor.dacl:
        if not needed:
            break
        if ace.sid.upper() not in token or not ace.rights & needed or not _concerns(ace, right):
            continue
        if ace.type == "deny":
            return Decision(False, ace)
        needed &= ~ace.rights
    return Decision(not needed)


def _concerns(ace: Ace, right: Right) -> bool:
    """Whether an entry has a say about the kind of object that the right is about."""
    if ace.object_type is not None and not _same_guid(ace.object_type, right.object_type):
        return False
    if not right.below:
        return not ace.inherit_only
    # A right that ends with the children does not hold for all below; a prohibition that does so holds for some.
    reaches = ace.container_inherit and not (ace.no_propagate and ace.type == "allow")
    return reaches and (ace.inherited_object_type is None or _same_guid(ace.inherited_object_type, right.object_type))


def _same_guid(left: str, right: str) -> bool:
    return left.strip("{}").casefold() == right.strip("{}").casefold()
