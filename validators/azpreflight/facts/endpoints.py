"""Tables of outbound endpoints: which of them a site needs, and what stands for each when it is probed."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec

from azpreflight.model import Citation, Frozen, Phase
from azpreflight.site.model import Cloud, Site, WitnessKind
from azpreflight.site.references import resolve

_PHASES = {
    Phase.PRE_DEPLOY: "deployment",
    Phase.POST_DEPLOY: "post-deployment",
    Phase.DAY_2: "post-deployment",
}
_IN_USE: Mapping[str, Callable[[Site], bool]] = MappingProxyType(
    {
        "arc-gateway": lambda site: site.azure.arc_gateway is True,
        "cloud-witness": lambda site: site.witness.kind is WitnessKind.CLOUD,
    }
)
"""What a site can tell about a conditional endpoint. Services that it does not speak of are taken as not in use."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_NAME = re.compile(r"[a-z0-9-]{1,63}")


class Endpoint(Frozen, kw_only=True):
    """One outbound name that a product needs.

    host: as published, may be a wildcard or hold placeholders (`{region}`, `{key_vault}`: references of the site).
    probe: the host that stands in for it, None where there is none and the endpoint cannot be probed.
    clouds, regions, phases: where and when it is needed; no regions mean all. when: what must be in use for it to be
    needed. gateway_since: the first Azure Local release whose Arc gateway carries it.
    inspection_allowed: whether TLS inspection is, None where nothing is said. source: one of the table's.
    """

    id: str
    product: str
    host: str
    probe: str | None
    path: str = "/"
    port: int
    protocol: str
    service: str
    required: bool
    when: str | None = None
    clouds: tuple[str, ...]
    regions: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()
    gateway_since: str | None = None
    inspection_allowed: bool | None = None
    source: str


class EndpointTable(Frozen, kw_only=True):
    """A dated table of outbound endpoints.

    sources: what endpoints name as theirs. regions: by cloud, those of which it lists what they need; empty where the
    product needs the same everywhere.
    """

    date: datetime.date
    sources: dict[str, Citation]
    regions: dict[str, tuple[str, ...]] = {}
    endpoints: tuple[Endpoint, ...]


def region_of(site: Site) -> str | None:
    """The declared region as Azure spells it in names (`eastus` for `East US`), or None when none is declared."""
    return (site.azure.region or "").replace(" ", "").casefold() or None


def needed(table: EndpointTable, site: Site, phase: Phase) -> tuple[Endpoint, ...]:
    """The endpoints that the site needs directly, in the order of the table, each host and port that is probed once.

    Placeholders (`{region}`, `{key_vault}`: a reference of the site without its `site.`) are filled in. Where the site
    does not declare the value, the placeholder stays in `host` and there is no `probe`.
    """
    found: dict[tuple[str, int], Endpoint] = {}
    for endpoint in table.endpoints:
        if _is_needed(endpoint, site, phase):
            host = _filled(endpoint.host, site) or endpoint.host
            probe = _filled(endpoint.probe, site) if endpoint.probe else None
            spelled = msgspec.structs.replace(endpoint, host=host, probe=probe)
            found.setdefault((probe or host, endpoint.port), spelled)
    return tuple(found.values())


def probe_of(endpoint: Endpoint, site: Site) -> str | None:
    """The URL that proves the path to an endpoint, None where nothing stands for it or it is not spoken over HTTP."""
    host = _filled(endpoint.probe, site) if endpoint.probe else None
    if host is None or "*" in host or endpoint.protocol not in _DEFAULT_PORTS:
        return None
    port = "" if endpoint.port == _DEFAULT_PORTS[endpoint.protocol] else f":{endpoint.port}"
    return f"{endpoint.protocol}://{host}{port}{endpoint.path}"


def _is_needed(endpoint: Endpoint, site: Site, phase: Phase) -> bool:
    if site.azure.cloud not in endpoint.clouds:
        return False
    if endpoint.regions and region_of(site) not in endpoint.regions:
        return False
    if endpoint.phases and _PHASES[phase] not in endpoint.phases:
        return False
    if endpoint.when is not None:
        return endpoint.when in _IN_USE and _IN_USE[endpoint.when](site)
    return endpoint.required and not _carried(endpoint, site)


def _carried(endpoint: Endpoint, site: Site) -> bool:
    """Whether the Arc gateway carries the name, so that no node needs a path of its own to it.

    Only in the public cloud; a release that is not declared is taken to be new enough.
    """
    if endpoint.gateway_since is None or not site.azure.arc_gateway or site.azure.cloud is not Cloud.PUBLIC:
        return False
    return site.cluster.release is None or site.cluster.release >= endpoint.gateway_since


def _filled(text: str, site: Site) -> str | None:
    """The text with its placeholders filled in; None when the site lacks a value or it cannot be part of a name."""
    values: dict[str, str] = {}
    for name in _PLACEHOLDER.findall(text):
        given = (region_of(site),) if name == "region" else resolve(f"site.{name}", site)
        value = next(iter(given), None)
        if value is None or _NAME.fullmatch(value.casefold()) is None:
            return None
        values[name] = value.casefold()
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text)
