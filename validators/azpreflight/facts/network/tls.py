"""The source `tls`: versions of TLS that a listener takes, from the operator's machine. Nothing is said in a session.

Not to be confused with `azpreflight.facts.winrm.tls`, which secures the conversations with nodes: here certificates are
looked at and not verified, and versions are tried that nobody should use.

A fact is one row for each host, port and version: `offered`, None where the handshake does not tell; `error`, None
where it succeeded, else what came in its place; `cipher`; `chain`, the certificates that were shown, the server's own
first.
"""

from __future__ import annotations

import functools
import ssl
import warnings
from dataclasses import dataclass
from itertools import chain

from azpreflight.facts.chains import chain_of_der
from azpreflight.facts.collection import Collection, Keep
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.network import rdp, tls_records
from azpreflight.facts.network.asking import TriedAt, ask_once, observed
from azpreflight.facts.network.stream import Conversation, TlsStream
from azpreflight.facts.network.tcp import NotConnected, open_stream
from azpreflight.facts.query import SiteRead, TlsQuery
from azpreflight.facts.row_errors import (
    CLOSED,
    NO_ANSWER,
    NOT_RDP,
    NOT_SPOKEN_HERE,
    NOT_TLS,
    NOT_TRIED,
    OTHER_VERSION,
    RDP_WITHOUT_TLS,
    RESET,
    UNFINISHED,
)
from azpreflight.model import Value
from azpreflight.site.model import Site
from azpreflight.site.references import values_of

SOURCE = "tls"
HANDSHAKE_SECONDS = 5.0

VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
_HAS = {"1.0": ssl.HAS_TLSv1, "1.1": ssl.HAS_TLSv1_1, "1.2": ssl.HAS_TLSv1_2, "1.3": ssl.HAS_TLSv1_3}

DECLINED = frozenset({"handshake_failure", "protocol_version", "insufficient_security"})
"""Alerts of a server that takes nothing of what was offered: one version, with all ciphers that OpenSSL has."""

# A server without secure renegotiation is looked at as well; Python names the option since 3.12.
_LEGACY_SERVER_CONNECT = 0x4
# A hello of TLS 1.3 says 1.2 in this place, and itself in an extension.
_ON_THE_WIRE = {"1.0": b"\x03\x01", "1.1": b"\x03\x02", "1.2": b"\x03\x03", "1.3": b"\x03\x03"}
_FROM_ANOTHER = frozenset({"UNSUPPORTED_PROTOCOL", "WRONG_SSL_VERSION", "WRONG_VERSION_NUMBER"})


@dataclass(frozen=True)
class Listener:
    """A port of a host that may speak TLS. starts: `tls` or `rdp`, what comes before the handshake."""

    host: str
    port: int
    starts: str


@dataclass(frozen=True)
class Handshake:
    """One version tried with a listener."""

    listener: Listener
    version: str


def handshakes_of(read: TlsQuery, site: Site) -> list[Handshake]:
    """What a query tries; empty when its hosts are not declared."""
    listeners = [Listener(host, port, read.starts) for host in values_of(read.hosts, site) for port in read.ports]
    return [Handshake(listener, version) for listener in listeners for version in read.versions]


@dataclass(frozen=True)
class TlsSource:
    """Tries handshakes.

    Attributes:
        tried_at: where a port of a declared host is tried.
    """

    tried_at: TriedAt
    name = SOURCE
    reads: tuple[type[SiteRead], ...] = (TlsQuery,)

    def collect_site(self, collection: Collection, deadline: Deadline, keep: Keep) -> None:
        """Keep one observation for each TLS query. Each listener and version is tried once, whatever queries share it.

        A listener that takes no connection is left alone after the first try.
        """
        site = collection.site
        wanted = {name: handshakes_of(read, site) for name, read in collection.reads_of(TlsQuery).items()}
        first = {tried.listener: tried for found in wanted.values() for tried in reversed(found)}
        knocks = ask_once(first.values(), lambda handshake: self._try(handshake, deadline))

        def row(handshake: Handshake) -> Value:
            knock = knocks[first[handshake.listener]]
            if handshake == first[handshake.listener] or not knock.connected:
                return {**knock.row, "version": handshake.version}
            return self._try(handshake, deadline).row

        rows = ask_once(chain.from_iterable(wanted.values()), row)
        for name, handshakes in wanted.items():
            keep(observed(name, [rows[handshake] for handshake in handshakes], site, SOURCE))

    def _try(self, handshake: Handshake, deadline: Deadline) -> _Tried:
        listener = handshake.listener
        row: dict[str, Value] = {
            "host": listener.host,
            "port": listener.port,
            "version": handshake.version,
            "offered": None,
            "error": None,
            "cipher": None,
            "chain": None,
        }
        context = contexts()[handshake.version]
        if context is None:
            return _Tried({**row, "error": NOT_SPOKEN_HERE})
        try:
            stream = open_stream(listener.host, listener.port, self.tried_at, deadline)
        except NotConnected as failure:
            return _Tried({**row, "error": failure.word}, connected=False)
        with stream:
            return _Tried({**row, **_agree(stream, listener.starts, handshake.version, context, deadline)})


@dataclass(frozen=True)
class _Tried:
    """What became of one handshake, and whether there was a connection to have it on."""

    row: dict[str, Value]
    connected: bool = True


@functools.cache
def contexts() -> dict[str, ssl.SSLContext | None]:
    """What a handshake with one version alone is done with; None for a version that OpenSSL was built without.

    OpenSSL 3 gives up on 1.0 and 1.1 by itself above security level 0, before a byte is sent.
    """
    return {version: _pinned(version) for version in VERSIONS}


def _pinned(version: str) -> ssl.SSLContext | None:
    if not _HAS[version]:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.options |= _LEGACY_SERVER_CONNECT
    try:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            # Python warns of old versions; they are tried to see them refused.
            warnings.simplefilter("ignore", DeprecationWarning)
            context.maximum_version = VERSIONS[version]
            context.minimum_version = VERSIONS[version]
    except (ssl.SSLError, ValueError):
        return None
    return context


def _agree(
    stream: Conversation, starts: str, version: str, context: ssl.SSLContext, deadline: Deadline
) -> dict[str, Value]:
    """The part of a row that the handshake fills in."""
    until = deadline.within(HANDSHAKE_SECONDS)
    tls = TlsStream(stream, context, None)
    try:
        if starts == "rdp":
            rdp.negotiate(stream, until)
        tls.handshake(until)
    except rdp.RefusedError as refused:
        word = f"RDP: {refused.word}"
        return {"offered": False if word in RDP_WITHOUT_TLS else None, "error": word}
    except rdp.NotRdpError:
        return {"error": NOT_RDP}
    except ssl.SSLError as error:
        offered, word = _meaning(error, tls.heard, version)
        return {"offered": offered, "error": word}
    except (OSError, EOFError) as error:
        # OpenSSL has looked at what was heard: a hello that it did not object to is one of this version.
        word = NOT_TRIED if deadline.over else _broken(error)
        return {"offered": True if tls_records.is_hello(tls.heard) else None, "error": word}
    return {"offered": True, "cipher": tls.cipher, "chain": chain_of_der(tls.certificates())}


def _broken(error: Exception) -> str:
    match error:
        case TimeoutError():
            return NO_ANSWER
        case ConnectionError():
            return RESET
        case _:
            return CLOSED


def _meaning(error: ssl.SSLError, heard: bytes, version: str) -> tuple[bool | None, str]:
    """Whether the version is offered, and what came in place of a session, by the first bytes that were heard."""
    if not heard:
        # Pythons before 3.11.3 take an end in the middle of a handshake for an orderly one.
        ended = isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
        return None, CLOSED if ended else NOT_SPOKEN_HERE
    if not tls_records.is_tls(heard):
        return False, NOT_TLS
    if (alert := tls_records.alert_in(heard)) is not None:
        return (False if alert in DECLINED else None), f"alert {alert}"
    if not tls_records.is_hello(heard):
        return None, CLOSED
    if tls_records.hello_version(heard) != _ON_THE_WIRE[version] or error.reason in _FROM_ANOTHER:
        return False, OTHER_VERSION
    return True, UNFINISHED
