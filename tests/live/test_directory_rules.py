"""The rules of Active Directory, live: a domain set up rightly passes them all, each mistake in it fails its own alone.

The directory and its DNS are real; the node is the endpoint that all live tests have.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import ldap3
import pytest

from azpreflight import Credential, Outcome, Report, load_site, run
from servers.directory import DISABLED, DOMAIN, ENABLED, PASSWORD, ROOT, Administrator
from servers.lab import Lab, running_lab
from servers.samba import NAME, READER, DomainController

OU = f"OU=AZL-CL01,{ROOT}"
USER = f"CN=azl-lcm,CN=Users,{ROOT}"
PROTECTED_USERS = f"CN=Protected Users,CN=Users,{ROOT}"
POLICY = f"CN={{31B2F340-016D-11D2-945F-00C04FB984F9}},CN=Policies,CN=System,{ROOT}"
PDC_RECORD = f"DC=_ldap._tcp.pdc,DC=_msdcs.{DOMAIN},CN=MicrosoftDNS,DC=ForestDnsZones,{ROOT}"
COMPUTER = "bf967a86-0de6-11d0-a285-00aa003049e2"
RECOVERY = "ea715d30-8f53-40d0-bd1e-6109186d782c"
NODE_PORTS = (53, 88, 135, 389, 445, 464, 636, 3268, 3269, 9389)


@dataclass(frozen=True)
class Domain:
    """A domain with an OU set up rightly, and a site that is to be deployed into it."""

    controller: DomainController
    administrator: Administrator
    lab: Lab

    def judged(self) -> Report:
        """What the rules say, with an account that may only read."""
        return run(
            load_site(self.lab.site),
            credential=self.lab.credential,
            directory_credential=Credential(READER, PASSWORD),
            connect_to=self.lab.connect_to,
            rules=["AZL-ADS-*"],
        )


@pytest.fixture(scope="module")
def domain(directory: DomainController, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Domain]:
    settings = (
        f'directory: {{domain: {DOMAIN}, ou: "{OU}", deployment_user: azl-lcm, servers: [{NAME}],'
        f" ca_file: {directory.authority.file}}}\n"
    )

    def edit(site: str) -> str:
        lines = site.replace("profile: local-identity", "profile: active-directory").replace("edge.example", DOMAIN)
        return lines.replace(", 192.0.2.54]", "]") + settings

    # What counts from the node is the connection. This port ends at once what is no TLS, which saves curl's waiting.
    network = [f"{DOMAIN}:{port}:{directory.address}:636" for port in NODE_PORTS]
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(
            running_lab(
                tmp_path_factory.mktemp("site"),
                1,
                curl_arguments=[part for route in network for part in ("--connect-to", route)],
                dns={"192.0.2.53": f"{directory.address}:53"},
                edit=edit,
            )
        )
        lab.connect_to[NAME] = directory.address
        administrator = stack.enter_context(directory.administrator())
        administrator.add_unit(OU)
        stack.callback(administrator.delete, OU)
        administrator.add_user("azl-lcm")
        stack.callback(administrator.delete, USER)
        administrator.grant(OU, *rights(administrator.sid(USER)))
        yield Domain(directory, administrator, lab)


def rights(sid: str) -> list[str]:
    """The least that the deployment user needs on the OU, in SDDL."""
    return [
        f"(OA;CI;CCDC;{COMPUTER};;{sid})",
        f"(A;CI;LCRPRC;;;{sid})",
        f"(OA;CIIO;GA;;{RECOVERY};{sid})",
    ]


@contextlib.contextmanager
def added(domain: Domain, dn: str) -> Iterator[None]:
    """What was just added is deleted again."""
    try:
        yield
    finally:
        domain.administrator.delete(dn)


@contextlib.contextmanager
def no_ou(domain: Domain) -> Iterator[None]:
    administrator, elsewhere = domain.administrator, f"OU=other,{ROOT}"
    administrator.rename(OU, "OU=other")
    try:
        yield
    finally:
        administrator.rename(elsewhere, "OU=AZL-CL01")


def inheritance_not_blocked(domain: Domain) -> AbstractContextManager[None]:
    return domain.administrator.changed(OU, "gPOptions", 0)


def enforced_policy_above(domain: Domain) -> AbstractContextManager[None]:
    return domain.administrator.changed(ROOT, "gPLink", f"[LDAP://{POLICY};2]")


@contextlib.contextmanager
def foreign_computer(domain: Domain) -> Iterator[None]:
    with added(domain, domain.administrator.add_computer("SQL01", OU)):
        yield


def user_disabled(domain: Domain) -> AbstractContextManager[None]:
    return domain.administrator.changed(USER, "userAccountControl", DISABLED)


def password_must_change(domain: Domain) -> AbstractContextManager[None]:
    return domain.administrator.changed(USER, "pwdLastSet", 0, afterwards=-1)


def user_expired(domain: Domain) -> AbstractContextManager[None]:
    return domain.administrator.changed(USER, "accountExpires", 131000000000000000)


@contextlib.contextmanager
def user_locked(domain: Domain) -> Iterator[None]:
    with domain.administrator.changed(ROOT, "lockoutThreshold", 1):
        server = ldap3.Server(domain.controller.address, port=636, use_ssl=True)
        assert not ldap3.Connection(server, f"azl-lcm@{DOMAIN}", "wrong").bind()
        try:
            yield
        finally:
            domain.administrator.change(USER, "lockoutTime", 0)


@contextlib.contextmanager
def no_such_user(domain: Domain) -> Iterator[None]:
    administrator = domain.administrator
    administrator.change(USER, "sAMAccountName", "somebody")
    administrator.change(USER, "userPrincipalName", f"somebody@{DOMAIN}")
    try:
        yield
    finally:
        administrator.change(USER, "sAMAccountName", "azl-lcm")
        administrator.change(USER, "userPrincipalName", f"azl-lcm@{DOMAIN}")


@contextlib.contextmanager
def no_rights(domain: Domain) -> Iterator[None]:
    """The rights are somebody else's."""
    administrator = domain.administrator
    other = administrator.add_user("other")
    with added(domain, other), administrator.handed_over(OU, administrator.sid(USER), administrator.sid(other)):
        yield


def right_denied(domain: Domain) -> AbstractContextManager[None]:
    return domain.administrator.granted(OU, f"(OD;CI;CC;{COMPUTER};;{domain.administrator.sid(USER)})")


@contextlib.contextmanager
def protected_user(domain: Domain) -> Iterator[None]:
    domain.administrator.join(USER, PROTECTED_USERS)
    try:
        yield
    finally:
        domain.administrator.leave(USER, PROTECTED_USERS)


@contextlib.contextmanager
def computer_elsewhere(domain: Domain) -> Iterator[None]:
    with added(domain, domain.administrator.add_computer("AZL-N01")):
        yield


@contextlib.contextmanager
def no_record_of_the_pdc(domain: Domain) -> Iterator[None]:
    administrator = domain.administrator
    records = administrator.raw(PDC_RECORD, "dnsRecord")
    administrator.delete(PDC_RECORD)
    try:
        yield
    finally:
        administrator.add(PDC_RECORD, "dnsNode", dnsRecord=records)


MISTAKES: dict[str, Callable[[Domain], AbstractContextManager[None]]] = {
    "AZL-ADS-001 no OU": no_ou,
    "AZL-ADS-004 inheritance not blocked": inheritance_not_blocked,
    "AZL-ADS-005 an enforced policy above": enforced_policy_above,
    "AZL-ADS-006 a foreign computer": foreign_computer,
    "AZL-ADS-007 no such user": no_such_user,
    "AZL-ADS-007 user disabled": user_disabled,
    "AZL-ADS-007 user expired": user_expired,
    "AZL-ADS-007 user locked out": user_locked,
    "AZL-ADS-007 password must be changed": password_must_change,
    "AZL-ADS-008 no rights": no_rights,
    "AZL-ADS-008 a right denied": right_denied,
    "AZL-ADS-009 in Protected Users": protected_user,
    "AZL-ADS-012 a computer of the name elsewhere": computer_elsewhere,
    "AZL-ADS-013 no record of the PDC": no_record_of_the_pdc,
}
"""By the rule that has to fail, and what was done wrong. Samba does not let a user principal name be taken twice."""


def outcomes(report: Report) -> dict[str, list[str]]:
    """Rules that did not pass, by outcome."""
    bad = [result for result in report.results if result.outcome in (Outcome.FAIL, Outcome.ERROR)]
    return {o.value: sorted({r.rule for r in bad if r.outcome is o}) for o in {result.outcome for result in bad}}


def test_a_domain_set_up_rightly_passes_every_rule(domain: Domain) -> None:
    report = domain.judged()
    assert outcomes(report) == {}, [(r.rule, r.message) for r in report.results if r.outcome is not Outcome.PASS]
    passed = {result.rule for result in report.results if result.outcome is Outcome.PASS}
    assert passed >= {name.split()[0] for name in MISTAKES} | {"AZL-ADS-010", "AZL-ADS-015", "AZL-ADS-016"}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_fails_its_own_rule_alone(domain: Domain, name: str) -> None:
    with MISTAKES[name](domain):
        report = domain.judged()
    assert outcomes(report) == {"fail": [name.split(maxsplit=1)[0]]}


def test_after_all_mistakes_the_domain_is_as_it_was(domain: Domain) -> None:
    assert outcomes(domain.judged()) == {}
    assert domain.administrator.raw(USER, "userAccountControl") == [str(ENABLED).encode()]
