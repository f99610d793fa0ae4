"""Outbound paths of the nodes, as `curl.exe` on the node found them."""

from __future__ import annotations

from collections.abc import Iterator

from azpreflight.checks.check import check, failed, irrelevant, judged, passed, unjudged
from azpreflight.checks.view import NotApplicable, Row, View
from azpreflight.facts.endpoints import Endpoint, EndpointTable, needed, probe_of, region_of
from azpreflight.facts.query import FactName
from azpreflight.model import Finding, Frozen, Phase

MADE_BY_DEPLOYMENT = frozenset({"key-vault", "cloud-witness"})
"""Services whose own name may not exist before the deployment has made it."""

NAME_NOT_FOUND = "the name does not resolve"
TLS_FAILED = "the TLS session failed"
PROXY_REFUSED = "the proxy refused"
_REASONS = {
    5: "the name of the proxy does not resolve",
    6: NAME_NOT_FOUND,
    7: "the connection was refused",
    28: "it timed out",
    35: TLS_FAILED,
    51: TLS_FAILED,
    53: TLS_FAILED,
    54: TLS_FAILED,
    58: TLS_FAILED,
    59: TLS_FAILED,
    60: TLS_FAILED,
    77: TLS_FAILED,
    80: TLS_FAILED,
    83: TLS_FAILED,
    90: TLS_FAILED,
    91: TLS_FAILED,
    97: PROXY_REFUSED,
}
"""What curl's exit codes mean for a firewall."""

PROXY_AUTHENTICATION_REQUIRED = 407
TLS_VERSIONS = ("1.2", "1.3")


class Reachable(Frozen, kw_only=True):
    """fact: what was probed. table: the endpoints that it was probed for."""

    fact: FactName
    table: str


class Negotiates(Frozen, kw_only=True):
    """fact: URLs that were asked once per TLS version."""

    fact: FactName


def is_reached(row: Row) -> bool:
    """Whether an answer proves the path: any HTTP status does, unless it is the proxy that wants a login."""
    return bool(row["http_code"] > 0 and row["http_code"] != PROXY_AUTHENTICATION_REQUIRED)


def reason_of(row: Row) -> str:
    """Why an endpoint was not reached, in a few words of a closed set, or curl's own where none fits."""
    error = str(row["error"])
    if row["http_code"] == PROXY_AUTHENTICATION_REQUIRED or "CONNECT" in error:
        return PROXY_REFUSED
    return _REASONS.get(row["exit_code"], error or f"curl ended with {row['exit_code']}")


@check("outbound.reachable", parameters=Reachable, needs=lambda parameters: (parameters.fact,))
def reachable(view: View, parameters: Reachable) -> Iterator[Finding]:
    """Every endpoint that the site needs was reached from the node."""
    table = view.table(parameters.table)
    yield from _region(view, table)
    wanted = needed(table, view.site, view.phase)
    if not wanted:
        raise NotApplicable(f"the table names no endpoint for {view.site.azure.cloud}")
    rows = {(str(row["host"]).casefold(), row["port"]): row for row in view.rows(parameters.fact)}
    for endpoint in wanted:
        yield _endpoint(view, endpoint, rows)


def _region(view: View, table: EndpointTable) -> Iterator[Finding]:
    """A finding when the table has no list of the region, so that what it says is not all that is needed."""
    region, cloud = region_of(view.site), view.site.azure.cloud
    if not table.regions:
        return
    if region is None:
        raise NotApplicable("the site does not declare azure.region")
    if not table.regions.get(cloud):
        raise NotApplicable(f"the table names no endpoint for {cloud}")
    if region not in table.regions[cloud]:
        reason = f"the table of {table.date} has no list for {region}: its regional endpoints are not known"
        yield unjudged("region", reason, expected=list(table.regions[cloud]), actual=region)


def _endpoint(view: View, endpoint: Endpoint, rows: dict[tuple[str, int], Row]) -> Finding:
    subject = f"{endpoint.host}:{endpoint.port}"
    if probe_of(endpoint, view.site) is None:
        message = f"{subject} was not probed: no host stands for it"
        return irrelevant(subject, message)
    through = "" if endpoint.probe == endpoint.host else f" (through {endpoint.probe})"
    row = rows.get((str(endpoint.probe).casefold(), endpoint.port))
    if row is None:
        return unjudged(subject, f"{subject}{through} has no result", expected="reached")
    if is_reached(row):
        return passed(subject, f"{subject}{through} was reached", expected="reached", actual=row["http_code"])
    reason = reason_of(row)
    may_not_exist = endpoint.service in MADE_BY_DEPLOYMENT and view.phase is Phase.PRE_DEPLOY
    if reason == NAME_NOT_FOUND and may_not_exist:
        message = f"{subject} does not exist yet, or does not resolve"
        return irrelevant(subject, message, actual=reason)
    return failed(subject, f"{subject}{through} was not reached: {reason}", expected="reached", actual=row["error"])


@check("outbound.negotiates_tls", parameters=Negotiates, needs=lambda parameters: (parameters.fact,))
def negotiates_tls(view: View, parameters: Negotiates) -> Iterator[Finding]:
    """Every URL answers to TLS 1.2 or 1.3. One that was not even connected to is no matter of TLS."""
    by_url: dict[str, list[Row]] = {}
    for row in view.rows(parameters.fact):
        if row["tls"] in TLS_VERSIONS:
            by_url.setdefault(row["url"], []).append(row)
    if not by_url:
        yield unjudged("TLS", "no version of TLS was tried")
    for url, rows in sorted(by_url.items()):
        good = sorted(row["tls"] for row in rows if is_reached(row))
        reasons = {row["tls"]: reason_of(row) for row in rows if not is_reached(row)}
        told = ", ".join(f"{version}: {reason}" for version, reason in sorted(reasons.items()))
        if not good and TLS_FAILED not in reasons.values():
            yield unjudged(url, f"{url} was not reached, which tells nothing of TLS ({told})", actual=reasons)
            continue
        yield judged(
            bool(good),
            url,
            if_good=f"{url} answers to TLS {' and '.join(good)}",
            if_bad=f"{url} answers neither to TLS 1.2 nor to TLS 1.3 ({told})",
            expected="1.2 or 1.3",
            actual=good or reasons,
        )
