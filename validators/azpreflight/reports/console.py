"""A report for a person at a terminal: what fails, with its remedy; what could not be judged; the counts."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from azpreflight.model import Mode, Outcome, Report, Result, Severity, Verdict
from azpreflight.redact import plain

_VERDICT = {
    Verdict.READY: ("bold green", "READY"),
    Verdict.NOT_READY: ("bold red", "NOT READY"),
    Verdict.INCONCLUSIVE: ("bold yellow", "INCONCLUSIVE: not everything could be judged"),
}
_SEVERITY = {Severity.BLOCKER: "red", Severity.WARNING: "yellow", Severity.INFO: "blue"}


def render(report: Report, console: Console, *, details: bool = True) -> None:
    """Write a report.

    Args:
        report: what to show.
        console: where to.
        details: whether failing and unjudged results are listed, or the counts and the verdict alone.
    """
    if details:
        _problems(report, console)
        failing: dict[tuple[Severity, str], list[Result]] = {}
        for result in report.results:
            if result.outcome is Outcome.FAIL:
                failing.setdefault((result.severity, result.rule), []).append(result)
        for severity in Severity:
            for (found, _), results in failing.items():
                if found is severity:
                    _failure(results, console)
        _errors([result for result in report.results if result.outcome is Outcome.ERROR], console)
        _not_applicable([r for r in report.results if r.outcome is Outcome.NOT_APPLICABLE], console)
    _summary(report, console)


def _problems(report: Report, console: Console) -> None:
    for problem in report.problems:
        console.print(Text.assemble(("note  ", "magenta"), plain(problem.message)))
        if problem.where:
            console.print(Padding(Text(plain(problem.where), "dim", overflow="fold"), (0, 0, 0, 6)))
    if report.run.tls_unverified:
        console.print(Text("note  TLS certificates of the nodes were not verified (winrm.verify is false)", "magenta"))
    chosen = "chosen" in (report.run.transport or "")
    if chosen:
        console.print(Text(plain(f"note  nodes were authenticated to with {report.run.transport}"), "magenta"))
    for redirection in report.run.redirections:
        console.print(Text(plain(f"note  {redirection.declared} was reached at {redirection.reached_at}"), "magenta"))
    if report.problems or report.run.redirections or report.run.tls_unverified or chosen:
        console.print()


def _failure(results: Sequence[Result], console: Console) -> None:
    """One rule and every target that breaks it, with the remedy once."""
    rule = results[0]
    style = _SEVERITY[rule.severity]
    mark = (f"FAIL {rule.severity.value:<8}", f"bold {style}")
    head = Text.assemble(mark, " ", (rule.rule, "bold"), "  ", plain(rule.title))
    console.print(head)
    body = Table.grid(padding=(0, 1))
    body.add_column(no_wrap=True)
    body.add_column(overflow="fold")
    for result in results:
        name: Text | str = Text(plain(str(result.target)), "bold")
        for finding in result.findings:
            if finding.outcome is Outcome.FAIL:
                body.add_row(name, Text(plain(finding.message)))
                name = ""
        if result.waiver is not None:
            waiver = f"waived until {result.waiver.until} by {result.waiver.owner}: {result.waiver.reason}"
            body.add_row("", Text(plain(waiver), "magenta"))
    body.add_row(Text("fix", "green"), Text(plain(rule.remedy.text)))
    if rule.remedy.command:
        body.add_row("", Text(plain(rule.remedy.command), "cyan"))
    console.print(Padding(body, (0, 0, 1, 4)))


def _errors(results: Sequence[Result], console: Console) -> None:
    """What could not be judged, one cause at a time: a dead node is one line, not thirty."""
    causes: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        causes.setdefault((str(result.target), _cause(result)), []).append(result)
    for (target, cause), found in causes.items():
        rules = ", ".join(dict.fromkeys(result.rule for result in found))
        console.print(Text.assemble(("not judged  ", "bold yellow"), plain(target), "  ", plain(cause)))
        console.print(Padding(Text(rules, "dim"), (0, 0, 1, 4)))


def _cause(result: Result) -> str:
    """The reason without the name of the fact, which differs from rule to rule."""
    reason = result.reason or result.message
    head, separator, rest = reason.partition(f" of {result.target}: ")
    return rest if separator and " " not in head else reason


def _not_applicable(results: Sequence[Result], console: Console) -> None:
    reasons: dict[str, set[str]] = {}
    for result in results:
        reasons.setdefault(result.reason or "", set()).add(result.rule)
    for reason, rules in sorted(reasons.items()):
        console.print(Text(plain(f"not applicable  {reason}: {', '.join(sorted(rules))}"), "dim"))
    if reasons:
        console.print()


def _summary(report: Report, console: Console) -> None:
    style, words = _VERDICT[report.verdict]
    summary = report.summary
    counts = [
        f"{summary.passed} passed",
        f"{summary.fail} failed",
        f"{summary.error} not judged",
        f"{summary.not_applicable} not applicable",
    ]
    if summary.waived:
        counts.append(f"{summary.waived} waived")
    site = f"{report.site.name} ({len(report.site.nodes)} nodes, {report.site.profile}, {report.run.phase})"
    if report.run.mode is Mode.SITE_ONLY:
        words += " by its declaration alone"
    if report.run.rules or report.run.skip:
        words += ", of the selected rules"
    console.print(Text.assemble((words, style), "  ", plain(site)))
    console.print(Text(", ".join(counts)))
    for table in report.run.tables:
        origin = "supplied" if table.supplied else "of the pack"
        console.print(Text(plain(f"table of {table.name} of {table.date}, {origin}"), "dim"))
