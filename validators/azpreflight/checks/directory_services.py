"""The domain's controllers: how they are found, whether nodes reach them, what time they have, how old they may be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated

from msgspec import Meta

from azpreflight.checks.accounts import moment
from azpreflight.checks.agreement import contradict, named_rows, same, told
from azpreflight.checks.check import NoParameters, check, failed, irrelevant, judged, passed, unjudged
from azpreflight.checks.directory_rows import ROOT, is_observed, name_of, number
from azpreflight.checks.dns_answers import DOMAIN_ADDRESSES, Asked, answers_about, on_each_server, without_answer
from azpreflight.checks.dns_servers import declared_servers
from azpreflight.checks.reach import CONNECTED, NAME_UNKNOWN, REFUSED, UNKNOWN, connection
from azpreflight.checks.view import NotApplicable, Row, View
from azpreflight.model import Finding, Frozen, Outcome
from azpreflight.site.formats import Port
from azpreflight.site.references import resolve

SERVICES = "dns.controller_services"
ADDRESSES = "dns.controller_addresses"
FROM_NODE = "reach.directory"
FROM_OPERATOR = "directory.ports"
NODE_TIME = "time.domain"

DNS_PORT = 53

_SRV = re.compile(r"[0-9]+ [0-9]+ [0-9]+ \S+")
_OFFSET = re.compile(r"^[0-9:]+, *(?P<seconds>[+-][0-9]+[.,][0-9]+)s", re.MULTILINE)


class Ports(Frozen, frozen=True):
    """ports: those that the node must reach, of the ones that its query asks for.

    optional: those of them at which not every controller listens, so that one may refuse.
    """

    ports: Annotated[tuple[Port, ...], Meta(min_length=1)]
    optional: tuple[Port, ...] = ()


class Skew(Frozen, kw_only=True):
    """Seconds. most: by how much two clocks may differ. notable: from when on a smaller difference is named."""

    most: Annotated[int, Meta(ge=1)] = 300
    notable: Annotated[int, Meta(ge=1)] = 5


class Level(Frozen, kw_only=True):
    """least: the lowest functional level, as a number; 7 is that of Windows Server 2016."""

    least: Annotated[int, Meta(ge=0)] = 7


@check("directory.controllers_in_dns", SERVICES, ADDRESSES, DOMAIN_ADDRESSES, ROOT)
def controllers_in_dns(view: View, _: NoParameters) -> Iterator[Finding]:
    """Every declared DNS server knows where controllers, PDC, Kerberos and catalog are, and resolves what it says."""
    if not view.site.directory.domain:
        raise NotApplicable("the site does not declare directory.domain")
    declared_servers(view)
    catalogs = []
    for name in resolve("site.controller_services", view.site):
        if name.startswith("_gc."):
            catalogs.append(name)
        else:
            yield from _service(view, name)
    yield from _catalog(view, catalogs)


def _service(view: View, name: str) -> Iterator[Finding]:
    """One finding for each server on where a service is, and whether that server resolves one of these hosts.

    One that it does not resolve is no failure beside one that it does: of many controllers some are always gone.
    """

    def judge(row: Row, subject: str) -> Finding:
        server, targets = row["server"], row["targets"]
        if not all(map(_SRV.fullmatch, row["answers"])) or not isinstance(targets, list):
            return unjudged(subject, f"{server} answers for {name} what is no service: {row['answers']}")
        if not targets:
            # A dot in place of a host says so.
            return failed(subject, f"{server} says that nobody serves {name}", expected="a controller", actual=[])
        outcomes = {target: _resolution(view, server, target) for target in targets}
        lost = [target for target, outcome in outcomes.items() if outcome is Outcome.FAIL]
        words = f"{server} leads {name} to {', '.join(map(str, targets))}"
        words += f", of which it does not resolve {', '.join(lost)}" if lost else ""
        make = passed if Outcome.PASS in outcomes.values() else failed if len(lost) == len(outcomes) else unjudged
        words += "; whether it resolves a controller is not known" if make is unjudged else ""
        return make(subject, words, expected="a controller that resolves", actual=targets)

    def without(row: Row, subject: str) -> Finding | None:
        finding = without_answer(row, subject)
        if finding is None or finding.outcome is not Outcome.FAIL or not _lacks_domain(view, row["server"]):
            return finding
        return irrelevant(subject, f"{row['server']} does not know the domain at all, as AZL-DNS-020 tells")

    yield from on_each_server(view, SERVICES, Asked(name, "SRV"), judge, without)


def _lacks_domain(view: View, server: str) -> bool:
    """Whether a server says that it has no address of the domain itself."""
    if not is_observed(view, DOMAIN_ADDRESSES):
        return False
    rows = answers_about(view, DOMAIN_ADDRESSES, Asked(view.site.directory.domain or "", "A"))
    findings = [without_answer(row, server) for row in rows if row["server"] == server]
    return bool(findings) and all(one is not None and one.outcome is Outcome.FAIL for one in findings)


def _resolution(view: View, server: str, target: str) -> Outcome:
    """Whether a server resolves the name of a controller."""
    rows = [row for row in answers_about(view, ADDRESSES, Asked(target, "A")) if row["server"] == server]
    if not rows or contradict(rows, "rcode", "error", "answers"):
        return Outcome.ERROR
    without = without_answer(rows[0], target)
    return Outcome.PASS if without is None else without.outcome


def _catalog(view: View, names: Sequence[str]) -> Iterator[Finding]:
    """The global catalog belongs to the forest, whose name is that of the domain or of one above, or another one."""
    forest = _forest(view)
    if forest is not None:
        name = f"_gc._tcp.{forest}"
        if not any(same(name, asked) for asked in names):
            yield unjudged(name, f"the forest is {forest}, and where its catalog is was not asked for")
        else:
            yield from _service(view, name)
        return
    # Which of the names is the forest's is not known: one that leads somewhere is.
    found = {name: list(_service(view, name)) for name in names}
    fine = (Outcome.PASS, Outcome.NOT_APPLICABLE)
    good = next((each for each in found.values() if all(one.outcome in fine for one in each)), None)
    if good is not None:
        yield from good
    else:
        reason = (
            "no declared name leads every DNS server to a global catalog, and the directory does not tell its forest"
        )
        yield unjudged("_gc._tcp", reason, expected=list(names))


def _forest(view: View) -> str | None:
    """The DNS name of the forest, or None where the directory does not tell."""
    if not is_observed(view, ROOT):
        return None
    return next((name_of(view, ROOT, row["rootDomainNamingContext"]).domain for row in view.rows(ROOT)), None)


@check("directory.node_reaches_controller", FROM_NODE, FROM_OPERATOR, parameters=Ports)
def node_reaches_controller(view: View, parameters: Ports) -> Iterator[Finding]:
    """The node connects to these ports of the controller that the domain's name leads to.

    What the operator's machine finds explains a failure and never makes one.
    """
    domain = view.site.directory.domain
    if not domain:
        raise NotApplicable("the site does not declare directory.domain")
    rows = [row for row in named_rows(view, FROM_NODE, "host") if same(row["host"], domain)]
    for port in parameters.ports:
        found = [row for row in rows if same(row["port"], port)]
        yield _port(view, domain, port, found, optional=port in parameters.optional)


def _port(view: View, domain: str, port: int, rows: list[Row], *, optional: bool) -> Finding:
    subject = f"{domain}:{port}"
    if not rows or contradict(rows, "connected", "exit_code"):
        return unjudged(subject, f"{subject} was not tried, or with results that contradict each other")
    state = connection(rows)
    if state == CONNECTED:
        return passed(subject, f"{view.node.name} connects to {subject}")
    if state == UNKNOWN:
        message = f"whether {view.node.name} reaches {subject} is not known: {rows[0]['error'] or rows[0]['exit_code']}"
        return unjudged(subject, message, actual=rows[0]["error"])
    if state == NAME_UNKNOWN:
        return unjudged(subject, f"{view.node.name} does not resolve {domain}, so that no port could be tried")
    second = _second_opinion(view, domain, port)
    if state == REFUSED:
        message = (
            f"{subject} refuses {view.node.name}, or there is no way to it: nothing listens, and no packet is lost"
        )
    else:
        message = f"{subject} does not answer {view.node.name}: a firewall on the way or on the controller drops it"
    if port == DNS_PORT:
        message += "; a controller need not answer DNS, which is judged on the declared servers"
        return irrelevant(subject, message, actual=state)
    if optional and state == REFUSED:
        return irrelevant(subject, f"{message}; not every controller has that service", actual=state)
    return failed(subject, f"{message}{second}", expected="connected", actual=rows[0]["error"])


def _second_opinion(view: View, domain: str, port: int) -> str:
    """What the machine that runs azpreflight finds, for a message; empty where it does not tell."""
    found = view.rows(FROM_OPERATOR) if is_observed(view, FROM_OPERATOR) else []
    rows = [row for row in found if same(row["host"], domain) and same(row["port"], port)]
    connected = told(rows, "connected", bool)
    if connected is None:
        return ""
    if connected:
        return "; the machine that runs azpreflight does connect"
    return f"; the machine that runs azpreflight does not connect either ({rows[0]['error']})"


@check("directory.time_agrees", ROOT, parameters=Skew)
def time_agrees(view: View, parameters: Skew) -> Iterator[Finding]:
    """The controller's clock agrees with that of the machine that runs azpreflight, to the second of an answer."""
    rows = view.rows(ROOT)
    told_time = rows[0]["currentTime"] if rows else None
    theirs = moment(told_time)
    if theirs is None:
        yield unjudged("clock", "the controller does not tell its time", actual=told_time)
        return
    ours = view.observation(ROOT).observed_at
    server = rows[0]["dnsHostName"] if isinstance(rows[0]["dnsHostName"], str) else "the controller"
    of = f"{server} and the machine that runs azpreflight"
    yield _skew("clock", of, (theirs - ours).total_seconds(), parameters)


@check("directory.node_time_agrees", NODE_TIME, parameters=Skew)
def node_time_agrees(view: View, parameters: Skew) -> Iterator[Finding]:
    """The node's clock agrees with that of the controller that its time service finds under the domain's name."""
    domain, name = view.site.directory.domain, view.node.name
    if not domain:
        raise NotApplicable("the site does not declare directory.domain")
    rows = [row for row in named_rows(view, NODE_TIME, "server") if same(row["server"], domain)]
    output = told(rows, "output", str)
    found = _OFFSET.search(output or "")
    if found is None:
        message = f"{domain} does not tell {name} the time: w32tm found no offset"
        yield unjudged(name, message, actual=(output or "").strip()[-200:] or None)
        return
    yield _skew(name, f"{name} and {domain}", float(found["seconds"].replace(",", ".")), parameters)


def _skew(subject: str, of: str, seconds: float, parameters: Skew) -> Finding:
    off = abs(seconds)
    good = f"the clocks of {of} differ by {off:.0f} seconds"
    if off > parameters.notable:
        good += f", more than {parameters.notable}: have the time sources looked at"
    return judged(
        off <= parameters.most,
        subject,
        if_good=good,
        if_bad=f"the clocks of {of} differ by {off:.0f} seconds, and Kerberos takes {parameters.most} at most",
        expected=f"at most {parameters.most} seconds",
        actual=round(seconds),
    )


@check("directory.functional_level", ROOT, parameters=Level)
def functional_level(view: View, parameters: Level) -> Iterator[Finding]:
    """Domain and forest are at the functional level of Windows Server 2016 or higher."""
    for subject, attribute in (("domain", "domainFunctionality"), ("forest", "forestFunctionality")):
        levels = [number(row[attribute]) for row in view.rows(ROOT)]
        level = levels[0] if levels else None
        if level is None:
            yield unjudged(subject, f"the functional level of the {subject} is not told")
            continue
        yield judged(
            level >= parameters.least,
            subject,
            if_good=f"the functional level of the {subject} is {level}",
            if_bad=f"the functional level of the {subject} is {level}, below {parameters.least}",
            expected=f"at least {parameters.least}",
            actual=level,
        )
