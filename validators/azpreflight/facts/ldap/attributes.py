"""Attributes of directory objects: which are numbers, truths, times, identifiers; and which are never read. Pure.

The table is closed. What it does not know is text, or a list of texts where the server has several; bytes that are no
text are said to be there, and not shown.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence

from azpreflight.facts.ldap.security import descriptor, sid_text
from azpreflight.model import Value

DESCRIPTOR = "nTSecurityDescriptor"

SECRETS = frozenset(
    name.casefold()
    for name in (
        *("unicodePwd", "userPassword", "dBCSPwd", "ntPwdHistory", "lmPwdHistory", "supplementalCredentials"),
        *("initialAuthIncoming", "initialAuthOutgoing", "trustAuthIncoming", "trustAuthOutgoing", "currentValue"),
        *("priorValue", "msDS-ManagedPassword", "msDS-ExecuteScriptPassword", "msDS-KeyCredentialLink"),
        *("msFVE-RecoveryPassword", "msFVE-KeyPackage", "ms-Mcs-AdmPwd", "msLAPS-Password"),
        *("msLAPS-EncryptedPassword", "msLAPS-EncryptedPasswordHistory", "msLAPS-EncryptedDSRMPassword"),
        *("msLAPS-EncryptedDSRMPasswordHistory", "msTPM-OwnerInformation", "unixUserPassword"),
    )
)
"""Attributes that hold secrets. No query may ask for them: nothing secret enters a fact."""

_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d+))?Z")
_TRUTHS = {"TRUE": True, "FALSE": False}


def _integer(data: bytes) -> Value:
    return int(data)


def _truth(data: bytes) -> Value:
    return _TRUTHS[data.decode()]


def _time(data: bytes) -> Value:
    """Generalized time as ISO 8601 in UTC."""
    text = data.decode()
    found = _TIME.fullmatch(text)
    if found is None:
        return text
    year, month, day, hour, minute, second, fraction = found.groups()
    digits = (fraction or "").rstrip("0")
    return f"{year}-{month}-{day}T{hour}:{minute}:{second}{'.' + digits if digits else ''}Z"


def _guid(data: bytes) -> Value:
    return str(uuid.UUID(bytes_le=data))


def _text(data: bytes) -> Value:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return f"({len(data)} bytes that are no text)"


_Decoder = Callable[[bytes], Value]


def _each(decoder: _Decoder, *names: str) -> dict[str, _Decoder]:
    return {name.casefold(): decoder for name in names}


_DECODERS: Mapping[str, _Decoder] = {
    **_each(
        _integer,
        *("userAccountControl", "msDS-User-Account-Control-Computed", "sAMAccountType", "groupType", "instanceType"),
        *("systemFlags", "searchFlags", "gPOptions", "flags", "versionNumber", "primaryGroupID", "adminCount"),
        *("badPwdCount", "logonCount", "msDS-Behavior-Version", "domainFunctionality", "forestFunctionality"),
        *("domainControllerFunctionality", "msDS-SupportedEncryptionTypes", "ms-DS-MachineAccountQuota"),
        *("objectVersion", "minPwdLength", "pwdHistoryLength", "pwdProperties", "lockoutThreshold"),
        *("supportedLDAPVersion", "highestCommittedUSN", "uSNCreated", "uSNChanged"),
        # Windows' own times and spans, in units of 100 nanoseconds, stay the numbers they are: 0 and the highest
        # have meanings of their own.
        *("accountExpires", "pwdLastSet", "lockoutTime", "badPasswordTime", "lastLogon", "lastLogonTimestamp"),
        *("lastLogoff", "maxPwdAge", "minPwdAge", "lockoutDuration", "lockOutObservationWindow", "forceLogoff"),
        *("creationTime", "msDS-UserPasswordExpiryTimeComputed"),
    ),
    **_each(
        _truth,
        *("isDeleted", "isCriticalSystemObject", "isSynchronized", "isGlobalCatalogReady"),
        *("showInAdvancedViewOnly", "isSingleValued", "isMemberOfPartialAttributeSet"),
    ),
    **_each(_time, "whenCreated", "whenChanged", "currentTime", "createTimeStamp", "modifyTimeStamp"),
    **_each(_time, "dSCorePropagationData"),
    **_each(
        sid_text,
        *("objectSid", "securityIdentifier", "mS-DS-CreatorSID"),
        *("tokenGroups", "tokenGroupsGlobalAndUniversal", "tokenGroupsNoGCAcceptable", "sIDHistory"),
    ),
    **_each(
        _guid,
        *("objectGUID", "schemaIDGUID", "attributeSecurityGUID", "invocationId"),
        *("msFVE-RecoveryGuid", "msFVE-VolumeGuid"),
    ),
    **_each(descriptor, DESCRIPTOR),
}
"""How a value is decoded, by the folded name of its attribute. What is missing here is text."""

_LISTS = frozenset(
    name.casefold()
    for name in (
        *("objectClass", "member", "memberOf", "servicePrincipalName", "namingContexts", "description", "ou"),
        *("supportedControl", "supportedCapabilities", "supportedLDAPVersion", "supportedLDAPPolicies"),
        *("supportedSASLMechanisms", "allowedChildClasses", "allowedChildClassesEffective", "allowedAttributes"),
        *("allowedAttributesEffective", "wellKnownObjects", "otherWellKnownObjects", "uPNSuffixes", "proxyAddresses"),
        *("directReports", "subRefs", "dSCorePropagationData", "tokenGroups", "tokenGroupsGlobalAndUniversal"),
        *("tokenGroupsNoGCAcceptable", "sIDHistory", "msDS-AllowedDNSSuffixes"),
    )
)
"""Attributes that are lists even when there is one value ([MS-ADA1] to [MS-ADA3], [MS-ADTS] 3.1.1.3.2)."""


def decoded(name: str, values: Sequence[bytes]) -> Value:
    """The value of an attribute; None when the directory gave none.

    Args:
        name: of the attribute, in any letter case.
        values: as they came over the wire.

    Raises:
        ValueError: a value is not what the attribute's syntax says.
    """
    if not values:
        return None
    folded = name.casefold()
    decoder = _DECODERS.get(folded, _text)
    try:
        found = [decoder(value) for value in values]
    except ValueError as error:
        raise ValueError(f"{name} is not of its syntax: {error}"[:200]) from None
    except KeyError:
        raise ValueError(f"{name} is neither TRUE nor FALSE") from None
    single = folded not in _LISTS and len(found) == 1
    return found[0] if single else found
