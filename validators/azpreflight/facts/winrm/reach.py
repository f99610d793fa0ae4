"""Why a node could not be reached, in words that lead to the cause."""

from __future__ import annotations

import socket
import ssl

import requests
import urllib3.exceptions
import urllib3.util.ssl_match_hostname

from azpreflight.facts.observation import Status
from azpreflight.facts.winrm.errors import WireError


def explain(error: Exception, url: str, *, answered: bool) -> WireError:
    """The error of a connection as one with a cause and a way out.

    Args:
        error: what requests, urllib3 or the socket raised.
        url: where.
        answered: whether this node has answered before in this conversation.
    """
    causes = list(_chain(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _unreachable(
                f"the TLS certificate of {url} is not accepted: {cause.verify_message or cause.reason}; "
                "name its authority in winrm.ca_file, or renew it"
            )
        if isinstance(cause, (ssl.CertificateError, urllib3.util.ssl_match_hostname.CertificateError)):
            return _unreachable(f"the TLS certificate of {url} is not accepted: {_one_line(cause)}")
        if isinstance(cause, ssl.SSLError) and not answered:
            return _unreachable(f"no TLS session with {url}: {cause.reason or _one_line(cause)}")
        if isinstance(cause, socket.gaierror):
            return _unreachable(f"the name in {url} does not resolve")
        if isinstance(cause, ConnectionRefusedError):
            return _unreachable(f"{url} refuses connections: WinRM is not running or listens on another port")
    if any(isinstance(c, (requests.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError)) for c in causes):
        return _unreachable(f"no answer from {url} when connecting: the node is off, or a firewall drops the packets")
    if any(isinstance(c, (TimeoutError, requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError)) for c in causes):
        return WireError(Status.TIMED_OUT, f"{url} accepted the connection and did not answer in time", fatal=True)
    if any(isinstance(c, urllib3.exceptions.IncompleteRead) for c in causes):
        reason = f"the connection to {url} was cut in the middle of an answer"
        return WireError(Status.FAILED, reason, fatal=True)
    when = "in the middle of the conversation" if answered else "before it answered"
    telling = next((c for c in reversed(causes) if isinstance(c, OSError) and c.errno), causes[0])
    detail = _one_line(telling) or type(telling).__name__
    status = Status.FAILED if answered else Status.UNREACHABLE
    return WireError(status, f"the connection to {url} broke {when}: {detail}", fatal=True)


def _one_line(error: BaseException) -> str:
    text = "".join(character if character.isprintable() else " " for character in str(error))
    return " ".join(text.split())[:300]


def _unreachable(reason: str) -> WireError:
    return WireError(Status.UNREACHABLE, reason, fatal=True)


def _chain(error: BaseException) -> list[BaseException]:
    """The error and everything it came from: libraries wrap the telling one several times over."""
    found: list[BaseException] = []
    queue: list[object] = [error]
    while queue:
        cause = queue.pop(0)
        if isinstance(cause, BaseException) and cause not in found:
            found.append(cause)
            queue += [getattr(cause, "reason", None), cause.__cause__, cause.__context__, *cause.args]
    return found
