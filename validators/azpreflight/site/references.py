"""The closed set of names by which queries and rules, which are data, refer to the site.

The values come from a file that somebody wrote: whoever puts one into a filter or a command line quotes it there.
"""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import msgspec

from azpreflight.errors import InputError, unknown
from azpreflight.site.distinguished_name import DistinguishedName
from azpreflight.site.model import Cloud, DnsMode, Node, Range, Site, Traffic

Reference: TypeAlias = Callable[[Site, Node | None], tuple[str, ...]]
"""Answers with every value of one name; with none when the site does not declare it."""

PLACEHOLDER = re.compile(r"\{((?:site|node)\.[a-z_]+)\}")
"""A reference inside of a text."""

MOST_POOL_ADDRESSES = 1024
"""More addresses than this are not looked at one by one; a deployment uses 255 at most."""


DEFAULT_PORTS: Mapping[str, int] = MappingProxyType({"http": 80, "https": 443})
"""Ports of URLs that name none."""

MANAGEMENT_HOSTS: Mapping[Cloud, str] = MappingProxyType(
    {
        Cloud.PUBLIC: "management.azure.com",
        Cloud.US_GOVERNMENT: "management.usgovcloudapi.net",
        Cloud.CHINA: "management.chinacloudapi.cn",
    }
)
"""The host of the resource manager of each cloud."""

LOGIN_HOSTS: Mapping[Cloud, str] = MappingProxyType(
    {
        Cloud.PUBLIC: "login.microsoftonline.com",
        Cloud.US_GOVERNMENT: "login.microsoftonline.us",
        Cloud.CHINA: "login.chinacloudapi.cn",
    }
)
"""The host where everything logs on to each cloud."""

VAULT_DOMAINS: Mapping[Cloud, str] = MappingProxyType(
    {
        Cloud.PUBLIC: "vault.azure.net",
        Cloud.US_GOVERNMENT: "vault.usgovcloudapi.net",
        Cloud.CHINA: "vault.azure.cn",
    }
)
"""The domain in which the key vaults of each cloud have their names."""

PUBLIC_ZONE = "example.com"
"""A public zone that is kept for documentation (RFC 2606), so that nobody makes names in it."""


def resolve(reference: str, site: Site, node: Node | None = None) -> tuple[str, ...]:
    """The values of `reference`, empty when not declared. `node` is the one that `node.…` speaks of."""
    if reference not in REFERENCES:
        raise InputError(unknown("reference", reference, REFERENCES))
    return REFERENCES[reference](site, node)


def values_of(names: Iterable[str], site: Site, node: Node | None = None) -> list[str]:
    """What references and literals stand for, each once: a reference for its values, anything else for itself."""
    found = (resolve(name, site, node) if name in REFERENCES else (name,) for name in names)
    return list(dict.fromkeys(value for values in found for value in values))


def filled(text: str, site: Site, node: Node | None = None) -> tuple[str, ...]:
    """A text in which `{site.gateway}` and its like stand for declared values: one text for each of them.

    None at all when one is not declared.
    """
    texts = [text]
    for name in dict.fromkeys(PLACEHOLDER.findall(text)):
        values = resolve(name, site, node)
        texts = [found.replace(f"{{{name}}}", value) for found in texts for value in values]
    return tuple(texts)


def check_path(path: str, *, where: str = "") -> None:
    """Raise `InputError` unless `path`, such as `network.dns.zone`, names a field of the site."""
    kind: type[msgspec.Struct] | None = Site
    walked: list[str] = []
    for part in path.split("."):
        fields = _fields(kind) if kind is not None else {}
        if part not in fields:
            candidates = (".".join([*walked, field]) for field in fields)
            raise InputError(unknown("site field", path, candidates, where=where))
        walked.append(part)
        kind = fields[part]


def declared(site: Site, path: str) -> bool:
    """Whether the site declares the field at `path`; declared and empty counts. Of a list, every item has to."""
    check_path(path)
    found: list[Any] = [site]
    for part in path.split("."):
        found = [getattr(item, part) for item in _structs(found)]
    return bool(found) and all(_is_declared(value) for value in found)


def _is_declared(value: Any) -> bool:
    if isinstance(value, msgspec.Struct):
        # A section that says nothing beyond its defaults is the same as no section.
        return any(field.required for field in msgspec.structs.fields(value)) or value != type(value)()
    return value is not None


def _structs(values: Iterable[Any]) -> Iterator[msgspec.Struct]:
    for value in values:
        if isinstance(value, tuple):
            yield from value
        elif value is not None:
            yield value


@functools.cache
def _fields(struct: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct] | None]:
    """The fields of a struct, each with the struct that it or its items are, if they are one."""
    info = msgspec.inspect.type_info(struct)
    assert isinstance(info, msgspec.inspect.StructType)  # noqa: S101 - narrows for mypy, cannot fail
    return {field.encode_name: _struct_in(field.type) for field in info.fields}


def _struct_in(kind: msgspec.inspect.Type) -> type[msgspec.Struct] | None:
    match kind:
        case msgspec.inspect.StructType(cls=cls):
            return cls
        case msgspec.inspect.Metadata(type=inner) | msgspec.inspect.VarTupleType(item_type=inner):
            return _struct_in(inner)
        case msgspec.inspect.UnionType(types=types):
            return next(filter(None, map(_struct_in, types)), None)
        case _:
            return None


def _given(*values: str | None) -> tuple[str, ...]:
    return tuple(value for value in values if value)


def pool_addresses(pools: Iterable[Range]) -> Iterator[str]:
    """Every address of the pools, in order; a pool that cannot be understood or runs backwards has none."""
    for pool in pools:
        try:
            start, end = ipaddress.IPv4Address(pool.start), ipaddress.IPv4Address(pool.end)
        except ValueError:
            continue
        for number in range(int(start), int(end) + 1):
            yield str(ipaddress.IPv4Address(number))


def no_such_name(zone: str) -> str:
    """A name in a zone that nobody made. The same for each run, so that a recording answers it."""
    return f"azpreflight-{hashlib.sha256(zone.casefold().encode()).hexdigest()[:12]}.{zone}"


def _resolvers(site: Site) -> tuple[str, ...]:
    """Who is asked for names elsewhere: the DNS servers, or the forwarders where the cluster itself is the server."""
    dns = site.network.dns
    return _given(*((dns.forwarders if dns.mode is DnsMode.FORWARDER else dns.servers) or ()))


def _adapters(site: Site, traffic: Traffic) -> tuple[str, ...]:
    intents = site.network.intents or ()
    names = (adapter for intent in intents if traffic in intent.traffic for adapter in intent.adapters)
    return tuple(dict.fromkeys(names))


def _proxies(site: Site) -> tuple[str, ...]:
    return _given(site.proxy.http, site.proxy.https)


def _host_and_port(url: str) -> str:
    """What `url` connects to, as `proxy.edge.example:3128`; its port is the scheme's where it names none."""
    scheme, _, rest = url.rpartition("://")
    authority = rest.partition("/")[0].rpartition("@")[2]
    return authority if re.search(r":[0-9]+$", authority) else f"{authority}:{DEFAULT_PORTS.get(scheme.lower(), 80)}"


LONGEST_NETBIOS_NAME = 15
"""What of a computer's name its account in a directory keeps."""


def account_name(declared: str) -> str:
    """The name of an account without the domain that is written before or behind it."""
    return declared.rpartition("\\")[2].partition("@")[0]


def computer_names(site: Site) -> tuple[str, ...]:
    """The names of nodes and cluster, as the accounts of computers have them, without the dollar sign."""
    names = _given(*(node.name for node in site.nodes), site.cluster.name)
    return tuple(dict.fromkeys(name[:LONGEST_NETBIOS_NAME] for name in names))


def deployment_upn(site: Site) -> str | None:
    """The user principal name that the deployment user gets; None where user or domain are not declared."""
    user, domain = account_name(site.directory.deployment_user or ""), (site.directory.domain or "").rstrip(".")
    return f"{user}@{domain}" if user and domain else None


def _ou_parents(site: Site) -> tuple[str, ...]:
    try:
        return tuple(map(str, DistinguishedName.parse(site.directory.ou or "").parents))
    except ValueError:
        return ()


def _controller_services(site: Site) -> tuple[str, ...]:
    """The names under which the controllers of the domain are found; those of the catalog in all its parents."""
    domain = (site.directory.domain or "").strip(".")
    if not domain:
        return ()
    labels = domain.split(".")
    forests = [".".join(labels[start:]) for start in range(max(1, len(labels) - 1))]
    return (
        f"_ldap._tcp.dc._msdcs.{domain}",
        f"_ldap._tcp.pdc._msdcs.{domain}",
        f"_kerberos._tcp.{domain}",
        *(f"_gc._tcp.{forest}" for forest in forests),
    )


REFERENCES: Mapping[str, Reference] = MappingProxyType(
    {
        "site.name": lambda site, _: _given(site.name),
        "site.zone": lambda site, _: _given(site.dns_suffix),
        "site.domain": lambda site, _: _given(site.directory.domain),
        "site.cluster_name": lambda site, _: _given(site.cluster.name),
        "site.cluster_fqdn": lambda site, _: _given(site.fqdn(site.cluster.name or "")),
        "site.node_names": lambda site, _: tuple(node.name for node in site.nodes),
        "site.node_fqdns": lambda site, _: _given(*(site.fqdn(node.name) for node in site.nodes)),
        "site.node_addresses": lambda site, _: _given(*(node.address for node in site.nodes)),
        "site.subnet": lambda site, _: _given(site.network.management.subnet),
        "site.gateway": lambda site, _: _given(site.network.management.gateway),
        "site.pool_addresses": lambda site, _: tuple(
            itertools.islice(pool_addresses(site.network.management.pools or ()), MOST_POOL_ADDRESSES)
        ),
        "site.dns_servers": lambda site, _: _given(*(site.network.dns.servers or ())),
        "site.dns_forwarders": lambda site, _: _given(*(site.network.dns.forwarders or ())),
        "site.resolvers": lambda site, _: _resolvers(site),
        "site.no_such_name": lambda site, _: tuple(map(no_such_name, _given(site.dns_suffix))),
        "site.no_such_public_name": lambda *_: (no_such_name(PUBLIC_ZONE),),
        "site.ntp_servers": lambda site, _: _given(*(site.network.ntp_servers or ())),
        "site.management_adapters": lambda site, _: _adapters(site, Traffic.MANAGEMENT),
        "site.storage_adapters": lambda site, _: _adapters(site, Traffic.STORAGE),
        "site.administrator": lambda site, _: _given(site.administrator.name),
        "site.deployment_user": lambda site, _: _given(site.directory.deployment_user),
        "site.deployment_account": lambda site, _: _given(account_name(site.directory.deployment_user or "")),
        "site.deployment_upn": lambda site, _: _given(deployment_upn(site)),
        "site.ou": lambda site, _: _given(site.directory.ou),
        "site.ou_parents": lambda site, _: _ou_parents(site),
        "site.computer_names": lambda site, _: computer_names(site),
        "site.controller_services": lambda site, _: _controller_services(site),
        "site.region": lambda site, _: _given(site.azure.region),
        "site.management_host": lambda site, _: (MANAGEMENT_HOSTS[site.azure.cloud],),
        "site.login_host": lambda site, _: (LOGIN_HOSTS[site.azure.cloud],),
        "site.key_vault_host": lambda site, _: tuple(
            f"{name}.{VAULT_DOMAINS[site.azure.cloud]}" for name in _given(site.key_vault.name)
        ),
        "site.key_vault": lambda site, _: _given(site.key_vault.name),
        "site.witness_storage_account": lambda site, _: _given(site.witness.storage_account),
        "site.diagnostics_storage_account": lambda site, _: _given(site.azure.diagnostics_storage_account),
        "site.http_proxy": lambda site, _: _given(site.proxy.http),
        "site.https_proxy": lambda site, _: _given(site.proxy.https),
        "site.proxy_ports": lambda site, _: tuple(dict.fromkeys(_host_and_port(url) for url in _proxies(site))),
        "node.name": lambda _, node: _given(node.name) if node else (),
        "node.address": lambda _, node: _given(node.address) if node else (),
        "node.fqdn": lambda site, node: _given(site.fqdn(node.name)) if node else (),
    }
)
"""Every name there is. Plugins do not add to it: what a pack may say about a site is decided here."""
