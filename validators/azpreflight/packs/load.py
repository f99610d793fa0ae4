"""Finding packs, reading them strictly, and putting several together."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from azpreflight.documents import Document, convert
from azpreflight.errors import InputError, unknown
from azpreflight.facts.classes import ClassTable
from azpreflight.facts.endpoints import EndpointTable
from azpreflight.facts.query import CurlQuery, HttpQuery, Query
from azpreflight.model import PackInfo, Problem, TableInfo
from azpreflight.packs.model import Area, ExampleFile, Pack, PackManifest, Rule
from azpreflight.packs.tables import read_document, read_table

CLASSES = "classes.json"
ENDPOINTS = "endpoints"
"""The name of the table that an operator may supply a newer one of."""
MANIFEST = "pack.yaml"


def builtin_root() -> Path:
    """The folder with the packs that come along: inside the installed package, or of the checkout.

    Raises:
        InputError: neither exists; the installation is damaged.
    """
    package = Path(__file__).parents[1]
    checkout = package.parents[1]
    if (package / "rules").is_dir():
        return package / "rules"
    if (checkout / "pyproject.toml").is_file() and (checkout / "rules").is_dir():
        return checkout / "rules"
    message = "the rule packs are missing from this installation; install azpreflight again"
    raise InputError(Problem(code="no-packs", message=message, where=str(package)))


def find_packs(root: Path | None = None) -> dict[str, Path]:
    """Folders of the packs below `root` (default: those that come along), by name of the folder."""
    return {path.parent.name: path.parent for path in sorted((root or builtin_root()).glob(f"*/{MANIFEST}"))}


def read_examples(folder: Path) -> dict[str, tuple[Document, ExampleFile]]:
    """The example files of a pack, by path."""
    documents = {str(path): read_document(path) for path in sorted((folder / "examples").glob("*.yaml"))}
    return {
        path: (document, convert(document, ExampleFile))
        for path, document in documents.items()
        if Path(path).name != "site.yaml"
    }


def load_pack(folder: Path) -> Pack:
    """Read one pack folder: `pack.yaml`, `<area>.yaml`, `<table>.json`.

    Raises:
        InputError: every mistake in its files, each with file, line and column.
    """
    manifest_path = folder / MANIFEST
    if not manifest_path.is_file():
        message = f"is no pack: it has no {MANIFEST}"
        raise InputError(Problem(code="no-manifest", message=message, where=str(folder)))
    manifest = convert(read_document(manifest_path), PackManifest)
    rules: dict[str, Rule] = {}
    queries: dict[str, Query] = {}
    origins: dict[str, str] = {}
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.yaml")):
        if path.name == MANIFEST:
            continue
        try:
            document = read_document(path)
            area = convert(document, Area)
        except InputError as error:
            problems.extend(error.problems)
            continue
        named: list[tuple[str, tuple[str | int, ...]]] = [
            *((rule.id, ("rules", index)) for index, rule in enumerate(area.rules)),
            *((name, ("queries", name)) for name in area.queries),
        ]
        for name, at in named:
            where = document.where(at)
            if name in origins:
                message = f"{name} is defined twice; first at {origins[name]}"
                problems.append(Problem(code="duplicate-id", message=message, where=where))
            origins.setdefault(name, where)
        rules.update({rule.id: rule for rule in area.rules})
        queries.update(area.queries)
    tables: dict[str, EndpointTable] = {}
    table_infos: dict[str, TableInfo] = {}
    for path in sorted(folder.glob("*.json")):
        if path.name != CLASSES:
            try:
                tables[path.stem], table_infos[path.stem] = read_table(path, path.stem)
            except InputError as error:
                problems.extend(error.problems)
    if problems:
        raise InputError(*problems)
    return Pack(
        info=PackInfo(name=manifest.name, version=manifest.version, sha256=_digest(folder)),
        title=manifest.title,
        rules=tuple(rules.values()),
        queries=queries,
        tables=tables,
        table_infos=table_infos,
        requires=manifest.requires,
        products=manifest.products,
        origins=origins,
    )


def _digest(folder: Path) -> str:
    """SHA-256 over names and contents of a pack's files, the same on every system."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in {".yaml", ".json"}:
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            # A checkout on Windows may carry CRLF; the pack is the same.
            digest.update(path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()


class PackSet:
    """Packs that are used together: every name unique, every required pack there.

    Attributes:
        packs: in the order of loading.
        rules: by id. aliases: old ids and what they became.
        queries: by fact name.
        table_infos: of every table, by its name, which is known to all packs that require the one that has it.
        classes: the class table.
        origins: file, line and column of every rule and query.
    """

    def __init__(
        self,
        packs: Sequence[Pack],
        classes: ClassTable,
        supplied: Mapping[str, tuple[EndpointTable, TableInfo]] | None = None,
    ) -> None:
        """Put packs together. supplied: tables that stand in place of those of the packs, by name."""
        self.packs = tuple(packs)
        self.classes = classes
        self.rules: dict[str, Rule] = {}
        self.pack_of: dict[str, Pack] = {}
        self.aliases: dict[str, str] = {}
        self.queries: dict[str, Query] = {}
        self.origins: dict[str, str] = {}
        self._pack_of_query: dict[str, Pack] = {}
        self.table_infos: dict[str, TableInfo] = {}
        problems: list[Problem] = []
        for pack in packs:
            for name, where in pack.origins.items():
                if name in self.origins:
                    message = f"{name} is also defined at {self.origins[name]}"
                    problems.append(Problem(code="duplicate-id", message=message, where=where))
                self.origins[name] = where
            self.queries.update(pack.queries)
            self._pack_of_query.update(dict.fromkeys(pack.queries, pack))
            for rule in pack.rules:
                self.rules[rule.id] = rule
                self.pack_of[rule.id] = pack
                self.aliases.update(dict.fromkeys(rule.aliases, rule.id))
        for alias in self.aliases.keys() & self.rules.keys():
            message = f"{alias} is an alias of {self.aliases[alias]} and a rule of its own"
            problems.append(Problem(code="duplicate-id", message=message, where=self.origins[alias]))
        problems += self._add_tables(supplied or {})
        if problems:
            raise InputError(*problems)

    def _add_tables(self, supplied: Mapping[str, tuple[EndpointTable, TableInfo]]) -> Iterator[Problem]:
        """Let each pack see its own tables and those of the packs that it requires."""
        tables: dict[str, EndpointTable] = {}
        owners: dict[str, str] = {}
        for pack in self.packs:
            for name, table in pack.tables.items():
                if name in owners:
                    message = f"the table {name} is also in pack {owners[name]}"
                    yield Problem(code="duplicate-id", message=message, where=pack.info.name)
                owners[name] = pack.info.name
                tables[name], self.table_infos[name] = supplied.get(name) or (table, pack.table_infos[name])
        for name in supplied.keys() - owners.keys():
            yield Problem(code="no-effect", message=f"no pack has a table {name} to be replaced", where="--endpoints")
        self._tables = {
            pack.info.name: {
                name: table.of_products(pack.products) if pack.products else table
                for name, table in tables.items()
                if owners[name] in (pack.info.name, *pack.requires)
            }
            for pack in self.packs
        }

    def tables_of(self, pack: Pack) -> Mapping[str, EndpointTable]:
        """The tables that a pack sees, by name: of its products alone."""
        return self._tables[pack.info.name]

    def tables_beside(self, fact: str) -> Mapping[str, EndpointTable]:
        """The tables that the pack sees which defines a fact."""
        return self.tables_of(self._pack_of_query[fact])

    def table_of(self, fact: str) -> EndpointTable | None:
        """The endpoint table that a fact is read by, None when it is read by none."""
        read = self.queries[fact].read
        return self.tables_beside(fact)[read.table] if isinstance(read, (CurlQuery, HttpQuery)) and read.table else None


def load_packs(
    names: Iterable[str] = (),
    *,
    root: Path | None = None,
    folders: Iterable[Path] = (),
    endpoints: Path | None = None,
) -> PackSet:
    """Read packs by name (all that come along when none is named) and further pack folders, with what they require.

    endpoints: a table of endpoints in place of the packs' own.

    Raises:
        InputError: an unknown pack, with the nearest name; any mistake in a pack.
    """
    available = find_packs(root)
    extra = {folder.resolve().name: folder for folder in folders}
    wanted = list(names) or list(available)
    wanted += [name for name in extra if name not in wanted]
    available |= extra
    loaded: dict[str, Pack] = {}
    problems: list[Problem] = []
    where = "--pack"
    queue = [(name, where) for name in wanted]
    while queue:
        name, where = queue.pop(0)
        if name in loaded:
            continue
        if name not in available:
            problems.append(unknown("pack", name, available, where=where))
            continue
        try:
            loaded[name] = load_pack(available[name])
        except InputError as error:
            problems.extend(error.problems)
            continue
        queue.extend((required, str(available[name] / MANIFEST)) for required in loaded[name].requires)
    if problems:
        raise InputError(*problems)
    tables = [available[name] / CLASSES for name in loaded if (available[name] / CLASSES).is_file()]
    try:
        classes = ClassTable.read(*tables)
    except msgspec.DecodeError as error:
        raise InputError(Problem(code="syntax", message=f"class table: {error}", where=CLASSES)) from error
    supplied = {ENDPOINTS: read_table(endpoints, ENDPOINTS, supplied=True)} if endpoints is not None else None
    return PackSet(list(loaded.values()), classes, supplied)
