"""Who may import whom, and what importing the package costs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import azpreflight

PACKAGE = Path(azpreflight.__file__).parent

LAYERS: dict[str, set[str]] = {
    "model": set(),
    "errors": {"model"},
    "registry": {"errors", "model"},
    "redact": {"model"},
    "credentials": {"errors", "model"},
    "documents": {"errors", "model"},
    "site": {"documents", "errors", "model"},
    "connect": {"errors", "model", "site"},
    "facts": {"credentials", "documents", "errors", "model", "site"},
    "packs": {"checks", "documents", "errors", "facts", "model", "registry", "site"},
    "checks": {"errors", "facts", "model", "registry", "site"},
    "engine": {
        *("checks", "connect", "credentials", "documents", "errors", "facts", "model", "packs"),
        *("redact", "registry", "reports", "site"),
    },
    "reports": {"model", "redact"},
    "testing": {"registry", "checks", "documents", "engine", "errors", "facts", "model", "packs", "site"},
    "api": {"connect", "credentials", "engine", "errors", "facts", "model", "site"},
    "__init__": {"api", "credentials", "errors", "model", "site"},
    "cli": {
        *("checks", "connect", "credentials", "engine", "errors", "facts", "model", "packs"),
        *("redact", "reports", "site", "testing"),
    },
    "__main__": {"cli"},
}
"""Each part and the parts that it may know."""

SOURCES = {
    "facts/winrm": {"winrm"},
    "facts/network": {"dns", "tcp", "tls", "http"},
    "facts/ldap": {"ldap"},
    "facts/recording.py": set[str](),
}
"""Where sources lie, and those that are found there. A recording speaks in the name of others."""
HEAVY = ("winrm", "requests", "dns", "ldap3", "jinja2", "rich", "cryptography", "spnego", "click")


def part_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def modules() -> Iterator[Path]:
    return PACKAGE.rglob("*.py")


def test_every_import_goes_in_the_allowed_direction() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in modules()
        for name in imports(path)
        if name.startswith("azpreflight.")
        and (target := name.split(".")[1]) != part_of(path)
        and (PACKAGE / target).with_suffix(".py").exists() | (PACKAGE / target).is_dir()
        and target not in LAYERS[part_of(path)]
    ]
    assert wrong == []


def assigned(path: Path, name: str) -> Iterator[str]:
    """The texts that a module assigns to a name of its own."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            yield from (str(node.value.value) for target in node.targets if getattr(target, "id", None) == name)


def test_sources_lie_where_the_table_says() -> None:
    named: dict[str, set[str]] = {place: set() for place in SOURCES}
    for path in modules():
        place = path.relative_to(PACKAGE).as_posix()
        answers = path.name != "collection.py" and re.search(r"def collect_(site|node)\(", path.read_text("utf-8"))
        names = set(assigned(path, "SOURCE"))
        if answers or names:
            home = next((home for home in SOURCES if place.startswith(home)), place)
            named.setdefault(home, set()).update(names)
    assert named == SOURCES


def test_checks_know_no_source() -> None:
    sources = tuple(f"azpreflight.{home.removesuffix('.py').replace('/', '.')}" for home in SOURCES)
    wrong = [
        f"{path.name} imports {name}"
        for path in (PACKAGE / "checks").glob("*.py")
        for name in imports(path)
        if name.startswith(sources)
    ]
    assert wrong == []


def test_importing_the_package_loads_no_network_library() -> None:
    code = "import sys, azpreflight; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in HEAVY if name in loaded] == []


def test_every_module_is_small_enough_to_hold_in_the_head() -> None:
    long = {str(p.relative_to(PACKAGE)): n for p in modules() if (n := len(p.read_text().splitlines())) > 400}
    assert long == {}
