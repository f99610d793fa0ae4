"""One authenticated HTTP connection to the WinRM service of a node: bytes out, bytes back.

pywinrm authenticates and encrypts. Around it: one authentication attempt and no more, a deadline over the whole answer
and a bound on its size, one TLS context for all nodes, and a direct line over the connection that authenticated.
"""

from __future__ import annotations

import binascii
import contextlib
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Literal, TypeAlias, cast

import requests
import requests.adapters
import spnego.exceptions
import urllib3
import urllib3.exceptions
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from winrm.encryption import Encryption
from winrm.exceptions import WinRMError
from winrm.transport import Transport

from azpreflight.credentials import Credential
from azpreflight.facts.collection import utc_now
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.winrm import answers, handlers, reach, tickets, tls
from azpreflight.facts.winrm.line import BoundedAdapter, Line, Reply, read_whole
from azpreflight.facts.winrm.tickets import Ticket

_SOAP = "application/soap+xml;charset=UTF-8"
CONNECT_SECONDS = 10.0
SETUP_SECONDS = 15.0
"""How long each of the requests that authenticate may take."""

Method: TypeAlias = Literal["ntlm", "basic", "certificate", "kerberos", "credssp"]
"""The ways to authenticate, as pywinrm calls them."""

_ENCRYPTING = ("ntlm", "kerberos", "credssp")
"""Those that encrypt messages where TLS does not."""
_BROKEN = (
    *(WinRMError, spnego.exceptions.SpnegoError, binascii.Error, struct.error),
    *(ValueError, IndexError, KeyError, AttributeError),
)
"""What pywinrm and the libraries below it raise on an answer that breaks authentication or encryption."""


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
        transport: how to authenticate.
        client_certificate: PEM file of the certificate to authenticate with. client_key: of its key.
        service_host: the name under which the directory knows the node, for Kerberos; the host when None.
        ticket: gets the ticket for Kerberos; None when one is at hand.
    """

    host: str
    port: int
    https: bool
    certificate_name: str
    verify: bool = True
    ca_file: str | None = None
    transport: Method = "ntlm"
    client_certificate: str | None = None
    client_key: str | None = None
    service_host: str | None = None
    ticket: Ticket | None = None

    @property
    def url(self) -> str:
        """The URL of the service."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.https else 'http'}://{host}:{self.port}/wsman"

    @property
    def client_files(self) -> tuple[str, str] | None:
        """Certificate and key to authenticate with."""
        if self.client_certificate is None or self.client_key is None:
            return None
        return self.client_certificate, self.client_key

    @property
    def encrypted(self) -> bool:
        """Whether nobody on the way can read along: by TLS or by message encryption."""
        return self.https or self.transport in _ENCRYPTING


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
        self._username = credential.username
        self.authenticated = False
        self._transport = Transport(
            endpoint=endpoint.url,
            username=credential.username,
            password=credential.password,
            auth_method=endpoint.transport,
            service="HTTP",
            kerberos_hostname_override=endpoint.service_host,
            cert_pem=endpoint.client_certificate,
            cert_key_pem=endpoint.client_key,
            # One way only: trying Kerberos and then NTLM would be two attempts. Version 5 is safe from CVE-2018-0886.
            credssp_auth_mechanism="ntlm",
            credssp_minimum_version=5,
            # Without a proxy of the operator's environment: nodes are on the operator's own network.
            proxy=None,
            ca_trust_path=endpoint.ca_file or DEFAULT_CA_BUNDLE_PATH,
            server_cert_validation="validate" if endpoint.verify else "ignore",
            # Set up here, where every answer on the way to it is seen.
            message_encryption="never",
        )
        self._http: requests.Session | None = None
        self._plain: requests.PreparedRequest | None = None
        self._headers: dict[str, str] = {}
        self._pool: urllib3.HTTPConnectionPool | None = None
        self._line: Line | None = None
        self._kerberos_failure: Exception | None = None

    def close(self) -> None:
        """Close the connection."""
        self._transport.close_session()
        if self._line is not None:
            self._line.close()
        self._http = self._pool = self._line = None

    def connect(self, deadline: Deadline) -> None:
        """Authenticate, where that needs no question: with message encryption. Nothing otherwise.

        Raises:
            WireError: as for `send`.
        """
        with self._explained(deadline):
            self._open(deadline)

    def send(self, message: bytes, deadline: Deadline) -> bytes:
        """Send one envelope. The first one authenticates.

        Returns:
            The decrypted body, an answer or a fault.

        Raises:
            Rejected: the credential, or a connection that the node does not know any more.
            WireError: no answer, or none that can be read; always fatal.
        """
        with self._explained(deadline):
            http = self._open(deadline)
            reply = self._first(http, message, deadline) if self._pool is None else self._next(message, deadline)
            if reply.status == requests.codes.unauthorized:
                raise self._unauthorized(reply.headers)
            text = self._decrypt(reply)
        if b"Envelope" not in text[:500] and (reply.status != requests.codes.ok or answers.is_page(reply.headers)):
            # Windows answers 400 without a body when it does not know the security context any more.
            raise answers.not_winrm(reply.status, reply.headers, reply.body, self._endpoint.url)
        self.authenticated = True
        return text

    @contextlib.contextmanager
    def _explained(self, deadline: Deadline) -> Iterator[None]:
        """Every way in which a connection can go wrong, as one kind of error with its cause."""
        try:
            yield
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, HTTPException) as error:
            seconds = deadline.remaining
            raise reach.explain(error, self._endpoint.url, answered=self.authenticated, seconds=seconds) from error
        except _BROKEN as error:
            raise self._broken(error) from error

    def _open(self, deadline: Deadline) -> requests.Session:
        """The HTTP session. With message encryption this is where the one authentication attempt is made."""
        if self._http is None:
            if self._endpoint.ticket is not None:
                self._endpoint.ticket.require()
            http = self._transport.build_session()
            # Nothing of the operator's environment, such as a proxy or a password file, concerns a node.
            http.trust_env = False
            if self._endpoint.transport == "kerberos":
                handlers.show_ticket_once(http, self._endpoint.url, self._keep_failure)
            if self._endpoint.https:
                here = self._endpoint
                context = tls.tls_context(here.ca_file, here.client_files, verify=here.verify)
                http.mount("https://", tls.NodeAdapter(context, here.certificate_name if here.verify else False))
            else:
                http.mount("http://", BoundedAdapter())
            if not self._endpoint.https and self._endpoint.transport in _ENCRYPTING:
                self._set_up_encryption(http, deadline)
            self._http = http
        return self._http

    def _set_up_encryption(self, http: requests.Session, deadline: Deadline) -> None:
        """Authenticate with an empty request, as the encryption of messages wants it."""
        prepared = http.prepare_request(requests.Request("POST", self._endpoint.url))
        setup = deadline.within(SETUP_SECONDS)
        response = self._authenticate(http, prepared, setup)
        # Read to its end, which gives the connection back: the security context belongs to it.
        body = _rest_of(response, setup)
        if response.status_code != requests.codes.ok or not self._was_asked(response):
            raise answers.not_winrm(response.status_code, response.headers, body, self._endpoint.url)
        self._transport.encryption = Encryption(http, self._endpoint.transport)
        self.authenticated = True
        self._use_pool(http)

    def _authenticate(
        self, http: requests.Session, prepared: requests.PreparedRequest, deadline: Deadline
    ) -> requests.Response:
        """Send a request through requests, whose handlers authenticate along the way; any answer but a 401."""
        try:
            response = http.send(prepared, timeout=_timeouts(deadline), stream=True, allow_redirects=False)
        except handlers.refusals(self._endpoint.transport) as error:
            raise handlers.credssp_refusal(str(error), self._endpoint.url, self._username) from None
        if response.status_code == requests.codes.unauthorized:
            raise self._unauthorized(response.raw.headers, response.history)
        return response

    def _first(self, http: requests.Session, message: bytes, deadline: Deadline) -> Reply:
        """The first request without message encryption: requests and its handlers authenticate along the way."""
        prepared = http.prepare_request(requests.Request("POST", self._endpoint.url, data=message))
        response = self._authenticate(http, prepared, deadline)
        if response.status_code == requests.codes.ok and not self._was_asked(response):
            raise answers.not_winrm(response.status_code, response.headers, b"", self._endpoint.url)
        self._use_pool(http)
        return Reply(response.status_code, response.headers, _rest_of(response, deadline))

    def _was_asked(self, response: requests.Response) -> bool:
        """Whether the node wanted to know who this is: WinRM always does."""
        return self._endpoint.transport not in _ENCRYPTING or bool(response.history) or self._shown(response)

    def _shown(self, response: requests.Response) -> bool:
        """Whether the request that was answered carried a token of its own; not every handler keeps a history."""
        return "Authorization" in response.request.headers

    def _keep_failure(self, error: Exception) -> None:
        self._kerberos_failure = error

    def _unauthorized(self, headers: Mapping[str, str], history: list[requests.Response] | None = None) -> WireError:
        if self._kerberos_failure is not None:
            host = self._endpoint.service_host or self._endpoint.host
            return tickets.failure(str(self._kerberos_failure), f"no ticket for HTTP/{host}")
        first = history[0].raw.headers if history else urllib3.HTTPHeaderDict(headers.items())
        schemes = answers.offered(first.getlist("WWW-Authenticate"))
        return answers.unauthorized(
            self._endpoint.transport, self._username, self._endpoint.url, schemes, headers, utc_now()
        )

    def _use_pool(self, http: requests.Session) -> None:
        # Prepared anew: the one that authenticated may carry a token that holds only once.
        prepared = http.prepare_request(requests.Request("POST", self._endpoint.url))
        adapter = cast("requests.adapters.HTTPAdapter", http.get_adapter(self._endpoint.url))
        # With the very arguments of the request that authenticated: others would find a pool without its connection.
        found = adapter.get_connection_with_tls_context(prepared, http.verify, proxies=http.proxies, cert=http.cert)
        self._pool = cast("urllib3.HTTPConnectionPool", found)
        self._plain = prepared
        # What requests adds besides says nothing to WinRM, and each header costs on both sides.
        self._headers = {"Content-Type": _SOAP, "Accept-Encoding": "identity"}
        if "Authorization" in prepared.headers:
            self._headers["Authorization"] = prepared.headers["Authorization"]

    def _next(self, message: bytes, deadline: Deadline) -> Reply:
        """Any further request, on the connection that authenticated."""
        assert self._pool is not None  # noqa: S101 - narrows the type: the caller looked
        if self._line is None:
            self._line = Line(self._pool)
        if (encryption := self._transport.encryption) is None:
            return self._line.post(message, self._headers, deadline)
        prepared = encryption.prepare_encrypted_request(
            cast("requests.Session", _Preparer()), self._endpoint.url, message
        )
        headers = {**self._headers, **prepared.headers}
        return self._line.post(cast("bytes", prepared.body), headers, deadline)

    def _decrypt(self, reply: Reply) -> bytes:
        encryption = self._transport.encryption
        if encryption is None or self._plain is None or "Content-Type" not in reply.headers:
            return reply.body
        answer = _Answer(reply.body, reply.headers, self._plain)
        return encryption.parse_encrypted_response(cast("requests.Response", answer))

    def _broken(self, error: Exception) -> WireError:
        reason = f"{self._endpoint.url} broke the protocol of authentication or encryption ({type(error).__name__})"
        return WireError(Status.FAILED, reason, fatal=True)


def _timeouts(deadline: Deadline) -> tuple[float, float]:
    """For connecting and for each read; a moment at least, since 0 would mean for ever."""
    return min(CONNECT_SECONDS, deadline.remaining) or 0.001, deadline.remaining or 0.001


def _rest_of(response: requests.Response, deadline: Deadline) -> bytes:
    """The body of a response that came by way of requests."""
    raw = cast("urllib3.BaseHTTPResponse", response.raw)
    content = read_whole(lambda: raw.read1(65_536, decode_content=True), deadline)
    raw.release_conn()
    return content
