"""Which endpoints a site needs: by cloud, region, phase, services, vendor, release, Arc gateway and time source."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from azpreflight.facts.endpoints import (
    PLACEHOLDERS,
    Circumstance,
    Endpoint,
    EndpointTable,
    Product,
    needed,
    probe_of,
    undecided,
)
from azpreflight.model import Phase
from azpreflight.packs.load import find_packs
from azpreflight.packs.tables import read_table
from azpreflight.site.model import Cloud, Site
from azpreflight.site.uses import Service, Vendor
from unit.checks.judging import site_of

TABLE, _ = read_table(find_packs()["azure"] / "endpoints.json", "endpoints")
LOCAL = TABLE.of_products((Product.AZURE_LOCAL, Product.AZURE_LOCAL_VENDOR, Product.HYBRID_SERVICE))
EAST = {"region": "eastus", "services": []}
NOTHING_ELSE = {"cluster": {"vendor": "other"}, "witness": {"kind": "none"}}


def names(site: Site, phase: Phase = Phase.DAY_2, table: EndpointTable = TABLE) -> set[str]:
    return {f"{endpoint.host}:{endpoint.port}" for endpoint in needed(table, site, phase)}


def using(*services: str, **azure: Any) -> Site:
    return site_of(azure={**EAST, "services": list(services), **azure}, **NOTHING_ELSE)


BARE = using()


@pytest.mark.parametrize("service", Service)
def test_a_service_brings_its_own_endpoints_and_takes_none_away(service: Service) -> None:
    brought: list[Endpoint] = []
    for product in Product:
        table = TABLE.of_products((product,))
        for phase in Phase:
            before = needed(table, BARE, phase)
            after = needed(table, using(service), phase)
            assert {e.id for e in before} <= {e.id for e in after}
            brought += [e for e in after if e not in before]
    assert brought != []
    assert all(service in endpoint.services for endpoint in brought)


@pytest.mark.parametrize("vendor", Vendor)
def test_machines_of_a_vendor_need_its_hosts_alone(vendor: Vendor) -> None:
    found = needed(TABLE, site_of(azure=EAST, cluster={"vendor": vendor}), Phase.DAY_2)
    vendors = {endpoint.vendor for endpoint in found} - {None}
    assert vendors == (set() if vendor is Vendor.OTHER else {vendor})


def test_either_of_two_services_is_enough() -> None:
    relay = "*.servicebus.windows.net:443"
    table = TABLE.of_products((Product.ARC_SERVERS,))
    assert relay not in names(BARE, table=table)
    assert relay in names(using("ssh"), table=table)
    assert relay in names(using("windows-admin-center"), table=table)


@pytest.mark.parametrize("cloud", Cloud)
def test_a_cloud_has_its_own_names(cloud: Cloud) -> None:
    regions = {Cloud.PUBLIC: "eastus", Cloud.US_GOVERNMENT: "usgovvirginia", Cloud.CHINA: "chinaeast2"}
    site = site_of(azure={"cloud": cloud, "region": regions[cloud], "services": list(Service)})
    for phase in Phase:
        assert all(cloud in endpoint.clouds for endpoint in needed(TABLE, site, phase))
    hosts = {
        Cloud.PUBLIC: "management.azure.com:443",
        Cloud.US_GOVERNMENT: "management.usgovcloudapi.net:443",
        Cloud.CHINA: "management.chinacloudapi.cn:443",
    }
    assert hosts[cloud] in names(site, Phase.PRE_DEPLOY)
    assert not any(
        host in names(site, Phase.PRE_DEPLOY) for other, host in hosts.items() if other not in (cloud, Cloud.PUBLIC)
    )


@pytest.mark.parametrize("region", LOCAL.regions[Product.AZURE_LOCAL][Cloud.PUBLIC])
def test_a_region_has_its_own_names_and_none_of_another(region: str) -> None:
    found = needed(LOCAL, site_of(azure={"region": region}), Phase.PRE_DEPLOY)
    assert all(region in endpoint.regions for endpoint in found if endpoint.regions)
    own = [endpoint.host for endpoint in found if endpoint.regions == (region,)]
    assert len([host for host in own if host.endswith(".his.arc.azure.com")]) == 1
    assert f"{region}.login.microsoft.com" in own
    assert f"{region}-gas.guestconfiguration.azure.com" in own


def test_phases_follow_the_life_of_each_product() -> None:
    agents = TABLE.of_products((Product.ARC_SERVERS,))
    assert "download.microsoft.com:443" in names(BARE, Phase.PRE_DEPLOY, agents)
    assert "management.azure.com:443" in names(BARE, Phase.PRE_DEPLOY, agents)
    monitored = using("azure-monitor-agent")
    agent = "global.handler.control.monitor.azure.com:443"
    assert agent in names(monitored, Phase.DAY_2)
    assert agent in names(monitored, Phase.POST_DEPLOY)
    assert agent not in names(monitored, Phase.PRE_DEPLOY)


@pytest.mark.parametrize(
    ("release", "there"), [("2503", True), ("2411", True), ("2504", False), ("2510", False), (None, False)]
)
def test_an_older_release_needs_more(release: str | None, there: bool) -> None:
    site = site_of(azure=EAST, cluster={"release": release})
    assert ("raw.githubusercontent.com:443" in names(site, Phase.PRE_DEPLOY)) is there


@pytest.mark.parametrize(
    ("servers", "there"),
    [(None, True), (["time.windows.com"], True), (["Time.Windows.com"], True), (["192.0.2.9"], False), ([], False)],
)
def test_the_public_time_source_is_needed_where_no_other_is_declared(servers: list[str] | None, there: bool) -> None:
    site = site_of(azure=EAST, network={"ntp_servers": servers})
    assert ("time.windows.com:123" in names(site, Phase.PRE_DEPLOY)) is there
    assert [probe_of(e, site) for e in needed(TABLE, site, Phase.PRE_DEPLOY) if e.port == 123] == [None] * there


@pytest.mark.parametrize(
    ("release", "carried"), [(None, True), ("2510", True), ("2503", True), ("2411", False), ("2408", False)]
)
def test_the_gateway_carries_what_its_release_knows(release: str | None, carried: bool) -> None:
    site = site_of(azure={**EAST, "arc_gateway": True}, cluster={"release": release})
    assert ("download.microsoft.com:443" in names(site, table=LOCAL)) is not carried
    assert "mcr.microsoft.com:443" not in names(site, table=LOCAL)


def test_the_gateway_carries_services_as_well_as_the_cluster() -> None:
    agent = "global.handler.control.monitor.azure.com:443"
    assert agent in names(using("azure-monitor-agent"))
    assert agent not in names(using("azure-monitor-agent", arc_gateway=True))


def test_what_nobody_knows_the_gateway_to_carry_is_reached_directly() -> None:
    unknown = {f"{e.host}:{e.port}" for e in LOCAL.endpoints if e.gateway is None and "remote-support" in e.services}
    assert len(unknown) == 5
    assert unknown <= names(using("remote-support", arc_gateway=True))


@pytest.mark.parametrize("never", ["alternative", "linux", "older-agent", "older-name"])
def test_what_never_holds_is_never_needed(never: str) -> None:
    of_it = {e.id for e in TABLE.endpoints if e.when == never}
    everything = site_of(
        azure={"region": "eastus", "services": list(Service), "arc_gateway": False}, cluster={"release": "2311"}
    )
    assert of_it
    assert not of_it & {e.id for phase in Phase for e in needed(TABLE, everything, phase)}


def test_a_witness_and_a_gateway_are_needed_where_they_are_declared() -> None:
    witness = {"kind": "cloud", "storage_account": "edgewitness"}
    assert "edgewitness.blob.core.windows.net:443" in names(site_of(azure=EAST, witness=witness))
    assert "edgewitness.blob.core.windows.net:443" not in names(
        site_of(azure=EAST, witness={**witness, "kind": "none"})
    )
    gateway = using(arc_gateway=True, arc_gateway_prefix="Edge-GW")
    assert "edge-gw.gw.arc.azure.com:443" in names(gateway)
    assert not any("gw.arc" in name for name in names(using(arc_gateway_prefix="edge-gw")))


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
def test_a_value_that_is_not_declared_leaves_the_place_open(placeholder: str) -> None:
    sites = [
        site_of(azure={"services": list(Service), "arc_gateway": gateway}, witness={"kind": "cloud"})
        for gateway in (True, False)
    ]
    open_ones = [e for site in sites for e in needed(TABLE, site, Phase.DAY_2)]
    there = [e for e in open_ones if f"{{{placeholder}}}" in e.host]
    assert there != []
    assert all(e.probe is None and PLACEHOLDERS[placeholder] in e.open_fields for e in there)


def test_a_name_is_filled_in_as_far_as_the_site_goes() -> None:
    site = using("custom-logs")
    (found,) = [e for e in needed(TABLE, site, Phase.DAY_2) if "data_collection" in e.host]
    assert found.host == "{data_collection_endpoint}.eastus.ingest.monitor.azure.com"
    assert (found.probe, found.open_fields) == (None, ("azure.data_collection_endpoint",))
    declared = using("custom-logs", data_collection_endpoint="edge-dce")
    assert "edge-dce.eastus.ingest.monitor.azure.com:443" in names(declared)


class TestUndecided:
    def test_services_that_the_site_is_silent_about(self) -> None:
        site = site_of(azure={"region": "eastus"}, **NOTHING_ELSE)
        found = undecided(LOCAL, site, Phase.DAY_2)
        assert set(found) == {"azure.services"}
        assert not {e.id for e in found["azure.services"]} & {e.id for e in needed(LOCAL, site, Phase.DAY_2)}
        assert {e.product for e in found["azure.services"]} == {Product.AZURE_LOCAL, Product.HYBRID_SERVICE}

    def test_a_vendor_that_the_site_is_silent_about(self) -> None:
        found = undecided(LOCAL, site_of(azure=EAST), Phase.PRE_DEPLOY)
        assert set(found) == {"cluster.vendor"}
        assert {e.vendor for e in found["cluster.vendor"]} == set(Vendor) - {Vendor.OTHER}

    def test_nothing_where_the_site_tells(self) -> None:
        assert undecided(LOCAL, BARE, Phase.DAY_2) == {}

    def test_only_what_concerns_the_cloud_and_the_phase(self) -> None:
        site = site_of(azure={"region": "eastus"}, **NOTHING_ELSE)
        early = {service for e in undecided(LOCAL, site, Phase.PRE_DEPLOY)["azure.services"] for service in e.services}
        assert early == {Service.DEFENDER}


def entry(name: str, **changes: Any) -> Endpoint:
    given = {
        "id": f"AZL-{name}",
        "product": "azure-local",
        "host": f"{name}.example.com",
        "service": "aks",
        "clouds": ["AzureCloud"],
        "phases": ["deployment"],
        "sources": ["lists"],
    }
    return msgspec.convert({**given, **changes}, Endpoint)


def small(*endpoints: Endpoint) -> tuple[Endpoint, ...]:
    table = msgspec.structs.replace(TABLE, endpoints=endpoints, regions={})
    return needed(table, BARE, Phase.PRE_DEPLOY)


def test_one_name_of_two_products_is_needed_once_and_by_the_surer_source() -> None:
    found = small(entry("one", uncertain=True), entry("two", host="one.example.com"))
    assert [(e.id, e.uncertain) for e in found] == [("AZL-two", False)]
    found = small(entry("two"), entry("one", host="two.example.com", uncertain=True))
    assert [(e.id, e.uncertain) for e in found] == [("AZL-two", False)]


def test_two_wildcards_with_one_stand_in_are_two_names_and_one_probe() -> None:
    found = small(
        entry("one", host="*.a.example.com", probe="x.a.example.com", path="/ping"),
        entry("two", host="x*.a.example.com", probe="x.a.example.com"),
    )
    assert [e.host for e in found] == ["*.a.example.com", "x*.a.example.com"]
    assert {probe_of(e, BARE) for e in found} == {"https://x.a.example.com/ping"}


def test_a_wildcard_without_stand_in_is_needed_and_not_probed() -> None:
    (found,) = small(entry("one", host="*.a.example.com"))
    assert (found.host, found.probe, probe_of(found, BARE)) == ("*.a.example.com", None, None)


def test_every_circumstance_is_tried_here() -> None:
    tried = {"alternative", "linux", "older-agent", "older-name", "cloud-witness", "arc-gateway"}
    assert tried | {"public-time", "release-before-2504"} == set(Circumstance)
