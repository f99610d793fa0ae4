"""Command lines with values of the declaration in them: held to the fixed list, whatever a site declares."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.query import ProgramQuery, Query
from azpreflight.facts.winrm.lines import lines_of
from azpreflight.model import Sureness
from azpreflight.site import Site, load_site
from servers.lab import SITE

READ = ProgramQuery(program="nslookup.exe", arguments="-type=A -timeout=3 -retry=3 {name} {server}", output="text")
QUERY = Query(
    read=READ,
    title="names",
    sureness=Sureness.KNOWN,
    basis="a test",
    bind={"name": "site.cluster_fqdn", "server": "site.dns_servers"},
)


def site_with(folder: Path, zone: str) -> Site:
    path = folder / "site.yaml"
    text = SITE % {"nodes": "  - {name: AZL-N01, address: 192.0.2.11}"}
    path.write_text(text.replace("zone: edge.example", f"zone: {zone}"))
    return load_site(path).site


def test_there_is_a_line_for_every_combination(tmp_path: Path) -> None:
    site = site_with(tmp_path, "edge.example")
    lines = lines_of(QUERY, READ, site, site.nodes[0])
    assert [line.values for line in lines] == [
        {"name": "AZL-CL01.edge.example", "server": "192.0.2.53"},
        {"name": "AZL-CL01.edge.example", "server": "192.0.2.54"},
    ]
    assert lines[0].text.endswith("nslookup.exe -type=A -timeout=3 -retry=3 AZL-CL01.edge.example 192.0.2.53")


@pytest.mark.parametrize(
    "zone", ["'edge.example & calc'", "'edge.example | x'", "'%PATH%'", "'a b'", "'x\"y'", "'!x!'"]
)
def test_a_value_that_could_be_more_than_a_name_is_never_sent(tmp_path: Path, zone: str) -> None:
    site = site_with(tmp_path, zone)
    with pytest.raises(WireError, match="fits no command line") as caught:
        lines_of(QUERY, READ, site, site.nodes[0])
    assert caught.value.status is Status.NOT_ASKED


def test_more_lines_than_a_query_may_have_are_said_and_not_cut(tmp_path: Path) -> None:
    site = site_with(tmp_path, "edge.example")
    dns = msgspec.structs.replace(site.network.dns, servers=tuple(f"192.0.2.{number}" for number in range(1, 66)))
    many = msgspec.structs.replace(site, network=msgspec.structs.replace(site.network, dns=dns))
    with pytest.raises(WireError, match="more than 64 command lines") as caught:
        lines_of(QUERY, READ, many, many.nodes[0])
    assert caught.value.status is Status.NOT_ASKED


def test_one_reference_has_the_same_value_wherever_it_stands(tmp_path: Path) -> None:
    site = site_with(tmp_path, "edge.example")
    query = msgspec.structs.replace(QUERY, bind=dict.fromkeys(("name", "server"), "site.dns_servers"))
    lines = lines_of(query, READ, site, site.nodes[0])
    assert [(line.values["name"], line.values["server"]) for line in lines] == [
        ("192.0.2.53",) * 2,
        ("192.0.2.54",) * 2,
    ]


def test_what_is_not_declared_is_not_asked(tmp_path: Path) -> None:
    site = site_with(tmp_path, "edge.example")
    bind = {"name": "site.ntp_servers", "server": "site.dns_servers"}
    query = msgspec.structs.replace(QUERY, bind=bind)
    with pytest.raises(WireError, match="does not declare site"):
        lines_of(query, READ, site, site.nodes[0])
