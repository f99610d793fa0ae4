"""What directories answer instead of entries, in words that lead to the way out. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from azpreflight.facts.errors import Rejected, WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.text import one_line

SUCCESS = 0
REFERRAL = 10
SASL_CONTINUES = 14
NO_SUCH_OBJECT = 32
_OPERATIONS_ERROR = 1
_STRONGER_AUTHENTICATION = 8
_INVALID_CREDENTIALS = 49

_NOT_LOGGED_ON = ("bind must be completed", "without authentication")
"""Words of Windows and of Samba for a question that comes before a bind."""
_DATA = re.compile(r"\bdata ([0-9a-f]+)\b")
_REFUSED_LOGON: Mapping[str, str] = MappingProxyType(
    {
        "525": "there is no such user",
        "52e": "user name or password is wrong",
        "52f": "a restriction of the account forbids it",
        "530": "the account may not log on at this time",
        "531": "the account may not log on from this machine",
        "532": "the password has expired",
        "533": "the account is disabled",
        "534": "the account may not log on this way",
        "568": "the account is in too many groups",
        "701": "the account has expired",
        "773": "the password must be changed before the first logon",
        "775": "the account is locked",
        "80090346": "the directory wants the logon bound to its TLS channel, and something in between ends TLS",
    }
)
"""Numbers of Windows, in hexadecimal, that a refused bind carries behind the word `data`."""

_RESULTS: Mapping[int, tuple[Status, str]] = MappingProxyType(
    {
        _OPERATIONS_ERROR: (Status.FAILED, "the operation failed there"),
        2: (Status.FAILED, "it takes the request for a breach of the protocol"),
        3: (Status.TIMED_OUT, "its time limit for the search was over"),
        4: (Status.FAILED, "there are more entries than it gives"),
        7: (Status.REFUSED, "it does not offer this way to authenticate"),
        _STRONGER_AUTHENTICATION: (
            Status.REFUSED,
            "it wants signing or encryption: set directory.tls to ldaps or starttls",
        ),
        11: (Status.FAILED, "a limit set by its administrator was exceeded"),
        12: (Status.FAILED, "it does not know an extension that azpreflight needs"),
        13: (Status.REFUSED, "it answers over encrypted connections alone: set directory.tls to ldaps or starttls"),
        34: (Status.FAILED, "the base of the search is no distinguished name: correct it in the site file"),
        48: (Status.REFUSED, "it refuses this way to authenticate"),
        50: (Status.REFUSED, "the account may not read that: give it the right, or use another account"),
        51: (Status.FAILED, "it is busy: try again later"),
        52: (Status.UNREACHABLE, "it is not available: try again later"),
        53: (Status.REFUSED, "it is unwilling to answer that"),
    }
)


def logon_error(result: Mapping[str, Any], who: str, controller: str) -> WireError:
    """The error of a bind that did not succeed. Never followed by another attempt: accounts lock."""
    if result["result"] == _INVALID_CREDENTIALS:
        found = _DATA.search(str(result["message"]).casefold())
        code = found[1] if found is not None else None
        meaning = _REFUSED_LOGON.get(code or "", "the credential is refused")
        shown = f" (data {code})" if code is not None else ""
        return Rejected(f"{controller} rejected the credential of {who}: {meaning}{shown}; no second attempt was made")
    error = search_error(result, controller)
    return WireError(error.status, f"{who} could not log on: {error.reason}")


def search_error(result: Mapping[str, Any], controller: str) -> WireError:
    """The error of an answer that is neither success nor "no such object"."""
    code = int(result["result"])
    if code == REFERRAL:
        places = ", ".join(map(_shown, result["referrals"] or ())) or "elsewhere"
        reason = f"{controller} refers to {places[:300]}, which azpreflight does not follow: declare that domain"
        return WireError(Status.FAILED, reason)
    message = _shown(result["message"])
    if code == _OPERATIONS_ERROR and any(words in message for words in _NOT_LOGGED_ON):
        return WireError(Status.REFUSED, f"{controller} answers nobody who has not logged on")
    status, meaning = _RESULTS.get(code, (Status.FAILED, f"result {code}, {_shown(result['description'])}"))
    return WireError(status, f"{controller}: {meaning}" + (f" ({message[:200]})" if message else ""))


def _shown(text: Any) -> str:
    return one_line(str(text or ""), 300)
