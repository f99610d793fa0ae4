"""One authenticated HTTP connection to the WinRM service of a node: bytes out, bytes back.

pywinrm authenticates and encrypts. Around it: one authentication attempt and no more, a deadline over the whole answer
and a bound on its size, one TLS context for all nodes, and requests that go straight to the connection pool, since
requests' own way costs more than everything else together.
"""

from __future__ import annotations

import binascii
import functools
import ssl
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import requests
import requests.adapters
import spnego.exceptions
import urllib3
import urllib3.exceptions
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from winrm.exceptions import InvalidCredentialsError, WinRMError, WinRMTransportError
from winrm.transport import Transport

from azpreflight.credentials import Credential
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.observation import Status
from azpreflight.facts.winrm import reach
from azpreflight.facts.winrm.errors import Rejected, WireError

MAX_ANSWER = 8 * 1024 * 1024
"""Bytes of one answer after which a node is taken to be broken; Windows sends 500 KiB at most by default."""

CONNECT_SECONDS = 10.0
SETUP_SECONDS = 15.0
"""How long each of the requests that authenticate may take."""

_BROKEN = (WinRMError, spnego.exceptions.SpnegoError, binascii.Error, struct.error, ValueError, IndexError, KeyError)
"""What pywinrm and the libraries below it raise on an answer that breaks authentication or encryption."""

REJECTED = (
    "the credential was rejected (HTTP 401): wrong user or password, or the account is locked, disabled, expired, must "
    "change its password, or may not log on over the network; no second attempt was made"
)


@dataclass(frozen=True)
class Endpoint:
    """Where the WinRM service of a node is reached, and how.

    Attributes:
        host: host name or address to connect to, as declared or redirected.
        port: TCP port.
        https: whether TLS is used.
        certificate_name: the name or address that the certificate must bear.
        verify: whether the certificate is verified.
        ca_file: the authorities to trust, None for the public ones.
        transport: `ntlm` or `basic`.
    """

    host: str
    port: int
    https: bool
    certificate_name: str
    verify: bool = True
    ca_file: str | None = None
    transport: Literal["ntlm", "basic"] = "ntlm"

    @property
    def url(self) -> str:
        """The URL of the service."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.https else 'http'}://{host}:{self.port}/wsman"

    @property
    def encrypted(self) -> bool:
        """Whether nobody on the way can read along: by TLS or by message encryption."""
        return self.https or self.transport == "ntlm"


@functools.lru_cache(maxsize=8)
def tls_context(ca_file: str | None, *, verify: bool) -> ssl.SSLContext:
    """What certificates of nodes are held to. Reading the public authorities takes longer than a whole request."""
    context = ssl.create_default_context(cafile=ca_file or DEFAULT_CA_BUNDLE_PATH)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class _NodeAdapter(requests.adapters.HTTPAdapter):
    """Connects with the shared TLS context, and holds the certificate to the node's name behind a tunnel as well."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._tls = {
            "ssl_context": tls_context(endpoint.ca_file, verify=endpoint.verify),
            "assert_hostname": endpoint.certificate_name if endpoint.verify else False,
        }
        super().__init__()

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, self._tls

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: the context decides."""


@dataclass
class _Prepared:
    """What pywinrm's encryption fills in: body and headers of one request, without requests' preparation of both."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class _Preparer:
    """Stands where pywinrm's encryption expects a session: it asks for nothing but this."""

    def prepare_request(self, request: requests.Request) -> _Prepared:
        return _Prepared(cast("bytes", request.data))


@dataclass
class _Answer:
    """What pywinrm's decryption reads of a response, and nothing else."""

    content: bytes
    headers: Mapping[str, str]
    request: requests.PreparedRequest


class Channel:
    """An HTTP connection that authenticates once.

    Attributes:
        authenticated: whether the node has accepted the credential on this connection.
    """

    def __init__(self, endpoint: Endpoint, credential: Credential) -> None:
        self._endpoint = endpoint
        self.authenticated = False
        self._transport = Transport(
            endpoint=endpoint.url,
            username=credential.username,
            password=credential.password,
            auth_method=endpoint.transport,
            # Without a proxy of the operator's environment: nodes are on the operator's own network.
            proxy=None,
            ca_trust_path=endpoint.ca_file or DEFAULT_CA_BUNDLE_PATH,
            server_cert_validation="validate" if endpoint.verify else "ignore",
        )
        self._http: requests.Session | None = None
        self._plain: requests.PreparedRequest | None = None
        self._pool: urllib3.HTTPConnectionPool | None = None

    def close(self) -> None:
        """Close the connection."""
        self._transport.close_session()
        self._http = self._pool = None

    def send(self, message: bytes, deadline: Deadline) -> bytes:
        """Send one envelope. The first one authenticates.

        Returns:
            The decrypted body, an answer or a fault.

        Raises:
            Rejected: the credential, or a connection that the node does not know any more.
            WireError: no answer, or none that can be read; always fatal.
        """
        http = self._open(deadline)
        try:
            response = self._first(http, message, deadline) if self._pool is None else self._next(message, deadline)
            body = _read(response, deadline)
            if response.status == requests.codes.unauthorized:
                raise Rejected(REJECTED)
            text = self._decrypt(response, body)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise reach.explain(error, self._endpoint.url, answered=self.authenticated) from error
        except _BROKEN as error:
            raise self._not_winrm(error) from error
        if response.status != requests.codes.ok and b"Envelope" not in text[:500]:
            # Windows answers 400 without a body when it does not know the security context any more.
            reason = f"HTTP status {response.status} without a WS-Management fault from {self._endpoint.url}"
            raise WireError(Status.FAILED, reason, fatal=True)
        self.authenticated = True
        return text

    def _open(self, deadline: Deadline) -> requests.Session:
        """The HTTP session. With message encryption this is where the one authentication attempt is made."""
        if self._http is None:
            self._transport.read_timeout_sec = max(1, int(min(SETUP_SECONDS, deadline.remaining)))
            try:
                self._http = self._transport.build_session()
            except InvalidCredentialsError:
                raise Rejected(REJECTED) from None
            except PermissionError:
                reason = "the node offers no NTLM authentication (WinRM setting Auth\\Negotiate)"
                raise Rejected(reason) from None
            except WinRMTransportError as error:
                reason = f"{self._endpoint.url} answered HTTP status {error.args[1]}"
                raise WireError(Status.FAILED, reason, fatal=True) from None
            except (requests.RequestException, OSError) as error:
                raise reach.explain(error, self._endpoint.url, answered=False) from error
            except _BROKEN as error:
                raise self._not_winrm(error) from error
            if self._endpoint.https:
                self._http.mount("https://", _NodeAdapter(self._endpoint))
            elif self._transport.encryption is not None:
                self.authenticated = True
                self._use_pool(self._http, self._http.prepare_request(requests.Request("POST", self._endpoint.url)))
        return self._http

    def _first(self, http: requests.Session, message: bytes, deadline: Deadline) -> urllib3.BaseHTTPResponse:
        """The first request over HTTPS: requests and its NTLM handler authenticate along the way."""
        prepared = http.prepare_request(requests.Request("POST", self._endpoint.url, data=message))
        response = http.send(prepared, timeout=_timeouts(deadline), stream=True)
        if response.status_code != requests.codes.unauthorized:
            self._use_pool(http, prepared)
        return cast("urllib3.BaseHTTPResponse", response.raw)

    def _use_pool(self, http: requests.Session, prepared: requests.PreparedRequest) -> None:
        adapter = cast("requests.adapters.HTTPAdapter", http.get_adapter(self._endpoint.url))
        # With the very arguments of the request that authenticated: others would find a pool without its connection.
        found = adapter.get_connection_with_tls_context(prepared, http.verify, proxies=http.proxies, cert=http.cert)
        self._pool = cast("urllib3.HTTPConnectionPool", found)
        prepared.headers.pop("Content-Length", None)
        self._plain = prepared

    def _next(self, message: bytes, deadline: Deadline) -> urllib3.BaseHTTPResponse:
        """Any further request, straight to the pool: nothing there answers a 401 with another attempt."""
        assert self._pool is not None and self._plain is not None  # noqa: S101, PT018 - set together with each other
        headers = dict(self._plain.headers)
        body = message
        if (encryption := self._transport.encryption) is not None:
            prepared = encryption.prepare_encrypted_request(
                cast("requests.Session", _Preparer()), self._endpoint.url, message
            )
            headers |= prepared.headers
            body = cast("bytes", prepared.body)
        connect, read = _timeouts(deadline)
        return self._pool.urlopen(
            "POST",
            "/wsman",
            body=body,
            headers=headers,
            timeout=urllib3.Timeout(connect=connect, read=read),
            retries=False,
            redirect=False,
            preload_content=False,
        )

    def _decrypt(self, response: urllib3.BaseHTTPResponse, body: bytes) -> bytes:
        encryption = self._transport.encryption
        if encryption is None or self._plain is None or "Content-Type" not in response.headers:
            return body
        answer = _Answer(body, response.headers, self._plain)
        return encryption.parse_encrypted_response(cast("requests.Response", answer))

    def _not_winrm(self, error: Exception) -> WireError:
        reason = f"{self._endpoint.url} broke the protocol of authentication or encryption ({type(error).__name__})"
        return WireError(Status.FAILED, reason, fatal=True)


def _timeouts(deadline: Deadline) -> tuple[float, float]:
    """For connecting and for each read; a moment at least, since 0 would mean for ever."""
    return min(CONNECT_SECONDS, deadline.remaining) or 0.001, deadline.remaining or 0.001


def _read(response: urllib3.BaseHTTPResponse, deadline: Deadline) -> bytes:
    """The whole body, within the deadline and the bound on its size, however slowly it drips."""
    chunks: list[bytes] = []
    size = 0
    while chunk := response.read1(65_536, decode_content=True):
        size += len(chunk)
        chunks.append(chunk)
        if size > MAX_ANSWER:
            raise WireError(Status.FAILED, f"the answer is larger than {MAX_ANSWER >> 20} MiB", fatal=True)
        if deadline.over:
            raise WireError(Status.TIMED_OUT, "the answer did not end in the time given", fatal=True)
    response.release_conn()
    return b"".join(chunks)
