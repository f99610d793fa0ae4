"""The names by which queries and rules refer to the site."""

from __future__ import annotations

import msgspec
import pytest

from azpreflight.errors import InputError
from azpreflight.model import Profile
from azpreflight.site import REFERENCES, check_path, declared, filled, resolve
from azpreflight.site.model import (
    Administrator,
    Azure,
    Cloud,
    Cluster,
    Directory,
    Dns,
    DnsMode,
    Intent,
    KeyVault,
    Management,
    Network,
    Node,
    Range,
    Site,
    Traffic,
    WinRM,
)

BARE = Site(name="lab", profile=Profile.LOCAL_IDENTITY, nodes=(Node(name="N1", address=""),))
ALWAYS_DECLARED = {
    *("site.name", "site.node_names", "node.name"),
    *("site.management_host", "site.login_host", "site.no_such_public_name"),
}
SITE = Site(
    name="lab",
    profile=Profile.LOCAL_IDENTITY,
    cluster=Cluster(name="CL1"),
    nodes=(Node(name="N1", address="192.0.2.11"), Node(name="N2", address="192.0.2.12", arc_resource_id="/x")),
    network=Network(
        management=Management(gateway="", pools=(Range(start="192.0.2.20", end="192.0.2.22"),)),
        dns=Dns(servers=(), zone="edge.example"),
        intents=(
            Intent(name="A", traffic=(Traffic.MANAGEMENT, Traffic.COMPUTE), adapters=("P1", "P2")),
            Intent(name="B", traffic=(Traffic.STORAGE,), adapters=("P3",)),
        ),
    ),
    administrator=Administrator(name="azladmin"),
)


@pytest.mark.parametrize(
    ("reference", "values"),
    [
        ("site.zone", ("edge.example",)),
        ("site.cluster_name", ("CL1",)),
        ("site.cluster_fqdn", ("CL1.edge.example",)),
        ("site.node_names", ("N1", "N2")),
        ("site.node_fqdns", ("N1.edge.example", "N2.edge.example")),
        ("site.node_addresses", ("192.0.2.11", "192.0.2.12")),
        ("site.gateway", ()),
        ("site.dns_servers", ()),
        ("site.pool_addresses", ("192.0.2.20", "192.0.2.21", "192.0.2.22")),
        ("site.management_adapters", ("P1", "P2")),
        ("site.storage_adapters", ("P3",)),
        ("site.administrator", ("azladmin",)),
        ("site.management_host", ("management.azure.com",)),
        ("node.name", ("N2",)),
        ("node.address", ("192.0.2.12",)),
        ("node.fqdn", ("N2.edge.example",)),
    ],
)
def test_a_reference_answers_with_what_is_declared(reference: str, values: tuple[str, ...]) -> None:
    assert resolve(reference, SITE, SITE.nodes[1]) == values


@pytest.mark.parametrize("reference", ["site.management_host", "site.login_host", "site.key_vault_host"])
@pytest.mark.parametrize("cloud", list(Cloud))
def test_every_cloud_has_hosts_of_its_own(reference: str, cloud: Cloud) -> None:
    site = msgspec.structs.replace(BARE, key_vault=KeyVault(name="kv-1"))
    hosts = {other: resolve(reference, msgspec.structs.replace(site, azure=Azure(cloud=other))) for other in Cloud}
    assert [other for other, found in hosts.items() if found == hosts[cloud]] == [cloud]


@pytest.mark.parametrize("reference", sorted(REFERENCES.keys() - ALWAYS_DECLARED))
def test_a_reference_to_what_is_not_declared_is_empty(reference: str) -> None:
    assert resolve(reference, BARE, BARE.nodes[0]) == ()


@pytest.mark.parametrize("reference", ["node.name", "node.address", "node.fqdn"])
def test_a_reference_to_a_node_is_empty_without_one(reference: str) -> None:
    assert resolve(reference, SITE) == ()


def with_dns(**dns: object) -> Site:
    return msgspec.structs.replace(BARE, network=Network(dns=Dns(**dns)))  # type: ignore[arg-type]


def test_names_elsewhere_are_asked_of_the_servers_or_where_there_are_none_of_the_forwarders() -> None:
    both = {"servers": ("192.0.2.53",), "forwarders": ("192.0.2.99",)}
    assert resolve("site.resolvers", with_dns(**both)) == ("192.0.2.53",)
    assert resolve("site.resolvers", with_dns(**both, mode=DnsMode.FORWARDER)) == ("192.0.2.99",)


def test_a_name_that_nobody_made_is_the_same_each_time_and_another_in_each_zone() -> None:
    (name,) = resolve("site.no_such_name", with_dns(zone="edge.example"))
    (other,) = resolve("site.no_such_name", with_dns(zone="far.example"))
    assert name == "azpreflight-103ece1c5365.edge.example"
    assert name.partition(".")[0] != other.partition(".")[0]
    assert resolve("site.no_such_name", with_dns(zone="EDGE.example"))[0].casefold() == name


def test_an_unknown_reference_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"did you mean 'site.zone'\?"):
        resolve("site.zones", SITE)


def test_a_text_is_filled_in_once_for_each_value() -> None:
    assert filled("https://{site.management_host}/x", SITE) == ("https://management.azure.com/x",)
    assert filled("{site.name} {site.name}", SITE) == (" ".join(resolve("site.name", SITE) * 2),)
    names = resolve("site.node_names", SITE)
    assert len(names) > 1
    assert filled("http://{site.node_names}/", SITE) == tuple(f"http://{name}/" for name in names)
    assert filled("nothing {to} fill in", SITE) == ("nothing {to} fill in",)


def test_a_text_with_what_is_not_declared_is_none() -> None:
    assert filled("http://{site.gateway}/", BARE) == ()
    with pytest.raises(InputError, match="unknown reference"):
        filled("{site.gate}", SITE)


def test_names_live_in_the_domain_of_an_active_directory_site() -> None:
    site = msgspec.structs.replace(SITE, profile=Profile.ACTIVE_DIRECTORY, directory=Directory(domain="corp.example"))
    assert resolve("site.cluster_fqdn", site) == ("CL1.corp.example",)


def with_pools(*pools: Range) -> Site:
    return msgspec.structs.replace(SITE, network=Network(management=Management(pools=pools)))


def test_a_huge_pool_is_bounded() -> None:
    assert len(resolve("site.pool_addresses", with_pools(Range(start="0.0.0.0", end="255.255.255.255")))) == 1024


def test_a_pool_that_makes_no_sense_has_no_addresses() -> None:
    pools = (
        Range(start="x", end=""),
        Range(start="192.0.2.9", end="192.0.2.1"),
        Range(start="192.0.2.5", end="192.0.2.5"),
    )
    assert resolve("site.pool_addresses", with_pools(*pools)) == ("192.0.2.5",)


@pytest.mark.parametrize(
    ("path", "is_declared"),
    [
        ("name", True),
        ("network", True),
        ("network.dns", True),
        ("network.dns.zone", True),
        ("network.dns.mode", True),
        ("network.dns.servers", True),
        ("network.dns.forwarders", False),
        ("network.management.gateway", True),
        ("network.management.subnet", False),
        ("network.storage", False),
        ("network.intents.adapters", True),
        ("network.intents.overrides", False),
        ("network.vm_networks.subnet", False),
        ("nodes", True),
        ("nodes.address", True),
        ("nodes.arc_resource_id", False),
        ("witness", False),
        ("witness.kind", False),
        ("winrm", False),
    ],
)
def test_what_is_declared_and_empty_is_declared(path: str, is_declared: bool) -> None:
    assert declared(SITE, path) is is_declared


def test_a_section_counts_as_declared_when_it_says_anything() -> None:
    assert declared(msgspec.structs.replace(SITE, winrm=WinRM(https=True)), "winrm")


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("network.dns.zon", "'network.dns.zone'"),
        ("netwrk.dns", "'network'"),
        ("name.x", "none is known"),
        ("network.dns.servers.x", "none is known"),
        ("", "known:"),
    ],
)
def test_a_path_that_does_not_exist_is_an_input_error(path: str, hint: str) -> None:
    with pytest.raises(InputError, match=hint):
        check_path(path, where="rules.yaml:1:1")
    with pytest.raises(InputError, match=hint):
        declared(SITE, path)
