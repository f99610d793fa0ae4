"""What tests of the operator's own sources share: what a source makes of queries, and a port that says anything."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from azpreflight.facts.classes import ClassTable
from azpreflight.facts.collection import Collection, SiteSource
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.endpoints import EndpointTable
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.query import Query, SiteRead
from azpreflight.model import Phase, Profile, Sureness
from azpreflight.site.model import Network, Node, Proxy, Site
from servers.tls import HOST


def site_of(*addresses: str, proxy: Proxy | None = None) -> Site:
    """A site with a node at each address."""
    nodes = tuple(Node(name=f"N{number}", address=address) for number, address in enumerate(addresses, start=1))
    return Site(
        name="lab",
        profile=Profile.LOCAL_IDENTITY,
        nodes=nodes or (Node(name="N1", address=""),),
        network=Network(),
        proxy=proxy or Proxy(),
    )


def collected(
    source: SiteSource,
    reads: Mapping[str, SiteRead],
    site: Site,
    *,
    deadline: Deadline | None = None,
    table: EndpointTable | None = None,
) -> dict[str, Observation]:
    """What the source keeps, by the name of the fact."""
    queries = {
        name: Query(read=read, title="t", sureness=Sureness.DOCUMENTED, basis="b") for name, read in reads.items()
    }
    tables = dict.fromkeys(queries, table) if table is not None else {}
    kept: list[Observation] = []
    collection = Collection(
        site=site,
        phase=Phase.PRE_DEPLOY,
        queries=queries,
        tables={name: found for name, found in tables.items() if found is not None},
        classes=ClassTable({}),
    )
    source.collect_site(collection, deadline or Deadline(30), kept.append)
    assert sorted(observation.fact for observation in kept) == sorted(queries)
    assert {(observation.target, observation.source) for observation in kept} == {("lab", source.name)}
    return {observation.fact: observation for observation in kept}


def rows_of(observation: Observation) -> list[Any]:
    """The rows of a fact that was observed."""
    assert observation.status is Status.OBSERVED, observation.reason
    rows: list[Any] = observation.value
    return rows


@contextlib.contextmanager
def answering(data: bytes, *, byte_by_byte: float = 0.0) -> Iterator[int]:
    """A port that says `data` to whatever comes, and ends the connection.

    byte_by_byte: seconds between two bytes, over and over again; 0 says all at once.
    """
    leaving = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(2)
            with contextlib.suppress(OSError):
                self.request.recv(65536)
                if not byte_by_byte:
                    self.request.sendall(data)
                while byte_by_byte and not leaving.is_set():
                    for byte in data:
                        self.request.sendall(bytes([byte]))
                        leaving.wait(byte_by_byte)

    with socketserver.ThreadingTCPServer((HOST, 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield int(server.server_address[1])
        leaving.set()
        server.shutdown()
        thread.join(2)
