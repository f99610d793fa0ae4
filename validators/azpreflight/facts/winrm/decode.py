"""The decoder: from the XML of a CIM answer to plain typed values, by the class table. The only place that does it.

Types come from the table, never from the XML, in which a number is text, an array of one element looks like a scalar
and a null array is left out. It raises `WireError` and nothing else; the message names class and property.
"""

from __future__ import annotations

import datetime
import math
import re
from xml.etree import ElementTree as ET

from azpreflight.facts.classes import CimClass, ClassTable, Property
from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.winrm.soap import child, descendant, local, text_of
from azpreflight.model import Value

_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
_INTEGER = re.compile(r"[su]int(8|16|32|64)|char16")
_DATETIME = re.compile(
    r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{0,9}))?(Z|[+-]\d{2}:\d{2})?",
    re.ASCII,
)
_DMTF = re.compile(r"(\d{14})\.(\d{6})([+-])(\d{3})", re.ASCII)
_INTERVAL = re.compile(
    r"-?P(?=.)(\d+Y)?(\d+M)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d*)?S)?)?|\d{14}\.\d{6}:000",
    re.ASCII,
)
_REAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?|nan", re.ASCII | re.IGNORECASE)
_LOCATION = "{http://schemas.dmtf.org/wbem/wscim/1/common}Location"
_TIMES = frozenset({"Datetime", "Interval", "Date", "Time", "CIM_DateTime"})
"""What may stand inside a property of type datetime."""


class Decoder:
    """Decodes the items of one enumeration.

    Args:
        table: the class table.
        namespace: of the class that was asked.
        name: the class that was asked; items of derived classes keep their own name and are typed by the base where
            the table does not hold them.
        properties: the properties asked for, None for all.
    """

    def __init__(self, table: ClassTable, namespace: str, name: str, properties: tuple[str, ...] | None) -> None:
        self._table = table
        self._namespace = namespace
        self._asked = properties
        found = table.find(namespace, name)
        self.name = found[0] if found else name
        self._base: CimClass | None = found[1] if found else None

    def item(self, element: ET.Element) -> dict[str, Value]:
        """One instance or one fragment as a row.

        A property keeps the spelling of the class table. Null is None. A scalar that did not come is not in the row;
        an array that did not come is None, because that is how Windows sends a null array.
        """
        name, kind = self.name, self._base
        if local(element) != "XmlFragment":
            name = local(element)
            own = self._table.find(self._namespace, name)
            if own is not None:
                kind = own[1]
        elements: dict[str, list[ET.Element]] = {}
        spellings: dict[str, str] = {}
        for found in element:
            # WinRM 1.x appends the address of the instance, which is no property of it.
            if found.tag != _LOCATION:
                spelled = spellings.setdefault(local(found).casefold(), local(found))
                elements.setdefault(spelled, []).append(found)
        row: dict[str, Value] = {}
        for spelled, values in elements.items():
            known = self._property(kind, spelled)
            if known is None:
                row[spelled] = self._untyped(values)
            else:
                row[known[0]] = self._typed(f"{name}.{known[0]}", known[1], values)
        for asked in self._asked if self._asked is not None else self._array_names(kind):
            known = self._property(kind, asked)
            if known is not None and known[1].array:
                row.setdefault(known[0], None)
        return row

    def outputs(self, element: ET.Element) -> dict[str, Value]:
        """The outputs of a method. Their types stand in no table: text stays text, embedded instances are typed."""
        elements: dict[str, list[ET.Element]] = {}
        for found in element:
            elements.setdefault(local(found), []).append(found)
        return {name: self._untyped(values) for name, values in elements.items()}

    def _property(self, kind: CimClass | None, name: str) -> tuple[str, Property] | None:
        found = kind.find(name) if kind is not None else None
        if found is None and self._base is not None:
            found = self._base.find(name)
        return found

    def _array_names(self, kind: CimClass | None) -> tuple[str, ...]:
        kinds = [known for known in (self._base, kind) if known is not None]
        # Properties that only some builds have may really be absent, not null.
        return tuple(
            name
            for properties in (known.properties for known in kinds)
            for name, known in properties.items()
            if known.array and not known.seen_on
        )

    def _typed(self, where: str, known: Property, elements: list[ET.Element]) -> Value:
        if known.array:
            # A null inside an array is dropped by Windows; a lone nil is a null array.
            if len(elements) == 1 and _is_nil(elements[0]):
                return None
            return [self._scalar(where, known, element) for element in elements if not _is_nil(element)]
        if len(elements) > 1:
            raise WireError(Status.FAILED, f"{where} came {len(elements)} times and is no array")
        return self._scalar(where, known, elements[0])

    def _scalar(self, where: str, known: Property, element: ET.Element) -> Value:
        if _is_nil(element):
            return None
        kind = known.type
        if kind.startswith("ref:"):
            return reference(element, where)
        if kind.startswith("object:"):
            return self._embedded(element, kind.removeprefix("object:"))
        if kind == "datetime":
            return _time(where, element)
        text = element.text or ""
        if kind == "boolean":
            return _boolean(where, text)
        if _INTEGER.fullmatch(kind):
            number = _integer(where, text)
            return known.values.get(str(number), number)
        if kind in ("real32", "real64"):
            return _real(where, text)
        # The table's `string` may also stand for a datetime or a reference (machines' class lists say so).
        return self._untyped([element]) if len(element) else text

    def _embedded(self, element: ET.Element, expected: str = "") -> Value:
        """An embedded instance: its class, and its properties typed by the table where that holds the class.

        Hyper-V writes some as text, in a format of their own: these stay text.
        """
        if not len(element) and (element.text or "").strip():
            return element.text
        declared = element.get(f"{_XSI}type", "").rpartition(":")[2].removesuffix("_Type") or expected
        found = self._table.find(self._namespace, declared)
        decoder = Decoder(self._table, self._namespace, found[0] if found else declared, None)
        return {"class": decoder.name, "properties": decoder.item(_fragment(element))}

    def _untyped(self, elements: list[ET.Element]) -> Value:
        """A property that the table does not hold: text stays text, structure is kept."""
        values = [self._untyped_one(element) for element in elements]
        return values[0] if len(values) == 1 else values

    def _untyped_one(self, element: ET.Element) -> Value:
        if _is_nil(element):
            return None
        if not len(element):
            return element.text or ""
        names = {local(found) for found in element}
        if "ReferenceParameters" in names:
            return reference(element, local(element))
        if names <= _TIMES:
            return _time(local(element), element)
        return self._embedded(element)


def reference(element: ET.Element, where: str) -> Value:
    """An endpoint reference as `{"class": ..., "keys": {...}}`; a key may itself be a reference.

    Raises:
        WireError: it is none.
    """
    parameters = descendant(element, "ReferenceParameters")
    uri = text_of(child(parameters, "ResourceURI")) if parameters is not None else ""
    if parameters is None or not uri:
        raise WireError(Status.FAILED, f"{where} is no endpoint reference")
    keys: dict[str, Value] = {}
    for selector in child(parameters, "SelectorSet") or ():
        nested = child(selector, "EndpointReference")
        keys[selector.get("Name", "")] = reference(nested, where) if nested is not None else selector.text or ""
    return {"class": uri.rpartition("/")[2], "keys": keys}


def _is_nil(element: ET.Element) -> bool:
    return element.get(f"{_XSI}nil", "false").strip().casefold() in ("true", "1")


def _fragment(element: ET.Element) -> ET.Element:
    fragment = ET.Element("XmlFragment")
    fragment.extend(element)
    return fragment


def _boolean(where: str, text: str) -> bool:
    match text.strip().casefold():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
    raise WireError(Status.FAILED, f"{where} is no boolean: {text[:40]!r}")


def _integer(where: str, text: str) -> int:
    digits = text.strip()
    if re.fullmatch(r"[+-]?[0-9]{1,20}", digits) is None:
        raise WireError(Status.FAILED, f"{where} is no integer: {text[:40]!r}")
    return int(digits)


def _real(where: str, text: str) -> float | str:
    if _REAL.fullmatch(text.strip()) is None:
        raise WireError(Status.FAILED, f"{where} is no number: {text[:40]!r}")
    number = float(text)
    # JSON has neither infinity nor NaN.
    return number if math.isfinite(number) else text.strip()


def _time(where: str, element: ET.Element) -> str:
    """A datetime as ISO 8601 in UTC; an interval, and a datetime with wildcards, as Windows wrote it."""
    inner = next((found for found in element if local(found) in _TIMES), None)
    text = ((inner.text if inner is not None else element.text) or "").strip()
    if inner is not None and local(inner) in ("Date", "Time"):
        return text
    try:
        if match := _DATETIME.fullmatch(text):
            moment, fraction, zone = match.groups()
            micro = (fraction or "0")[:6].ljust(6, "0")
            # Without a zone it is local time of the node, of which nothing is known: leave it as it is.
            if zone is None:
                return text
            return _utc(datetime.datetime.fromisoformat(f"{moment}.{micro}{zone.replace('Z', '+00:00')}"))
        if match := _DMTF.fullmatch(text):
            digits, micro, sign, minutes = match.groups()
            zone = datetime.timezone(datetime.timedelta(minutes=int(sign + minutes)))
            moment = datetime.datetime.strptime(f"{digits}.{micro}", "%Y%m%d%H%M%S.%f").replace(tzinfo=zone)
            return _utc(moment)
    except (ValueError, OverflowError):
        raise WireError(Status.FAILED, f"{where} is no date and time: {text[:40]!r}") from None
    if _INTERVAL.fullmatch(text) or re.fullmatch(r"(?=.*\*)[0-9*.:+-]+", text) or not text:
        return text
    raise WireError(Status.FAILED, f"{where} is no date and time: {text[:40]!r}")


def _utc(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")
