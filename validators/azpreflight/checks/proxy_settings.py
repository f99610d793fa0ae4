"""The places of a node that name a proxy: WinINET, WinHTTP, environment. Each as what it says, none of it judged.

A place may hold a user and a password. They are never part of a message: what is shown of a proxy is its host and port.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from azpreflight.checks.check import unjudged
from azpreflight.checks.view import NotApplicable, NotObserved, View
from azpreflight.facts.observation import Status
from azpreflight.facts.registry_tree import RegistryTree
from azpreflight.facts.winhttp import AUTO_DETECT, DIRECT, NAMED_PROXY, SCRIPT, WinHttpProxy, parse_winhttp
from azpreflight.model import Finding, Frozen
from azpreflight.site.model import Site

POLICY = "proxy.policy"
MACHINE = "proxy.machine"
CONNECTIONS = "proxy.connections"
ENVIRONMENT = "system.environment"
ACCOUNTS = {
    "LocalSystem": "proxy.local_system",
    "LocalService": "proxy.local_service",
    "NetworkService": "proxy.network_service",
}
"""The accounts that services run under, and the fact that holds the settings of each."""
FACTS = (POLICY, MACHINE, CONNECTIONS, ENVIRONMENT, *ACCOUNTS.values())

NO_PROXY_IN_USE = "no proxy is declared, and no place of the node names one"

WININET, WINHTTP = "WinINET", "WinHTTP"
NO_PROXY = "NO_PROXY"
VARIABLES = {"http": "HTTP_PROXY", "https": "HTTPS_PROXY"}
"""By the scheme of what goes through the proxy."""

_PROXY = re.compile(
    r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?(?:(?P<login>[^/\s]*)@)?"
    r"(?P<host>\[[0-9a-f:.]+\]|[^\s/:@\[\]]+)(?::(?P<port>[0-9]{1,5}))?/?",
    re.IGNORECASE,
)

T = TypeVar("T", int, str)


class Proxy(Frozen, kw_only=True):
    """A proxy as a place names it. scheme, port: None where none is named. login: whether a user stands before it."""

    scheme: str | None
    host: str
    port: int | None
    login: bool

    @property
    def shown(self) -> str:
        """The proxy without any user, as people write it."""
        scheme = f"{self.scheme}://" if self.scheme else ""
        return f"{scheme}{self.host}" + ("" if self.port is None else f":{self.port}")

    def agrees(self, other: Proxy) -> bool:
        """Whether both are the same proxy. Scheme and a missing port are the form of a setting, not another proxy."""
        return self.host == other.host and (self.port == other.port or None in (self.port, other.port))


class Place(Frozen, kw_only=True):
    """One place that can name a proxy.

    servers: what is named, by the scheme of what goes through it. schemes: those that the place is there for.
    bypass: its list of what goes around the proxy, None where the place has none of its own. script: URL of a
    configuration script. detects: whether the proxy is looked for on the network instead of named. unknown: why nothing
    of this is known, None where it is.
    """

    name: str
    servers: Mapping[str, str]
    schemes: tuple[str, ...] = ("http", "https")
    bypass: str | None = None
    script: str | None = None
    detects: bool = False
    unknown: str | None = None


def proxy_of(text: str) -> Proxy | None:
    """The proxy that a text names, or None where it is not to be understood."""
    match = _PROXY.fullmatch(text.strip())
    if match is None:
        return None
    scheme, port = match["scheme"], match["port"]
    return Proxy(
        scheme=scheme.casefold() if scheme else None,
        host=match["host"].casefold().rstrip("."),
        port=int(port) if port else None,
        login=match["login"] is not None,
    )


def declared(site: Site) -> dict[str, Proxy]:
    """The declared proxies by scheme; one that is declared for one scheme alone holds for the other as well."""
    http, https = site.proxy.http or site.proxy.https, site.proxy.https or site.proxy.http
    texts = {"http": http, "https": https}
    return {scheme: proxy for scheme, text in texts.items() if text and (proxy := proxy_of(text)) is not None}


def places(view: View) -> list[Place]:
    """Every place that counts on the node, environment first.

    WinINET is that of the machine where policy says so, otherwise that of each account that services run under. A place
    whose fact could not be had, or whose value is not of its type, is there and unknown.

    Raises:
        NotObserved: the policy is not known, by which it is decided what counts.
    """
    found = [*environment(view), _known(WINHTTP, lambda: _winhttp(view))]
    if per_machine(view):
        return [*found, machine_wininet(view)]
    for account, fact in ACCOUNTS.items():
        name = f"{WININET} of {account}"
        found.append(_known(name, partial(_internet_settings, view, name, fact, None)))
    return found


def per_machine(view: View) -> bool:
    """Whether policy makes the WinINET settings of the machine those of every account."""
    return _typed(view, POLICY, view.registry(POLICY), "ProxySettingsPerUser", int) == 0


def machine_wininet(view: View) -> Place:
    """WinINET as it is set for the machine, whether or not that counts."""
    return _known(
        WININET, lambda: _internet_settings(view, WININET, MACHINE, _stored(view, "DefaultConnectionSettings"))
    )


def in_use(view: View, found: list[Place]) -> bool:
    """Whether the site has a proxy: one is declared, or a place names one or a script that does, or may do so."""
    return bool(declared(view.site)) or any(place.servers or place.script or place.unknown for place in found)


def used_places(view: View) -> list[Place]:
    """Every place that counts.

    Raises:
        NotApplicable: the site has no proxy.
    """
    found = places(view)
    if not in_use(view, found):
        raise NotApplicable(NO_PROXY_IN_USE)
    return found


def naming_places(view: View) -> list[Place]:
    """Every place that names a proxy, or of which it is not known.

    Raises:
        NotApplicable: no place does.
    """
    found = [place for place in used_places(view) if place.servers or place.unknown]
    if not found:
        raise NotApplicable("no place of the node names a proxy")
    return found


def unknown(place: Place) -> Finding:
    """The finding on a place of which nothing is known."""
    return unjudged(place.name, f"what {place.name} names is not known: {place.unknown}")


def environment(view: View) -> list[Place]:
    """The variables of the machine."""
    return [_known(name, partial(_variable, view, scheme, name)) for scheme, name in VARIABLES.items()]


def _variable(view: View, scheme: str, name: str) -> Place:
    tree = view.registry(ENVIRONMENT)
    text, bypass = _typed(view, ENVIRONMENT, tree, name, str), _typed(view, ENVIRONMENT, tree, NO_PROXY, str)
    return Place(name=name, servers={scheme: text} if text else {}, schemes=(scheme,), bypass=bypass or "")


def _winhttp(view: View) -> Place:
    stored = _stored(view, "WinHttpSettings")
    return _place(WINHTTP, WinHttpProxy(flags=DIRECT) if stored is None else stored)


def _known(name: str, read: Callable[[], Place]) -> Place:
    """The place that is read, or one of that name of which nothing is known."""
    try:
        return read()
    except NotObserved as error:
        return Place(name=name, servers={}, unknown=str(error))


def _internet_settings(view: View, name: str, fact: str, stored: WinHttpProxy | None) -> Place:
    """The values of one key of Internet settings, and the form in which they are stored, where that is known.

    WinINET goes by the stored form. For an account it is made of the values; for the machine nobody makes it so, and
    what sets the machine's proxy writes it alone. So a proxy in it wins over the one in the values.
    """
    tree = view.registry(fact)
    # What is not there is switched off.
    enabled = _typed(view, fact, tree, "ProxyEnable", int)
    kept = stored or WinHttpProxy(flags=DIRECT)
    # The stored form keeps a script that is switched off; the value beside it is taken away then.
    script = _typed(view, fact, tree, "AutoConfigURL", str) or (kept.script if kept.flags & SCRIPT else None)
    flags = (NAMED_PROXY if enabled else 0) | (SCRIPT if script else 0) | (kept.flags & AUTO_DETECT)
    texts = {part: _typed(view, fact, tree, part, str) or None for part in ("ProxyServer", "ProxyOverride")}
    proxy, bypass = texts["ProxyServer"], texts["ProxyOverride"]
    if kept.flags & NAMED_PROXY and kept.proxy:
        flags, proxy, bypass = flags | NAMED_PROXY, kept.proxy, kept.bypass
    return _place(name, WinHttpProxy(flags=flags, proxy=proxy, bypass=bypass, script=script))


def _place(name: str, stored: WinHttpProxy) -> Place:
    servers = stored.servers
    looks = bool(stored.flags & AUTO_DETECT) and not servers
    script = stored.script if stored.flags & SCRIPT else None
    return Place(name=name, servers=servers, bypass=stored.bypass or "", script=script, detects=looks)


def _stored(view: View, name: str) -> WinHttpProxy | None:
    """Settings that are stored as bytes; None where there are none."""
    data = _typed(view, CONNECTIONS, view.registry(CONNECTIONS), name, str)
    if data is None:
        return None
    try:
        return parse_winhttp(bytes.fromhex(data))
    except ValueError as error:
        reason = f"{name} cannot be read: {error}"
        raise NotObserved(CONNECTIONS, view.node.name, Status.FAILED, reason) from error


def _typed(view: View, fact: str, tree: RegistryTree, name: str, kind: type[T]) -> T | None:
    """A value of its type; None when it does not exist.

    Raises:
        NotObserved: it exists and is of another type.
    """
    if not tree.has_value(name):
        return None
    value = tree.get(name)
    if isinstance(value, bool) or not isinstance(value, kind):
        reason = f"{name} is no {'number' if kind is int else 'text'}"
        raise NotObserved(fact, view.node.name, Status.FAILED, reason)
    return value
