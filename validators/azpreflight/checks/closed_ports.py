"""Ports of the web that lead nowhere, told from single names that cannot be reached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from azpreflight.checks.agreement import same
from azpreflight.checks.attempts import Attempt, Failure, attempt_of
from azpreflight.checks.check import check, failed, irrelevant, passed, unjudged
from azpreflight.checks.view import NotApplicable, Row, View
from azpreflight.facts.endpoints import Endpoint, needed
from azpreflight.facts.query import FactName
from azpreflight.model import Finding, Frozen

WEB_PORTS = (80, 443)
_AT_THE_PORT = frozenset(
    {Failure.REFUSED, Failure.TIMED_OUT, Failure.PROXY, Failure.PROXY_LOGIN, Failure.PROXY_REFUSAL}
)
"""What keeps a connection from coming about. To a name that does not resolve nobody connects."""
_BEYOND_IT = frozenset({Failure.RESET, Failure.TLS, Failure.CERTIFICATE})
"""What becomes of a connection that came about. One that broke for other reasons may have been the proxy's."""


class Probed(Frozen, kw_only=True):
    """fact: what was probed. table: the endpoints that it was probed for."""

    fact: FactName
    table: str


def closed_ports(wanted: Sequence[Endpoint], rows: Sequence[Row]) -> frozenset[int]:
    """The ports of the web on which nothing at all was reached. A port is then what has to be opened, not its names."""
    return frozenset(port for port in WEB_PORTS if _is_closed(_attempts_at(port, wanted, rows)))


def instead_of(subject: str, port: int) -> Finding:
    """What is said of a name on a port that is closed."""
    message = f"{subject} is not judged by itself: nothing at all is reached on TCP port {port}, as AZL-FW-008 tells"
    return unjudged(subject, message, expected="reached")


@check("outbound.open_ports", parameters=Probed, needs=lambda parameters: (parameters.fact,))
def open_ports(view: View, parameters: Probed) -> Iterator[Finding]:
    """On each port of the web something outside is reached, whatever it is."""
    wanted = [found for found in needed(view.table(parameters.table), view.site, view.phase) if found.probe]
    if not wanted:
        raise NotApplicable(f"the table names no endpoint for {view.site.azure.cloud}")
    rows = view.rows(parameters.fact)
    for port in WEB_PORTS:
        subject = f"TCP port {port}"
        if any(endpoint.port == port for endpoint in wanted):
            yield _port(subject, _attempts_at(port, wanted, rows))
        else:
            yield irrelevant(subject, f"no endpoint on {subject} can be probed")


def _attempts_at(port: int, wanted: Sequence[Endpoint], rows: Sequence[Row]) -> list[Attempt]:
    """What became of every probe that stands for an endpoint on a port; of one without a result, nothing is known."""
    hosts = dict.fromkeys(endpoint.probe for endpoint in wanted if endpoint.port == port and endpoint.probe)
    attempts: list[Attempt] = []
    for host in hosts:
        found = [attempt_of(row) for row in rows if same(row["port"], port) and same(row["host"], host)]
        attempts += found or [Attempt(None, "no result")]
    return attempts


def _is_closed(attempts: Sequence[Attempt]) -> bool:
    """Whether no connection came about, and for more than names that do not resolve."""
    kinds = {attempt.failure for attempt in attempts}
    return bool(kinds & _AT_THE_PORT) and kinds <= {*_AT_THE_PORT, Failure.NAME}


def _port(subject: str, attempts: Sequence[Attempt]) -> Finding:
    reached = sum(attempt.reached is True for attempt in attempts)
    reasons = Counter(attempt.reason for attempt in attempts if not attempt.reached)
    usual = f": {reasons.most_common(1)[0][0]}" if reasons else ""
    actual = {"reached": reached, "not reached": dict(reasons.most_common(5))}
    if reached:
        message = f"{subject} leads out: {reached} of {len(attempts)} endpoints were reached"
        return passed(subject, message, expected="leads out", actual=actual)
    if _is_closed(attempts):
        message = f"{subject} leads nowhere: none of {len(attempts)} endpoints was reached{usual}"
        return failed(subject, message, expected="leads out", actual=actual)
    if any(attempt.failure in _BEYOND_IT for attempt in attempts):
        message = f"{subject} leads out, though every connection ended before an answer{usual}"
        return passed(subject, message, expected="leads out", actual=actual)
    return unjudged(subject, f"whether {subject} leads out is not known{usual}", expected="leads out", actual=actual)
