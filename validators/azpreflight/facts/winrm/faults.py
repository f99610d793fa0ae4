"""Faults: from the three shapes in which Windows sends them to one error with one meaning."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.text import one_line
from azpreflight.facts.winrm.soap import child, descendant, local, text_of


class Fault(WireError):
    """A WS-Management fault.

    code: the innermost number that Windows gave, 0 when none. subcode: local name of the SOAP subcode.
    text: the node's own words, in its language.
    """

    def __init__(self, status: Status, reason: str, *, code: int, subcode: str, text: str) -> None:
        super().__init__(status, reason)
        self.code = code
        self.subcode = subcode
        self.text = text


TIMED_OUT = 2150858793
"""OperationTimeout over (w:TimedOut). On a shell's Receive it means: nothing new yet, ask again."""
SHELLS_NOT_ALLOWED = 2150859180
"""Remote shells are switched off by policy."""
NO_SUCH_CLASS = 2150858778
"""A class absent from its namespace, and a refused WQL query as well: the fault does not tell which."""
CONTEXT_EXPIRED = 2150858884
HOST_RESTARTING = 1018
PROVIDER_NOT_LOADED = 2150858906
QUOTAS = frozenset(
    {2150858815, 2150859173, 2150859174, 2150859175, 2150859176, 2150859179, *range(2150859236, 2150859243)}
)
"""Quotas that may be free again in a moment."""

MEANING: dict[int, tuple[Status, str]] = {
    5: (Status.REFUSED, "access denied by the WinRM plugin: the account is no administrator, or its token is filtered"),
    87: (Status.FAILED, "a parameter was refused"),
    1018: (Status.FAILED, "the plugin host was restarting"),
    2147942402: (Status.NOT_PRESENT, "the program was not found"),
    2147942405: (Status.REFUSED, "access denied"),
    2147942606: (Status.FAILED, "the command line is too long"),
    2150858752: (Status.NOT_PRESENT, "there is no such instance"),
    2150858753: (Status.FAILED, "the action is not supported for this resource"),
    2150858755: (Status.FAILED, "the provider reported an error of its own"),
    2150858767: (Status.FAILED, "a header of the request was refused"),
    NO_SUCH_CLASS: (Status.NOT_PRESENT, "the class does not exist in this namespace, or the query was refused"),
    2150858790: (Status.FAILED, "the answer is larger than the node's MaxEnvelopeSize"),
    TIMED_OUT: (Status.TIMED_OUT, "the node did not finish in the time given (OperationTimeout)"),
    2150858811: (Status.NOT_PRESENT, "the resource does not exist on this node"),
    2150858815: (Status.REFUSED, "a quota of the WinRM service is used up"),
    2150858817: (Status.FAILED, "the answer breaks the XML schema"),
    2150858823: (Status.FAILED, "the answer is larger than the node's MaxEnvelopeSize"),
    2150858824: (Status.FAILED, "MaxEnvelopeSize was refused as too small"),
    2150858825: (Status.FAILED, "MaxEnvelopeSize was refused"),
    2150858843: (Status.FAILED, "the selectors are wrong, or the shell does not exist any more"),
    CONTEXT_EXPIRED: (Status.FAILED, "the enumeration context is not valid any more"),
    2150858906: (Status.FAILED, "the provider could not be loaded"),
    2150859002: (Status.FAILED, "the class is no singleton and needs keys"),
    2150859003: (Status.FAILED, "a wildcard resource takes WQL only"),
    2150859010: (Status.FAILED, "the provider cannot do this"),
    2150859011: (Status.FAILED, "a WMI value was refused"),
    2150859012: (Status.REFUSED, "access denied by the WMI service"),
    2150859013: (Status.REFUSED, "access denied by the WMI provider"),
    2150859014: (Status.REFUSED, "access denied when connecting to the WMI namespace"),
    2150859016: (Status.FAILED, "keys are not taken in an enumeration"),
    2150859038: (Status.FAILED, "a method parameter was refused"),
    2150859042: (Status.FAILED, "the filter was refused"),
    2150859173: (Status.REFUSED, "the user's quota of shells is used up (MaxShellsPerUser)"),
    2150859174: (
        Status.REFUSED,
        "the user's quota of concurrent operations is used up (MaxConcurrentOperationsPerUser)",
    ),
    2150859175: (Status.REFUSED, "the quota of concurrent users is used up (MaxConcurrentUsers)"),
    2150859176: (Status.REFUSED, "the quota of concurrent operations is used up"),
    2150859179: (Status.REFUSED, "the quota of shell users is used up"),
    SHELLS_NOT_ALLOWED: (Status.REFUSED, "remote shells are switched off on this node (AllowRemoteShellAccess)"),
    2150859181: (Status.FAILED, "a Pull differed from its Enumerate"),
    **dict.fromkeys(range(2150859236, 2150859243), (Status.REFUSED, "a quota of the WMI plugin is used up")),
    # HRESULTs of WMI itself, which come as the inner number.
    2147749889: (Status.FAILED, "WMI failed without saying why (0x80041001)"),
    2147749890: (Status.NOT_PRESENT, "there is no such WMI object (0x80041002)"),
    2147749891: (Status.REFUSED, "access denied by WMI (0x80041003)"),
    2147749902: (Status.NOT_PRESENT, "the WMI namespace does not exist (0x8004100E)"),
    2147749904: (Status.NOT_PRESENT, "the WMI class does not exist (0x80041010)"),
    2147749907: (Status.FAILED, "the WMI provider could not be loaded (0x80041013)"),
    2147749911: (Status.FAILED, "WMI refused the query (0x80041017)"),
    2147749993: (Status.TIMED_OUT, "WMI timed out (0x80041069)"),
}
"""Numbers of wsmerror.h, winerror.h and wbemcli.h that a read can meet."""

_BY_SUBCODE = {
    "TimedOut": (Status.TIMED_OUT, "the node did not finish in the time given (OperationTimeout)"),
    "AccessDenied": (Status.REFUSED, "access denied"),
    "QuotaLimit": (Status.REFUSED, "a quota of the WinRM service is used up"),
    "DestinationUnreachable": (Status.NOT_PRESENT, "the resource does not exist on this node"),
}
_TEXT_LIMIT = 300
_GENERIC = 2147749889
"""WMI's failure without a reason, which tells less than any number around it."""


def fault_of(body: ET.Element) -> Fault | None:
    """The fault in a SOAP body, None when it holds none."""
    fault = child(body, "Fault")
    if fault is None:
        return None
    code = _innermost_code(fault)
    subcode = _subcode(fault)
    text = _text(fault)
    status, meaning = MEANING.get(code) or _BY_SUBCODE.get(subcode) or (Status.FAILED, "the node reported a fault")
    number = f" (fault {code}, 0x{code:08X})" if code else f" ({_detail(fault) or subcode or 'no code'})"
    words = f"; the node says: {text}" if text else ""
    return Fault(status, f"{meaning}{number}{words}", code=code, subcode=subcode, text=text)


def _innermost_code(fault: ET.Element) -> int:
    """The number that tells most: a known inner one before an outer one, wherever Windows put it."""
    codes: list[int] = []
    for element in fault.iter():
        match local(element):
            case "WSManFault":
                codes.append(_number(element.get("Code", "")))
            case "error_Code" | "StatusCode":
                codes.append(_number(text_of(element)))
    known = [code for code in codes if code in MEANING]
    telling = [code for code in known if code != _GENERIC]
    return (telling or known or [code for code in codes if code] or [0])[-1]


def _number(text: str) -> int:
    # HRESULTs come signed or unsigned, as the writer of the provider pleased.
    return int(text) & 0xFFFFFFFF if re.fullmatch(r"-?[0-9]{1,10}", text) else 0


def _subcode(fault: ET.Element) -> str:
    subcode = descendant(fault, "Subcode")
    value = child(subcode, "Value") if subcode is not None else None
    return _words(value).rpartition(":")[2][:60]


def _detail(fault: ET.Element) -> str:
    """The last part of the URI with which WS-Management tells what was wrong."""
    return _words(descendant(fault, "FaultDetail")).rpartition("/")[2][:60]


def _text(fault: ET.Element) -> str:
    """The sentence that tells most: the one of the innermost element that has words of its own."""
    for names in (("Message", "ProviderFault"), ("error_WindowsErrorMessage", "Message"), ("Text",)):
        root = descendant(fault, "WSManFault") if "ProviderFault" in names else fault
        for element in reversed(list(root.iter()) if root is not None else []):
            if local(element) in names and (words := _words(element)):
                return words if len(words) <= _TEXT_LIMIT else f"{words[: _TEXT_LIMIT - 1]}…"
    return ""


def _words(element: ET.Element | None) -> str:
    """The text of an element itself, without that of the elements in it and without control characters."""
    if element is None:
        return ""
    text = " ".join([element.text or "", *(inside.tail or "" for inside in element)])
    return one_line(text, len(text))
