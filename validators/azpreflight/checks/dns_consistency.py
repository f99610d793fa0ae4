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
from azpreflight.model import Finding, Outcome, Phase

NO_RECORD = "no address"


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
    yield from _compared(view, DOMAIN_ADDRESSES, view.site.directory.domain, servers)


def _compared(view: View, fact: str, name: str | None, servers: list[str]) -> Iterator[Finding]:
    if not name:
        return
    said: dict[str, str] = {}
    silent: list[str] = []
    for server in servers:
        rows = [row for row in answers_about(view, fact, Asked(name, "A")) if row["server"] == server]
        what = _said(rows)
        if what is None:
            silent.append(server)
        else:
            said[server] = what
    each = "; ".join(f"{server}: {what}" for server, what in said.items())
    if len(set(said.values())) > 1:
        message = f"the DNS servers do not say the same of {name}: {each}"
        yield failed(name, message, expected="the same everywhere", actual=said)
    elif silent:
        message = f"what {' and '.join(silent)} would answer for {name} is not known, so that nothing is compared"
        yield unjudged(name, message, actual=said)
    elif set(said.values()) == {NO_RECORD}:
        yield irrelevant(name, f"no DNS server knows an address of {name}")
    else:
        yield passed(name, f"all DNS servers say the same of {name}: {said[servers[0]]}", actual=said)


def _said(rows: list[Row]) -> str | None:
    """What a server says of a name, in a form that can be compared; None where that is not known."""
    if not rows or contradict(rows, "rcode", "error", "answers"):
        return None
    finding = without_answer(rows[0], "")
    if finding is None:
        return ", ".join(sorted(rows[0]["answers"]))
    if finding.outcome is not Outcome.FAIL:
        return None
    rcode: str = rows[0]["rcode"]
    return NO_RECORD if rcode in ("NOERROR", "NXDOMAIN") else rcode
