"""Proxy settings: what a text names, which places count, what a list is meant to hold for. No secret in any message."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from azpreflight.checks.bypass_lists import bypass_covers, bypass_form, bypass_subnet
from azpreflight.checks.check import Check
from azpreflight.checks.proxies import arc_agent, no_script_no_login, reached, same_everywhere, well_formed
from azpreflight.checks.proxy_settings import Proxy, declared, places, proxy_of
from azpreflight.checks.view import NotApplicable, NotObserved, View
from azpreflight.facts.observation import Status
from azpreflight.model import Outcome, TargetKind
from unit.checks.judging import findings_of, outcomes_of, site_of, view_of

PROXY = "http://proxy.edge.example:3128"
WINDOWS = "localhost;127.0.0.1;N1;N2;192.0.2.*"
ENVIRONMENT = "localhost,127.0.0.1,.svc,N1,N2,192.0.2.0/24"
SECRET = "Geheim-77"
GONE: dict[str, Any] = {"exists": False, "keys": {}}


def key(**values: Any) -> dict[str, Any]:
    kinds = {int: "REG_DWORD", str: "REG_SZ", bytes: "REG_BINARY"}
    kept = {
        name: {"type": kinds.get(type(data), "REG_SZ"), "data": data.hex() if isinstance(data, bytes) else data}
        for name, data in values.items()
    }
    return {"exists": True, "keys": {"": kept}}


def stored(proxy: str = "", bypass: str = "", flags: int | None = None) -> bytes:
    texts = b"".join(struct.pack("<I", len(part)) + part for part in (proxy.encode(), bypass.encode()))
    return struct.pack("<III", 0x28, 1, (3 if proxy else 1) if flags is None else flags) + texts


def facts(**changes: Any) -> dict[str, Any]:
    """A node with one proxy in all places; accounts have none of their own."""
    return {
        "proxy.policy": key(ProxySettingsPerUser=0),
        "proxy.machine": key(ProxyEnable=1, ProxyServer=PROXY, ProxyOverride=WINDOWS),
        "proxy.connections": key(WinHttpSettings=stored(PROXY, WINDOWS)),
        "system.environment": key(HTTP_PROXY=PROXY, HTTPS_PROXY=PROXY, NO_PROXY=ENVIRONMENT),
        "proxy.local_system": GONE,
        "proxy.local_service": GONE,
        "proxy.network_service": GONE,
        **{name.replace("__", "."): value for name, value in changes.items()},
    }


NOTHING = facts(
    proxy__policy=GONE,
    proxy__machine=GONE,
    proxy__connections=key(WinHttpSettings=stored()),
    system__environment=key(PROCESSOR_ARCHITECTURE="AMD64"),
)
WITH_PROXY = site_of(proxy={"http": PROXY, "https": PROXY})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://Proxy.Edge.example.:3128/", Proxy(scheme="http", host="proxy.edge.example", port=3128, login=False)),
        ("proxy:80", Proxy(scheme=None, host="proxy", port=80, login=False)),
        ("HTTPS://proxy", Proxy(scheme="https", host="proxy", port=None, login=False)),
        ("http://[2001:db8::1]:3128", Proxy(scheme="http", host="[2001:db8::1]", port=3128, login=False)),
        (f"http://svc:{SECRET}@proxy:1", Proxy(scheme="http", host="proxy", port=1, login=True)),
        (f"svc:{SECRET}@proxy:1", Proxy(scheme=None, host="proxy", port=1, login=True)),
        ("http://********@proxy:1", Proxy(scheme="http", host="proxy", port=1, login=True)),
        ("http://a@b@proxy:1", Proxy(scheme="http", host="proxy", port=1, login=True)),
        (" http://proxy:1 ", Proxy(scheme="http", host="proxy", port=1, login=False)),
    ],
)
def test_a_proxy_is_read(text: str, expected: Proxy) -> None:
    assert proxy_of(text) == expected


@pytest.mark.parametrize("text", ["", " ", "a b", "http://", "http://:80", "proxy:x", "proxy:123456", "http://a:1/x"])
def test_what_names_no_proxy(text: str) -> None:
    assert proxy_of(text) is None


@pytest.mark.parametrize("entry", ["*" * 3000 + "x", "*n" * 3000, "?n", "[a-z]1", "n[1]"])
def test_an_entry_of_nothing_but_asterisks_takes_no_time(entry: str) -> None:
    lists = key(HTTP_PROXY=PROXY, NO_PROXY=entry)
    assert findings_of(bypass_covers, view_of(facts(system__environment=lists)))["NO_PROXY"].outcome is Outcome.FAIL


@given(st.lists(st.text(max_size=20), max_size=6))
def test_no_list_breaks_the_reading(entries: list[str]) -> None:
    assert outcomes_of(bypass_subnet, subnet_view(*entries)).keys() == {"proxy.bypass"}
    lists = key(HTTP_PROXY=PROXY, NO_PROXY=",".join(entries))
    checks: tuple[Check[Any], ...] = (bypass_covers, bypass_form)
    for check in checks:
        assert "NO_PROXY" in outcomes_of(check, view_of(facts(system__environment=lists)))


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading(text: str) -> None:
    proxy = proxy_of(text)
    assert proxy is None or "@" not in proxy.shown


@pytest.mark.parametrize(
    ("proxy", "expected"),
    [
        ({}, {}),
        ({"http": "http://a:1"}, {"http": "http://a:1", "https": "http://a:1"}),
        ({"http": "http://a:1", "https": "http://b:2"}, {"http": "http://a:1", "https": "http://b:2"}),
    ],
)
def test_a_proxy_that_is_declared_once_holds_for_both(proxy: dict[str, str], expected: dict[str, str]) -> None:
    found = declared(site_of(proxy=proxy))
    assert {scheme: known.shown for scheme, known in found.items()} == expected


def test_the_machine_counts_where_policy_says_so_and_the_accounts_otherwise() -> None:
    by_machine = [place.name for place in places(view_of(facts()))]
    assert by_machine == ["HTTP_PROXY", "HTTPS_PROXY", "WinHTTP", "WinINET"]
    accounts = ["WinINET of LocalSystem", "WinINET of LocalService", "WinINET of NetworkService"]
    for policy in (GONE, key(ProxySettingsPerUser=1)):
        found = [place.name for place in places(view_of(facts(proxy__policy=policy)))]
        assert found == [*by_machine[:3], *accounts]


@pytest.mark.parametrize("value", [None, "0", [0], True])
def test_a_policy_of_another_type_leaves_everything_open(value: Any) -> None:
    policy = {"exists": True, "keys": {"": {"ProxySettingsPerUser": {"type": "REG_DWORD", "data": value}}}}
    with pytest.raises(NotObserved, match="ProxySettingsPerUser is no number"):
        places(view_of(facts(proxy__policy=policy)))


@pytest.mark.parametrize(
    ("changes", "outcomes"),
    [
        ({}, {"HTTP_PROXY": "pass", "HTTPS_PROXY": "pass", "WinHTTP": "pass", "WinINET": "pass"}),
        (
            {"proxy__connections": key(WinHttpSettings=stored("http=proxy.edge.example:3128"))},
            {"HTTP_PROXY": "pass", "HTTPS_PROXY": "pass", "WinHTTP": "fail", "WinINET": "pass"},
        ),
        (
            {"system__environment": key(HTTPS_PROXY="ask somebody")},
            {"HTTP_PROXY": "fail", "HTTPS_PROXY": "not_applicable", "WinHTTP": "pass", "WinINET": "pass"},
        ),
        (
            {"proxy__machine": key(AutoConfigURL="http://wpad/x.pac")},
            {"HTTP_PROXY": "pass", "HTTPS_PROXY": "pass", "WinHTTP": "pass", "WinINET": "not_applicable"},
        ),
    ],
)
def test_each_place_is_held_against_the_declared_proxy(changes: dict[str, Any], outcomes: dict[str, str]) -> None:
    found = outcomes_of(same_everywhere, view_of(facts(**changes), site=WITH_PROXY))
    assert found == outcomes


def with_script(flags: int) -> bytes:
    script = b"http://wpad/x.pac"
    return stored(flags=flags) + struct.pack("<I", len(script)) + script


@pytest.mark.parametrize(("flags", "outcome"), [(5, Outcome.FAIL), (1, Outcome.PASS)])
def test_a_script_that_is_switched_off_is_none(flags: int, outcome: Outcome) -> None:
    connections = key(WinHttpSettings=stored(PROXY), DefaultConnectionSettings=with_script(flags))
    found = outcomes_of(no_script_no_login, view_of(facts(proxy__connections=connections), site=WITH_PROXY))
    assert found["WinINET"] is outcome


@pytest.mark.parametrize("values", [GONE, key(ProxyEnable=0), key(ProxyEnable=1, ProxyServer="http://old.example:1")])
def test_the_machine_goes_by_the_stored_form(values: Any) -> None:
    connections = key(WinHttpSettings=stored(PROXY, WINDOWS), DefaultConnectionSettings=stored(PROXY, WINDOWS))
    view = view_of(facts(proxy__machine=values, proxy__connections=connections), site=WITH_PROXY)
    assert set(outcomes_of(same_everywhere, view).values()) == {Outcome.PASS}
    assert findings_of(bypass_form, view)["WinINET"].actual == WINDOWS.casefold().split(";")
    other = key(WinHttpSettings=stored(PROXY), DefaultConnectionSettings=stored("http://other.example:3128"))
    assert outcomes_of(same_everywhere, view_of(facts(proxy__connections=other)))["WinINET"] is Outcome.FAIL


FORWARDER = "http://localhost:40343"
BEHIND_GATEWAY = {"azure": {"arc_gateway": True}}


def forwarded(http: str = PROXY) -> dict[str, Any]:
    """A node that registration has put behind an Arc gateway. http: the proxy for HTTP, or none."""
    both = f"http={http};https={FORWARDER}" if http else f"https={FORWARDER}"
    variables = {"HTTPS_PROXY": FORWARDER, "NO_PROXY": ENVIRONMENT, **({"HTTP_PROXY": http} if http else {})}
    return facts(
        proxy__machine=GONE,
        proxy__connections=key(WinHttpSettings=stored(both), DefaultConnectionSettings=stored(both)),
        system__environment=key(**variables),
    )


@pytest.mark.parametrize("http", [PROXY, ""])
def test_behind_a_gateway_every_place_names_the_forwarder_of_the_agent(http: str) -> None:
    site = site_of(**BEHIND_GATEWAY, **({"proxy": {"http": http, "https": http}} if http else {}))
    found = outcomes_of(same_everywhere, view_of(forwarded(http), site=site))
    assert found == dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "WinHTTP", "WinINET"), Outcome.PASS)
    direct = {**forwarded(http), "system.environment": key(**({"HTTP_PROXY": http} if http else {}))}
    found = outcomes_of(same_everywhere, view_of(direct, site=site))
    assert [name for name, outcome in found.items() if outcome is Outcome.FAIL] == ["HTTPS_PROXY"]


def test_without_a_gateway_the_forwarder_is_a_wrong_proxy() -> None:
    found = outcomes_of(same_everywhere, view_of(forwarded(), site=WITH_PROXY))
    assert found == {
        "HTTP_PROXY": Outcome.PASS,
        "HTTPS_PROXY": Outcome.FAIL,
        "WinHTTP": Outcome.FAIL,
        "WinINET": Outcome.FAIL,
    }


def test_behind_a_gateway_the_agent_sends_on_to_the_proxy_of_the_node() -> None:
    settings = [{"Key": "connection.type", "Value": "gateway"}, {"Key": "proxy.url", "Value": PROXY}]
    agent = {"arc.config": {"LocalSettings": settings}, "arc.agent": {"httpsProxy": FORWARDER}}
    site = site_of(**BEHIND_GATEWAY, proxy={"http": PROXY, "https": PROXY})
    assert set(outcomes_of(arc_agent, view_of({**forwarded(), **agent}, site=site)).values()) == {Outcome.PASS}


def test_settings_of_the_machine_do_no_harm_where_the_accounts_have_their_own() -> None:
    own = key(ProxyEnable=1, ProxyServer=PROXY)
    accounts = {f"proxy__{name}": own for name in ("local_system", "local_service", "network_service")}
    assert set(outcomes_of(same_everywhere, view_of(facts(proxy__policy=GONE, **accounts))).values()) == {Outcome.PASS}
    some = facts(proxy__policy=GONE, **{**accounts, "proxy__local_service": GONE})
    assert outcomes_of(same_everywhere, view_of(some))["WinINET"] is Outcome.FAIL


@pytest.mark.parametrize("check", [well_formed, no_script_no_login, bypass_covers, bypass_form])
def test_without_a_proxy_there_is_nothing_to_judge(check: Check[Any]) -> None:
    with pytest.raises(NotApplicable):
        findings_of(check, view_of(NOTHING))


@pytest.mark.parametrize(
    ("fact", "value", "name"),
    [
        ("proxy.connections", Status.TIMED_OUT, "WinHTTP"),
        ("proxy.connections", key(WinHttpSettings="28"), "WinHTTP"),
        ("proxy.machine", Status.REFUSED, "WinINET"),
        ("system.environment", key(HTTP_PROXY=7, HTTPS_PROXY=PROXY, NO_PROXY=ENVIRONMENT), "HTTP_PROXY"),
    ],
)
def test_a_place_that_is_not_known_leaves_the_others_judged(fact: str, value: Any, name: str) -> None:
    view = view_of({**facts(), fact: value}, site=WITH_PROXY)
    found = outcomes_of(same_everywhere, view)
    assert found[name] is Outcome.ERROR
    assert found["HTTPS_PROXY"] is Outcome.PASS
    checks: tuple[Check[Any], ...] = (well_formed, no_script_no_login, bypass_covers, bypass_form)
    for check in checks:
        assert outcomes_of(check, view)[name] is Outcome.ERROR


def test_where_all_but_one_place_name_no_proxy_the_one_is_an_open_question() -> None:
    found = outcomes_of(same_everywhere, view_of({**NOTHING, "proxy.connections": Status.TIMED_OUT}))
    assert found.pop("WinHTTP") is Outcome.ERROR
    assert set(found.values()) == {Outcome.PASS}


def test_one_place_with_a_proxy_is_enough_to_judge_the_others() -> None:
    found = outcomes_of(same_everywhere, view_of({**NOTHING, "system.environment": key(HTTP_PROXY=PROXY)}))
    assert found.pop("HTTP_PROXY") is Outcome.PASS
    assert set(found.values()) == {Outcome.FAIL}


def with_secret(form: str) -> dict[str, Any]:
    """A recording of somebody who did not mask: what a check is given is not always what this package gathered."""
    login = form.format(f"svc:{SECRET}")
    return facts(
        proxy__machine=key(ProxyEnable=1, ProxyServer=login, ProxyOverride=WINDOWS),
        proxy__connections=key(WinHttpSettings=stored(login, WINDOWS)),
        system__environment=key(HTTP_PROXY=login, HTTPS_PROXY=login, NO_PROXY=ENVIRONMENT),
        arc__config={"LocalSettings": [{"Key": "proxy.url", "Value": login}]},
    )


@pytest.mark.parametrize(
    "check", [same_everywhere, well_formed, no_script_no_login, bypass_covers, bypass_form, arc_agent]
)
@pytest.mark.parametrize("form", ["http://{}@proxy.edge.example:3128", "{}@proxy.edge.example:3128", "{}@ and more"])
def test_no_finding_shows_a_login(check: Check[Any], form: str) -> None:
    found = findings_of(check, view_of(with_secret(form), site=WITH_PROXY))
    assert SECRET not in msgspec.json.encode(list(found.values())).decode()


@pytest.mark.parametrize(
    ("bypass", "missing"),
    [
        ("localhost,127.0.0.1,n1,N2,192.0.2.11,192.0.2.12", []),
        ("localhost,127.0.0.1,n*,192.0.*", []),
        ("*", []),
        ("localhost,127.0.0.1,n1,n2,192.0.2.11/24", []),
        ("<local>,127.0.0.1,192.0.2.8/29", []),
        ("localhost,127.0.0.1,n1,n2,192.0.2.11", ["192.0.2.12"]),
        ("localhost,127.*,n1,192.0.2.0/24", ["N2"]),
        ("localhost,127.0.0.1,n1,n2,192.0.2.0/33,999.*,1.2.3.4.*", ["192.0.2.11", "192.0.2.12"]),
    ],
)
def test_what_a_list_is_meant_to_hold_for(bypass: str, missing: list[str]) -> None:
    view = view_of(facts(system__environment=key(HTTP_PROXY=PROXY, HTTPS_PROXY=PROXY, NO_PROXY=bypass)))
    found = findings_of(bypass_covers, view)["NO_PROXY"]
    assert found.outcome is (Outcome.FAIL if missing else Outcome.PASS)
    assert found.message.endswith(f"lacks {', '.join(missing)}") or not missing


def subnet_view(*bypass: str, subnet: str = "192.0.2.0/24") -> View:
    site = site_of(proxy={"http": PROXY, "bypass": bypass}, network={"management": {"subnet": subnet}})
    return view_of(site=site, kind=TargetKind.SITE)


@pytest.mark.parametrize(
    ("bypass", "subnet", "outcome"),
    [
        (("192.0.2.0/24",), "192.0.2.0/24", Outcome.PASS),
        (("192.0.0.0/16",), "192.0.2.0/24", Outcome.PASS),
        (("192.*",), "192.0.2.0/24", Outcome.PASS),
        (("*",), "192.0.2.0/24", Outcome.PASS),
        (("192.0.2.1/24",), "192.0.2.0/24", Outcome.PASS),
        (("192", "edge.example", "::/0", "1.2.3.4.*", "192.0.2.0/x"), "192.0.2.0/24", Outcome.FAIL),
        (("192.0.2.0/25",), "192.0.2.0/24", Outcome.FAIL),
        (("192.0.2.*",), "192.0.2.0/23", Outcome.FAIL),
        ((), "192.0.2.0/24", Outcome.FAIL),
        (("192.0.2.0/24",), "nonsense", Outcome.FAIL),
    ],
)
def test_the_declared_list_and_the_subnet(bypass: tuple[str, ...], subnet: str, outcome: Outcome) -> None:
    assert set(outcomes_of(bypass_subnet, subnet_view(*bypass, subnet=subnet)).values()) == {outcome}


def test_an_agent_that_is_not_there_is_no_matter_of_its_proxy() -> None:
    with pytest.raises(NotApplicable, match="no Arc agent"):
        findings_of(arc_agent, view_of({**facts(), "arc.config": Status.NOT_PRESENT}))
    with pytest.raises(NotObserved):
        findings_of(arc_agent, view_of({**facts(), "arc.config": Status.TIMED_OUT}))


@pytest.mark.parametrize("answer", [None, [], {}, "text", {"LocalSettings": {}}, {"LocalSettings": [{"Key": 1}]}])
def test_an_answer_of_the_agent_in_another_form_is_no_proxy(answer: Any) -> None:
    with pytest.raises(NotObserved):
        findings_of(arc_agent, view_of({**facts(), "arc.config": answer}))


def test_a_proxy_that_only_the_node_names_is_not_connected_to() -> None:
    found = outcomes_of(reached, view_of(facts()), reserved=["10.96.0.0/12"])
    assert found == {"address of proxy.edge.example": Outcome.PASS, "connection": Outcome.NOT_APPLICABLE}
