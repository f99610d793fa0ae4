"""Reachability from the node: one work list for `curl.exe` on its standard input, one JSON line back per item.

curl.exe is in Windows since version 1809, is signed, runs transfers in parallel and exists on Linux too, where the same
work list is tested against real servers.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Sequence

from azpreflight.facts.observation import Status
from azpreflight.facts.probes import Probe
from azpreflight.facts.winrm.errors import WireError
from azpreflight.facts.winrm.shell import Output
from azpreflight.model import Value

PARALLEL = 50
CONNECT_SECONDS = 8
TRANSFER_SECONDS = 15
TCP_SECONDS = 5
ARGUMENTS = f"-q -sS -Z --parallel-max {PARALLEL} -K -"


def seconds_needed(probes: Sequence[Probe]) -> float:
    """How long the whole work list takes at most."""
    rounds = -(-len(probes) // PARALLEL)
    return rounds * TRANSFER_SECONDS + 10.0


def work_list(probes: Iterable[Probe], proxy: str | None, bypass: Sequence[str] = ()) -> str:
    """The configuration that curl reads from standard input.

    Args:
        probes: what to reach.
        proxy: URL of the proxy that the node is to use, None for none. Given explicitly either way, since curl would
            otherwise follow the environment of the WinRM service.
        bypass: hosts and domains that go around the proxy.
    """
    return "next\n".join(_block(number, probe, proxy, bypass) for number, probe in enumerate(probes))


def _block(number: int, probe: Probe, proxy: str | None, bypass: Sequence[str]) -> str:
    tcp = probe.scheme == "tcp"
    # A bare connection is asked for as plain HTTP: the time of the connect tells, whatever the service then answers.
    # curl's telnet scheme would block the other transfers.
    url = f"http://{probe.authority}:{probe.port}/" if tcp else probe.url
    lines: list[tuple[str, str | None]] = [
        ("url", url),
        # Nothing but these, whatever a URL says, and no list of URLs in one.
        ("proto", "=http,https"),
        ("globoff", None),
        ("output", "NUL"),
        ("write-out", f"{number} %{{json}}\n"),
        ("connect-timeout", str(TCP_SECONDS if tcp else CONNECT_SECONDS)),
        ("max-time", str(TCP_SECONDS if tcp else TRANSFER_SECONDS)),
        # Whatever answers is enough; nobody wants the content.
        ("max-filesize", "1048576"),
        ("proxy", "" if tcp or proxy is None else proxy),
        # curl knows domains by a leading dot, Windows by `*.`.
        ("noproxy", "*" if tcp or proxy is None else ",".join(re.sub(r"^\*\.", ".", host) for host in bypass)),
    ]
    if probe.tls is not None:
        lines += [(f"tlsv{probe.tls}", None), ("tls-max", probe.tls)]
    return "".join(f"{name}\n" if text is None else f"{name} = {_quoted(text)}\n" for name, text in lines)


def _quoted(text: str) -> str:
    r"""A value that ends where it should: `\`, `"` and line breaks escaped, other control characters in percent."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda match: f"%{ord(match[0]):02X}", escaped) + '"'


def rows(probes: Sequence[Probe], output: Output) -> dict[Probe, Value]:
    """What became of each probe that curl reported on, in the order of the work list.

    Raises:
        WireError: curl did not run, or reported nothing that can be read.
    """
    reports: dict[int, dict[str, Value]] = {}
    for line in output.stdout.split("\n"):
        number, _, text = line.strip().partition(" ")
        if re.fullmatch(r"[0-9]{1,6}", number) is None or int(number) >= len(probes) or not text.startswith("{"):
            continue
        with contextlib.suppress(ValueError, RecursionError):
            reports[int(number)] = json.loads(text)
    if probes and not reports:
        words = " ".join(output.stderr.split())[:200]
        if output.exit_code in (1, 3, 9009):
            reason = (
                f"curl.exe did not run (exit code {output.exit_code}); Windows Server 2016 and older have none: {words}"
            )
            raise WireError(Status.NOT_PRESENT, reason)
        raise WireError(Status.FAILED, f"curl.exe reported nothing (exit code {output.exit_code}): {words}")
    return {probes[number]: _row(probes[number], report) for number, report in sorted(reports.items())}


def _row(probe: Probe, report: dict[str, Value]) -> Value:
    # Where TLS fails, curl tells no time of the connect; an address of its own it has only when connected.
    connected = _number(report.get("time_connect")) > 0 or _address(report.get("local_ip")) is not None
    return {
        "host": probe.host,
        "port": probe.port,
        "url": probe.url,
        "tls": probe.tls,
        "connected": connected,
        "http_code": int(_number(report.get("http_code") or report.get("response_code"))),
        # A bare connection that stood is a success, whatever the service said afterwards.
        "exit_code": 0 if probe.scheme == "tcp" and connected else int(_number(report.get("exitcode"))),
        "error": "" if probe.scheme == "tcp" and connected else _error(report.get("errormsg")),
        "remote_ip": _address(report.get("remote_ip")),
    }


def _error(text: Value) -> str:
    # Times in messages differ from run to run and tell nothing.
    words = "".join(character if character.isprintable() else " " for character in str(text or "")[:1000])
    return " ".join(re.sub(r" after \d+ (ms|milliseconds)", "", words).split())[:300]


def _address(value: Value) -> str | None:
    return value if isinstance(value, str) and re.fullmatch(r"[0-9A-Fa-f:.]{2,45}", value) else None


def _number(value: Value) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1e9 < value < 1e9:
        return 0.0
    return float(value)
