"""Proxies of the nodes: the same in every place, well written, reached, and known to the Arc agent."""

from __future__ import annotations

from collections.abc import Iterator

from azpreflight.checks.agreement import same
from azpreflight.checks.check import NoParameters, check, failed, irrelevant, judged, passed, unjudged
from azpreflight.checks.proxy_settings import (
    FACTS,
    NO_PROXY_IN_USE,
    VARIABLES,
    WININET,
    Place,
    Proxy,
    declared,
    in_use,
    machine_wininet,
    naming_places,
    places,
    proxy_of,
    unknown,
    used_places,
)
from azpreflight.checks.ranges import single
from azpreflight.checks.reach import CONNECTED, FILTERED, NAME_UNKNOWN, REFUSED, connection, port_rows
from azpreflight.checks.subnets import ReservedRanges, reserved_hit
from azpreflight.checks.view import NotApplicable, NotObserved, View
from azpreflight.facts.observation import Status
from azpreflight.facts.probes import Probe
from azpreflight.model import Finding, Value
from azpreflight.site.references import resolve

REACHED = "reach.proxy"
AGENT = "arc.agent"
AGENT_CONFIG = "arc.config"
GATEWAY = Proxy(scheme="http", host="localhost", port=40343, login=False)
"""Where the agent's own forwarder to an Arc gateway listens."""
AGENT_PORT = 80
"""The port that the agent takes where `proxy.url` names none."""


@check("proxy.same_everywhere", *FACTS)
def same_everywhere(view: View, _: NoParameters) -> Iterator[Finding]:
    """Every place names the declared proxy; where none is declared, the same one as the others, or none as the others.

    A place that follows a script or looks for a proxy, and one whose text is not to be understood, say nothing of
    which proxy they mean. Behind an Arc gateway, registration puts the agent's own forwarder into every place for
    HTTPS: where it has done so in one, all others should have it too.
    """
    found = places(view)
    if not in_use(view, found):
        yield passed("proxy", "no place names a proxy, and none is declared")
        return
    expected, whose = _expected(view, found)
    accounts = [place for place in found if place.name.startswith(f"{WININET} ")]
    without = [place for place in accounts if not (place.servers or place.script or place.unknown)]
    if without and machine_wininet(view).servers:
        reason = "ProxySettingsPerUser is not 0: services use the settings of their own accounts"
        yield failed(WININET, f"the WinINET proxy of the machine has no effect, since {reason}", expected=0)
        found = [place for place in found if place not in accounts]
    for place in found:
        yield _agreement(place, expected, whose)


def _expected(view: View, found: list[Place]) -> tuple[dict[str, Proxy], str]:
    """The proxy by scheme that every place should name, and who says so."""
    known = declared(view.site)
    if view.site.azure.arc_gateway is True and any(GATEWAY in map(proxy_of, place.servers.values()) for place in found):
        texts = [place.servers["http"] for place in found if "http" in place.servers]
        http = known.get("http") or next(filter(None, map(proxy_of, texts)), None)
        return {"https": GATEWAY, **({"http": http} if http else {})}, "needed behind an Arc gateway"
    if known:
        return known, "declared"
    named = ((place.name, text) for place in found for text in place.servers.values())
    first = next(((name, proxy) for name, text in named if (proxy := proxy_of(text)) is not None), None)
    return ({}, "") if first is None else (dict.fromkeys(VARIABLES, first[1]), f"in {first[0]}")


def _agreement(place: Place, expected: dict[str, Proxy], whose: str) -> Finding:
    if place.unknown:
        return unknown(place)
    if not place.servers and (place.script or place.detects):
        return irrelevant(place.name, f"{place.name} names no proxy but finds one by itself, which is judged apart")
    missing, other = [], []
    for scheme in place.schemes:
        text, wanted = place.servers.get(scheme), expected.get(scheme)
        if wanted is None and not text:
            continue
        if wanted is None or (text and proxy_of(text) is None):
            return irrelevant(place.name, f"what {place.name} names is no proxy, which is judged apart")
        proxy = proxy_of(text or "")
        if proxy is None:
            missing.append(f"{place.name} names no proxy for {scheme}, and {wanted.shown} is {whose}")
        elif not proxy.agrees(wanted):
            other.append(f"{place.name} names {proxy.shown} for {scheme}, not {wanted.shown} as {whose}")
    if not missing and not place.servers:
        return passed(place.name, f"{place.name} names no proxy", actual=_shown(place))
    return judged(
        not missing and not other,
        place.name,
        if_good=f"{place.name} names the proxy that is {whose}",
        if_bad="; ".join(dict.fromkeys([*other, *missing])),
        expected={scheme: proxy.shown for scheme, proxy in expected.items() if scheme in place.schemes},
        actual=_shown(place),
    )


def _shown(place: Place) -> dict[str, Value]:
    """What a place names, fit for a report: no user, and nothing that could be one."""
    found = {scheme: proxy_of(text) for scheme, text in place.servers.items()}
    return {scheme: proxy.shown if proxy else "not to be understood" for scheme, proxy in found.items()}


@check("proxy.form", *FACTS)
def well_formed(view: View, _: NoParameters) -> Iterator[Finding]:
    """Every proxy that a place names is written `http://host:port`, also the one for HTTPS."""
    for place in naming_places(view):
        if place.unknown:
            yield unknown(place)
            continue
        reasons = [reason for text in dict.fromkeys(place.servers.values()) for reason in _faults(text)]
        yield judged(
            not reasons,
            place.name,
            if_good=f"{place.name} names its proxy by scheme, host and port",
            if_bad=f"the proxy of {place.name} {', '.join(dict.fromkeys(reasons))}",
            expected="http://host:port",
            actual=_shown(place),
        )


def _faults(text: str) -> Iterator[str]:
    proxy = proxy_of(text)
    if proxy is None:
        yield "is not to be understood"
        return
    if proxy.scheme is None:
        yield "does not start with http://"
    elif proxy.scheme != "http":
        yield f"starts with {proxy.scheme}:// instead of http://"
    if proxy.port is None:
        yield "names no port"
    elif not 0 < proxy.port < 65536:
        yield f"names the port {proxy.port}, which there is not"


@check("proxy.no_script_no_login", *FACTS)
def no_script_no_login(view: View, _: NoParameters) -> Iterator[Finding]:
    """No place rests on a configuration script or on finding a proxy by itself, and none holds a user or a password."""
    for place in used_places(view):
        if place.unknown:
            yield unknown(place)
            continue
        reasons = []
        if place.script:
            reasons.append("follows a configuration script (PAC)")
        if place.detects:
            reasons.append("looks for a proxy on the network instead of naming one")
        found = [proxy_of(text) for text in place.servers.values()]
        if any(proxy is not None and proxy.login for proxy in found):
            reasons.append("holds a user for the proxy, which takes none: proxies that want a login are not supported")
        yield judged(
            not reasons,
            place.name,
            if_good=f"{place.name} has no script, no login and no automatic detection",
            if_bad=f"{place.name} {' and '.join(reasons)}",
            expected="a named proxy without a login",
        )


@check("proxy.reached", *FACTS, REACHED, parameters=ReservedRanges)
def reached(view: View, parameters: ReservedRanges) -> Iterator[Finding]:
    """The node connects to each declared proxy, and no proxy that only the node names is in a reserved range.

    Declared addresses in reserved ranges are judged with all other declared addresses.
    """
    found = used_places(view)
    known = declared(view.site)
    yield from (unknown(place) for place in found if place.unknown)
    named = {proxy.host for place in found for text in place.servers.values() if (proxy := proxy_of(text)) is not None}
    for host in sorted(named - {proxy.host for proxy in known.values()}):
        address = single(host)
        hit = None if address is None else reserved_hit(address, parameters.reserved)
        yield judged(
            hit is None,
            f"address of {host}",
            if_good=f"{host} is in no reserved range",
            if_bad=f"{host} is in {hit}, which the system uses inside itself",
            expected=list(parameters.reserved),
            actual=hit,
        )
    for wanted in resolve("site.proxy_ports", view.site):
        yield _reached(view, wanted)
    if not known:
        yield irrelevant("connection", "no proxy is declared, so none was connected to")


def _reached(view: View, wanted: str) -> Finding:
    probe = Probe.of_port(wanted)
    rows = port_rows(view.rows(REACHED), probe.host, probe.port)
    state = connection(rows)
    if state == CONNECTED:
        return passed(wanted, f"the node connects to the proxy {wanted}", expected=CONNECTED, actual=state)
    if state in (REFUSED, FILTERED, NAME_UNKNOWN):
        message = f"the node does not connect to the proxy {wanted}: {state}"
        return failed(wanted, message, expected=CONNECTED, actual=state)
    return unjudged(wanted, f"it is not known whether the node connects to the proxy {wanted}: {state}")


@check("proxy.arc_agent", *FACTS, AGENT, AGENT_CONFIG)
def arc_agent(view: View, _: NoParameters) -> Iterator[Finding]:
    """The Arc agent uses the proxy of the node: its own `proxy.url`, or HTTPS_PROXY where that is empty.

    With an Arc gateway the agent sends everything to its own forwarder, and that one to the proxy.
    """
    if view.observation(AGENT_CONFIG).status is Status.NOT_PRESENT:
        raise NotApplicable("there is no Arc agent on the node")
    settings = _agent_settings(view)
    url, kind = settings.get("proxy.url"), settings.get("connection.type", "default")
    if not isinstance(url, str) or not isinstance(kind, str):
        yield unjudged("proxy.url", "the agent does not tell its proxy.url, or its way to Azure")
        return
    if same(kind, "gateway"):
        yield _through_gateway(view.value(AGENT))
    found = places(view)
    if not url:
        if not in_use(view, found):
            raise NotApplicable(NO_PROXY_IN_USE)
        # Whether HTTPS_PROXY is right is judged where the places are compared.
        yield passed("proxy.url", "the agent has no proxy of its own and follows HTTPS_PROXY")
        return
    expected = _expected(view, found)[0]
    # Behind a gateway the agent's own proxy is the one to which its forwarder sends.
    proxy, wanted = proxy_of(url), expected.get("http" if expected.get("https") == GATEWAY else "https")
    if proxy is None or proxy.login:
        yield failed("proxy.url", "the agent's proxy.url is no URL of a proxy without a login")
        return
    if wanted is None and any(place.unknown for place in found):
        yield unjudged("proxy.url", f"the agent uses {proxy.shown}, and what the node uses is not known")
        return
    same_port = wanted is not None and (proxy.port or AGENT_PORT) == (wanted.port or AGENT_PORT)
    yield judged(
        wanted is not None and proxy.host == wanted.host and same_port,
        "proxy.url",
        if_good=f"the agent uses {proxy.shown}, as the node does",
        if_bad=f"the agent uses {proxy.shown}, and the node {wanted.shown if wanted else 'no proxy'}",
        expected=wanted.shown if wanted else None,
        actual=proxy.shown,
    )


def _through_gateway(agent: Value) -> Finding:
    """Whether the agent's proxy is its own forwarder."""
    text = agent.get("httpsProxy") if isinstance(agent, dict) else None
    proxy = proxy_of(text) if isinstance(text, str) else None
    if not isinstance(text, str) or (text and proxy is None):
        return unjudged("gateway", "the agent does not tell the proxy that it uses for the Arc gateway")
    return judged(
        proxy is not None and proxy.host in (GATEWAY.host, "127.0.0.1") and proxy.port == GATEWAY.port,
        "gateway",
        if_good=f"the agent sends to its forwarder {GATEWAY.shown}",
        if_bad=f"the agent is to use an Arc gateway and sends to {proxy.shown if proxy else 'no proxy'}, "
        f"not to its forwarder {GATEWAY.shown}",
        expected=GATEWAY.shown,
        actual=proxy.shown if proxy else None,
    )


def _agent_settings(view: View) -> dict[str, Value]:
    """The agent's settings by name, regardless of letter case.

    Raises:
        NotObserved: the answer has another form, so that a setting that is missing may be there.
    """
    value = view.value(AGENT_CONFIG)
    entries = value.get("LocalSettings") if isinstance(value, dict) else None
    found: dict[str, Value] = {}
    for entry in entries if isinstance(entries, list) else [None]:
        if not isinstance(entry, dict) or not isinstance(entry.get("Key"), str):
            raise NotObserved(AGENT_CONFIG, view.node.name, Status.FAILED, "the agent's settings have another form")
        found[entry["Key"].casefold()] = entry.get("Value")
    return found
