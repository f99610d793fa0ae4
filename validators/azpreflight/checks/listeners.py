"""What the nodes' own listeners agree to in a handshake, whatever their settings say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from azpreflight.checks.agreement import contradict, grouped, named_rows, same
from azpreflight.checks.check import check, failed, irrelevant, passed, unjudged
from azpreflight.checks.tls import MINIMUM, PROTOCOLS, VERSION, Unreadable, off_finding
from azpreflight.checks.view import NotApplicable, NotObserved, Row, View
from azpreflight.facts.query import FactName
from azpreflight.facts.row_errors import BROKEN_OFF, NO_CONNECTION, NOT_RDP, NOT_TLS, RDP_WITHOUT_TLS, REDIRECTED
from azpreflight.model import Finding, Frozen, Outcome

_NOTHING_THERE = NO_CONNECTION | RDP_WITHOUT_TLS | {NOT_TLS, NOT_RDP}


class Refuse(Frozen, kw_only=True):
    """facts: handshakes with listeners, by what these are. versions: that none of them should take."""

    facts: Annotated[dict[str, FactName], Meta(min_length=1)]
    versions: Annotated[tuple[str, ...], Meta(min_length=1)]


def _needs(parameters: Refuse) -> tuple[str, ...]:
    return (*parameters.facts.values(), PROTOCOLS, MINIMUM, VERSION)


@check("tls.listeners_refuse", parameters=Refuse, needs=_needs)
def listeners_refuse(view: View, parameters: Refuse) -> Iterator[Finding]:
    """No listener of the node takes one of these versions. A listener that is not there is no matter of this."""
    if not view.node.address:
        raise NotApplicable(f"the site declares no address for {view.node.name}")
    for service, fact in parameters.facts.items():
        rows = [row for row in named_rows(view, fact, "host", "version") if same(row["host"], view.node.address)]
        if not rows:
            yield unjudged(service, f"no handshake with {service} of {view.node.name} was tried")
        for listener in grouped(rows, "port").values():
            yield from _listener(view, service, listener, parameters.versions)


def _listener(view: View, service: str, rows: list[Row], versions: tuple[str, ...]) -> Iterator[Finding]:
    port = rows[0]["port"]
    who, speaks = f"{service} of {view.node.name} on {port}", any(row["offered"] is True for row in rows)
    said = {str(row["error"]) for row in rows}
    if not speaks and said <= _NOTHING_THERE:
        yield irrelevant(f"TCP {port}", f"{who} speaks no TLS, or is not there", actual=sorted(said))
    elif not speaks and said == {REDIRECTED}:
        message = f"{who} is not tried: the node is reached through a redirection"
        yield irrelevant(f"TCP {port}", message, actual=REDIRECTED)
    else:
        for version in versions:
            found = [row for row in rows if same(row["version"], version)]
            yield _version(view, f"TCP {port} TLS {version}", who, version, found, speaks=speaks)


def _version(view: View, subject: str, who: str, version: str, rows: list[Row], *, speaks: bool) -> Finding:
    if not rows or contradict(rows, "offered", "error"):
        return unjudged(subject, f"{who}: nothing certain is known of TLS {version}", expected="refused")
    offered, error = rows[0]["offered"], rows[0]["error"]
    if offered is True and _is_set_off(view, f"TLS {version}") is False:
        return irrelevant(subject, f"{who} takes TLS {version}, as Schannel is set to", actual="taken")
    if offered is True:
        message = f"{who} takes TLS {version}, although nothing in the settings of Schannel says so"
        return failed(subject, message, expected="refused", actual="taken")
    if offered is False:
        return passed(subject, f"{who} refuses TLS {version}: {error}", expected="refused", actual=error)
    if speaks and offered is None and str(error) in BROKEN_OFF:
        # Schannel often says nothing to a version that it does not take, and only ends the connection.
        message = f"{who} ends the connection at TLS {version}, and talks with others"
        return passed(subject, message, expected="refused", actual=error)
    return unjudged(
        subject, f"whether {who} takes TLS {version} is not known: {error}", expected="refused", actual=error
    )


def _is_set_off(view: View, protocol: str) -> bool | None:
    """Whether Schannel is set to leave a version out in the role of a server; None when nobody knows."""
    try:
        outcome = off_finding(view, view.registry(PROTOCOLS), protocol, "Server").outcome
    except (NotObserved, Unreadable):
        return None
    return None if outcome is Outcome.ERROR else outcome is Outcome.PASS
