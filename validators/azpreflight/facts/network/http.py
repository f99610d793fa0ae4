"""The source `http`: URLs as the operator's machine reaches them, a second opinion beside what nodes found with curl.

A fact is one row for each URL, of the same shape as a node's and in its vocabulary, curl's exit codes: `host`, `port`,
`url`, `tls` (None: no version is pinned), `connected`, `http_code`, `connect_code` (a proxy's answer to CONNECT), both
0 without one, `exit_code`, `error`, `remote_ip`, `proxy`, `revocation_skipped` (nothing is looked up here), `chain`.
Certificates are held to what this system trusts; the declared proxy is used and no other, whatever the environment
says.
"""

from __future__ import annotations

import contextlib
import functools
import re
import ssl
from dataclasses import dataclass
from itertools import chain
from urllib.parse import quote, urlsplit

from azpreflight.facts import curl_exits as exits
from azpreflight.facts import verify_codes
from azpreflight.facts.chains import chain_of_der
from azpreflight.facts.collection import Collection, Keep
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.endpoints import needed, probe_of
from azpreflight.facts.network import tls_records
from azpreflight.facts.network.asking import ask_once, observed
from azpreflight.facts.network.stream import (
    Conversation,
    LookupFailedError,
    NoSuchNameError,
    Stream,
    TlsStream,
    connect,
)
from azpreflight.facts.probes import Probe
from azpreflight.facts.proxies import Proxies, proxies_of
from azpreflight.facts.query import CurlQuery, HttpQuery, SiteRead
from azpreflight.model import Value
from azpreflight.site.model import Site
from azpreflight.site.references import DEFAULT_PORTS, filled

SOURCE = "http"
CONNECT_SECONDS = 8.0
TRANSFER_SECONDS = 15.0
"""For everything about one URL, as a node's curl has it."""
HEAD_BYTES = 65536
NO_URL = "no URL"
"""In place of a declared proxy that is none."""
_STATUS = re.compile(rb"HTTP/[0-9](?:\.[0-9])? ([1-9][0-9]{2})(?![0-9])")

_CERTIFICATE_WORDS = {
    verify_codes.NOT_YET_VALID: "the certificate is not yet valid",
    verify_codes.EXPIRED: "the certificate has expired",
    verify_codes.SELF_SIGNED: "the certificate is self-signed, and not trusted here",
    verify_codes.SELF_SIGNED_AUTHORITY: "a self-signed authority of the chain is not trusted here",
    verify_codes.NO_LOCAL_ISSUER: "there is no local issuer: who signed the certificate is not known here",
    verify_codes.UNVERIFIABLE_LEAF: "the first certificate cannot be verified: who signed it is not known here",
    verify_codes.REVOKED: "certificate revoked",
    verify_codes.OTHER_NAME: "the certificate is not valid for this name",
    verify_codes.OTHER_ADDRESS: "the certificate is not valid for this address",
}
"""In words that tell the kinds apart as curl's do."""


class _EndedError(Exception):
    """A try that came to no answer: curl's exit code, and words that are the same on every system."""

    def __init__(self, exit_code: int, words: str) -> None:
        self.exit_code, self.words = exit_code, words
        super().__init__(words)


@dataclass(frozen=True)
class Route:
    """A URL and the proxy that stands before it, None for none."""

    probe: Probe
    proxy: str | None


def routes_of(read: HttpQuery, fact: str, collection: Collection) -> list[Route]:
    """What a query asks for, each once."""
    site = collection.site
    urls: list[str] = []
    if read.table is not None:
        wanted = needed(collection.tables[fact], site, collection.phase)
        urls += [url for endpoint in wanted if (url := probe_of(endpoint, site)) is not None]
    urls += [url for text in read.urls for url in filled(text, site)]
    proxies = _declared(site)
    probes = dict.fromkeys(Probe.of_url(url) for url in urls)
    return [Route(probe, proxies.of(probe.scheme, probe.host)) for probe in probes]


def _declared(site: Site) -> Proxies:
    """The proxies that the site declares; this machine's own settings are none of its business."""
    try:
        return proxies_of(CurlQuery(), site, {})
    except ValueError:
        # An ARM file is not held to the formats of `site.yaml`; the text may hold a password, and is not shown.
        return Proxies(http=NO_URL, https=NO_URL)


@dataclass(frozen=True)
class HttpSource:
    """Asks for URLs."""

    name = SOURCE
    reads: tuple[type[SiteRead], ...] = (HttpQuery,)

    def collect_site(self, collection: Collection, deadline: Deadline, keep: Keep) -> None:
        """Keep one observation for each HTTP query. Each URL is asked for once, whatever queries share it.

        A URL that was not given its time has no row.
        """
        wanted = {name: routes_of(read, name, collection) for name, read in collection.reads_of(HttpQuery).items()}
        rows = ask_once(chain.from_iterable(wanted.values()), lambda route: row_of(route, deadline))
        for name, routes in wanted.items():
            keep(observed(name, [rows[route] for route in routes], collection.site, SOURCE))


def row_of(route: Route, deadline: Deadline) -> Value | None:
    """The row of one URL; None when the run was over before it had been given its time."""
    trial = _Trial(route, deadline)
    try:
        trial.ask()
    except _EndedError as ended:
        if deadline.over:
            return None
        trial.row |= {"exit_code": ended.exit_code, "error": ended.words}
        if ended.exit_code == exits.CERTIFICATE:
            # OpenSSL forgets a chain that it does not trust: it takes a second look to say whose it is.
            trial.row["chain"] = _Trial(route, deadline).look()
    return trial.row


@functools.cache
def trusted() -> ssl.SSLContext:
    """What certificates are held to: the authorities that this system trusts."""
    context = ssl.create_default_context()
    # Python 3.13 is stricter than Windows and curl are, who judge the same certificates on the nodes.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["http/1.1"])
    return context


@functools.cache
def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class _Trial:
    """One try of one URL.

    Attributes:
        row: what is known so far.
    """

    def __init__(self, route: Route, deadline: Deadline) -> None:
        probe = route.probe
        self._probe = probe
        self._proxy = urlsplit(route.proxy) if route.proxy is not None else None
        self._until = deadline.within(TRANSFER_SECONDS)
        self.row: dict[str, Value] = {
            "host": probe.host,
            "port": probe.port,
            "url": probe.url,
            "tls": None,
            "connected": False,
            "http_code": 0,
            "connect_code": 0,
            "exit_code": 0,
            "error": "",
            "remote_ip": None,
            "proxy": route.proxy,
            "revocation_skipped": False,
            "chain": None,
        }

    def ask(self) -> None:
        """Ask for the URL.

        Raises:
            _EndedError: nothing answered, or it is not to be trusted.
        """
        with contextlib.ExitStack() as stack:
            conversation: Conversation = self._to_the_endpoint(stack)
            if self._probe.scheme == "https":
                tls = self._secured(conversation, self._probe.host, trusted())
                self.row["chain"] = chain_of_der(tls.certificates())
                conversation = tls
            target = quote(self._probe.path, safe="/?&=%:;+,@!$'()*~")
            if self._proxy is not None and self._probe.scheme == "http":
                target = f"http://{self._probe.place}{target}"
            self.row["http_code"] = self._answer_to(conversation, f"GET {target} HTTP/1.1")

    def look(self) -> list[Value] | None:
        """The certificates that are shown, whoever signed them; None where there are none."""
        with contextlib.ExitStack() as stack, contextlib.suppress(_EndedError):
            tls = self._secured(self._to_the_endpoint(stack), self._probe.host, _unverified())
            return chain_of_der(tls.certificates())
        return None

    def _to_the_endpoint(self, stack: contextlib.ExitStack) -> Conversation:
        """A connection on which the endpoint is spoken to: a direct one, or one through the proxy."""
        proxy = self._proxy
        if proxy is None:
            return stack.enter_context(self._connected(self._probe.host, self._probe.port))
        if proxy.scheme not in DEFAULT_PORTS or not proxy.hostname:
            raise _EndedError(exits.UNSUPPORTED, f"a proxy of this kind is not spoken to: {proxy.scheme or NO_URL}")
        port = proxy.port or DEFAULT_PORTS[proxy.scheme]
        conversation: Conversation = stack.enter_context(self._connected(proxy.hostname, port))
        if proxy.scheme == "https":
            conversation = self._secured(conversation, proxy.hostname, trusted())
        if self._probe.scheme == "https":
            self._tunnel(conversation)
        return conversation

    def _connected(self, host: str, port: int) -> Stream:
        until = self._until.within(CONNECT_SECONDS)
        try:
            stream = connect(host, port, until)
        except NoSuchNameError:
            raise _EndedError(
                exits.NAME if self._proxy is None else exits.PROXY_NAME, "the name does not resolve"
            ) from None
        except LookupFailedError as error:
            code = exits.TIMEOUT if until.over else exits.NAME if self._proxy is None else exits.PROXY_NAME
            raise _EndedError(code, "nobody could tell the address of the name") from error
        except TimeoutError as error:
            raise _EndedError(exits.TIMEOUT, "the connection timed out") from error
        except ConnectionError as error:
            raise _EndedError(exits.REFUSED, "the connection was refused") from error
        except OSError as error:
            raise _EndedError(exits.REFUSED, "there is no way to the address") from error
        self.row |= {"connected": True, "remote_ip": stream.peer}
        return stream

    def _secured(self, under: Conversation, name: str, context: ssl.SSLContext) -> TlsStream:
        try:
            tls = TlsStream(under, context, name)
        except ValueError as error:
            raise _EndedError(exits.MALFORMED, "the host is no name that a certificate can have") from error
        try:
            tls.handshake(self._until)
        except ssl.SSLCertVerificationError as error:
            words = _CERTIFICATE_WORDS.get(error.verify_code, f"the certificate is not trusted ({error.verify_code})")
            raise _EndedError(exits.CERTIFICATE, words) from error
        except TimeoutError as error:
            raise _EndedError(exits.TIMEOUT, "the TLS session was not agreed on in time") from error
        except OSError as error:
            raise _EndedError(exits.TLS_FAILED, _tls_words(error, tls.heard)) from error
        return tls

    def _tunnel(self, conversation: Conversation) -> None:
        host = self._probe.authority
        try:
            code = self._answer_to(conversation, f"CONNECT {host}:{self._probe.port} HTTP/1.1")
        except _EndedError as error:
            if error.exit_code == exits.TIMEOUT:
                raise
            raise _EndedError(exits.BROKEN, f"the proxy ended CONNECT: {error.words}") from error
        self.row["connect_code"] = code
        if code not in range(200, 300):
            raise _EndedError(exits.BROKEN, f"the proxy answered {code} to CONNECT")

    def _answer_to(self, conversation: Conversation, question: str) -> int:
        """The HTTP status of the answer, as soon as its head is there."""
        lines = [question, f"Host: {self._probe.place}", "User-Agent: azpreflight", "Accept: */*"]
        if not question.startswith("CONNECT"):
            lines.append("Connection: close")
        heard = b""
        try:
            conversation.send("\r\n".join([*lines, "", ""]).encode("ascii", "replace"), self._until)
            while True:
                while b"\r\n\r\n" not in heard and b"\n\n" not in heard:
                    if len(heard) > HEAD_BYTES:
                        raise _EndedError(exits.WEIRD_ANSWER, "the answer has no end of its head")
                    if not (data := conversation.receive(self._until)):
                        raise _EndedError(
                            exits.EMPTY_ANSWER if not heard else exits.BROKEN,
                            "the connection ended before an answer",
                        )
                    heard += data
                match = _STATUS.match(heard)
                if match is None:
                    raise _EndedError(exits.WEIRD_ANSWER, "the answer is no HTTP")
                if (code := int(match[1])) >= 200:
                    return code
                # Another answer follows one that says to go on.
                heard = re.split(rb"\r?\n\r?\n", heard, maxsplit=1)[1]
        except TimeoutError as error:
            raise _EndedError(exits.TIMEOUT, "nothing answered in time") from error
        except OSError as error:
            how = "was reset" if isinstance(error, ConnectionError) else "broke"
            raise _EndedError(exits.BROKEN, f"the connection {how} before an answer") from error


def _tls_words(error: OSError, heard: bytes) -> str:
    """Why there is no session; never in words of the system."""
    if isinstance(error, ConnectionError):
        return "the connection was reset in the handshake"
    if not heard:
        return "the connection ended in the handshake"
    if not tls_records.is_tls(heard):
        return "wrong version number, as where no TLS is spoken"
    alert = tls_records.alert_in(heard)
    if alert is None:
        return "unsupported protocol: no version or cipher in common"
    return f"alert {alert.replace('_', ' ')}"
