"""Which proxy stands between a node and a host: the declared one, or the one that the node itself is set to."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.query import CurlQuery
from azpreflight.facts.registry_tree import RegistryTree
from azpreflight.facts.winhttp import SCRIPT, parse_winhttp
from azpreflight.model import Frozen
from azpreflight.site.model import Site
from azpreflight.site.references import DEFAULT_PORTS

_SERVER = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")

_SCHEMES = frozenset({"http", "https", "socks4", "socks5"})
"""Those of curl's that anybody is set to."""
_NO_PROXY = "what is set as proxy is no URL of one"


class Proxies(Frozen):
    """http, https: URL of the proxy for each, without user information. around: patterns of hosts that need none."""

    http: str | None = None
    https: str | None = None
    around: tuple[str, ...] = ()

    def of(self, scheme: str, host: str) -> str | None:
        """The proxy on the way to a host; None for none."""
        proxy = {"http": self.http, "https": self.https}.get(scheme)
        return None if proxy is None or any(covers(entry, host) for entry in self.around) else proxy


class UnknownProxyError(Exception):
    """Which proxy a node uses could not be found out. status: of the fact that would tell."""

    def __init__(self, status: Status, reason: str) -> None:
        self.status = status
        super().__init__(f"which proxy the node uses is not known: {reason}")


def proxies_of(read: CurlQuery, site: Site, found: Mapping[str, Observation]) -> Proxies:
    """The declared proxies; where none is declared, those that the facts of the query tell.

    Raises:
        UnknownProxyError: a fact that would tell was not observed, or cannot be understood.
    """
    if site.proxy.http or site.proxy.https:
        return _declared(site)
    if read.proxy_from is None:
        return Proxies()
    values = {}
    for name in (read.proxy_from.environment, read.proxy_from.winhttp):
        observation = found.get(name)
        if observation is None or observation.status is not Status.OBSERVED:
            status, reason = (
                (observation.status, observation.reason) if observation else (Status.NOT_ASKED, "not asked")
            )
            raise UnknownProxyError(status, f"{name} was not observed: {reason}")
        values[name] = RegistryTree(observation.value)
    try:
        return (
            _of_environment(values[read.proxy_from.environment])
            or _of_winhttp(values[read.proxy_from.winhttp])
            or Proxies()
        )
    except ValueError as error:
        raise UnknownProxyError(Status.FAILED, str(error)) from error


def _declared(site: Site) -> Proxies:
    """The loader held them to be URLs. Where only one is declared, it is meant for both."""
    http, https = site.proxy.http or site.proxy.https, site.proxy.https or site.proxy.http
    return Proxies(_plain(http or ""), _plain(https or ""), tuple(_with_subdomains(site.proxy.bypass or ())))


def _of_environment(environment: RegistryTree) -> Proxies | None:
    http, https = (_text(environment, name) for name in ("HTTP_PROXY", "HTTPS_PROXY"))
    if not http and not https:
        return None
    around = re.split(r"[,;\s]+", _text(environment, "NO_PROXY"))
    return Proxies(
        _plain(http) if http else None, _plain(https) if https else None, tuple(_with_subdomains(filter(None, around)))
    )


def _of_winhttp(connections: RegistryTree) -> Proxies | None:
    data = _text(connections, "WinHttpSettings")
    if not data:
        return None
    settings = parse_winhttp(bytes.fromhex(data))
    if settings.flags & SCRIPT:
        raise ValueError("WinHTTP takes it from a configuration script")
    servers = {scheme: _plain(server) for scheme, server in settings.servers.items()}
    return Proxies(servers.get("http"), servers.get("https"), settings.around) if servers else None


def _text(tree: RegistryTree, name: str) -> str:
    value = tree.get(name)
    return value.strip() if isinstance(value, str) else ""


def _plain(proxy: str) -> str:
    """A proxy as URL of scheme, host and port alone: user information is neither used nor told.

    Raises:
        ValueError: it is no URL of a proxy. The text is not in the message, since a password may be in it.
    """
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(_NO_PROXY) from None
    host = f"[{host}]" if ":" in host else host
    if _SERVER.fullmatch(host) is None or parts.scheme not in _SCHEMES:
        raise ValueError(_NO_PROXY)
    # Left without one, curl would look for it at 1080, where nothing else on a node does.
    port = DEFAULT_PORTS.get(parts.scheme) if port is None else port
    return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")


def _with_subdomains(entries: Iterable[str]) -> Iterable[str]:
    """Outside of Windows' own lists a name stands for all that end in it, too."""
    for entry in entries:
        yield entry
        if re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", entry) is not None:
            yield f".{entry}"


def covers(entry: str, host: str) -> bool:
    """Whether an entry of a bypass list is meant for a host: a name, `.domain`, `*` for any text, CIDR, `<local>`."""
    # A list may name ports and schemes; what goes around the proxy is the host.
    pattern = re.sub(r"^[a-z]+://|(?<=[^:]):\d{1,5}$", "", entry.strip().casefold())
    name = host.casefold()
    if pattern == "<local>":
        return "." not in name and ":" not in name
    if "/" in pattern:
        try:
            return ipaddress.ip_address(name) in ipaddress.ip_network(pattern, strict=False)
        except ValueError:
            return False
    if pattern.startswith("."):
        return name == pattern[1:] or name.endswith(pattern)
    # Windows means the domain itself by `*.domain` as little as any other pattern does.
    # Only the asterisk has a meaning. However many there are, the time to match stays short, as it does not with `.*`.
    return fnmatchcase(name, re.sub(r"[\[?]", r"[\g<0>]", pattern))
