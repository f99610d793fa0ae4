"""What a query makes a node reach: hosts with the query's ports, or with their own."""

from __future__ import annotations

from typing import Any

import pytest

from azpreflight.facts.classes import ClassTable
from azpreflight.facts.collection import Collection
from azpreflight.facts.probes import Probe, probes_of
from azpreflight.facts.query import CurlQuery
from azpreflight.model import Phase
from unit.checks.judging import site_of


def reached(query: CurlQuery, **declared: Any) -> list[Probe]:
    site = site_of(**declared)
    collection = Collection(site=site, phase=Phase.PRE_DEPLOY, queries={}, tables={}, classes=ClassTable({}))
    return probes_of(query, "reach.some", site.nodes[0], collection)


def test_every_port_of_every_host() -> None:
    found = reached(CurlQuery(tcp=("site.node_addresses",), ports=(445, 5985)))
    assert [probe.url for probe in found] == [
        f"tcp://192.0.2.{last}:{port}" for last in (11, 12) for port in (445, 5985)
    ]


@pytest.mark.parametrize(
    ("proxies", "urls"),
    [
        ({}, []),
        ({"http": "http://proxy.edge.example:3128"}, ["tcp://proxy.edge.example:3128"]),
        (
            {"http": "http://a.example/", "https": "https://b.example"},
            ["tcp://a.example:80", "tcp://b.example:443"],
        ),
        ({"http": "http://a.example:8080", "https": "http://a.example:8080/"}, ["tcp://a.example:8080"]),
        ({"http": "http://[2001:db8::1]:3128"}, ["tcp://[2001:db8::1]:3128"]),
        ({"http": "http://[2001:db8::1]"}, ["tcp://[2001:db8::1]:80"]),
        ({"http": "proxy.edge.example:3128"}, ["tcp://proxy.edge.example:3128"]),
    ],
)
def test_a_proxy_has_a_port_of_its_own(proxies: dict[str, str], urls: list[str]) -> None:
    assert [probe.url for probe in reached(CurlQuery(tcp=("site.proxy_ports",)), proxy=proxies)] == urls
