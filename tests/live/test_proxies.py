"""Proxies of a node, from its registry and its agent to the verdict: each mistake turns its own rule and no other."""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from azpreflight import Outcome, Report, collect, load_site, run
from servers.lab import Lab, node_scenario, running_lab
from servers.outside import black_hole
from servers.processes import free_port
from servers.proxies import refusing
from servers.winrm import Scenario

PROXY = "http://proxy.edge.example:3128"
WINDOWS = "localhost;127.0.0.1;AZL-N01;AZL-CL01;192.0.2.*;*.edge.example"
ENVIRONMENT = "localhost,127.0.0.1,.svc,AZL-N01,AZL-CL01,192.0.2.0/24,.edge.example"
SECRET = "Geheim-77"

SETTINGS = r"Software\Microsoft\Windows\CurrentVersion\Internet Settings"
POLICY = rf"HKLM\SOFTWARE\Policies\{SETTINGS.removeprefix('Software')[1:]}"
MACHINE = rf"HKLM\{SETTINGS}".replace("HKLM\\Software", "HKLM\\SOFTWARE")
CONNECTIONS = rf"{MACHINE}\Connections"
VARIABLES = r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Environment"

Registry = Mapping[str, Mapping[str, Any]]


def text(value: str) -> list[str]:
    return ["REG_SZ", value]


def winhttp(proxy: str = PROXY, bypass: str = WINDOWS, flags: int = 3) -> dict[str, Any]:
    texts = b"".join(struct.pack("<I", len(part)) + part for part in (proxy.encode(), bypass.encode()))
    return {"WinHttpSettings": ["REG_BINARY", (struct.pack("<III", 0x28, 1, flags) + texts).hex()]}


GOOD: Registry = {
    POLICY: {"ProxySettingsPerUser": ["REG_DWORD", 0]},
    MACHINE: {"ProxyEnable": ["REG_DWORD", 1], "ProxyServer": text(PROXY), "ProxyOverride": text(WINDOWS)},
    CONNECTIONS: winhttp(),
    VARIABLES: {"HTTP_PROXY": text(PROXY), "HTTPS_PROXY": text(PROXY), "NO_PROXY": text(ENVIRONMENT)},
}


def agent(url: str, kind: str = "default", used: str = PROXY) -> list[dict[str, str]]:
    """What the Arc agent says of its settings and of the proxy that it uses."""
    settings = [{"Key": "connection.type", "Value": kind}, {"Key": "proxy.url", "Value": url}]
    return [
        {"match": r'azcmagent\.exe"? config list -j', "stdout": json.dumps({"LocalSettings": settings})},
        {"match": r'azcmagent\.exe"? show -j', "stdout": json.dumps({"status": "Connected", "httpsProxy": used})},
    ]


def node(changes: Registry, programs: list[dict[str, str]] | None = None) -> Scenario:
    """A node whose places name the proxy rightly, but for some changes."""
    good = node_scenario(1).patched({"registry": {key: dict(values) for key, values in GOOD.items()}})
    changed = good.patched({"registry": {key: dict(values) for key, values in changes.items()}})
    return changed.with_(programs=[*(programs or agent(PROXY)), *changed.data["programs"]])


def with_proxy(site: str, bypass: str = "192.0.2.0/24", url: str = PROXY) -> str:
    return f"{site}proxy: {{http: '{url}', https: '{url}', bypass: ['{bypass}']}}\n"


@pytest.fixture(scope="module")
def tinyproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a proxy on loopback."""
    with refusing(tmp_path_factory.mktemp("proxy") / "tinyproxy") as proxy:
        yield int(proxy.url.rpartition(":")[2])


@contextlib.contextmanager
def lab_of(scenario: Scenario, folder: Path, *, port: int, site: Any = with_proxy) -> Iterator[Lab]:
    """A site of one node that finds its proxy, or what stands for it, at a port of loopback."""
    reached = ["--connect-to", f"::127.0.0.1:{port}"]
    with running_lab(folder, {"AZL-N01": scenario}, curl_arguments=reached, edit=site) as lab:
        yield lab
        lab.assert_only_read()


def judged(lab: Lab, phase: str = "pre-deploy") -> Report:
    return run(
        load_site(lab.site), credential=lab.credential, connect_to=lab.connect_to, rules=["AZL-PRX-*"], phase=phase
    )


def outcomes(report: Report, *wanted: Outcome) -> dict[str, str]:
    return {result.rule: result.message for result in report.results if result.outcome in wanted}


def test_a_node_with_the_declared_proxy_in_all_places_passes(tmp_path: Path, tinyproxy: int) -> None:
    with lab_of(node({}), tmp_path, port=tinyproxy) as lab:
        report = judged(lab)
    assert outcomes(report, Outcome.FAIL, Outcome.ERROR) == {}
    assert len(outcomes(report, Outcome.PASS)) == 8


def test_a_node_without_any_proxy_passes(tmp_path: Path) -> None:
    with lab_of(node_scenario(1), tmp_path, port=free_port(), site=str) as lab:
        report = judged(lab)
    assert outcomes(report, Outcome.FAIL, Outcome.ERROR) == {}
    assert list(outcomes(report, Outcome.PASS)) == ["AZL-PRX-001"]


OLD = "http://old.edge.example:3128"
MISTAKES = [
    pytest.param("001", {CONNECTIONS: winhttp("", "", 1)}, "WinHTTP names no proxy", id="winhttp-direct"),
    pytest.param("001", {CONNECTIONS: winhttp(OLD)}, "WinHTTP names http://old.edge.example:3128", id="another-proxy"),
    pytest.param("001", {VARIABLES: {"HTTPS_PROXY": text(OLD)}}, "HTTPS_PROXY names", id="another-variable"),
    pytest.param(
        "001", {POLICY: {"ProxySettingsPerUser": ["REG_DWORD", 1]}}, "ProxySettingsPerUser is not 0", id="per-user"
    ),
    pytest.param("001", {MACHINE: {"ProxyEnable": ["REG_DWORD", 0]}}, "WinINET names no proxy", id="switched-off"),
    pytest.param(
        "002",
        {VARIABLES: {"HTTPS_PROXY": text("https://proxy.edge.example:3128")}},
        "HTTPS_PROXY starts with https://",
        id="https-to-the-proxy",
    ),
    pytest.param("002", {MACHINE: {"ProxyServer": text("proxy.edge.example:3128")}}, "WinINET does not", id="bare"),
    pytest.param("002", {CONNECTIONS: winhttp("http://proxy.edge.example")}, "WinHTTP names no port", id="no-port"),
    pytest.param(
        "003",
        {MACHINE: {"ProxyEnable": ["REG_DWORD", 0], "AutoConfigURL": text("http://wpad.edge.example/proxy.pac")}},
        "WinINET follows a configuration script",
        id="script",
    ),
    pytest.param(
        "003",
        {
            MACHINE: {"ProxyEnable": ["REG_DWORD", 0]},
            CONNECTIONS: {"DefaultConnectionSettings": ["REG_BINARY", winhttp("", "", 9)["WinHttpSettings"][1]]},
        },
        "WinINET looks for a proxy",
        id="detection",
    ),
    pytest.param(
        "003",
        {VARIABLES: {"HTTP_PROXY": text(f"http://svc:{SECRET}@proxy.edge.example:3128")}},
        "HTTP_PROXY holds a user",
        id="login",
    ),
    pytest.param(
        "004", {CONNECTIONS: winhttp(bypass=WINDOWS.replace("AZL-CL01;", ""))}, "WinHTTP lacks AZL-CL01", id="cluster"
    ),
    pytest.param("004", {MACHINE: {"ProxyOverride": text("")}}, "WinINET lacks localhost", id="empty-list"),
    pytest.param("005", {MACHINE: {"ProxyOverride": text(ENVIRONMENT)}}, "is CIDR", id="one-string-for-all"),
    pytest.param("005", {VARIABLES: {"NO_PROXY": text(f".svc,{WINDOWS}")}}, "semicolons", id="the-other-way"),
    pytest.param("005", {VARIABLES: {"NO_PROXY": text("")}}, ".svc is missing", id="no-list"),
]


@pytest.mark.parametrize(("rule", "changes", "told"), MISTAKES)
def test_a_mistake_turns_its_own_rule(rule: str, changes: Registry, told: str, tmp_path: Path, tinyproxy: int) -> None:
    with lab_of(node(changes), tmp_path, port=tinyproxy) as lab:
        report = judged(lab)
    found = outcomes(report, Outcome.FAIL, Outcome.ERROR)
    assert list(found) == [f"AZL-PRX-{rule}"], found
    assert told in found[f"AZL-PRX-{rule}"]


@pytest.mark.parametrize(("silent", "told"), [(True, "no answer"), (False, "refused or unreachable")])
def test_a_proxy_out_of_reach_turns_its_own_rule(silent: bool, told: str, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(black_hole()) if silent else free_port()
        lab = stack.enter_context(lab_of(node({}), tmp_path, port=port))
        found = outcomes(judged(lab), Outcome.FAIL, Outcome.ERROR)
    assert list(found) == ["AZL-PRX-007"]
    assert told in found["AZL-PRX-007"]


@pytest.mark.parametrize(
    ("programs", "told"),
    [
        (agent(OLD), "the agent uses http://old.edge.example:3128"),
        (agent(PROXY, "gateway", PROXY), "not to its forwarder http://localhost:40343"),
    ],
)
def test_an_agent_that_goes_another_way_turns_its_own_rule(
    programs: list[dict[str, str]], told: str, tmp_path: Path, tinyproxy: int
) -> None:
    with lab_of(node({}, programs), tmp_path, port=tinyproxy) as lab:
        found = outcomes(judged(lab), Outcome.FAIL, Outcome.ERROR)
    assert list(found) == ["AZL-PRX-008"]
    assert told in found["AZL-PRX-008"]


def test_an_agent_behind_a_gateway_passes(tmp_path: Path, tinyproxy: int) -> None:
    through = node({}, agent(PROXY, "gateway", "http://localhost:40343"))
    with lab_of(through, tmp_path, port=tinyproxy) as lab:
        assert outcomes(judged(lab), Outcome.FAIL, Outcome.ERROR) == {}


def test_a_declared_list_of_todays_nodes_turns_its_own_rule(tmp_path: Path, tinyproxy: int) -> None:
    with lab_of(node({}), tmp_path, port=tinyproxy, site=lambda site: with_proxy(site, "192.0.2.11")) as lab:
        found = outcomes(judged(lab), Outcome.FAIL, Outcome.ERROR)
    assert list(found) == ["AZL-PRX-009"]


def test_private_networks_are_looked_for_after_the_deployment(tmp_path: Path) -> None:
    private = f"{ENVIRONMENT},10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"
    for number, (bypass, outcome) in enumerate([(private, Outcome.PASS), (ENVIRONMENT, Outcome.FAIL)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        with lab_of(node({VARIABLES: {"NO_PROXY": text(bypass)}}), folder, port=free_port()) as lab:
            report = judged(lab, "post-deploy")
        assert {result.rule: result.outcome for result in report.results} == {"AZL-PRX-006": outcome}


def test_no_login_of_a_proxy_leaves_the_node(tmp_path: Path, tinyproxy: int) -> None:
    login = f"http://svc:{SECRET}@proxy.edge.example:3128"
    changes = {
        MACHINE: {"ProxyServer": text(f"http=svc:{SECRET}@proxy.edge.example:3128;https={login}")},
        CONNECTIONS: winhttp(login),
        VARIABLES: {"HTTP_PROXY": text(login), "HTTPS_PROXY": text(login)},
    }
    with lab_of(node(changes, agent(login, used=login)), tmp_path, port=tinyproxy) as lab:
        report = judged(lab)
        collect(
            load_site(lab.site),
            tmp_path / "recording",
            credential=lab.credential,
            connect_to=lab.connect_to,
            rules=["AZL-PRX-*"],
            raw=tmp_path / "raw",
        )
    raw = b"".join(path.read_bytes() for path in (tmp_path / "raw").rglob("*.*")).decode()
    recorded = "".join(path.read_text() for path in (tmp_path / "recording").rglob("*.json"))
    written = msgspec.json.encode(report).decode() + recorded + raw
    assert "ProxyServer" in recorded
    assert "WinHttpSettings" in raw
    for form in (SECRET, SECRET.encode().hex(), SECRET.encode().hex().upper()):
        assert form not in written
    failing = outcomes(report, Outcome.FAIL, Outcome.ERROR)
    assert {"AZL-PRX-003", "AZL-PRX-008"} <= failing.keys()
    assert "AZL-PRX-001" not in failing
