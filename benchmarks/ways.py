"""The ways of reading a node that are compared. Each loads its library only in the process that measures it."""

from __future__ import annotations

import base64
import http.client
import re
import struct
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from azpreflight.facts.collection import Collection
    from azpreflight.site.model import Node


@dataclass(frozen=True)
class Setup:
    """What a way is told.

    Attributes:
        port: of the endpoint, on loopback.
        user, password: of an account there.
        scripts: for each fact, the PowerShell that prints it as JSON, encoded.
        asked: the requests that azpreflight sends for the same facts.
        nodes: of the site.
    """

    port: int
    user: str
    password: str
    scripts: Mapping[str, str]
    asked: Sequence[Mapping[str, str]]
    nodes: int

    @property
    def url(self) -> str:
        """Of the WinRM service."""
        return f"http://127.0.0.1:{self.port}/wsman"


class Way(Protocol):
    """One way of reading nodes."""

    def node(self, number: int | None = None) -> Mapping[str, Any]:
        """The facts of one node, by name: values, or JSON text.

        `number` is the node's place in its site, from 0; None is the only node of a site.
        """
        ...


class Requests(Protocol):
    """A way whose requests can be counted one by one."""

    def requests(self, count: int) -> None:
        """Send so many like requests over authenticated connections."""
        ...


class Pywinrm:
    """pywinrm: `Session.run_ps` for each fact."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._scripts = {name: base64.b64decode(encoded).decode("utf-16-le") for name, encoded in setup.scripts.items()}

    def node(self, number: int | None = None) -> dict[str, str]:
        """Eight requests on a new connection for each fact."""
        import winrm

        auth = (self._setup.user, self._setup.password)
        session = winrm.Session(self._setup.url, auth=auth, transport="ntlm")
        found = {}
        for name, script in self._scripts.items():
            answer = session.run_ps(script)
            if answer.status_code != 0:
                raise ValueError(f"{name}: {answer.std_err!r}")
            found[name] = answer.std_out.decode()
        return found

    def requests(self, count: int) -> None:
        """The envelope of the floor through `Transport.send_message`; the answer is not looked at."""
        from winrm.transport import Transport

        transport = Transport(
            endpoint=self._setup.url,
            username=self._setup.user,
            password=self._setup.password,
            auth_method="ntlm",
            proxy=None,
        )
        for _ in range(count):
            transport.send_message(enumeration(self._setup.url, *ONE_ROW))
        transport.close_session()


class Testinfra:
    """pytest-testinfra: `host.run` for each fact."""

    def __init__(self, setup: Setup) -> None:
        self._host = f"winrm://{setup.user}:{setup.password}@127.0.0.1:{setup.port}?no_ssl=true"
        self._scripts = setup.scripts

    def node(self, number: int | None = None) -> dict[str, str]:
        """Eight requests on a new connection for each fact."""
        import testinfra

        host = testinfra.get_host(self._host)
        found = {}
        for name, script in self._scripts.items():
            answer = host.run(f"powershell -EncodedCommand {script}")
            if answer.rc != 0:
                raise ValueError(f"{name}: {answer.stderr!r}")
            found[name] = answer.stdout
        return found


class Pypsrp:
    """pypsrp: one WinRS shell, a process for each fact."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup

    def node(self, number: int | None = None) -> dict[str, str]:
        """Three requests for each fact, on one connection."""
        from pypsrp.shell import Process, WinRS
        from pypsrp.wsman import WSMan

        setup = self._setup
        wsman = WSMan(
            "127.0.0.1", port=setup.port, username=setup.user, password=setup.password, ssl=False, auth="ntlm"
        )
        found = {}
        with wsman, WinRS(wsman) as shell:
            for name, script in setup.scripts.items():
                process = Process(shell, "powershell", ["-EncodedCommand", script])
                process.invoke()
                # As pywinrm writes it; pypsrp's own constant differs in case, which the endpoint does not know.
                process.signal(f"{_SHELL}/signal/terminate")
                if process.rc != 0:
                    raise ValueError(f"{name}: {process.stderr!r}")
                found[name] = process.stdout.decode()
        return found


class Azpreflight:
    """azpreflight: the source `winrm` as a run uses it."""

    def __init__(self, setup: Setup) -> None:
        # Here and not above: what azpreflight needs in memory is no part of the others.
        from benchmarks.facts import thirty_facts

        from azpreflight import Credential
        from azpreflight.facts.winrm.channel import Endpoint
        from azpreflight.facts.winrm.source import WinrmSource

        self._here = Endpoint(host="127.0.0.1", port=setup.port, https=False, certificate_name="127.0.0.1")

        def endpoint_of(node: Node) -> Endpoint:
            return self._here

        self.collection = thirty_facts(setup.nodes)
        self.alone = thirty_facts(1)
        self._credential = Credential(setup.user, setup.password)
        self.source = WinrmSource(self._credential, endpoint_of)

    def node(self, number: int | None = None) -> Mapping[str, Any]:
        """All queries of the collection."""
        collection = self.alone if number is None else self.collection
        return self._collect(collection, number or 0, seconds=180)

    def requests(self, count: int) -> None:
        """So many facts of one row, over several connections, decoded and kept as in every run."""
        from benchmarks.facts import one_row_facts

        self._collect(one_row_facts(count), 0, seconds=600)

    def rows(self, count: int) -> None:
        """The same requests one after the other over a single connection, decoded."""
        from benchmarks.facts import ONE_ROW_QUERY

        from azpreflight.facts.deadline import Deadline
        from azpreflight.facts.winrm import cim
        from azpreflight.facts.winrm.session import Session

        deadline = Deadline(600)
        with Session(self._here, self._credential, 60) as session:
            for _ in range(count):
                cim.rows(session, self.collection.classes, ONE_ROW_QUERY, None, deadline)

    def _collect(self, collection: Collection, number: int, *, seconds: float) -> Mapping[str, Any]:
        from benchmarks.facts import Facts

        from azpreflight.facts.deadline import Deadline

        facts = Facts()
        self.source.collect_node(collection.site.nodes[number], collection, Deadline(seconds), facts.keep)
        return facts.values


_ENVELOPE = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
    ' xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
    ' xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration"'
    ' xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"'
    ' xmlns:rsp="http://schemas.microsoft.com/wbem/wsman/1/windows/shell"><s:Header>'
    '<a:To>{url}</a:To><w:ResourceURI s:mustUnderstand="true">{uri}</w:ResourceURI>'
    '<a:ReplyTo><a:Address s:mustUnderstand="true">'
    "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>"
    '<a:Action s:mustUnderstand="true">{action}</a:Action>'
    '<w:MaxEnvelopeSize s:mustUnderstand="true">512000</w:MaxEnvelopeSize><a:MessageID>uuid:{id}</a:MessageID>'
    "<w:OperationTimeout>PT60.000S</w:OperationTimeout>{more}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
)
_ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
_TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
_SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
_DIALECT = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
_COMMAND_OPTIONS = (
    '<w:OptionSet><w:Option Name="WINRS_CONSOLEMODE_STDIN">FALSE</w:Option>'
    '<w:Option Name="WINRS_SKIP_CMD_SHELL">FALSE</w:Option></w:OptionSet>'
)
_SHELL_BODY = (
    "<rsp:Shell><rsp:InputStreams>stdin</rsp:InputStreams>"
    "<rsp:OutputStreams>stdout stderr</rsp:OutputStreams></rsp:Shell>"
)
ONE_ROW = (
    "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/*",
    "select Name,DNSHostName,Domain,Workgroup,PartOfDomain,DomainRole from Win32_ComputerSystem",
)


def _envelope(url: str, uri: str, action: str, body: str, more: str = "") -> str:
    return _ENVELOPE.format(url=url, uri=uri, action=action, id=uuid.uuid4(), body=body, more=more)


def enumeration(url: str, uri: str, wql: str) -> str:
    """An Enumerate, of a filter or (`wql` is empty) of everything."""
    condition = f'<w:Filter Dialect="{_DIALECT}">{escape(wql)}</w:Filter>' if wql else ""
    body = f"<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>32000</w:MaxElements>{condition}</n:Enumerate>"
    return _envelope(url, uri, f"{_ENUMERATION}/Enumerate", body)


class Floor:
    """http.client, pyspnego and string templates: the requests of azpreflight, and nothing but the requests.

    Answers are decrypted and searched for what the next request needs; they are not parsed, and no error is understood.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._url = setup.url
        self._asked = setup.asked
        unknown = {a["operation"] for a in self._asked} - {
            *("Enumerate", "Pull", "Get", "Create", "Command", "Receive", "Delete")
        }
        if unknown:
            raise ValueError(f"the floor cannot repeat {sorted(unknown)}")

    def node(self, number: int | None = None) -> dict[str, str]:
        """The requests that azpreflight sent, one after the other; no facts."""
        connection = _Encrypted(self._setup)
        shell = command = ""
        for asked in self._asked:
            uri = asked["resource"]
            match asked["operation"]:
                case "Enumerate":
                    answer = connection.post(enumeration(self._url, uri, asked["wql"]))
                    while context := _between(answer, "EnumerationContext"):
                        pull = (
                            f"<n:Pull><n:EnumerationContext>{context}</n:EnumerationContext>"
                            "<n:MaxElements>32000</n:MaxElements></n:Pull>"
                        )
                        answer = connection.post(_envelope(self._url, uri, f"{_ENUMERATION}/Pull", pull))
                case "Get":
                    connection.post(_envelope(self._url, uri, f"{_TRANSFER}/Get", ""))
                case "Create":
                    answer = connection.post(_envelope(self._url, uri, f"{_TRANSFER}/Create", _SHELL_BODY))
                    shell = _selector(_between(answer, "ShellId"))
                case "Command":
                    line = f"<rsp:CommandLine><rsp:Command>{escape(asked['command'])}</rsp:Command></rsp:CommandLine>"
                    more = shell + _COMMAND_OPTIONS
                    answer = connection.post(_envelope(self._url, uri, f"{_SHELL}/Command", line, more))
                    command = _between(answer, "CommandId")
                case "Receive":
                    body = (
                        f'<rsp:Receive><rsp:DesiredStream CommandId="{command}">stdout stderr</rsp:DesiredStream>'
                        "</rsp:Receive>"
                    )
                    answer = connection.post(_envelope(self._url, uri, f"{_SHELL}/Receive", body, shell))
                    for stream in re.findall(rb'Name="stdout"[^>]*>([^<]+)<', answer):
                        base64.b64decode(stream)
                case "Delete":
                    connection.post(_envelope(self._url, uri, f"{_TRANSFER}/Delete", "", shell))
        connection.close()
        return {}

    def requests(self, count: int) -> None:
        """One envelope again and again; the answer is decrypted."""
        connection = _Encrypted(self._setup)
        for _ in range(count):
            connection.post(enumeration(self._url, *ONE_ROW))
        connection.close()


def _between(answer: bytes, name: str) -> str:
    """The text of the first element of that name; "" if there is none."""
    found = re.search(rf"<(?:\w+:)?{name}(?: [^>]*)?>([^<]+)<".encode(), answer)
    return found[1].decode() if found else ""


def _selector(shell: str) -> str:
    return f'<w:SelectorSet><w:Selector Name="ShellId">{shell}</w:Selector></w:SelectorSet>'


class _Encrypted:
    """One NTLM connection with message encryption."""

    _HEADERS = {
        "Content-Type": 'multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted";'
        'boundary="Encrypted Boundary"'
    }
    _PREFIX = (
        "--Encrypted Boundary\r\n\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n"
        "\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=%d\r\n"
        "--Encrypted Boundary\r\n\tContent-Type: application/octet-stream\r\n"
    )
    _END = b"--Encrypted Boundary--\r\n"

    def __init__(self, setup: Setup) -> None:
        import spnego

        self._http = http.client.HTTPConnection("127.0.0.1", setup.port)
        use_ntlm = spnego.NegotiateOptions.use_ntlm
        self._security: Any = spnego.client(setup.user, setup.password, protocol="ntlm", options=use_ntlm)
        # The same three requests as everybody's: bare, then the two of the handshake.
        self._exchange(b"", {})
        token: bytes | None = None
        for _ in range(2):
            token = self._security.step(token)
            header = {"Authorization": f"Negotiate {base64.b64encode(token or b'').decode()}"}
            challenge = self._exchange(b"", header)[0].getheader("WWW-Authenticate", "")
            token = base64.b64decode(challenge.removeprefix("Negotiate "))
        if not self._security.complete:
            raise ValueError("the handshake did not complete")

    def _exchange(self, body: bytes, headers: Mapping[str, str]) -> tuple[http.client.HTTPResponse, bytes]:
        self._http.request("POST", "/wsman", body, dict(headers))
        response = self._http.getresponse()
        return response, response.read()

    def post(self, envelope: str) -> bytes:
        """Send an envelope and return the answer, decrypted.

        Raises:
            ValueError: the answer is no success.
        """
        message = envelope.encode()
        header, data, _ = self._security.wrap_winrm(message)
        body = self._PREFIX.encode() % len(message) + struct.pack("<i", len(header)) + header + data + self._END
        response, answer = self._exchange(body, self._HEADERS)
        sealed = answer[answer.index(b"octet-stream\r\n") + 14 : -len(self._END)]
        length = struct.unpack("<i", sealed[:4])[0]
        text: bytes = self._security.unwrap_winrm(sealed[4 : 4 + length], sealed[4 + length :])
        if response.status != http.client.OK:
            raise ValueError(f"status {response.status}: {text[:400]!r}")
        return text

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


WAYS: Mapping[str, Callable[[Setup], Way]] = {
    "pywinrm": Pywinrm,
    "testinfra": Testinfra,
    "pypsrp": Pypsrp,
    "floor": Floor,
    "azpreflight": Azpreflight,
}
"""By the name in the tables."""
