"""HTTP answers that are no WS-Management: refusals to authenticate, and other servers in the place of WinRM."""

from __future__ import annotations

import datetime
import email.utils
import re
from collections.abc import Mapping, Sequence

import requests

from azpreflight.facts.errors import Rejected, WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.text import one_line

SKEW_SECONDS = 300.0
"""Difference of clocks that Kerberos does not accept by default."""

_SCHEMES = {
    "ntlm": ("negotiate", "ntlm"),
    "kerberos": ("negotiate",),
    "credssp": ("credssp",),
    "basic": ("basic",),
}
"""What a node has to offer in WWW-Authenticate, by transport. Nothing announces client certificates reliably."""
_SETTING = {"ntlm": "Negotiate", "kerberos": "Negotiate", "credssp": "CredSSP", "basic": "Basic"}
_SCHEME = re.compile(r"(?:^|,)\s*([A-Za-z][\w:/.+-]*)(?=\s*(?:,|$)|\s+[^\s=,]|\s+[\w-]+=)")
_MICROSOFT = "Microsoft-HTTPAPI"


def offered(challenges: Sequence[str]) -> list[str]:
    """The schemes that WWW-Authenticate headers offer, as the server spells them."""
    found = [scheme for header in challenges for scheme in _SCHEME.findall(header)]
    return list(dict.fromkeys(found))


def unauthorized(
    transport: str, username: str, url: str, schemes: Sequence[str], headers: Mapping[str, str], now: datetime.datetime
) -> WireError:
    """What a 401 means that ended an authentication.

    Args:
        transport: how it was tried.
        username: who tried.
        url: where.
        schemes: what the node offered before anything was tried.
        headers: of the last answer.
        now: by the clock of this machine, UTC.
    """
    wanted = _SCHEMES.get(transport)
    if wanted is not None and not {scheme.lower() for scheme in schemes} & set(wanted):
        offers = f"only {' and '.join(schemes)}" if schemes else "no way to authenticate"
        setting = f"WinRM setting Service\\Auth\\{_SETTING[transport]}"
        clear = transport == "basic" and url.startswith("http:")
        encrypted = " and AllowUnencrypted" if clear else ""
        reason = f"{url} offers {offers}, and {transport} was asked for ({setting}{encrypted}); nothing else was tried"
        return WireError(Status.REFUSED, reason, fatal=True)
    return Rejected(_rejection(transport, username) + skew(headers, now))


def skew(headers: Mapping[str, str], now: datetime.datetime) -> str:
    """How far the clock of a node is off ours, when it is far enough to matter; else ""."""
    try:
        theirs = email.utils.parsedate_to_datetime(headers.get("Date", ""))
    except ValueError:
        return ""
    off = (theirs.replace(tzinfo=theirs.tzinfo or datetime.UTC) - now).total_seconds()
    if abs(off) < SKEW_SECONDS:
        return ""
    return f"; its clock is {_duration(abs(off))} {'ahead of' if off > 0 else 'behind'} the one of this machine"


def not_winrm(status: int, headers: Mapping[str, str], body: bytes, url: str) -> WireError:
    """What answered in the place of WinRM, and what to do."""
    return WireError(Status.FAILED, f"HTTP status {status} {_stranger(status, headers, body, url)}", fatal=True)


def is_page(headers: Mapping[str, str]) -> bool:
    """Whether an answer is a page for people, whatever its status."""
    return headers.get("Content-Type", "").lower().startswith("text/html")


def _rejection(transport: str, username: str) -> str:
    once = "no second attempt was made"
    if transport == "certificate":
        return (
            "the client certificate was rejected (HTTP 401): Service\\Auth\\Certificate is off, no account is mapped "
            f"to it (winrm/config/service/certmapping), or that account's password has changed; {once}"
        )
    if transport == "kerberos":
        return (
            f"the ticket of {username} was rejected (HTTP 401): the node is not the one that the name stands for, it "
            f"left the domain, or the account may not log on over the network; {once}"
        )
    form = ""
    if transport == "basic" and ("\\" in username or "@" in username):
        form = "; Basic takes local accounts only"
    elif transport != "basic" and "\\" not in username and "@" not in username:
        form = f"; {username} is taken for a local account, one of a domain is written DOMAIN\\user or user@domain"
    return (
        "the credential was rejected (HTTP 401): wrong user or password, or the account is locked, disabled, expired, "
        f"must change its password, or may not log on over the network; {once}{form}"
    )


def _stranger(status: int, headers: Mapping[str, str], body: bytes, url: str) -> str:
    server = one_line(headers.get("Server", ""), 80)
    plain = body[:4000].lower()
    if status == requests.codes.proxy_authentication:
        return f"from a proxy in front of {url}, which wants to be logged on to; nodes are reached without a proxy"
    if status == requests.codes.bad_request and b"https port" in plain:
        return f"from {url}: it speaks TLS; set winrm.https to true"
    if status == requests.codes.not_found and server.startswith(_MICROSOFT):
        return f"from {url}: the node has no WinRM listener there; run winrm quickconfig on it, or correct winrm.port"
    if status == requests.codes.unavailable and server.startswith(_MICROSOFT):
        return f"without a WS-Management fault from {url}: the WinRM service is stopped or overloaded"
    if 300 <= status < 400:
        target = one_line(headers.get("Location", ""), 80)
        return f"from {url}, which leads on to {target or 'nowhere'}: another web server or a proxy answers, not WinRM"
    if (server or is_page(headers)) and not server.startswith(_MICROSOFT):
        who = server or "another web server or a proxy"
        return f"from {url}: {who} answers there, not WinRM; correct winrm.port, or what stands between"
    return f"without a WS-Management fault from {url}"


def _duration(seconds: float) -> str:
    if seconds < 7200:
        return f"{round(seconds / 60)} minutes"
    if seconds < 172_800:
        return f"{round(seconds / 3600)} hours"
    return f"{round(seconds / 86_400)} days"
