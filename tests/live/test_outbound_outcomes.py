"""Every way in which a path can be open or not, told apart: the node's whole work, with real servers and proxies.

A node is asked over WinRM; the curl that it runs is this machine's, with the very work list that a Windows node gets.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from azpreflight import load_site
from azpreflight.checks import inspection, outbound
from azpreflight.engine.gather import Limits, gather
from azpreflight.engine.run import Options, Preflight
from azpreflight.facts.endpoints import EndpointTable
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.winrm import curl
from azpreflight.facts.winrm.channel import Endpoint
from azpreflight.facts.winrm.source import WinrmSource
from azpreflight.model import Finding, Outcome
from azpreflight.packs.load import load_packs
from servers.lab import Lab, node_scenario, running_lab
from servers.outside import black_hole
from servers.proxies import PASSWORD, Proxy, inspecting, refusing
from servers.tls import HOST, Authority, Nginx, OddPorts, Site
from servers.winrm import Scenario
from unit.checks.judging import findings_of, view_of

FACT = "outbound.endpoints"
PACKS = load_packs()
ENVIRONMENT = r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Environment"
CONNECTIONS = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Internet Settings\Connections"


@dataclass
class Network:
    """What nodes find outside. authority: what they trust. ports: by the first label of `<label>.example`."""

    authority: Path
    ports: dict[str, int]

    def arguments(self, *trusted: Path) -> Sequence[str]:
        """What stands for the network of a node. Nothing else is reached: the rest is led to a closed port."""
        routes = [f"{name}.example:443:{HOST}:{port}" for name, port in self.ports.items()]
        # A name with an empty label is refused by the resolver without asking anybody.
        routes += ["no-name.example:443:no..name:443", f"plain.example:80:{HOST}:{self.ports['http']}"]
        routes.append(f"::{HOST}:{self.ports['refused']}")
        authority = (*trusted, self.authority)[0]
        return [*(part for route in routes for part in ("--connect-to", route)), "--cacert", str(authority)]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    folder = tmp_path_factory.mktemp("network")
    authority = Authority(folder / "public", "DigiCert TLS CA of the tests", "DigiCert Inc")
    private = Authority(folder / "private", "an authority that nobody knows")
    names = [f"{name}.example" for name in ("good", "other", "forbidden", "missing", "redirect", "too-old")]
    good = authority.issue(*names)
    sites = {
        "http": Site(None),
        "good": Site(good),
        "other": Site(good),
        "forbidden": Site(good, status=403),
        "missing": Site(good, status=404),
        "redirect": Site(good, status=302),
        "too-old": Site(good, ["TLSv1"]),
        "expired": Site(authority.issue("expired.example", expired=True)),
        "wrong-name": Site(authority.issue("elsewhere.example")),
        "private": Site(private.issue("private.example")),
    }
    with Nginx(folder / "nginx", sites) as nginx, OddPorts() as odd, black_hole() as silent:
        ports = {name: nginx.port(name) for name in sites}
        ports |= {"blocked": silent, "refused": odd.port("closed"), "reset": odd.port("reset")}
        yield Network(authority.file, ports)


def table(*names: str, scheme: str = "https") -> EndpointTable:
    endpoints = [
        {
            "id": name,
            "product": "azure-local",
            "host": f"{name}.example",
            "probe": f"{name}.example",
            "port": 443 if scheme == "https" else 80,
            "protocol": scheme,
            "service": "s",
            "required": True,
            "clouds": ["AzureCloud"],
            "inspection_allowed": False,
            "source": "s",
        }
        for name in names
    ]
    whole = {"date": "2026-01-01", "sources": {"s": {"title": "a title"}}, "endpoints": endpoints}
    return msgspec.convert(whole, EndpointTable, strict=False)


@dataclass
class Reached:
    """What came of a node's work list. lists: what its curl was given, in order."""

    observation: Observation
    site: Any
    table: EndpointTable
    lists: list[str]

    @property
    def rows(self) -> dict[str, Any]:
        """By the first label of the host."""
        assert self.observation.status is Status.OBSERVED, self.observation.reason
        return {row["host"].partition(".")[0]: row for row in self.observation.value}

    def findings(self, check: Any, **parameters: Any) -> dict[str, Finding]:
        """By the first label of the host."""
        view = view_of({FACT: self.observation.value}, site=self.site, tables={"endpoints": self.table})
        found = findings_of(check, view, fact=FACT, table="endpoints", **parameters)
        return {subject.partition(".")[0]: finding for subject, finding in found.items()}

    def reachable(self) -> dict[str, tuple[Outcome, str]]:
        """The outcome and the words after the name of each host."""
        return {
            name: (finding.outcome, finding.message.partition(" was ")[2])
            for name, finding in self.findings(outbound.reachable).items()
        }

    def inspected(self) -> dict[str, Finding]:
        """What AZL-FW-021 finds."""
        given = PACKS.rules["AZL-FW-021"].with_["authorities"]
        return self.findings(inspection.not_inspected, authorities=given)


def reached(
    folder: Path,
    network_arguments: Sequence[str],
    endpoints: EndpointTable,
    *,
    proxy: Proxy | None = None,
    scenario: Scenario | None = None,
) -> Reached:
    """What one node reaches of a table of endpoints.

    proxy: as the site declares it. scenario: what the node is like.
    """

    def declared(text: str) -> str:
        return text if proxy is None else f"{text}proxy: {{http: '{proxy.url}', https: '{proxy.url}'}}\n"

    folder.mkdir(parents=True, exist_ok=True)
    nodes = {"AZL-N01": scenario or node_scenario(1)}
    with running_lab(folder, nodes, curl_arguments=network_arguments, edit=declared) as lab:
        found = _gathered(lab, endpoints)
        lab.assert_only_read()
        loaded = load_site(lab.site).site
        lists = [command for command in lab.servers["AZL-N01"].log.commands if "curl.exe" in command]
    return Reached(found, loaded, endpoints, lists)


def _gathered(lab: Lab, endpoints: EndpointTable) -> Observation:
    planned = Preflight(load_site(lab.site), Options()).plan.collection
    wanted = {name: PACKS.queries[name] for name in {FACT, *PACKS.queries[FACT].depends_on}}
    collection = replace(planned, queries=wanted, tables={FACT: endpoints})
    port = lab.servers["AZL-N01"].http_port
    endpoint = Endpoint(host="127.0.0.1", port=port, https=False, certificate_name="AZL-N01")
    facts = gather(collection, WinrmSource(lab.credential, lambda _: endpoint), (), Limits())
    return facts["AZL-N01", FACT]


def with_registry(values: dict[str, dict[str, Any]]) -> Scenario:
    return node_scenario(1).patched({"registry": values})


PASS, FAIL = Outcome.PASS, Outcome.FAIL
TLS = "not reached: the TLS session failed: "
DIRECT = {
    "good": (PASS, "reached"),
    "forbidden": (PASS, "reached"),
    "missing": (PASS, "reached"),
    "redirect": (PASS, "reached"),
    "no-name": (FAIL, "not reached: the name does not resolve"),
    "blocked": (FAIL, "not reached: it timed out"),
    "refused": (FAIL, "not reached: the connection was refused"),
    "reset": (FAIL, "not reached: the connection was reset during the TLS handshake"),
    "too-old": (FAIL, TLS + "no version or cipher of TLS is known to both sides"),
    "expired": (FAIL, TLS + "its certificate has expired or is not valid yet"),
    "wrong-name": (FAIL, TLS + "its certificate is for another name"),
    "private": (FAIL, TLS + "its certificate comes from an authority that is not trusted"),
}


@pytest.fixture(scope="module")
def direct(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Reached:
    return reached(tmp_path_factory.mktemp("direct"), network.arguments(), table(*DIRECT))


def test_every_way_to_fail_has_its_own_words(direct: Reached) -> None:
    assert direct.reachable() == DIRECT
    statuses = {name: row["http_code"] for name, row in direct.rows.items() if row["http_code"]}
    assert statuses == {"good": 200, "forbidden": 403, "missing": 404, "redirect": 302}


def test_chains_are_seen_where_a_certificate_was_shown_even_one_that_is_refused(direct: Reached) -> None:
    issuers = {name: row["chain"][0]["issuer_name"] for name, row in direct.rows.items() if row["chain"]}
    public, private = "DigiCert TLS CA of the tests", "an authority that nobody knows"
    seen = ("good", "forbidden", "missing", "redirect", "expired", "wrong-name")
    assert issuers == {**dict.fromkeys(seen, public), "private": private}
    # The verdict stays that of the try that held certificates to account.
    assert [direct.rows[name]["exit_code"] for name in ("expired", "wrong-name", "private")] == [60, 60, 60]


def test_a_wrong_certificate_is_no_inspection_but_a_private_authority_is(direct: Reached) -> None:
    found = {name: finding.outcome for name, finding in direct.inspected().items()}
    assert [name for name, outcome in found.items() if outcome is FAIL] == ["private"]
    assert {found[name] for name in ("good", "forbidden", "expired", "wrong-name")} == {PASS}
    assert {found[name] for name in ("no-name", "blocked", "refused", "reset", "too-old")} == {Outcome.NOT_APPLICABLE}


def test_the_node_is_asked_its_version_then_all_then_what_is_worth_a_second_try(direct: Reached) -> None:
    assert [command.split()[-1] for command in direct.lists] == ["--version", "-", "-"]


@pytest.mark.usefixtures("mitmproxy")
def test_inspected_tls_that_the_node_trusts(network: Network, tmp_path: Path) -> None:
    with inspecting(tmp_path / "mitm", network.authority) as proxy:
        assert proxy.authority is not None
        trusting = network.arguments(proxy.authority)
        found = reached(tmp_path / "trusting", trusting, table("good", "other", "missing"), proxy=proxy)
        doubting = reached(tmp_path / "doubting", network.arguments(), table("good"), proxy=proxy)
    assert set(found.reachable().values()) == {(PASS, "reached")}
    inspected = found.inspected()
    assert {finding.outcome for finding in inspected.values()} == {FAIL}
    assert "was made by mitmproxy (mitmproxy), as were those of 2 other hosts" in inspected["good"].message
    assert doubting.reachable() == {"good": DIRECT["private"]}
    (finding,) = doubting.inspected().values()
    assert finding.outcome is FAIL
    assert "made by mitmproxy (mitmproxy), which is no public authority" in finding.message


def test_a_proxy_that_wants_a_password(network: Network, tmp_path: Path, login_proxy: Proxy) -> None:
    found = reached(tmp_path, network.arguments(), table("good", "missing"), proxy=login_proxy)
    assert set(found.reachable().values()) == {(FAIL, "not reached: the proxy needs a password")}
    # Without a way of its own: curl asks for that by CONNECT on plain HTTP, too.
    plain = reached(tmp_path / "plain", (), table("plain", scheme="http"), proxy=login_proxy)
    assert set(plain.reachable().values()) == {(FAIL, "not reached: the proxy needs a password")}
    assert (plain.rows["plain"]["http_code"], plain.rows["plain"]["connect_code"]) == (407, 0)


@pytest.mark.usefixtures("tinyproxy")
def test_a_proxy_that_refuses_connect(network: Network, tmp_path: Path) -> None:
    allowed = ("good", "forbidden", "missing", "redirect", "refused")
    with refusing(tmp_path / "tiny", *(network.ports[name] for name in allowed)) as proxy:
        found = reached(tmp_path / "node", network.arguments(), table(*allowed, "other"), proxy=proxy)
    outcomes = found.reachable()
    # What the host itself answered is a proof of the path, whatever it is.
    assert [outcomes.pop(name) for name in ("good", "forbidden", "missing", "redirect")] == [(PASS, "reached")] * 4
    assert outcomes == {
        "other": (FAIL, "not reached: the proxy refused (CONNECT got 403)"),
        "refused": (FAIL, "not reached: the proxy could not connect to it (CONNECT got 500)"),
    }
    assert {row["proxy"] for row in found.rows.values()} == {proxy.url}


@pytest.mark.parametrize("kind", ["environment", "winhttp"])
def test_the_proxy_that_the_node_is_set_to(kind: str, network: Network, tmp_path: Path, login_proxy: Proxy) -> None:
    """Where the site declares none. Its user and password are neither used nor told."""
    server = login_proxy.url.removeprefix("http://")
    texts = (f"operator:{PASSWORD}@{server}".encode(), b"*.example.net;missing.example;<local>")
    blob = b"\x28" + bytes(7) + b"\x03" + bytes(3) + b"".join(len(t).to_bytes(4, "little") + t for t in texts)
    registry = {
        "environment": {
            ENVIRONMENT: {
                "HTTPS_PROXY": ["REG_SZ", f"http://operator:{PASSWORD}@{server}/"],
                "NO_PROXY": ["REG_SZ", "localhost,192.0.2.0/24,.example.net, missing.example"],
            }
        },
        "winhttp": {CONNECTIONS: {"WinHttpSettings": ["REG_BINARY", blob.hex().upper()]}},
    }
    found = reached(tmp_path, network.arguments(), table("good", "missing"), scenario=with_registry(registry[kind]))
    refused = (FAIL, "not reached: the proxy needs a password")
    assert found.reachable() == {"good": refused, "missing": (PASS, "reached")}
    assert {name: row["proxy"] for name, row in found.rows.items()} == {"good": login_proxy.url, "missing": None}
    assert PASSWORD not in repr(found.observation)


def test_a_node_whose_proxy_cannot_be_told_is_not_observed(network: Network, tmp_path: Path) -> None:
    script = bytes.fromhex("280000000000000005000000000000000000000003000000") + b"pac"
    registry = {CONNECTIONS: {"WinHttpSettings": ["REG_BINARY", script.hex().upper()]}}
    found = reached(tmp_path, network.arguments(), table("good"), scenario=with_registry(registry))
    assert found.observation.status is Status.FAILED
    assert "configuration script" in (found.observation.reason or "")
    assert found.lists == []


def test_a_hundred_endpoints_with_ten_dropped_take_about_one_timeout(network: Network, tmp_path: Path) -> None:
    """Those that are dropped are waited for side by side, and not tried again."""
    names = [f"{'dropped' if number % 10 == 0 else 'open'}-{number}" for number in range(100)]
    good, silent = network.ports["http"], network.ports["blocked"]
    routes = [f"{name}.example:80:{HOST}:{silent if name.startswith('dropped') else good}" for name in names]
    arguments = [part for route in routes for part in ("--connect-to", route)]
    endpoints = table(*names, scheme="http")
    started = time.monotonic()
    found = reached(tmp_path, arguments, endpoints)
    seconds = time.monotonic() - started
    outcomes = [outcome for outcome, _ in found.reachable().values()]
    assert (outcomes.count(PASS), outcomes.count(FAIL)) == (90, 10)
    assert seconds < 1.5 * curl.CONNECT_SECONDS
    assert seconds >= curl.CONNECT_SECONDS - 0.5


def test_what_fails_quickly_is_tried_three_times_and_reported_once(tmp_path: Path) -> None:
    for failures, expected in ((2, PASS), (9, FAIL)):
        with _flaky(failures) as (port, taken):
            arguments = ["--connect-to", f"flaky.example:80:{HOST}:{port}"]
            found = reached(tmp_path / str(failures), arguments, table("flaky", scheme="http"))
            assert [outcome for outcome, _ in found.reachable().values()] == [expected]
            assert len(taken) == 3
            assert len(found.observation.value) == 1


@contextlib.contextmanager
def _flaky(failures: int) -> Iterator[tuple[int, list[int]]]:
    """A server that ends the first connections without a word, and answers afterwards; its port, and what came."""
    taken: list[int] = []
    stop = threading.Event()
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(0.05)

        def serve() -> None:
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = listener.accept()
                    with connection:
                        taken.append(1)
                        connection.recv(1000)
                        if len(taken) > failures:
                            connection.sendall(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], taken
        stop.set()
        thread.join()
