"""What nodes and operators find outside: Azure's endpoints, DNS servers, silent addresses. All on loopback."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from azpreflight import Phase, load_site
from azpreflight.facts.endpoints import needed, probe_of
from azpreflight.facts.probes import Probe
from azpreflight.facts.query import CurlQuery
from azpreflight.packs.load import load_packs
from azpreflight.site.references import filled
from servers.dns import DnsServer, View, Zone
from servers.lab import SITE
from servers.tls import HOST, Authority, Nginx, OddPorts, Site

RECORDS = {"azl-n01": ["A 192.0.2.11"], "azl-n02": ["A 192.0.2.12"], "azl-cl01": ["A 192.0.2.20"]}
PUBLIC = (
    Zone("azure.com", {"management": ["A 203.0.113.10"]}),
    Zone("microsoftonline.com", {"login": ["A 203.0.113.11"]}),
    Zone("azure.net", {"edge-lab-kv.vault": ["CNAME eus.vaultcore"], "eus.vaultcore": ["A 203.0.113.12"]}),
    # Nobody makes names in it.
    Zone("example.com", {}),
)
REVERSE = Zone("2.0.192.in-addr.arpa", {str(10 + n): [f"PTR azl-n0{n}.edge.example."] for n in (1, 2)})
NODE_PORTS = (445, 3343, 5985, 30301)
"""Where something listens on every node."""
POOL = [f"192.0.2.{last}" for last in range(20, 26)]


@dataclass(frozen=True)
class Outside:
    """A running outside.

    Attributes:
        dns: where the declared DNS servers are reached.
    """

    dns: dict[str, str]
    _ports: dict[str, int]
    _ca_file: Path

    def curl_arguments(self, *, blocked: Collection[str] = ()) -> Sequence[str]:
        """What stands for the network of a node. blocked: hosts that a firewall refuses."""
        closed = self._ports["closed"]
        routes = [f"{host}::{HOST}:{closed}" for host in blocked]
        # BIND waits for the rest of what curl sends; a service that answers at once proves the connection as well.
        routes += [f"{server}:53:{HOST}:{self._ports['http']}" for server in self.dns]
        routes += [f"{address}::{HOST}:{self._ports['silent']}" for address in POOL]
        routes += [f":{port}:{HOST}:{self._ports['http']}" for port in NODE_PORTS]
        routes += [f":443:{HOST}:{self._ports['https']}", f":80:{HOST}:{self._ports['http']}", f"::{HOST}:{closed}"]
        options = [part for route in routes for part in ("--connect-to", route)]
        return [*options, "--cacert", str(self._ca_file)]


@contextlib.contextmanager
def running_outside(folder: Path, site: Path, *, without: Collection[str] = ()) -> Iterator[Outside]:
    """The outside of a site: every endpoint that it needs answers, DNS servers know its names.

    Args:
        folder: for the files of the servers.
        site: its site.yaml.
        without: names that the zone lacks.
    """
    # Named like one of those that certificates of Azure come from: any other would be a device that inspects TLS.
    authority = Authority(folder / "authority", "DigiCert TLS CA of the tests", "DigiCert Inc")
    certificate = authority.issue(*endpoint_hosts(site))
    zone = Zone("edge.example", {name: found for name, found in RECORDS.items() if name not in without})
    views = {name: View([zone, REVERSE, *PUBLIC]) for name in ("first", "second")}
    (folder / "dns").mkdir()
    with contextlib.ExitStack() as stack:
        nginx = stack.enter_context(
            Nginx(folder / "nginx", {"http": Site(None), "https": Site(certificate, status=404)})
        )
        odd = stack.enter_context(OddPorts())
        dns = stack.enter_context(DnsServer(folder / "dns", views))
        ports = {
            "http": nginx.port("http"),
            "https": nginx.port("https"),
            "closed": odd.port("closed"),
            "silent": stack.enter_context(black_hole()),
        }
        reached = {"192.0.2.53": str(dns.at("first")), "192.0.2.54": str(dns.at("second"))}
        yield Outside(reached, ports, authority.file)


@contextlib.contextmanager
def running_outside_of_lab(folder: Path) -> Iterator[Outside]:
    """The outside of a lab of two nodes."""
    site = folder / "site.yaml"
    nodes = (f"  - {{name: AZL-N{number:02}, address: 192.0.2.{10 + number}}}" for number in (1, 2))
    site.write_text(SITE % {"nodes": "\n".join(nodes)})
    with running_outside(folder, site) as running:
        yield running


def endpoint_hosts(site: Path) -> list[str]:
    """Every host that a node of the site is asked to reach."""
    loaded = load_site(site).site
    packs = load_packs()
    table = packs.table_of("outbound.endpoints")
    assert table is not None
    urls = [probe_of(endpoint, loaded) for phase in Phase for endpoint in needed(table, loaded, phase)]
    reads = [query.read for query in packs.queries.values() if isinstance(query.read, CurlQuery)]
    urls += [url for read in reads for text in read.urls for url in filled(text, loaded)]
    return list(dict.fromkeys(Probe.of_url(url).host for url in urls if url is not None))


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """A port at which connections stay unanswered, as at an address that nobody has: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((HOST, 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        port: int = listener.getsockname()[1]
        yield port
