"""Why a node could not be reached, in words that lead to the cause."""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
import urllib3.util.ssl_match_hostname

from azpreflight.facts import verify_codes
from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.text import one_line
from azpreflight.facts.winrm import closer

_ADVICE = {
    verify_codes.EXPIRED: "renew it, or correct the clock of this machine",
    verify_codes.NOT_YET_VALID: "correct the clock of this machine, or of the one that issued it",
    verify_codes.SELF_SIGNED: "name it in winrm.ca_file, or give the node one of an authority that is trusted",
    verify_codes.OTHER_NAME: "give the node a certificate with the declared name or address",
    verify_codes.OTHER_ADDRESS: "give the node a certificate with the declared name or address",
}
_CERTIFICATE_WANTED = ("CERTIFICATE_REQUIRED", "UNKNOWN_CA", "BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN", "CERTIFICATE_E")
"""Parts of the alerts with which a TLS listener refuses a client's certificate, or the lack of one."""


def explain(error: Exception, url: str, *, answered: bool, seconds: float = closer.LOOK_SECONDS) -> WireError:
    """The error of a connection as one with a cause and a way out.

    What failed before the node ever answered is looked at again, without HTTP and without a credential.

    Args:
        error: what requests, urllib3 or the socket raised.
        url: where.
        answered: whether this node has answered before in this conversation.
        seconds: how long such a look may take at most.
    """
    causes = list(_chain(error))
    place = urlsplit(url)
    host, https = place.hostname or "", place.scheme == "https"
    port = place.port or (443 if https else 80)
    seconds = min(seconds, closer.LOOK_SECONDS)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            advice = _ADVICE.get(cause.verify_code, "name its authority in winrm.ca_file")
            words = cause.verify_message or cause.reason
            return _certificate(url, words, closer.certificate_in_words(host, port, seconds), advice)
        if isinstance(cause, (ssl.CertificateError, urllib3.util.ssl_match_hostname.CertificateError)):
            seen = closer.certificate_in_words(host, port, seconds)
            return _certificate(url, _one_line(cause), seen, _ADVICE[verify_codes.OTHER_NAME])
        if isinstance(cause, ssl.SSLError) and not answered:
            return _unreachable(f"no TLS session with {url}: {_tls_failure(cause)}")
        if isinstance(cause, socket.gaierror):
            return _unreachable(
                f"the name in {url} does not resolve: correct the declared address, or the DNS that this machine asks"
            )
        if isinstance(cause, ConnectionRefusedError):
            hint = closer.other_default_port(host, port, seconds)
            return _unreachable(f"{url} refuses connections: WinRM is not running or listens on another port{hint}")
    if any(isinstance(c, (requests.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError)) for c in causes):
        hint = closer.other_default_port(host, port, seconds)
        return _unreachable(
            f"no answer from {url} when connecting: the node is off, or a firewall drops the packets{hint}"
        )
    if any(isinstance(c, (TimeoutError, requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError)) for c in causes):
        return WireError(Status.TIMED_OUT, f"{url} accepted the connection and did not answer in time", fatal=True)
    strange = next((c for c in causes if isinstance(c, requests.exceptions.InvalidHeader)), None)
    if strange is not None:
        return WireError(Status.FAILED, f"{url} answered with {strange}", fatal=True)
    if any(isinstance(c, urllib3.exceptions.IncompleteRead) for c in causes):
        reason = f"the connection to {url} was cut in the middle of an answer"
        return WireError(Status.FAILED, reason, fatal=True)
    if not answered and not https and closer.speaks_tls(host, port, seconds):
        return _unreachable(f"{url} ends connections in plain HTTP, for it speaks TLS: set winrm.https to true")
    when = "in the middle of the conversation" if answered else "before it answered"
    telling = next((c for c in reversed(causes) if isinstance(c, OSError) and c.errno), causes[0])
    detail = _one_line(telling) or type(telling).__name__
    status = Status.FAILED if answered else Status.UNREACHABLE
    return WireError(status, f"the connection to {url} broke {when}: {detail}", fatal=True)


def _certificate(url: str, words: str, seen: str, advice: str) -> WireError:
    return _unreachable(one_line(f"the TLS certificate of {url} is not accepted: {words}{seen}; {advice}", 580))


def _tls_failure(error: ssl.SSLError) -> str:
    detail = error.reason or _one_line(error)
    if closer.is_no_tls(error):
        return f"{detail}; it speaks plain HTTP there: set winrm.https to false (ntlm and kerberos encrypt messages)"
    if "ALERT" in detail and any(part in detail for part in _CERTIFICATE_WANTED):
        return f"{detail}; it does not accept the client certificate (winrm.client_certificate), or wants one"
    return detail


def _one_line(error: BaseException) -> str:
    return one_line(str(error), 300)


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
