"""Tables of outbound endpoints: which of them a site needs, and what stands for each when it is probed."""

from __future__ import annotations

import datetime
import enum
import re
from collections.abc import Callable, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from azpreflight.documents import accepted_by
from azpreflight.model import Citation, Frozen, Phase
from azpreflight.site.formats import Port
from azpreflight.site.model import Cloud, Site, WitnessKind
from azpreflight.site.references import DEFAULT_PORTS
from azpreflight.site.uses import Service, Vendor

PUBLIC_TIME_SOURCE = "time.windows.com"
"""Where Windows takes the time from unless it is told otherwise."""

PLACEHOLDERS: Mapping[str, str] = MappingProxyType(
    {
        "arc_gateway_prefix": "azure.arc_gateway_prefix",
        "data_collection_endpoint": "azure.data_collection_endpoint",
        "key_vault": "key_vault.name",
        "log_analytics_workspace": "azure.log_analytics_workspace",
        "region": "azure.region",
        "witness_storage_account": "witness.storage_account",
    }
)
"""What the host of an endpoint may leave open, and the field of the site that fills it in."""

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_NAME = re.compile(r"[a-z0-9-]{1,63}")
_NAMES = re.compile(r"[a-z0-9.-]+")
_HOST = re.compile(r"((?!\.)[a-z0-9-]*(\*|\{[a-z_]+\})?[a-z0-9-]*\.)+[a-z]{2,}")

Stage: TypeAlias = Literal["install", "connect", "deployment", "post-deployment", "run", "update", "disconnect"]
"""When in the life of a product a name is needed, in the words of the sources."""

_STAGES: Mapping[Phase, frozenset[str]] = MappingProxyType(
    {
        Phase.PRE_DEPLOY: frozenset({"install", "connect", "deployment"}),
        Phase.POST_DEPLOY: frozenset({"post-deployment", "run", "update", "disconnect"}),
        Phase.DAY_2: frozenset({"post-deployment", "run", "update", "disconnect"}),
    }
)


class Product(enum.StrEnum):
    """What needs an endpoint."""

    AZURE_LOCAL = "azure-local"
    AZURE_LOCAL_VENDOR = "azure-local-vendor"
    ARC_SERVERS = "arc-servers"
    ARC_RESOURCE_BRIDGE = "arc-resource-bridge"
    ARC_KUBERNETES = "arc-kubernetes"
    HYBRID_SERVICE = "hybrid-service"


class Circumstance(enum.StrEnum):
    """Under which an endpoint is needed, beside the use of a service.

    LINUX, OLDER_AGENT and OLDER_NAME never hold: nodes run Windows, a deployment brings the newest agent, and an older
    name is kept for what was deployed long ago. ALTERNATIVE never holds either: another entry covers the name.
    """

    ALTERNATIVE = "alternative"
    ARC_GATEWAY = "arc-gateway"
    CLOUD_WITNESS = "cloud-witness"
    LINUX = "linux"
    OLDER_AGENT = "older-agent"
    OLDER_NAME = "older-name"
    PUBLIC_TIME = "public-time"
    RELEASE_BEFORE_2504 = "release-before-2504"


_HOLDS: Mapping[Circumstance, Callable[[Site], bool]] = MappingProxyType(
    {
        Circumstance.ARC_GATEWAY: lambda site: site.azure.arc_gateway is True,
        Circumstance.CLOUD_WITNESS: lambda site: site.witness.kind is WitnessKind.CLOUD,
        Circumstance.PUBLIC_TIME: lambda site: (
            site.network.ntp_servers is None or PUBLIC_TIME_SOURCE in map(str.casefold, site.network.ntp_servers)
        ),
        Circumstance.RELEASE_BEFORE_2504: lambda site: (site.cluster.release or "2504") < "2504",
    }
)
"""The circumstances that a site can be in. A release that is not declared is taken to be a new one."""

Host: TypeAlias = Annotated[
    str,
    accepted_by(
        lambda text: len(text) < 254 and _HOST.fullmatch(text) is not None,
        "a host name in lower case such as mcr.microsoft.com, *.his.arc.azure.com or {key_vault}.vault.azure.net",
    ),
]
Release: TypeAlias = Annotated[str, Meta(pattern=r"^\d{4}$", description="a release such as '2510'")]
Word: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]*$", description="a word such as 'arc-agent'")]


class Endpoint(Frozen, kw_only=True):
    """One outbound name that a product needs.

    host: as published, may be a wildcard or hold placeholders (see `PLACEHOLDERS`).
    probe: the host that stands in for it. Where there is none, the host stands for itself, unless it is a wildcard:
    that cannot be probed.
    service: what of the product speaks to it. asked_by: who does, where it is not the node.
    clouds, regions, phases: where and when it is needed; no regions mean all.
    services, vendor, when: it is needed only where one of the services is used, on machines of that vendor, and under
    that circumstance.
    gateway: whether an Arc gateway carries it, None where nothing is said; gateway_since: from which release of Azure
    Local on.
    inspection_allowed: whether TLS inspection is, None where nothing is said.
    uncertain: the source is old or contradicted, so that a failure proves nothing.
    extended_updates: whether it belongs to the few that Extended Security Updates alone need. private_link: what
    becomes of it with private link. agent_before: the first agent that does without it.
    sources: some of the table's.
    """

    id: Annotated[str, Meta(pattern=r"^[A-Z]{3}-[a-z0-9-]+$")]
    product: Product
    host: Host
    probe: Host | None = None
    path: Annotated[str, Meta(pattern=r"^/[!-~]*$")] = "/"
    port: Port = 443
    protocol: Literal["https", "http", "ntp"] = "https"
    service: Word
    asked_by: tuple[Literal["management-machine", "appliance"], ...] = ()
    clouds: Annotated[tuple[Cloud, ...], Meta(min_length=1)]
    regions: tuple[Word, ...] = ()
    phases: Annotated[tuple[Stage, ...], Meta(min_length=1)]
    services: tuple[Service, ...] = ()
    vendor: Vendor | None = None
    when: Circumstance | None = None
    gateway: bool | None = None
    gateway_since: Release | None = None
    inspection_allowed: bool | None = None
    uncertain: bool = False
    extended_updates: bool = False
    private_link: Literal["public", "public-without-management-link", "private", "unused"] | None = None
    agent_before: Annotated[str, Meta(pattern=r"^\d+\.\d+$")] | None = None
    sources: Annotated[tuple[str, ...], Meta(min_length=1)]

    @property
    def open_fields(self) -> tuple[str, ...]:
        """The fields of the site that its placeholders, as far as they are left, stand for."""
        return tuple(PLACEHOLDERS[name] for name in placeholders_in(self.probe or self.host))


class EndpointTable(Frozen, kw_only=True):
    """A dated table of outbound endpoints.

    sources: what endpoints name as theirs. regions: by product and cloud, those of which it lists what they need; a
    product that is not named needs the same everywhere.
    """

    date: datetime.date
    sources: dict[str, Citation]
    regions: dict[Product, dict[Cloud, tuple[Word, ...]]] = {}
    endpoints: Annotated[tuple[Endpoint, ...], Meta(min_length=1)]

    def of_products(self, products: tuple[Product, ...]) -> EndpointTable:
        """The part of the table that speaks of some products."""
        return msgspec.structs.replace(
            self,
            regions={product: clouds for product, clouds in self.regions.items() if product in products},
            endpoints=tuple(endpoint for endpoint in self.endpoints if endpoint.product in products),
        )

    def listed_regions(self, cloud: Cloud) -> tuple[str, ...] | None:
        """The regions of a cloud that it lists; None where no product differs by region."""
        if not self.regions:
            return None
        return tuple(dict.fromkeys(region for clouds in self.regions.values() for region in clouds.get(cloud, ())))


def region_of(site: Site) -> str | None:
    """The declared region as Azure spells it in names (`eastus` for `East US`), or None when none is declared."""
    return (site.azure.region or "").replace(" ", "").casefold() or None


def through_gateway(site: Site) -> bool:
    """Whether an Arc gateway carries what it can. It does in the public cloud alone."""
    return site.azure.arc_gateway is True and site.azure.cloud is Cloud.PUBLIC


def needed(table: EndpointTable, site: Site, phase: Phase) -> tuple[Endpoint, ...]:
    """The endpoints that the site needs directly, in the order of the table, each host and port once.

    Placeholders are filled in and stand-ins named. Where the site does not declare a value, the placeholder stays in
    `host`, and `probe` is None as for a wildcard without stand-in.
    """
    found: dict[tuple[str, int], Endpoint] = {}
    paths: dict[tuple[str | None, int], str] = {}
    for endpoint in table.endpoints:
        if _concerns(endpoint, site, phase) and not _undecided(endpoint, site) and _in_use(endpoint, site):
            spelled = _spelled(endpoint, site)
            # Several names may have one stand-in, which is asked for once.
            path = paths.setdefault((spelled.probe, spelled.port), spelled.path)
            known = found.get((spelled.host, spelled.port))
            if known is None or (known.uncertain and not spelled.uncertain):
                found[spelled.host, spelled.port] = msgspec.structs.replace(spelled, path=path)
    return tuple(found.values())


def undecided(table: EndpointTable, site: Site, phase: Phase) -> dict[str, tuple[Endpoint, ...]]:
    """The endpoints of which the site does not say whether it needs them, by the field that would say it."""
    found: dict[str, list[Endpoint]] = {}
    for endpoint in table.endpoints:
        field = _undecided(endpoint, site)
        if field is not None and _concerns(endpoint, site, phase):
            found.setdefault(field, []).append(endpoint)
    return {field: tuple(endpoints) for field, endpoints in sorted(found.items())}


def probe_of(endpoint: Endpoint, site: Site) -> str | None:
    """The URL that proves the path to an endpoint, None where nothing stands for it or it is not spoken over HTTP."""
    host = _spelled(endpoint, site).probe
    if host is None:
        return None
    port = "" if endpoint.port == DEFAULT_PORTS[endpoint.protocol] else f":{endpoint.port}"
    return f"{endpoint.protocol}://{host}{port}{endpoint.path}"


def placeholders_in(text: str) -> tuple[str, ...]:
    """The names in braces in a host."""
    return tuple(_PLACEHOLDER.findall(text))


def _concerns(endpoint: Endpoint, site: Site, phase: Phase) -> bool:
    """Whether it is needed where and when the site is judged, leaving aside what the site uses."""
    if site.azure.cloud not in endpoint.clouds or _STAGES[phase].isdisjoint(endpoint.phases):
        return False
    if endpoint.regions and region_of(site) not in endpoint.regions:
        return False
    if endpoint.when is not None and not (endpoint.when in _HOLDS and _HOLDS[endpoint.when](site)):
        return False
    return not _carried(endpoint, site)


def _undecided(endpoint: Endpoint, site: Site) -> str | None:
    """The field that would say whether the site uses what needs the endpoint, where it does not say it."""
    if endpoint.services and site.azure.services is None:
        return "azure.services"
    if endpoint.vendor is not None and site.cluster.vendor is None:
        return "cluster.vendor"
    return None


def _in_use(endpoint: Endpoint, site: Site) -> bool:
    if endpoint.services and not set(endpoint.services) & set(site.azure.services or ()):
        return False
    return endpoint.vendor in (None, site.cluster.vendor)


def _carried(endpoint: Endpoint, site: Site) -> bool:
    """Whether the Arc gateway carries the name, so that no node needs a path of its own to it.

    A release that is not declared is taken to be new enough.
    """
    if not endpoint.gateway or not through_gateway(site):
        return False
    return endpoint.gateway_since is None or (site.cluster.release or endpoint.gateway_since) >= endpoint.gateway_since


def _spelled(endpoint: Endpoint, site: Site) -> Endpoint:
    """The endpoint with its placeholders filled in, and the host that is probed, if there is one."""
    host, probe = _filled(endpoint.host, site), _filled(endpoint.probe or endpoint.host, site)
    probed = endpoint.protocol in DEFAULT_PORTS and _NAMES.fullmatch(probe) is not None
    return msgspec.structs.replace(endpoint, host=host, probe=probe if probed else None)


def _filled(text: str, site: Site) -> str:
    """The text with its placeholders filled in, but for those of which the site has no value that can be in a name."""

    def value(match: re.Match[str]) -> str:
        found = region_of(site) if match[1] == "region" else attrgetter(PLACEHOLDERS[match[1]])(site)
        return found.casefold() if found is not None and _NAME.fullmatch(found.casefold()) else match[0]

    return _PLACEHOLDER.sub(value, text)
