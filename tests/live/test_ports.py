"""Ports between nodes and out of them, on real connections: each thing that is in the way turns its own rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from azpreflight import Outcome, load_site, run
from servers.lab import node_scenario, running_lab
from servers.outside import Outside, black_hole, running_outside_of_lab
from servers.winrm import Scenario

RULES = [f"AZL-FW-{number}" for number in ("001", "002", "004", "006", "007", "011")]
OTHER = "192.0.2.12"


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    with running_outside_of_lab(tmp_path_factory.mktemp("outside")) as running:
        yield running


@pytest.fixture(scope="module")
def silent() -> Iterator[int]:
    with black_hole() as port:
        yield port


def with_time(site: str) -> str:
    return site.replace("network:\n", "network:\n  ntp_servers: [192.0.2.123, ntp.edge.example]\n")


def failing(
    folder: Path,
    outside: Outside,
    first: Scenario,
    *,
    routes: Sequence[str] = (),
    phase: str = "pre-deploy",
    edit: Any = with_time,
    rules: Sequence[str] = RULES,
) -> dict[str, str]:
    """The rules that do not pass on the first of two nodes, and what they say."""
    base = "healthy" if phase == "pre-deploy" else "clustered"
    nodes = {"AZL-N01": first, "AZL-N02": node_scenario(2, base)}
    arguments = [part for route in routes for part in ("--connect-to", route)] + [*outside.curl_arguments()]
    # Whoever asks no DNS server declares none either, and what is not declared is not to be found elsewhere.
    dns = outside.dns if rules == RULES else {}
    with running_lab(folder, nodes, curl_arguments=arguments, dns=dns, edit=edit) as lab:
        site = load_site(lab.site)
        report = run(site, credential=lab.credential, connect_to=lab.connect_to, rules=rules, phase=phase)
        lab.assert_only_read()
    results = [result for result in report.results if result.target.name == "AZL-N01"]
    assert results
    good = (Outcome.PASS, Outcome.NOT_APPLICABLE)
    return {result.rule: result.message for result in results if result.outcome not in good}


def answering(match: str, stdout: str) -> Scenario:
    """A node one of whose programs says something else."""
    healthy = node_scenario(1)
    return healthy.with_(programs=[{"match": match, "stdout": stdout}, *healthy.data["programs"]])


@pytest.mark.parametrize("phase", ["pre-deploy", "post-deploy"])
def test_nothing_is_in_the_way(phase: str, tmp_path: Path, outside: Outside) -> None:
    base = "healthy" if phase == "pre-deploy" else "clustered"
    assert failing(tmp_path, outside, node_scenario(1, base), phase=phase) == {}


@pytest.mark.parametrize(("port", "phase"), [(445, "day-2"), (5985, "pre-deploy")])
def test_a_port_between_nodes_is_dropped(port: int, phase: str, tmp_path: Path, outside: Outside, silent: int) -> None:
    routes = [f"{OTHER}:{port}:127.0.0.1:{silent}"]
    node = node_scenario(1, "healthy" if phase == "pre-deploy" else "clustered")
    found = failing(tmp_path, outside, node, routes=routes, phase=phase)
    assert list(found) == ["AZL-FW-001"]
    assert f"TCP {port} of AZL-N02 ({OTHER}) gives no answer" in found["AZL-FW-001"]


def test_a_port_that_nobody_listens_on_is_no_firewall(tmp_path: Path, outside: Outside) -> None:
    closed = outside.curl_arguments()[-3].rpartition(":")[2]
    assert failing(tmp_path, outside, node_scenario(1), routes=[f"{OTHER}:445:127.0.0.1:{closed}"]) == {}


def test_what_fresh_nodes_keep_closed_themselves_is_no_firewall(tmp_path: Path, outside: Outside, silent: int) -> None:
    fresh = node_scenario(1).patched({"ping": {OTHER: 11010}})
    assert failing(tmp_path, outside, fresh, routes=[f"{OTHER}:445:127.0.0.1:{silent}"]) == {}


def test_echo_requests_between_nodes_are_dropped(tmp_path: Path, outside: Outside) -> None:
    node = node_scenario(1, "clustered").patched({"ping": {OTHER: 11010}})
    found = failing(tmp_path, outside, node, phase="day-2")
    assert list(found) == ["AZL-FW-001"]
    assert "AZL-N02 does not answer an echo request" in found["AZL-FW-001"]


@pytest.mark.parametrize(("rule", "port"), [("AZL-FW-002", 30301), ("AZL-FW-004", 3343)])
def test_a_port_of_the_cluster_is_dropped(rule: str, port: int, tmp_path: Path, outside: Outside, silent: int) -> None:
    routes = [f"{OTHER}:{port}:127.0.0.1:{silent}"]
    found = failing(tmp_path, outside, node_scenario(1, "clustered"), routes=routes, phase="post-deploy")
    assert list(found) == [rule], found


@pytest.mark.parametrize("code", ["0x800705B4", "0x80072AF9"])
def test_one_time_server_is_out_of_reach(code: str, tmp_path: Path, outside: Outside) -> None:
    said = f"ntp.edge.example wird verfolgt.\n12:00:00, Fehler: {code}\n"
    found = failing(tmp_path, outside, answering(r"/computer:ntp\.edge\.example", said))
    assert list(found) == ["AZL-FW-006"]
    assert code in found["AZL-FW-006"]


def test_one_dns_server_answers_the_operator_alone(tmp_path: Path, outside: Outside) -> None:
    said = "DNS request timed out.\n    timeout was 3 seconds.\nServer:  UnKnown\nAddress:  192.0.2.54\n\n"
    found = failing(tmp_path, outside, answering(r"nslookup.* 192\.0\.2\.54", said))
    assert list(found) == ["AZL-FW-007"]
    assert "192.0.2.54 answers the operator and not the node" in found["AZL-FW-007"]


def forwarding(site: str) -> str:
    return with_time(site).replace(
        "mode: external, servers: [192.0.2.53, 192.0.2.54]", "mode: forwarder, forwarders: [192.0.2.53]"
    )


LISTENER = {"LocalAddress": "0.0.0.0", "LocalPort": 5353, "OwningProcess": 1200}


@pytest.mark.parametrize(
    ("listeners", "enabled", "told"),
    [([LISTENER], 1, None), ([LISTENER], 0, "EnableMDNS is 0"), ([], 1, "nothing listens on UDP 5353")],
)
def test_multicast_dns_where_the_cluster_answers_itself(
    listeners: list[dict[str, Any]], enabled: int, told: str | None, tmp_path: Path, outside: Outside
) -> None:
    key = r"HKLM\SYSTEM\CurrentControlSet\Services\Dnscache\Parameters"
    node = node_scenario(1).patched(
        {
            "cim": {"root/StandardCimv2": {"MSFT_NetUDPEndpoint": listeners}},
            "registry": {key: {"EnableMDNS": ["REG_DWORD", enabled]}},
        }
    )
    found = failing(tmp_path, outside, node, edit=forwarding, rules=["AZL-FW-011"])
    assert list(found) == ([] if told is None else ["AZL-FW-011"])
    assert told is None or told in found["AZL-FW-011"]
