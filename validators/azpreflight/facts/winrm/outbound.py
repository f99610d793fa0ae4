"""What a node reaches, by its own curl.exe: its version first, then the work list, then what a second try is worth."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Protocol

from azpreflight.facts.deadline import Deadline
from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.winrm import programs
from azpreflight.facts.winrm.curl import BUDGET_SECONDS, Transfer, runs
from azpreflight.facts.winrm.curl_reports import Report, again, reports, row_of
from azpreflight.facts.winrm.dialect import Dialect, dialect_of
from azpreflight.facts.winrm.shell import Output
from azpreflight.model import Value

VERSION_SECONDS = 20.0


class Runs(Protocol):
    """Something that runs programs of a node: its shell."""

    def run(self, command: str, deadline: Deadline, stdin: bytes | None = None) -> Output:
        """Run a command line to its end.

        Raises:
            WireError: it did not end in time, or the node failed.
        """
        ...


def reach(shell: Runs, transfers: Sequence[Transfer], deadline: Deadline) -> dict[Transfer, Value]:
    """The row of each transfer that curl told of, in their order.

    Raises:
        WireError: there is no curl on the node, or nothing could be learnt.
    """
    curl = programs.program("curl.exe")
    dialect = dialect_of(shell.run(curl.line("--version"), deadline.within(VERSION_SECONDS)))
    budget = deadline if dialect.parallel else deadline.within(BUDGET_SECONDS)
    first = _reports(shell, transfers, dialect, budget)
    wanted = {transfer: again(transfer, report) for transfer, report in first.items()}
    # Without certificates in its reports, there is nothing to be seen without the verification either.
    retried = [other for other in wanted.values() if other and (other.no_revocation or dialect.certificates)]
    second: Mapping[Transfer, Report] = {}
    # What the first try told stays, whatever becomes of the second.
    with contextlib.suppress(WireError):
        second = _reports(shell, retried, dialect, budget) if retried else {}
    rows: dict[Transfer, Value] = {}
    for transfer, report in first.items():
        other = wanted[transfer]
        pair = (other, second[other]) if other is not None and other in second else None
        rows[transfer] = row_of(transfer, report, pair)
    return rows


def _reports(shell: Runs, transfers: Sequence[Transfer], dialect: Dialect, budget: Deadline) -> dict[Transfer, Report]:
    """What curl reports. Whatever has no turn in time, or would have come after the end of the connection, is left out.

    Raises:
        WireError: there is not one report.
    """
    command = programs.program("curl.exe").line(dialect.arguments)
    found: dict[Transfer, Report] = {}
    trouble = WireError(Status.TIMED_OUT, "there was no time left for curl.exe")
    for run in runs(transfers, dialect):
        # A run that is cut off tells nothing: better not to begin one that may not end in time.
        if not dialect.parallel and budget.remaining < run.seconds:
            continue
        try:
            output = shell.run(command, budget.within(run.seconds), run.text.encode())
            found |= reports(run.transfers, output, dialect)
        except WireError as error:
            trouble = error
            if error.fatal:
                break
    if not found:
        raise trouble
    return found
