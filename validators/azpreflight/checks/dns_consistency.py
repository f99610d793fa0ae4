"""Whether the declared DNS servers say the same of the site's own names."""

from __future__ import annotations

from collections.abc import Iterator

from azpreflight.checks.agreement import contradict
from azpreflight.checks.check import NoParameters, check, failed, irrelevant, passed, unjudged
from azpreflight.checks.dns_answers import (
    CLUSTER_RECORD,
    DOMAIN_ADDRESSES,
    NODE_RECORDS,
    Asked,
    answers_about,
    has_manual_records,
    without_answer,
)
from azpreflight.checks.dns_servers import declared_servers
from azpreflight.checks.view import NotApplicable, Row, View
from azpreflight.model import Finding, Outcome, Phase, Profile

NO_ADDRESS = "no address"


@check("dns.consistent", NODE_RECORDS, CLUSTER_RECORD, DOMAIN_ADDRESSES)
def consistent(view: View, _: NoParameters) -> Iterator[Finding]:
    """All declared DNS servers answer the same addresses for nodes, cluster and domain.

    Before the deployment the records that somebody makes are held against the declaration, server by server: there
    they are no matter of this one. SOA serials are not compared: two primaries count on their own, every domain
    controller has a serial of its own, and a secondary lags behind until its next refresh.
    """
    servers = list(dict.fromkeys(declared_servers(view)))
    if len(servers) < 2:
        raise NotApplicable("the site declares no second DNS server")
    if view.phase is Phase.PRE_DEPLOY and has_manual_records(view):
        yield irrelevant("nodes and cluster", "each server is held against the declaration, which is judged for itself")
    else:
        for node in view.nodes:
            yield from _compared(view, NODE_RECORDS, view.site.fqdn(node.name), servers)
        yield from _compared(view, CLUSTER_RECORD, view.site.fqdn(view.site.cluster.name or ""), servers)
    if view.profile is Profile.ACTIVE_DIRECTORY:
        yield from _compared(view, DOMAIN_ADDRESSES, view.site.directory.domain, servers)


def _compared(view: View, fact: str, name: str | None, servers: list[str]) -> Iterator[Finding]:
    if not name:
        return
    rows = answers_about(view, fact, Asked(name, "A"))
    said = {server: _said([row for row in rows if row["server"] == server]) for server in servers}
    silent = [server for server, what in said.items() if what is None]
    told = {server: what for server, what in said.items() if what is not None}
    without = [server for server, what in told.items() if isinstance(what, str)]
    if fact == DOMAIN_ADDRESSES and without:
        yield irrelevant(name, f"{' and '.join(without)} has no address of {name}, which is judged for itself")
    elif any(what != told[next(iter(told))] for what in told.values()):
        spelled = {server: what if isinstance(what, str) else ", ".join(what) for server, what in told.items()}
        each = "; ".join(f"{server}: {what}" for server, what in spelled.items())
        message = f"the DNS servers do not say the same of {name}: {each}"
        yield failed(name, message, expected="the same everywhere", actual=spelled)
    elif silent:
        message = f"what {' and '.join(silent)} would answer for {name} is not known, so that nothing is compared"
        yield unjudged(name, message, actual=silent)
    elif without:
        yield irrelevant(name, f"no DNS server has an address of {name} ({told[without[0]]})")
    else:
        addresses = ", ".join(told[servers[0]])
        yield passed(name, f"all DNS servers answer {addresses} for {name}", actual=addresses)


def _said(rows: list[Row]) -> list[str] | str | None:
    """The addresses that a server answers, or its words for having none; None where that is not known."""
    if not rows or contradict(rows, "rcode", "error", "answers"):
        return None
    finding = without_answer(rows[0], "")
    if finding is None:
        return sorted(rows[0]["answers"])
    if finding.outcome is not Outcome.FAIL:
        return None
    rcode: str = rows[0]["rcode"]
    return NO_ADDRESS if rcode in ("NOERROR", "NXDOMAIN") else rcode
