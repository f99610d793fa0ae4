"""The way from the machine that runs azpreflight to the nodes.

A port that is refused and one that is silent are two things: somebody answers that nothing listens, or nobody answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from azpreflight.checks.agreement import kind_of, named_rows, same, told
from azpreflight.checks.check import check, failed, irrelevant, passed, unjudged
from azpreflight.checks.view import NotApplicable, NotObserved, Row, View
from azpreflight.facts.observation import Status
from azpreflight.facts.query import FactName
from azpreflight.facts.row_errors import NO_CONNECTION, REDIRECTED, REFUSED, TIMEOUT
from azpreflight.model import Finding, Frozen
from azpreflight.site.formats import Port

_SAID = {
    REFUSED: "refused, so that somebody is there and nothing listens",
    TIMEOUT: "no answer, as where a firewall drops what comes",
}


class OneOf(Frozen, kw_only=True):
    """fact: ports that were tried from here. service: what it is for. ports: of which one is enough."""

    fact: FactName
    service: str
    ports: Annotated[tuple[Port, ...], Meta(min_length=1)]


class Each(Frozen, kw_only=True):
    """fact: ports that were tried from here. ports: all that are wanted, by what they are for.

    optional: those of them at which nothing need listen. Windows with its firewall on is silent there as well.
    """

    fact: FactName
    ports: Annotated[dict[str, Port], Meta(min_length=1)]
    optional: tuple[Port, ...] = ()


@check("operator.reaches_one_of", parameters=OneOf, needs=lambda parameters: (parameters.fact,))
def reaches_one_of(view: View, parameters: OneOf) -> Iterator[Finding]:
    """One of the ports of the node takes connections from this machine.

    A port of its own that the site declares is the one at which the node is read, or is not.
    """
    own = view.site.winrm.port
    if own is not None and own not in parameters.ports:
        raise NotApplicable(f"the site declares another port (winrm.port: {own}), at which the node is read")
    found = {port: _of_port(view, parameters.fact, port) for port in parameters.ports}
    expected = " or ".join(map(str, parameters.ports))
    actual = {str(port): _state(rows) for port, rows in found.items()}
    states = [told(rows, "connected", bool) for rows in found.values()]
    who, service = view.node.name, parameters.service
    if any(states):
        open_ports = " and ".join(str(port) for port, state in zip(found, states, strict=True) if state)
        message = f"this machine reaches {service} of {who} on {open_ports}"
        yield passed(service, message, expected=expected, actual=actual)
        return
    each = ", ".join(f"{port}: {_said(rows)}" for port, rows in found.items())
    if None in states:
        message = f"whether this machine reaches {service} of {who} is not known ({each})"
        yield unjudged(service, message, expected=expected, actual=actual)
    else:
        message = f"this machine does not reach {service} of {who} ({each})"
        yield failed(service, message, expected=expected, actual=actual)


@check("operator.reaches_each", parameters=Each, needs=lambda parameters: (parameters.fact,))
def reaches_each(view: View, parameters: Each) -> Iterator[Finding]:
    """Nothing stands between this machine and the ports of the node; a port at which nobody listens is no evidence."""
    for service, port in parameters.ports.items():
        yield _reached(view, service, port, _of_port(view, parameters.fact, port), optional=port in parameters.optional)


def _reached(view: View, service: str, port: int, rows: list[Row], *, optional: bool) -> Finding:
    subject, who = f"TCP {port}", f"{service} of {view.node.name} on TCP {port}"
    state, actual = told(rows, "connected", bool), _state(rows)
    if state is None:
        if actual == REDIRECTED:
            return irrelevant(subject, f"{who} is not tried: the node is reached through a redirection", actual=actual)
        return unjudged(subject, f"whether this machine reaches {who} is not known ({_said(rows)})", actual=actual)
    if state:
        return passed(subject, f"this machine reaches {who}", expected="connected", actual=actual)
    if actual == REFUSED:
        return irrelevant(subject, f"{who}: {_said(rows)}, which is no matter of a firewall", actual=actual)
    if optional:
        return irrelevant(subject, f"{who}: no connection, and nothing need listen there", actual=actual)
    if actual not in NO_CONNECTION:
        return unjudged(subject, f"whether this machine reaches {who} is not known ({_said(rows)})", actual=actual)
    message = f"this machine does not reach {who} ({_said(rows)})"
    return failed(subject, message, expected="connected", actual=actual)


def _of_port(view: View, fact: str, port: int) -> list[Row]:
    address = view.node.address
    if not address:
        raise NotApplicable(f"the site declares no address for {view.node.name}")
    rows = [row for row in named_rows(view, fact, "host") if same(row["host"], address)]
    for row in rows:
        if kind_of(row["port"]) != "number":
            target = view.observation(fact).target
            raise NotObserved(fact, target, Status.FAILED, f"a row without a port: {row['port']}")
    return [row for row in rows if same(row["port"], port)]


def _state(rows: list[Row]) -> str:
    """What became of a port in one word, or several where rows contradict each other."""
    words = ("connected" if row["connected"] is True else str(row["error"]) for row in rows)
    return " and ".join(dict.fromkeys(words)) or "not tried"


def _said(rows: list[Row]) -> str:
    word = _state(rows)
    return _SAID.get(word, word)
