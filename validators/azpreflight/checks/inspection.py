"""TLS inspection on the way out, as the certificates tell that the node was shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from msgspec import Meta

from azpreflight.checks.agreement import kind_of, same
from azpreflight.checks.attempts import Attempt, Failure, attempt_of
from azpreflight.checks.check import check, failed, irrelevant, passed, unjudged
from azpreflight.checks.view import NotApplicable, NotObserved, Row, View
from azpreflight.facts.endpoints import Endpoint, needed
from azpreflight.facts.observation import Status
from azpreflight.facts.query import FactName
from azpreflight.model import Finding, Frozen, Value

SHARED = 2
"""Hosts whose certificates come from the same unknown authority: from here on it is the network's, and no server's."""


class PublicAuthority(Frozen):
    """A family of public authorities. organization: what theirs begins with. names: what their names begin with."""

    organization: Annotated[str, Meta(min_length=3)]
    names: Annotated[tuple[str, ...], Meta(min_length=1)]


class NotInspected(Frozen, kw_only=True):
    """fact: what was asked. table: the endpoints it was asked for. authorities: who issues certificates for those."""

    fact: FactName
    table: str
    authorities: Annotated[tuple[PublicAuthority, ...], Meta(min_length=1)]


class Issuer(Frozen, frozen=True):
    """Who issued a certificate. itself: the one that it is for."""

    name: str
    organization: str
    itself: bool

    def __str__(self) -> str:
        return f"{self.name} ({self.organization})" if self.organization else self.name


class _Shown(Frozen, frozen=True):
    """What a host showed. rest: issuers further up. untrusted: the node said that it does not trust them."""

    issuer: Issuer
    rest: tuple[Issuer, ...]
    untrusted: bool


@check("outbound.not_inspected", parameters=NotInspected, needs=lambda parameters: (parameters.fact,))
def not_inspected(view: View, parameters: NotInspected) -> Iterator[Finding]:
    """The certificates of the endpoints come from public authorities, and not from a device on the way.

    Names of authorities are compared, not keys: those that issue change every few months. An unknown one proves an
    inspection when it made certificates for several hosts, when the node does not trust it, or when it is the
    certificate itself; a single one may be new, and is not judged.
    """
    wanted = [endpoint for endpoint in _of_tls(view, parameters) if endpoint.probe is not None]
    if not wanted:
        raise NotApplicable("no endpoint that is needed is spoken to over TLS")
    rows = view.rows(parameters.fact)
    found = {
        index: [row for row in rows if same(row["host"], endpoint.probe) and same(row["port"], endpoint.port)]
        for index, endpoint in enumerate(wanted)
    }
    shown = {index: told for index, own in found.items() if (told := _shown(own)) is not None}
    if not shown and any(attempt_of(row).reached for own in found.values() for row in own):
        reason = "curl on the node shows no certificates, as before 7.88"
        raise NotObserved(parameters.fact, view.target.name, Status.NOT_PRESENT, reason)
    hosts: dict[Issuer, set[str]] = {}
    for index, told in shown.items():
        hosts.setdefault(told.issuer, set()).add(str(wanted[index].probe))
    for index, endpoint in enumerate(wanted):
        if index in shown:
            shared = len(hosts[shown[index].issuer])
            yield _judged(endpoint, shown[index], shared, parameters.authorities)
        else:
            yield _without(endpoint, [attempt_of(row) for row in found[index]])


def _of_tls(view: View, parameters: NotInspected) -> Iterator[Endpoint]:
    for endpoint in needed(view.table(parameters.table), view.site, view.phase):
        if endpoint.protocol == "https":
            yield endpoint


def _shown(rows: Sequence[Row]) -> _Shown | None:
    """What a host showed; None where nothing is known, or two tries tell two things."""
    found: set[_Shown] = set()
    for row in rows:
        chain = row["chain"]
        certificates = chain if isinstance(chain, (list, tuple)) else []
        issuers = [_issuer(certificate) for certificate in certificates]
        leaf = issuers[0] if issuers else None
        if leaf is None:
            return None
        attempt = attempt_of(row)
        untrusted = attempt.failure is Failure.CERTIFICATE and "not trusted" in attempt.reason
        found.add(_Shown(leaf, tuple(issuer for issuer in issuers[1:] if issuer is not None), untrusted))
    return found.pop() if len(found) == 1 else None


def _issuer(certificate: Value) -> Issuer | None:
    if not isinstance(certificate, Mapping):
        return None
    name = certificate.get("issuer_name") or certificate.get("issuer")
    organization, itself = certificate.get("organization"), certificate.get("self_issued")
    if not isinstance(name, str) or not name or kind_of(itself) != "boolean":
        return None
    return Issuer(name, organization if isinstance(organization, str) else "", itself is True)


def _public(issuer: Issuer, authorities: Sequence[PublicAuthority]) -> bool:
    organization, name = issuer.organization.casefold(), issuer.name.casefold()
    return not issuer.itself and any(
        organization.startswith(one.organization.casefold())
        and any(name.startswith(start.casefold()) for start in one.names)
        for one in authorities
    )


def _judged(endpoint: Endpoint, shown: _Shown, shared: int, authorities: Sequence[PublicAuthority]) -> Finding:
    subject, issuer = f"{endpoint.host}:{endpoint.port}", shown.issuer
    through = "" if endpoint.probe == endpoint.host else f" (through {endpoint.probe})"
    expected = "a certificate of a public authority"
    if _public(issuer, authorities):
        message = f"{subject}{through} shows a certificate of {issuer}"
        return passed(subject, message, expected=expected, actual=str(issuer))
    evidence = _evidence(shown, shared)
    if evidence is None or any(_public(above, authorities) for above in shown.rest):
        message = f"{subject}{through} shows a certificate of {issuer}, which is on no list: new, or that of a device"
        return unjudged(subject, message, expected=expected, actual=str(issuer))
    message = f"TLS to {subject}{through} is inspected: {evidence}"
    match endpoint.inspection_allowed:
        case True:
            return passed(subject, f"{message}; that is tolerated there", expected=expected, actual=str(issuer))
        case False:
            return failed(subject, message, expected=expected, actual=str(issuer))
    message = f"{message}; no source says whether it may be"
    return unjudged(subject, message, expected=expected, actual=str(issuer))


def _evidence(shown: _Shown, shared: int) -> str | None:
    """Why it is a device on the way that made the certificate; None where it need not be one."""
    if shown.issuer.itself:
        return f"its certificate is its own issuer, {shown.issuer}"
    if shared >= SHARED:
        return f"its certificate was made by {shown.issuer}, as were those of {shared - 1} other hosts"
    if shown.untrusted:
        return f"its certificate was made by {shown.issuer}, which is no public authority and not trusted by the node"
    return None


def _without(endpoint: Endpoint, attempts: Sequence[Attempt]) -> Finding:
    """A host whose certificates nobody saw. Why it was not reached is another rule's matter."""
    subject = f"{endpoint.host}:{endpoint.port}"
    if attempts and all(attempt.reached is False for attempt in attempts):
        return irrelevant(subject, f"{subject} was not reached, and showed no certificate")
    return unjudged(subject, f"which certificate {subject} shows is not known", expected="a certificate")
