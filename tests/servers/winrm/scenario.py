"""Scenarios: what a node is, as data."""

import copy
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from .cim import CimStore
from .config import Config
from .faults import Shape
from .methods import calls_of
from .programs import MESSAGES as PROGRAM_MESSAGES
from .programs import Answer, Identity
from .regexe import MESSAGES as REGISTRY_MESSAGES
from .registry import Registry

SCENARIOS = Path(__file__).parents[1] / "scenarios"
"""Where scenarios are found by name."""


class _Delete:
    def __repr__(self) -> str:
        return "DELETE"


DELETE = _Delete()
"""In `Scenario.patched`: take this entry out."""

_KEYS: Mapping[str, tuple[type, ...]] = {
    "node": (str,),
    "cim": (dict,),
    "missing_classes": (list,),
    "derives": (dict,),
    "ping": (dict,),
    "registry": (dict,),
    "denied": (list,),
    "config": (dict,),
    "listeners": (list,),
    "non_administrators": (list,),
    "read_only": (list,),
    "whoami": (dict,),
    "programs": (list,),
    "methods": (list,),
    "messages": (dict,),
    "fault_shape": (str,),
}


class _Loader(yaml.SafeLoader):
    """YAML without surprises: duplicate keys are errors, only true and false are booleans, times stay texts."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Build a mapping, refusing a key that comes twice."""
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise ValueError(f"{key_node.start_mark}: {key!r} comes twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("null", r"null|~|", ["n", "~", ""]),
    ("int", r"[-+]?(?:0|[1-9][0-9]*|0x[0-9a-fA-F]+)", "-+0123456789"),
    ("float", r"[-+]?[0-9]+\.[0-9]+(?:[eE][-+]?[0-9]+)?", "-+0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


class Scenario:
    """An immutable description of one node; everything is checked when it is built."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data: dict[str, Any] = copy.deepcopy(dict(data))
        for key, value in self._data.items():
            if key not in _KEYS:
                raise ValueError(f"scenario: unknown key {key!r}; the keys are {', '.join(_KEYS)}")
            if not isinstance(value, _KEYS[key]):
                name = _KEYS[key][0].__name__
                raise ValueError(f"scenario: {key} is a {name}, not {value!r}")  # noqa: TRY004
        self.node = str(self._data.get("node", ""))
        if not self.node:
            raise ValueError("scenario: node, the name of the machine, is missing")
        self.fault_shape = Shape(self._data.get("fault_shape", Shape.PROVIDER))
        self.ping = _ping(self._data.get("ping", {}))
        self.messages: Mapping[str, str] = self._data.get("messages", {})
        unknown = self.messages.keys() - REGISTRY_MESSAGES.keys() - PROGRAM_MESSAGES.keys()
        if unknown:
            raise ValueError(f"scenario: unknown messages {sorted(unknown)}")
        self.non_administrators = frozenset(str(name).lower() for name in self._data.get("non_administrators", []))
        self.read_only = frozenset(str(name).lower() for name in self._data.get("read_only", []))
        # Built here and not later, so that a mistake in the data shows where the scenario is made.
        self.cim = CimStore(
            self._data.get("cim", {}),
            missing=self._data.get("missing_classes", []),
            derives=self._data.get("derives", {}),
        )
        self.registry = Registry(self._data.get("registry", {}), self._data.get("denied", []))
        self.config = Config(self._data.get("config", {}), self._data.get("listeners", []))
        self.identity = _identity(self._data.get("whoami", {}))
        self.calls = calls_of(self._data.get("methods", []))
        self.answers = tuple(_answer(entry) for entry in self._data.get("programs", []))

    def __repr__(self) -> str:
        return f"Scenario({self.node})"

    @property
    def data(self) -> dict[str, Any]:
        """A copy of what the scenario was built from."""
        return copy.deepcopy(self._data)

    def with_(self, **changes: Any) -> "Scenario":
        """Another scenario with these top-level keys replaced."""
        return Scenario({**self._data, **changes})

    def patched(self, changes: Mapping[str, Any]) -> "Scenario":
        """Another scenario with changes merged in.

        Mappings are merged; a function gets the old value and gives the new one; DELETE takes an entry out;
        everything else, lists included, replaces what was there.
        """
        return Scenario(_patch(self._data, changes))

    def substituted(self, replacements: Mapping[str, str]) -> "Scenario":
        """Another node: every text of the scenario with these pieces replaced, in one pass, keys included."""
        pattern = re.compile("|".join(re.escape(old) + r"(?![0-9])" for old in replacements))

        def replace(value: Any) -> Any:
            if isinstance(value, str):
                return pattern.sub(lambda match: replacements[match.group()], value)
            if isinstance(value, dict):
                return {replace(key): replace(item) for key, item in value.items()}
            return [replace(item) for item in value] if isinstance(value, list) else value

        return Scenario(replace(self._data))

    def rows(self, namespace: str, class_name: str) -> list[dict[str, Any]]:
        """A copy of the instances that the scenario itself lists for a class."""
        rows = self._data.get("cim", {}).get(namespace, {}).get(class_name, [])
        return copy.deepcopy(list(rows))


def load_scenario(name: str | Path) -> Scenario:
    """A scenario by the name of its file in the scenarios folder, or by its path."""
    path = name if isinstance(name, Path) else SCENARIOS / f"{name}.yaml"
    with path.open(encoding="utf-8") as file:
        data = yaml.load(file, Loader=_Loader)
    if not isinstance(data, dict):
        raise ValueError(f"{path}: not a mapping")  # noqa: TRY004
    base = data.pop("base", None)
    if base is None:
        return Scenario(data)
    return load_scenario(path.parent / f"{base}.yaml").patched(data)


def _patch(old: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result = copy.deepcopy(dict(old))
    for key, change in changes.items():
        if change is DELETE:
            del result[key]
        elif isinstance(change, Mapping):
            below = result.get(key)
            result[key] = _patch(below if isinstance(below, Mapping) else {}, change)
        elif callable(change):
            result[key] = _call(change, result.get(key))
        else:
            result[key] = copy.deepcopy(change)
    return result


def _call(change: Callable[[Any], Any], old: Any) -> Any:
    return change(old)


def _ping(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    for address, answer in raw.items():
        detailed = isinstance(answer, dict) and answer.keys() == {"status", "address"}
        plain = answer is None or (isinstance(answer, int) and not isinstance(answer, bool))
        if not (detailed or plain):
            raise ValueError(f"ping: {address}: a status code, null, or status and address, not {answer!r}")
    return raw


def _identity(raw: Mapping[str, Any]) -> Identity:
    if not raw:
        return Identity()
    if raw.keys() != {"user", "groups"}:
        raise ValueError(f"whoami: user and groups, not {sorted(raw)}")
    user, groups = _texts(raw["user"], 2), [_texts(group, 4) for group in raw["groups"]]
    return Identity((user[0], user[1]), tuple((group[0], group[1], group[2], group[3]) for group in groups))


def _texts(raw: Sequence[Any], count: int) -> list[str]:
    if not isinstance(raw, list) or len(raw) != count or not all(isinstance(item, str) for item in raw):
        raise ValueError(f"whoami: {count} texts, not {raw!r}")
    return raw


def _answer(raw: Mapping[str, Any]) -> Answer:
    if not raw.keys() <= {"match", "stdout", "stderr", "exit"} or "match" not in raw:
        raise ValueError(f"programs: match, stdout, stderr and exit, not {sorted(raw)}")
    return Answer(
        re.compile(raw["match"], re.IGNORECASE),
        str(raw.get("stdout", "")),
        str(raw.get("stderr", "")),
        int(raw.get("exit", 0)),
    )
