"""Outbound paths of the nodes, as `curl.exe` on the node found them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from msgspec import Meta

from azpreflight.checks.agreement import same
from azpreflight.checks.attempts import NAME_NOT_FOUND, Attempt, Failure, attempt_of
from azpreflight.checks.check import check, failed, irrelevant, passed, unjudged
from azpreflight.checks.closed_ports import closed_ports, instead_of
from azpreflight.checks.second_opinion import Advised, in_place_of_the_node, with_opinion
from azpreflight.checks.view import NotApplicable, NotObserved, Row, View
from azpreflight.facts import curl_exits
from azpreflight.facts.endpoints import (
    Endpoint,
    EndpointTable,
    needed,
    probe_of,
    region_of,
    through_gateway,
    undecided,
)
from azpreflight.facts.query import FactName
from azpreflight.model import Finding, Frozen, Outcome, Phase
from azpreflight.site.references import filled

MADE_BY_DEPLOYMENT = frozenset({"key-vault", "cloud-witness"})
"""Services whose own name may not exist before the deployment has made it."""

FORBIDDEN = 403
SERVER_ERRORS = range(500, 600)
_OF_TLS = frozenset({Failure.TLS, Failure.CERTIFICATE, Failure.RESET})
"""What a device that lets no TLS through may look like."""


class Negotiates(Frozen, kw_only=True):
    """fact: URLs that were asked once per TLS version. urls, tls: those that its query asks for, spelled as there."""

    fact: FactName
    urls: Annotated[tuple[str, ...], Meta(min_length=1)]
    tls: Annotated[tuple[str, ...], Meta(min_length=1)]


@check("outbound.reachable", parameters=Advised, needs=lambda parameters: parameters.facts)
def reachable(view: View, parameters: Advised) -> Iterator[Finding]:
    """Every endpoint that the site needs was reached from the node.

    Before a deployment through an Arc gateway, `outbound.direct` judges those that no gateway carries.
    """
    table = view.table(parameters.table)
    yield from _region(view, table)
    wanted = needed(table, view.site, view.phase)
    rest = [endpoint for endpoint in wanted if not _is_direct(view, endpoint)]
    if wanted and not rest:
        raise NotApplicable("an Arc gateway carries all but what AZL-FW-025 judges")
    yield from _reached(view, rest, wanted, parameters)
    for field, endpoints in undecided(table, view.site, view.phase).items():
        words = {str(word) for endpoint in endpoints for word in (*endpoint.services, endpoint.vendor) if word}
        names = {(endpoint.host, endpoint.port) for endpoint in endpoints}
        uses = ", ".join(sorted(words))
        message = f"endpoints not probed, as the site does not declare {field}: {len(names)} ({uses})"
        yield irrelevant(field, message, actual=len(names))


@check("outbound.direct", parameters=Advised, needs=lambda parameters: parameters.facts)
def direct(view: View, parameters: Advised) -> Iterator[Finding]:
    """With an Arc gateway: what no gateway carries, and the gateway itself, was reached from the node."""
    if not through_gateway(view.site):
        raise NotApplicable("the site does not declare an Arc gateway, which the public cloud alone has")
    table = view.table(parameters.table)
    yield from _region(view, table)
    wanted = needed(table, view.site, view.phase)
    yield from _reached(view, [found for found in wanted if found.gateway is False], wanted, parameters)


def _is_direct(view: View, endpoint: Endpoint) -> bool:
    return through_gateway(view.site) and view.phase is Phase.PRE_DEPLOY and endpoint.gateway is False


def _region(view: View, table: EndpointTable) -> Iterator[Finding]:
    """A finding when the table has no list of the region, so that what it says is not all that is needed."""
    region, cloud = region_of(view.site), view.site.azure.cloud
    listed = table.listed_regions(cloud)
    if listed is None:
        return
    if region is None:
        raise NotApplicable("the site does not declare azure.region")
    if not listed:
        raise NotApplicable(f"the table names no endpoint for {cloud}")
    if region not in listed:
        reason = f"the table of {table.date} has no list for {region}: its regional endpoints are not known"
        yield unjudged("region", reason, expected=list(listed), actual=region)


def _reached(
    view: View, endpoints: Sequence[Endpoint], wanted: Sequence[Endpoint], parameters: Advised
) -> Iterator[Finding]:
    """One finding for each of some endpoints, of all that are `wanted`."""
    if not endpoints:
        raise NotApplicable(f"the table names no endpoint for {view.site.azure.cloud}")
    try:
        rows = view.rows(parameters.fact)
    except NotObserved as missing:
        yield from in_place_of_the_node(view, parameters.second_opinion, endpoints, missing)
        return
    closed = closed_ports(wanted, rows)
    for endpoint in endpoints:
        finding = with_opinion(view, parameters.second_opinion, endpoint, _endpoint(view, endpoint, rows))
        if endpoint.uncertain and finding.outcome in (Outcome.FAIL, Outcome.ERROR):
            message = f"{finding.message}; whether it is needed is not certain"
            yield irrelevant(finding.subject, message, actual=finding.actual)
        elif finding.outcome is Outcome.FAIL and endpoint.port in closed:
            yield instead_of(finding.subject, endpoint.port)
        else:
            yield finding


def _endpoint(view: View, endpoint: Endpoint, rows: list[Row]) -> Finding:
    subject = f"{endpoint.host}:{endpoint.port}"
    if probe_of(endpoint, view.site) is None:
        return irrelevant(subject, f"{subject} was not probed: {_why_unprobed(endpoint)}")
    through = "" if endpoint.probe == endpoint.host else f" (through {endpoint.probe})"
    found = [row for row in rows if same(row["host"], endpoint.probe) and same(row["port"], endpoint.port)]
    attempts = [attempt_of(row) for row in found]
    if not found:
        return unjudged(subject, f"{subject}{through} has no result", expected="reached")
    attempt, status = attempts[0], found[0]["http_code"]
    if any(other.reached is not attempt.reached for other in attempts):
        return unjudged(subject, f"{subject}{through} has results that contradict each other", expected="reached")
    if attempt.reached is None:
        return unjudged(subject, f"{subject}{through} is not known to be reached: {attempt.reason}", expected="reached")
    if attempt.reached and may_be_the_proxy(endpoint.protocol, found):
        reason = f"the answer {status} may be the proxy's own, which is not told apart on plain HTTP"
        return unjudged(subject, f"{subject}{through} is not known to be reached: {reason}", actual=status)
    if attempt.reached:
        return passed(subject, f"{subject}{through} was reached{attempts[0].note}", expected="reached", actual=status)
    may_not_exist = endpoint.service in MADE_BY_DEPLOYMENT and view.phase is Phase.PRE_DEPLOY
    if attempt.reason == NAME_NOT_FOUND and may_not_exist:
        message = f"{subject} does not exist yet, or does not resolve"
        return irrelevant(subject, message, actual=attempt.reason)
    message = f"{subject}{through} was not reached: {attempt.reason}"
    return failed(subject, message, expected="reached", actual=found[0]["error"])


def _why_unprobed(endpoint: Endpoint) -> str:
    if endpoint.protocol == "ntp":
        return "AZL-FW-006 judges the way to time sources"
    if fields := endpoint.open_fields:
        return f"the site declares no {' and '.join(fields)} that can be part of a name"
    return "no host stands for it"


def may_be_the_proxy(scheme: str, rows: Sequence[Row]) -> bool:
    """Whether a proxy that refuses or fails would give the same answer, as it can where it reads what is sent."""
    if scheme != "http":
        return False
    doubtful = [row for row in rows if row["http_code"] == FORBIDDEN or row["http_code"] in SERVER_ERRORS]
    return any(row["proxy"] is not None for row in doubtful)


@check("outbound.negotiates_tls", parameters=Negotiates, needs=lambda parameters: (parameters.fact,))
def negotiates_tls(view: View, parameters: Negotiates) -> Iterator[Finding]:
    """Every URL answers to one of the versions of TLS. One that was not even connected to is no matter of TLS."""
    rows = view.rows(parameters.fact)
    for url in (url for text in parameters.urls for url in filled(text, view.site)):
        attempts = {
            version: _attempt_with([row for row in rows if row["url"] == url and row["tls"] == version])
            for version in parameters.tls
        }
        yield _tls(url, attempts)


def _attempt_with(rows: list[Row]) -> Attempt:
    """What became of the tries with one version of TLS, of which there should be one."""
    attempts = [attempt_of(row) for row in rows]
    if not attempts:
        return Attempt(None, "it was not tried")
    if any(attempt.reached is not attempts[0].reached for attempt in attempts):
        return Attempt(None, "two tries contradict each other")
    if attempts[0].reached is None and same(rows[0]["exit_code"], curl_exits.NOT_BUILT_IN):
        return Attempt(False, "the node's curl does not know it", Failure.BROKEN)
    return attempts[0]


def _tls(url: str, attempts: dict[str, Attempt]) -> Finding:
    expected = " or ".join(attempts)
    good = [version for version, attempt in attempts.items() if attempt.reached]
    reasons = {version: attempt.reason for version, attempt in attempts.items() if not attempt.reached}
    each = ", ".join(f"{version}: {reason}" for version, reason in reasons.items())
    if good:
        return passed(url, f"{url} answers to TLS {' and '.join(good)}", expected=expected, actual=good)
    if any(attempt.reached is None for attempt in attempts.values()):
        return unjudged(url, f"whether {url} answers to TLS is not known ({each})", expected=expected, actual=reasons)
    if not any(attempt.failure in _OF_TLS for attempt in attempts.values()):
        message = f"{url} was not reached, which tells nothing of TLS ({each})"
        return unjudged(url, message, expected=expected, actual=reasons)
    message = f"{url} answers neither to TLS {' nor to TLS '.join(attempts)} ({each})"
    return failed(url, message, expected=expected, actual=reasons)
