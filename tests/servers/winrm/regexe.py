"""`reg.exe query`: its switches and its output."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .registry import AccessDeniedError, Key, Registry, RegistryValue, long_name

MESSAGES: Mapping[str, str] = {
    "registry_missing": "ERROR: The system was unable to find the specified registry key or value.",
    "registry_denied": "ERROR: Access is denied.",
    "registry_syntax": 'ERROR: Invalid syntax.\nType "REG QUERY /?" for usage.',
    "registry_key_name": "ERROR: Invalid key name.",
    "registry_default": "(Default)",
}


class _UsageError(Exception):
    pass


@dataclass
class _Options:
    key: str
    value: str | None = None
    recurse: bool = False
    view: int = 64


@dataclass
class _Output:
    lines: list[str] = field(default_factory=list)
    denied: bool = False


def reg_query(registry: Registry, arguments: Sequence[str], messages: Mapping[str, str]) -> tuple[str, str, int]:
    """stdout, stderr and exit code of `reg query` with the arguments after `query`."""
    texts = {**MESSAGES, **messages}
    try:
        options = _options(arguments)
    except _UsageError:
        return "", _lines([texts["registry_syntax"]]), 1
    path = _full_path(options.key)
    if path is None:
        return "", _lines([texts["registry_key_name"]]), 1
    output = _Output()
    try:
        key = registry.open(_in_view(path, options.view))
        if key is None:
            return "", _lines([texts["registry_missing"]]), 1
        found = _list(key, path, options, output, texts, root=True)
    except AccessDeniedError:
        return "", _lines([texts["registry_denied"]]), 1
    if options.value is not None and not found:
        return "", _lines([texts["registry_missing"]]), 1
    stderr = _lines([texts["registry_denied"]]) if output.denied else ""
    return _lines(["", *output.lines]), stderr, 1 if output.denied else 0


def _options(arguments: Sequence[str]) -> _Options:
    if not arguments or arguments[0].startswith("/"):
        raise _UsageError
    options = _Options(arguments[0])
    rest = list(arguments[1:])
    while rest:
        switch = rest.pop(0).lower()
        if switch == "/v" and rest and options.value is None:
            options.value = rest.pop(0)
        elif switch == "/ve" and options.value is None:
            options.value = ""
        elif switch == "/s":
            options.recurse = True
        elif switch in {"/reg:32", "/reg:64"}:
            options.view = int(switch[-2:])
        else:
            raise _UsageError
    return options


def _full_path(key: str) -> str | None:
    hive, slash, rest = key.rstrip("\\").partition("\\")
    name = long_name(hive)
    return None if name is None else name + slash + rest


def _in_view(path: str, view: int) -> str:
    """Where the 32-bit view of HKLM\\SOFTWARE lies."""
    prefix = "HKEY_LOCAL_MACHINE\\SOFTWARE"
    if view == 64 or not (path + "\\").upper().startswith(prefix + "\\"):
        return path
    return f"{path[: len(prefix)]}\\WOW6432Node{path[len(prefix) :]}"


def _list(
    key: Key,
    path: str,
    options: _Options,
    output: _Output,
    texts: Mapping[str, str],
    *,
    root: bool,
) -> bool:
    """Write a key in the letter case that was asked for; whether a value of the wanted name was found."""
    values = key.values
    if options.value is not None:
        values = [value for value in values if value.name.lower() == options.value.lower()]
    # The asked-for key itself is shown only with values; subkeys are shown anyway unless a value is wanted.
    if values or (not root and options.value is None):
        output.lines.append(path)
        output.lines += [_value_line(value, texts) for value in values]
        output.lines.append("")
    found = bool(values)
    if options.value is not None and not options.recurse:
        return found
    for child in key.subkeys():
        child_path = f"{path}\\{child.name}"
        if not options.recurse:
            output.lines.append(child_path)
            continue
        if child.denied:
            output.denied = True
            continue
        found |= _list(child, child_path, options, output, texts, root=False)
    return found


def _value_line(value: RegistryValue, texts: Mapping[str, str]) -> str:
    return f"    {value.name or texts['registry_default']}    {value.type}    {_data(value)}"


def _data(value: RegistryValue) -> str:
    if isinstance(value.data, int):
        return f"0x{value.data:x}"
    if isinstance(value.data, bytes):
        return value.data.hex().upper()
    if isinstance(value.data, tuple):
        return "\\0".join(value.data)
    return value.data


def _lines(lines: Sequence[str]) -> str:
    return "".join(line.replace("\n", "\r\n") + "\r\n" for line in lines)
