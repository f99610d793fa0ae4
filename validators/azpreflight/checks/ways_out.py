"""The way out beside the table of endpoints: a name that only a validator asks for, and where the way ends."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta

from azpreflight.checks.agreement import named_rows, same
from azpreflight.checks.attempts import Failure, attempt_of
from azpreflight.checks.check import check, failed, irrelevant, passed, unjudged
from azpreflight.checks.closed_ports import Probed, closed_ports, instead_of
from azpreflight.checks.view import NotApplicable, Row, View
from azpreflight.facts.endpoints import Endpoint, needed
from azpreflight.facts.observation import Status
from azpreflight.facts.query import FactName
from azpreflight.model import Finding, Frozen, Value
from azpreflight.site.model import Site

KEY_VAULT = "key-vault"

_PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"),
        *("fc00::/7", "fe80::/10"),
    )
)
"""Private, shared and link-local addresses (RFC 1918, 6598, 3927, 4193, 4291)."""


class Connects(Frozen, kw_only=True):
    """fact: URLs that were asked. urls: those of its query. beside: endpoints of `table`; they tell of closed ports."""

    fact: FactName
    urls: Annotated[tuple[str, ...], Meta(min_length=1)]
    beside: FactName
    table: str


@check("outbound.connects", parameters=Connects, needs=lambda parameters: (parameters.fact, parameters.beside))
def connects(view: View, parameters: Connects) -> Iterator[Finding]:
    """The way to the host and port of every URL is open, whatever the service says there and in which TLS.

    Where nothing at all is reached on its port, it is not judged by itself. Who asks for these names does so without a
    proxy, and not at all where there is one.
    """
    closed: frozenset[int] = frozenset()
    if view.observation(parameters.beside).status is Status.OBSERVED:
        wanted = needed(view.table(parameters.table), view.site, view.phase)
        closed = closed_ports(wanted, view.rows(parameters.beside))
    rows = view.rows(parameters.fact)
    for url in parameters.urls:
        yield _connection(url, [row for row in rows if same(row["url"], url)], closed)


def _connection(url: str, rows: list[Row], closed: frozenset[int]) -> Finding:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    attempts = [attempt_of(row) for row in rows]
    if not attempts:
        return unjudged(url, f"{url} has no result", expected="reached")
    if all("proxy" in row and isinstance(row["proxy"], str) for row in rows):
        return irrelevant(url, f"the node was sent through a proxy, and then nobody asks for {url}")
    attempt, statuses = attempts[0], [row["http_code"] for row in rows]
    if any(other.reached is not attempt.reached for other in attempts):
        return unjudged(url, f"{url} has results that contradict each other", expected="reached", actual=statuses)
    if attempt.reached is None:
        return unjudged(url, f"{url} is not known to be reached: {attempt.reason}", expected="reached")
    if attempt.reached or attempt.failure in (Failure.TLS, Failure.CERTIFICATE):
        return passed(url, f"{url} was reached: {attempt.reason}", expected="reached", actual=statuses[0])
    if port in closed:
        return instead_of(url, port)
    return failed(url, f"{url} was not reached: {attempt.reason}", expected="reached", actual=rows[0]["error"])


@check("outbound.public_addresses", parameters=Probed, needs=lambda parameters: (parameters.fact,))
def public_addresses(view: View, parameters: Probed) -> Iterator[Finding]:
    """What was reached, was reached at public addresses. One of the node itself belongs to an agent that runs on it."""
    wanted = [found for found in needed(view.table(parameters.table), view.site, view.phase) if found.probe]
    if not wanted:
        raise NotApplicable(f"the table names no endpoint for {view.site.azure.cloud}")
    hosts = sorted({str(endpoint.probe) for endpoint in wanted if not _meant_to_be_private(view.site, endpoint)})
    # A connection that stood has an address, whatever became of TLS and HTTP on it.
    rows = [
        row
        for row in named_rows(view, parameters.fact, "host")
        if row["remote_ip"] is not None or attempt_of(row).reached
    ]
    connected = [row for row in rows if row["proxy"] is None]
    if rows and not connected:
        raise NotApplicable("behind a proxy nodes see no address but its own")
    public, local = 0, 0
    for host in hosts:
        addresses = [row["remote_ip"] for row in connected if same(row["host"], host)]
        kinds = {_kind(address) for address in addresses}
        if "private" in kinds:
            told = ", ".join(dict.fromkeys(str(address) for address in addresses if _kind(address) == "private"))
            message = f"{host} was reached at {told}, which is no public address"
            yield failed(host, message, expected="a public address", actual=addresses)
        elif None in kinds:
            message = f"{host} was reached, and at which address is not known"
            yield unjudged(host, message, expected="a public address", actual=addresses)
        public += "public" in kinds
        local += "local" in kinds
    subject = "public addresses"
    if public:
        one = "1 host was reached at a public address"
        message = one if public == 1 else f"{public} hosts were reached at public addresses"
        yield passed(subject, message, expected="public addresses", actual=public)
    elif local:
        yield irrelevant(subject, "what was reached runs on the node itself", actual=local)
    elif not connected:
        yield unjudged(subject, "nothing was reached, so that no address is known", expected="public addresses")


def _meant_to_be_private(site: Site, endpoint: Endpoint) -> bool:
    return site.key_vault.private_endpoint is True and endpoint.service == KEY_VAULT


def _kind(address: Value) -> str | None:
    """`public`, `private`, or `local` for the node's own; None for what is no address."""
    try:
        found = ipaddress.ip_address(address) if isinstance(address, str) else None
    except ValueError:
        found = None
    if found is None or found.is_unspecified:
        return None
    if found.is_loopback:
        return "local"
    return "private" if any(found in network for network in _PRIVATE) else "public"
