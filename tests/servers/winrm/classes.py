"""CIM classes and the types of their values, read from the project's class table."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CLASS_TABLE = Path(__file__).parents[3] / "rules" / "windows" / "classes.json"

_INTEGERS = {
    f"{sign}int{bits}": (0 if sign == "u" else -(2 ** (bits - 1)), 2 ** (bits if sign == "u" else bits - 1) - 1)
    for sign in ("u", "s")
    for bits in (8, 16, 32, 64)
} | {"char16": (0, 2**16 - 1)}
_DATETIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)")
_INTERVAL = re.compile(r"P(\d+D)?(T(\d+H)?(\d+M)?(\d+(\.\d{1,6})?S)?)?")
_WILDCARD = re.compile(r"[0-9*]{14}\.[0-9*]{6}[+:-][0-9*]{3}")

# The table marks keys only where Microsoft's page does; these are the keys that references and Get need.
_MORE_KEYS = {
    "win32_group": ("Domain", "Name"),
    "win32_useraccount": ("Domain", "Name"),
    "win32_systemaccount": ("Domain", "Name"),
    "win32_ntlogevent": ("Logfile", "RecordNumber"),
    "win32_volume": ("DeviceID",),
    "win32_deviceguard": ("InstanceIdentifier",),
    "mscluster_cluster": ("Name",),
    "mscluster_node": ("Name",),
    "mscluster_resource": ("Id",),
    "mscluster_resourcegroup": ("Id",),
    "msft_netadapter": ("DeviceID",),
    "win32_pingstatus": (
        "Address",
        "BufferSize",
        "NoFragmentation",
        "RecordRoute",
        "ResolveAddressNames",
        "SourceRoute",
        "SourceRouteType",
        "Timeout",
        "TimestampRoute",
        "TimeToLive",
        "TypeofService",
    ),
}
_SINGLETONS = {"win32_operatingsystem", "win32_utctime", "win32_localtime", "softwarelicensingservice"}


@dataclass(frozen=True)
class Reference:
    """The value of a reference property: an object by its keys."""

    class_name: str
    keys: Mapping[str, str]
    namespace: str | None = None
    """None: the namespace of the object that holds it."""


@dataclass(frozen=True)
class Embedded:
    """The value of an embedded object property."""

    class_name: str
    values: Mapping[str, "Value"]


@dataclass(frozen=True)
class Time:
    """A datetime or an interval in the form of the wire; `wildcard` ones cannot be sent."""

    text: str

    @property
    def is_interval(self) -> bool:
        """Whether it is a length of time."""
        return self.text.startswith("P")

    @property
    def is_wildcard(self) -> bool:
        """Whether it is the undefined datetime that WS-Man cannot carry."""
        return "*" in self.text


Scalar = str | int | float | bool | Time | Reference | Embedded | None
Value = Scalar | tuple[Scalar, ...]


@dataclass(frozen=True)
class Property:
    """One property of a class."""

    name: str
    type: str
    array: bool = False
    key: bool = False

    def convert(self, raw: object, where: str) -> Value:
        """The typed value of what a scenario says; ValueError naming the property otherwise."""
        where = f"{where}.{self.name}"
        if raw is None:
            return None
        if self.array:
            if not isinstance(raw, list):
                raise ValueError(f"{where}: {self.type}[] needs a list, not {raw!r}")
            return tuple(self._scalar(item, where) for item in raw)
        return self._scalar(raw, where)

    def _scalar(self, raw: object, where: str) -> Scalar:
        if raw is None:
            return None
        if self.type in _INTEGERS:
            low, high = _INTEGERS[self.type]
            if isinstance(raw, int) and not isinstance(raw, bool) and low <= raw <= high:
                return raw
        elif self.type == "boolean":
            if isinstance(raw, bool):
                return raw
        elif self.type in {"real32", "real64"}:
            if isinstance(raw, (int, float)) and not isinstance(raw, bool):
                return float(raw)
        elif self.type == "string":
            if isinstance(raw, str):
                return raw
        elif self.type == "datetime":
            if isinstance(raw, str) and _is_time(raw):
                return Time(raw)
        elif self.type.startswith("ref:"):
            return _reference(raw, where)
        elif self.type.startswith("object:"):
            return _embedded(raw, where)
        raise ValueError(f"{where}: {raw!r} is no {self.type}")


def _is_time(text: str) -> bool:
    interval = _INTERVAL.fullmatch(text)
    return bool(_DATETIME.fullmatch(text) or _WILDCARD.fullmatch(text) or (interval and interval.group() not in "PT"))


def _reference(raw: object, where: str) -> Reference:
    if not isinstance(raw, dict) or not raw.keys() <= {"class", "keys", "namespace"} or "class" not in raw:
        raise ValueError(f"{where}: a reference is a mapping of class, keys and perhaps namespace, not {raw!r}")
    keys = raw.get("keys")
    if not isinstance(keys, dict) or not all(isinstance(text, str) for pair in keys.items() for text in pair):
        raise ValueError(f"{where}: the keys of a reference are a mapping of texts, not {keys!r}")
    return Reference(str(raw["class"]), keys, raw.get("namespace"))


def _embedded(raw: object, where: str) -> Embedded:
    if not isinstance(raw, dict) or raw.keys() != {"class", "properties"} or not isinstance(raw["properties"], dict):
        raise ValueError(f"{where}: an embedded object is a mapping of class and properties, not {raw!r}")
    return Embedded(str(raw["class"]), {str(name): _guess(item, where) for name, item in raw["properties"].items()})


def _guess(raw: object, where: str) -> Value:
    """The classes of embedded objects have no entry in the table: YAML's own types decide."""
    if isinstance(raw, list):
        return tuple(_guess_scalar(item, where) for item in raw)
    return _guess_scalar(raw, where)


def _guess_scalar(raw: object, where: str) -> Scalar:
    if raw is None or isinstance(raw, (bool, int, float, str)):
        return raw
    raise ValueError(f"{where}: {raw!r} cannot stand in an embedded object")


@dataclass(frozen=True)
class CimClass:
    """One class with all its properties, inherited ones included."""

    namespace: str
    name: str
    properties: Mapping[str, Property]
    """By lower-case name."""
    methods: frozenset[str] = frozenset()
    base: str | None = None

    @property
    def keys(self) -> list[Property]:
        """The key properties."""
        return [prop for prop in self.sorted_properties() if prop.key]

    @property
    def is_singleton(self) -> bool:
        """Whether a Get needs no selectors."""
        return self.name.lower() in _SINGLETONS

    @property
    def uri(self) -> str:
        """The part of the resource URI after the WMI prefix."""
        return f"{self.namespace}/{self.name}"

    def sorted_properties(self) -> Iterator[Property]:
        """Properties in the order of the wire: alphabetical without regard to letter case."""
        for name in sorted(self.properties):
            yield self.properties[name]

    def derive(self, name: str, extra: Mapping[str, Property]) -> "CimClass":
        """A subclass with more properties."""
        return CimClass(self.namespace, name, {**self.properties, **extra}, self.methods, self.name)


@cache
def class_table(path: Path = CLASS_TABLE) -> Mapping[str, Mapping[str, CimClass]]:
    """Lower-case namespace to lower-case class name to class."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    return {
        namespace.lower(): {name.lower(): _class(namespace, name, entry) for name, entry in classes.items()}
        for namespace, classes in raw["namespaces"].items()
    }


def _class(namespace: str, name: str, entry: Mapping[str, Mapping[str, Mapping[str, object]]]) -> CimClass:
    more = {key.lower() for key in _MORE_KEYS.get(name.lower(), ())}
    properties = {
        prop.lower(): Property(
            prop,
            str(spec["type"]),
            bool(spec.get("array", False)),
            bool(spec.get("key", False)) or prop.lower() in more,
        )
        for prop, spec in entry["properties"].items()
    }
    return CimClass(namespace, name, properties, frozenset(method.lower() for method in entry["methods"]))
