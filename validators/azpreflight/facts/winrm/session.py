"""One authenticated WinRM connection to one node, driven through pywinrm's transport.

pywinrm authenticates and encrypts. What it lacks is added here: a deadline over the whole answer, a bound on its size,
faults with their inner codes, one authentication attempt and no more, and one kind of error.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast
from xml.etree import ElementTree as ET

import requests
import spnego.exceptions
import urllib3.exceptions
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from winrm.exceptions import InvalidCredentialsError, WinRMError, WinRMTransportError
from winrm.transport import Transport

from azpreflight.credentials import Credential
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.observation import Status
from azpreflight.facts.winrm import reach
from azpreflight.facts.winrm.errors import Rejected, WireError
from azpreflight.facts.winrm.faults import fault_of
from azpreflight.facts.winrm.soap import body_of, envelope, parse

MAX_ANSWER = 8 * 1024 * 1024
"""Bytes of one answer after which a node is taken to be broken; Windows sends 500 KiB at most by default."""

CONNECT_SECONDS = 10.0
GRACE_SECONDS = 5.0
"""How much longer to listen than the node was told it may take, so that its own timeout fault arrives."""

_BROKEN = (WinRMError, spnego.exceptions.SpnegoError, binascii.Error, struct.error, ValueError, IndexError, KeyError)
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


@dataclass
class _Answer:
    """What pywinrm's decryption needs of a response."""

    content: bytes
    headers: Mapping[str, str]
    request: requests.PreparedRequest


class Session:
    """A conversation with one node.

    Attributes:
        requests: how many envelopes were sent; the requests of the authentication are not among them.
        authenticated: whether the node has accepted the credential.
    """

    def __init__(self, endpoint: Endpoint, credential: Credential, operation_seconds: float) -> None:
        self.endpoint = endpoint
        self.requests = 0
        self.authenticated = False
        self._operation_seconds = operation_seconds
        self._credential = credential
        self._broken: WireError | None = None
        self._http: requests.Session | None = None
        self._transport = self._new_transport()

    def _new_transport(self) -> Transport:
        return Transport(
            endpoint=self.endpoint.url,
            username=self._credential.username,
            password=self._credential.password,
            auth_method=self.endpoint.transport,
            # Without a proxy of the operator's environment: nodes are on the operator's own network.
            proxy=None,
            ca_trust_path=self.endpoint.ca_file or DEFAULT_CA_BUNDLE_PATH,
            server_cert_validation="validate" if self.endpoint.verify else "ignore",
        )

    @property
    def username(self) -> str:
        """The account that the session logs on with."""
        return self._credential.username

    @property
    def broken(self) -> WireError | None:
        """Why nothing more can be asked in this session; None while it can."""
        return self._broken

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._transport.close_session()
        self._http = None

    def revive(self) -> None:
        """Make a new connection in place of a broken one, to clean up. Only with a credential that was accepted."""
        if self._broken is not None and self.authenticated and not isinstance(self._broken, Rejected):
            self.close()
            self._transport = self._new_transport()
            self._broken = None

    def request(
        self,
        uri: str,
        action: str,
        body: str,
        *,
        deadline: Deadline,
        selectors: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> ET.Element:
        """Send one request and return the SOAP body of the answer.

        The first request authenticates. After a rejected credential or a broken connection nothing is sent any more.

        Raises:
            Fault: the node answered with a fault.
            WireError: no usable answer.
        """
        if self._broken is not None:
            raise self._broken
        if deadline.over:
            raise WireError(Status.TIMED_OUT, "the time for this node is over")
        seconds = min(self._operation_seconds, deadline.remaining)
        message = envelope(self.endpoint.url, uri, action, body, timeout=seconds, selectors=selectors, options=options)
        try:
            answer = self._exchange(message.encode(), deadline.within(seconds + GRACE_SECONDS))
        except WireError as error:
            if error.fatal:
                self._broken = error
            raise
        content = body_of(answer)
        if (fault := fault_of(content)) is not None:
            raise fault
        return content

    def _exchange(self, message: bytes, deadline: Deadline) -> ET.Element:
        http = self._open(deadline)
        try:
            prepared = self._prepare(http, message)
            self.requests += 1
            timeouts = (min(CONNECT_SECONDS, deadline.remaining), deadline.remaining)
            response = http.send(prepared, timeout=timeouts, stream=True)
            body = self._read(response, deadline)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise reach.explain(error, self.endpoint.url, answered=self.authenticated) from error
        except _BROKEN as error:
            raise self._not_winrm(error) from error
        if response.status_code == requests.codes.unauthorized:
            raise self._rejected()
        try:
            text = self._decrypt(response, body)
        except _BROKEN as error:
            raise self._not_winrm(error) from error
        self.authenticated = True
        if response.status_code != requests.codes.ok and not text.lstrip().startswith(b"<"):
            # Windows answers 400 without a body when it does not know the security context any more.
            reason = f"HTTP status {response.status_code} without a WS-Management fault from {self.endpoint.url}"
            raise WireError(Status.FAILED, reason, fatal=True)
        return parse(text)

    def _open(self, deadline: Deadline) -> requests.Session:
        """The HTTP session. With message encryption this is where the one authentication attempt is made."""
        if self._http is None:
            self._transport.read_timeout_sec = max(1, int(min(CONNECT_SECONDS + GRACE_SECONDS, deadline.remaining)))
            try:
                self._http = self._transport.build_session()
            except InvalidCredentialsError:
                raise self._rejected() from None
            except PermissionError:
                reason = "the node offers no NTLM authentication (WinRM setting Auth\\Negotiate)"
                raise Rejected(reason) from None
            except WinRMTransportError as error:
                reason = f"{self.endpoint.url} answered HTTP status {error.args[1]}"
                raise WireError(Status.FAILED, reason, fatal=True) from None
            except (requests.RequestException, OSError) as error:
                raise reach.explain(error, self.endpoint.url, answered=False) from error
            except _BROKEN as error:
                raise self._not_winrm(error) from error
            self.authenticated = self._transport.encryption is not None
            if self.endpoint.https:
                reach.expect_certificate(self._http, self.endpoint.certificate_name)
        return self._http

    def _prepare(self, http: requests.Session, message: bytes) -> requests.PreparedRequest:
        if self._transport.encryption is not None:
            return self._transport.encryption.prepare_encrypted_request(http, self.endpoint.url, message)
        return http.prepare_request(requests.Request("POST", self.endpoint.url, data=message))

    def _read(self, response: requests.Response, deadline: Deadline) -> bytes:
        """The whole body, within the deadline and the bound on its size, however slowly it drips."""
        chunks: list[bytes] = []
        size = 0
        while chunk := response.raw.read1(65_536, decode_content=True):
            size += len(chunk)
            chunks.append(chunk)
            if size > MAX_ANSWER:
                raise WireError(Status.FAILED, f"the answer is larger than {MAX_ANSWER >> 20} MiB", fatal=True)
            if deadline.over:
                raise WireError(Status.TIMED_OUT, "the answer did not end in the time given", fatal=True)
        response.close() if response.headers.get(
            "Connection", ""
        ).casefold() == "close" else response.raw.release_conn()
        return b"".join(chunks)

    def _decrypt(self, response: requests.Response, body: bytes) -> bytes:
        encryption = self._transport.encryption
        if encryption is None or "Content-Type" not in response.headers:
            return body
        # Reads these three of a response and nothing else; the body has been read within its bounds already.
        answer = cast("requests.Response", _Answer(body, response.headers, response.request))
        return encryption.parse_encrypted_response(answer)

    def _rejected(self) -> Rejected:
        if self.authenticated:
            return Rejected("the node accepted the credential before and now answers 401; the session has ended")
        return Rejected(
            "the credential was rejected (HTTP 401): wrong user or password, or the account is locked, disabled, "
            "expired, must change its password, or may not log on over the network; no second attempt was made"
        )

    def _not_winrm(self, error: Exception) -> WireError:
        reason = f"{self.endpoint.url} broke the protocol of authentication or encryption ({type(error).__name__})"
        return WireError(Status.FAILED, reason, fatal=True)
