"""The rules of Active Directory together: a site set up rightly passes them all, each mistake fails its own alone."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from azpreflight.checks.builtin import check_registry
from azpreflight.checks.directory_accounts import moment_of
from azpreflight.checks.directory_ou import Link, links_of
from azpreflight.model import Outcome, Phase, Profile, Result
from azpreflight.packs.load import find_packs, load_packs
from azpreflight.testing import example_site, judge_rule

PACKS = load_packs()
CHECKS = check_registry()
FOLDER = find_packs()["azure-local"]

DOMAIN = "DC=corp,DC=example"
OU = f"OU=AZL-CL01,{DOMAIN}"
USER_DN = f"CN=azl-lcm,CN=Users,{DOMAIN}"
DOMAIN_SID = "S-1-5-21-1004336348-1177238915-682003330"
USER, GROUP = f"{DOMAIN_SID}-1104", f"{DOMAIN_SID}-1150"
PORTS = (53, 88, 135, 389, 445, 464, 636, 3268, 3269, 9389)
SERVERS = ("192.0.2.53", "192.0.2.54")
SERVICES = (
    ("_ldap._tcp.dc._msdcs.corp.example", 389),
    ("_ldap._tcp.pdc._msdcs.corp.example", 389),
    ("_kerberos._tcp.corp.example", 88),
    ("_gc._tcp.corp.example", 3268),
)

Facts = dict[str, Any]
Mistake = Callable[[Facts], None]


def ace(**changes: Any) -> dict[str, Any]:
    values = {
        "type": "allow",
        "sid": USER,
        "name": None,
        "mask": 0xF01FF,
        "object_type": None,
        "inherited_object_type": None,
        "inherited": False,
        "inherit_only": False,
        "container_inherit": True,
        "no_propagate": False,
    }
    return {**values, **changes}


def computer(name: str, parent: str = OU, flags: int = 4096) -> dict[str, Any]:
    return {
        "dn": f"CN={name},{parent}",
        "sAMAccountName": f"{name}$",
        "objectClass": ["top", "person", "organizationalPerson", "user", "computer"],
        "objectSid": f"{DOMAIN_SID}-{sum(map(ord, name)) + 2000}",
        "userAccountControl": flags,
        "whenCreated": "2026-11-01T08:00:00Z",
    }


def healthy() -> Facts:
    """The facts of a directory that is set up rightly, before the deployment."""
    created = {"whenCreated": "2026-11-01T08:00:00Z"}
    policy = "CN={31B2F340-016D-11D2-945F-00C04FB984F9},CN=Policies,CN=System," + DOMAIN
    everybody = ace(sid="S-1-5-11", mask=0x20094, container_inherit=False)
    descriptor = {"owner": f"{DOMAIN_SID}-512", "protected": False, "dacl_present": True, "dacl": [ace(), everybody]}
    return {
        "directory.root": [
            {
                "dn": "",
                "currentTime": "2026-11-21T12:00:00Z",
                "dnsHostName": "dc1.corp.example",
                "rootDomainNamingContext": DOMAIN,
                "domainFunctionality": 7,
                "forestFunctionality": 7,
            }
        ],
        "directory.ou": [
            {"dn": OU, "objectClass": ["top", "organizationalUnit"], "gPOptions": 1, "gPLink": None, **created}
        ],
        "directory.ou_rights": [{"dn": OU, "nTSecurityDescriptor": descriptor}],
        "directory.ou_parents": [{"dn": DOMAIN, "gPLink": f"[LDAP://{policy};0]", **created}],
        "directory.policies": [{"dn": policy, "displayName": "Default", "flags": 0, "gPCWQLFilter": None}],
        "directory.sites": [],
        "directory.subnets": [],
        "directory.netbios_names": [{"dn": "CN=CORP", "nETBIOSName": "CORP", "dnsRoot": ["corp.example"]}],
        "directory.deployment_user": [
            {
                "dn": USER_DN,
                "objectSid": USER,
                "sAMAccountName": "azl-lcm",
                "userPrincipalName": "azl-lcm@corp.example",
                "userAccountControl": 66048,
                "msDS-User-Account-Control-Computed": 0,
                "lockoutTime": None,
                "accountExpires": 0x7FFFFFFFFFFFFFFF,
                "pwdLastSet": 134074080000000000,
            }
        ],
        "directory.deployment_user_token": [{"dn": USER_DN, "tokenGroups": [f"{DOMAIN_SID}-513", GROUP]}],
        "directory.deployment_user_groups": [{"dn": f"CN=AZL,{DOMAIN}", "sAMAccountName": "AZL", "objectSid": GROUP}],
        "directory.upn_holders": [{"dn": USER_DN, "objectSid": USER}],
        "directory.computers": [],
        "directory.forest_computers": [],
        "directory.computer_tokens": [],
        "directory.ou_computers": [],
        "directory.recovery_objects": [],
        "dns.controller_services": [
            {
                "server": server,
                "name": name,
                "type": "SRV",
                "rcode": "NOERROR",
                "error": None,
                "authoritative": True,
                "answers": [f"0 100 {port} dc1.corp.example."],
                "targets": ["dc1.corp.example"],
            }
            for server in SERVERS
            for name, port in SERVICES
        ],
        "dns.controller_addresses": [
            {
                "server": server,
                "name": "dc1.corp.example",
                "type": "A",
                "rcode": "NOERROR",
                "error": None,
                "authoritative": True,
                "answers": ["192.0.2.60"],
            }
            for server in SERVERS
        ],
        "directory.ports": [],
        "reach.directory": [
            {"host": "corp.example", "port": port, "connected": True, "exit_code": 0, "error": ""} for port in PORTS
        ],
        "time.domain": [{"server": "corp.example", "exit_code": 0, "output": "12:00:00, +00.0012345s\n"}],
        "system.tcpip": {"exists": True, "keys": {"": {"NV Domain": {"type": "REG_SZ", "data": ""}}}},
        "net.dns_policy": {"exists": False, "keys": {}},
        "net.dns_client": [],
        "net.ip_addresses": [{"InterfaceAlias": "NIC1", "IPAddress": "192.0.2.11", "Store": "Active"}],
        "net.default_routes": [],
    }


def deployed() -> Facts:
    """The same after the deployment."""
    facts = healthy()
    found = [computer("AZL-N01"), computer("AZL-N02"), computer("AZL-CL01")]
    facts["directory.computers"] = facts["directory.forest_computers"] = found
    facts["directory.ou_computers"] = found
    facts["directory.computer_tokens"] = [{"dn": row["dn"], "tokenGroups": [f"{DOMAIN_SID}-515"]} for row in found]
    facts["directory.ou_rights"][0]["nTSecurityDescriptor"]["dacl"].append(ace(sid=found[2]["objectSid"], mask=0x11))
    facts["directory.recovery_objects"] = [{"dn": f"CN=1,{row['dn']}"} for row in found[:2]]
    facts["accounts.administrators_group"] = [{"Name": "Administrators", "Domain": "AZL-N01", "SID": "S-1-5-32-544"}]
    member = {"class": "Win32_UserAccount", "keys": {"Domain": "CORP", "Name": "azl-lcm"}}
    facts["accounts.administrators"] = [{"PartComponent": member}]
    return facts


def results(facts: Facts, phase: Phase = Phase.PRE_DEPLOY, **directory: Any) -> dict[str, Result]:
    """The result of every rule of the area that the phase and the profile have."""
    declared = {"domain": "corp.example", "ou": OU, "deployment_user": "azl-lcm", **directory}
    site = example_site(FOLDER, {"profile": "active-directory", "directory": declared})
    return {
        rule.id: judge_rule(PACKS, rule.id, site, facts, phase=phase, checks=CHECKS)
        for rule in PACKS.rules.values()
        if rule.id.startswith("AZL-ADS-") and phase in rule.phases and Profile.ACTIVE_DIRECTORY in rule.profiles
        if "cluster.naming_prefix" not in rule.requires
    }


def outcomes(found: dict[str, Result], outcome: Outcome) -> set[str]:
    return {rule for rule, result in found.items() if result.outcome is outcome}


def row(facts: Facts, fact: str, **changes: Any) -> None:
    facts[f"directory.{fact}"][0].update(changes)


def no_ou(facts: Facts) -> None:
    for fact in ("ou", "ou_rights", "ou_computers", "recovery_objects"):
        facts[f"directory.{fact}"] = []


def no_user(facts: Facts) -> None:
    for fact in ("deployment_user", "deployment_user_token", "deployment_user_groups", "upn_holders"):
        facts[f"directory.{fact}"] = []


def enforced(facts: Facts) -> None:
    row(facts, "ou_parents", gPLink=facts["directory.ou_parents"][0]["gPLink"].replace(";0]", ";2]"))


def no_rights(facts: Facts) -> None:
    del facts["directory.ou_rights"][0]["nTSecurityDescriptor"]["dacl"][0]


def denied(facts: Facts) -> None:
    facts["directory.ou_rights"][0]["nTSecurityDescriptor"]["dacl"].insert(0, ace(type="deny", sid=GROUP, mask=1))


def elsewhere(facts: Facts) -> None:
    found = [computer("AZL-N01", f"CN=Computers,{DOMAIN}")]
    facts["directory.computers"] = facts["directory.forest_computers"] = found


def no_pdc(facts: Facts) -> None:
    for answer in facts["dns.controller_services"]:
        if answer["name"].startswith("_ldap._tcp.pdc") and answer["server"] == SERVERS[1]:
            answer.update(rcode="NXDOMAIN", answers=[], targets=[])


MISTAKES: dict[str, tuple[str, Mistake]] = {
    "no OU": ("AZL-ADS-001", no_ou),
    "inheritance not blocked": ("AZL-ADS-004", lambda facts: row(facts, "ou", gPOptions=None)),
    "an enforced policy above": ("AZL-ADS-005", enforced),
    "a foreign computer": (
        "AZL-ADS-006",
        lambda facts: facts["directory.ou_computers"].append(computer("SQL01")),
    ),
    "no user": ("AZL-ADS-007", no_user),
    "user disabled": ("AZL-ADS-007", lambda facts: row(facts, "deployment_user", userAccountControl=66050)),
    "user locked out": (
        "AZL-ADS-007",
        lambda facts: row(facts, "deployment_user", **{"msDS-User-Account-Control-Computed": 16}),
    ),
    "must change the password": (
        "AZL-ADS-007",
        lambda facts: row(
            facts, "deployment_user", **{"pwdLastSet": 0, "msDS-User-Account-Control-Computed": 0x800000}
        ),
    ),
    "no rights on the OU": ("AZL-ADS-008", no_rights),
    "a prohibition on the OU": ("AZL-ADS-008", denied),
    "in Protected Users": (
        "AZL-ADS-009",
        lambda facts: row(facts, "deployment_user_token", tokenGroups=[f"{DOMAIN_SID}-513", f"{DOMAIN_SID}-525"]),
    ),
    "UPN taken": (
        "AZL-ADS-010",
        lambda facts: row(facts, "upn_holders", dn=f"CN=other,{DOMAIN}", objectSid=f"{DOMAIN_SID}-1190"),
    ),
    "a computer of the name elsewhere": ("AZL-ADS-012", elsewhere),
    "a record of the PDC is missing": ("AZL-ADS-013", no_pdc),
    "a controller does not resolve": (
        "AZL-ADS-013",
        lambda facts: facts["dns.controller_addresses"][1].update(rcode="NXDOMAIN", answers=[]),
    ),
    "a port is blocked": (
        "AZL-ADS-014",
        lambda facts: facts["reach.directory"][-1].update(connected=False, exit_code=28, error="timed out"),
    ),
    "another port is blocked": (
        "AZL-ADS-025",
        lambda facts: facts["reach.directory"][2].update(connected=False, exit_code=28, error="timed out"),
    ),
    "the controller's clock is off": (
        "AZL-ADS-015",
        lambda facts: row(facts, "root", currentTime="2026-11-21T11:50:00Z"),
    ),
    "an old functional level": ("AZL-ADS-016", lambda facts: row(facts, "root", domainFunctionality=4)),
    "the node's clock is off": (
        "AZL-ADS-026",
        lambda facts: facts["time.domain"][0].update(output="12:00:00, -600.5s"),
    ),
}


def test_a_site_set_up_rightly_passes_every_rule() -> None:
    assert outcomes(found := results(healthy()), Outcome.PASS) == set(found)
    assert len(found) == 18


@pytest.mark.parametrize(("rule", "mistake"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_fails_its_own_rule_alone(rule: str, mistake: Mistake) -> None:
    facts = healthy()
    mistake(facts)
    found = results(facts)
    assert outcomes(found, Outcome.FAIL) == {rule}
    assert outcomes(found, Outcome.ERROR) == set()


@pytest.mark.parametrize(
    ("declared", "rule"),
    [
        ({"ou": DOMAIN}, "AZL-ADS-003"),
        ({"ou": f"CN=Computers,{DOMAIN}"}, "AZL-ADS-003"),
        ({"ou": "OU=AZL-CL01,DC=other,DC=example"}, "AZL-ADS-003"),
        ({"ou": "AZL-CL01"}, "AZL-ADS-003"),
        ({"deployment_user": "CORP\\azl-lcm"}, "AZL-ADS-010"),
    ],
)
def test_a_wrong_declaration_fails_its_own_rule_alone(declared: dict[str, Any], rule: str) -> None:
    facts = healthy()
    if "ou" in declared:
        no_ou(facts)
        facts["directory.ou_parents"] = []
    found = results(facts, **declared)
    assert outcomes(found, Outcome.FAIL) == {rule}
    assert outcomes(found, Outcome.ERROR) == set()


def test_a_deployed_site_passes_every_rule() -> None:
    assert outcomes(found := results(deployed(), Phase.POST_DEPLOY), Outcome.PASS) == set(found)
    assert set(found) == {"AZL-ADS-017", "AZL-ADS-018", "AZL-ADS-019", "AZL-ADS-020"}
    assert outcomes(found := results(deployed(), Phase.DAY_2), Outcome.PASS) == set(found)


def moved(facts: Facts) -> None:
    facts["directory.computers"][1] = computer("AZL-N02", f"OU=Servers,{DOMAIN}")
    facts["directory.recovery_objects"][1]["dn"] = f"CN=1,CN=AZL-N02,OU=Servers,{DOMAIN}"


@pytest.mark.parametrize(
    ("rule", "mistake"),
    [
        (
            "AZL-ADS-017",
            lambda facts: facts["directory.ou_rights"][0]["nTSecurityDescriptor"]["dacl"].pop(),
        ),
        ("AZL-ADS-018", moved),
        ("AZL-ADS-019", lambda facts: facts["directory.recovery_objects"].pop()),
        (
            "AZL-ADS-020",
            lambda facts: facts["accounts.administrators"][0]["PartComponent"]["keys"].update(Name="Domain Admins"),
        ),
    ],
)
def test_a_mistake_after_the_deployment_fails_its_own_rule_alone(rule: str, mistake: Mistake) -> None:
    facts = deployed()
    mistake(facts)
    found = results(facts, Phase.POST_DEPLOY)
    assert outcomes(found, Outcome.FAIL) == {rule}
    assert outcomes(found, Outcome.ERROR) == set()


@pytest.mark.parametrize("phase", [Phase.PRE_DEPLOY, Phase.POST_DEPLOY])
def test_a_directory_that_nobody_could_ask_passes_nothing(phase: Phase) -> None:
    found = results({}, phase)
    asked = {rule for rule in found if rule not in ("AZL-ADS-002", "AZL-ADS-003")}
    assert outcomes(found, Outcome.ERROR) == asked


def changed(fact: str, **changes: Any) -> Mistake:
    """Other values in the first row of a fact."""
    return lambda facts: facts[fact][0].update(changes)


def twice(facts: Facts) -> None:
    facts["directory.deployment_user"] *= 2


@pytest.mark.parametrize(
    ("mistake", "rules"),
    [
        (changed("directory.ou", dn="no name"), {"001", "004", "005", "006", "008"}),
        (changed("directory.ou", dn=f"OU=other,{DOMAIN}"), {"004", "005", "006", "008"}),
        (changed("directory.ou", objectClass=None), {"001"}),
        (changed("directory.deployment_user", sAMAccountName="other"), {"007", "008", "009", "010"}),
        (changed("directory.deployment_user", objectSid=None), {"008", "009", "010"}),
        (changed("directory.deployment_user", objectSid="S-1-x"), {"008", "009", "010"}),
        (twice, {"007", "008", "009", "010"}),
        (changed("directory.deployment_user_token", dn=f"CN=other,{DOMAIN}"), {"008", "009"}),
        (changed("directory.deployment_user_token", tokenGroups=[]), {"008", "009"}),
        (changed("directory.ou_rights", dn=f"OU=other,{DOMAIN}"), {"008"}),
        (changed("directory.ou_rights", nTSecurityDescriptor={"owner": None, "dacl_present": True}), {"008"}),
        (changed("directory.ou_parents", gPLink="[LDAP://cn={A};x]"), {"005"}),
        (changed("directory.upn_holders", objectSid=None), {"010"}),
        (changed("directory.root", rootDomainNamingContext=None), {"013"}),
        (changed("dns.controller_services", targets=None), {"013"}),
        (changed("reach.directory", exit_code=7, connected=None), {"014"}),
        (changed("time.domain", output="12:00:00, error: 0x800705B4"), {"026"}),
    ],
)
def test_what_is_told_wrongly_is_an_open_question_and_no_failure(mistake: Mistake, rules: set[str]) -> None:
    facts = healthy()
    mistake(facts)
    found = results(facts)
    # That no such OU is among the answers is the one failure that an answer about another can look like.
    assert outcomes(found, Outcome.FAIL) <= {"AZL-ADS-001"}
    assert outcomes(found, Outcome.ERROR) == {f"AZL-ADS-{number}" for number in rules}


def policy_of_another_domain(facts: Facts) -> None:
    row(facts, "ou_parents", gPLink="[LDAP://cn={A},cn=policies,cn=system,DC=example;2]")


def site_enforces(subnet: str, place: str | None) -> Mistake:
    """The subnet belongs to a site with an enforced policy, within a wider one that belongs to another site."""

    def change(facts: Facts) -> None:
        [policy] = facts["directory.policies"]
        names = {"narrow": f"CN=narrow,CN=Sites,{DOMAIN}", "wide": f"CN=wide,CN=Sites,{DOMAIN}"}
        created = "2026-11-01T08:00:00Z"
        facts["directory.sites"] = [
            {"dn": names["narrow"], "gPLink": f"[LDAP://{policy['dn']};2]", "whenCreated": created},
            {"dn": names["wide"], "gPLink": None, "whenCreated": created},
        ]
        facts["directory.subnets"] = [
            {"dn": "CN=1", "cn": "192.0.0.0/16", "siteObject": names["wide"]},
            {"dn": "CN=2", "cn": subnet, "siteObject": names[place] if place else None},
            {"dn": "CN=3", "cn": "not a subnet", "siteObject": names["narrow"]},
        ]

    return change


@pytest.mark.parametrize(
    ("mistake", "outcome"),
    [
        (policy_of_another_domain, Outcome.FAIL),
        (site_enforces("192.0.2.0/24", "narrow"), Outcome.FAIL),
        (site_enforces("192.0.2.0/24", "wide"), Outcome.PASS),
        (site_enforces("198.51.100.0/24", "narrow"), Outcome.PASS),
        (site_enforces("2001:db8::/32", "narrow"), Outcome.PASS),
        (site_enforces("192.0.2.0/24", None), Outcome.ERROR),
    ],
)
def test_policies_of_other_places(mistake: Mistake, outcome: Outcome) -> None:
    facts = healthy()
    mistake(facts)
    assert results(facts)["AZL-ADS-005"].outcome is outcome


@pytest.mark.parametrize(
    ("exit_code", "witness", "says"),
    [
        (28, None, "drops it"),
        (28, True, "the machine that runs azpreflight does connect"),
        (28, False, "does not connect either (timeout)"),
        (7, True, "no packet is lost; the machine that runs azpreflight does connect"),
    ],
)
def test_a_second_witness_explains_what_the_node_finds(exit_code: int, witness: bool | None, says: str) -> None:
    facts = healthy()
    facts["reach.directory"][-1].update(connected=False, exit_code=exit_code, error="curl's words")
    if witness is not None:
        error = None if witness else "timeout"
        facts["directory.ports"] = [{"host": "CORP.example", "port": 9389, "connected": witness, "error": error}]
    result = results(facts)["AZL-ADS-014"]
    assert result.outcome is Outcome.FAIL
    assert says in result.message


@pytest.mark.parametrize(
    ("text", "links"),
    [
        (None, []),
        (" ", []),
        ("[LDAP://cn={A},cn=policies;2][ldap://cn={B};0]", [Link("cn={A},cn=policies", 2), Link("cn={B}", 0)]),
        ("[LDAP://cn={A};2", None),
        ("cn={A}", None),
        (4711, None),
        (["[LDAP://cn={A};2]"], None),
    ],
)
def test_links_are_understood_wholly_or_not_at_all(text: Any, links: list[Link] | None) -> None:
    assert links_of(text) == links


def test_a_windows_time_counts_from_1601() -> None:
    assert moment_of(134074080000000000) == datetime.datetime(2025, 11, 12, 8, tzinfo=datetime.UTC)
    assert moment_of(2**63 - 2) is None
