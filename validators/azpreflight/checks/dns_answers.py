"""Answers of DNS servers: what a row says when there is none, and one judgement for each server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from azpreflight.checks.agreement import contradict, named_rows, same
from azpreflight.checks.check import failed, judged, unjudged
from azpreflight.checks.dns_servers import can_be_host, declared_servers
from azpreflight.checks.ranges import address
from azpreflight.checks.view import NotApplicable, NotObserved, Row, View
from azpreflight.facts.observation import Status
from azpreflight.facts.row_errors import TIMEOUT
from azpreflight.model import Finding, Profile, Value
from azpreflight.site.model import DnsMode
from azpreflight.site.references import resolve

NODE_RECORDS = "dns.node_records"
CLUSTER_RECORD = "dns.cluster_record"
DOMAIN_ADDRESSES = "dns.domain_addresses"
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
        return unjudged(subject, f"{_silence(row)}, from the machine that runs azpreflight", actual=error)
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


def _silence(row: Row) -> str:
    """Why there is no answer at all. That TCP is blocked behind an answer that was cut is another story."""
    server, error = row["server"], row["error"]
    if "truncated" in row and row["truncated"] is True:
        why = "it kept silent" if error == TIMEOUT else str(error)
        return f"{server} cut its answer for {row['name']} short, and TCP 53, which has to carry the rest, fails: {why}"
    over = " over TCP" if row["transport"] == "tcp" else ""
    return f"{server} did not answer{over} in time" if error == TIMEOUT else f"{server} could not be asked: {error}"


def _are_texts(answers: Value) -> bool:
    return isinstance(answers, list) and all(isinstance(text, str) for text in answers)


def aliases_of(row: Row) -> list[str]:
    """The names to which the asked one leads, in order.

    Raises:
        NotObserved: the row does not tell.
    """
    aliases = row["aliases"]
    if not _are_texts(aliases):
        raise NotObserved("dns", row["server"], Status.FAILED, f"whether {row['name']} is an alias: {aliases}")
    return list(aliases)


def through(row: Row) -> str:
    """By which aliases a name leads to its answer, for a message; "" without any."""
    aliases = aliases_of(row)
    return f" (through {', '.join(aliases)})" if aliases else ""


def answers_about(view: View, fact: str, asked: Asked) -> list[Row]:
    """The rows of a fact on one question. Those on another name or type are no answers to it."""
    return [row for row in named_rows(view, fact, "server", "name", "type") if _is_about(row, asked)]


def _is_about(row: Row, asked: Asked) -> bool:
    return same(row["name"].rstrip("."), asked.name.rstrip(".")) and row["type"] == asked.type


def on_each_server(
    view: View,
    fact: str,
    asked: Asked,
    judge: Judge,
    without: WithoutAnswer = without_answer,
    *,
    servers: Sequence[str] | None = None,
) -> Iterator[Finding]:
    """One finding for each server, the declared ones by default, on what it answers, or on its having no answer.

    Two answers of one server that differ are no answer either.
    """
    name = asked.name
    if servers is None:
        servers = declared_servers(view)
    if not servers:
        yield unjudged(name, "the declared list of DNS servers is empty")
        return
    answers = answers_about(view, fact, asked)
    for server in dict.fromkeys(servers):
        subject = f"{name} at {server}"
        rows = [row for row in answers if row["server"] == server]
        if not rows:
            yield unjudged(subject, f"{server} was not asked for {name} ({asked.type})")
        elif contradict(rows, "rcode", "error", "answers", "authoritative"):
            yield unjudged(subject, f"{server} was asked twice for {name} and gave different answers")
        else:
            yield without(rows[0], subject) or judge(rows[0], subject)


def leads_to_hosts(row: Row, subject: str, *, if_good: str) -> Finding:
    """Judges that a name leads to addresses that a machine can have. A filter hides names behind 0.0.0.0."""
    nowhere = [text for text in row["answers"] if not can_be_host(text)]
    return judged(
        not nowhere,
        subject,
        if_good=if_good,
        if_bad=f"{row['server']} answers {', '.join(nowhere)} for {row['name']}, which leads nowhere",
        expected="addresses of hosts",
        actual=row["answers"],
    )


def the_one_address(view: View, fact: str, name: str, expected: str) -> Judge:
    """Judges that a name has the expected address and no other.

    Where another server has it right, the finding names that one: the wrong copy is old, or not of the same zone.
    """
    right = [row["server"] for row in answers_about(view, fact, Asked(name, "A")) if row["answers"] == [expected]]

    def judge(row: Row, subject: str) -> Finding:
        answers, server = row["answers"], row["server"]
        others = (
            f" as {' and '.join(right)} {'do' if len(right) > 1 else 'does'}; its copy may be stale" if right else ""
        )
        if len(answers) > 1:
            message = f"{server} answers {len(answers)} addresses for {name}: {', '.join(answers)}"
            return failed(subject, message, expected=[expected], actual=answers)
        return judged(
            answers == [expected],
            subject,
            if_good=f"{server} answers {expected} for {name}",
            if_bad=f"{server} answers {answers[0]} for {name}, not {expected}{others}",
            expected=[expected],
            actual=answers,
        )

    return judge


def resolvers(view: View) -> tuple[str, ...]:
    """Who is asked for names elsewhere: the declared DNS servers, or the forwarders of a cluster that is its own.

    Raises:
        NotApplicable: the site does not declare them.
    """
    dns = view.site.network.dns
    field, declared = ("forwarders", dns.forwarders) if dns.mode is DnsMode.FORWARDER else ("servers", dns.servers)
    if declared is None:
        raise NotApplicable(f"the site does not declare network.dns.{field}")
    return resolve("site.resolvers", view.site)


def has_manual_records(view: View) -> bool:
    """Whether somebody has to make the records of nodes and cluster: they cannot register their names themselves."""
    return view.profile is Profile.LOCAL_IDENTITY or view.site.network.dns.dynamic_update is False


def need_manual_records(view: View) -> None:
    """Raise `NotApplicable` where nodes and cluster register their names themselves."""
    declared_servers(view)
    if not has_manual_records(view):
        raise NotApplicable("with Active Directory only where the site declares network.dns.dynamic_update: false")


def full_name(view: View, name: str | None) -> str:
    """The full name of a node or of the cluster.

    Raises:
        NotApplicable: the site does not declare what it is made of.
    """
    found = view.site.fqdn(name or "")
    if found is None:
        missing = "network.dns.zone" if view.profile is Profile.LOCAL_IDENTITY else "directory.domain"
        raise NotApplicable(f"the site does not declare {missing if name else 'cluster.name'}")
    return found
