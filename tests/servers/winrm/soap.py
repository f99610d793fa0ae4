"""SOAP envelopes: reading requests, writing answers."""

import re
import uuid
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

from . import names
from .faults import Code, Fault

SMALLEST_ENVELOPE = 8192
_CONTROL = re.compile(r"[\x00-\x1f]")
_DURATION = re.compile(
    r"P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)


def q(namespace: str, local: str) -> str:
    """The name of an element as ElementTree writes it."""
    return f"{{{namespace}}}{local}"


def local_name(element: ET.Element) -> str:
    """The name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def escape(text: str) -> str:
    """Character data as Windows writes it: five entities, control characters become question marks."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = text.replace('"', "&quot;").replace("'", "&apos;")
    return _CONTROL.sub("?", text)


def new_id() -> str:
    """A GUID in the upper-case form of Windows."""
    return str(uuid.uuid4()).upper()


def parse_duration(text: str) -> float:
    """Seconds of an xs:duration without years and months; ValueError for anything else."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groupdict().values()):
        raise ValueError(f"not a duration: {text!r}")
    days, hours, minutes, seconds = (float(match[name] or 0) for name in ("days", "hours", "minutes", "seconds"))
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


@dataclass
class Selector:
    """One key of a SelectorSet: text, or an endpoint reference."""

    name: str
    text: str
    reference: ET.Element | None = None


@dataclass
class Request:
    """A WS-Man request, headers checked."""

    action: str
    resource: str
    message_id: str
    selectors: list[Selector] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    max_envelope: int | None = None
    timeout: float | None = None
    body: ET.Element | None = None
    """The first element in the SOAP body."""

    @property
    def operation(self) -> str:
        """Short name of the operation; a method call is `Invoke`."""
        known = names.OPERATIONS.get(self.action)
        if known is not None:
            return known
        return "Invoke" if self.action.lower().startswith(self.resource.lower() + "/") else "Unknown"

    @property
    def method(self) -> str:
        """Method name of an Invoke."""
        return self.action.rpartition("/")[2] if self.operation == "Invoke" else ""

    def selector(self, name: str) -> str | None:
        """The text of a selector, or None."""
        return next((s.text for s in self.selectors if s.name.lower() == name.lower()), None)


def parse_request(data: bytes) -> Request:
    """Read an envelope; every defect of its headers is a Fault."""
    try:
        root = ET.fromstring(data)
    except ET.ParseError:
        raise _schema_fault() from None
    header = root.find(q(names.SOAP, "Header"))
    body = root.find(q(names.SOAP, "Body"))
    if root.tag != q(names.SOAP, "Envelope") or header is None or body is None:
        raise _schema_fault()

    message_id = _text(header, names.ADDRESSING, "MessageID")
    if message_id == "":
        raise _header_fault("The MessageID is empty.")
    action, resource = _text(header, names.ADDRESSING, "Action"), _text(header, names.WSMAN, "ResourceURI")
    reply_to = header.find(f"{q(names.ADDRESSING, 'ReplyTo')}/{q(names.ADDRESSING, 'Address')}")
    if message_id is None or not action or not resource or reply_to is None:
        raise Fault(
            Code.HEADER_REQUIRED,
            "a:MessageInformationHeaderRequired",
            "A header that every request needs is missing.",
        )
    if (reply_to.text or "").strip() != names.ANONYMOUS:
        raise Fault(
            Code.INVALID_HEADER,
            "w:UnsupportedFeature",
            "Only the anonymous address is served.",
            detail="AddressingMode",
        )
    for namespace, name in ((names.WSMAN, "Locale"), (names.WSMAN_MS, "DataLocale")):
        locale = header.find(q(namespace, name))
        if locale is not None and locale.get(q(names.SOAP, "mustUnderstand"), "false").lower() in {"true", "1"}:
            raise Fault(
                Code.LOCALE_MUST_UNDERSTAND,
                "w:UnsupportedFeature",
                "A locale must not be obligatory.",
                detail="Locale",
            )
    return Request(
        action=action,
        resource=resource,
        message_id=message_id,
        selectors=_selectors(header),
        options={
            option.get("Name", ""): option.text or "" for option in header.iterfind(f".//{q(names.WSMAN, 'Option')}")
        },
        max_envelope=_max_envelope(header),
        timeout=_timeout(header),
        body=body[0] if len(body) else None,
    )


def _text(header: ET.Element, namespace: str, name: str) -> str | None:
    element = header.find(q(namespace, name))
    return None if element is None else (element.text or "").strip()


def _selectors(header: ET.Element) -> list[Selector]:
    result = []
    # Only the header's own set: a selector may hold an endpoint reference with a set inside.
    for element in header.iterfind(f"{q(names.WSMAN, 'SelectorSet')}/{q(names.WSMAN, 'Selector')}"):
        reference = element[0] if len(element) else None
        result.append(Selector(element.get("Name", ""), element.text or "", reference))
    return result


def _max_envelope(header: ET.Element) -> int | None:
    text = _text(header, names.WSMAN, "MaxEnvelopeSize")
    if text is None:
        return None
    if not text.isdecimal():
        raise _header_fault("The MaxEnvelopeSize is no number.")
    if int(text) < SMALLEST_ENVELOPE:
        raise Fault(
            Code.ENVELOPE_TOO_SMALL,
            "w:EncodingLimit",
            "The envelope size in the request is too small.",
            detail="MinimumEnvelopeLimit",
        )
    return int(text)


def _timeout(header: ET.Element) -> float | None:
    text = _text(header, names.WSMAN, "OperationTimeout")
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError:
        raise _header_fault(f"The OperationTimeout {text} is no duration.") from None


def _header_fault(text: str) -> Fault:
    return Fault(Code.INVALID_HEADER, "a:InvalidMessageInformationHeader", text)


def _schema_fault() -> Fault:
    return Fault(Code.SCHEMA, "w:SchemaValidationError", "The request is not a valid SOAP envelope.")


_FAMILIES = {
    "n": (("n", names.ENUMERATION), ("w", names.WSMAN)),
    "x": (("x", names.TRANSFER), ("w", names.WSMAN), ("p", names.WSMAN_MS)),
    "rsp": (("x", names.TRANSFER), ("w", names.WSMAN), ("rsp", names.SHELL), ("p", names.WSMAN_MS)),
    "fault": (
        ("x", names.TRANSFER),
        ("e", names.EVENTING),
        ("n", names.ENUMERATION),
        ("w", names.WSMAN),
        ("p", names.WSMAN_MS),
    ),
}


def envelope(family: str, action: str, body: str, relates_to: str | None) -> str:
    """An answer on one line, without XML declaration; `family` chooses the declared prefixes."""
    prefixes = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in _FAMILIES[family])
    relates = f"<a:RelatesTo>{escape(relates_to)}</a:RelatesTo>" if relates_to is not None else ""
    return (
        f'<s:Envelope xml:lang="en-US" xmlns:s="{names.SOAP}" xmlns:a="{names.ADDRESSING}"{prefixes}><s:Header>'
        f"<a:Action>{escape(action)}</a:Action><a:MessageID>uuid:{new_id()}</a:MessageID>"
        f"<a:To>{names.ANONYMOUS}</a:To>{relates}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )


def fault_envelope(fault: Fault, machine: str, relates_to: str | None) -> str:
    """The answer to a request that failed."""
    return envelope("fault", fault.action, fault.body(machine), relates_to if fault.relates else None)
