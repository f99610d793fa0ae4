"""The value of a registry fact: a key, the keys below it and their typed values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from azpreflight.model import Value


class RegistryTree:
    r"""Reads `{"exists": bool, "keys": {relative key: {value name: {"type": "REG_DWORD", "data": 1}}}}`.

    The key itself is "". Names are compared without regard to letter case, as Windows does.
    REG_DWORD and REG_QWORD are integers, REG_MULTI_SZ is a list, REG_BINARY and the rest upper-case hex text.
    """

    def __init__(self, value: Mapping[str, Value]) -> None:
        self.exists: bool = value["exists"]
        self._keys: dict[str, dict[str, Value]] = {
            key.casefold(): {name.casefold(): entry["data"] for name, entry in values.items()}
            for key, values in value["keys"].items()
        }
        self._names: list[str] = list(value["keys"])

    def get(self, name: str, *, key: str = "") -> Value:
        """The data of value `name` in relative `key`; None when the value or the key does not exist."""
        return self._keys.get(key.casefold(), {}).get(name.casefold())

    def has_value(self, name: str, *, key: str = "") -> bool:
        """Whether value `name` exists in relative `key`, whatever its data."""
        return name.casefold() in self._keys.get(key.casefold(), {})

    def keys(self) -> Iterator[str]:
        """Relative keys, as Windows spells them."""
        return iter(self._names)
