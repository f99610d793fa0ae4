"""From results to a report: the counts, and the one verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from azpreflight.model import (
    Outcome,
    Problem,
    Report,
    Result,
    RunInfo,
    Severity,
    SeverityCounts,
    SiteInfo,
    Summary,
    ToolInfo,
    Verdict,
)
from azpreflight.reports.json import SCHEMA


def make_report(
    tool: ToolInfo, run: RunInfo, site: SiteInfo, problems: Sequence[Problem], results: Sequence[Result]
) -> Report:
    """The report of a run; results are sorted by rule, kind and name of target."""
    ordered = sorted(results, key=lambda result: (result.rule, result.target.kind, result.target.name))
    return Report(
        schema=SCHEMA,
        tool=tool,
        run=run,
        site=site,
        verdict=verdict_of(ordered, run.fail_on),
        summary=summary_of(ordered),
        problems=tuple(problems),
        results=tuple(ordered),
    )


def verdict_of(results: Sequence[Result], fail_on: Severity) -> Verdict:
    """A failing, unwaived result at or above `fail_on` decides before one that could not be judged.

    Where nothing at all was judged good or bad, nothing is known.
    """
    counted = [result for result in results if result.severity.at_least(fail_on)]
    if any(result.outcome is Outcome.FAIL and result.waiver is None for result in counted):
        return Verdict.NOT_READY
    if any(result.outcome is Outcome.ERROR for result in counted):
        return Verdict.INCONCLUSIVE
    if not any(result.outcome in (Outcome.PASS, Outcome.FAIL) for result in results):
        return Verdict.INCONCLUSIVE
    return Verdict.READY


def summary_of(results: Sequence[Result]) -> Summary:
    """How many results there are of each kind."""
    outcomes = Counter(result.outcome for result in results)
    failing = Counter(r.severity for r in results if r.outcome is Outcome.FAIL and r.waiver is None)
    return Summary(
        passed=outcomes[Outcome.PASS],
        fail=outcomes[Outcome.FAIL],
        error=outcomes[Outcome.ERROR],
        not_applicable=outcomes[Outcome.NOT_APPLICABLE],
        waived=sum(result.waiver is not None for result in results),
        by_severity=SeverityCounts(
            blocker=failing[Severity.BLOCKER], warning=failing[Severity.WARNING], info=failing[Severity.INFO]
        ),
    )
