"""The queries of the packs: every name in them exists, they only read, and every condition knows what answers it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from azpreflight.checks.builtin import check_registry
from azpreflight.documents import read_bytes, read_yaml
from azpreflight.errors import InputError
from azpreflight.facts.query import (
    CimQuery,
    CurlQuery,
    DnsQuery,
    LdapQuery,
    MethodQuery,
    ProgramQuery,
    ProxyFacts,
    Query,
    RegistryQuery,
)
from azpreflight.facts.winrm.cim import READING_METHODS
from azpreflight.facts.winrm.programs import LINE_LIMIT, line_of
from azpreflight.packs.lint import validate
from azpreflight.packs.load import PackSet, load_packs

CONDITIONS = Path(__file__).parents[3] / "docs/conditions.yaml"
PACKS = load_packs()
CHECKS = check_registry()

CIM = {name: query.read for name, query in PACKS.queries.items() if isinstance(query.read, CimQuery)}
REGISTRY = {name: query.read for name, query in PACKS.queries.items() if isinstance(query.read, RegistryQuery)}
PROGRAMS = {name: query.read for name, query in PACKS.queries.items() if isinstance(query.read, ProgramQuery)}
METHODS = {name: query.read for name, query in PACKS.queries.items() if isinstance(query.read, MethodQuery)}

CATALOGUE = {"AZL": 259, "ARC": 90, "VMV": 37, "HYB": 61, "WSM": 39}
"""How many conditions each area of the catalogues has."""

NEVER = {
    "win32_product",
    "win32_pnpsigneddriver",
    "win32_ntlogevent",
    "win32_installedwin32program",
    "win32_reliabilityrecords",
}
"""Classes that repair packages, take minutes or read whole logs when they are enumerated."""

FILTERS = {
    "win32_useraccount": r"^LocalAccount=TRUE",
    "win32_group": r"^LocalAccount=TRUE AND ",
    "win32_groupuser": r"^GroupComponent=",
    "win32_directory": r"^(Drive='C:' AND Path='|Name='C:\\\\SBE' OR \(Drive='C:' AND \(Path=')",
    "cim_datafile": r"^Name='",
    "win32_logicaldisk": r"^(DriveType=3|DeviceID=')",
    "win32_pnpentity": r"^PNPClass='",
    "win32_process": r"^Name='",
    "win32_systemdriver": r"^Name ",
    "win32_service": r"^Name='",
    "win32_optionalfeature": r"^Name='",
    "win32_pingstatus": r"^Address='",
    "softwarelicensingproduct": r"^PartialProductKey IS NOT NULL AND ApplicationID='",
    "msft_scheduledtask": r"^TaskName='",
    "msft_nettcpconnection": r"^State=2 AND ",
    "msft_netudpendpoint": r"^LocalPort=",
    "mscluster_resource": r"^(CoreResource=TRUE|Type=')",
}
"""Filters without which a class walks a disk, a domain or a network, or answers far too much."""

SECRET_BESIDE = (
    "Session Manager\\Environment",
    "CurrentVersion\\Internet Settings",
    "CloudDomainJoin",
    "SystemCertificates",
)
"""Keys in which something stands that must not come along: only named values are kept of them."""


def conditions() -> dict[str, dict[str, Any]]:
    data: dict[str, dict[str, Any]] = read_yaml(read_bytes(CONDITIONS), str(CONDITIONS)).data["conditions"]
    return data


def problems_with(name: str, query: Query) -> list[str]:
    """What the lint says of one query in place of the pack's own."""
    packs = load_packs(["windows"])
    packs.queries[name] = query
    packs.origins.setdefault(name, "here")
    return [problem.message for problem in validate(packs, CHECKS)]


def proxies(environment: str = "system.environment", winhttp: str = "proxy.connections") -> dict[str, str]:
    return {"environment": environment, "winhttp": winhttp}


def test_every_query_is_valid() -> None:
    assert validate(PACKS, CHECKS) == []


@pytest.mark.parametrize(
    ("read", "says"),
    [
        ({"from": "cim", "namespace": "root/cimv2", "class": "Win32_Bios2", "properties": "all"}, "Win32_Bios2"),
        ({"from": "cim", "namespace": "root/cimv2", "class": "Win32_BIOS", "properties": ["Maker"]}, "Maker"),
        (
            {"from": "cim", "namespace": "root/cimv2", "class": "Win32_BIOS", "properties": "all", "where": "Maker=1"},
            "Maker",
        ),
        ({"from": "registry", "key": "HKLM\\SOFTWARE\\a&b"}, "may not be run"),
        ({"from": "program", "program": "secedit.exe", "arguments": "/export", "output": "text"}, "secedit.exe"),
        ({"from": "program", "program": "w32tm.exe", "arguments": "/resync", "output": "text"}, "may not be run"),
        (
            {"from": "method", "namespace": "root/cimv2", "class": "Win32_OperatingSystem", "method": "Reboot"},
            "not on the list of reading methods",
        ),
        ({"from": "curl", "urls": ["https://{site.management_hosts}/"]}, "did you mean"),
        ({"from": "curl", "urls": ["https://{host}/"]}, "unknown reference 'host'"),
        ({"from": "curl", "urls": ["http://a/"], "proxy_from": proxies("system.environments")}, "system.environments"),
        ({"from": "curl", "urls": ["http://a/"], "proxy_from": proxies("system.os")}, "HTTPS_PROXY"),
        (
            {"from": "curl", "urls": ["http://a/"], "proxy_from": proxies(winhttp="proxy.machine")},
            "does not read the registry value WinHttpSettings",
        ),
        ({"from": "curl", "tcp": ["site.gateway"], "ports": [22], "proxy_from": proxies()}, "no effect"),
        (
            {"from": "dns", "names": [{"fact": "system.os", "property": "CSName"}], "type": "A"},
            "from the site or from a DNS fact",
        ),
        ({"from": "dns", "names": [{"fact": "dns.controllers", "property": "targets"}], "type": "A"}, "controller"),
        ({"from": "ldap", "base": "domain", "attributes": ["cn", "ms-Mcs-AdmPwd"]}, "holds a secret"),
        ({"from": "ldap", "base": "domain", "scope": "subtree", "attributes": ["tokenGroups"]}, "scope base"),
        ({"from": "ldap", "base": "{ou}", "attributes": ["cn"]}, "{ou} is not bound"),
    ],
)
def test_a_query_that_names_what_does_not_exist_or_would_write_is_refused(read: dict[str, Any], says: str) -> None:
    query = msgspec.convert({"title": "t", "sureness": "documented", "basis": "b", "read": read}, Query)
    found = problems_with("test.query", query)
    assert len(found) == 1
    assert says in found[0]


@pytest.mark.parametrize("name", sorted(CIM))
def test_every_property_stands_in_the_class_table_and_is_spelt_as_there(name: str) -> None:
    read = CIM[name]
    found = PACKS.classes.find(read.namespace, read.class_)
    assert found is not None
    spelling, kind = found
    assert read.class_ == spelling
    assert kind.documented or kind.seen_on
    columns = read.properties if isinstance(read.properties, tuple) else ()
    assert [column for column in columns if column not in kind.properties] == []
    assert len(set(columns)) == len(columns)


@pytest.mark.parametrize("name", sorted(CIM))
def test_a_named_property_is_on_every_machine_of_its_class(name: str) -> None:
    """One that only some builds have would make the others refuse the whole query; `all` asks for no name."""
    read = CIM[name]
    found = PACKS.classes.find(read.namespace, read.class_)
    assert found is not None
    machines = set(found[1].seen_on)
    columns = read.properties if isinstance(read.properties, tuple) else ()
    missing = [c for c in columns if found[1].properties[c].seen_on and set(found[1].properties[c].seen_on) != machines]
    assert missing == []


@pytest.mark.parametrize("name", sorted({**REGISTRY, **PROGRAMS}))
def test_every_key_and_program_line_is_on_the_fixed_list(name: str) -> None:
    line = line_of(REGISTRY[name] if name in REGISTRY else with_words(PROGRAMS[name]))
    assert line.startswith(("%SystemRoot%\\System32\\", '"%ProgramFiles%\\', "type %SystemRoot%\\System32\\"))
    assert len(line) < LINE_LIMIT


def with_words(read: ProgramQuery) -> ProgramQuery:
    """The query with a word in place of each value that a site declares."""
    return msgspec.structs.replace(read, arguments=re.sub(r"\{[a-z]+\}", "word.example", read.arguments))


def test_no_key_is_asked_for_twice() -> None:
    asked = Counter((read.key.casefold(), read.values) for read in REGISTRY.values())
    assert [key for key, times in asked.items() if times > 1] == []


def test_every_method_reads_and_its_class_has_it() -> None:
    for name, read in METHODS.items():
        found = PACKS.classes.find(read.namespace, read.class_)
        assert found is not None, name
        assert read.method in found[1].methods, name
        assert (read.class_.casefold(), read.method.casefold()) in READING_METHODS, name
        keys = {key for key, kind in found[1].properties.items() if kind.key}
        assert read.keys.keys() <= keys, name


@pytest.mark.parametrize("name", sorted(CIM))
def test_a_class_that_is_dangerous_without_a_filter_has_one(name: str) -> None:
    read = CIM[name]
    assert read.class_.casefold() not in NEVER
    wanted = FILTERS.get(read.class_.casefold())
    if wanted is not None:
        assert re.match(wanted, read.where or ""), read.where
    columns = read.properties if isinstance(read.properties, tuple) else ()
    assert {"LoadPercentage", "CommandLine", "GuestExchangeItems"}.isdisjoint(columns)


def test_keys_with_secrets_beside_what_is_wanted_keep_named_values_only() -> None:
    open_keys = [
        name for name, read in REGISTRY.items() if any(p in read.key for p in SECRET_BESIDE) and not read.values
    ]
    assert open_keys == []


def test_of_trust_stores_only_the_thumbprints_are_kept() -> None:
    kept = {name: read.values for name, read in REGISTRY.items() if read.key.endswith("\\Certificates")}
    assert kept.pop("certificates.personal") == ("Blob",)
    assert set(kept.values()) == {("",)}


def test_every_query_says_what_it_rests_on() -> None:
    for name, query in PACKS.queries.items():
        assert 3 <= len(query.title) <= 120, name
        assert len(query.basis) > 5, name
        assert not query.title.endswith("."), name


def test_what_rests_on_another_fact_is_asked_by_what_asks_one_after_the_other() -> None:
    """Programs run in one chain, before it is known what other facts say. Only curl comes after them."""
    conditional = {name: query for name, query in PACKS.queries.items() if query.depends_on}
    in_turn = (CimQuery, CurlQuery, MethodQuery, DnsQuery, LdapQuery)
    assert [name for name, query in conditional.items() if not isinstance(query.read, in_turn)] == []


def test_what_goes_out_by_name_takes_the_proxy_of_the_node() -> None:
    """Where the site declares none. Bare connections stay inside."""
    outward = {name: q.read for name, q in PACKS.queries.items() if isinstance(q.read, CurlQuery) and not q.read.tcp}
    assert len(outward) >= 5
    source = ProxyFacts(environment="system.environment", winhttp="proxy.connections")
    assert {name: read.proxy_from for name, read in outward.items()} == dict.fromkeys(outward, source)


def test_every_condition_of_the_catalogues_is_there_once() -> None:
    found = conditions()
    assert Counter(name.partition("-")[0] for name in found) == CATALOGUE
    assert [name for name in found if not re.fullmatch(r"[A-Z]{3}-[A-Z]{2,5}-[0-9]{3}", name)] == []


def test_a_condition_that_stands_twice_is_refused() -> None:
    doubled = read_bytes(CONDITIONS) + b"  AZL-NET-001: {reason: again}\n"
    with pytest.raises(InputError, match="AZL-NET-001"):
        read_yaml(doubled, "conditions.yaml")


def test_every_condition_names_facts_that_exist_or_the_reason_why_there_are_none() -> None:
    for name, condition in conditions().items():
        assert condition.keys() - {"judged_by", "not_judged"} in ({"facts"}, {"facts", "part"}, {"reason"}), name
        assert all(fact in PACKS.queries for fact in condition.get("facts", [])), name
        assert "facts" not in condition or condition["facts"], name
        assert len(set(condition.get("facts", []))) == len(condition.get("facts", [])), name


def test_every_fact_is_used_by_a_condition_or_a_rule() -> None:
    used = {fact for condition in conditions().values() for fact in condition.get("facts", [])}
    used |= _read_by_rules(PACKS)
    used |= {needed for name in used for needed in PACKS.queries[name].depends_on}
    assert sorted(PACKS.queries.keys() - used) == []


def _read_by_rules(packs: PackSet) -> set[str]:
    found: set[str] = set()
    for rule in packs.rules.values():
        for name in [rule.check] if isinstance(rule.check, str) else rule.check.values():
            check = CHECKS[name]
            found.update(check.facts(msgspec.convert(rule.with_, check.parameters)))
    return found
