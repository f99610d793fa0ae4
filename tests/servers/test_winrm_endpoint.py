"""The WinRM endpoint of the tests, driven by pywinrm: every habit and every fault that a client must cope with."""

import base64
import http.client
import http.server
import re
import socket
import threading
import time
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pytest
import requests
import spnego
from winrm.exceptions import InvalidCredentialsError, WinRMTransportError, WSManFaultError
from winrm.protocol import Protocol
from winrm.transport import Transport

from servers.tls import self_signed
from servers.winrm import DELETE, Fault, Misbehaviour, Scenario, Shape, WinRMServer, load_scenario

ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
WMI = "http://schemas.microsoft.com/wbem/wsman/1/wmi/"
CONFIG = "http://schemas.microsoft.com/wbem/wsman/1/config"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
WQL = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
W = "{http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd}"
N = f"{{{ENUMERATION}}}"
XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
CIM = "{http://schemas.dmtf.org/wbem/wscim/1/common}"
FAULT = "{http://schemas.microsoft.com/wbem/wsman/1/wsmanfault}"
CIMV2 = WMI + "root/cimv2/"

USER, PASSWORD = "azl-ops", "not-a-real-1"
HEALTHY = load_scenario("healthy")
REG = r"%SystemRoot%\System32\reg.exe"


class FaultSeenError(Exception):
    """A SOAP fault in the answer."""

    def __init__(self, root: ET.Element, text: str) -> None:
        self.text = text
        self.subcode = root.findtext(".//{*}Subcode/{*}Value", "")
        codes = [element.get("Code", "") for element in root.iter(FAULT + "WSManFault")]
        codes += [element.text or "" for element in root.iter() if element.tag.endswith("}error_Code")]
        self.outer, self.inner = int(codes[0]), int(codes[-1])
        super().__init__(f"{self.subcode} {codes}")


class Client:
    """pywinrm's transport with hand-made envelopes."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.last = b""

    def send(self, action: str, resource: str, body: str = "", **headers: Any) -> ET.Element:
        try:
            self.last = self.transport.send_message(envelope(action, resource, body, **headers))
        except WinRMTransportError as error:
            text = error.args[2]
            if not text:
                raise
            raise FaultSeenError(ET.fromstring(text), text) from None
        return ET.fromstring(self.last)

    def enumerate(self, resource: str, wql: str | None = None, extra: str = "", **headers: Any) -> ET.Element:
        filter_ = f'<w:Filter Dialect="{WQL}">{escape(wql)}</w:Filter>' if wql is not None else ""
        body = (
            f"<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>32000</w:MaxElements>{filter_}{extra}</n:Enumerate>"
        )
        return self.send(ENUMERATION + "/Enumerate", resource, body, **headers)

    def pull(self, resource: str, context: str, **headers: Any) -> ET.Element:
        body = (
            f"<n:Pull><n:EnumerationContext>{context}</n:EnumerationContext>"
            "<n:MaxElements>32000</n:MaxElements></n:Pull>"
        )
        return self.send(ENUMERATION + "/Pull", resource, body, **headers)

    def release(self, resource: str, context: str) -> ET.Element:
        body = f"<n:Release><n:EnumerationContext>{context}</n:EnumerationContext></n:Release>"
        return self.send(ENUMERATION + "/Release", resource, body)

    def everything(self, resource: str, wql: str | None = None, **headers: Any) -> list[ET.Element]:
        answer = self.enumerate(resource, wql, **headers)
        found = items(answer)
        while not ended(answer):
            answer = self.pull(resource, context_of(answer), **headers)
            found += items(answer)
        return found

    def query(self, wql: str, namespace: str = "root/cimv2") -> list[ET.Element]:
        return self.everything(f"{WMI}{namespace}/*", wql)

    def get(self, resource: str, **selectors: str) -> ET.Element:
        answer = self.send(TRANSFER + "/Get", resource, selectors=selectors)
        body = answer.find("{*}Body")
        assert body is not None
        return body[0]

    def registry(self, method: str, key: str, value: str | None = None, namespace: str = "root/cimv2") -> ET.Element:
        uri = f"{WMI}{namespace}/StdRegProv"
        name = f"<p:sValueName>{escape(value)}</p:sValueName>" if value is not None else ""
        body = (
            f'<p:{method}_INPUT xmlns:p="{uri}"><p:hDefKey>2147483650</p:hDefKey>'
            f"<p:sSubKeyName>{escape(key)}</p:sSubKeyName>{name}</p:{method}_INPUT>"
        )
        answer = self.send(f"{uri}/{method}", uri, body)
        result = answer.find("{*}Body")
        assert result is not None
        assert result[0].tag == f"{{{uri}}}{method}_OUTPUT"
        return result[0]


def envelope(
    action: str,
    resource: str,
    body: str = "",
    *,
    selectors: dict[str, str] | None = None,
    max_envelope: int | None = 512000,
    timeout: str | None = "PT60.000S",
    reply_to: str | None = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous",
    message_id: str | None = None,
    locale_must: str = "false",
    options: dict[str, str] | None = None,
) -> str:
    parts = [
        "<a:To>http://node:5985/wsman</a:To>",
        f'<w:ResourceURI s:mustUnderstand="true">{escape(resource)}</w:ResourceURI>',
        f'<a:Action s:mustUnderstand="true">{escape(action)}</a:Action>',
        f"<a:MessageID>{message_id if message_id is not None else f'uuid:{uuid.uuid4()}'}</a:MessageID>",
        f'<w:Locale xml:lang="en-US" s:mustUnderstand="{locale_must}"/>',
    ]
    if reply_to is not None:
        parts.append(f"<a:ReplyTo><a:Address>{reply_to}</a:Address></a:ReplyTo>")
    if max_envelope is not None:
        parts.append(f"<w:MaxEnvelopeSize>{max_envelope}</w:MaxEnvelopeSize>")
    if timeout is not None:
        parts.append(f"<w:OperationTimeout>{timeout}</w:OperationTimeout>")
    for tag, child, pairs in (("SelectorSet", "Selector", selectors), ("OptionSet", "Option", options)):
        if pairs:
            inner = "".join(f"<w:{child} Name={quoteattr(k)}>{escape(v)}</w:{child}>" for k, v in pairs.items())
            parts.append(f"<w:{tag}>{inner}</w:{tag}>")
    return (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
        'xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
        f'xmlns:n="{ENUMERATION}" xmlns:rsp="{SHELL}" '
        'xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd">'
        f"<s:Header>{''.join(parts)}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )


def items(answer: ET.Element) -> list[ET.Element]:
    return [item for element in answer.iter() if element.tag.endswith("}Items") for item in element]


def ended(answer: ET.Element) -> bool:
    return any(element.tag.endswith("}EndOfSequence") for element in answer.iter())


def context_of(answer: ET.Element) -> str:
    return answer.findtext(".//{*}EnumerationContext", "")


def local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def texts(element: ET.Element, name: str) -> list[str]:
    return [child.text or "" for child in element if local(child) == name]


def ntlm(server: WinRMServer, user: str = USER, password: str = PASSWORD, **options: Any) -> Client:
    options = {"read_timeout_sec": 10, **options}
    return Client(
        Transport(
            f"http://127.0.0.1:{server.http_port}/wsman",
            username=user,
            password=password,
            auth_method="ntlm",
            ca_trust_path=None,  # type: ignore[arg-type]
            proxy=None,
            **options,
        )
    )


def protocol(server: WinRMServer, user: str = USER, password: str = PASSWORD) -> Protocol:
    return Protocol(
        f"http://127.0.0.1:{server.http_port}/wsman",
        transport="ntlm",
        ca_trust_path=None,  # type: ignore[arg-type]
        username=user,
        password=password,
        proxy=None,
        read_timeout_sec=10,
        operation_timeout_sec=1,
    )


@contextmanager
def running(scenario: Scenario = HEALTHY, *misbehaviours: Misbehaviour, **options: Any) -> Iterator[WinRMServer]:
    accounts = options.pop("accounts", {USER: PASSWORD})
    with WinRMServer(scenario, accounts, misbehaviours=misbehaviours, **options) as server:
        yield server


@pytest.fixture(scope="module")
def server() -> Iterator[WinRMServer]:
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def client(server: WinRMServer) -> Client:
    return ntlm(server)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("tls"), "azl-n01", "127.0.0.1")


def https(
    server: WinRMServer, certificate: tuple[Path, Path], method: Any = "basic", password: str = PASSWORD
) -> Client:
    return Client(
        Transport(
            f"https://127.0.0.1:{server.https_port}/wsman",
            username=USER,
            password=password,
            auth_method=method,
            ca_trust_path=str(certificate[0]),
            proxy=None,
            read_timeout_sec=10,
        )
    )


def receive(command_id: str) -> str:
    stream = f'<rsp:DesiredStream CommandId="{command_id}">stdout stderr</rsp:DesiredStream>'
    return f"<rsp:Receive>{stream}</rsp:Receive>"


def post(port: int, headers: dict[str, str] | None = None, body: bytes = b"") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("POST", "/wsman", body=body, headers=headers or {})
    response = connection.getresponse()
    response.read()
    return response


class TestAuthentication:
    def test_ntlm_opens_with_three_requests_and_then_encrypts(self) -> None:
        with running() as server:
            client = ntlm(server)
            client.get(CIMV2 + "Win32_OperatingSystem")
            client.get(CIMV2 + "Win32_OperatingSystem")
            records = server.log.records
            assert [(r.operation, r.status) for r in records] == [
                ("Anonymous", 401),
                ("Negotiate", 401),
                ("Setup", 200),
                ("Get", 200),
                ("Get", 200),
            ]
            assert {r.connection for r in records} == {1}
            assert [r.encrypted for r in records] == [False, False, False, True, True]
            assert server.log.authentications == [(USER, True)]
            assert server.log.requests == 5

    @pytest.mark.parametrize("user", ["azl-ops", "AZL-OPS", "AZL-N01\\azl-ops", ".\\azl-ops"])
    def test_local_accounts_are_known_with_and_without_machine(self, server: WinRMServer, user: str) -> None:
        ntlm(server, user).get(CIMV2 + "Win32_OperatingSystem")
        assert server.log.authentications[-1] == (USER, True)

    @pytest.mark.parametrize(
        ("user", "password"), [(USER, "wrong"), ("nobody", PASSWORD), ("CONTOSO\\azl-ops", PASSWORD)]
    )
    def test_wrong_credentials_are_one_refused_attempt(self, user: str, password: str) -> None:
        with running() as server:
            with pytest.raises(InvalidCredentialsError):
                ntlm(server, user, password).get(CIMV2 + "Win32_OperatingSystem")
            assert server.log.authentications == [(user, False)]

    def test_servers_with_other_passwords_do_not_mix(self) -> None:
        with running() as one, running(accounts={USER: "another-2"}) as two:
            ntlm(two, password="another-2").get(CIMV2 + "Win32_OperatingSystem")
            ntlm(one).get(CIMV2 + "Win32_OperatingSystem")
            with pytest.raises(InvalidCredentialsError):
                ntlm(one, password="another-2").get(CIMV2 + "Win32_OperatingSystem")

    @pytest.mark.parametrize(("password", "status"), [(PASSWORD, 200), ("wrong", 401)])
    def test_ntlm_inside_spnego(self, password: str, status: int) -> None:
        with running() as server:
            connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=5)
            context = spnego.client(
                USER,
                password,
                hostname="127.0.0.1",
                service="http",
                protocol="negotiate",
                options=spnego.NegotiateOptions.use_negotiate,
            )
            answer = b""
            for expected in (401, status):
                token = base64.b64encode(context.step(answer or None) or b"").decode()
                connection.request("POST", "/wsman", headers={"Authorization": f"Negotiate {token}"})
                response = connection.getresponse()
                response.read()
                assert response.status == expected
                answer = base64.b64decode(response.headers.get("WWW-Authenticate", "").partition(" ")[2])
            connection.close()
            assert server.log.authentications == [(USER, status == 200)]

    def test_first_request_is_challenged(self, certificate: tuple[Path, Path]) -> None:
        with running(certificate=certificate) as server:
            assert post(server.http_port).headers.get_all("WWW-Authenticate") == ["Negotiate"]
            response = requests.post(
                f"https://127.0.0.1:{server.https_port}/wsman", verify=str(certificate[0]), timeout=5
            )
            assert response.status_code == 401
            assert response.headers["WWW-Authenticate"] == 'Negotiate, Basic realm="WSMAN"'

    def test_basic_over_https(self, certificate: tuple[Path, Path]) -> None:
        with running(certificate=certificate, http=False) as server:
            https(server, certificate).get(CIMV2 + "Win32_OperatingSystem")
            assert [(r.status, r.encrypted, r.https) for r in server.log.records] == [(200, False, True)]
            assert server.log.authentications == [(USER, True)]
            with pytest.raises(InvalidCredentialsError):
                https(server, certificate, password="wrong").get(CIMV2 + "Win32_OperatingSystem")
            assert server.log.authentications == [(USER, True), (USER, False)]

    def test_ntlm_over_https_is_not_encrypted_again(self, certificate: tuple[Path, Path]) -> None:
        with running(certificate=certificate) as server:
            https(server, certificate, "ntlm").get(CIMV2 + "Win32_OperatingSystem")
            assert [(r.operation, r.encrypted) for r in server.log.operations()] == [("Get", False)]

    def test_basic_over_http_only_if_unencrypted_is_allowed(self) -> None:
        header = {"Authorization": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
        message = envelope(TRANSFER + "/Get", CIMV2 + "Win32_OperatingSystem").encode()
        with running() as server:
            assert post(server.http_port, header, message).status == 401
            assert server.log.authentications == []
        with running(HEALTHY.patched({"config": {"Service": {"AllowUnencrypted": True}}})) as server:
            assert post(server.http_port, header, message).status == 200

    def test_unencrypted_ntlm_over_http_is_refused(self, server: WinRMServer) -> None:
        with pytest.raises(WinRMTransportError) as raised:
            ntlm(server, message_encryption="never").get(CIMV2 + "Win32_OperatingSystem")
        assert raised.value.args[1:] == (500, "")

    def test_encrypted_request_on_a_new_connection_is_400(self, server: WinRMServer) -> None:
        client = ntlm(server)
        client.get(CIMV2 + "Win32_OperatingSystem")
        assert client.transport.session is not None
        client.transport.session.close()
        with pytest.raises(WinRMTransportError) as raised:
            client.get(CIMV2 + "Win32_OperatingSystem")
        assert raised.value.args[1:] == (400, "")
        assert server.log.records[-1].operation == "Undecryptable"

    def test_message_under_another_context_is_400(self, server: WinRMServer) -> None:
        first, second = ntlm(server), ntlm(server)
        for one in (first, second):
            one.get(CIMV2 + "Win32_OperatingSystem")
        first.transport.encryption, second.transport.encryption = second.transport.encryption, None
        with pytest.raises(WinRMTransportError) as raised:
            first.get(CIMV2 + "Win32_OperatingSystem")
        assert raised.value.args[1:] == (400, "")

    def test_wrong_path_method_and_size(self, server: WinRMServer) -> None:
        assert requests.post(f"http://127.0.0.1:{server.http_port}/other", timeout=5).status_code == 404
        assert requests.get(f"http://127.0.0.1:{server.http_port}/wsman", timeout=5).status_code == 405
        with pytest.raises(WinRMTransportError) as raised:
            ntlm(server).query("select Name from Win32_Service where Name='" + "x" * 520_000 + "'")
        assert raised.value.args[1] == 413


class TestEnumeration:
    def test_one_item_first_then_the_rest(self, client: Client, server: WinRMServer) -> None:
        uri = CIMV2 + "Win32_Service"
        first = client.enumerate(uri)
        assert client.last.startswith(b"<s:Envelope ")
        assert b"\n" not in client.last
        assert first.find(f".//{W}Items") is not None
        assert len(items(first)) == 1
        assert not ended(first)
        assert server.log.open_contexts == [context_of(first)]
        rest = client.pull(uri, context_of(first))
        assert rest.find(f".//{N}Items") is not None
        assert rest.find(f".//{N}EndOfSequence") is not None
        assert rest.find(f".//{N}EnumerationContext") is None
        assert len(items(rest)) == 11
        assert server.log.open_contexts == []

    def test_one_instance_needs_one_request(self, client: Client) -> None:
        answer = client.enumerate(CIMV2 + "Win32_ComputerSystem")
        assert len(items(answer)) == 1
        assert answer.find(f".//{W}EndOfSequence") is not None
        context = answer.find(f".//{N}EnumerationContext")
        assert context is not None
        assert context.text is None

    def test_class_without_instances(self, client: Client) -> None:
        assert client.everything(CIMV2 + "Win32_CDROMDrive") == []

    def test_pages_of_75_kilobytes_with_a_new_context_each(self) -> None:
        rows = [{"Name": f"svc{index:03}", "Description": "x" * 900} for index in range(200)]
        scenario = HEALTHY.patched({"cim": {"root/cimv2": {"Win32_Service": rows}}})
        uri = CIMV2 + "Win32_Service"
        with running(scenario) as server:
            client = ntlm(server)
            answer, contexts, sizes = client.enumerate(uri), [], []
            names = [texts(item, "Name")[0] for item in items(answer)]
            while not ended(answer):
                contexts.append(context_of(answer))
                answer = client.pull(uri, contexts[-1])
                sizes.append(len(client.last))
                names += [texts(item, "Name")[0] for item in items(answer)]
            assert names == [row["Name"] for row in rows]
            assert len(sizes) > 3
            assert all(70_000 < size < 78_000 for size in sizes[:-1])
            assert len(set(contexts)) == len(contexts)

    def test_the_clients_envelope_size_limits_a_page(self) -> None:
        rows = [{"Name": f"svc{index:03}", "Description": "x" * 900} for index in range(20)]
        scenario = HEALTHY.patched({"cim": {"root/cimv2": {"Win32_Service": rows}}})
        with running(scenario) as server:
            client = ntlm(server)
            answer = client.enumerate(CIMV2 + "Win32_Service", max_envelope=8192)
            client.pull(CIMV2 + "Win32_Service", context_of(answer), max_envelope=8192)
            assert len(client.last) <= 8192

    def test_a_context_is_good_for_one_pull(self, client: Client) -> None:
        uri = CIMV2 + "Win32_Service"
        context = context_of(client.enumerate(uri))
        client.pull(uri, context)
        for wrong in (context, "uuid:nonsense"):
            with pytest.raises(FaultSeenError) as raised:
                client.pull(uri, wrong)
            assert (raised.value.inner, raised.value.subcode) == (2150858884, "n:InvalidEnumerationContext")

    def test_pull_with_another_uri(self, client: Client) -> None:
        context = context_of(client.enumerate(CIMV2 + "Win32_Service"))
        with pytest.raises(FaultSeenError) as raised:
            client.pull(CIMV2 + "Win32_Group", context)
        assert raised.value.inner == 2150859181
        client.release(CIMV2 + "Win32_Service", context)

    def test_release(self, client: Client, server: WinRMServer) -> None:
        uri = CIMV2 + "Win32_Service"
        context = context_of(client.enumerate(uri))
        body = client.release(uri, context).find("{*}Body")
        assert body is not None
        assert len(body) == 0
        assert server.log.open_contexts == []
        with pytest.raises(FaultSeenError):
            client.pull(uri, context)

    def test_a_context_outlives_its_connection(self, server: WinRMServer) -> None:
        uri = CIMV2 + "Win32_Service"
        context = context_of(ntlm(server).enumerate(uri))
        assert len(items(ntlm(server).pull(uri, context))) == 11

    def test_quota_of_open_enumerations(self) -> None:
        with running(HEALTHY.patched({"config": {"Service": {"MaxConcurrentOperationsPerUser": 2}}})) as server:
            client = ntlm(server)
            for _ in range(2):
                client.enumerate(CIMV2 + "Win32_Service")
            with pytest.raises(FaultSeenError) as raised:
                client.enumerate(CIMV2 + "Win32_Service")
            assert raised.value.inner == 2150859174
            assert "MSFT_WmiError" in raised.value.text
            assert "RelatesTo" not in raised.value.text

    def test_without_optimization_the_first_answer_has_no_items(self, client: Client) -> None:
        answer = client.send(ENUMERATION + "/Enumerate", CIMV2 + "Win32_ComputerSystem", "<n:Enumerate/>")
        assert items(answer) == []
        assert len(items(client.pull(CIMV2 + "Win32_ComputerSystem", context_of(answer)))) == 1

    def test_references(self, client: Client) -> None:
        mode = "<w:EnumerationMode>EnumerateObjectAndEPR</w:EnumerationMode>"
        (item,) = items(client.enumerate(CIMV2 + "Win32_ComputerSystem", extra=mode))
        assert [local(child) for child in item] == ["Win32_ComputerSystem", "EndpointReference"]
        assert item.findtext(f".//{W}Selector") == "AZL-N01"


class TestValues:
    def test_instance(self, client: Client) -> None:
        (item,) = client.everything(CIMV2 + "Win32_OperatingSystem")
        assert item.tag == f"{{{CIMV2}Win32_OperatingSystem}}Win32_OperatingSystem"
        assert item.get(XSI + "type") == "p:Win32_OperatingSystem_Type"
        assert [local(child).lower() for child in item] == sorted(local(child).lower() for child in item)
        assert texts(item, "MUILanguages") == ["en-US"]
        assert texts(item, "Debug") == ["false"]
        boot = item.find(f"{{*}}LastBootUpTime/{CIM}Datetime")
        assert boot is not None
        assert boot.text == "2026-11-18T06:02:44.500000Z"
        nil = item.find("{*}CSDVersion")
        assert nil is not None
        assert nil.get(XSI + "nil") == "true"
        assert texts(item, "Description") == [""]

    def test_null_arrays_are_left_out_and_null_scalars_nil(self, client: Client) -> None:
        (item,) = client.everything(CIMV2 + "Win32_NetworkAdapterConfiguration")
        assert texts(item, "DNSServerSearchOrder") == ["192.0.2.53", "192.0.2.54"]
        assert item.find("{*}DNSDomainSuffixSearchOrder") is None
        assert item.find("{*}DHCPServer") is not None

    def test_projection(self, client: Client) -> None:
        (item,) = client.query(
            "SELECT Version, MUILanguages, LastBootUpTime, caption, CSDVersion FROM Win32_OperatingSystem"
        )
        assert item.tag == W + "XmlFragment"
        assert [child.tag for child in item] == ["Caption", "CSDVersion", "LastBootUpTime", "MUILanguages", "Version"]
        assert item.findtext("LastBootUpTime/Datetime") == "2026-11-18T06:02:44.500000Z"
        csd = item.find("CSDVersion")
        assert csd is not None
        assert csd.get(XSI + "nil") == "true"

    def test_projection_leaves_null_arrays_out(self, client: Client) -> None:
        (item,) = client.query("SELECT IPAddress, DNSDomainSuffixSearchOrder FROM Win32_NetworkAdapterConfiguration")
        assert [child.tag for child in item] == ["IPAddress"]

    def test_interval(self, client: Client) -> None:
        query = r"Win32_NetworkLoginProfile WHERE Name='AZL-N01\\azl-ops'"
        (item,) = client.query("SELECT * FROM " + query)
        assert item.findtext(f"{{*}}PasswordAge/{CIM}Interval") == "P12DT3H20M8.000000S"
        (item,) = client.query("SELECT PasswordAge FROM " + query)
        assert item.findtext("PasswordAge/Interval") == "P12DT3H20M8.000000S"

    def test_wildcard_datetime_spoils_the_answer(self) -> None:
        def never(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return [{**row, "AccountExpires": "**************.******+***"} for row in rows]

        with running(HEALTHY.patched({"cim": {"root/cimv2": {"Win32_NetworkLoginProfile": never}}})) as server:
            with pytest.raises(FaultSeenError) as raised:
                ntlm(server).query("SELECT * FROM Win32_NetworkLoginProfile")
            assert raised.value.inner == 2150858817
            assert ntlm(server).query("SELECT Name FROM Win32_NetworkLoginProfile")

    def test_reference_property(self, client: Client) -> None:
        item = client.query("SELECT * FROM Win32_GroupUser")[1]
        part = item.find("{*}PartComponent")
        assert part is not None
        assert part.findtext(f".//{W}ResourceURI") == CIMV2 + "Win32_UserAccount"
        selectors = {element.get("Name"): element.text for element in part.iter(W + "Selector")}
        assert selectors == {"Domain": "AZL-N01", "Name": "azl-ops"}

    def test_embedded_object(self) -> None:
        with running(load_scenario("clustered")) as server:
            query = "SELECT * FROM MSCluster_Resource WHERE Type='Network Name' AND CoreResource=TRUE"
            (item,) = ntlm(server).query(query, "root/MSCluster")
            private = item.find("{*}PrivateProperties")
            assert private is not None
            name = "MSCluster_Property_Resource_Network_Name"
            assert private.get(XSI + "type") == f"q:{name}_Type"
            assert private.findtext(f"{{{WMI}root/MSCluster/{name}}}ADAware") == "2"

    def test_markup_and_control_characters(self) -> None:
        row = {"Name": "x", "Description": "a\tb\nc <&\"'> \u00e9\u4e2d"}
        with running(HEALTHY.patched({"cim": {"root/cimv2": {"Win32_Service": [row]}}})) as server:
            client = ntlm(server)
            (item,) = client.query("select Description from Win32_Service")
            assert item.findtext("Description") == "a?b?c <&\"'> \u00e9\u4e2d"
            assert b"&quot;&apos;&gt;" in client.last

    def test_derived_classes_come_under_their_own_names(self) -> None:
        changes = {
            "derives": {"Win32_TerminalService": {"base": "Win32_Service", "properties": {"EstimatedSlots": "uint32"}}},
            "cim": {"root/cimv2": {"Win32_TerminalService": [{"Name": "TermService", "EstimatedSlots": 2}]}},
        }
        with running(HEALTHY.patched(changes)) as server:
            found = ntlm(server).query("SELECT * FROM Win32_Service WHERE Name='WinRM' OR Name='TermService'")
            assert [local(item) for item in found] == ["Win32_Service", "Win32_TerminalService"]
            assert found[1].tag.startswith(f"{{{CIMV2}Win32_TerminalService}}")
            assert texts(found[1], "EstimatedSlots") == ["2"]


class TestWql:
    @pytest.mark.parametrize(
        ("condition", "names"),
        [
            ("Name='winrm'", ["WinRM"]),
            ('Name="WINRM" or name = "w32time"', ["W32Time", "WinRM"]),
            ("StartMode<>'Auto' AND NOT State='Running' AND Name LIKE 'C%'", ["ClusSvc"]),
            ("Name LIKE '_in[q-s]%'", ["WinRM"]),
            ("Name LIKE '[^a-v]%' AND Started=TRUE", ["W32Time", "WinRM"]),
            ("(ProcessId > 0 AND ProcessId <= 1008) OR ExitCode >= 5000", ["Dhcp"]),
            ("ProcessId < '1012' AND ProcessId != 0", ["Dhcp"]),
            ("'WinRM' = Name", ["WinRM"]),
            ("0x3f0 = ProcessId", ["Dhcp"]),
            ("Description IS NOT NULL", []),
            ("Description IS NULL AND Name='WinRM'", ["WinRM"]),
            (r"PathName='C:\\Windows\\System32\\svchost.exe -k WinRM'", ["WinRM"]),
            (r"Name='it\'s'", []),
            ("Started='true' AND Name='WinRM'", ["WinRM"]),
        ],
    )
    def test_where(self, client: Client, condition: str, names: list[str]) -> None:
        found = client.query(f"SELECT Name FROM Win32_Service WHERE {condition}")
        assert [item.findtext("Name") for item in found] == names

    @pytest.mark.parametrize(
        "condition",
        [
            "GroupComponent=\"Win32_Group.Domain='AZL-N01',Name='Administrators'\"",
            'GroupComponent=\'Win32_Group.Name="administrators",Domain="azl-n01"\'',
            r"GroupComponent='Win32_Group.Domain=\'AZL-N01\',Name=\'Administrators\''",
        ],
    )
    def test_object_path(self, client: Client, condition: str) -> None:
        found = client.query(f"SELECT PartComponent FROM Win32_GroupUser WHERE {condition}")
        names = [element.text for item in found for element in item.iter(W + "Selector")]
        assert names == ["AZL-N01", "Administrator", "AZL-N01", "azl-ops"]

    def test_datetime_comparison(self, client: Client) -> None:
        for text, count in (("20261118060200.000000+000", 1), ("2026-11-18T06:03:00Z", 0)):
            assert len(client.query(f"SELECT Name FROM Win32_OperatingSystem WHERE LastBootUpTime > '{text}'")) == count

    @pytest.mark.parametrize(
        "query",
        [
            "SELECT * FROM Win32_Nothing",
            "SELECT Nothing FROM Win32_Service",
            "SELECT * FROM Win32_Service WHERE Nothing=1",
            "SELECT * FROM Win32_Service WHERE Name=5",
            "SELECT * FROM Win32_Service WHERE Name=WinRM",
            "SELECT * FROM Win32_Service WHERE ProcessId='many'",
            "SELECT * FROM Win32_Service WHERE Name='a' AND",
            r"SELECT * FROM Win32_Service WHERE Name='C:\x'",
            "SELECT * FROM Win32_Service WHERE Name='a",
            "SELECT * FROM Win32_OperatingSystem WHERE MUILanguages='en-US'",
            "SELECT FROM Win32_Service",
            "DELETE FROM Win32_Service",
            "SELECT * FROM Win32_PingStatus",
        ],
    )
    def test_refused(self, client: Client, query: str) -> None:
        with pytest.raises(FaultSeenError) as raised:
            client.query(query)
        assert (raised.value.outer, raised.value.subcode) == (2150858778, "n:CannotProcessFilter")

    @pytest.mark.parametrize(("shape", "marker"), [("provider", "ProviderFault"), ("wmi_error", "error_Code")])
    def test_missing_namespace_in_both_shapes(self, shape: str, marker: str) -> None:
        with running(HEALTHY.with_(fault_shape=shape)) as server:
            with pytest.raises(FaultSeenError) as raised:
                ntlm(server).query("SELECT * FROM MSCluster_Cluster", "root/MSCluster")
            assert (raised.value.inner, raised.value.subcode) == (2150858778, "n:CannotProcessFilter")
            assert marker in raised.value.text

    def test_missing_class_of_the_node(self) -> None:
        with running(HEALTHY.with_(missing_classes=["root/cimv2/Win32_Share"])) as server:
            for attempt in (
                lambda: ntlm(server).query("SELECT * FROM Win32_Share"),
                lambda: ntlm(server).enumerate(CIMV2 + "Win32_Share"),
            ):
                with pytest.raises(FaultSeenError) as raised:
                    attempt()
                assert raised.value.inner == 2150858778

    def test_filter_and_uri_must_fit(self, client: Client) -> None:
        for resource, wql in ((CIMV2 + "Win32_Service", "select * from Win32_Service"), (CIMV2 + "*", None)):
            with pytest.raises(FaultSeenError) as raised:
                client.enumerate(resource, wql)
            assert raised.value.inner == 2150859003
        with pytest.raises(FaultSeenError) as raised:
            client.enumerate(CIMV2 + "*", "select * from Win32_Service", selectors={"Name": "WinRM"})
        assert raised.value.inner == 2150859016


class TestPing:
    def test_one_row_per_address(self, client: Client) -> None:
        condition = "(Address='192.0.2.1' OR Address='192.0.2.99' OR Address='no.such.name') AND Timeout=1000"
        found = client.query(f"SELECT * FROM Win32_PingStatus WHERE {condition}")
        rows = [{local(child): child.text for child in item} for item in found]
        assert [(row["Address"], row["StatusCode"], row["PrimaryAddressResolutionStatus"]) for row in rows] == [
            ("192.0.2.1", "0", "0"),
            ("192.0.2.99", "11010", "0"),
            ("no.such.name", None, "11001"),
        ]
        assert {row["Timeout"] for row in rows} == {"1000"}
        assert rows[0]["TimeToLive"] == "80"

    def test_name_resolves(self, client: Client) -> None:
        (item,) = client.query("SELECT ProtocolAddress,StatusCode FROM Win32_PingStatus WHERE Address='AZL-N01'")
        assert (item.findtext("ProtocolAddress"), item.findtext("StatusCode")) == ("192.0.2.11", "0")


class TestGet:
    def test_singleton_and_keys(self, client: Client) -> None:
        assert texts(client.get(CIMV2 + "Win32_OperatingSystem"), "BuildNumber") == ["26100"]
        assert texts(client.get(CIMV2 + "Win32_LogicalDisk", DeviceID="c:"), "FileSystem") == ["NTFS"]
        account = client.get(CIMV2 + "Win32_UserAccount", Domain="AZL-N01", Name="azl-ops")
        assert texts(account, "SID")[0].endswith("-1001")

    @pytest.mark.parametrize(
        ("resource", "selectors", "code", "subcode"),
        [
            ("Win32_LogicalDisk", {"DeviceID": "Z:"}, 2150858752, "a:DestinationUnreachable"),
            ("Win32_LogicalDisk", {}, 2150859002, "w:InvalidSelectors"),
            ("Win32_LogicalDisk", {"Size": "1"}, 2150858843, "w:InvalidSelectors"),
            ("*", {}, 2150859003, "a:DestinationUnreachable"),
            ("Win32_Nothing", {}, 2150858778, "a:DestinationUnreachable"),
        ],
    )
    def test_faults(self, client: Client, resource: str, selectors: dict[str, str], code: int, subcode: str) -> None:
        with pytest.raises(FaultSeenError) as raised:
            client.get(CIMV2 + resource, **selectors)
        assert (raised.value.inner, raised.value.subcode) == (code, subcode)

    def test_config(self, client: Client) -> None:
        config = client.get(CONFIG)
        assert config.tag == f"{{{CONFIG}}}Config"
        assert config.findtext("{*}MaxEnvelopeSizekb") == "500"
        assert config.findtext("{*}Service/{*}Auth/{*}CbtHardeningLevel") == "Relaxed"
        assert local(client.get(CONFIG + "/service/auth")) == "Auth"
        assert client.get(CONFIG + "/winrs").findtext("{*}MaxShellsPerUser") == "30"

    def test_config_is_for_administrators(self) -> None:
        with running(HEALTHY.with_(non_administrators=[USER])) as server:
            client = ntlm(server)
            for read, resource in ((client.get, CONFIG), (client.enumerate, CONFIG + "/listener")):
                with pytest.raises(FaultSeenError) as raised:
                    read(resource)
                assert (raised.value.inner, raised.value.subcode) == (5, "w:AccessDenied")
            assert ntlm(server).registry("EnumKey", "SOFTWARE")

    def test_listener(self, client: Client) -> None:
        (listener,) = client.everything(CONFIG + "/listener")
        assert listener.findtext("{*}Transport") == "HTTP"
        assert "192.0.2.11" in texts(listener, "ListeningOn")
        with pytest.raises(FaultSeenError) as raised:
            client.enumerate(CONFIG + "/listener", "select * from x")
        assert raised.value.subcode == "n:FilteringNotSupported"


class TestHeaders:
    @pytest.mark.parametrize(
        ("headers", "subcode"),
        [
            ({"max_envelope": 8191}, "w:EncodingLimit"),
            ({"timeout": "PT-1S"}, "a:InvalidMessageInformationHeader"),
            ({"reply_to": None}, "a:MessageInformationHeaderRequired"),
            ({"reply_to": "http://elsewhere/"}, "w:UnsupportedFeature"),
            ({"message_id": ""}, "a:InvalidMessageInformationHeader"),
            ({"locale_must": "true"}, "w:UnsupportedFeature"),
        ],
    )
    def test_faults(self, client: Client, headers: dict[str, Any], subcode: str) -> None:
        with pytest.raises(FaultSeenError) as raised:
            client.enumerate(CIMV2 + "Win32_Service", **headers)
        assert raised.value.subcode == subcode

    def test_resource_unknown(self, client: Client) -> None:
        with pytest.raises(FaultSeenError) as raised:
            client.enumerate("http://example.org/nothing")
        assert raised.value.inner == 2150858811

    def test_no_xml(self, client: Client) -> None:
        with pytest.raises(WinRMTransportError) as raised:
            client.transport.send_message("<s:Envelope")
        assert 'Code="2150858817"' in raised.value.args[2]


class TestRegistryProvider:
    KEY = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion"
    CONTROL = r"SYSTEM\CurrentControlSet\Control"
    PROTOCOLS = CONTROL + r"\SecurityProviders\SCHANNEL\Protocols\TLS 1.2"

    @pytest.mark.parametrize("namespace", ["root/cimv2", "root/default"])
    def test_values(self, client: Client, namespace: str) -> None:
        answer = client.registry("GetDWORDValue", self.KEY, "ubr", namespace)
        assert [local(child) for child in answer] == ["uValue", "ReturnValue"]
        assert texts(answer, "uValue") == ["4652"]

    @pytest.mark.parametrize(
        ("method", "key", "value", "expected"),
        [
            ("GetStringValue", KEY, "DisplayVersion", ["sValue=24H2"]),
            ("GetStringValue", r"SYSTEM\CurrentControlSet\Services\Tcpip\Parameters", "Domain", ["sValue="]),
            ("GetMultiStringValue", rf"{CONTROL}\Lsa", "Notification Packages", ["sValue=rassfm", "sValue=scecli"]),
            ("GetBinaryValue", rf"{CONTROL}\Lsa", "Bounds", [f"uValue={byte}" for byte in (0, 48, 0, 0, 0, 32, 0, 0)]),
            (
                "GetExpandedStringValue",
                rf"{CONTROL}\Session Manager\Environment",
                "Path",
                [r"sValue=C:\Windows\system32;C:\Windows"],
            ),
            ("EnumKey", PROTOCOLS, None, ["sNames=Client", "sNames=Server"]),
            ("EnumKey", KEY, None, []),
            (
                "EnumValues",
                rf"{CONTROL}\ComputerName\ComputerName",
                None,
                ["sNames=", "sNames=ComputerName", "Types=1", "Types=1"],
            ),
        ],
    )
    def test_kinds(self, client: Client, method: str, key: str, value: str | None, expected: list[str]) -> None:
        answer = client.registry(method, key, value)
        found = [f"{local(child)}={child.text or ''}" for child in answer]
        assert found == [*expected, "ReturnValue=0"]

    @pytest.mark.parametrize(
        ("method", "key", "value", "code"),
        [
            ("GetDWORDValue", r"SOFTWARE\Nothing", "x", "2"),
            ("GetDWORDValue", KEY, "Nothing", "1"),
            ("GetDWORDValue", KEY, "DisplayVersion", "1"),
            ("EnumKey", r"SECURITY\Policy", None, "5"),
        ],
    )
    def test_return_values(self, client: Client, method: str, key: str, value: str | None, code: str) -> None:
        answer = client.registry(method, key, value)
        assert [(local(child), child.text) for child in answer] == [("ReturnValue", code)]

    def test_read_only_users_may_query_but_not_call(self) -> None:
        with running(HEALTHY.with_(read_only=[USER])) as server:
            client = ntlm(server)
            client.query("SELECT Name FROM Win32_ComputerSystem")
            with pytest.raises(FaultSeenError) as raised:
                client.registry("EnumKey", "SOFTWARE")
            assert raised.value.inner == 5


class TestForbidden:
    def test_other_methods_and_writes_are_recorded(self) -> None:
        with running() as server:
            client = ntlm(server)
            uri = CIMV2 + "StdRegProv"
            for action, resource in (
                (uri + "/SetDWORDValue", uri),
                (TRANSFER + "/Put", CONFIG + "/service"),
                (TRANSFER + "/Create", CONFIG + "/listener"),
                (TRANSFER + "/Delete", CIMV2 + "Win32_Process"),
                (CIMV2 + "Win32_Process/Create", CIMV2 + "Win32_Process"),
            ):
                with pytest.raises(FaultSeenError) as raised:
                    client.send(action, resource)
                assert raised.value.inner == 2150858753
            assert len(server.log.forbidden) == 5
            client.query("SELECT Name FROM Win32_ComputerSystem")
            assert len(server.log.forbidden) == 5


@contextmanager
def shell(server: WinRMServer) -> Iterator["Shell"]:
    one = Shell(protocol(server))
    try:
        yield one
    finally:
        one.protocol.close_shell(one.shell_id)


class Shell:
    """A shell of pywinrm."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self.shell_id = protocol.open_shell(codepage=65001, noprofile=True)

    def run(self, line: str, stdin: bytes | None = None) -> tuple[str, str, int]:
        command_id = self.protocol.run_command(self.shell_id, line, console_mode_stdin=False)
        if stdin is not None:
            self.protocol.send_command_input(self.shell_id, command_id, stdin, end=True)
        out, err, code = self.protocol.get_command_output(self.shell_id, command_id)
        self.protocol.cleanup_command(self.shell_id, command_id)
        return out.decode(), err.decode(), code


class TestShell:
    def test_life(self) -> None:
        with running() as server:
            with shell(server) as one:
                out, err, code = one.run(rf'{REG} query "HKLM\SYSTEM\CurrentControlSet\Services\W32Time\Parameters"')
                assert (err, code) == ("", 0)
                assert out == (
                    "\r\nHKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\W32Time\\Parameters\r\n"
                    "    NtpServer    REG_SZ    192.0.2.53,0x8\r\n    Type    REG_SZ    NTP\r\n\r\n"
                )
                assert server.log.open_shells == [one.shell_id]
            assert server.log.open_shells == []
            (record,) = server.log.shells
            assert record.options == {"WINRS_NOPROFILE": "TRUE", "WINRS_CODEPAGE": "65001"}
            assert server.log.command_options[0]["WINRS_CONSOLEMODE_STDIN"] == "FALSE"
            names = [r.operation for r in server.log.operations()]
            assert names == ["Create", "Command", "Receive", "Signal", "Delete"]
            assert server.log.forbidden == []

    def test_chain_through_cmd(self, server: WinRMServer) -> None:
        inner = (
            rf'{REG} query "HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion" /v UBR & echo ##1 !errorlevel! & '
            rf"{REG} query HKLM\Nothing & echo ##2 !errorlevel!"
        )
        with shell(server) as one:
            out, err, code = one.run(rf'%SystemRoot%\System32\cmd.exe /d /v:on /s /c "{inner}"')
        assert re.findall(r"##(\d) (\d) \r\n", out.replace("##2 1", "##2 1 ")) == [("1", "0"), ("2", "1")]
        assert "    UBR    REG_DWORD    0x122c\r\n" in out
        assert err.startswith("ERROR: ")
        assert code == 1

    def test_output_cut_inside_characters(self) -> None:
        scenario = HEALTHY.patched({"registry": {r"HKLM\SOFTWARE\X": {"Näme": ["REG_SZ", "中文 €"]}}})
        with running(scenario, chunk_bytes=2, receive_bytes=20) as server, shell(server) as one:
            out, _, _ = one.run(rf"{REG} query HKLM\SOFTWARE\X")
            assert "    Näme    REG_SZ    中文 €\r\n" in out
            assert len(server.log.operations("Receive")) > 3

    def test_code_page(self) -> None:
        scenario = HEALTHY.patched({"registry": {r"HKLM\SOFTWARE\X": {"v": ["REG_SZ", "ü中"]}}})
        with running(scenario) as server:
            client = protocol(server)
            shell_id = client.open_shell()
            command_id = client.run_command(shell_id, rf"{REG} query HKLM\SOFTWARE\X")
            out, _, _ = client.get_command_output(shell_id, command_id)
            assert b"REG_SZ    \x81?\r\n" in out
            client.close_shell(shell_id)

    def test_too_long_a_line(self, server: WinRMServer) -> None:
        with shell(server) as one:
            one.run("echo " + "x" * 8186)
            with pytest.raises(WSManFaultError) as raised:
                one.run("echo " + "x" * 8187)
            assert raised.value.wsman_fault_code == 2147942606

    def test_receive_of_a_silent_command_times_out(self) -> None:
        with running(HEALTHY, Misbehaviour("never_ends", pattern="w32tm")) as server:
            client = ntlm(server)
            one = Shell(protocol(server))
            line = r"%SystemRoot%\System32\w32tm.exe /query /source"
            command_id = one.protocol.run_command(one.shell_id, line)
            body = receive(command_id)
            selectors = {"ShellId": one.shell_id}
            with pytest.raises(FaultSeenError) as raised:
                client.send(SHELL + "/Receive", SHELL + "/cmd", body, selectors=selectors, timeout="PT0.2S")
            assert (raised.value.inner, raised.value.subcode) == (2150858793, "w:TimedOut")
            signal = f'<rsp:Signal CommandId="{command_id}"><rsp:Code>{SHELL}/signal/ctrl_c</rsp:Code></rsp:Signal>'
            client.send(SHELL + "/Signal", SHELL + "/cmd", signal, selectors=selectors)
            answer = client.send(SHELL + "/Receive", SHELL + "/cmd", body, selectors=selectors)
            assert answer.findtext(".//{*}ExitCode") == "3221225786"
            with pytest.raises(FaultSeenError) as raised:
                client.send(SHELL + "/Receive", SHELL + "/cmd", body, selectors=selectors)
            assert raised.value.inner == 2150858843

    def test_unknown_shell(self, client: Client) -> None:
        with pytest.raises(FaultSeenError) as raised:
            client.send(TRANSFER + "/Delete", SHELL + "/cmd", selectors={"ShellId": str(uuid.uuid4())})
        assert (raised.value.outer, raised.value.subcode) == (2150858843, "w:InvalidSelectors")

    def test_quota(self) -> None:
        with running(HEALTHY.patched({"config": {"Winrs": {"MaxShellsPerUser": 2}}})) as server:
            one = protocol(server)
            shells = [one.open_shell() for _ in range(2)]
            with pytest.raises(WSManFaultError) as raised:
                one.open_shell()
            assert raised.value.wsman_fault_code == 2150859173
            assert server.log.open_shells == sorted(shells)

    def test_shells_switched_off(self) -> None:
        with running(HEALTHY.patched({"config": {"Winrs": {"AllowRemoteShellAccess": False}}})) as server:
            with pytest.raises(WSManFaultError) as raised:
                protocol(server).open_shell()
            assert raised.value.wsman_fault_code == 2150859180
            assert ntlm(server).registry("EnumKey", "SOFTWARE")

    def test_reg_output(self) -> None:
        tree = {
            r"HKLM\SOFTWARE\X": {},
            r"HKLM\SOFTWARE\X\B": {
                "": ["REG_SZ", "default"],
                "bin": ["REG_BINARY", "0aff"],
                "multi": ["REG_MULTI_SZ", ["a", "b"]],
                "empty": ["REG_SZ", ""],
                "expand": ["REG_EXPAND_SZ", "%SystemRoot%"],
                "q": ["REG_QWORD", 255],
            },
            r"HKLM\SOFTWARE\X\A\Deep": {},
            r"HKLM\SOFTWARE\WOW6432Node\X": {"only": ["REG_DWORD", 32]},
        }
        base = "HKEY_LOCAL_MACHINE\\SOFTWARE\\x"
        with running(HEALTHY.patched({"registry": tree})) as server, shell(server) as one:
            # A key without values shows its subkeys only.
            assert one.run(rf"{REG} query HKLM\SOFTWARE\x")[0] == f"\r\n{base}\\A\r\n{base}\\B\r\n"
            out = one.run(rf"{REG} query HKLM\SOFTWARE\x /s /reg:64")[0]
            assert out == "\r\n".join(
                [
                    "",
                    f"{base}\\A",
                    "",
                    f"{base}\\A\\Deep",
                    "",
                    f"{base}\\B",
                    "    (Default)    REG_SZ    default",
                    "    bin    REG_BINARY    0AFF",
                    "    multi    REG_MULTI_SZ    a\\0b",
                    "    empty    REG_SZ    ",
                    "    expand    REG_EXPAND_SZ    %SystemRoot%",
                    "    q    REG_QWORD    0xff",
                    "",
                    "",
                ]
            )
            assert "    only    REG_DWORD    0x20\r\n" in one.run(rf"{REG} query HKLM\SOFTWARE\X /reg:32")[0]
            assert one.run(rf"{REG} query HKLM\SOFTWARE\X\B /v BIN")[0].count("REG_") == 1
            for missing in (r"HKLM\SOFTWARE\X\C", r"HKLM\SOFTWARE\X\B /v none", r"HKLM\SECURITY", "HKXX", ""):
                out, err, code = one.run(rf"{REG} query {missing}")
                assert (out, code) == ("", 1)
                assert err.startswith("ERROR: ")

    def test_localised_messages(self) -> None:
        changes = {"messages": {"registry_missing": "FEHLER: nicht da", "registry_default": "(Standard)"}}
        with running(HEALTHY.patched(changes)) as server, shell(server) as one:
            assert one.run(rf"{REG} query HKLM\Nothing") == ("", "FEHLER: nicht da\r\n", 1)
            out, _, _ = one.run(rf"{REG} query HKLM\SYSTEM\CurrentControlSet\Control\ComputerName\ComputerName")
            assert "    (Standard)    REG_SZ    mnmsrvc\r\n" in out

    def test_programs(self) -> None:
        without_agent = HEALTHY.patched({"programs": lambda old: [a for a in old if "azcmagent" not in a["match"]]})
        with running(without_agent) as server, shell(server) as one:
            system = "%SystemRoot%\\System32\\"
            out, _, code = one.run(system + "whoami.exe /groups /fo csv /nh")
            assert '"BUILTIN\\Administrators","Alias","S-1-5-32-544",' in out
            assert code == 0
            assert "-1001" in one.run(system + "whoami.exe /user /fo csv /nh")[0]
            assert one.run(system + "w32tm.exe /query /source")[0] == "192.0.2.53,0x8\r\n"
            assert "localhost" in one.run(r"type %SystemRoot%\System32\drivers\etc\hosts")[0]
            assert server.log.forbidden == []
            path = r'"%ProgramFiles%\AzureConnectedMachineAgent\azcmagent.exe" show -j'
            out, err, code = one.run(path)
            assert (out, code) == ("", 1)
            assert "azcmagent.exe" in err
            chained = one.run(rf'{system}cmd.exe /d /v:on /s /c "{path} & echo !errorlevel!"')
            assert chained[0] == "9009\r\n"
            assert server.log.forbidden == []

    @pytest.mark.parametrize(
        "line",
        [
            r"reg query HKLM\SOFTWARE",
            r"%SystemRoot%\System32\WindowsPowerShell\v1.0\powershell.exe -Command Get-Date",
            r"%SystemRoot%\System32\reg.exe add HKLM\SOFTWARE\X /f",
            r"%SystemRoot%\System32\w32tm.exe /resync",
            r"%SystemRoot%\System32\reg.exe query HKLM\SOFTWARE > C:\x.txt",
            r"%SystemRoot%\System32\curl.exe -o C:\x.txt http://127.0.0.1:1/",
            r"%SystemRoot%\System32\cmd.exe",
        ],
    )
    def test_forbidden_lines(self, line: str) -> None:
        with running() as server, shell(server) as one:
            assert one.run(line)[2] != 0
            assert len(server.log.forbidden) == 1


class _Web(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(30)
        body = b"hello"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def web() -> Iterator[int]:
    class Threaded(http.server.ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    with Threaded(("127.0.0.1", 0), _Web) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        yield site.server_address[1]
        site.shutdown()


class TestCurl:
    CURL = "%SystemRoot%\\System32\\curl.exe "

    def test_work_list_on_standard_input(self, web: int) -> None:
        work = (
            'no-progress-meter\nurl = "http://one.test/"\noutput = NUL\n'
            'write-out = "%{http_code} %{url_effective}\\n"\nnext\n'
            'no-progress-meter\nurl = "http://two.test/"\noutput = "NUL"\nwrite-out = "%{http_code} %{remote_ip}\\n"\n'
        )
        network = ["--connect-to", f"::127.0.0.1:{web}"]
        with running(curl_arguments=network) as server, shell(server) as one:
            out, err, code = one.run(self.CURL + "--no-progress-meter -Z -K -", work.encode())
            assert sorted(out.split("\n")) == ["", "200 127.0.0.1", "200 http://one.test/"]
            assert (err, code) == ("", 0)
            assert server.log.forbidden == []

    def test_arguments_and_exit_code(self, web: int) -> None:
        with running() as server, shell(server) as one:
            assert one.run(self.CURL + f'-s -o NUL -w "%{{http_code}}" "http://127.0.0.1:{web}/a?b=1"') == (
                "200",
                "",
                0,
            )
            assert one.run(self.CURL + "-s http://127.0.0.1:1/")[2] == 7

    def test_delete_kills_it(self, web: int) -> None:
        with running() as server:
            one = Shell(protocol(server))
            one.protocol.run_command(one.shell_id, self.CURL + f"-s http://127.0.0.1:{web}/slow")
            started = time.monotonic()
            one.protocol.close_shell(one.shell_id)
        assert time.monotonic() - started < 5

    def test_waits_for_the_end_of_input(self) -> None:
        with running() as server:
            one = Shell(protocol(server))
            command_id = one.protocol.run_command(one.shell_id, self.CURL + "-s -K -")
            one.protocol.send_command_input(one.shell_id, command_id, b'url = "http://127.0.0.1:1/"\n', end=False)
            body = receive(command_id)
            with pytest.raises(FaultSeenError):
                ntlm(server).send(
                    SHELL + "/Receive", SHELL + "/cmd", body, selectors={"ShellId": one.shell_id}, timeout="PT0.2S"
                )
            one.protocol.send_command_input(one.shell_id, command_id, b"", end=True)
            assert one.protocol.get_command_output(one.shell_id, command_id)[2] == 7


class TestMisbehaviour:
    QUERY = "SELECT Name FROM Win32_ComputerSystem"

    def test_hang_until_stopped(self) -> None:
        started = time.monotonic()
        hang = Misbehaviour("hang", operation="Enumerate")
        with running(HEALTHY, hang) as server, pytest.raises(requests.exceptions.ReadTimeout):
            ntlm(server, read_timeout_sec=0.3).query(self.QUERY)
        assert time.monotonic() - started < 3

    @pytest.mark.parametrize(
        ("misbehaviour", "error"),
        [
            (Misbehaviour("reset", pattern="Win32_Comp"), requests.exceptions.ConnectionError),
            (Misbehaviour("close_mid_body", pattern="Win32_Comp"), requests.exceptions.ChunkedEncodingError),
            (Misbehaviour("truncated_xml", operation="Enumerate"), ET.ParseError),
            (Misbehaviour("garbage_xml", operation="Enumerate"), ET.ParseError),
            (Misbehaviour("unauthorized"), InvalidCredentialsError),
            (Misbehaviour("reset", operation="Anonymous"), requests.exceptions.ConnectionError),
        ],
        ids=lambda value: value.action if isinstance(value, Misbehaviour) else "",
    )
    def test_errors(self, misbehaviour: Misbehaviour, error: type[Exception]) -> None:
        with running(HEALTHY, misbehaviour) as server, pytest.raises(error):
            ntlm(server).query(self.QUERY)

    @pytest.mark.parametrize("status", [500, 503])
    def test_status_without_soap(self, status: int) -> None:
        with running(HEALTHY, Misbehaviour("http_status", operation="Enumerate", status=status)) as server:
            with pytest.raises(WinRMTransportError) as raised:
                ntlm(server).transport.send_message(envelope(ENUMERATION + "/Enumerate", CIMV2 + "*"))
            assert raised.value.args[1] == status

    def test_given_fault(self) -> None:
        fault = Fault(2150858755, inner_code=2147749921, shape=Shape.PROVIDER)
        with running(HEALTHY, Misbehaviour("fault", pattern="Win32_Comp", fault=fault)) as server:
            client = ntlm(server)
            with pytest.raises(FaultSeenError) as raised:
                client.query(self.QUERY)
            assert (raised.value.outer, raised.value.inner) == (2150858755, 2147749921)
            assert client.query("SELECT Name FROM Win32_OperatingSystem")

    def test_nth(self) -> None:
        rule = Misbehaviour("fault", operation="Enumerate", nth=2, fault=Fault(2150858906))
        with running(HEALTHY, rule) as server:
            client = ntlm(server)
            client.query(self.QUERY)
            with pytest.raises(FaultSeenError):
                client.query(self.QUERY)
            client.query(self.QUERY)

    def test_drip_and_latency(self) -> None:
        rules = (Misbehaviour("drip", operation="Enumerate", seconds=0.0001), Misbehaviour("latency", seconds=0.05))
        with running(HEALTHY, *rules) as server:
            started = time.monotonic()
            assert ntlm(server).query(self.QUERY)
            assert time.monotonic() - started > 0.2

    def test_idle_connection(self) -> None:
        with running(HEALTHY, Misbehaviour("idle_400", seconds=0.2)) as server:
            client = ntlm(server)
            client.query(self.QUERY)
            client.query(self.QUERY)
            time.sleep(0.3)
            with pytest.raises(WinRMTransportError) as raised:
                client.query(self.QUERY)
            assert raised.value.args[1:] == (400, "")
            assert ntlm(server).query(self.QUERY)

    def test_cut_output(self) -> None:
        with running(HEALTHY, Misbehaviour("cut_output", pattern="CurrentVersion"), chunk_bytes=50) as server:
            one = Shell(protocol(server))
            with pytest.raises(requests.exceptions.ConnectionError):
                one.run(rf'{REG} query "HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion"')
            assert server.log.open_shells == [one.shell_id]


class TestScenarios:
    def test_strict(self) -> None:
        mistakes: list[dict[str, Any]] = [
            {"colour": "red"},
            {"cim": {"root/cimv2": {"Win32_Sevice": []}}},
            {"cim": {"root/nothing": {}}},
            {"cim": {"root/cimv2": {"Win32_Service": [{"Nme": "x"}]}}},
            {"cim": {"root/cimv2": {"Win32_Service": [{"Name": 5}]}}},
            {"cim": {"root/cimv2": {"Win32_Service": [{"Started": "true"}]}}},
            {"cim": {"root/cimv2": {"Win32_OperatingSystem": [{"MUILanguages": "en-US"}]}}},
            {"cim": {"root/cimv2": {"Win32_OperatingSystem": [{"LastBootUpTime": "yesterday"}]}}},
            {"registry": {r"HKLM\X": {"v": ["REG_DWORD", -1]}}},
            {"registry": {r"XKLM\X": {}}},
            {"config": {"Service": {"AllowUnencryptd": True}}},
            {"ping": {"192.0.2.1": "yes"}},
            {"missing_classes": ["root/cimv2/Win32_Nothing"]},
        ]
        for mistake in mistakes:
            with pytest.raises(ValueError, match=r"\w"):
                HEALTHY.patched(mistake)

    def test_value_errors_name_class_and_property(self) -> None:
        with pytest.raises(ValueError, match=r"root/cimv2/Win32_Service\.ProcessId: -1 is no uint32"):
            HEALTHY.patched({"cim": {"root/cimv2": {"Win32_Service": [{"ProcessId": -1}]}}})

    def test_duplicate_keys_in_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "twice.yaml"
        path.write_text("node: A\nnode: B\n", encoding="utf-8")
        with pytest.raises(ValueError, match="twice"):
            load_scenario(path)

    def test_yaml_texts_stay_texts(self, tmp_path: Path) -> None:
        path = tmp_path / "texts.yaml"
        path.write_text(
            "node: no\ncim: {root/cimv2: {Win32_OperatingSystem: [{LastBootUpTime: 2026-11-18T06:02:44Z}]}}\n",
            encoding="utf-8",
        )
        scenario = load_scenario(path)
        assert scenario.node == "no"

    def test_another_node(self) -> None:
        other = HEALTHY.substituted({"AZL-N01": "AZL-N02", "azl-n01": "azl-n02", "192.0.2.11": "192.0.2.12"})
        assert other.node == "AZL-N02"
        with running(other) as server:
            (item,) = ntlm(server).query("SELECT Name, DNSHostName FROM Win32_ComputerSystem")
            assert (item.findtext("Name"), item.findtext("DNSHostName")) == ("AZL-N02", "azl-n02")
            (item,) = ntlm(server).query(
                "SELECT IPAddress FROM MSFT_NetIPAddress WHERE InterfaceAlias='NIC1'", "root/StandardCimv2"
            )
            assert item.findtext("IPAddress") == "192.0.2.12"
        assert HEALTHY.node == "AZL-N01"

    def test_patches(self) -> None:
        patched = HEALTHY.patched(
            {"registry": {r"HKLM\SYSTEM\CurrentControlSet\Services\W32Time\Parameters": {"NtpServer": DELETE}}}
        )
        with running(patched) as server:
            key = r"SYSTEM\CurrentControlSet\Services\W32Time\Parameters"
            assert texts(ntlm(server).registry("GetStringValue", key, "NtpServer"), "ReturnValue") == ["1"]
            assert texts(ntlm(server).registry("GetStringValue", key, "Type"), "sValue") == ["NTP"]

    def test_cluster(self) -> None:
        with running(load_scenario("clustered")) as server:
            client = ntlm(server)
            (item,) = client.query("SELECT Name, AdminAccessPoint FROM MSCluster_Cluster", "root/MSCluster")
            assert item.findtext("AdminAccessPoint") == "2"
            assert texts(client.registry("EnumKey", "Cluster"), "sNames") == ["Resources"]


class TestServer:
    def test_loopback_only(self, server: WinRMServer) -> None:
        with socket.create_connection(("127.0.0.1", server.http_port)) as connection:
            assert connection.getpeername()[0] == "127.0.0.1"
        listening = Path("/proc/net/tcp").read_text(encoding="ascii")
        assert f"0100007F:{server.http_port:04X}" in listening
        assert f"00000000:{server.http_port:04X}" not in listening

    def test_many_servers_and_connections(self) -> None:
        started = time.monotonic()
        with ExitStack() as stack:
            servers = [stack.enter_context(running()) for _ in range(64)]
            errors: list[BaseException] = []

            def use(server: WinRMServer) -> None:
                try:
                    ntlm(server).query("SELECT Name FROM Win32_ComputerSystem")
                except BaseException as error:
                    errors.append(error)
                    raise

            threads = [threading.Thread(target=use, args=(one,)) for one in servers + servers[:4] * 4]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert errors == []
            assert servers[0].log.connections == 5
        assert time.monotonic() - started < 10
