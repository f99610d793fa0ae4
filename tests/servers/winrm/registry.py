"""The registry of a node, and StdRegProv, through which WMI reads it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from . import names
from .faults import Code, Fault
from .soap import Request, escape, local_name

_HIVES = {
    "HKLM": ("HKEY_LOCAL_MACHINE", 0x80000002),
    "HKCU": ("HKEY_CURRENT_USER", 0x80000001),
    "HKCR": ("HKEY_CLASSES_ROOT", 0x80000000),
    "HKU": ("HKEY_USERS", 0x80000003),
    "HKCC": ("HKEY_CURRENT_CONFIG", 0x80000005),
}
_NUMBERS = {
    "REG_NONE": 0,
    "REG_SZ": 1,
    "REG_EXPAND_SZ": 2,
    "REG_BINARY": 3,
    "REG_DWORD": 4,
    "REG_MULTI_SZ": 7,
    "REG_QWORD": 11,
}
Data = str | int | bytes | tuple[str, ...]


class AccessDeniedError(Exception):
    """The key exists but may not be read."""


@dataclass(frozen=True)
class RegistryValue:
    """A value of a key."""

    name: str
    type: str
    data: Data


@dataclass
class Key:
    """A key of the tree; `path` starts with the long name of the hive."""

    path: str
    values: list[RegistryValue] = field(default_factory=list)
    children: dict[str, "Key"] = field(default_factory=dict)
    denied: bool = False

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("\\")[2]

    def subkeys(self) -> list["Key"]:
        """Subkeys in the registry's order."""
        return [self.children[name] for name in sorted(self.children)]

    def value(self, name: str) -> RegistryValue | None:
        """A value by name, the default value by the empty name."""
        return next((value for value in self.values if value.name.lower() == name.lower()), None)


def long_name(hive: str) -> str | None:
    """The long name of a hive from its short or long name, None if there is no such hive."""
    for short, (name, _) in _HIVES.items():
        if hive.upper() in {short, name}:
            return name
    return None


class Registry:
    """The tree that a scenario describes; the keys between are implied."""

    def __init__(self, tree: Mapping[str, Mapping[str, list[object]]], denied: Iterable[str] = ()) -> None:
        self._hives = {name: Key(name) for name, _ in _HIVES.values()}
        for path, values in tree.items():
            key = self._make(path)
            for name, spec in values.items():
                if key.value(name) is not None:
                    raise ValueError(f"registry: {path} has {name!r} twice")
                key.values.append(_value(path, name, spec))
        for path in denied:
            self._make(path).denied = True

    def _make(self, path: str) -> Key:
        hive, *parts = path.split("\\")
        name = long_name(hive)
        if name is None or not all(parts):
            raise ValueError(f"registry: {path} is no key")
        key = self._hives[name]
        for part in parts:
            key = key.children.setdefault(part.lower(), Key(f"{key.path}\\{part}"))
        return key

    def open(self, path: str) -> Key | None:
        """The key of a path, None when it does not exist; AccessDeniedError when it may not be read."""
        hive, *parts = path.rstrip("\\").split("\\")
        name = long_name(hive)
        key = self._hives[name] if name is not None else None
        for part in parts:
            if key is None:
                return None
            if key.denied:
                raise AccessDeniedError
            key = key.children.get(part.lower())
        if key is not None and key.denied:
            raise AccessDeniedError
        return key


def _value(path: str, name: str, spec: list[object]) -> RegistryValue:
    where = f"registry: {path}, {name!r}"
    if not isinstance(spec, list) or len(spec) != 2 or spec[0] not in _NUMBERS:
        raise ValueError(f"{where}: a list of type and data, not {spec!r}")
    kind, data = str(spec[0]), spec[1]
    if kind in {"REG_DWORD", "REG_QWORD"}:
        bits = 32 if kind == "REG_DWORD" else 64
        if isinstance(data, int) and not isinstance(data, bool) and 0 <= data < 2**bits:
            return RegistryValue(name, kind, data)
    elif kind == "REG_MULTI_SZ":
        if isinstance(data, list) and all(isinstance(item, str) and item for item in data):
            return RegistryValue(name, kind, tuple(data))
    elif kind in {"REG_BINARY", "REG_NONE"}:
        if isinstance(data, str):
            return RegistryValue(name, kind, bytes.fromhex(data))
    elif isinstance(data, str):
        return RegistryValue(name, kind, data)
    raise ValueError(f"{where}: {data!r} is no {kind}")


_VALUE_METHODS: dict[str, tuple[str, str]] = {
    "GetDWORDValue": ("REG_DWORD", "uValue"),
    "GetQWORDValue": ("REG_QWORD", "uValue"),
    "GetStringValue": ("REG_SZ", "sValue"),
    "GetExpandedStringValue": ("REG_EXPAND_SZ", "sValue"),
    "GetMultiStringValue": ("REG_MULTI_SZ", "sValue"),
    "GetBinaryValue": ("REG_BINARY", "uValue"),
}
READING_METHODS = frozenset({"EnumKey", "EnumValues", *_VALUE_METHODS})


def invoke(registry: Registry, request: Request, uri: str, expand: Callable[[str], str]) -> str:
    """The body of the answer to a reading method; `expand` replaces environment variables."""
    method = next(name for name in READING_METHODS if name.lower() == request.method.lower())
    arguments = _arguments(request, method, uri)
    code, output = _run(registry, method, arguments, expand)
    out = "".join(f"<p:{name}>{escape(text)}</p:{name}>" for name, text in output)
    return (
        f'<p:{method}_OUTPUT xmlns:xsi="{names.XSI}" xmlns:p="{escape(uri)}" xmlns:cim="{names.CIM_COMMON}">'
        f"{out}<p:ReturnValue>{code}</p:ReturnValue></p:{method}_OUTPUT>"
    )


def _arguments(request: Request, method: str, uri: str) -> dict[str, str]:
    body = request.body
    if body is None or body.tag.lower() != f"{{{uri}}}{method}_INPUT".lower():
        raise _parameter_fault("The body holds no input of the method.")
    arguments = {}
    for element in body:
        if element.get(f"{{{names.XSI}}}nil") != "true":
            arguments[local_name(element).lower()] = element.text or ""
    allowed = {"hdefkey", "ssubkeyname"} | ({"svaluename"} if method in _VALUE_METHODS else set())
    if not arguments.keys() <= allowed or "ssubkeyname" not in arguments:
        raise _parameter_fault("The parameters do not fit the method.")
    return arguments


def _parameter_fault(text: str) -> Fault:
    return Fault(Code.INVALID_METHOD_PARAMETER, "w:InvalidParameter", text)


def _run(
    registry: Registry,
    method: str,
    arguments: Mapping[str, str],
    expand: Callable[[str], str],
) -> tuple[int, list[tuple[str, str]]]:
    number = arguments.get("hdefkey", str(_HIVES["HKLM"][1]))
    hive = next((name for name, handle in _HIVES.values() if str(handle) == number), None)
    if hive is None:
        return 6, []
    try:
        key = registry.open(f"{hive}\\{arguments['ssubkeyname']}".rstrip("\\"))
    except AccessDeniedError:
        return 5, []
    if key is None:
        return 2, []
    if method == "EnumKey":
        return 0, [("sNames", sub.name) for sub in key.subkeys()]
    if method == "EnumValues":
        # The unnamed value is listed first, as an empty name, and only if it is set.
        values = sorted(key.values, key=lambda value: value.name != "")
        named = [("sNames", value.name) for value in values]
        return 0, named + [("Types", str(_NUMBERS[value.type])) for value in values]
    kind, out = _VALUE_METHODS[method]
    found = key.value(arguments.get("svaluename", ""))
    if found is None or found.type != kind:
        return 1, []
    return 0, [(out, text) for text in _texts(found, expand)]


def _texts(value: RegistryValue, expand: Callable[[str], str]) -> list[str]:
    if isinstance(value.data, bytes):
        return [str(byte) for byte in value.data]
    if isinstance(value.data, tuple):
        return list(value.data)
    if value.type == "REG_EXPAND_SZ":
        return [expand(str(value.data))]
    return [str(value.data)]
