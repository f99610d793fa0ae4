"""Every query of a Windows machine, asked of a whole node: what comes back has the form that the query promises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from azpreflight.facts.classes import CimClass, Property
from azpreflight.facts.collection import Collection
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.query import (
    CimQuery,
    CurlQuery,
    MethodQuery,
    ProgramQuery,
    Query,
    RegistryQuery,
    WinrmQuery,
)
from azpreflight.facts.winrm.channel import Endpoint
from azpreflight.facts.winrm.source import WinrmSource
from azpreflight.model import Phase, Value
from azpreflight.packs.load import load_packs
from azpreflight.site import load_site
from servers.lab import Lab, node_scenario, running_lab

PACKS = load_packs(["windows"])
ASKED = PACKS.queries

NO_NAMESPACE = {
    "baseline.bitlocker",
    "baseline.recovery_passwords",
    "cluster.cluster",
    "cluster.core_resources",
    "cluster.groups",
    "cluster.machine_resources",
    "cluster.nodes",
}
"""What a node before its deployment has no namespace for: BitLocker and the failover cluster."""
NO_SWITCH = {"hyperv.host_ports", "hyperv.port_allocations", "hyperv.port_isolation", "hyperv.port_vlans"}
UNDECLARED = {"reach.domain_names", "time.declared_servers", "time.domain"}
"""What rests on something that the site does not declare."""
NOWHERE = {"reach.directory", "reach.proxy"}
"""What the site declares nothing to reach for."""
NO_MACHINE = {
    "hyperv.guest_adapters",
    "hyperv.guest_service_settings",
    "hyperv.guest_services",
    "hyperv.key_value_settings",
    "hyperv.key_values",
    "hyperv.legacy_guest_adapters",
    "hyperv.machine_states",
}

ABSENT_EVERYWHERE = {
    # Policies that nobody set.
    "accounts.policy_rights",
    "baseline.smb_client_policy",
    "certificates.policy_intermediates",
    "certificates.policy_roots",
    "certificates.root_update",
    "firewall.policy",
    "firewall.policy_rules",
    "net.dns_policy",
    "proxy.policy",
    "remoting.credentials_delegation",
    "remoting.desktop_policy",
    "remoting.winrm_policy",
    "updates.policy",
    # What a node of Azure Local has no reason to have.
    "arc.defender_onboarding",
    "arc.extended_updates",
    "baseline.smb1_driver",
    "baseline.smb_certificates",
    "certificates.disallowed",
    "certificates.enterprise_intermediates",
    "certificates.enterprise_roots",
    "certificates.trusted_people",
    "files.environment_checker_origin",
    "hyperv.legacy_guest_adapters",
    "hyperv.own_host",
    "net.teams",
    "programs.backup_config",
    "services.file_sync_drivers",
    "services.log_analytics_workspaces",
    "services.monitor_agent",
    "system.entra_join",
    # What a good node is not in the middle of.
    "updates.installer",
    "updates.servicing_restart",
    "updates.windows_update_restart",
}
"""Facts that are empty on every good node: an empty answer or an absent key is the answer."""

ABSENT: Value = {"exists": False, "keys": {}}


@contextmanager
def collected(folder: Path, base: str, *, domain: bool = False) -> Iterator[tuple[Lab, dict[str, Observation]]]:
    """What came of every query, from one node."""

    def in_domain(text: str) -> str:
        joined = text.replace("profile: local-identity", "profile: active-directory")
        with_clock = joined.replace("network:\n", "network:\n  ntp_servers: [192.0.2.53]\n")
        # Closed, and on loopback: nothing looks for the proxy anywhere else.
        outside = "directory: {domain: corp.example}\nproxy: {http: 'http://127.0.0.1:9'}\n"
        return with_clock + outside if domain else text

    with running_lab(folder, {"AZL-N01": node_scenario(1, base)}, edit=in_domain) as lab:
        site = load_site(lab.site).site
        collection = Collection(site=site, phase=Phase.PRE_DEPLOY, queries=ASKED, tables={}, classes=PACKS.classes)
        endpoint = Endpoint("127.0.0.1", lab.servers["AZL-N01"].http_port, https=False, certificate_name="192.0.2.11")
        found: list[Observation] = []
        WinrmSource(lab.credential, lambda _: endpoint).collect_node(
            site.nodes[0], collection, Deadline(120), found.append
        )
        assert sorted(observation.fact for observation in found) == sorted(ASKED)
        yield lab, {observation.fact: observation for observation in found}
        lab.assert_only_read()


def test_a_node_before_its_deployment_answers_every_query(tmp_path: Path) -> None:
    with collected(tmp_path, "healthy") as (_, found):
        statuses = {name: o.status for name, o in found.items() if o.status is not Status.OBSERVED}
        reasons = {name: o.reason or "" for name, o in found.items()}
    assert statuses == {
        **dict.fromkeys(NO_NAMESPACE, Status.NOT_PRESENT),
        **dict.fromkeys(NO_SWITCH | NO_MACHINE | UNDECLARED | NOWHERE, Status.NOT_ASKED),
    }
    for name in NO_NAMESPACE:
        namespace = PACKS.queries[name].read.namespace  # type: ignore[union-attr]
        assert f"namespace {namespace} is invalid" in reasons[name]
    assert {reasons[name] for name in NO_SWITCH} == {"not asked, since hyperv.switches has no row"}
    assert {reasons[name] for name in NO_MACHINE} == {"not asked, since hyperv.machines has no row"}
    assert {reasons[name] for name in NOWHERE} == {"the site declares nothing to reach"}
    assert {reasons[name].partition(" site.")[0] for name in UNDECLARED} == {"the site does not declare"}


def test_a_deployed_node_answers_every_query(tmp_path: Path) -> None:
    with collected(tmp_path, "clustered", domain=True) as (_, found):
        assert {name: o.reason for name, o in found.items() if o.status is not Status.OBSERVED} == {}
        empty = {name for name, o in found.items() if o.value in ([], {}, "", ABSENT)}
    assert empty == ABSENT_EVERYWHERE


@pytest.mark.parametrize("base", ["healthy", "clustered"])
def test_every_answer_has_the_form_that_its_query_promises(tmp_path: Path, base: str) -> None:
    with collected(tmp_path, base) as (_, found):
        values = {name: o.value for name, o in found.items() if o.status is Status.OBSERVED}
    wrong = {name: text for name, value in values.items() if (text := _fault(ASKED[name], value)) is not None}
    assert wrong == {}


def test_a_value_of_the_wrong_form_would_be_noticed() -> None:
    query = PACKS.queries["hardware.memory"]
    good: dict[str, Value] = {"Capacity": 1, "DataWidth": 64, "TotalWidth": 72, "Speed": 1, "SMBIOSMemoryType": 34}
    assert _fault(query, [good]) is None
    assert _fault(query, [{**good, "Capacity": "1"}]) == "Capacity: '1' is no uint64"
    assert _fault(query, [{"Capacity": 1}]) == "columns Capacity"
    assert _fault(PACKS.queries["hardware.secure_boot"], {"exists": True, "keys": {"": {"Other": {}}}}) == "value Other"
    assert _fault(PACKS.queries["arc.agent"], "text") == "'text'"


def test_what_runs_on_the_node_is_one_shell_with_few_commands(tmp_path: Path) -> None:
    with collected(tmp_path, "clustered") as (lab, _):
        log = lab.servers["AZL-N01"].log
        programs = [command for command in log.commands if "cmd.exe" in command]
        assert len(log.shells) == 1
        asked = [command.rpartition("curl.exe")[2].split() for command in log.commands[len(programs) :]]
        # Nothing there failed by its certificate, so that nothing is asked again.
        assert [arguments[-1] for arguments in asked] == ["--version", "-"]


def _fault(query: Query, value: Value) -> str | None:
    """What is wrong with the form of an observed value, None when nothing is."""
    match query.read:
        case CimQuery() as read:
            found = PACKS.classes.find(read.namespace, read.class_)
            assert found is not None
            return _rows_fault(found[1], read.properties, value)
        case MethodQuery() as read:
            rows = value if isinstance(value, list) else []
            bad = [row for row in rows if not row.keys() > read.keys.keys() or "ReturnValue" in row]
            return repr(bad or value) if bad or not rows else None
        case RegistryQuery() as read:
            return _registry_fault(read, value)
        case ProgramQuery() as read if query.bind:
            rows = value if isinstance(value, list) else []
            columns = {*query.bind, "exit_code", "output"}
            bad = [row for row in rows if row.keys() != columns or not isinstance(row["output"], str)]
            return repr(bad or value) if bad or not rows else None
        case ProgramQuery() as read:
            good = {
                "csv": lambda: isinstance(value, list) and all(isinstance(row, list) and len(row) > 1 for row in value),
                "json": lambda: isinstance(value, dict),
                "text": lambda: isinstance(value, str) and value.strip() != "",
                "xml": lambda: isinstance(value, str) and value.startswith("<Events>"),
            }
            return None if good[read.output]() else repr(value)
        case CurlQuery():
            columns = {"host", "port", "url", "tls", "connected", "http_code", "connect_code", "exit_code", "error"}
            columns |= {"remote_ip", "proxy", "revocation_skipped", "chain"}
            rows = value if isinstance(value, list) else []
            bad = [row for row in rows if not isinstance(row, dict) or row.keys() != columns]
            return repr(bad or value) if bad or not rows else None
        case WinrmQuery():
            return None if isinstance(value, dict | list) and value else repr(value)
    return f"a query of kind {type(query.read).__name__} is not asked of a node"


def _rows_fault(kind: CimClass, properties: tuple[str, ...] | str, value: Value) -> str | None:
    if not isinstance(value, list):
        return repr(value)
    for row in value:
        if not isinstance(row, dict):
            return repr(row)
        if isinstance(properties, tuple) and set(row) != set(properties):
            return f"columns {', '.join(row)}"
        for name, cell in row.items():
            if not _fits(kind.properties[name], cell):
                return f"{name}: {cell!r} is no {kind.properties[name].type}"
    return None


def _fits(kind: Property, cell: Value) -> bool:
    if cell is None:
        return True
    if kind.array:
        return isinstance(cell, list) and all(_fits_scalar(kind, item) for item in cell)
    return _fits_scalar(kind, cell)


def _fits_scalar(kind: Property, cell: Value) -> bool:
    if kind.type.startswith(("ref:", "object:")):
        return isinstance(cell, Mapping)
    if kind.type == "boolean":
        return isinstance(cell, bool)
    if kind.type in {"string", "datetime"}:
        return isinstance(cell, str)
    # A number with a documented meaning comes as its name.
    return (isinstance(cell, int) and not isinstance(cell, bool)) or (
        isinstance(cell, str) and cell in kind.values.values()
    )


def _registry_fault(read: RegistryQuery, value: Value) -> str | None:
    if not isinstance(value, dict) or value.keys() != {"exists", "keys"}:
        return repr(value)
    if value == ABSENT:
        return None
    if "" not in value["keys"]:
        return "the key itself is missing"
    if not read.recurse and len(value["keys"]) > 1:
        return f"keys {', '.join(value['keys'])}"
    wanted = {name.casefold() for name in read.values}
    for values in value["keys"].values():
        for name, entry in values.items():
            if wanted and name.casefold() not in wanted:
                return f"value {name}"
            if entry.keys() != {"type", "data"} or not entry["type"].startswith("REG_"):
                return f"{name}: {entry!r}"
    return None
