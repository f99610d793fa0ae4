"""The handlers with which requests authenticates: made to try once, and to tell what went wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

import requests

from azpreflight.facts.collection import utc_now
from azpreflight.facts.errors import Rejected, WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.winrm import answers

_ACTUAL = re.compile(r"available authentication method - actual: '(.*)'", re.DOTALL)
"""How requests-credssp tells that CredSSP is not offered, and what is."""


def show_ticket_once(http: requests.Session, url: str, failed: Callable[[Exception], None]) -> None:
    """Make pywinrm's Kerberos show its ticket once, and only when the node has asked for it.

    Args:
        http: the session that pywinrm has made.
        url: of the node.
        failed: told why there is nothing to show; pywinrm goes on as if nothing had been tried.
    """
    auth = cast("Any", http.auth)
    auth.force_preemptive = False
    answer, show, check = auth.handle_401, auth.generate_request_header, auth.handle_other
    left = [answer]

    def answer_once(response: requests.Response, **kwargs: Any) -> requests.Response:
        return cast("requests.Response", left.pop()(response, **kwargs)) if left else response

    def show_and_tell(*args: Any, **kwargs: Any) -> str:
        try:
            return cast("str", show(*args, **kwargs))
        except requests.RequestException as error:
            failed(error)
            raise

    def prove(response: requests.Response) -> requests.Response:
        try:
            return cast("requests.Response", check(response))
        except requests.RequestException:
            reason = f"{url} did not prove by Kerberos that it is the node; nothing was asked"
            raise WireError(Status.FAILED, reason, fatal=True) from None

    auth.handle_401, auth.generate_request_header, auth.handle_other = answer_once, show_and_tell, prove


def refusals(method: str) -> tuple[type[Exception], ...]:
    """What a handler raises when the node refuses the credential; all but CredSSP's hand on the 401."""
    if method != "credssp":
        return ()
    from requests_credssp.exceptions import AuthenticationException, NTStatusException

    return AuthenticationException, NTStatusException


def credssp_refusal(words: str, url: str, username: str) -> WireError:
    """What requests-credssp raised in the place of the answer that it got."""
    if (found := _ACTUAL.search(words)) is not None:
        return answers.unauthorized("credssp", username, url, answers.offered([found[1]]), {}, utc_now())
    return Rejected(f"the credential was rejected over CredSSP: {words[:200]}; no second attempt was made")
