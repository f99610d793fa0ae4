"""What `curl.exe` reports of its transfers, one JSON line for each, as rows of a fact.

Before 7.75 a report is JSON by its write-out text alone, and curl's own words for a failure stand on a line beside it:
`curl: (7) Failed to connect`. They come before the report since 7.66.0, as its transfers go side by side, and after it
until then; both were seen with builds of 7.55.1 and 7.70.0.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence

from azpreflight.facts import curl_exits
from azpreflight.facts.chains import chain_of_pem
from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.text import one_line
from azpreflight.facts.winrm.curl import Transfer
from azpreflight.facts.winrm.dialect import Dialect
from azpreflight.facts.winrm.shell import Output
from azpreflight.model import Value

_REPORT = re.compile(r"(?:([0-9]{1,6}) )?(\{.*)")
_WORDS = re.compile(r"curl: \(([0-9]{1,3})\) (.*)")
_REVOCATION_UNKNOWN = re.compile(r"0x8009201[23]\b", re.IGNORECASE)
"""CRYPT_E_NO_REVOCATION_CHECK and CRYPT_E_REVOCATION_OFFLINE, which Schannel gives where no list could be had."""
_CERTIFICATE_CODES = re.compile(r"0x(?:8009032[2578]|80092010|800B01[0-9A-F]{2})\b", re.IGNORECASE)
"""SEC_E_WRONG_PRINCIPAL, _UNTRUSTED_ROOT, _CERT_UNKNOWN and _CERT_EXPIRED, CRYPT_E_REVOKED, and all CERT_E_*."""

Report = dict[str, Value]


def reports(transfers: Sequence[Transfer], output: Output, dialect: Dialect) -> dict[Transfer, Report]:
    """The report on each transfer of one run that curl told of, in their order.

    Raises:
        WireError: curl reported nothing that can be read.
    """
    found: dict[int, list[Report]] = {}
    words: tuple[str, str] | None = None
    last: Report = {}
    for line in output.stdout.split("\n"):
        match = _REPORT.fullmatch(line.strip())
        if match is None:
            told = _WORDS.fullmatch(line.strip())
            if told is not None and not dialect.json and dialect.parallel:
                words = (told[1], told[2])
            elif told is not None and not dialect.json:
                last |= {"exitcode": int(told[1]), "errormsg": told[2]}
            continue
        number = int(match[1] or -1) if dialect.parallel else len(found)
        report = _read(match[2])
        if report is None or number not in range(len(transfers)):
            continue
        if words is not None:
            report |= {"exitcode": int(words[0]), "errormsg": words[1]}
            words = None
        last = report
        found.setdefault(number, []).append(report)
    if transfers and not found:
        text = " ".join(output.stderr.split())[:200]
        raise WireError(Status.FAILED, f"curl.exe reported nothing (exit code {output.exit_code}): {text}")
    if not dialect.parallel and len(found) != len(transfers):
        raise WireError(Status.FAILED, f"curl.exe reported on {len(found)} of {len(transfers)} transfers: on which?")
    # What is told twice is told by somebody else as well.
    return {transfers[number]: each[0] for number, each in sorted(found.items()) if len(each) == 1}


def _read(text: str) -> Report | None:
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(text)
        return found if isinstance(found, dict) else None
    return None


def again(transfer: Transfer, report: Report) -> Transfer | None:
    """What a second try is worth: without the check that nobody could make, or just to see a chain that failed.

    None where it is worth nothing.
    """
    if transfer.probe.scheme != "https" or transfer.no_revocation or transfer.insecure:
        return None
    exit_code, error = int(_number(report.get("exitcode"))), str(report.get("errormsg") or "")
    if exit_code == curl_exits.TLS_FAILED or exit_code in curl_exits.CERTIFICATES:
        if _REVOCATION_UNKNOWN.search(error) is not None:
            return Transfer(probe=transfer.probe, proxy=transfer.proxy, no_revocation=True)
        wrong = exit_code in curl_exits.CERTIFICATES or _CERTIFICATE_CODES.search(error) is not None
        # Chains are those of what is asked without a version of its own.
        if wrong and transfer.probe.tls is None:
            return Transfer(probe=transfer.probe, proxy=transfer.proxy, insecure=True)
    return None


def row_of(transfer: Transfer, report: Report, second: tuple[Transfer, Report] | None = None) -> Value:
    """The row of a transfer. second: what a second try brought, if one was worth it.

    The verdict is that of the first try, but where that one was lost to a revocation that could not be checked.
    """
    probe = transfer.probe
    shown = report
    if second is not None:
        shown = second[1]
        if second[0].no_revocation:
            transfer, report = second
    # Where TLS fails, curl tells no time of the connect; an address of its own it has only when connected.
    connected = _number(report.get("time_connect")) > 0 or _address(report.get("local_ip")) is not None
    # A bare connection that stood is a success, whatever the service said afterwards.
    stood = probe.scheme == "tcp" and connected
    certificates = shown.get("certs")
    return {
        "host": probe.host,
        "port": probe.port,
        "url": probe.url,
        "tls": probe.tls,
        "connected": connected,
        "http_code": int(_number(report.get("http_code") or report.get("response_code"))),
        "connect_code": int(_number(report.get("http_connect"))),
        "exit_code": 0 if stood else int(_number(report.get("exitcode"))),
        "error": "" if stood else _error(report.get("errormsg")),
        "remote_ip": _address(report.get("remote_ip")),
        "proxy": transfer.proxy,
        "revocation_skipped": transfer.no_revocation,
        "chain": chain_of_pem(certificates) if isinstance(certificates, str) else None,
    }


def _error(text: Value) -> str:
    # Times in messages differ from run to run and tell nothing.
    return one_line(re.sub(r" after \d+ (ms|milliseconds)", "", one_line(str(text or ""), 1000)), 300)


def _address(value: Value) -> str | None:
    return value if isinstance(value, str) and re.fullmatch(r"[0-9A-Fa-f:.]{2,45}", value) else None


def _number(value: Value) -> float:
    """A number, or one that stands in a text as in reports of older versions; 0 for anything else."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}([.,][0-9]{1,9})?", value):
        value = float(value.replace(",", "."))
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1e9 < value < 1e9:
        return 0.0
    return float(value)
