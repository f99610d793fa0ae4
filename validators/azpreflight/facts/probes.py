"""What is to be reached, worked out from a query and the declaration: by nodes, or by the operator's machine."""

from __future__ import annotations

from urllib.parse import urlsplit

from azpreflight.facts.collection import Collection
from azpreflight.facts.endpoints import needed, probe_of
from azpreflight.facts.query import CurlQuery
from azpreflight.model import Frozen
from azpreflight.site.model import Node
from azpreflight.site.references import DEFAULT_PORTS, filled, values_of


class Probe(Frozen):
    """One thing to reach. scheme: `http`, `https`, or `tcp` for a bare connection. tls: the one version allowed."""

    scheme: str
    host: str
    port: int
    path: str = "/"
    tls: str | None = None

    @classmethod
    def of_url(cls, url: str, tls: str | None = None) -> Probe:
        """The probe of an `http` or `https` URL."""
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme, 80)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(scheme=parts.scheme, host=parts.hostname or "", port=port, path=path, tls=tls)

    @classmethod
    def of_port(cls, text: str) -> Probe:
        """The probe of a bare connection to `host:port`."""
        host, _, port = text.rpartition(":")
        return cls(scheme="tcp", host=host.strip("[]"), port=int(port))

    @property
    def url(self) -> str:
        """What is asked for, and what the row of the fact names."""
        return f"{self.scheme}://{self.place}{'' if self.scheme == 'tcp' else self.path}"

    @property
    def place(self) -> str:
        """The host, and the port where it is not the one of the scheme."""
        return self.authority + ("" if self.port == DEFAULT_PORTS.get(self.scheme) else f":{self.port}")

    @property
    def authority(self) -> str:
        """The host as it stands in a URL: an IPv6 address in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host


def probes_of(read: CurlQuery, fact: str, node: Node, collection: Collection) -> list[Probe]:
    """What a query lets `curl.exe` reach, in a stable order, each once."""
    site = collection.site
    found: list[Probe] = []
    if read.table is not None:
        probed = [probe_of(endpoint, site) for endpoint in needed(collection.tables[fact], site, collection.phase)]
        found += [Probe.of_url(url) for url in probed if url is not None]
    urls = [url for text in read.urls for url in filled(text, site, node)]
    found += [Probe.of_url(url, tls) for url in urls for tls in read.tls or (None,)]
    hosts = values_of(read.tcp, site, node)
    if read.ports:
        found += [Probe(scheme="tcp", host=host, port=port) for host in hosts for port in read.ports]
    else:
        found += [Probe.of_port(host) for host in hosts]
    return list(dict.fromkeys(found))
