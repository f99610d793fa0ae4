"""What the machine that runs azpreflight says of an endpoint beside a node: told, and never counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from azpreflight.checks.agreement import same
from azpreflight.checks.attempts import attempt_of
from azpreflight.checks.check import unjudged
from azpreflight.checks.closed_ports import Probed
from azpreflight.checks.view import NotObserved, Row, View
from azpreflight.facts.endpoints import Endpoint, probe_of
from azpreflight.facts.observation import Status
from azpreflight.facts.query import FactName
from azpreflight.model import Finding, Outcome

HERE = "this machine, which runs azpreflight,"
SHOWN = 5
"""Endpoints that a sum names."""


class Advised(Probed, kw_only=True):
    """As `Probed`. second_opinion: what the machine that runs azpreflight found of the same, where it was asked."""

    second_opinion: FactName | None = None

    @property
    def facts(self) -> tuple[str, ...]:
        """What is read."""
        return (self.fact,) if self.second_opinion is None else (self.fact, self.second_opinion)


def with_opinion(view: View, fact: str | None, endpoint: Endpoint, finding: Finding) -> Finding:
    """The finding on an endpoint; a failed one with what this machine found, where it was asked."""
    if finding.outcome is not Outcome.FAIL or (opinion := _opinion(view, fact, endpoint)) is None:
        return finding
    reached, reason = opinion
    words = f"{HERE} reaches it ({reason})" if reached else f"{HERE} does not either ({reason})"
    return msgspec.structs.replace(finding, message=f"{finding.message}; {words}")


def in_place_of_the_node(
    view: View, fact: str | None, endpoints: Iterable[Endpoint], missing: NotObserved
) -> Iterator[Finding]:
    """What this machine found, in sum and for each endpoint that can be probed, where the node could not be asked.

    Raises:
        NotObserved: `missing`, where this machine was not asked.
    """
    if fact is None or view.observation(fact).status is not Status.OBSERVED:
        raise missing
    opinions = {
        f"{endpoint.host}:{endpoint.port}": _opinion(view, fact, endpoint)
        for endpoint in endpoints
        if probe_of(endpoint, view.site) is not None
    }
    # The first finding is what a terminal shows.
    beyond = [subject for subject, opinion in opinions.items() if opinion is None or not opinion[0]]
    message = f"{view.target.name} could not be asked ({missing.reason}); {HERE} reaches {len(opinions) - len(beyond)}"
    message += f" of {len(opinions)} endpoints" + (f", not {', '.join(beyond[:SHOWN])}" if beyond else "")
    message += f" and {len(beyond) - SHOWN} more" if len(beyond) > SHOWN else ""
    yield unjudged("second opinion", message, expected="reached", actual=beyond)
    for subject, opinion in opinions.items():
        words = f"{HERE} does not know either"
        if opinion is not None:
            words = f"{HERE} {'reaches it' if opinion[0] else 'does not reach it'} ({opinion[1]})"
        message = f"{subject} could not be asked for on {view.target.name} ({missing.reason}); {words}"
        yield unjudged(subject, message, expected="reached")


def _opinion(view: View, fact: str | None, endpoint: Endpoint) -> tuple[bool, str] | None:
    """Whether this machine reached an endpoint, and how or why not; None where nobody knows."""
    if fact is None or (observation := view.observation(fact)).status is not Status.OBSERVED:
        return None
    try:
        found = [
            attempt_of(row)
            for row in (Row(fact, observation.target, given) for given in observation.value if isinstance(given, dict))
            if same(row["host"], endpoint.probe) and same(row["port"], endpoint.port)
        ]
    except (NotObserved, TypeError):
        # A second opinion that cannot be understood is none.
        return None
    first = found[0] if found else None
    if first is None or first.reached is None or any(other.reached is not first.reached for other in found):
        return None
    return first.reached, first.reason
