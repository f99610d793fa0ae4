"""Names elsewhere: what DNS servers, or the forwarders of a cluster that is its own server, answer for public names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta
from netaddr import IPNetwork

from azpreflight.checks.check import NoParameters, check, failed, irrelevant, judged, passed
from azpreflight.checks.dns_answers import (
    PUBLIC_NAMES,
    Asked,
    Judge,
    aliases_of,
    answers_about,
    leads_to_hosts,
    on_each_server,
    resolvers,
    through,
    without_answer,
)
from azpreflight.checks.dns_servers import declared_servers
from azpreflight.checks.interfaces import is_within
from azpreflight.checks.ranges import address
from azpreflight.checks.view import NotApplicable, Row, View
from azpreflight.model import Finding, Frozen, Outcome, Phase
from azpreflight.site.model import DnsMode
from azpreflight.site.references import resolve, values_of

NO_SUCH_NAME = "dns.no_such_name"
NO_SUCH_PUBLIC_NAME = "dns.no_such_public_name"
AZURE_NAMES = "dns.azure_names"

PRIVATE = tuple(IPNetwork(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
"""Blocks of addresses that no public name leads to (RFC 1918, RFC 6598)."""


class PublicNames(Frozen, frozen=True):
    """names: those that the query of `dns.public_names` asks for, as references to the site or as they stand."""

    names: Annotated[tuple[str, ...], Meta(min_length=1)]


def _resolves(row: Row, subject: str) -> Finding:
    return leads_to_hosts(row, subject, if_good=f"{row['server']} resolves {row['name']}")


@check("dns.public_names_resolve", PUBLIC_NAMES, parameters=PublicNames)
def public_names_resolve(view: View, parameters: PublicNames) -> Iterator[Finding]:
    """Every declared DNS server resolves the public names, to addresses that a machine can have."""
    yield from _public_names(view, parameters, declared_servers(view))


def _public_names(view: View, parameters: PublicNames, servers: tuple[str, ...]) -> Iterator[Finding]:
    for name in values_of(parameters.names, view.site):
        yield from on_each_server(view, PUBLIC_NAMES, Asked(name, "A"), _resolves, servers=servers)


@check("dns.forwarders", PUBLIC_NAMES, parameters=PublicNames)
def forwarders(view: View, parameters: PublicNames) -> Iterator[Finding]:
    """A cluster that answers for its zone itself has no DNS servers, but forwarders, each of which resolves."""
    dns = view.site.network.dns
    if dns.mode is not DnsMode.FORWARDER:
        raise NotApplicable("DNS servers outside the cluster answer for its zone (network.dns.mode: external)")
    servers = list(dns.servers or ())
    yield judged(
        not servers,
        "DNS servers",
        if_good="no DNS server is declared beside the cluster's own",
        if_bad=f"{', '.join(servers)} are declared as DNS servers, though the cluster itself answers for its zone",
        expected=[],
        actual=servers,
    )
    declared = dns.forwarders or ()
    if not declared:
        message = "no forwarder is declared, so that the cluster can resolve no name outside its zone"
        yield failed("forwarders", message, expected="a forwarder", actual=[])
    wrong = [text for text in declared if address(text) is None]
    for text in wrong:
        message = f"{text!r} is declared as a forwarder, and is no IPv4 address"
        yield failed(f"forwarder {text}", message, expected="an IPv4 address", actual=text)
    good = tuple(text for text in declared if text not in wrong)
    if good:
        yield from _public_names(view, parameters, good)


@check("dns.no_made_up_answers", NO_SUCH_NAME, NO_SUCH_PUBLIC_NAME)
def no_made_up_answers(view: View, _: NoParameters) -> Iterator[Finding]:
    """No server knows a name that nobody made, neither in the zone (a wildcard) nor elsewhere (NXDOMAIN rewritten).

    Where a server refuses or fails, another rule says so.
    """
    zone, servers = view.site.dns_suffix, resolvers(view)
    for name in resolve("site.no_such_name", view.site):
        if view.site.network.dns.mode is DnsMode.FORWARDER:
            yield irrelevant(name, f"the cluster itself answers for {zone}, and nobody made a wildcard there")
            continue

        def wildcard(row: Row, subject: str) -> Finding:
            message = f"{_made_up(row)}: {zone} has a wildcard, or the server makes answers up"
            return failed(subject, message, expected="NXDOMAIN", actual=row["answers"])

        yield from _no_such_name(view, NO_SUCH_NAME, name, wildcard, servers)
    for name in resolve("site.no_such_public_name", view.site):

        def rewritten(row: Row, subject: str) -> Finding:
            # The servers of the zone itself may deny a name by an answer without records (RFC 9824).
            if not row["answers"] and not aliases_of(row):
                return passed(subject, f"{row['server']} has no address for {row['name']}, as nobody has", actual=[])
            message = f"{_made_up(row)}: the server, or what it forwards to, rewrites NXDOMAIN"
            return failed(subject, message, expected="NXDOMAIN", actual=row["answers"])

        yield from _no_such_name(view, NO_SUCH_PUBLIC_NAME, name, rewritten, servers)


def _no_such_name(view: View, fact: str, name: str, known: Judge, servers: tuple[str, ...]) -> Iterator[Finding]:
    def without(row: Row, subject: str) -> Finding | None:
        finding = without_answer(row, subject)
        if finding is not None and finding.outcome is not Outcome.FAIL:
            return finding
        if row["rcode"] == "NOERROR" or aliases_of(row):
            return known(row, subject)
        if row["rcode"] == "NXDOMAIN":
            message = f"{row['server']} says that {name}, which nobody made, does not exist"
            return passed(subject, message, expected="NXDOMAIN", actual="NXDOMAIN")
        return irrelevant(subject, f"{row['server']} answers {row['rcode']} for {name}, which is judged for itself")

    yield from on_each_server(view, fact, Asked(name, "A"), known, without, servers=servers)


def _made_up(row: Row) -> str:
    what = ", ".join(row["answers"]) or "that there is such a name"
    return f"{row['server']} answers {what}{through(row)} for {row['name']}, which nobody made"


@check("dns.azure_names", AZURE_NAMES)
def azure_names(view: View, _: NoParameters) -> Iterator[Finding]:
    """Every server resolves the names of key vault, login and resource manager, and to public addresses.

    The vault may lead to a private address where the site declares a private endpoint, and may not exist before the
    deployment has made it. What keeps a server from resolving public names at all is for another rule.
    """
    servers = resolvers(view)
    (management,) = resolve("site.management_host", view.site)
    unable = _resolve_nothing(view, management)
    for name in resolve("site.key_vault_host", view.site):
        yield from _azure_name(view, name, servers, unable, is_vault=True)
    for name in (*resolve("site.login_host", view.site), management):
        yield from _azure_name(view, name, servers, unable)


def _azure_name(
    view: View, name: str, servers: tuple[str, ...], unable: set[str], *, is_vault: bool = False
) -> Iterator[Finding]:
    may_be_private = is_vault and view.site.key_vault.private_endpoint is True
    may_not_exist = is_vault and view.phase is Phase.PRE_DEPLOY

    def judge(row: Row, subject: str) -> Finding:
        private = [text for text in row["answers"] if is_within(text, *PRIVATE)]
        if row["server"] in unable:
            return irrelevant(subject, f"{row['server']} does not resolve public names, which is judged for itself")
        if not private or may_be_private:
            return _resolves(row, subject)
        message = f"{row['server']} answers {', '.join(private)}{through(row)} for {name}, a private address"
        if is_vault:
            message += ", and the site declares no private endpoint (key_vault.private_endpoint)"
        return failed(subject, message, expected="public addresses", actual=row["answers"])

    def without(row: Row, subject: str) -> Finding | None:
        finding = without_answer(row, subject)
        if finding is None or finding.outcome is not Outcome.FAIL:
            return finding
        server, rcode = row["server"], row["rcode"]
        if server in unable:
            return irrelevant(subject, f"{server} does not resolve public names, which is judged for itself")
        if aliases_of(row):
            message = f"{server} leads {name} to {', '.join(aliases_of(row))}, and from there to no address ({rcode})"
            return failed(subject, message, expected="addresses", actual=rcode)
        if may_not_exist and rcode in ("NXDOMAIN", "NOERROR"):
            return irrelevant(subject, f"{name} does not exist yet, or {server} does not resolve it", actual=rcode)
        return finding

    yield from on_each_server(view, AZURE_NAMES, Asked(name, "A"), judge, without, servers=servers)


def _resolve_nothing(view: View, management: str) -> set[str]:
    """The servers of which another rule says that they do not resolve public names; none where no rule says so."""
    if view.site.network.dns.mode is DnsMode.FORWARDER and view.phase is not Phase.PRE_DEPLOY:
        return set()
    rows = answers_about(view, AZURE_NAMES, Asked(management, "A"))
    judged_rows = [(row, without_answer(row, "") or _resolves(row, "")) for row in rows]
    return {row["server"] for row, finding in judged_rows if finding.outcome is Outcome.FAIL}
