"""Records of the zone: nodes, cluster, domain, and who is authoritative. Each declared DNS server by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

from azpreflight.checks.agreement import same
from azpreflight.checks.check import NoParameters, check, failed, irrelevant, judged, passed, unjudged
from azpreflight.checks.dns_answers import (
    CLUSTER_RECORD,
    DOMAIN_ADDRESSES,
    NODE_RECORDS,
    Asked,
    full_name,
    leads_to_hosts,
    need_manual_records,
    on_each_server,
    the_one_address,
    without_answer,
)
from azpreflight.checks.dns_servers import declared_servers
from azpreflight.checks.pools import need_static_cluster_address
from azpreflight.checks.ranges import address, cluster_address
from azpreflight.checks.view import NotApplicable, Row, View
from azpreflight.model import Finding, Outcome

ZONE_AUTHORITY = "dns.zone_authority"
REVERSE_RECORDS = "dns.reverse_records"

LONGEST_NAME = 253
"""Characters of a full name, RFC 1035: 255 bytes on the wire."""
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")


@check("dns.node_records", NODE_RECORDS)
def node_records(view: View, _: NoParameters) -> Iterator[Finding]:
    """Every declared DNS server answers exactly the declared address for the full name of every node."""
    need_manual_records(view)
    for node in view.nodes:
        name = full_name(view, node.name)
        if address(node.address) is None:
            yield unjudged(name, f"the declared address of {node.name} is no IPv4 address: {node.address!r}")
        else:
            judge = the_one_address(view, NODE_RECORDS, name, node.address)
            yield from on_each_server(view, NODE_RECORDS, Asked(name, "A"), judge)


@check("dns.nodes_registered", NODE_RECORDS)
def nodes_registered(view: View, _: NoParameters) -> Iterator[Finding]:
    """Every declared DNS server has the declared address of every node among those it answers for its full name."""
    declared_servers(view)
    for node in view.nodes:
        name = full_name(view, node.name)

        def judge(row: Row, subject: str, name: str = name, expected: str = node.address) -> Finding:
            answers = ", ".join(row["answers"])
            return judged(
                expected in row["answers"],
                subject,
                if_good=f"{row['server']} answers {answers} for {name}",
                if_bad=f"{row['server']} answers {answers} for {name}, and not the node's own {expected}",
                expected=expected,
                actual=row["answers"],
            )

        if address(node.address) is None:
            yield unjudged(name, f"the declared address of {node.name} is no IPv4 address: {node.address!r}")
        else:
            yield from on_each_server(view, NODE_RECORDS, Asked(name, "A"), judge)


@check("dns.cluster_record", CLUSTER_RECORD)
def cluster_record(view: View, _: NoParameters) -> Iterator[Finding]:
    """Every declared DNS server answers exactly the first address of the pools for the full name of the cluster."""
    need_manual_records(view)
    name, expected = full_name(view, view.site.cluster.name), cluster_address(view)
    if expected is None:
        yield unjudged(name, "the first pool does not begin with an IPv4 address")
        return
    judge = the_one_address(view, CLUSTER_RECORD, name, expected)
    yield from on_each_server(view, CLUSTER_RECORD, Asked(name, "A"), judge)


@check("dns.cluster_record_present", CLUSTER_RECORD)
def cluster_record_present(view: View, _: NoParameters) -> Iterator[Finding]:
    """Every declared DNS server has an address for the full name of the cluster. Which one is for another rule."""
    need_manual_records(view)
    name = full_name(view, view.site.cluster.name)
    yield from on_each_server(view, CLUSTER_RECORD, Asked(name, "A"), _answers_an_address)


def _answers_an_address(row: Row, subject: str) -> Finding:
    answers = row["answers"]
    return passed(subject, f"{row['server']} answers {', '.join(answers)} for {row['name']}", actual=answers)


@check("pools.cluster_address_in_dns", CLUSTER_RECORD)
def cluster_address_in_dns(view: View, _: NoParameters) -> Iterator[Finding]:
    """The first address of the pools is among those that each DNS server answers for the cluster's name.

    A server that has no such record is a matter of `dns.cluster_record` alone: one mistake, one failure.
    """
    need_static_cluster_address(view)
    need_manual_records(view)
    name, expected = full_name(view, view.site.cluster.name), cluster_address(view)
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

    yield from on_each_server(view, CLUSTER_RECORD, Asked(name, "A"), judge, without)


@check("dns.zone_authority", ZONE_AUTHORITY)
def zone_authority(view: View, _: NoParameters) -> Iterator[Finding]:
    """Every declared DNS server answers for the zone with authority."""
    declared_servers(view)
    zone = view.site.dns_suffix
    if zone is None:
        raise NotApplicable("the site does not declare network.dns.zone")

    def judge(row: Row, subject: str) -> Finding:
        if not isinstance(row["authoritative"], bool):
            return unjudged(subject, f"{row['server']} does not tell whether it is authoritative for {zone}")
        return judged(
            row["authoritative"],
            subject,
            if_good=f"{row['server']} is authoritative for {zone}",
            if_bad=f"{row['server']} answers for {zone}, but not with authority",
            expected=True,
            actual=row["authoritative"],
        )

    yield from on_each_server(view, ZONE_AUTHORITY, Asked(zone, "SOA"), judge)


@check("dns.domain_resolves", DOMAIN_ADDRESSES)
def domain_resolves(view: View, _: NoParameters) -> Iterator[Finding]:
    """Every declared DNS server leads the name of the domain to addresses that domain controllers can have."""
    declared_servers(view)

    def judge(row: Row, subject: str) -> Finding:
        good = f"{row['server']} leads {row['name']} to {', '.join(row['answers'])}"
        return leads_to_hosts(row, subject, if_good=good)

    domain = view.site.directory.domain
    if not domain:
        raise NotApplicable("the site does not declare directory.domain")
    yield from on_each_server(view, DOMAIN_ADDRESSES, Asked(domain, "A"), judge)


@check("dns.reverse_records", REVERSE_RECORDS)
def reverse_records(view: View, _: NoParameters) -> Iterator[Finding]:
    """Where a server has a reverse record for the address of a node, that leads back to the node's full name."""
    declared_servers(view)

    def without(row: Row, subject: str) -> Finding | None:
        finding = without_answer(row, subject)
        if finding is None or finding.outcome is not Outcome.FAIL:
            return finding
        return irrelevant(subject, f"{row['server']} has no reverse record for {row['name']}, and none is required")

    for node in view.nodes:
        expected = full_name(view, node.name)

        def judge(row: Row, subject: str, expected: str = expected) -> Finding:
            names = [text.rstrip(".") for text in row["answers"]]
            return judged(
                any(same(name, expected.rstrip(".")) for name in names),
                subject,
                if_good=f"{row['server']} leads {row['name']} back to {expected}",
                if_bad=f"{row['server']} leads {row['name']} back to {', '.join(names)}, not to {expected}",
                expected=expected,
                actual=names,
            )

        if address(node.address) is None:
            yield unjudged(expected, f"the declared address of {node.name} is no IPv4 address: {node.address!r}")
        else:
            yield from on_each_server(view, REVERSE_RECORDS, Asked(node.address, "PTR"), judge, without)


@check("dns.zone_name")
def zone_name(view: View, _: NoParameters) -> Iterator[Finding]:
    """The declared zone is a full name of host names. That `.local` is multicast DNS's is named and does not fail."""
    zone = view.site.network.dns.zone
    if zone is None:
        raise NotApplicable("the site does not declare network.dns.zone")
    wrong = _wrong_in_name(zone)
    if wrong is not None:
        message = f"{zone!r} is no valid name of a zone: {wrong}"
        yield failed("zone", message, expected="a name such as edge.example", actual=zone)
        return
    good = f"{zone} is a valid name of a zone"
    if zone.casefold().endswith(".local"):
        good += "; but multicast DNS claims .local, and machines may never ask a server for it: another name is safer"
    yield passed("zone", good, actual=zone)


def _wrong_in_name(zone: str) -> str | None:
    """What keeps a text from naming a zone; None when nothing does."""
    labels = zone.split(".")
    if len(labels) < 2:
        return "it has a single label, and names in it would be no full names"
    if len(zone) > LONGEST_NAME:
        return f"it has more than {LONGEST_NAME} characters"
    for label in labels:
        if _LABEL.fullmatch(label) is None:
            return f"the label {label!r} is not 1 to 63 letters, digits and hyphens, with no hyphen at either end"
    return None
