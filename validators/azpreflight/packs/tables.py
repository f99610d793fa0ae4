"""Reading tables of endpoints strictly: those of packs, and one that the operator supplies."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from azpreflight.documents import Document, Place, convert, read_bytes, read_json, read_yaml
from azpreflight.errors import InputError, unknown
from azpreflight.facts.endpoints import PLACEHOLDERS, Endpoint, EndpointTable, placeholders_in
from azpreflight.model import Problem, TableInfo


def read_document(path: Path) -> Document:
    """One YAML or JSON file of a pack, or of the operator.

    Raises:
        InputError: it cannot be read or is malformed.
    """
    data = read_bytes(path)
    return read_json(data, str(path)) if path.suffix == ".json" else read_yaml(data, str(path))


def read_table(path: Path, name: str, *, supplied: bool = False) -> tuple[EndpointTable, TableInfo]:
    """A table of endpoints and its identity. supplied: it is the operator's own, in place of a pack's.

    Raises:
        InputError: it cannot be read, or is no table; names every mistake with its place.
    """
    document = read_document(path)
    table = convert(document, EndpointTable)
    if problems := list(_mistakes(document, table)):
        raise InputError(*problems)
    # A checkout on Windows may carry CRLF; the table is the same.
    digest = hashlib.sha256(read_bytes(path).replace(b"\r\n", b"\n")).hexdigest()
    return table, TableInfo(name=name, date=table.date, sha256=digest, supplied=supplied)


def _mistakes(document: Document, table: EndpointTable) -> Iterator[Problem]:
    """What no single value shows: names that stand for nothing, entries that contradict each other or themselves."""
    seen: dict[str, str] = {}
    names: dict[tuple[object, ...], str] = {}
    for number, endpoint in enumerate(table.endpoints):
        place: Place = ("endpoints", number)
        if endpoint.id in seen:
            message = f"{endpoint.id} is there twice; first at {seen[endpoint.id]}"
            yield Problem(code="duplicate-id", message=message, where=document.where((*place, "id")))
        seen.setdefault(endpoint.id, document.where(place))
        for key in _keys(endpoint):
            if key in names:
                message = (
                    f"{endpoint.host}:{endpoint.port} is there twice for {endpoint.product}; first as {names[key]}"
                )
                yield Problem(code="duplicate-host", message=message, where=document.where((*place, "host")))
                break
        names.update((key, endpoint.id) for key in _keys(endpoint) if key not in names)
        for at, source in enumerate(endpoint.sources):
            if source not in table.sources:
                yield unknown("source", source, table.sources, where=document.where((*place, "sources", at)))
        for field, host in (("host", endpoint.host), ("probe", endpoint.probe or "")):
            for placeholder in placeholders_in(host):
                if placeholder not in PLACEHOLDERS:
                    where = document.where((*place, field))
                    yield unknown("placeholder", placeholder, PLACEHOLDERS, where=where)
        for field, message in _contradictions(endpoint, table):
            yield Problem(code="bad-value", message=message, where=document.where((*place, field)))
    cited = {source for endpoint in table.endpoints for source in endpoint.sources}
    for source in table.sources:
        if source not in cited:
            where = document.where(("sources", source))
            yield Problem(code="no-effect", message=f"the source {source!r} is cited by no endpoint", where=where)


def _keys(endpoint: Endpoint) -> list[tuple[object, ...]]:
    """What no two entries may share: one product's need of one address, in one cloud and region."""
    need = (endpoint.product, endpoint.vendor, endpoint.services, endpoint.host, endpoint.port, endpoint.path)
    return [(*need, cloud, region) for cloud in endpoint.clouds for region in endpoint.regions or ("",)]


def _contradictions(endpoint: Endpoint, table: EndpointTable) -> Iterator[tuple[str, str]]:
    """A field that contradicts another one of the same entry, and how."""
    if "*" in (endpoint.probe or ""):
        yield "probe", "a wildcard cannot be probed; name a host that stands for it, or none"
    if endpoint.probe == endpoint.host:
        yield "probe", "a host stands for itself; leave this out"
    if endpoint.protocol == "ntp" and endpoint.probe is not None:
        yield "probe", "time over UDP is not probed; leave this out"
    if {"http": 443, "https": 80, "ntp": 443}[endpoint.protocol] == endpoint.port:
        yield "port", f"{endpoint.protocol} is not spoken on port {endpoint.port}"
    if endpoint.gateway_since is not None and not endpoint.gateway:
        yield "gateway_since", "the Arc gateway does not carry it, says `gateway`"
    known = {region for clouds in table.regions.get(endpoint.product, {}).values() for region in clouds}
    for region in endpoint.regions:
        if known and region not in known:
            yield "regions", unknown("region", region, known).message
