"""The commented site file that `init` writes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from azpreflight.errors import InputError
from azpreflight.model import Profile, SiteInfo
from azpreflight.site import load_site
from azpreflight.site.model import (
    Cluster,
    Dns,
    Intent,
    LoadedSite,
    Management,
    Network,
    Node,
    Range,
    Site,
    Storage,
    StorageAddress,
    StorageNetwork,
    Traffic,
)
from azpreflight.site.template import FIELDS, from_site, template


def loaded(site: Site) -> LoadedSite:
    info = SiteInfo(name=site.name, profile=site.profile, cluster=None, nodes=(), format="arm", sha256="0" * 64)
    return LoadedSite(site=site, info=info)


def read_again(folder: Path, text: str) -> Site:
    path = folder / "again.yaml"
    path.write_bytes(text.encode())
    return load_site(path).site


def paths(struct: type[msgspec.Struct], before: str = "") -> Iterator[str]:
    for field in msgspec.structs.fields(struct):
        yield before + field.name
        if isinstance(field.default, msgspec.Struct):
            yield from paths(type(field.default), f"{before}{field.name}.")


def test_every_field_of_the_model_is_explained_and_nothing_else() -> None:
    assert set(FIELDS) == set(paths(Site))


def test_the_template_is_a_valid_site_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(template())
    result = load_site(path)
    assert result.problems == ()
    assert [node.name for node in result.site.nodes] == ["AZL-N01", "AZL-N02"]


def test_every_field_is_shown(tmp_path: Path) -> None:
    for field in FIELDS:
        assert re.search(rf"^[# ]*{field.rpartition('.')[2]}:", template(), re.MULTILINE)


def test_the_commented_lines_become_a_valid_site_when_the_marks_are_removed(tmp_path: Path) -> None:
    heading, _, body = template().partition("\n\n")
    assert heading.startswith("#")
    site = read_again(tmp_path, re.sub(r"^( *)# ", r"\1", body, flags=re.MULTILINE))
    assert site.proxy.bypass == ("localhost", "127.0.0.1", "192.0.2.0/24")
    assert site.witness.path == r"\\files.edge.example\witness"
    assert site.network.storage.networks
    assert site.cluster.release == "2510"


def test_a_whole_site_comes_back(tmp_path: Path) -> None:
    site = Site(
        name="it's: a #lab",
        profile=Profile.LOCAL_IDENTITY,
        cluster=Cluster(name="true", naming_prefix="007"),
        nodes=(Node(name="N1", address="2001:db8::1", arc_resource_id="/subscriptions/x"),),
        network=Network(
            management=Management(
                pools=(), dhcp=True, vlan=0, dhcp_scopes=(Range(start="192.0.2.1", end="192.0.2.2"),)
            ),
            dns=Dns(servers=(), zone="ünï.example", forwarders=("192.0.2.1",)),
            storage=Storage(
                networks=(
                    StorageNetwork(name="S", vlan=7, addresses=(StorageAddress(node="N1", address="10.0.0.1"),)),
                    StorageNetwork(name="null", addresses=()),
                ),
            ),
            intents=(Intent(name="a, b", traffic=(Traffic.STORAGE,), adapters=("Ethernet 2", "no", "x ")),),
        ),
    )
    assert read_again(tmp_path, from_site(loaded(site))) == site


def test_what_is_empty_becomes_a_comment_that_says_so(tmp_path: Path) -> None:
    site = Site(
        name="lab",
        profile=Profile.LOCAL_IDENTITY,
        cluster=Cluster(name=""),
        nodes=(Node(name="N1", address="192.0.2.1"),),
        network=Network(
            management=Management(
                gateway="",
                pools=(Range(start="192.0.2.20", end=""), Range(start="192.0.2.21", end="192.0.2.22")),
            ),
            dns=Dns(servers=("dns1", "192.0.2.53")),
            storage=Storage(networks=(StorageNetwork(name="", vlan=9999),)),
        ),
    )
    text = from_site(loaded(site))
    assert '# gateway: ""  # the only default gateway; not filled in: expected an IPv4 address' in text
    assert '# - {start: 192.0.2.20, end: ""}  # not filled in: end: expected an IPv4 address' in text
    again = read_again(tmp_path, text)
    assert again.cluster.name is None
    assert again.network.management.gateway is None
    assert again.network.management.pools == (Range(start="192.0.2.21", end="192.0.2.22"),)
    assert again.network.dns.servers is None
    assert again.network.storage.networks is None


def test_a_node_that_is_not_filled_in_is_never_left_out_in_silence(tmp_path: Path) -> None:
    nodes = (Node(name="N1", address="192.0.2.1"), Node(name="N2", address=""))
    text = from_site(loaded(Site(name="lab", profile=Profile.LOCAL_IDENTITY, nodes=nodes)))
    with pytest.raises(InputError, match="'address' is missing"):
        read_again(tmp_path, text)


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES, adapters=st.lists(NAMES).map(tuple))
def test_any_text_comes_back_as_it_was(tmp_path: Path, name: str, adapters: tuple[str, ...]) -> None:
    site = Site(
        name=name,
        profile=Profile.LOCAL_IDENTITY,
        nodes=(Node(name="N1", address="192.0.2.1"),),
        network=Network(ntp_servers=adapters, intents=(Intent(name=name, traffic=(), adapters=adapters),)),
    )
    assert read_again(tmp_path, from_site(loaded(site))) == site
