"""Network checks on what a `site.yaml` cannot hold and an ARM file can, and on answers that examples leave out."""

from __future__ import annotations

from typing import Any

import pytest

from azpreflight.checks import adapters, addressing, pools, routing, subnets, switches
from azpreflight.checks.ranges import cluster_address, network, overlap, single, span
from azpreflight.checks.view import NotApplicable, NotObserved
from azpreflight.facts.observation import Status
from azpreflight.facts.query import CurlQuery
from azpreflight.model import Outcome, Phase, TargetKind
from azpreflight.packs.load import load_packs
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


LOOPBACK = row("Loopback Pseudo-Interface 1", "127.0.0.1")


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
            "net.default_routes": [{"NextHop": "192.0.2.1", "InterfaceAlias": "ethernet 9", "Store": "Active"}],
        }
        view = view_of(facts, site=template())
        assert outcomes_of(addressing.one_management_address, view) == {"ethernet 9": Outcome.PASS}

    @pytest.mark.parametrize(
        "check", [addressing.static_address, addressing.one_management_address, addressing.address_in_subnet]
    )
    def test_a_node_without_its_declared_address_fails_and_nothing_else_is_judged(self, check: Any) -> None:
        facts = {
            "net.ip_addresses": [
                row("NIC1", "192.0.2.57", AddressState="Preferred", PrefixOrigin="Manual", PrefixLength=24),
                row("NIC1", "192.0.2.11", Store="Persistent"),
            ],
            "net.default_routes": [],
            "net.ip_interfaces": [{"InterfaceAlias": "NIC1", "Dhcp": "Disabled", "Store": "Active"}],
        }
        site = site_of(network={"intents": INTENTS, "management": {"subnet": "192.0.2.0/24"}})
        found = findings_of(check, view_of(facts, site=site))
        assert [finding.outcome for finding in found.values()] == [Outcome.FAIL]
        assert found["declared address"].message == "N1 does not have the declared address 192.0.2.11, but 192.0.2.57"

    def test_a_declared_address_of_another_family_leaves_the_address_open(self) -> None:
        site = site_of(nodes=[{"name": "N1", "address": "2001:db8::11"}])
        view = view_of({"net.ip_addresses": [row("NIC1", "192.0.2.11")]}, site=site)
        assert outcomes_of(addressing.one_management_address, view) == {"declared address": Outcome.ERROR}

    @pytest.mark.parametrize(
        "bad",
        [
            row("NIC1", "192.0.2.57", Store=None),
            row("NIC1", "192.0.2.57", Store=7),
            {**row("NIC1", "192.0.2.57"), "InterfaceAlias": None},
            {**row("NIC1", "192.0.2.57"), "IPAddress": None},
            row("NIC1", "none"),
        ],
    )
    def test_a_row_that_nobody_can_place_leaves_all_open(self, bad: dict[str, Any]) -> None:
        facts = {"net.ip_addresses": [row("NIC1", "192.0.2.11", AddressState="Preferred"), bad]}
        with pytest.raises(NotObserved):
            outcomes_of(addressing.one_management_address, view_of(facts))

    @pytest.mark.parametrize("origin", [None, 7, True])
    def test_an_origin_that_nobody_knows_is_not_judged(self, origin: Any) -> None:
        facts = {
            "net.ip_addresses": [row("NIC1", "192.0.2.11", PrefixOrigin=origin)],
            "net.ip_interfaces": [{"InterfaceAlias": "nic1", "Dhcp": None, "Store": "Active"}],
        }
        assert set(outcomes_of(addressing.static_address, view_of(facts)).values()) == {Outcome.ERROR}

    @pytest.mark.parametrize("length", [None, "24", 33, -1, True])
    def test_a_prefix_length_that_is_none_is_not_judged(self, length: Any) -> None:
        facts = {"net.ip_addresses": [row("NIC1", "192.0.2.11", PrefixLength=length)]}
        site = site_of(network={"management": {"subnet": "192.0.2.0/24"}})
        assert outcomes_of(addressing.address_in_subnet, view_of(facts, site=site)) == {"192.0.2.11": Outcome.ERROR}

    @pytest.mark.parametrize(
        ("states", "outcome"),
        [
            (["Preferred"], Outcome.PASS),
            (["Deprecated"], Outcome.PASS),
            (["Duplicate"], Outcome.FAIL),
            (["Tentative"], Outcome.ERROR),
            (["Invalid"], Outcome.ERROR),
            ([None], Outcome.ERROR),
            ([9], Outcome.ERROR),
            (["Preferred", "Duplicate"], Outcome.ERROR),
        ],
    )
    def test_only_an_address_that_was_tried_has_no_duplicate(self, states: list[Any], outcome: Outcome) -> None:
        facts = {"net.ip_addresses": [row("NIC1", "192.0.2.11", AddressState=state) for state in states]}
        assert outcomes_of(addressing.no_duplicate_address, view_of(facts)) == {"NIC1 192.0.2.11": outcome}

    @pytest.mark.parametrize(
        ("states", "outcome"),
        [
            ({"192.0.2.11": ["Preferred"], "192.0.2.57": [None]}, Outcome.ERROR),
            ({"192.0.2.11": [None]}, Outcome.ERROR),
            ({"192.0.2.11": ["Preferred", "Invalid"]}, Outcome.ERROR),
            ({"192.0.2.11": ["Preferred"], "192.0.2.57": ["Preferred"], "192.0.2.58": [None]}, Outcome.FAIL),
        ],
    )
    def test_an_address_in_an_unknown_state_may_be_a_second_one(
        self, states: dict[str, list[Any]], outcome: Outcome
    ) -> None:
        rows = [row("NIC1", text, AddressState=state) for text, found in states.items() for state in found]
        found = outcomes_of(addressing.one_management_address, view_of({"net.ip_addresses": rows}))
        assert found == {"NIC1": outcome}

    @pytest.mark.parametrize(
        "check", [addressing.static_address, addressing.one_management_address, addressing.management_has_ipv4]
    )
    def test_a_node_without_any_fails(self, check: Any) -> None:
        facts: dict[str, Any] = {"net.ip_addresses": [LOOPBACK], "net.default_routes": [], "net.ip_interfaces": []}
        assert set(outcomes_of(check, view_of(facts)).values()) == {Outcome.FAIL}
        with pytest.raises(NotObserved, match="loopback"):
            outcomes_of(check, view_of({**facts, "net.ip_addresses": []}))

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
            "net.ip_addresses": [LOOPBACK],
            "net.default_routes": [],
            "net.adapters": [{"Name": "NIC1", "InterfaceOperationalStatus": "Up", "MediaConnectState": "Unknown"}],
        }
        site = site_of(network={"intents": INTENTS})
        assert outcomes_of(adapters.management_link, view_of(facts, site=site)) == {
            "NIC1": Outcome.PASS,
            "NIC1 media": Outcome.ERROR,
            "NIC2": Outcome.FAIL,
            "management interface": Outcome.FAIL,
        }

    @pytest.mark.parametrize("names", [[], [None], [""], ["N1", "N2"]])
    def test_a_machine_without_a_name_is_not_judged(self, names: list[Any]) -> None:
        view = view_of({"system.computer": [{"DNSHostName": name} for name in names]})
        assert outcomes_of(addressing.name_at_address, view) == {"computer name": Outcome.ERROR}


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
        for value in (["on"], None, [], [""], [0], ["0", "44"], ["44444"], "0"):
            settings = [{"Name": "nic1", "RegistryKeyword": "VlanID", "RegistryValue": value}]
            found = self.found({"N1": {"net.adapter_vlans": settings}})
            assert found == {"N1 NIC1": Outcome.ERROR, "management VLAN": Outcome.PASS}

    def test_an_adapter_told_twice_with_different_ids_is_not_judged(self) -> None:
        settings = [{"Name": "NIC1", "RegistryKeyword": "VlanID", "RegistryValue": [vlan]} for vlan in ("0", "44")]
        assert self.found({"N1": {"net.adapter_vlans": settings}})["N1 NIC1"] is Outcome.ERROR
        adapters = [{"Name": "NIC1", "VlanID": 0}, {"Name": "NIC1", "VlanID": 44}, {"Name": "NIC2", "VlanID": 0}]
        assert self.found({"N1": {"net.adapters": adapters}})["N1 NIC1"] is Outcome.ERROR

    def test_a_node_that_tells_no_adapter_is_not_judged(self) -> None:
        assert self.found({"N1": {"net.adapters": []}})["N1"] is Outcome.ERROR

    @pytest.mark.parametrize(
        ("isolation", "vlans"),
        [
            ([{"IsolationMode": None, "DefaultIsolationId": 8}], []),
            ([{"IsolationMode": 7, "DefaultIsolationId": 8}], []),
            ([{"IsolationMode": "VLAN", "DefaultIsolationId": None}], []),
            ([{"IsolationMode": "NativeVirtualSubnetId", "DefaultIsolationId": 8}], []),
            ([{"IsolationMode": "VLAN", "DefaultIsolationId": vlan} for vlan in (8, 9)], []),
            ([], [{"OperationMode": None, "AccessVlanId": 8}]),
            ([], [{"OperationMode": "Access", "AccessVlanId": None}]),
        ],
    )
    def test_a_port_whose_setting_is_not_told_is_not_judged(self, isolation: Any, vlans: Any) -> None:
        facts = {
            "hyperv.switches": [{"ElementName": "ConvergedSwitch(mgmt)", "Name": "A"}],
            "hyperv.port_allocations": [{"ElementName": "vManagement(mgmt)", "InstanceID": "Microsoft:A\\B"}],
            "hyperv.port_isolation": [{"InstanceID": "Microsoft:A\\B\\C", **values} for values in isolation],
            "hyperv.port_vlans": [{"InstanceID": "Microsoft:A\\B\\C", **values} for values in vlans],
        }
        assert set(self.found(facts=facts).values()) == {Outcome.ERROR}

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
        without = {"services.state": [{"Name": "WinRM"}]}
        view = view_of({"hyperv.switches": Status.NOT_PRESENT, **without})
        assert switches.virtual_switches(view, view.node) == []

    @pytest.mark.parametrize("services", [[{"Name": "WinRM"}, {"Name": "VMMS"}], [], Status.TIMED_OUT])
    def test_a_missing_class_is_no_missing_hyper_v(self, services: Any) -> None:
        view = view_of({"hyperv.switches": Status.NOT_PRESENT, "services.state": services})
        with pytest.raises(NotObserved):
            switches.virtual_switches(view, view.node)

    def test_a_switch_without_a_name_is_not_judged(self) -> None:
        facts: dict[str, Any] = {
            "hyperv.switches": [{"ElementName": None, "Name": "A"}],
            "hyperv.host_ports": [],
            "hyperv.port_allocations": [],
        }
        with pytest.raises(NotObserved, match="without a name"):
            outcomes_of(switches.virtual_switch_names, view_of(facts, site=site_of(network={"intents": INTENTS})))

    def test_names_are_compared_when_windows_gives_another_guid(self) -> None:
        facts = {
            "hyperv.switches": [{"ElementName": "ConvergedSwitch(mgmt)", "Name": "A"}],
            "hyperv.host_ports": [{"ElementName": "vManagement(mgmt)", "DeviceID": "Microsoft:{1}"}],
            "hyperv.port_allocations": [{"ElementName": "vManagement(mgmt)", "InstanceID": "Microsoft:A\\B"}],
            "net.adapters": [{"Name": "vManagement(mgmt)", "InterfaceGuid": "{2}"}],
        }
        view = view_of(facts, site=site_of(network={"intents": INTENTS}))
        assert set(outcomes_of(switches.virtual_switch_names, view).values()) == {Outcome.PASS}


class TestGateways:
    SITE = site_of(network={"management": {"gateway": "192.0.2.1"}})

    def found(self, *hops: Any, site: Site = SITE) -> dict[str, Outcome]:
        routes = [{"NextHop": hop, "InterfaceAlias": "NIC1", "Store": "Active"} for hop in hops]
        return outcomes_of(routing.one_default_gateway, view_of({"net.default_routes": routes}, site=site))

    @pytest.mark.parametrize("hop", [None, "", "none", 1, "2001:db8::1"])
    def test_a_route_that_leads_nowhere_known_is_not_judged(self, hop: Any) -> None:
        for site in (self.SITE, site_of()):
            with pytest.raises(NotObserved):
                self.found(hop, site=site)

    def test_a_route_without_a_gateway_is_none(self) -> None:
        assert self.found("0.0.0.0", site=site_of())["default gateways"] is Outcome.FAIL
        assert self.found("0.0.0.0", "192.0.2.1")["default gateways"] is Outcome.FAIL

    @pytest.mark.parametrize(
        ("codes", "outcome"),
        [
            ([0], Outcome.PASS),
            ([0, 0], Outcome.PASS),
            ([11010], Outcome.FAIL),
            ([11002], Outcome.FAIL),
            ([0, 11010], Outcome.ERROR),
            ([11050], Outcome.ERROR),
            (["0"], Outcome.ERROR),
            ([False], Outcome.ERROR),
            ([None], Outcome.ERROR),
            ([], Outcome.ERROR),
        ],
    )
    def test_only_a_status_of_the_gateway_counts(self, codes: list[Any], outcome: Outcome) -> None:
        rows = [{"Address": "192.0.2.1", "StatusCode": code} for code in codes]
        view = view_of({"net.gateway_ping": rows}, site=self.SITE)
        assert outcomes_of(routing.gateway_answers, view) == {"gateway": outcome}


class TestPoolAddresses:
    SITE = site_of(network={"management": {"pools": [{"start": "192.0.2.20", "end": "192.0.2.20"}]}})

    def found(self, codes: list[Any], probes: list[dict[str, Any]]) -> set[Outcome]:
        facts = {
            "net.pool_ping": [{"Address": "192.0.2.20", "StatusCode": code} for code in codes],
            "net.pool_ports": [
                {"host": "192.0.2.20", "connected": False, "exit_code": 28, "http_code": 0, **probe} for probe in probes
            ],
        }
        view = view_of(facts, site=self.SITE, kind=TargetKind.CLUSTER)
        return set(outcomes_of(pools.unused, view, ports=[22, 5985]).values())

    @pytest.mark.parametrize(
        ("codes", "probes", "outcome"),
        [
            ([11010], [{"port": 22}, {"port": 5985}], Outcome.PASS),
            ([11003], [{"port": 22}, {"port": 5985, "exit_code": 7}], Outcome.PASS),
            ([0], [], Outcome.FAIL),
            ([11010, 0], [{"port": 22}, {"port": 5985}], Outcome.FAIL),
            ([11050], [{"port": 9, "connected": True}], Outcome.FAIL),
            ([11050], [{"port": 22, "exit_code": 2}, {"port": 5985, "exit_code": 2}], Outcome.ERROR),
            ([11002], [{"port": 22}, {"port": 5985}], Outcome.ERROR),
            (["0"], [{"port": 22}, {"port": 5985}], Outcome.ERROR),
            (["11010"], [{"port": 22}, {"port": 5985}], Outcome.ERROR),
            ([False], [{"port": 22}, {"port": 5985}], Outcome.ERROR),
            ([None], [{"port": 22}, {"port": 5985}], Outcome.ERROR),
            ([], [{"port": 22}, {"port": 5985}], Outcome.ERROR),
            ([11010, None], [{"port": 22}, {"port": 5985}], Outcome.ERROR),
            ([11010], [{"port": 22}], Outcome.ERROR),
            ([11010], [{"port": 9}], Outcome.ERROR),
            ([11010], [{"port": "22"}, {"port": "5985"}], Outcome.ERROR),
            ([11010], [{"port": 22, "exit_code": 27}, {"port": 5985}], Outcome.ERROR),
            ([11010], [{"port": 22, "exit_code": None}, {"port": 5985}], Outcome.ERROR),
            ([11010], [{"port": 22, "connected": "true"}, {"port": 5985}], Outcome.ERROR),
            ([11010], [{"port": 22, "connected": None}, {"port": 5985}], Outcome.ERROR),
            ([11010], [{"port": 22}, {"port": 22, "exit_code": 2}, {"port": 5985}], Outcome.ERROR),
        ],
    )
    def test_silence_is_complete_or_none(
        self, codes: list[Any], probes: list[dict[str, Any]], outcome: Outcome
    ) -> None:
        assert self.found(codes, probes) == {outcome}

    def test_the_rule_names_the_ports_that_its_query_asks_for(self) -> None:
        packs = load_packs()
        read = packs.queries["net.pool_ports"].read
        assert isinstance(read, CurlQuery)
        assert tuple(packs.rules["AZL-NET-011"].with_["ports"]) == read.ports


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
