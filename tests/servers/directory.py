"""What tests put into a directory, as its administrator: units, users, computers, rights."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator
from typing import Any

import ldap3
from ldap3.protocol.formatters.formatters import format_sid
from ldap3.protocol.microsoft import security_descriptor_control

DOMAIN = "corp.example"
ROOT = "DC=corp,DC=example"
PASSWORD = "Correct-Horse-9-Battery"
"""Of every account; short-lived as the domain is."""

ENABLED, DISABLED = 0x200, 0x202
_WORKSTATION, _WORKSTATION_DISABLED = 0x1000, 0x1002

_DESCRIPTOR = "nTSecurityDescriptor"
_DACL = security_descriptor_control(True, 0x04)


class Administrator:
    """Changes a directory over a connection that may do that.

    Args:
        connection: of an administrator.
        grant: adds entries in SDDL to the rights on an object.
    """

    def __init__(self, connection: Any, grant: Callable[[str, str], None]) -> None:
        self._ldap = connection
        self._grant = grant

    def add_unit(self, dn: str, *, blocked: bool = True) -> None:
        """An organizational unit. blocked: group policy from above is not inherited."""
        self._ldap.add(dn, "organizationalUnit", {"gPOptions": 1} if blocked else {})
        self._done()

    def add_user(self, name: str, *, place: str = f"CN=Users,{ROOT}", **attributes: object) -> str:
        """An enabled user with the password of all; its distinguished name."""
        dn = f"CN={name},{place}"
        values: dict[str, object] = {
            "sAMAccountName": name,
            "userPrincipalName": f"{name}@{DOMAIN}",
            "userAccountControl": ENABLED,
        }
        self._ldap.add(dn, "user", {**values, "unicodePwd": f'"{PASSWORD}"'.encode("utf-16-le"), **attributes})
        self._done()
        return dn

    def add_computer(self, name: str, place: str = f"CN=Computers,{ROOT}", *, enabled: bool = True) -> str:
        """A computer account; its distinguished name."""
        control = _WORKSTATION if enabled else _WORKSTATION_DISABLED
        dn = f"CN={name},{place}"
        self._ldap.add(dn, "computer", {"sAMAccountName": f"{name}$", "userAccountControl": control})
        self._done()
        return dn

    def add(self, dn: str, class_: str, **attributes: object) -> None:
        """Any other object."""
        self._ldap.add(dn, class_, attributes)
        self._done()

    def change(self, dn: str, attribute: str, *values: object) -> None:
        """Replace the values of an attribute; none removes it."""
        self._ldap.modify(dn, {attribute: [(ldap3.MODIFY_REPLACE, list(values))]})
        self._done()

    def join(self, member: str, group: str) -> None:
        """Make an object a member of a group, both by distinguished name."""
        self._ldap.modify(group, {"member": [(ldap3.MODIFY_ADD, [member])]})
        self._done()

    def leave(self, member: str, group: str) -> None:
        """The reverse of `join`."""
        self._ldap.modify(group, {"member": [(ldap3.MODIFY_DELETE, [member])]})
        self._done()

    def delete(self, dn: str) -> None:
        """Remove an object and everything below it."""
        self._ldap.delete(dn, controls=[("1.2.840.113556.1.4.805", True, None)])
        self._done()

    def rename(self, dn: str, name: str) -> None:
        """Give an object another name in its place."""
        self._ldap.modify_dn(dn, name)
        self._done()

    def sid(self, dn: str) -> str:
        """The SID of an object, as ldap3 reads it."""
        return str(format_sid(self.raw(dn, "objectSid")[0]))  # type: ignore[no-untyped-call]

    def raw(self, dn: str, attribute: str) -> list[bytes]:
        """The values of an attribute as they come."""
        controls = _DACL if attribute == _DESCRIPTOR else None
        self._ldap.search(dn, "(objectClass=*)", ldap3.BASE, attributes=[attribute], controls=controls)
        self._done()
        assert self._ldap.response
        return list(self._ldap.response[0]["raw_attributes"].get(attribute, ()))

    def grant(self, dn: str, *entries: str) -> None:
        """Add entries in SDDL, such as `(A;CI;GA;;;S-1-5-11)`, to the rights on an object."""
        self._grant(dn, "".join(entries))

    def protect(self, dn: str, descriptor: bytes) -> None:
        """Put another list of entries in place of the rights on an object."""
        self._ldap.modify(dn, {_DESCRIPTOR: [(ldap3.MODIFY_REPLACE, [descriptor])]}, controls=_DACL)
        self._done()

    @contextlib.contextmanager
    def granted(self, dn: str, *entries: str) -> Iterator[None]:
        """For a while, further entries in the rights on an object."""
        [before] = self.raw(dn, _DESCRIPTOR)
        self.grant(dn, *entries)
        try:
            yield
        finally:
            self.protect(dn, before)

    @contextlib.contextmanager
    def handed_over(self, dn: str, holder: str, other: str) -> Iterator[None]:
        """For a while, the rights of one SID on an object are those of another of the same domain."""
        [before] = self.raw(dn, _DESCRIPTOR)
        ends = [struct.pack("<I", int(sid.rpartition("-")[2])) for sid in (holder, other)]
        [domain] = self.raw(ROOT, "objectSid")
        self.protect(dn, before.replace(domain[8:] + ends[0], domain[8:] + ends[1]))
        try:
            yield
        finally:
            self.protect(dn, before)

    @contextlib.contextmanager
    def changed(self, dn: str, attribute: str, *values: object, afterwards: object = None) -> Iterator[None]:
        """For a while, other values of an attribute. afterwards: where the old one cannot be written."""
        before = [str(afterwards).encode()] if afterwards is not None else self.raw(dn, attribute)
        self.change(dn, attribute, *values)
        try:
            yield
        finally:
            self.change(dn, attribute, *(value.decode() for value in before))

    def _done(self) -> None:
        result = self._ldap.result
        assert result["result"] == 0, f"{result['description']}: {result['message']}"
