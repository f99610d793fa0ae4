"""The registry of checks: those of this package and those that plugins offer."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from azpreflight import checks
from azpreflight.checks.check import Check
from azpreflight.registry import Registry, members


def check_registry() -> Registry[Check[Any]]:
    """All checks: every `Check` in the modules of `azpreflight.checks`, then the entry points `azpreflight.checks`."""
    registry: Registry[Check[Any]] = Registry("check", "azpreflight.checks")
    for found in pkgutil.iter_modules(checks.__path__):
        module = importlib.import_module(f"{checks.__name__}.{found.name}")
        for check in members(vars(module).values(), Check):
            if check.judge.__module__ == module.__name__:
                registry.register(check.name, check)
    registry.load_entry_points(Check)
    return registry
