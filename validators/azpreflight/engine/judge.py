"""Judging: from a plan and facts to one result for each pair. Pure but for the clock that times it."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping

import msgspec

from azpreflight.checks.view import NotApplicable, NotObserved, View
from azpreflight.engine.gather import Facts
from azpreflight.engine.plan import Pair, Plan
from azpreflight.facts.observation import Observation
from azpreflight.facts.query import Query
from azpreflight.model import Evidence, Finding, Outcome, Result, Value

EVIDENCE_BYTES = 4096
"""How much of a fact's value a report repeats."""
FINDINGS = 500
"""How many findings of one result a report holds; an Azure Local site stays far below."""
MESSAGE_CHARACTERS = 600
REASON_CHARACTERS = 2000
SUBJECT_CHARACTERS = 300


def judge(plan: Plan, facts: Facts, now: datetime.datetime, clock: Callable[[], float]) -> list[Result]:
    """One result for each pair of the plan, in its order.

    Args:
        plan: what is to be judged.
        facts: what is known.
        now: the moment to judge by, UTC.
        clock: seconds, to time each judgement; a constant where the report has to be reproducible.
    """
    return [judge_pair(pair, plan, facts, now, clock) for pair in plan.pairs]


def judge_pair(
    pair: Pair, plan: Plan, facts: Facts, now: datetime.datetime, clock: Callable[[], float] = lambda: 0.0
) -> Result:
    """The result of one pair. Never raises: what cannot be judged is an `error` with its reason."""
    collection = plan.collection
    started = clock()
    view = View(
        collection.site,
        pair.target,
        phase=collection.phase,
        now=now,
        facts=facts,
        tables=pair.tables,
        site_facts=collection.of_site,
    )
    findings: list[Finding] = []
    reason: str | None = None
    outcome: Outcome | None = None
    if pair.not_applicable is not None:
        outcome, reason = Outcome.NOT_APPLICABLE, pair.not_applicable
    else:
        try:
            for finding in pair.check.judge(view, pair.parameters):
                findings.append(_short(finding))
        except NotApplicable as error:
            outcome, reason = Outcome.NOT_APPLICABLE, str(error)
        except NotObserved as error:
            outcome, reason = Outcome.ERROR, str(error)
        except Exception as error:  # noqa: BLE001 - one bad check must neither sink the run nor vanish
            outcome, reason = Outcome.ERROR, f"check {pair.check.name} raised {type(error).__name__}: {error}"
        if outcome is None and not findings:
            outcome, reason = Outcome.ERROR, f"check {pair.check.name} found nothing to say"
    outcomes = {finding.outcome for finding in findings} | ({outcome} if outcome else set())
    worst = _worst(outcomes)
    if outcome is not None and worst is not outcome:
        reason = None
    reason = _line(reason, REASON_CHARACTERS) if reason else _reason(worst, findings)
    return Result(
        rule=pair.rule.id,
        title=pair.rule.title,
        pack=pair.pack,
        severity=pair.severity,
        target=pair.target,
        outcome=worst,
        reason=reason,
        message=_message(worst, findings, reason),
        findings=tuple(_most_telling(findings)),
        evidence=tuple(_evidence(o, collection.queries) for o in view.seen.values()),
        remedy=pair.rule.remedy,
        sources=pair.rule.sources,
        duration_ms=round((clock() - started) * 1000, 3),
    )


def _short(finding: Finding) -> Finding:
    """A finding of bounded size, whatever a node put into it."""
    return msgspec.structs.replace(
        finding,
        subject=_line(finding.subject, SUBJECT_CHARACTERS),
        message=_line(finding.message, MESSAGE_CHARACTERS),
        expected=_bounded(finding.expected),
        actual=_bounded(finding.actual),
    )


def _line(text: str, most: int) -> str:
    """One line of bounded length: what a server puts into it must not look like a line of the report."""
    # Most of very long ones is not even looked at.
    line = " ".join(text[: 2 * most].splitlines())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _most_telling(findings: list[Finding]) -> list[Finding]:
    """All findings, or the worst of very many, and one that counts the rest."""
    if len(findings) <= FINDINGS:
        return findings
    order = [Outcome.FAIL, Outcome.ERROR, Outcome.PASS, Outcome.NOT_APPLICABLE]
    kept = sorted(findings, key=lambda finding: order.index(finding.outcome))[:FINDINGS]
    rest = Finding(
        subject="further findings",
        outcome=kept[-1].outcome,
        message=f"{len(findings) - FINDINGS} further findings are left out",
        actual=len(findings) - FINDINGS,
    )
    return [*kept, rest]


def _worst(outcomes: set[Outcome]) -> Outcome:
    """A known failure counts before an open question, an open question before a pass."""
    for outcome in (Outcome.FAIL, Outcome.ERROR, Outcome.PASS):
        if outcome in outcomes:
            return outcome
    return Outcome.NOT_APPLICABLE


def _reason(outcome: Outcome, findings: list[Finding]) -> str | None:
    if outcome in (Outcome.ERROR, Outcome.NOT_APPLICABLE):
        return next((finding.message for finding in findings if finding.outcome is outcome), None)
    return None


def _message(outcome: Outcome, findings: list[Finding], reason: str | None) -> str:
    telling = [finding.message for finding in findings if finding.outcome is outcome]
    if outcome is Outcome.PASS:
        return telling[0] if len(telling) == 1 else f"{telling[0]} (and {len(telling) - 1} more)"
    if outcome is Outcome.FAIL:
        return "; ".join(telling[:5]) + (f"; and {len(telling) - 5} more" if len(telling) > 5 else "")
    return reason or ""


def _evidence(observation: Observation, queries: Mapping[str, Query]) -> Evidence:
    query = queries.get(observation.fact)
    return Evidence(
        fact=observation.fact,
        target=observation.target,
        source=observation.source,
        observed_at=observation.observed_at,
        value=_bounded(observation.value)
        if observation.reason is None
        else {"not_observed": _line(observation.reason, REASON_CHARACTERS)},
        sureness=query.sureness if query is not None else None,
        note=_line(observation.note, REASON_CHARACTERS) if observation.note is not None else None,
    )


def _bounded(value: Value) -> Value:
    """A value, or as many of its first rows as fit, with a count of the rest."""
    if len(msgspec.json.encode(value)) <= EVIDENCE_BYTES:
        return value
    if not isinstance(value, list):
        return {"omitted": f"{len(msgspec.json.encode(value))} bytes"}
    kept: list[Value] = []
    size = 0
    for row in value:
        size += len(msgspec.json.encode(row))
        if size > EVIDENCE_BYTES:
            break
        kept.append(row)
    return [*kept, {"omitted": f"{len(value) - len(kept)} more rows"}]
