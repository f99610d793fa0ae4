"""What can be wrong with DNS, each on real servers: the right rules fail, by messages that tell one from the other."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from azpreflight import Outcome, Report, load_site, run
from servers.dns import EDGE, Dnsmasq, DnsServer, Endpoint, StrangeServer, UdpAlone, View, Zone
from servers.lab import Lab, running_lab
from servers.outside import PUBLIC, REVERSE, black_hole
from servers.processes import free_port
from servers.tls import OddPorts

FIRST, SECOND = "192.0.2.53", "192.0.2.54"
RECORDS = {name: EDGE.records[name] for name in ("azl-n01", "azl-n02", "azl-cl01")}
NODE, OTHER_NODE = "AZL-N01.edge.example", "AZL-N02.edge.example"
MANAGEMENT = "management.azure.com"


def view(**records: list[str] | None) -> View:
    """A server that has all it needs, but for these records of the zone; None takes one out."""
    named = {name.replace("_", "-"): found for name, found in records.items()}
    changed = {name: found for name, found in {**RECORDS, **named}.items() if found is not None}
    return View([Zone("edge.example", changed), REVERSE, *PUBLIC])


MANY = Zone("azure.com", {"management": [f"A 198.51.100.{number}" for number in range(1, 61)]})
"""An answer that no datagram holds."""

VIEWS = {
    "good": view(),
    "no such name": view(azl_n02=None),
    "wrong address": view(azl_n02=["A 192.0.2.99"]),
    "two addresses": view(azl_n02=["A 192.0.2.12", "A 192.0.2.99"]),
    "wildcard": view(**{"*": ["A 192.0.2.200"]}),
    "wildcard of another type": view(**{"*": ["AAAA 2001:db8::200"]}),
    "without public names": View([Zone("edge.example", RECORDS), REVERSE]),
    "refusing": View([Zone("edge.example", RECORDS)], refuses=True),
    "broken": View([Zone("edge.example", {"azl-n01": ["A this-is-no-address"]}), REVERSE, *PUBLIC]),
    "long answers": View([Zone("edge.example", RECORDS), REVERSE, MANY, *PUBLIC[1:]]),
    "private vault": View(
        [
            Zone("edge.example", RECORDS),
            *(zone for zone in PUBLIC if zone.name != "azure.net"),
            Zone("azure.net", {"edge-lab-kv.vault": ["CNAME edge-lab-kv.privatelink.vaultcore"]}),
        ]
    ),
    "wrong way back": View(
        [Zone("edge.example", RECORDS), Zone(REVERSE.name, {"12": ["PTR printer.edge.example."]}), *PUBLIC]
    ),
    "forwarding": View(forwards_to="good"),
    # Domain controllers register the name of the domain.
    "domain": view(**{"@": ["A 192.0.2.61", "A 192.0.2.62"]}),
    "domain with an old controller": view(**{"@": ["A 192.0.2.61", "A 192.0.2.69"]}),
    "domain without nodes": view(azl_n02=None, **{"@": ["A 192.0.2.61", "A 192.0.2.62"]}),
    "domain without cluster": view(azl_cl01=None, **{"@": ["A 192.0.2.61", "A 192.0.2.62"]}),
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DnsServer]:
    with DnsServer(tmp_path_factory.mktemp("dns"), VIEWS) as running:
        yield running


@pytest.fixture(scope="module")
def ports() -> Iterator[OddPorts]:
    with OddPorts() as running:
        yield running


@dataclass
class Network:
    """The declared DNS servers as they are, and as the nodes reach them over TCP."""

    folder: Path
    stack: contextlib.ExitStack
    servers: DnsServer
    ports: OddPorts

    def judged(
        self,
        first: Endpoint,
        second: Endpoint,
        *,
        nodes_connect: bool = False,
        edit: Callable[[str], str] = lambda text: text,
        **options: str,
    ) -> Report:
        """All rules on DNS, with these servers in the place of the declared ones.

        nodes_connect: the nodes too reach the very ports of the servers over TCP, where BIND keeps curl waiting for a
        while. Otherwise every connection of theirs stands.
        """
        dns = {FIRST: first, SECOND: second}
        curl = ["--ipv4", "--connect-to", f"::127.0.0.1:{self.ports.port('reset')}"]
        if nodes_connect:
            # By two names of one host: curl does not open a second connection to a host before the first is done.
            curl = ["--ipv4", "--connect-to", f"{FIRST}:53:127.0.0.1:{first.port}"]
            curl += ["--connect-to", f"{SECOND}:53:localhost:{second.port}"]
        reached = {server: str(endpoint) for server, endpoint in dns.items()}
        lab = self.stack.enter_context(running_lab(self.folder, curl_arguments=curl, dns=reached, edit=edit))
        return judged(lab, **options)

    def at(self, view: str) -> Endpoint:
        return self.servers.at(view)

    def dnsmasq(self, *options: str) -> Endpoint:
        """A dnsmasq that asks the good server for all that the options leave open."""
        server = Dnsmasq(self.folder / "dnsmasq", options, self.at("good"))
        return self.stack.enter_context(server).endpoint


def judged(lab: Lab, **options: str) -> Report:
    return run(
        load_site(lab.site),
        credential=lab.credential,
        connect_to=lab.connect_to,
        rules=["AZL-DNS-*"],
        **options,  # type: ignore[arg-type]
    )


@pytest.fixture
def network(tmp_path: Path, servers: DnsServer, ports: OddPorts) -> Iterator[Network]:
    with contextlib.ExitStack() as stack:
        yield Network(tmp_path, stack, servers, ports)


def failing(report: Report) -> dict[str, str]:
    """The message of each failing rule, with those of several targets joined."""
    found: dict[str, str] = {}
    for result in report.results:
        if result.outcome is Outcome.FAIL:
            found[result.rule] = "; ".join(filter(None, [found.get(result.rule), result.message]))
    return found


def open_questions(report: Report) -> set[str]:
    return {result.rule for result in report.results if result.outcome is Outcome.ERROR}


def assert_fails(report: Report, expected: Mapping[str, str]) -> None:
    """Exactly these rules fail, saying so, and nothing stays open."""
    found = failing(report)
    assert found.keys() == expected.keys(), found
    for rule, words in expected.items():
        assert words in found[rule]
    assert open_questions(report) == set()


def test_servers_that_have_it_all_right(network: Network) -> None:
    assert_fails(network.judged(network.at("good"), network.at("good"), nodes_connect=True), {})


@pytest.mark.parametrize(
    ("view", "rule", "words"),
    [
        ("no such name", "AZL-DNS-007", f"{FIRST} says that {OTHER_NODE} does not exist (NXDOMAIN)"),
        ("wrong address", "AZL-DNS-007", f"{FIRST} answers 192.0.2.99 for {OTHER_NODE}, not 192.0.2.12"),
        ("two addresses", "AZL-DNS-007", f"{FIRST} answers 2 addresses for {OTHER_NODE}: 192.0.2.12, 192.0.2.99"),
        ("wildcard", "AZL-DNS-014", "which nobody made: edge.example has a wildcard"),
        ("wildcard of another type", "AZL-DNS-014", "answers that there is such a name"),
        ("without public names", "AZL-DNS-006", f"{FIRST} refuses to answer for {MANAGEMENT} (REFUSED)"),
        ("private vault", "AZL-DNS-022", "leads edge-lab-kv.vault.azure.net to edge-lab-kv.privatelink.vaultcore"),
        ("wrong way back", "AZL-DNS-023", "leads 192.0.2.12 back to printer.edge.example, not to AZL-N02"),
    ],
)
def test_a_mistake_on_every_server_is_one_rule(network: Network, view: str, rule: str, words: str) -> None:
    report = network.judged(network.at(view), network.at(view))
    assert_fails(report, {rule: words})
    assert "stale" not in failing(report)[rule]


def test_a_stale_copy_on_one_of_two_servers_is_told_from_a_wrong_record(network: Network) -> None:
    report = network.judged(network.at("good"), network.at("wrong address"))
    stale = f"{SECOND} answers 192.0.2.99 for {OTHER_NODE}, not 192.0.2.12 as {FIRST} does; its copy may be stale"
    assert_fails(report, {"AZL-DNS-007": stale})


def test_a_stale_copy_in_a_deployed_site_is_an_inconsistency(network: Network) -> None:
    lying = network.dnsmasq(f"--host-record={NODE},192.0.2.99")
    report = network.judged(network.at("good"), lying, phase="day-2")
    expected = f"do not say the same of {NODE}: {FIRST}: 192.0.2.11; {SECOND}: 192.0.2.99"
    assert_fails(report, {"AZL-DNS-016": expected})


def test_a_server_that_is_down_is_told_by_its_closed_ports(network: Network) -> None:
    report = network.judged(network.at("good"), Endpoint("127.0.0.1", free_port()), nodes_connect=True)
    down = f"TCP 53 of {SECOND}: it was turned away at once; the machine that runs azpreflight is answered neither"
    assert failing(report).keys() == {"AZL-DNS-015"}
    assert down in failing(report)["AZL-DNS-015"]
    # Nobody knows what it would answer.
    assert {"AZL-DNS-006", "AZL-DNS-007", "AZL-DNS-008", "AZL-DNS-009"} <= open_questions(report)
    (records,) = (result for result in report.results if result.rule == "AZL-DNS-007")
    assert records.message == f"{SECOND} could not be asked: port closed, from the machine that runs azpreflight"


def test_a_server_behind_a_firewall_that_drops_everything(network: Network) -> None:
    silent = network.stack.enter_context(StrangeServer(udp=[], stays_silent=True))
    hole = Endpoint("127.0.0.1", network.stack.enter_context(black_hole()))
    lab = network.stack.enter_context(
        running_lab(
            network.folder,
            curl_arguments=["--connect-to", f"::127.0.0.1:{hole.port}"],
            dns={FIRST: str(silent.endpoint), SECOND: str(silent.endpoint)},
        )
    )
    report = judged(lab)
    assert failing(report).keys() == {"AZL-DNS-015"}
    assert f"TCP 53 of {FIRST}: nothing came back in time" in failing(report)["AZL-DNS-015"]
    assert {"AZL-DNS-006", "AZL-DNS-007"} <= open_questions(report)


def test_tcp_that_is_blocked_is_told_where_udp_passes(network: Network) -> None:
    firewall = network.stack.enter_context(UdpAlone(network.at("good")))
    report = network.judged(network.at("good"), firewall.endpoint, nodes_connect=True)
    words = (
        f"TCP 53 of {SECOND}: it was turned away at once; the machine that runs azpreflight is answered over UDP alone"
    )
    assert_fails(report, {"AZL-DNS-015": words})


def test_an_answer_that_is_cut_needs_the_tcp_that_is_blocked(network: Network) -> None:
    firewall = network.stack.enter_context(UdpAlone(network.at("long answers")))
    report = network.judged(network.at("long answers"), firewall.endpoint, nodes_connect=True)
    assert failing(report).keys() == {"AZL-DNS-015"}
    (public,) = (result for result in report.results if result.rule == "AZL-DNS-006")
    assert public.outcome is Outcome.ERROR
    assert (
        f"{SECOND} cut its answer for {MANAGEMENT} short, and TCP 53, which has to carry the rest, fails"
        in public.message
    )
    good = [finding for finding in public.findings if finding.subject == f"{MANAGEMENT} at {FIRST}"]
    assert [finding.outcome for finding in good] == [Outcome.PASS]


def test_a_server_that_refuses_everybody(network: Network) -> None:
    report = network.judged(network.at("good"), network.at("refusing"))
    refused = dict.fromkeys(("AZL-DNS-006", "AZL-DNS-007", "AZL-DNS-008", "AZL-DNS-009"), f"{SECOND} refuses to answer")
    assert_fails(report, refused)


def test_a_server_that_could_not_load_its_zone(network: Network) -> None:
    report = network.judged(network.at("good"), network.at("broken"))
    failed = dict.fromkeys(("AZL-DNS-007", "AZL-DNS-008", "AZL-DNS-009"), f"{SECOND} failed to find")
    assert_fails(report, failed)


def test_a_server_that_only_forwards_is_not_authoritative(network: Network) -> None:
    report = network.judged(network.at("good"), network.at("forwarding"))
    words = f"{SECOND} answers for edge.example, but not with authority"
    assert_fails(report, {"AZL-DNS-009": words})


def test_a_resolver_that_rewrites_nxdomain(network: Network) -> None:
    good = network.at("good")
    zones = [f"--server=/{zone}/127.0.0.1#{good.port}" for zone in ("azure.com", "azure.net", "microsoftonline.com")]
    zones += [f"--server=/{zone}/127.0.0.1#{good.port}" for zone in ("edge.example", REVERSE.name)]
    report = network.judged(good, network.dnsmasq("--address=/#/203.0.113.80", *zones))
    assert_fails(report, {"AZL-DNS-014": "203.0.113.80 for azpreflight-a379a6f6eeaf.example.com, which nobody made"})


def test_a_wildcard_that_dnsmasq_makes_of_a_whole_zone(network: Network) -> None:
    records = [f"--host-record={name}.edge.example,{found[0].split()[1]}" for name, found in RECORDS.items()]
    report = network.judged(network.at("good"), network.dnsmasq("--address=/edge.example/192.0.2.200", *records))
    found = failing(report)
    assert f"{SECOND} answers 192.0.2.200 for azpreflight-103ece1c5365.edge.example" in found.pop("AZL-DNS-014")
    # It makes addresses alone, and has no zone.
    assert found.keys() <= {"AZL-DNS-009"}


def test_a_cluster_that_is_its_own_server_asks_forwarders(network: Network) -> None:
    def forwarding(text: str) -> str:
        servers = f"mode: external, servers: [{FIRST}, {SECOND}]"
        assert servers in text
        return text.replace(servers, f"mode: forwarder, servers: [], forwarders: [{FIRST}, {SECOND}]")

    def judge(second: Endpoint) -> Report:
        return network.judged(network.dnsmasq(), second, edit=forwarding)

    found = failing(judge(network.at("without public names")))
    # No node of the lab has a suffix, which this mode needs.
    assert "suffix of NIC1 is empty, not edge.example" in found.pop("AZL-DNS-011")
    assert found.keys() == {"AZL-DNS-012"}
    assert f"{SECOND} refuses to answer for {MANAGEMENT}" in found["AZL-DNS-012"]


@pytest.mark.parametrize(
    ("second", "phase", "rule", "words"),
    [
        ("domain", "pre-deploy", None, ""),
        ("good", "pre-deploy", "AZL-DNS-020", f"{SECOND} knows edge.example, but no A record of it"),
        ("domain with an old controller", "pre-deploy", "AZL-DNS-016", f"{SECOND}: 192.0.2.61, 192.0.2.69"),
        ("domain without cluster", "pre-deploy", "AZL-DNS-021", "AZL-CL01.edge.example does not exist (NXDOMAIN)"),
        ("domain", "post-deploy", None, ""),
        ("domain without nodes", "post-deploy", "AZL-DNS-019", f"{SECOND} says that {OTHER_NODE} does not exist"),
    ],
)
def test_an_active_directory_domain(network: Network, second: str, phase: str, rule: str | None, words: str) -> None:
    def joined(text: str) -> str:
        text = text.replace("local-identity", "active-directory\ndirectory: {domain: edge.example}")
        return text.replace("mode: external", "mode: external, dynamic_update: false")

    report = network.judged(network.at("domain"), network.at(second), edit=joined, phase=phase)
    assert_fails(report, {} if rule is None else {rule: words})
