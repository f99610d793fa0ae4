"""Plugins: typed registries over entry points. An instance each, no module state; what fails to load is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from azpreflight.errors import InputError, unknown
from azpreflight.model import Problem

T = TypeVar("T")


class Registry(Generic[T], Mapping[str, T]):
    """Named plugins of one kind.

    Args:
        kind: what the plugins are, for messages.
        group: the entry point group in which distributions offer further ones.
    """

    def __init__(self, kind: str, group: str) -> None:
        self.kind = kind
        self.group = group
        self.problems: list[Problem] = []
        self._plugins: dict[str, T] = {}

    def register(self, name: str, plugin: T) -> None:
        """Add a plugin.

        Raises:
            InputError: the name is taken.
        """
        if name in self._plugins:
            message = f"{self.kind} {name!r} is registered twice"
            raise InputError(Problem(code=f"duplicate-{self.kind}", message=message, where=self.group))
        self._plugins[name] = plugin

    def load_entry_points(self, kind: type[T]) -> None:
        """Register what installed distributions offer. One that does not load is a problem of the report, no crash."""
        for point in entry_points(group=self.group):
            where = f"{point.dist.name} {point.dist.version}" if point.dist else self.group
            try:
                plugin = point.load()
            except Exception as error:  # noqa: BLE001 - third-party code may raise anything; it is reported, not hidden
                message = f"{self.kind} {point.name!r} did not load: {type(error).__name__}: {error}"
                self.problems.append(Problem(code="plugin-not-loaded", message=message, where=where))
                continue
            if isinstance(plugin, kind):
                self.register(point.name, plugin)
            else:
                message = f"{self.kind} {point.name!r} is a {type(plugin).__name__}, not a {kind.__name__}"
                self.problems.append(Problem(code="plugin-not-loaded", message=message, where=where))

    def find(self, name: str, *, where: str) -> T:
        """The plugin of that name.

        Raises:
            InputError: there is none; names the nearest.
        """
        try:
            return self._plugins[name]
        except KeyError:
            raise InputError(unknown(self.kind, name, self._plugins, where=where)) from None

    def __getitem__(self, name: str) -> T:
        return self._plugins[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._plugins)

    def __len__(self) -> int:
        return len(self._plugins)


def members(module_values: Iterable[object], kind: type[T]) -> Iterator[T]:
    """The objects of one kind among a module's values, each once."""
    seen: set[int] = set()
    for value in module_values:
        if isinstance(value, kind) and id(value) not in seen:
            seen.add(id(value))
            yield value
