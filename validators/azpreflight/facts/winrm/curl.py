"""Reachability from the node: one work list for `curl.exe` on its standard input.

curl.exe is in Windows since version 1809, is signed, runs transfers in parallel and exists on Linux too, where the same
work list is tested against real servers. What comes back is read in `curl_reports`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from azpreflight.facts.probes import Probe
from azpreflight.facts.winrm.dialect import CURRENT, PARALLEL, Dialect
from azpreflight.model import Frozen

CONNECT_SECONDS = 8
TRANSFER_SECONDS = 15
TCP_SECONDS = 5
RETRIES = 2
"""As the peers do, which try three times."""
RETRY_WITHIN_SECONDS = 4
"""What failed later than this is not tried again. A connect that timed out has been: TCP sent its SYN again after one,
three and seven seconds. Once more would make ten dropped endpoints take three timeouts and tell nothing new."""
RETRY_DELAY_SECONDS = 1

ONE_BY_ONE_CONNECT_SECONDS = 4
ONE_BY_ONE_SECONDS = 6
ONE_BY_ONE_TCP_SECONDS = 2
"""For a curl that does one thing after the other: shorter, so that more of the list has its turn."""
BUDGET_SECONDS = 100.0
"""For all that such a curl is given. What has no turn within this has no row: it is not observed."""

WRITE_OUT = (
    "http_code",
    "http_connect",
    "remote_ip",
    "local_ip",
    "time_namelookup",
    "time_connect",
    "time_appconnect",
    "ssl_verify_result",
)
"""Variables that curl has had for long (`http_connect` since 7.12.4, the addresses since 7.29.0): numbers and addresses
alone, so that they may stand in JSON as they are. 7.55.1 was seen to write them all."""


class Transfer(Frozen, kw_only=True):
    """One item of a work list: what is asked for, on which way, and what is passed over in doing so.

    proxy: its URL, None for none. no_revocation: revocation is not checked. insecure: no certificate is refused.
    """

    probe: Probe
    proxy: str | None = None
    no_revocation: bool = False
    insecure: bool = False


class Run(Frozen):
    """One run of curl. transfers: in the order of the list. seconds: it takes at most."""

    transfers: tuple[Transfer, ...]
    text: str
    seconds: float


def runs(transfers: Sequence[Transfer], dialect: Dialect = CURRENT) -> Iterator[Run]:
    """The runs that do a work list: one, or for a curl that does one thing after the other, several short ones.

    The configurations are what curl reads from standard input.
    """
    if dialect.parallel:
        blocks = (_block(transfer, dialect, number) for number, transfer in enumerate(transfers))
        rounds = -(-len(transfers) // PARALLEL)
        longest = RETRY_WITHIN_SECONDS + RETRY_DELAY_SECONDS + TRANSFER_SECONDS
        yield Run(tuple(transfers), "next\n".join(blocks), rounds * longest + 10.0)
        return
    # Before 7.66 nothing after a `next` is done once something failed (seen with 7.55.1): a run is of one kind.
    kinds: dict[str, list[Transfer]] = {}
    for transfer in transfers:
        kinds.setdefault(_options(_settings(transfer, dialect)), []).append(transfer)
    for options, same in kinds.items():
        for start in range(0, len(same), 10):
            some = tuple(same[start : start + 10])
            urls = "".join(_options([("url", _url(one.probe)), ("output", "NUL")]) for one in some)
            each = ONE_BY_ONE_TCP_SECONDS if some[0].probe.scheme == "tcp" else ONE_BY_ONE_SECONDS
            yield Run(some, options + urls, len(some) * each + 5.0)


def _block(transfer: Transfer, dialect: Dialect, number: int) -> str:
    before: list[tuple[str, str | None]] = [("url", _url(transfer.probe)), ("output", "NUL")]
    return _options([*before, *_settings(transfer, dialect, f"{number} ")])


def _url(probe: Probe) -> str:
    # A bare connection is asked for as plain HTTP: the time of the connect tells, whatever the service then answers.
    # curl's telnet scheme would block the other transfers.
    return f"http://{probe.authority}:{probe.port}/" if probe.scheme == "tcp" else probe.url


def _settings(transfer: Transfer, dialect: Dialect, number: str = "") -> list[tuple[str, str | None]]:
    probe, proxy = transfer.probe, transfer.proxy
    tcp = probe.scheme == "tcp"
    connect, whole = _seconds(dialect, tcp=tcp)
    report = "%{json}" if dialect.json else "{" + ",".join(f'"{name}":"%{{{name}}}"' for name in WRITE_OUT) + "}"
    lines: list[tuple[str, str | None]] = [
        # Nothing but these, whatever a URL says, and no list of URLs in one.
        ("proto", "=http,https"),
        ("globoff", None),
        ("write-out", f"{number}{report}\n"),
        ("connect-timeout", str(connect)),
        ("max-time", str(whole)),
        # Whatever answers is enough; nobody wants the content.
        ("max-filesize", "1048576"),
        # Given explicitly either way, since curl would otherwise follow the environment of the WinRM service.
        ("proxy", proxy or ""),
        ("noproxy", "" if proxy else "*"),
    ]
    if probe.tls is not None:
        lines += [(f"tlsv{probe.tls}", None), ("tls-max", probe.tls)]
    if not dialect.json:
        # Its words for a failure, which no variable holds, stand beside the report then.
        lines.append(("stderr", "-"))
    if dialect.json and not tcp:
        # A bare connection is not tried again: that nobody listens is an answer.
        lines += [("retry", str(RETRIES)), ("retry-all-errors", None)]
        lines += [("retry-delay", str(RETRY_DELAY_SECONDS)), ("retry-max-time", str(RETRY_WITHIN_SECONDS))]
    if transfer.no_revocation:
        # Since 7.44.0; for Schannel alone, other builds pass over it.
        lines.append(("ssl-no-revoke", None))
    if transfer.insecure:
        lines.append(("insecure", None))
    return lines


def _seconds(dialect: Dialect, *, tcp: bool) -> tuple[int, int]:
    """For the connection and for all: in curl, the first counts the handshake of TLS as well."""
    if dialect.parallel:
        return (TCP_SECONDS, TCP_SECONDS) if tcp else (CONNECT_SECONDS, TRANSFER_SECONDS)
    if tcp:
        return ONE_BY_ONE_TCP_SECONDS, ONE_BY_ONE_TCP_SECONDS
    return ONE_BY_ONE_CONNECT_SECONDS, ONE_BY_ONE_SECONDS


def _options(lines: Iterable[tuple[str, str | None]]) -> str:
    return "".join(f"{name}\n" if text is None else f"{name} = {_quoted(text)}\n" for name, text in lines)


def _quoted(text: str) -> str:
    r"""A value that ends where it should: `\`, `"` and line breaks escaped, other control characters in percent."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda match: f"%{ord(match[0]):02X}", escaped) + '"'
