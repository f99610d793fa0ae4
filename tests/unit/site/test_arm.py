"""Azure Local's own files as the site: filled in, half filled in, and odd."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from azpreflight.documents import read_json
from azpreflight.errors import InputError
from azpreflight.model import Problem, Profile
from azpreflight.site import arm, load_site
from azpreflight.site.arm_names import KNOWN
from azpreflight.site.arm_parameters import is_secure
from azpreflight.site.arm_values import is_placeholder
from azpreflight.site.model import (
    DnsMode,
    Intent,
    IntentOverrides,
    LoadedSite,
    Node,
    Range,
    Site,
    StorageAddress,
    StorageMode,
    Traffic,
    WitnessKind,
)
from azpreflight.site.template import from_site
from azpreflight.site.uses import Vendor

GOOD = Path(__file__).parent / "data" / "two-nodes.parameters.json"
SECRET = "hunter2-9f3c"

Change = Callable[[dict[str, Any]], None]


def good() -> dict[str, Any]:
    """The parameters of the good file."""
    parameters: dict[str, Any] = json.loads(GOOD.read_text())["parameters"]
    return parameters


def read(parameters: Any) -> tuple[Site, tuple[Problem, ...]]:
    result = arm.read(read_json(json.dumps({"parameters": parameters}), "f.json", fold_keys=True), otherwise_named="f")
    assert result is not None
    return result


def read_with(**changes: Any) -> tuple[Site, list[tuple[str, str, str]]]:
    """The good file with some values changed; ABSENT takes a parameter away."""
    parameters = good()
    for name, value in changes.items():
        if value is ABSENT:
            del parameters[name]
        else:
            parameters[name] = {"value": value}
    site, problems = read(parameters)
    return site, [(p.code, p.where.removeprefix("f.json: $.parameters."), p.message) for p in problems]


ABSENT = object()


def refused(parameters: Any) -> InputError:
    with pytest.raises(InputError) as error:
        read(parameters)
    return error.value


class TestGoodFile:
    def test_it_becomes_the_same_site_that_yaml_declares(self) -> None:
        loaded = load_site(GOOD)
        site = loaded.site
        group = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg-edge"
        machines = f"{group}/providers/Microsoft.HybridCompute/machines"
        assert loaded.problems == ()
        assert (site.name, site.profile) == ("AZL-CL01", Profile.LOCAL_IDENTITY)
        assert (site.cluster.name, site.cluster.naming_prefix, site.cluster.rack_aware) == ("AZL-CL01", "AZL01", None)
        assert site.nodes == (
            Node(name="AZL-N01", address="192.0.2.11", arc_resource_id=f"{machines}/AZL-N01"),
            Node(name="AZL-N02", address="192.0.2.12", arc_resource_id=f"{machines}/azl-n02"),
        )
        management = site.network.management
        assert (management.subnet, management.gateway, management.dhcp) == ("192.0.2.0/25", "192.0.2.1", False)
        assert management.pools == (Range(start="192.0.2.20", end="192.0.2.30"),)
        dns = site.network.dns
        assert (dns.mode, dns.servers, dns.zone, dns.forwarders) == (
            DnsMode.EXTERNAL,
            ("192.0.2.53", "192.0.2.54"),
            "edge.example",
            (),
        )
        storage = site.network.storage
        assert (storage.auto_ip, storage.switchless, storage.mode) == (False, False, StorageMode.EXPRESS)
        first, second = storage.networks or ()
        assert (first.name, first.adapter, first.vlan, second.vlan) == ("Storage1", "Port3", 711, 712)
        assert (first.addresses or ())[1] == StorageAddress(node="AZL-N02", address="10.71.1.2", subnet="10.71.1.0/24")
        assert second.addresses is None
        assert site.network.intents == (
            Intent(
                name="ManagementCompute",
                traffic=(Traffic.MANAGEMENT, Traffic.COMPUTE),
                adapters=("Port1", "Port2"),
                overrides=IntentOverrides(iov=True, load_balancing="Dynamic"),
            ),
            Intent(
                name="Storage",
                traffic=(Traffic.STORAGE,),
                adapters=("Port3", "Port4"),
                overrides=IntentOverrides(
                    jumbo_packet=9014,
                    network_direct=True,
                    network_direct_technology="RoCEv2",
                    priority_cluster=7,
                    bandwidth_smb=50,
                ),
            ),
        )
        assert (site.azure.region, site.azure.resource_group) == ("westeurope", "rg-edge")
        assert site.azure.subscription == "11111111-2222-3333-4444-555555555555"
        assert (site.witness.kind, site.witness.storage_account) == (WitnessKind.CLOUD, "edgelabwitness")
        assert (site.key_vault.name, site.administrator.name) == ("kv-edge-lab", "azladmin")

    def test_it_comes_back_from_the_site_file_written_from_it(self, tmp_path: Path) -> None:
        loaded = load_site(GOOD)
        (tmp_path / "site.yaml").write_text(from_site(loaded))
        again = load_site(tmp_path / "site.yaml")
        assert again.site == loaded.site
        assert (loaded.info.format, again.info.format) == ("arm", "yaml")

    @pytest.mark.parametrize(
        "encode",
        [
            lambda text: text.encode("utf-8-sig"),
            lambda text: text.encode("utf-16"),
            lambda text: text.replace("\n", "\r\n").encode(),
            lambda text: text.replace('"parameters"', '"Parameters"').replace('"value"', '"VALUE"').encode(),
            lambda text: (
                text.replace('"ipv4Address"', '"IPv4address"').replace('"clusterName"', '"CLUSTERname"').encode()
            ),
        ],
        ids=["byte order mark", "UTF-16", "Windows line ends", "letter case", "letter case of names"],
    )
    def test_how_it_was_saved_does_not_matter(self, tmp_path: Path, encode: Callable[[str], bytes]) -> None:
        path = tmp_path / "any-name.txt"
        path.write_bytes(encode(GOOD.read_text()))
        loaded = load_site(path)
        assert loaded.problems == ()
        assert loaded.site == load_site(GOOD).site

    def test_it_is_told_from_yaml_by_its_content(self, tmp_path: Path) -> None:
        path = tmp_path / "site.yaml"
        path.write_bytes(GOOD.read_bytes())
        assert load_site(path).info.format == "arm"

    def test_parameters_written_twice_in_other_letter_case_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "f.json"
        path.write_text(GOOD.read_text().replace('"namingPrefix"', '"CLUSTERNAME"'))
        with pytest.raises(InputError, match="'CLUSTERNAME' appears twice in the same object as 'clusterName'"):
            load_site(path)


class TestIdentity:
    def test_an_empty_domain_and_ou_mean_local_identity(self) -> None:
        site, problems = read_with(identityProvider=ABSENT, domainFqdn="", adouPath="")
        assert (site.profile, problems) == (Profile.LOCAL_IDENTITY, [])

    def test_a_domain_means_active_directory(self) -> None:
        site, problems = read_with(
            identityProvider=ABSENT,
            domainFqdn="corp.example",
            adouPath="OU=A,DC=corp,DC=example",
            AzureStackLCMAdminUsername="lcm",
        )
        assert (site.profile, problems) == (Profile.ACTIVE_DIRECTORY, [])
        assert (site.directory.domain, site.directory.deployment_user) == ("corp.example", "lcm")

    def test_a_domain_that_is_a_placeholder_means_active_directory_not_filled_in(self) -> None:
        site, problems = read_with(
            identityProvider=ABSENT, domainFqdn="<domain>", adouPath="", AzureStackLCMAdminUsername="lcm"
        )
        assert site.profile is Profile.ACTIVE_DIRECTORY
        assert problems == [
            ("not-filled-in", "domainFqdn.value", "domainFqdn still holds a placeholder"),
            ("not-filled-in", "adouPath.value", "adouPath is empty"),
        ]

    def test_an_identity_provider_counts_more_than_a_domain(self) -> None:
        site, [(code, where, _)] = read_with(domainFqdn="corp.example")
        assert site.profile is Profile.LOCAL_IDENTITY
        assert site.directory.domain is None
        assert (code, where) == ("contradiction", "domainFqdn.value")

    @pytest.mark.parametrize("spelling", ["ActiveDirectory", "activedirectory"])
    def test_active_directory_without_a_domain_is_not_filled_in(self, spelling: str) -> None:
        site, problems = read_with(identityProvider=spelling, dnsZones=ABSENT)
        assert site.profile is Profile.ACTIVE_DIRECTORY
        assert [message for _, _, message in problems] == [
            "domainFqdn is missing",
            "adouPath is missing",
            "AzureStackLCMAdminUsername is missing",
        ]

    def test_a_file_that_says_nothing_is_understood_from_its_other_fields_and_told(self) -> None:
        site, [(code, _, message)] = read_with(identityProvider=ABSENT)
        assert (site.profile, code) == (Profile.LOCAL_IDENTITY, "not-filled-in")
        assert "local-identity is assumed" in message
        site, _ = read_with(identityProvider=ABSENT, dnsZones=ABSENT, dnsServerConfig=ABSENT)
        assert site.profile is Profile.ACTIVE_DIRECTORY

    def test_an_unknown_identity_provider_is_told(self) -> None:
        _, problems = read_with(identityProvider="Kerberos")
        assert problems[0] == (
            "bad-value",
            "identityProvider.value",
            "identityProvider is none of: LocalIdentity, ActiveDirectory",
        )


class TestNotFilledIn:
    @pytest.mark.parametrize(
        "name",
        [
            "clusterName",
            "keyVaultName",
            "localAdminUserName",
            "subnetMask",
            "defaultGateway",
            "startingIPAddress",
            "endingIPAddress",
            "location",
            "tenantId",
            "diagnosticStorageAccountName",
            "hciResourceProviderObjectID",
            "clusterWitnessStorageAccountName",
            "namingPrefix",
        ],
    )
    @pytest.mark.parametrize(
        ("value", "why"),
        [
            ("", "is empty"),
            ("  ", "is empty"),
            (None, "is empty"),
            ("<fill me in>", "placeholder"),
            ("TODO", "placeholder"),
            ("changeme", "placeholder"),
            ("your-value-here", "placeholder"),
            ("GEN-UNIQUE-8", "placeholder"),
            ("[resourceGroup().location]", "ARM expression"),
        ],
    )
    def test_a_field_that_nobody_filled_in_is_told_by_its_name(self, name: str, value: Any, why: str) -> None:
        _, [(code, where, message)] = read_with(**{name: value})
        assert (code, where) == ("not-filled-in", f"{name}.value")
        assert message.startswith(name)
        assert why in message

    def test_a_key_vault_reference_is_not_read(self) -> None:
        parameters = good() | {"clusterName": {"reference": {"keyVault": {"id": "x"}, "secretName": "y"}}}
        site, [problem] = read(parameters)
        assert site.cluster.name is None
        assert problem.where == "f.json: $.parameters.clusterName.reference"
        assert "Key Vault reference" in problem.message

    @pytest.mark.parametrize("name", ["arcNodeResourceIds", "dnsServers", "dnsZones"])
    @pytest.mark.parametrize("value", ["", [], None, "<list>"])
    def test_a_list_that_nobody_filled_in_is_told_by_its_name(self, name: str, value: Any) -> None:
        _, [(code, where, message)] = read_with(**{name: value})
        assert (code, where) == ("not-filled-in", f"{name}.value")
        assert message.startswith(name)

    def test_empty_items_of_a_list_are_told_one_by_one(self) -> None:
        site, problems = read_with(dnsServers=["192.0.2.53", "", "<dns2>"])
        assert site.network.dns.servers == ("192.0.2.53",)
        assert [(where, message) for _, where, message in problems] == [
            ("dnsServers.value[1]", "dnsServers[1] is empty"),
            ("dnsServers.value[2]", "dnsServers[2] still holds a placeholder"),
        ]

    def test_a_field_that_is_missing_is_told(self) -> None:
        _, problems = read_with(clusterName=ABSENT, keyVaultName=ABSENT)
        assert [message for _, _, message in problems] == ["clusterName is missing", "keyVaultName is missing"]

    def test_empty_and_not_declared_stay_apart(self) -> None:
        assert read_with(clusterName="")[0].cluster.name == ""
        assert read_with(clusterName=ABSENT)[0].cluster.name is None
        assert read_with(clusterName="")[0].name == "f"
        assert read_with(dnsServers=[""])[0].network.dns.servers == ()
        assert read_with(dnsServers=ABSENT)[0].network.dns.servers is None
        assert read_with(defaultGateway="")[0].network.management.gateway == ""

    def test_a_parameter_without_value_is_empty(self) -> None:
        _, [problem] = read(good() | {"clusterName": {"metadata": {}}})
        assert problem.message == "clusterName is empty"

    def test_what_dhcp_provides_need_not_be_filled_in(self) -> None:
        site, problems = read_with(
            useDhcp="True", subnetMask="", defaultGateway="", startingIPAddress="", endingIPAddress="", dnsServers=[]
        )
        assert problems == []
        assert site.network.management.dhcp is True
        assert site.network.management.gateway == ""

    def test_forwarders_are_wanted_where_there_is_no_dns_server(self) -> None:
        zones = [{"dnsZoneName": "edge.example", "dnsForwarder": ["192.0.2.1", "192.0.2.1"]}]
        site, problems = read_with(dnsServerConfig="UseForwarder", dnsServers=[], dnsZones=zones)
        assert problems == []
        assert (site.network.dns.mode, site.network.dns.forwarders) == (DnsMode.FORWARDER, ("192.0.2.1",))
        zones = [{"dnsZoneName": "", "dnsForwarder": []}, {"dnsZoneName": "b.example"}]
        _, problems = read_with(dnsServerConfig="useforwarder", dnsZones=zones)
        assert [(code, message) for code, _, message in problems] == [
            ("not-filled-in", "dnsZones[0].dnsZoneName is empty"),
            ("not-filled-in", "dnsZones[0].dnsForwarder is empty"),
            ("not-filled-in", "dnsZones[1].dnsForwarder is missing"),
            ("not-read", "more than one DNS zone is declared; only the first is judged"),
        ]

    def test_nodes_that_are_not_filled_in_stay_in_the_plan(self) -> None:
        nodes = [{"name": "", "ipv4Address": ""}, {"name": "<node2>"}, {"name": "a b", "ipv4Address": "192.0.2.13"}]
        site, problems = read_with(physicalNodesSettings=nodes, arcNodeResourceIds=[], storageNetworkList=[])
        assert [node.name for node in site.nodes] == [f"not-filled-in-node-{at}" for at in (1, 2, 3)]
        assert [node.address for node in site.nodes] == ["", "", "192.0.2.13"]
        assert {where for _, where, _ in problems} >= {
            "physicalNodesSettings.value[0].name",
            "physicalNodesSettings.value[0].ipv4Address",
            "physicalNodesSettings.value[1].ipv4Address",
            "physicalNodesSettings.value[2].name",
        }

    @pytest.mark.parametrize("value", [[], "", None, ABSENT, "<nodes>", 5, ["a"]])
    def test_a_file_without_nodes_is_refused_with_the_way_out(self, value: Any) -> None:
        parameters = good()
        del parameters["physicalNodesSettings"]
        if value is not ABSENT:
            parameters["physicalNodesSettings"] = {"value": value}
        problem = refused(parameters).problems[-1]
        assert problem.code == "no-nodes"
        assert "physicalNodesSettings" in problem.message


class TestOddValues:
    def test_lists_flags_and_numbers_written_as_text_are_understood(self) -> None:
        site, problems = read_with(
            dnsServers="192.0.2.53, 192.0.2.54",
            useDhcp="false",
            storageConnectivitySwitchless="False",
            enableStorageAutoIp="FALSE",
            namingPrefix=123,
            physicalNodesSettings=json.dumps(good()["physicalNodesSettings"]["value"]),
            dnsZones={"DnsZoneName": "edge.example"},
            intentList=[json.dumps(item) for item in good()["intentList"]["value"]],
        )
        assert problems == []
        expected = load_site(GOOD).site
        assert site.nodes == expected.nodes
        assert site.network == expected.network
        assert site.cluster.naming_prefix == "123"

    @pytest.mark.parametrize(
        ("name", "value", "code"),
        [
            ("subnetMask", "255.0.255.0", "bad-value"),
            ("subnetMask", "0.0.0.255", "bad-value"),
            ("subnetMask", "24", "bad-value"),
            ("defaultGateway", "192.0.2.256", "bad-value"),
            ("startingIPAddress", "fe80::1", "bad-value"),
            ("dnsServers", ["dns"], "bad-value"),
            ("dnsServers", 5, "wrong-type"),
            ("dnsServers", [{}], "wrong-type"),
            ("dnsServers", "{broken", "wrong-type"),
            ("clusterName", ["x"], "wrong-type"),
            ("clusterName", True, "wrong-type"),
            ("clusterName", "x" * 5000, "wrong-type"),
            ("clusterName", " AZL-CL01", "bad-value"),
            ("useDhcp", "maybe", "wrong-type"),
            ("useDhcp", ["x"], "wrong-type"),
            ("witnessType", "Disk", "bad-value"),
            ("configurationMode", "Fast", "bad-value"),
            ("dnsServerConfig", "Auto", "bad-value"),
            ("networkingType", "other", "bad-value"),
            ("dnsZones", ["x"], "wrong-type"),
            ("intentList", [5], "wrong-type"),
            ("storageNetworkList", {"name": "a", "networkAdapterName": "b", "vlanId": "5000"}, "bad-value"),
            ("storageNetworkList", {"name": "a", "networkAdapterName": "b", "vlanId": "x"}, "wrong-type"),
            ("storageNetworkList", {"name": "a", "networkAdapterName": "b", "vlanId": 7.5}, "wrong-type"),
            ("storageNetworkList", "x", "wrong-type"),
        ],
    )
    def test_a_malformed_value_is_a_problem_and_the_site_loads(self, name: str, value: Any, code: str) -> None:
        _, problems = read_with(**{name: value})
        assert [(found, where.partition(".")[0]) for found, where, _ in problems] == [(code, name)]

    @pytest.mark.parametrize(
        "text",
        [
            '["\\ud800"]',
            '["a\\u0000b"]',
            "[1e999]",
            "[-Infinity]",
            '[{"dnsZoneName": "a.example", "dnsZoneName": "b.example"}]',
            '[{"dnsZoneName": "a.example", "DNSZONENAME": "b.example"}]',
            '["a",]',
            "[" * 2000,
            f"[{'9' * 4000}]",
        ],
    )
    @pytest.mark.parametrize("name", ["dnsServers", "dnsZones", "storageNetworkList", "arcNodeResourceIds"])
    def test_a_list_written_as_text_is_held_to_what_the_file_is_held_to(self, name: str, text: str) -> None:
        site, [(code, where, message), *_] = read_with(**{name: text})
        assert (code, where) == ("wrong-type", f"{name}.value")
        assert "no valid JSON" in message
        msgspec.json.encode(site)

    def test_a_parameter_that_no_template_has_declares_nothing(self) -> None:
        site, [(code, where, _)] = read_with(ipPools=[{"startingAddress": "192.0.2.99", "endingAddress": "192.0.2.99"}])
        assert (code, where) == ("unknown-parameter", "ipPools")
        assert site.network.management.pools == (Range(start="192.0.2.20", end="192.0.2.30"),)

    def test_a_placeholder_chooses_nothing(self) -> None:
        site, [(code, where, _)] = read_with(witnessType="<Cloud>")
        assert (code, where) == ("not-filled-in", "witnessType.value")
        assert site.witness.kind is None
        assert read_with(witnessType="")[0].witness.kind is WitnessKind.NONE

    def test_a_line_end_in_a_value_does_not_end_the_comment_that_shows_it(self, tmp_path: Path) -> None:
        path = tmp_path / "site.yaml"
        for end in ("\n", "\r", "\x85", "\u2028", "\u2029"):
            injected = f"x{end}administrator: {{name: evil}}"
            site, _ = read_with(defaultGateway=injected, dnsServers=[injected], keyVaultName=injected)
            text = from_site(LoadedSite(site=site, info=load_site(GOOD).info))
            path.write_text(text, encoding="utf-8", newline="")
            again = load_site(path).site
            assert again.administrator == site.administrator
            assert again.key_vault == site.key_vault
            assert again.network.management.gateway is None

    def test_a_wrong_address_stays_as_it_was_written(self) -> None:
        site, _ = read_with(defaultGateway="192.0.2.256", subnetMask="255.0.255.0", dnsServers=["dns1"])
        assert site.network.management.gateway == "192.0.2.256"
        assert site.network.management.subnet is None
        assert site.network.dns.servers == ("dns1",)

    def test_two_brackets_write_a_text_that_begins_with_one(self) -> None:
        assert read_with(clusterName="[[x]")[0].cluster.name == "[x]"

    def test_a_value_without_its_wrapping_is_read_and_told(self) -> None:
        site, [problem] = read(good() | {"clusterName": "AZL-CL02"})
        assert site.cluster.name == "AZL-CL02"
        assert (problem.code, problem.where) == ("wrong-type", "f.json: $.parameters.clusterName")

    def test_an_unknown_parameter_is_told_with_the_nearest_known_name(self) -> None:
        _, problems = read_with(clustrName="x", zzzzzz=1)
        assert [(code, where) for code, where, _ in problems] == [
            ("unknown-parameter", "clustrName"),
            ("unknown-parameter", "zzzzzz"),
        ]
        assert "did you mean 'clusterName'?" in problems[0][2]

    def test_every_published_parameter_is_known(self) -> None:
        parameters = {name: {"value": None} for name in KNOWN} | good()
        assert "unknown-parameter" not in {problem.code for problem in read(parameters)[1]}

    def test_storage_area_networks_are_not_judged_and_that_is_told(self) -> None:
        _, problems = read_with(sanNetworkList={"clusterNetworkConfig": {}}, storageNetworkList=ABSENT)
        assert [code for code, _, _ in problems] == ["not-read"]

    def test_a_storage_address_of_an_unknown_node_is_told(self) -> None:
        network = {
            "name": "S",
            "networkAdapterName": "P",
            "storageAdapterIPInfo": [
                {"physicalNode": "AZL-N99", "ipv4Address": "10.0.0.1"},
                {"physicalNode": "a b", "ipv4Address": "10.0.0.1"},
                {"physicalNode": "", "ipv4Address": ""},
            ],
        }
        site, problems = read_with(storageNetworkList=[network])
        assert [code for code, _, _ in problems] == ["bad-value", "not-filled-in", "not-filled-in", "unknown-node"]
        [only] = (site.network.storage.networks or ())[0].addresses or ()
        assert (only.node, only.subnet) == ("AZL-N99", None)

    def test_nodes_that_cannot_be_told_apart_are_refused(self) -> None:
        nodes = [{"name": "A", "ipv4Address": "192.0.2.1"}, {"name": "a", "ipv4Address": "192.0.2.1"}]
        error = refused(good() | {"physicalNodesSettings": {"value": nodes}})
        assert [problem.code for problem in error.problems] == ["duplicate-node", "duplicate-address"]
        assert error.problems[0].where == "f.json: $.parameters.physicalNodesSettings.value"


def machine(name: str, group: str = "rg") -> str:
    return f"/subscriptions/s/resourceGroups/{group}/providers/Microsoft.HybridCompute/machines/{name}"


class TestArcMachines:
    def test_a_machine_with_another_name_belongs_to_the_node_at_its_position_and_is_told(self) -> None:
        site, [(code, where, message)] = read_with(arcNodeResourceIds=[machine("host1"), machine("AZL-N02")])
        assert (code, where) == ("arc-machine-name-differs", "arcNodeResourceIds.value[0]")
        assert "'host1'" in message
        assert "AZL-N01" in message
        assert [node.arc_resource_id for node in site.nodes] == [machine("host1"), machine("AZL-N02")]

    def test_a_node_without_a_machine_is_told(self) -> None:
        site, [(code, _, message)] = read_with(arcNodeResourceIds=[machine("AZL-N02")])
        assert code == "node-without-arc-machine"
        assert "'AZL-N01'" in message
        assert site.nodes[0].arc_resource_id is None

    def test_a_machine_too_many_is_told(self) -> None:
        ids = [machine("AZL-N01"), machine("AZL-N02"), machine("AZL-N03")]
        _, [(code, where, message)] = read_with(arcNodeResourceIds=ids)
        assert (code, where) == ("arc-machine-name-differs", "arcNodeResourceIds.value[2]")
        assert "AZL-N01, AZL-N02" in message

    def test_machines_in_different_resource_groups_are_told(self) -> None:
        ids = [machine("AZL-N01", "rg1"), machine("AZL-N02", "rg2")]
        _, [(code, where, message)] = read_with(arcNodeResourceIds=ids)
        assert (code, where) == ("arc-resource-groups-differ", "arcNodeResourceIds.value")
        assert "rg1, rg2" in message

    def test_machines_written_as_text_are_told_apart(self) -> None:
        ids = ",".join([machine("AZL-N01"), machine("host2")])
        site, [(code, _, message)] = read_with(arcNodeResourceIds=ids)
        assert code == "arc-machine-name-differs"
        assert "'host2'" in message
        assert [node.arc_resource_id for node in site.nodes] == ids.split(",")

    def test_a_machine_that_is_listed_twice_is_told_and_belongs_to_one_node(self) -> None:
        site, problems = read_with(arcNodeResourceIds=[machine("AZL-N01"), machine("azl-n01")])
        assert [(code, where) for code, where, _ in problems] == [
            ("duplicate-arc-machine", "arcNodeResourceIds.value[1]"),
            ("node-without-arc-machine", "arcNodeResourceIds.value"),
        ]
        assert [node.arc_resource_id for node in site.nodes] == [machine("AZL-N01"), None]

    def test_letter_case_does_not_make_resource_groups_different(self) -> None:
        ids = [machine("AZL-N01", "RG"), machine("azl-n02", "rg")]
        assert read_with(arcNodeResourceIds=ids)[1] == []

    def test_what_is_no_resource_id_is_told_and_kept_at_its_position(self) -> None:
        site, problems = read_with(arcNodeResourceIds=["AZL-N01", machine("AZL-N02")])
        assert [(code, where) for code, where, _ in problems] == [("bad-value", "arcNodeResourceIds.value[0]")]
        assert site.nodes[0].arc_resource_id == "AZL-N01"


class TestNoEffect:
    @pytest.mark.parametrize(
        ("changes", "name"),
        [
            ({"storageConnectivitySwitchless": True}, "networkingType"),
            ({"networkingType": "switchlessMultiServerDeployment"}, "networkingType"),
            ({"networkingType": "singleServerDeployment"}, "networkingType"),
            ({"networkingPattern": "hyperConverged"}, "networkingPattern"),
            ({"bitlockerBootVolume": False}, "securityLevel"),
        ],
    )
    def test_a_parameter_that_is_sent_nowhere_is_told_when_it_contradicts(
        self, changes: dict[str, Any], name: str
    ) -> None:
        _, [(code, where, message)] = read_with(**changes)
        assert (code, where) == ("no-effect", f"{name}.value")
        assert "is sent nowhere" in message

    def test_custom_contradicts_nothing(self) -> None:
        assert read_with(networkingPattern="custom", securityLevel="Customized", wdacEnforced=False)[1] == []


class TestOtherVocabularies:
    def test_the_templates_with_prerequisites_name_things_differently(self) -> None:
        site, problems = read_with(
            physicalNodesSettings=ABSENT,
            clusterNodeNames=["AZL-N01", "AZL-N02"],
            namingPrefix=ABSENT,
            deploymentPrefix="AZL02",
            storageNetworkList=ABSENT,
            storageNetworks=[{"name": "S1", "networkAdapterName": "Port3", "vlanId": "711"}],
            intentList=ABSENT,
            managementIntentAdapterNames=["Port1", "Port2"],
            computeIntentAdapterNames=["Port2", "Port1"],
        )
        assert problems == []
        assert [(node.name, node.address) for node in site.nodes] == [("AZL-N01", ""), ("AZL-N02", "")]
        assert site.cluster.naming_prefix == "AZL02"
        assert [(intent.traffic, intent.adapters) for intent in site.network.intents or ()] == [
            ((Traffic.MANAGEMENT, Traffic.COMPUTE), ("Port1", "Port2")),
            ((Traffic.STORAGE,), ("Port3",)),
        ]

    @pytest.mark.parametrize(
        ("publisher", "vendor"),
        [("Dell", Vendor.DELL), ("DellEMC", Vendor.DELL), ("HPE", Vendor.HPE), ("Contoso", None), ("", None)],
    )
    def test_the_publisher_of_the_vendors_extension_tells_whose_machines_they_are(
        self, publisher: str, vendor: Vendor | None
    ) -> None:
        site, problems = read_with(sbePublisher=publisher)
        assert (site.cluster.vendor, problems) == (vendor, [])

    def test_racks_and_share_witnesses_are_understood(self) -> None:
        site, problems = read_with(
            clusterPattern="RackAware",
            witnessType="FileShare",
            witnessPath=r"\\files\w",
            clusterWitnessStorageAccountName="",
        )
        assert problems == []
        assert site.cluster.rack_aware is True
        assert (site.witness.kind, site.witness.path) == (WitnessKind.FILE_SHARE, r"\\files\w")
        zones = [{"localAvailabilityZoneName": "A", "nodes": ["AZL-N01"]}]
        assert read_with(localAvailabilityZones=zones)[0].cluster.rack_aware is True

    def test_the_witness_account_needs_a_name_even_where_no_witness_is_wanted(self) -> None:
        site, [(code, where, _)] = read_with(witnessType="No Witness", clusterWitnessStorageAccountName="")
        assert site.witness.kind is WitnessKind.NONE
        assert (code, where) == ("not-filled-in", "clusterWitnessStorageAccountName.value")


def resource() -> dict[str, Any]:
    parameters = {name: entry.get("value") for name, entry in good().items()}
    data = {
        "cluster": {"name": parameters["clusterName"], "witnessType": "Cloud", "cloudAccountName": "edgelabwitness"},
        "storage": {"configurationMode": "Express"},
        "namingPrefix": "AZL01",
        "identityProvider": "LocalIdentity",
        "infrastructureNetwork": [
            {
                "subnetMask": "255.255.255.128",
                "gateway": "192.0.2.1",
                "ipPools": [{"startingAddress": "192.0.2.20", "endingAddress": "192.0.2.30"}],
                "dnsServers": ["192.0.2.53", "192.0.2.54"],
                "useDhcp": False,
                "dnsServerConfig": "UseDnsServer",
                "dnsZones": parameters["dnsZones"],
            }
        ],
        "physicalNodes": parameters["physicalNodesSettings"],
        "hostNetwork": {
            "intents": parameters["intentList"],
            "storageNetworks": parameters["storageNetworkList"],
            "storageConnectivitySwitchless": False,
            "enableStorageAutoIp": False,
        },
        "secrets": [{"secretName": SECRET}],
    }
    return {
        "properties": {
            "arcNodeResourceIds": parameters["arcNodeResourceIds"],
            "deploymentMode": "Validate",
            "deploymentConfiguration": {"version": "10.0.0.0", "scaleUnits": [{"deploymentData": data}]},
        }
    }


class TestResource:
    def test_the_resource_that_azure_shows_declares_the_same_network_and_nodes(self, tmp_path: Path) -> None:
        path = tmp_path / "default.json"
        path.write_text(json.dumps(resource()))
        loaded, expected = load_site(path), load_site(GOOD).site
        assert loaded.problems == ()
        assert loaded.site.nodes == expected.nodes
        assert loaded.site.network == expected.network
        assert loaded.site.witness == expected.witness
        assert loaded.site.key_vault.name is None

    def test_the_publisher_stands_beside_the_deployment_data(self, tmp_path: Path) -> None:
        data = resource()
        unit = data["properties"]["deploymentConfiguration"]["scaleUnits"][0]
        unit["sbePartnerInfo"] = {"sbeDeploymentInfo": {"publisher": "Lenovo"}}
        path = tmp_path / "default.json"
        path.write_text(json.dumps(data))
        assert load_site(path).site.cluster.vendor is Vendor.LENOVO

    def test_problems_are_told_at_their_place_in_the_resource(self) -> None:
        data = resource()
        data["properties"]["deploymentConfiguration"]["scaleUnits"][0]["deploymentData"]["cluster"]["name"] = ""
        result = arm.read(read_json(json.dumps(data), "r.json"), otherwise_named="r")
        assert result is not None
        [problem] = result[1]
        assert problem.where == (
            "r.json: $.properties.deploymentConfiguration.scaleUnits[0].deploymentData.cluster.name"
        )


def test_the_template_itself_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "azuredeploy.json"
    path.write_text(json.dumps({"parameters": {"clusterName": {"type": "string"}}, "resources": []}))
    with pytest.raises(InputError, match="name the parameter file"):
        load_site(path)


class TestSecrets:
    @pytest.mark.parametrize(
        "name",
        [
            "localAdminPassword",
            "AzureStackLCMAdminPassword",
            "AzureStackLCMAdminPasssword",
            "azurestacklcmadminpasssword",
            "partnerCredentiallist",
            "arbDeploymentAppSecret",
            "domainAdminSecretValue",
            "storageWitnessValue",
            "arbDeploymentSpnValue",
            "deploymentUserPassword",
            "somethingPassword",
        ],
    )
    @pytest.mark.parametrize("value", [SECRET, [{"secretName": "a", "secretValue": SECRET}], {"x": SECRET}])
    def test_a_secret_stays_in_the_file(self, name: str, value: Any) -> None:
        assert is_secure(name)
        for entry in ({"value": value}, value, {"reference": value}):
            site, problems = read(good() | {name: entry})
            assert SECRET not in repr((site, problems))

    def test_no_public_parameter_is_taken_for_a_secret(self) -> None:
        used = set(good()) - {"localAdminPassword"}
        assert not [name for name in used if is_secure(name)]

    @pytest.mark.parametrize(
        "text",
        [
            '{"parameters": {"localAdminPassword": {"value": "%s" "x"}}}',
            '{"parameters": {"localAdminPassword": {"value": %s}}}',
            '{"parameters": {"localAdminPassword": {"value": "%s\\q"}}}',
            '{"parameters": {"localAdminPassword": {"value": "%s',
            '{"parameters": {"localAdminPassword": "%s", "localAdminPassword": ""}}',
        ],
    )
    def test_a_syntax_error_beside_a_secret_does_not_show_it(self, tmp_path: Path, text: str) -> None:
        for name in ("p.json", "p.yaml"):
            path = tmp_path / name
            path.write_text(text % SECRET)
            with pytest.raises(InputError) as error:
                load_site(path)
            assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    "text",
    ["<name>", "a-<b>-c", "TODO", "to do: ask", "TBD", "changeme", "Change-Me", "replace with name", "your-cluster",
     "/subscriptions/your-id/x", "{{name}}", "${NAME}", "$(name)", "__NAME__", "xxx", "XXXX", "???", "...",
     "enter name", "GEN-UNIQUE", "GEN-PASSWORD", "{name}", "n/a"],
)  # fmt: skip
def test_a_placeholder_is_recognised(text: str) -> None:
    assert is_placeholder(text)


@pytest.mark.parametrize(
    "text", ["AZL-CL01", "todolist", "edge.example", "192.0.2.1", "N1", "mytodo", "n", "OU=A,DC=b", "yours", "x", "xx"]
)
def test_a_real_value_is_no_placeholder(text: str) -> None:
    assert not is_placeholder(text)


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(
        ["[x]", "[[", "<a>", '["a"]', '{"name": 1}', "192.0.2.1", "255.255.255.0", machine("N1"), "true"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["value", "reference", "name", "ipv4Address", "trafficType", "adapter", "dnsZoneName", "dnsForwarder"]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
NODES = {"value": [{"name": "N1", "ipv4Address": "192.0.2.1"}]}


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@example({"physicalNodesSettings": {"value": "[" * 5000}})
@given(st.dictionaries(st.sampled_from(KNOWN) | st.text(max_size=5), ANYTHING | ANYTHING.map(lambda v: {"value": v})))
def test_any_parameters_are_a_site_or_an_input_error(parameters: dict[str, Any]) -> None:
    for whole in (parameters, {"physicalNodesSettings": NODES} | parameters):
        with contextlib.suppress(InputError):
            site, problems = read(whole)
            assert site.nodes
            from_site(LoadedSite(site=site, info=load_site(GOOD).info, problems=problems))


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(KNOWN), ANYTHING)
def test_one_value_of_any_kind_in_a_good_file_never_stops_it(name: str, value: Any) -> None:
    if name in {"physicalNodesSettings", "clusterNodeNames"}:
        return
    with contextlib.suppress(InputError):  # half characters and the like
        document = read_json(json.dumps({"parameters": good() | {name: {"value": value}}}), "f.json", fold_keys=True)
        result = arm.read(document, otherwise_named="f")
        assert result is not None


@given(ANYTHING)
def test_any_json_is_a_site_or_none_or_an_input_error(value: Any) -> None:
    for data in (value, {"parameters": value}, {"properties": {"deploymentConfiguration": {"scaleUnits": [value]}}}):
        with contextlib.suppress(InputError):
            arm.read(read_json(json.dumps(data), "f.json"), otherwise_named="f")
