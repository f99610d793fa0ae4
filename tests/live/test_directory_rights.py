"""What is worked out of access control lists, held against what a directory really lets a user do with them."""

from __future__ import annotations

import random
import struct
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import ldap3
import pytest
from ldap3.protocol.microsoft import security_descriptor_control

from azpreflight.checks.access_control import (
    COMPUTER,
    CREATE_CHILD,
    DELETE_CHILD,
    EVERY_LOGON,
    FULL_CONTROL,
    LIST_CONTENTS,
    ORGANIZATIONAL_UNIT,
    READ_CONTROL,
    READ_PROPERTY,
    RECOVERY,
    Descriptor,
    Right,
    decide,
    descriptor_of,
)
from azpreflight.facts.ldap.security import descriptor, sid_text
from servers.directory import DOMAIN, PASSWORD, ROOT, Administrator
from servers.samba import DomainController

LISTS = 30
USERS = "bf967aba-0de6-11d0-a285-00aa003049e2"
AUTHENTICATED, SOMEBODY_ELSE = "S-1-5-11", "S-1-5-32-550"

CREATE = Right("create computers", CREATE_CHILD, COMPUTER)
READ = Right("read its properties", READ_PROPERTY, ORGANIZATIONAL_UNIT)
PERMISSIONS = Right("read its permissions", READ_CONTROL, ORGANIZATIONAL_UNIT)

_DACL = security_descriptor_control(True, 0x04)
_INHERIT, _ONLY_ONCE, _INHERIT_ONLY = 0x02, 0x04, 0x08
_FLAGS = (
    0,
    _INHERIT,
    _INHERIT | _ONLY_ONCE,
    _INHERIT | _INHERIT_ONLY,
    _INHERIT | _INHERIT_ONLY | _ONLY_ONCE,
)
_MASKS = (
    CREATE_CHILD,
    CREATE_CHILD | DELETE_CHILD,
    READ_PROPERTY,
    READ_PROPERTY | LIST_CONTENTS | READ_CONTROL,
    CREATE_CHILD | DELETE_CHILD | READ_PROPERTY | LIST_CONTENTS | READ_CONTROL,
    *(0x10000000, 0x10000000, 0x10000000, 0x20000000, 0x40000000, 0x80000000),
)


class Entry(NamedTuple):
    """An entry to be made. inherited_by: the class of the objects below that it is for."""

    denies: bool
    flags: int
    mask: int
    sid: str
    type: str | None = None
    inherited_by: str | None = None

    def packed(self) -> bytes:
        """As the directory takes it ([MS-DTYP] 2.4.4)."""
        kind = 1 if self.denies else 0
        types = b""
        if self.type or self.inherited_by:
            kind += 5
            present = (1 if self.type else 0) | (2 if self.inherited_by else 0)
            guids = (uuid.UUID(guid).bytes_le for guid in (self.type, self.inherited_by) if guid)
            types = struct.pack("<I", present) + b"".join(guids)
        body = struct.pack("<I", self.mask) + types + packed_sid(self.sid)
        return struct.pack("<BBH", kind, self.flags, len(body) + 4) + body


def packed_sid(text: str) -> bytes:
    authority, *rest = map(int, text.split("-")[2:])
    return (
        struct.pack(">BBQ", 1, len(rest), authority)[:2] + authority.to_bytes(6) + struct.pack(f"<{len(rest)}I", *rest)
    )


def packed_descriptor(entries: Sequence[Entry]) -> bytes:
    """A descriptor of nothing but a list, which takes nothing from above ([MS-DTYP] 2.4.6)."""
    body = b"".join(entry.packed() for entry in entries)
    return struct.pack("<BBHIIIIBBHHH", 1, 0, 0x9004, 0, 0, 0, 20, 4, 0, len(body) + 8, len(entries), 0) + body


class Setting:
    """A user in a group, and a conversation of that user beside the administrator's."""

    def __init__(self, directory: DomainController, administrator: Administrator) -> None:
        self._administrator = administrator
        self._user = administrator.add_user("rights-user")
        self._group = f"CN=rights-group,CN=Users,{ROOT}"
        administrator.add(self._group, "group", sAMAccountName="rights-group")
        administrator.join(self._user, self._group)
        server = ldap3.Server(directory.address, port=636, use_ssl=True, get_info=ldap3.NONE)
        self._ldap: Any = ldap3.Connection(server, f"rights-user@{DOMAIN}", PASSWORD, auto_bind=True, check_names=False)
        tokens = map(sid_text, administrator.raw(self._user, "tokenGroups"))
        self.sid, self.group_sid = administrator.sid(self._user), administrator.sid(self._group)
        self.token = EVERY_LOGON | {self.sid, *map(str, tokens)}
        self._keeper = f"{self.sid.rpartition('-')[0]}-512"

    def close(self) -> None:
        self._ldap.unbind()
        self._administrator.delete(self._group)
        self._administrator.delete(self._user)

    def entries(self, source: random.Random) -> list[Entry]:
        """Entries such as nobody would write, behind one that lets an administrator clean up."""
        sids = (self.sid, self.sid, self.group_sid, AUTHENTICATED, SOMEBODY_ELSE)
        classes = (None, None, COMPUTER, USERS, ORGANIZATIONAL_UNIT, RECOVERY)
        made = [Entry(denies=False, flags=_INHERIT, mask=0x10000000, sid=self._keeper)]
        for _ in range(source.randint(1, 5)):
            flags = source.choice(_FLAGS)
            below = source.choice((None, None, COMPUTER, RECOVERY)) if flags else None
            of, mask, sid = source.choice(classes), source.choice(_MASKS), source.choice(sids)
            made.append(Entry(source.random() < 0.25, flags, mask, sid, of, below))
        return made

    def make(self, place: str, entries: Sequence[Entry]) -> Descriptor:
        """An OU with these entries, as the directory keeps them."""
        self._administrator.add_unit(place)
        self._administrator.protect(place, packed_descriptor(entries))
        return self._kept(place)

    def clear(self, place: str) -> None:
        self._administrator.delete(place)

    def _kept(self, dn: str, *, inherited_only: bool = False) -> Descriptor:
        value: Any = descriptor(self._administrator.raw(dn, "nTSecurityDescriptor")[0])
        if inherited_only:
            value["dacl"] = [entry for entry in value["dacl"] if entry["inherited"]]
        found = descriptor_of(value)
        assert found is not None
        return found

    def creates(self, place: str) -> bool:
        """Whether the user makes a computer there."""
        self._ldap.add(f"CN=made,{place}", "computer", {"sAMAccountName": "made$", "userAccountControl": 4096})
        return bool(self._ldap.result["result"] == 0)

    def reads(self, place: str, attribute: str) -> bool | None:
        """Whether the user reads an attribute of the OU; None where the OU is not even seen."""
        self._ldap.search(place, "(objectClass=*)", ldap3.BASE, attributes=[attribute], controls=_DACL)
        found = [entry for entry in self._ldap.response if entry["type"] == "searchResEntry"]
        return bool(found[0]["raw_attributes"].get(attribute)) if found else None

    def inherited_below(self, place: str) -> Descriptor:
        """What a recovery object below a computer there inherits."""
        dn = f"CN=recovery,{self._administrator.add_computer('below', place)}"
        values: dict[str, object] = {"msFVE-RecoveryGuid": bytes(range(16)), "msFVE-RecoveryPassword": "of no volume"}
        self._administrator.add(dn, "msFVE-RecoveryInformation", **values)
        return self._kept(dn, inherited_only=True)


@pytest.fixture
def setting(directory: DomainController) -> Iterator[Setting]:
    with directory.administrator() as administrator:
        setting = Setting(directory, administrator)
        try:
            yield setting
        finally:
            setting.close()


def test_rights_are_those_that_the_directory_grants(setting: Setting) -> None:
    """Each right is seen granted and withheld, so that agreement means something."""
    source = random.Random(20261121)
    seen: dict[str, set[bool]] = {}
    place = f"OU=rights,{ROOT}"
    for _ in range(LISTS):
        entries = setting.entries(source)
        kept = setting.make(place, entries)
        try:
            granted: dict[Right, bool | None] = {
                CREATE: setting.creates(place),
                READ: setting.reads(place, "gPOptions") or False,
                PERMISSIONS: setting.reads(place, "nTSecurityDescriptor"),
            }
            inherited = setting.inherited_below(place)
        finally:
            setting.clear(place)
        for right, really in granted.items():
            if really is not None:
                assert decide(kept, setting.token, right).granted is really, f"{right.words}: {entries}"
                seen.setdefault(right.words, set()).add(really)
        for mask in (FULL_CONTROL, READ_PROPERTY, CREATE_CHILD):
            really = decide(inherited, setting.token, Right("there", mask, RECOVERY)).granted
            below = decide(kept, setting.token, Right("below", mask, RECOVERY, below=True)).granted
            assert below is really, f"{mask:#x} below: {entries}"
            seen.setdefault(f"{mask:#x} below", set()).add(really)
    assert all(answers == {True, False} for answers in seen.values()), seen
