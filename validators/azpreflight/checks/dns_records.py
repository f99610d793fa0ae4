"""What the declared DNS servers answer, each by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, NamedTuple

from msgspec import Meta

from azpreflight.checks.agreement import contradict, named_rows, same
from azpreflight.checks.check import NoParameters, check, failed, irrelevant, judged, unjudged
from azpreflight.checks.dns_servers import can_be_host, declared_servers
from azpreflight.checks.pools import need_static_cluster_address
from azpreflight.checks.ranges import address, cluster_address
from azpreflight.checks.view import NotApplicable, Row, View
from azpreflight.model import Finding, Frozen, Outcome, Profile, Value
from azpreflight.site.references import REFERENCES, resolve

NODE_RECORDS = "dns.node_records"
CLUSTER_RECORD = "dns.cluster_record"
ZONE_AUTHORITY = "dns.zone_authority"
PUBLIC_NAMES = "dns.public_names"

_REFUSALS = {
    "NXDOMAIN": "{server} says that {name} does not exist (NXDOMAIN)",
    "REFUSED": "{server} refuses to answer for {name} (REFUSED)",
    "SERVFAIL": "{server} failed to find an answer for {name} (SERVFAIL)",
}

_RCODES = frozenset({"FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "NOTAUTH", "NOTZONE"})
"""The codes with which a server says that it has no answer."""


class Asked(NamedTuple):
    """A question: a name and the type of its record."""

    name: str
    type: str


class PublicNames(Frozen, frozen=True):
    """names: those that the query of `dns.public_names` asks for, as references to the site or as they stand."""

    names: Annotated[tuple[str, ...], Meta(min_length=1)]


Judge = Callable[[Row, str], Finding]
"""Judges a row that holds answers."""

WithoutAnswer = Callable[[Row, str], Finding | None]
"""The finding on a row that holds no answer; None when it holds one."""


def without_answer(row: Row, subject: str) -> Finding | None:
    """The finding on a row that holds no answer; None when it holds one.

    Silence is no failure: the machine that asks may be cut off where the nodes are not. Neither is a row that is none
    of a question that was asked and answered.
    """
    server, name, rcode, error, answers = row["server"], row["name"], row["rcode"], row["error"], row["answers"]
    if rcode is None:
        why = "did not answer in time" if error == "timeout" else f"could not be asked: {error}"
        return unjudged(subject, f"{server} {why}, from the machine that runs azpreflight", actual=error)
    if error is not None or not _are_texts(answers) or (rcode != "NOERROR" and rcode not in _RCODES):
        message = f"what {server} answers for {name} is not known: {rcode}, {error}, {answers}"
        return unjudged(subject, message, actual=answers)
    if rcode != "NOERROR":
        template = _REFUSALS.get(rcode, "{server} answers {rcode} for {name}")
        message = template.format(server=server, name=name, rcode=rcode)
        return failed(subject, message, expected="NOERROR", actual=rcode)
    if not answers:
        message = f"{server} knows {name}, but no {row['type']} record of it"
        return failed(subject, message, expected=f"a {row['type']} record", actual=[])
    if row["type"] == "A" and not all(address(text) is not None for text in answers):
        return unjudged(subject, f"{server} answers for {name} what is no address: {answers}", actual=answers)
    return None


def _are_texts(answers: Value) -> bool:
    return isinstance(answers, list) and all(isinstance(text, str) for text in answers)


def on_each_server(
    view: View, fact: str, asked: Asked, judge: Judge, without: WithoutAnswer = without_answer
) -> Iterator[Finding]:
    """One finding for each declared server on what it answers for a name, or on its having no answer.

    Rows on another name or type are no answers. Two answers of one server that differ are none either.
    """
    name = asked.name
    servers = declared_servers(view)
    if not servers:
        yield unjudged(name, "the declared list of DNS servers is empty")
        return
    answers = [row for row in named_rows(view, fact, "server", "name", "type") if _is_about(row, asked)]
    for server in dict.fromkeys(servers):
        subject = f"{name} at {server}"
        rows = [row for row in answers if row["server"] == server]
        if not rows:
            yield unjudged(subject, f"{server} was not asked for {name} ({asked.type})")
        elif contradict(rows, "rcode", "error", "answers", "authoritative"):
            yield unjudged(subject, f"{server} was asked twice for {name} and gave different answers")
        else:
            yield without(rows[0], subject) or judge(rows[0], subject)


def _is_about(row: Row, asked: Asked) -> bool:
    return same(row["name"].rstrip("."), asked.name.rstrip(".")) and row["type"] == asked.type


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


@check("dns.public_names_resolve", PUBLIC_NAMES, parameters=PublicNames)
def public_names_resolve(view: View, parameters: PublicNames) -> Iterator[Finding]:
    """Every declared DNS server resolves the public names, to addresses that a machine can have.

    A filter that answers 0.0.0.0 or the loopback for a name hides it.
    """

    def judge(row: Row, subject: str) -> Finding:
        nowhere = [text for text in row["answers"] if not can_be_host(text)]
        return judged(
            not nowhere,
            subject,
            if_good=f"{row['server']} resolves {row['name']}",
            if_bad=f"{row['server']} answers {', '.join(nowhere)} for {row['name']}, which leads nowhere",
            expected="addresses of hosts",
            actual=row["answers"],
        )

    declared_servers(view)
    for given in parameters.names:
        names = resolve(given, view.site) if given in REFERENCES else (given,)
        for name in names:
            yield from on_each_server(view, PUBLIC_NAMES, Asked(name, "A"), judge)


@check("dns.node_records", NODE_RECORDS)
def node_records(view: View, _: NoParameters) -> Iterator[Finding]:
    """Every declared DNS server answers exactly the declared address for the full name of every node."""
    _need_manual_records(view)
    for node in view.nodes:
        name = _full_name(view, node.name)
        if address(node.address) is None:
            yield unjudged(name, f"the declared address of {node.name} is no IPv4 address: {node.address!r}")
        else:
            yield from on_each_server(view, NODE_RECORDS, Asked(name, "A"), the_one_address(node.address))


@check("dns.cluster_record", CLUSTER_RECORD)
def cluster_record(view: View, _: NoParameters) -> Iterator[Finding]:
    """Every declared DNS server answers exactly the first address of the pools for the full name of the cluster."""
    _need_manual_records(view)
    name, expected = _full_name(view, view.site.cluster.name), cluster_address(view)
    if expected is None:
        yield unjudged(name, "the first pool does not begin with an IPv4 address")
        return
    yield from on_each_server(view, CLUSTER_RECORD, Asked(name, "A"), the_one_address(expected))


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
