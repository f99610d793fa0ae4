"""Network checks on what a `site.yaml` cannot hold and an ARM file can, and on answers that examples leave out."""

from __future__ import annotations

from typing import Any

import pytest

from azpreflight.checks import adapters, addressing, pools, routing, subnets, switches
from azpreflight.checks.ranges import cluster_address, network, overlap, single, span
from azpreflight.checks.view import NotApplicable, NotObserved
from azpreflight.facts.observation import Status
from azpreflight.model import Outcome, Phase, TargetKind
from azpreflight.site.model import Management, Network, Node, Range, Site
from unit.checks.judging import findings_of, outcomes_of, site_of, view_of

RESERVED = {"reserved": ["10.96.0.0/12", "10.244.0.0/16"]}
STORAGE = {"defaults": [f"10.71.{number}.0/24" for number in range(1, 9)]}
SIZE = {"pools": 2, "fewest": 6, "most": 255}
INTENTS = [{"name": "mgmt", "traffic": ["management", "compute"], "adapters": ["NIC1", "NIC2"]}]


def template(**management: Any) -> Site:
    """A site as an ARM file gives it: texts that nobody held to a format."""
    return Site(
        name="lab",
        profile=site_of().profile,
        nodes=(Node(name="N1", address=""), Node(name="N2", address="192.0.2.12")),
        network=Network(management=Management(**management)),
    )


def row(alias: str, address: str, **values: Any) -> dict[str, Any]:
    return {"InterfaceAlias": alias, "IPAddress": address, "Store": "Active", **values}


class TestRanges:
    def test_an_empty_or_broken_text_is_nothing(self) -> None:
        assert single("") is None
        assert single("192.0.2") is None
        assert single("2001:db8::1") is None
        assert network("192.0.2.1/24") is None
        assert network(None) is None

    @pytest.mark.parametrize(("start", "end"), [("", ""), ("192.0.2.30", "192.0.2.20"), ("192.0.2.20", "x")])
    def test_a_pool_that_is_none_has_no_span(self, start: str, end: str) -> None:
        assert span(Range(start=start, end=end)) is None

    @pytest.mark.parametrize(
        ("pool", "shares"),
        [("192.0.2.0-192.0.2.19", False), ("192.0.2.0-192.0.2.20", True), ("192.0.2.31-192.0.2.40", False)],
    )
    def test_spans_overlap_by_their_edges(self, pool: str, shares: bool) -> None:
        start, _, end = pool.partition("-")
        left = span(Range(start=start, end=end))
        right = span(Range(start="192.0.2.20", end="192.0.2.30"))
        assert left is not None
        assert right is not None
        assert overlap(left, right) is shares
        assert overlap(right, left) is shares

    def test_the_cluster_has_the_first_address_or_none(self) -> None:
        assert cluster_address(view_of(site=template(pools=()))) is None
        assert cluster_address(view_of(site=template(pools=(Range(start="", end=""),)))) is None


class TestTemplatesThatAreNotFilledIn:
    def test_empty_pools_fail_where_pools_are_judged_and_nowhere_else(self) -> None:
        view = view_of(site=template(pools=(Range(start="", end=""),), subnet="192.0.2.0/24"), kind=TargetKind.SITE)
        assert outcomes_of(pools.in_subnet, view) == {"pool -": Outcome.FAIL}
        assert outcomes_of(pools.size, view, **SIZE)["number of addresses"] is Outcome.FAIL
        assert outcomes_of(pools.without_special_addresses, view)["pool -"] is Outcome.ERROR
        assert outcomes_of(pools.without_nodes, view) == {
            "pool -": Outcome.ERROR,
            "N1": Outcome.ERROR,
            "N2": Outcome.PASS,
        }

    def test_no_pool_at_all_fails(self) -> None:
        view = view_of(site=template(pools=(), subnet="192.0.2.0/24"), kind=TargetKind.SITE)
        assert outcomes_of(pools.in_subnet, view) == {"pools": Outcome.FAIL}
        assert outcomes_of(pools.size, view, **SIZE) == {
            "number of pools": Outcome.FAIL,
            "number of addresses": Outcome.FAIL,
        }

    def test_the_same_pool_twice_is_one_that_overlaps_itself(self) -> None:
        pool = Range(start="192.0.2.20", end="192.0.2.20")
        view = view_of(site=template(pools=(pool, pool), subnet="192.0.2.0/24"), kind=TargetKind.SITE)
        found = outcomes_of(pools.in_subnet, view)
        assert found["pools 192.0.2.20-192.0.2.20 and 192.0.2.20-192.0.2.20"] is Outcome.FAIL

    def test_a_broken_subnet_fails(self) -> None:
        view = view_of(site=template(pools=(), subnet="", gateway="192.0.2.1"), kind=TargetKind.SITE)
        assert outcomes_of(routing.gateway_in_subnet, view) == {"subnet": Outcome.FAIL}
        assert outcomes_of(pools.in_subnet, view)["subnet"] is Outcome.FAIL
        assert outcomes_of(addressing.address_in_subnet, view) == {"subnet": Outcome.FAIL}
        assert outcomes_of(subnets.storage_apart_from_management, view, **STORAGE) == {"subnet": Outcome.FAIL}

    def test_an_empty_gateway_fails_unless_it_comes_from_dhcp(self) -> None:
        site = template(subnet="192.0.2.0/24", gateway="")
        assert outcomes_of(routing.gateway_in_subnet, view_of(site=site)) == {"gateway": Outcome.FAIL}
        site = template(subnet="192.0.2.0/24", gateway="", dhcp=True)
        with pytest.raises(NotApplicable, match="DHCP"):
            list(findings_of(routing.gateway_in_subnet, view_of(site=site)))
        with pytest.raises(NotApplicable, match="gateway"):
            list(findings_of(routing.gateway_answers, view_of(site=site)))

    def test_an_address_that_is_none_is_not_judged_against_reserved_ranges(self) -> None:
        found = outcomes_of(subnets.outside_reserved_ranges, view_of(site=template()), **RESERVED)
        assert found == {"node N1": Outcome.ERROR, "node N2": Outcome.PASS}

    def test_a_scope_that_is_none_is_not_judged(self) -> None:
        site = template(
            pools=(Range(start="192.0.2.20", end="192.0.2.30"),), dhcp_scopes=(Range(start="192.0.2.9", end=""),)
        )
        found = outcomes_of(pools.without_special_addresses, view_of(site=site))
        assert found == {"DHCP scope 192.0.2.9-": Outcome.ERROR}


class TestStorage:
    def found(self, **declared: Any) -> dict[str, Outcome]:
        site = site_of(network={"management": {"subnet": "10.71.2.0/24"}, **declared})
        return outcomes_of(subnets.storage_apart_from_management, view_of(site=site), **STORAGE)

    def test_all_defaults_count_when_nothing_tells_how_many_there_are(self) -> None:
        found = self.found()
        assert len(found) == 8
        assert found["default storage network 10.71.2.0/24"] is Outcome.FAIL

    def test_as_many_defaults_as_networks_are_declared(self) -> None:
        assert self.found(storage={"networks": [{"name": "one"}]}) == {
            "default storage network 10.71.1.0/24": Outcome.PASS
        }

    def test_addresses_without_a_subnet_are_judged_by_themselves(self) -> None:
        given = [{"node": "N1", "address": "10.71.2.5"}, {"node": "N2", "address": "10.0.0.6", "subnet": "10.0.0.0/24"}]
        assert self.found(storage={"auto_ip": False, "networks": [{"name": "one", "addresses": given}]}) == {
            "storage of N1 in one 10.71.2.5": Outcome.FAIL,
            "storage of N2 in one 10.0.0.0/24": Outcome.PASS,
        }

    def test_no_defaults_where_addresses_are_not_automatic(self) -> None:
        with pytest.raises(NotApplicable):
            self.found(storage={"auto_ip": False})


class TestManagementInterface:
    def test_the_default_route_tells_it_when_nothing_else_does(self) -> None:
        facts = {
            "net.ip_addresses": [row("Ethernet 9", "192.0.2.57", AddressState="Preferred")],
            "net.default_routes": [{"NextHop": "192.0.2.1", "InterfaceAlias": "Ethernet 9", "Store": "Active"}],
        }
        assert outcomes_of(addressing.one_management_address, view_of(facts)) == {"Ethernet 9": Outcome.PASS}

    @pytest.mark.parametrize(
        "check", [addressing.static_address, addressing.one_management_address, addressing.management_has_ipv4]
    )
    def test_a_node_without_any_fails(self, check: Any) -> None:
        facts: dict[str, Any] = {"net.ip_addresses": [], "net.default_routes": [], "net.ip_interfaces": []}
        assert set(outcomes_of(check, view_of(facts)).values()) == {Outcome.FAIL}

    def test_any_address_on_the_first_adapter_will_do_where_none_is_declared(self) -> None:
        site = Site(
            name="lab",
            profile=site_of().profile,
            nodes=(Node(name="N1", address=""),),
            network=site_of(network={"intents": INTENTS}).network,
        )
        facts = {
            "net.ip_addresses": [row("SMB1", "198.51.100.1"), row("nic1", "192.0.2.57")],
            "net.default_routes": [{"NextHop": "192.0.2.1", "InterfaceAlias": "nic1", "Store": "Active"}],
        }
        found = findings_of(addressing.address_on_first_adapter, view_of(facts, site=site))
        assert found["address"].outcome is Outcome.PASS
        assert found["address"].actual == "nic1"

    def test_a_link_is_judged_even_without_a_management_interface(self) -> None:
        facts = {
            "net.ip_addresses": [],
            "net.default_routes": [],
            "net.adapters": [{"Name": "NIC1", "InterfaceOperationalStatus": "Up", "MediaConnectState": "Unknown"}],
        }
        site = site_of(network={"intents": INTENTS})
        assert outcomes_of(adapters.management_link, view_of(facts, site=site)) == {
            "NIC1": Outcome.PASS,
            "NIC1 media": Outcome.FAIL,
            "NIC2": Outcome.FAIL,
            "management interface": Outcome.FAIL,
        }

    def test_a_machine_without_a_name_is_not_judged(self) -> None:
        assert outcomes_of(addressing.name_at_address, view_of({"system.computer": []})) == {
            "computer name": Outcome.ERROR
        }


class TestVlans:
    FACTS: dict[str, Any] = {
        "net.adapters": [{"Name": "NIC1", "VlanID": 0}, {"Name": "NIC2", "VlanID": 0}],
        "net.adapter_vlans": [],
        "hyperv.switches": [],
    }

    def found(self, nodes: dict[str, Any] | None = None, facts: dict[str, Any] | None = None) -> dict[str, Outcome]:
        site = site_of(network={"intents": INTENTS})
        view = view_of({**self.FACTS, **(facts or {})}, site=site, nodes=nodes, kind=TargetKind.CLUSTER)
        return outcomes_of(adapters.management_vlan, view)

    def test_a_silent_node_leaves_the_others_judged(self) -> None:
        assert self.found({"N2": {"net.adapters": Status.UNREACHABLE}}) == {
            "N2": Outcome.ERROR,
            "management VLAN": Outcome.PASS,
        }

    def test_an_adapter_that_is_missing_is_not_untagged(self) -> None:
        found = self.found({"N2": {"net.adapters": [{"Name": "NIC1", "VlanID": 0}]}})
        assert found["N2 NIC2"] is Outcome.ERROR

    def test_a_setting_that_is_no_number_is_not_judged(self) -> None:
        settings = [{"Name": "NIC1", "RegistryKeyword": "VlanID", "RegistryValue": ["on"]}]
        assert self.found({"N1": {"net.adapter_vlans": settings}})["N1"] is Outcome.ERROR

    def test_a_switch_without_a_management_adapter_leaves_the_plain_ones(self) -> None:
        switch = [{"ElementName": "lab", "Name": "A"}]
        found = self.found(facts={"hyperv.switches": switch, "hyperv.port_allocations": []})
        assert found == {"management VLAN": Outcome.PASS}

    @pytest.mark.parametrize(
        ("isolation", "vlans", "expected"),
        [
            ([], [], 0),
            ([{"InstanceID": "Microsoft:A\\B\\C", "IsolationMode": "None", "DefaultIsolationId": 8}], [], 0),
            ([], [{"InstanceID": "microsoft:a\\b\\c", "OperationMode": "Access", "AccessVlanId": 9}], 9),
            ([], [{"InstanceID": "Microsoft:A\\BX\\C", "OperationMode": "Access", "AccessVlanId": 9}], 0),
        ],
    )
    def test_a_port_has_the_vlan_of_its_own_setting(self, isolation: Any, vlans: Any, expected: int) -> None:
        facts = {
            **self.FACTS,
            "hyperv.switches": [{"ElementName": "ConvergedSwitch(mgmt)", "Name": "A"}],
            "hyperv.port_allocations": [{"ElementName": "vManagement(mgmt)", "InstanceID": "Microsoft:A\\B"}],
            "hyperv.port_isolation": isolation,
            "hyperv.port_vlans": vlans,
        }
        view = view_of(facts, site=site_of(network={"intents": INTENTS}), kind=TargetKind.CLUSTER)
        found = findings_of(adapters.management_vlan, view)["management VLAN"]
        assert found.actual == {"N1 vManagement(mgmt)": expected, "N2 vManagement(mgmt)": expected}


class TestSwitches:
    def test_hyper_v_that_fails_is_not_hyper_v_that_is_absent(self) -> None:
        view = view_of({"hyperv.switches": Status.REFUSED})
        with pytest.raises(NotObserved):
            switches.virtual_switches(view, view.node)
        view = view_of({"hyperv.switches": Status.NOT_PRESENT})
        assert switches.virtual_switches(view, view.node) == []

    def test_names_are_compared_when_windows_gives_another_guid(self) -> None:
        facts = {
            "hyperv.switches": [{"ElementName": "ConvergedSwitch(mgmt)", "Name": "A"}],
            "hyperv.host_ports": [{"ElementName": "vManagement(mgmt)", "DeviceID": "Microsoft:{1}"}],
            "hyperv.port_allocations": [{"ElementName": "vManagement(mgmt)", "InstanceID": "Microsoft:A\\B"}],
            "net.adapters": [{"Name": "vManagement(mgmt)", "InterfaceGuid": "{2}"}],
        }
        view = view_of(facts, site=site_of(network={"intents": INTENTS}))
        assert set(outcomes_of(switches.virtual_switch_names, view).values()) == {Outcome.PASS}


class TestClusterAddress:
    SITE = site_of(network={"management": {"pools": [{"start": "192.0.2.20", "end": "192.0.2.30"}]}})

    def found(self, facts: dict[str, Any], nodes: dict[str, Any] | None = None) -> dict[str, Outcome]:
        view = view_of(facts, site=self.SITE, nodes=nodes, kind=TargetKind.CLUSTER, phase=Phase.POST_DEPLOY)
        return outcomes_of(pools.cluster_resource_address, view)

    def test_the_second_node_tells_when_the_first_is_silent(self) -> None:
        resource = {
            "Type": "IP Address",
            "CoreResource": True,
            "PrivateProperties": {"class": "x", "properties": {"Address": "192.0.2.20"}},
        }
        silent = {"cluster.core_resources": Status.UNREACHABLE, "cluster.registry": Status.UNREACHABLE}
        assert self.found({"cluster.core_resources": [resource]}, {"N1": silent}) == {"cluster address": Outcome.PASS}

    def test_a_resource_without_its_properties_leaves_the_registry(self) -> None:
        facts = {
            "cluster.core_resources": [{"Type": "IP Address", "CoreResource": True, "PrivateProperties": None}],
            "cluster.registry": {
                "exists": True,
                "keys": {
                    "{A}": {"Type": {"type": "REG_SZ", "data": "IP Address"}},
                    "{A}\\Parameters": {"Address": {"type": "REG_SZ", "data": "192.0.2.21"}},
                    "{B}": {"Type": {"type": "REG_SZ", "data": "IP Address"}},
                    "{B}\\Parameters": {"Address": {"type": "REG_SZ", "data": "192.0.2.20"}},
                },
            },
        }
        assert self.found(facts) == {"cluster address": Outcome.PASS}

    def test_nothing_that_tells_is_no_failure(self) -> None:
        facts = {"cluster.core_resources": [], "cluster.registry": {"exists": False, "keys": {}}}
        with pytest.raises(NotObserved):
            self.found(facts)
