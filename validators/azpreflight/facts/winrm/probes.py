"""What `curl.exe` is to reach from a node, worked out from a query and the declaration."""

from __future__ import annotations

from azpreflight.facts.collection import Collection
from azpreflight.facts.endpoints import needed, probe_of
from azpreflight.facts.query import CurlQuery
from azpreflight.facts.winrm.curl import Probe
from azpreflight.site.model import Node
from azpreflight.site.references import REFERENCES, resolve


def probes_of(read: CurlQuery, fact: str, node: Node, collection: Collection) -> list[Probe]:
    """What a query lets `curl.exe` reach, in a stable order, each once."""
    site = collection.site
    found: list[Probe] = []
    if read.table is not None:
        urls = [probe_of(endpoint, site) for endpoint in needed(collection.tables[fact], site, collection.phase)]
        found += [Probe.of_url(url) for url in urls if url is not None]
    found += [Probe.of_url(url, tls) for url in read.urls for tls in read.tls or (None,)]
    hosts = [host for name in read.tcp for host in (resolve(name, site, node) if name in REFERENCES else (name,))]
    found += [Probe(scheme="tcp", host=host, port=port) for host in hosts for port in read.ports]
    return list(dict.fromkeys(found))
