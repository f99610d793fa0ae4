"""One client connection: authentication, encryption, and the way from HTTP to the service and back."""

import base64
import binascii
import threading
import time
from dataclasses import dataclass

from . import names
from .auth import (
    LARGEST_PART,
    MUTUAL,
    Accounts,
    RefusedError,
    SecurityContext,
    UndecryptableError,
    basic_credentials,
    is_final_token,
    is_kerberos,
    thumbprint,
)
from .enumeration import filter_of
from .faults import Fault
from .listener import HttpRequest, HttpResponse
from .log import RequestLog
from .misbehaviour import Misbehaviour, Misbehaviours
from .scenario import Scenario
from .service import Service
from .shell import OutputCutError, ShellHost, command_line
from .soap import Request, fault_envelope, parse_request

_SOAP_TYPE = "application/soap+xml;charset=UTF-8"


@dataclass
class Node:
    """What all connections of a server share."""

    scenario: Scenario
    accounts: Accounts
    log: RequestLog
    service: Service
    shells: ShellHost
    misbehaviours: Misbehaviours
    stopping: threading.Event


@dataclass
class _Seen:
    """What the log says about a request."""

    operation: str
    resource: str = ""
    wql: str = ""
    command: str = ""
    method: str = ""
    fault: int | None = None
    encrypted: bool = False


class Connection:
    """The state of one connection."""

    def __init__(self, node: Node, client: str, secure: bool, certificate: bytes | None = None) -> None:
        """`certificate`: of the client, in DER."""
        self._node = node
        self._client = client
        self._secure = secure
        self._certificate = certificate
        self._number = node.log.connection()
        self._context: SecurityContext | None = None
        self._user = ""
        self._proof: list[tuple[str, str]] = []
        self._used = time.monotonic()

    def handle(self, request: HttpRequest) -> HttpResponse:
        """Answer one HTTP request and record it."""
        seen = _Seen("Rejected")
        response = self._checked(request, seen)
        response.headers += self._proof
        self._proof = []
        self._used = time.monotonic()
        # Recorded before it is sent: who has the answer finds the record.
        self._node.log.request(
            connection=self._number,
            operation=seen.operation,
            resource=seen.resource,
            wql=seen.wql,
            command=seen.command,
            method=seen.method,
            user=self._user,
            status=response.status if response.delivery in {"whole", "drip"} else 0,
            fault=seen.fault,
            encrypted=seen.encrypted,
            https=self._secure,
            request_size=len(request.body),
            response_size=len(response.body),
        )
        return response

    def _checked(self, request: HttpRequest, seen: _Seen) -> HttpResponse:
        if request.path.partition("?")[0].rstrip("/").lower() != "/wsman":
            return HttpResponse(404)
        if request.method != "POST":
            return HttpResponse(405)
        if self._idle_too_long():
            seen.operation = "Idle"
            self._context = None
            return HttpResponse(400, close=True)
        refusal = self._authenticate(request, seen)
        if refusal is not None:
            return self._disturbed(seen, refusal)
        if not request.body:
            # Clients open their security context with an empty request.
            seen.operation = "Setup"
            return self._disturbed(seen, HttpResponse(200))
        try:
            body = self._plain_body(request, seen)
        except UndecryptableError:
            seen.operation = "Undecryptable"
            return HttpResponse(400, close=True)
        if body is None:
            return HttpResponse(500)
        if len(body) > self._node.scenario.config.number("MaxEnvelopeSizekb") * 1024:
            return HttpResponse(413)
        return self._operate(body, seen)

    # Who is it?

    def _idle_too_long(self) -> bool:
        rule = self._node.misbehaviours.permanent("idle_400")
        idle = time.monotonic() - self._used
        return rule is not None and self._context is not None and self._context.complete and idle > rule.seconds

    def _authenticate(self, request: HttpRequest, seen: _Seen) -> HttpResponse | None:
        """None when the request may go on, else the answer that it gets."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic" and self._allows_basic():
            return self._basic(value.strip(), seen)
        if scheme.lower() in {"negotiate", "ntlm"} and self._allows("Negotiate"):
            return self._negotiate(scheme, value.strip(), seen)
        if scheme.lower() == "credssp" and self._allows("CredSSP"):
            return self._negotiate(scheme, value.strip(), seen)
        if scheme.lower() == MUTUAL and self._allows("Certificate"):
            return self._mapped(seen)
        if self._context is not None and self._context.complete:
            return None
        if _is_encrypted(request):
            seen.operation = "Undecryptable"
            return HttpResponse(400, close=True)
        seen.operation = "Anonymous" if not scheme else "Rejected"
        return self._challenge()

    def _allows(self, setting: str) -> bool:
        return self._node.scenario.config.flag("Service", "Auth", setting)

    def _allows_basic(self) -> bool:
        return (self._secure or self._node.scenario.config.flag("Service", "AllowUnencrypted")) and self._allows(
            "Basic"
        )

    def _mapped(self, seen: _Seen) -> HttpResponse | None:
        """The user whom the client's certificate is mapped to."""
        name = thumbprint(self._certificate) if self._certificate is not None else ""
        user = self._node.accounts.certificates.get(name)
        accepted = user is not None and not self._refuses_everybody()
        self._node.log.authentication(user or name, accepted)
        if not accepted:
            seen.operation = "Rejected"
            return self._challenge()
        self._user = user or ""
        return None

    def _basic(self, value: str, seen: _Seen) -> HttpResponse | None:
        try:
            user, password = basic_credentials(value)
        except RefusedError:
            return self._challenge()
        accepted = self._node.accounts.accepts(user, password) and not self._refuses_everybody()
        user = self._node.accounts.plain(user)
        self._node.log.authentication(user, accepted)
        self._user = user if accepted else ""
        return None if accepted else self._challenge()

    def _negotiate(self, scheme: str, value: str, seen: _Seen) -> HttpResponse | None:
        try:
            token = base64.b64decode(value, validate=True)
        except binascii.Error:
            return self._challenge()
        if self._context is None or self._context.complete:
            kind = "credssp" if scheme.lower() == "credssp" else "negotiate"
            self._context, self._user = SecurityContext(self._node.accounts, kind), ""
        context = self._context
        try:
            answer = context.step(token)
        except RefusedError as refused:
            self._context = None
            if refused.user or is_final_token(token) or is_kerberos(token):
                self._node.log.authentication(refused.user, False)
            return self._challenge()
        if context.complete:
            accepted = not self._refuses_everybody()
            self._node.log.authentication(context.user, accepted)
            if not accepted:
                self._context = None
                return self._challenge()
            self._user = context.user
            # The last token proves the node to the client; it comes with the answer to what is asked.
            self._proof = _authenticate_header(scheme, answer) if answer else []
            return None
        seen.operation = "Negotiate"
        return HttpResponse(401, headers=_authenticate_header(scheme, answer))

    def _refuses_everybody(self) -> bool:
        return self._node.misbehaviours.permanent("unauthorized") is not None

    def _challenge(self) -> HttpResponse:
        schemes = ["Negotiate"] if self._allows("Negotiate") else []
        if self._node.accounts.keytab is not None and self._allows("Kerberos"):
            schemes.append("Kerberos")
        if self._allows("CredSSP"):
            schemes.append("CredSSP")
        if self._allows_basic():
            schemes.append('Basic realm="WSMAN"')
        return HttpResponse(401, headers=[("WWW-Authenticate", scheme) for scheme in schemes])

    # What does it say?

    def _plain_body(self, request: HttpRequest, seen: _Seen) -> bytes | None:
        """The envelope; None when it came in the clear and may not."""
        if _is_encrypted(request):
            seen.encrypted = True
            if self._context is None or not self._context.complete:
                raise UndecryptableError
            try:
                return self._context.decrypt(request.body)
            except UndecryptableError:
                # The sequence numbers are out of step now: nothing later can be read either.
                self._context = None
                raise
        if self._secure or self._node.scenario.config.flag("Service", "AllowUnencrypted"):
            return request.body
        return None

    # What is to be done?

    def _operate(self, body: bytes, seen: _Seen) -> HttpResponse:
        request: Request | None = None
        misbehaviours: list[Misbehaviour] = []
        try:
            request = parse_request(body)
            self._describe(request, seen)
            misbehaviours = self._node.misbehaviours.choose(seen.operation, (seen.wql, seen.command, seen.resource))
            early = self._before(misbehaviours, seen)
            if early is not None:
                return early
            actions = {rule.action for rule in misbehaviours}
            xml = self._node.service.answer(
                request, self._user, self._client, hangs="never_ends" in actions, cut="cut_output" in actions
            )
            status = 200
        except OutputCutError:
            return HttpResponse(200, delivery="reset")
        except Fault as fault:
            seen.fault = fault.inner_code or fault.code
            relates_to = request.message_id if request is not None else None
            xml = fault_envelope(fault, self._node.scenario.node, relates_to)
            status = 500
        return self._after(misbehaviours, status, xml, seen)

    def _describe(self, request: Request, seen: _Seen) -> None:
        seen.operation, seen.resource, seen.method = request.operation, request.resource, request.method
        if request.operation == "Enumerate":
            query = filter_of(request)
            seen.wql = query[1] if query is not None else ""
        elif request.resource.lower() == names.SHELL_CMD.lower():
            if request.operation == "Command":
                seen.command = command_line(request)
            elif request.operation in {"Receive", "Send", "Signal"}:
                seen.command = self._node.shells.line_of(request)

    # Misbehaviour

    def _before(self, rules: list[Misbehaviour], seen: _Seen) -> HttpResponse | None:
        """What goes wrong before the operation is done."""
        for rule in rules:
            if rule.action == "latency":
                self._node.stopping.wait(rule.seconds)
            elif rule.action == "hang":
                return HttpResponse(200, delivery="nothing")
            elif rule.action == "reset":
                return HttpResponse(200, delivery="reset")
            elif rule.action == "http_status":
                return HttpResponse(rule.status, body=b"<html></html>", content_type="text/html")
            elif rule.action == "fault" and rule.fault is not None:
                raise rule.fault
        return None

    def _after(self, rules: list[Misbehaviour], status: int, xml: str, seen: _Seen) -> HttpResponse:
        """Encode an answer, with what goes wrong afterwards."""
        actions = {rule.action: rule for rule in rules}
        data = xml.encode("utf-8")
        if "truncated_xml" in actions:
            data = data[: len(data) // 2]
        if "garbage_xml" in actions:
            data = b"\xff\xfe<<not & xml"
        content_type = _SOAP_TYPE
        if seen.encrypted:
            assert self._context is not None, "an encrypted request has a context"
            data, content_type = self._context.encrypt(data), self._encrypted_type(len(data))
        response = HttpResponse(status, data, content_type)
        if "close_mid_body" in actions:
            response.delivery = "half"
        if "drip" in actions:
            response.delivery, response.drip_seconds = "drip", actions["drip"].seconds
        return response

    def _encrypted_type(self, size: int) -> str:
        assert self._context is not None, "an encrypted answer has a context"
        several = self._context.scheme == "credssp" and size > LARGEST_PART
        kind = "x-multi-encrypted" if several else "encrypted"
        return f'multipart/{kind};protocol="{self._context.protocol}";boundary="Encrypted Boundary"'

    def _disturbed(self, seen: _Seen, response: HttpResponse) -> HttpResponse:
        """Misbehaviour on requests that carry no operation."""
        rules = self._node.misbehaviours.choose(seen.operation, ("",))
        try:
            return self._before(rules, seen) or response
        except Fault as fault:
            seen.fault = fault.code
            xml = fault_envelope(fault, self._node.scenario.node, None)
            return HttpResponse(500, xml.encode("utf-8"), _SOAP_TYPE)


def _is_encrypted(request: HttpRequest) -> bool:
    kind = request.headers.get("content-type", "").lower()
    return kind.startswith(("multipart/encrypted", "multipart/x-multi-encrypted"))


def _authenticate_header(scheme: str, token: bytes | None) -> list[tuple[str, str]]:
    return [("WWW-Authenticate", f"{scheme} {base64.b64encode(token or b'').decode()}")]
