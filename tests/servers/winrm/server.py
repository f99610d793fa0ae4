"""The public server: one node on loopback ports."""

import ssl
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from .auth import Accounts
from .connection import Connection, Node
from .listener import Listener
from .log import RequestLog
from .misbehaviour import Misbehaviour, Misbehaviours
from .programs import Curl, Interpreter
from .scenario import Scenario
from .service import Service
from .shell import ShellHost


class WinRMServer:
    """A Windows node's WinRM endpoint, as a context manager."""

    def __init__(
        self,
        scenario: Scenario,
        accounts: Mapping[str, str],
        *,
        http: bool = True,
        certificate: tuple[Path | str, Path | str] | None = None,
        client_authority: Path | None = None,
        client_certificates: Mapping[str, str] | None = None,
        keytab: Path | None = None,
        host: str = "127.0.0.1",
        ports: tuple[int, int] = (0, 0),
        clock_ahead: float = 0.0,
        misbehaviours: Sequence[Misbehaviour] = (),
        curl_arguments: Sequence[str] = (),
        chunk_bytes: int = 4096,
        receive_bytes: int | None = None,
    ) -> None:
        """`certificate`: PEM files of certificate and key; with them the server listens for HTTPS too.

        `client_authority`: PEM file of who signs certificates of clients; with it HTTPS asks for one.
        `client_certificates`: users by the thumbprint of the certificate mapped to them. `keytab`: of the node in a
        Kerberos realm. `ports`: of HTTP and HTTPS on `host`; 0 is a free one. `clock_ahead`: seconds by which the
        node's clock is ahead of this machine's.

        `accounts`: user name, `DOMAIN\\name` for one of a domain, to password. `curl_arguments` stand for the
        network of the node in every curl that it runs. A command's output is cut into chunks of `chunk_bytes`;
        one Receive brings as many as fit the envelope, or `receive_bytes`.
        """
        if not http and certificate is None:
            raise ValueError("a server without HTTP needs a certificate for HTTPS")
        self.scenario = scenario
        self.log = RequestLog()
        self._stopping = threading.Event()
        interpreter = Interpreter(
            scenario.registry,
            self.log.forbid,
            scenario.identity,
            scenario.answers,
            scenario.messages,
            Curl(tuple(curl_arguments)),
        )
        self._shells = ShellHost(
            self.log,
            scenario.config,
            interpreter,
            scenario.node,
            chunk_bytes=chunk_bytes,
            receive_bytes=receive_bytes,
        )
        self._node = Node(
            scenario,
            Accounts(scenario.node, dict(accounts), keytab, dict(client_certificates or {})),
            self.log,
            Service(scenario, self.log, interpreter, self._shells),
            self._shells,
            Misbehaviours(misbehaviours),
            self._stopping,
        )
        listen = partial(Listener, self._connection, self._stopping, host=host, clock_ahead=clock_ahead)
        self._http = listen(port=ports[0]) if http else None
        self._https: Listener | None = None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            # As the security baseline sets it, and not as this machine's OpenSSL happens to be built.
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(*certificate)
            if client_authority is not None:
                context.verify_mode = ssl.CERT_OPTIONAL
                context.load_verify_locations(client_authority)
            self._https = listen(context, port=ports[1])

    def _connection(self, client: str, secure: bool, certificate: bytes | None) -> Connection:
        return Connection(self._node, client, secure, certificate)

    @property
    def http_port(self) -> int:
        """The port of the HTTP listener."""
        if self._http is None:
            raise ValueError("this server has no HTTP listener")
        return self._http.port

    @property
    def https_port(self) -> int:
        """The port of the HTTPS listener."""
        if self._https is None:
            raise ValueError("this server has no HTTPS listener")
        return self._https.port

    def __enter__(self) -> Self:
        for listener in (self._http, self._https):
            if listener is not None:
                listener.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End everything: hanging requests, running programs, connections, ports."""
        self._stopping.set()
        self._shells.stop()
        for listener in (self._http, self._https):
            if listener is not None:
                listener.stop()
