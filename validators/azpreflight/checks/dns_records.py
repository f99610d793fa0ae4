"""What the declared DNS servers answer, each by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from azpreflight.checks.check import NoParameters, check, failed, irrelevant, judged, passed, unjudged
from azpreflight.checks.dns_servers import declared_servers
from azpreflight.checks.pools import need_static_cluster_address
from azpreflight.checks.ranges import address, cluster_address
from azpreflight.checks.view import NotApplicable, Row, View
from azpreflight.model import Finding, Outcome, Profile

NODE_RECORDS = "dns.node_records"
CLUSTER_RECORD = "dns.cluster_record"
ZONE_AUTHORITY = "dns.zone_authority"
PUBLIC_NAMES = "dns.public_names"

_REFUSALS = {
    "NXDOMAIN": "{server} says that {name} does not exist (NXDOMAIN)",
    "REFUSED": "{server} refuses to answer for {name} (REFUSED)",
    "SERVFAIL": "{server} failed to find an answer for {name} (SERVFAIL)",
}

Judge = Callable[[Row, str], Finding]
"""Judges a row that holds answers."""

WithoutAnswer = Callable[[Row, str], Finding | None]
"""The finding on a row that holds no answer; None when it holds one."""


def without_answer(row: Row, subject: str) -> Finding | None:
    """The finding on a row that holds no answer; None when it holds one.

    Silence is no failure: the machine that asks may be cut off where the nodes are not.
    """
    server, name, rcode = row["server"], row["name"], row["rcode"]
    if rcode is None:
        why = "did not answer in time" if row["error"] == "timeout" else f"could not be asked: {row['error']}"
        return unjudged(subject, f"{server} {why}, from the machine that runs azpreflight", actual=row["error"])
    if rcode != "NOERROR":
        template = _REFUSALS.get(rcode, "{server} answers {rcode} for {name}")
        message = template.format(server=server, name=name, rcode=rcode)
        return failed(subject, message, expected="NOERROR", actual=rcode)
    if not row["answers"]:
        message = f"{server} knows {name}, but no {row['type']} record of it"
        return failed(subject, message, expected=f"a {row['type']} record", actual=[])
    return None


def on_each_server(
    view: View, fact: str, name: str, judge: Judge, without: WithoutAnswer = without_answer
) -> Iterator[Finding]:
    """One finding for each declared server on what it answers for `name`, or on its having no answer."""
    servers = declared_servers(view)
    if not servers:
        yield unjudged(name, "the declared list of DNS servers is empty")
        return
    rows = {(row["server"], str(row["name"]).rstrip(".").casefold()): row for row in view.rows(fact)}
    for server in dict.fromkeys(servers):
        subject = f"{name} at {server}"
        row = rows.get((server, name.rstrip(".").casefold()))
        if row is None:
            yield unjudged(subject, f"{server} was not asked for {name}")
        else:
            yield without(row, subject) or judge(row, subject)


def the_one_address(expected: str) -> Judge:
    """Judges that a name has the expected address and no other."""

    def judge(row: Row, subject: str) -> Finding:
        answers, server, name = row["answers"], row["server"], row["name"]
        if len(answers) > 1:
            message = f"{server} answers {len(answers)} addresses for {name}: {', '.join(answers)}"
            return failed(subject, message, expected=[expected], actual=answers)
        return judged(
            answers == [expected],
            subject,
            if_good=f"{server} answers {expected} for {name}",
            if_bad=f"{server} answers {answers[0]} for {name}, not {expected}",
            expected=[expected],
            actual=answers,
        )

    return judge


def _need_manual_records(view: View) -> None:
    """Raise `NotApplicable` where nodes and cluster register their names themselves."""
    declared_servers(view)
    if view.profile is Profile.ACTIVE_DIRECTORY and view.site.network.dns.dynamic_update is not False:
        raise NotApplicable("with Active Directory only where the site declares network.dns.dynamic_update: false")


def _full_name(view: View, name: str | None) -> str:
    found = view.site.fqdn(name or "")
    if found is None:
        missing = "network.dns.zone" if view.profile is Profile.LOCAL_IDENTITY else "directory.domain"
        raise NotApplicable(f"the site does not declare {missing if name else 'cluster.name'}")
    return found


@check("dns.public_names_resolve", PUBLIC_NAMES)
def public_names_resolve(view: View, _: NoParameters) -> Iterator[Finding]:
    """Every declared DNS server resolves the public names that were asked for."""

    def judge(row: Row, subject: str) -> Finding:
        return passed(subject, f"{row['server']} resolves {row['name']}", actual=row["answers"])

    declared_servers(view)
    names = dict.fromkeys(str(row["name"]) for row in view.rows(PUBLIC_NAMES))
    if not names:
        yield unjudged("public names", "no public name was asked for")
    for name in names:
        yield from on_each_server(view, PUBLIC_NAMES, name, judge)


@check("dns.node_records", NODE_RECORDS)
def node_records(view: View, _: NoParameters) -> Iterator[Finding]:
    """Every declared DNS server answers exactly the declared address for the full name of every node."""
    _need_manual_records(view)
    for node in view.nodes:
        name = _full_name(view, node.name)
        if address(node.address) is None:
            yield unjudged(name, f"the declared address of {node.name} is no IPv4 address: {node.address!r}")
        else:
            yield from on_each_server(view, NODE_RECORDS, name, the_one_address(node.address))


@check("dns.cluster_record", CLUSTER_RECORD)
def cluster_record(view: View, _: NoParameters) -> Iterator[Finding]:
    """Every declared DNS server answers exactly the first address of the pools for the full name of the cluster."""
    _need_manual_records(view)
    name, expected = _full_name(view, view.site.cluster.name), cluster_address(view)
    if expected is None:
        yield unjudged(name, "the first pool does not begin with an IPv4 address")
        return
    yield from on_each_server(view, CLUSTER_RECORD, name, the_one_address(expected))


@check("pools.cluster_address_in_dns", CLUSTER_RECORD)
def cluster_address_in_dns(view: View, _: NoParameters) -> Iterator[Finding]:
    """The first address of the pools is among those that each DNS server answers for the cluster's name.

    A server that has no such record is a matter of `dns.cluster_record` alone: one mistake, one failure.
    """
    need_static_cluster_address(view)
    _need_manual_records(view)
    name, expected = _full_name(view, view.site.cluster.name), cluster_address(view)
    if expected is None:
        yield unjudged(name, "the first pool does not begin with an IPv4 address")
        return

    def judge(row: Row, subject: str) -> Finding:
        answers = ", ".join(row["answers"])
        return judged(
            expected in row["answers"],
            subject,
            if_good=f"{row['server']} leads {name} to {expected}, the first address of the pools",
            if_bad=f"{row['server']} leads {name} to {answers}, and the first address of the pools is {expected}",
            expected=expected,
            actual=row["answers"],
        )

    def without(row: Row, subject: str) -> Finding | None:
        finding = without_answer(row, subject)
        if finding is None or finding.outcome is not Outcome.FAIL:
            return finding
        return irrelevant(subject, f"{row['server']} has no record of {name}, which is judged for itself")

    yield from on_each_server(view, CLUSTER_RECORD, name, judge, without)


@check("dns.zone_authority", ZONE_AUTHORITY)
def zone_authority(view: View, _: NoParameters) -> Iterator[Finding]:
    """Every declared DNS server answers for the zone with authority."""
    declared_servers(view)
    zone = view.site.dns_suffix
    if zone is None:
        raise NotApplicable("the site does not declare network.dns.zone")

    def judge(row: Row, subject: str) -> Finding:
        return judged(
            row["authoritative"] is True,
            subject,
            if_good=f"{row['server']} is authoritative for {zone}",
            if_bad=f"{row['server']} answers for {zone}, but not with authority",
            expected=True,
            actual=row["authoritative"],
        )

    yield from on_each_server(view, ZONE_AUTHORITY, zone, judge)
