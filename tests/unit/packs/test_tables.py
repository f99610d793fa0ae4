"""The table of endpoints that comes along, entry by entry, and what is told of a table with mistakes."""

from __future__ import annotations

import fnmatch
import re
from collections import Counter
from pathlib import Path

import pytest

from azpreflight.errors import InputError
from azpreflight.facts.endpoints import PLACEHOLDERS, Circumstance, Endpoint, Product, placeholders_in
from azpreflight.facts.probes import Probe
from azpreflight.packs.load import find_packs, load_packs
from azpreflight.packs.tables import read_table
from azpreflight.site.model import Cloud
from azpreflight.site.references import check_path
from azpreflight.site.uses import Service, Vendor

FILE = find_packs()["azure"] / "endpoints.json"
TABLE, INFO = read_table(FILE, "endpoints")
IDS = [endpoint.id for endpoint in TABLE.endpoints]

STANDS_FOR_ANOTHER_NAME = {"*.blob.storage.azure.net"}
"""Wildcards whose observed stand-in has another name."""


def test_every_product_is_there_in_full() -> None:
    assert Counter(endpoint.product for endpoint in TABLE.endpoints) == {
        Product.AZURE_LOCAL: 164,
        Product.AZURE_LOCAL_VENDOR: 18,
        Product.HYBRID_SERVICE: 46,
        Product.ARC_SERVERS: 65,
        Product.ARC_RESOURCE_BRIDGE: 30,
        Product.ARC_KUBERNETES: 47,
    }


def test_it_is_dated_and_no_source_is_younger_than_it() -> None:
    assert INFO.date == TABLE.date
    assert len(INFO.sha256) == 64
    assert all(str(source.date) <= TABLE.date.isoformat() for source in TABLE.sources.values())


def test_no_two_entries_are_one() -> None:
    assert len(IDS) == len(set(IDS))
    needs = Counter(
        (e.product, e.vendor, e.services, e.host, e.port, e.path, cloud, region)
        for e in TABLE.endpoints
        for cloud in e.clouds
        for region in e.regions or ("",)
    )
    assert [need for need, times in needs.items() if times > 1] == []


def test_every_word_of_the_closed_sets_is_used() -> None:
    assert {service for e in TABLE.endpoints for service in e.services} == set(Service)
    assert {e.vendor for e in TABLE.endpoints} - {None} == set(Vendor) - {Vendor.OTHER}
    assert {e.when for e in TABLE.endpoints} - {None} == set(Circumstance)
    assert {name for e in TABLE.endpoints for name in placeholders_in(e.host + (e.probe or ""))} == set(PLACEHOLDERS)


@pytest.mark.parametrize("path", PLACEHOLDERS.values())
def test_every_placeholder_is_a_field_of_the_site(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize("found", TABLE.endpoints, ids=IDS)
class TestEveryEntry:
    def test_is_a_name_that_a_probe_takes_as_it_is(self, found: Endpoint) -> None:
        host = re.sub(r"\{[a-z_]+\}", "x1", found.probe or found.host)
        if found.protocol == "ntp":
            assert (found.port, found.probe) == (123, None)
        elif "*" not in host:
            url = f"{found.protocol}://{host}:{found.port}{found.path}"
            probe = Probe.of_url(url)
            assert (probe.host, probe.port, probe.path) == (host, found.port, found.path)
            assert found.port in ({80} if found.protocol == "http" else {443, 8084})

    def test_has_a_stand_in_below_its_wildcard_or_at_its_root(self, found: Endpoint) -> None:
        if found.probe is not None:
            covered = fnmatch.fnmatchcase(f"x.{found.probe}", found.host) or fnmatch.fnmatchcase(
                found.probe, found.host
            )
            assert covered is (found.host not in STANDS_FOR_ANOTHER_NAME)

    def test_belongs_to_one_cloud_by_its_name(self, found: Endpoint) -> None:
        """A government or Chinese name in the public cloud's list would be a slip of the pen."""
        endings = {Cloud.US_GOVERNMENT: (".us", "usgovcloudapi.net"), Cloud.CHINA: (".cn",)}
        for cloud, suffixes in endings.items():
            if found.host.endswith(suffixes):
                assert found.clouds == (cloud,)


def test_a_pack_sees_the_endpoints_of_its_products_alone() -> None:
    packs = load_packs()
    seen = packs.tables_of(next(pack for pack in packs.packs if pack.info.name == "azure-local"))["endpoints"]
    assert {e.product for e in seen.endpoints} == {
        Product.AZURE_LOCAL,
        Product.AZURE_LOCAL_VENDOR,
        Product.HYBRID_SERVICE,
    }
    assert seen.listed_regions(Cloud.US_GOVERNMENT) == ("usgovvirginia",)
    assert packs.tables_of(next(pack for pack in packs.packs if pack.info.name == "windows")) == {}
    assert TABLE.of_products((Product.ARC_SERVERS,)).listed_regions(Cloud.PUBLIC) is None


GOOD = """\
date: 2026-12-01
sources:
  lists: {title: Endpoint lists, date: '2026-12-01'}
regions:
  azure-local:
    AzureCloud: [eastus]
endpoints:
  - id: AZL-one
    product: azure-local
    host: one.example.com
    service: aks
    clouds: [AzureCloud]
    phases: [deployment]
    sources: [lists]
  - id: AZL-two
    product: azure-local
    host: '*.two.example.com'
    probe: a.two.example.com
    service: aks
    clouds: [AzureCloud]
    regions: [eastus]
    phases: [deployment]
    services: [defender]
    gateway: true
    gateway_since: '2408'
    sources: [lists]
"""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "newer.yaml"
    path.write_text(GOOD)
    return path


def test_a_table_may_be_yaml(written: Path) -> None:
    table, info = read_table(written, "endpoints", supplied=True)
    assert [endpoint.id for endpoint in table.endpoints] == ["AZL-one", "AZL-two"]
    assert (info.name, str(info.date), info.supplied) == ("endpoints", "2026-12-01", True)


def test_line_ends_of_windows_make_no_other_table(written: Path) -> None:
    before = read_table(written, "endpoints")[1]
    written.write_bytes(GOOD.replace("\n", "\r\n").encode())
    assert read_table(written, "endpoints")[1] == before


@pytest.mark.parametrize(
    ("old", "new", "place", "told"),
    [
        ("AZL-two", "AZL-one", "15:5", "AZL-one is there twice"),
        ("host: one.example.com", "host: One.example.com", "10:5", "a host name in lower case"),
        ("host: one.example.com", "host: https://one.example.com/", "10:5", "a host name in lower case"),
        ("host: one.example.com", "host: one..example.com", "10:5", "a host name in lower case"),
        ("host: one.example.com", "host: '{vault}.example.com'", "10:5", "unknown placeholder 'vault'"),
        ("probe: a.two.example.com", "probe: '*.b.example.com'", "18:5", "a wildcard cannot be probed"),
        (
            "    host: one.example.com",
            "    host: one.example.com\n    probe: one.example.com",
            "11:5",
            "leave this out",
        ),
        (
            "    host: one.example.com",
            "    host: one.example.com\n    port: 80",
            "11:5",
            "https is not spoken on port 80",
        ),
        ("    host: one.example.com", "    host: one.example.com\n    port: 0", "11:5", "at least 1"),
        ("    host: one.example.com", "    host: one.example.com\n    prot: http", "11:5", "unknown key 'prot'"),
        ("    host: one.example.com\n", "", "8:5", "the key 'host' is missing"),
        (
            "product: azure-local\n    host: one",
            "product: azure-locl\n    host: one",
            "9:5",
            "did you mean 'azure-local'",
        ),
        ("[AzureCloud]\n    phases", "[AzureClod]\n    phases", "12:14", "did you mean 'AzureCloud'"),
        ("phases: [deployment]\n    sources", "phases: []\n    sources", "13:5", "at least 1 item"),
        ("phases: [deployment]\n    services", "phases: [deploy]\n    services", "22:14", "did you mean 'deployment'"),
        ("services: [defender]", "services: [defnder]", "23:16", "did you mean 'defender'"),
        ("services: [defender]", "vendor: del", "23:5", "did you mean 'dell'"),
        ("services: [defender]", "when: sometimes", "23:5", "expected one of"),
        ("regions: [eastus]", "regions: [eastos]", "21:5", "did you mean 'eastus'"),
        ("gateway: true", "gateway: false", "25:5", "does not carry it"),
        ("gateway_since: '2408'", "gateway_since: '24-08'", "25:5", "a release such as '2510'"),
        ("sources: [lists]\n  - id: AZL-two", "sources: [list]\n  - id: AZL-two", "14:15", "did you mean 'lists'"),
        (
            "regions:\n  azure-local",
            "  more: {title: Another, date: '2026'}\nregions:\n  azure-local",
            "4:3",
            "cited by no",
        ),
        ("date: 2026-12-01\n", "date: soon\n", "1:1", "date"),
        (GOOD[GOOD.index("endpoints:") :], "endpoints: []\n", "7:1", "at least 1 item"),
    ],
)
def test_a_mistake_is_told_with_line_and_column(written: Path, old: str, new: str, place: str, told: str) -> None:
    assert old in GOOD
    written.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        read_table(written, "endpoints", supplied=True)
    assert [problem.where for problem in caught.value.problems] == [f"{written}:{place}"], caught.value
    assert told in str(caught.value)


def test_one_name_twice_for_one_product_is_a_mistake_and_for_two_is_none(written: Path) -> None:
    third = GOOD[GOOD.index("  - id: AZL-one") : GOOD.index("  - id: AZL-two")].replace("AZL-one", "AZL-three")
    written.write_text(GOOD + third)
    with pytest.raises(InputError, match="is there twice for azure-local; first as AZL-one"):
        read_table(written, "endpoints")
    written.write_text(GOOD + third.replace("azure-local", "arc-servers"))
    assert len(read_table(written, "endpoints")[0].endpoints) == 3


def test_all_mistakes_are_told_at_once(written: Path) -> None:
    written.write_text(GOOD.replace("{title:", "{titel:").replace("[deployment]", "[deploy]"))
    with pytest.raises(InputError) as caught:
        read_table(written, "endpoints")
    assert len(caught.value.problems) == 4


def test_the_table_that_the_documentation_shows_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs/endpoints.md").read_text()
    shown = tmp_path / "shown.yaml"
    shown.write_text(page.partition("```yaml\n")[2].partition("```")[0])
    assert len(read_table(shown, "endpoints")[0].endpoints) == 1
