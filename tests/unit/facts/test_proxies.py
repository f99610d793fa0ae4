"""Which proxy a node uses: the declared one, that of its environment, that of WinHTTP; and what goes around it."""

from __future__ import annotations

import datetime
import struct
from typing import Any

import pytest

from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.proxies import Proxies, UnknownProxyError, proxies_of
from azpreflight.facts.query import CurlQuery, ProxyFacts
from azpreflight.facts.registry_tree import RegistryTree
from azpreflight.site.references import resolve
from unit.checks.judging import site_of

READ = CurlQuery(proxy_from=ProxyFacts(environment="system.environment", winhttp="proxy.connections"))
PROXY = "http://proxy.edge.example:3128"
NOW = datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC)


def fact(name: str, values: dict[str, str], status: Status = Status.OBSERVED) -> Observation:
    """A registry fact of text values."""
    keys = {"": {value: {"type": "REG_SZ", "data": data} for value, data in values.items()}}
    value = {"exists": True, "keys": keys} if status is Status.OBSERVED else None
    reason = None if value else "as the test has it"
    return Observation(
        fact=name, target="N1", source="winrm", status=status, observed_at=NOW, value=value, reason=reason
    )


def settings(proxy: str, bypass: str = "", flags: int = 3) -> str:
    texts = b"".join(struct.pack("<I", len(text)) + text.encode() for text in (proxy, bypass))
    return (struct.pack("<III", 0x18, 1, flags) + texts).hex().upper()


def found(environment: dict[str, str], winhttp: str = settings("", flags=1), **site: Any) -> Proxies:
    facts = [fact("system.environment", environment), fact("proxy.connections", {"WinHttpSettings": winhttp})]
    return proxies_of(READ, site_of(**site), {observation.fact: observation for observation in facts})


def test_the_declared_proxy_comes_first() -> None:
    proxies = found({"HTTPS_PROXY": "http://other:1"}, settings("third:1"), proxy={"http": PROXY, "https": PROXY})
    assert proxies == Proxies(PROXY, PROXY)
    assert proxies_of(CurlQuery(), site_of(proxy={"https": PROXY}), {}) == Proxies(PROXY, PROXY)


def test_each_scheme_has_its_own() -> None:
    declared = {"http": "http://plain:80", "https": "http://secure:443"}
    proxies = found({}, proxy=declared)
    assert proxies.of("http", "h.example") == "http://plain:80"
    assert proxies.of("https", "h.example") == "http://secure:443"
    assert proxies.of("tcp", "h.example") is None
    assert found({"HTTPS_PROXY": PROXY}) == Proxies(None, PROXY)


def test_a_proxy_without_a_port_is_at_the_one_of_its_scheme_as_where_its_port_is_tried() -> None:
    """curl alone would take 1080, on which nobody else looks for it."""
    site = site_of(proxy={"http": "http://proxy.edge.example"})
    assert proxies_of(CurlQuery(), site, {}).https == "http://proxy.edge.example:80"
    assert resolve("site.proxy_ports", site) == ("proxy.edge.example:80",)
    assert found({"HTTPS_PROXY": "https://[2001:db8::1]"}).https == "https://[2001:db8::1]:443"
    assert found({}, settings("proxy.edge.example")).http == "http://proxy.edge.example:80"


def test_the_environment_comes_before_winhttp() -> None:
    assert found({"HTTP_PROXY": PROXY}, settings("third:1")) == Proxies(PROXY, None)
    assert found({}, settings("proxy.edge.example:3128")) == Proxies(PROXY, PROXY)
    assert found({}, settings("http=a:80;https=b:443")) == Proxies("http://a:80", "http://b:443")
    assert found({}, settings("third:1", flags=1)) == Proxies()
    assert found({"HTTPS_PROXY": " "}, "") == Proxies()


def test_without_a_fact_that_tells_it_no_proxy_is_used() -> None:
    assert proxies_of(CurlQuery(), site_of(), {}) == Proxies()


@pytest.mark.parametrize(
    "text",
    ["http://user:secret@proxy.edge.example:3128", "user:secret@proxy.edge.example:3128", f"{PROXY}/", PROXY.upper()],
)
def test_user_information_is_dropped(text: str) -> None:
    assert found({"HTTPS_PROXY": text}).https == PROXY
    assert found({}, settings(text)).https == PROXY


@pytest.mark.parametrize(
    "text", ["http://", "http://a b:1", "http://user:secret@[", "http://h:secret", "ftp://user:secret@h:1", "http:///"]
)
def test_what_is_no_proxy_is_not_told_and_not_passed_over(text: str) -> None:
    with pytest.raises(UnknownProxyError) as error:
        found({"HTTPS_PROXY": text})
    assert error.value.status is Status.FAILED
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("blob", ["28", "zz", settings("proxy:1")[:-10], settings("", flags=5)])
def test_settings_of_winhttp_that_cannot_be_followed_leave_it_open(blob: str) -> None:
    with pytest.raises(UnknownProxyError):
        found({}, blob)


@pytest.mark.parametrize("status", [Status.REFUSED, Status.FAILED, Status.TIMED_OUT])
def test_a_fact_that_was_not_observed_leaves_it_open(status: Status) -> None:
    facts = {"system.environment": fact("system.environment", {}, status)}
    with pytest.raises(UnknownProxyError, match="as the test has it") as error:
        proxies_of(READ, site_of(), facts)
    assert error.value.status is status
    with pytest.raises(UnknownProxyError):
        proxies_of(READ, site_of(), {"system.environment": fact("system.environment", {})})


WINDOWS = {
    "*.edge.example": ("a.edge.example", "edge.example"),
    "edge.example": ("edge.example", "a.edge.example"),
    "192.0.2.*": ("192.0.2.7", "192.0.20.7"),
    "<local>": ("node1", "node1.example"),
    "*": ("anything.example", None),
    "EDGE.example": ("edge.EXAMPLE", "edge.example.net"),
    "http://edge.example": ("edge.example", "x.example"),
    "edge.example:443": ("edge.example", "x.example"),
    "a+b": (None, "aab"),
}
ENVIRONMENT = {
    ".edge.example": ("a.edge.example", "aedge.example"),
    "edge.example": ("a.edge.example", "aedge.example"),
    "192.0.2.0/24": ("192.0.2.7", "192.0.3.7"),
    "192.0.2.7": ("192.0.2.7", "192.0.2.77"),
    "2001:db8::/32": ("2001:db8::7", "2001:db9::7"),
    "192.0.2.0/99": (None, "192.0.2.7"),
    "*": ("anything.example", None),
}


@pytest.mark.parametrize(
    ("environment", "entry", "around", "through"),
    [
        *((False, entry, *hosts) for entry, hosts in WINDOWS.items()),
        *((True, entry, *hosts) for entry, hosts in ENVIRONMENT.items()),
    ],
)
def test_what_goes_around(environment: bool, entry: str, around: str | None, through: str | None) -> None:
    many = f"localhost,{entry}" if environment else f"localhost;{entry}"
    proxies = found({"HTTPS_PROXY": PROXY, "NO_PROXY": many}) if environment else found({}, settings(PROXY, many))
    assert around is None or proxies.of("https", around) is None
    assert through is None or proxies.of("https", through) == PROXY


def test_a_declared_bypass_takes_the_spellings_of_all_lists() -> None:
    proxies = found({}, proxy={"https": PROXY, "bypass": ["*.a.example", "b.example", "192.0.2.0/24"]})
    for host in ("x.a.example", "b.example", "x.b.example", "192.0.2.7"):
        assert proxies.of("https", host) is None
    assert proxies.of("https", "c.example") == PROXY


def test_names_of_values_are_compared_as_windows_does() -> None:
    assert RegistryTree(fact("f", {"https_proxy": PROXY}).value).get("HTTPS_PROXY") == PROXY
    assert found({"https_proxy": PROXY}).https == PROXY
