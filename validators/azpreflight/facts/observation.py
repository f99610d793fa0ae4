"""A fact as it was observed, or the reason why it was not."""

from __future__ import annotations

import datetime
import enum

from azpreflight.model import Frozen, Value


class Status(enum.StrEnum):
    """What became of a question. Only `OBSERVED` carries a value; an empty answer is an observed one."""

    OBSERVED = "observed"
    NOT_PRESENT = "not_present"
    """The class, namespace, resource or program does not exist on the target."""
    REFUSED = "refused"
    """The target understood and denied: access, policy, quota, or the credential itself."""
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"
    """No conversation with the target was possible."""
    FAILED = "failed"
    """An answer came that says or is an error of another kind."""
    NOT_ASKED = "not_asked"
    """Never sent: a condition of the query did not hold, or the collection ended before."""


class Observation(Frozen):
    """One fact about one target, with its provenance. Never a judgement.

    source: `winrm`, `dns`, ... as it was when observed; a replayed recording keeps it. observed_at: UTC, to the
    millisecond. value: plain data, only when observed. reason: why there is no value, for people.
    note: what an observed value leaves out, for people.
    """

    fact: str
    target: str
    source: str
    status: Status
    observed_at: datetime.datetime
    value: Value = None
    reason: str | None = None
    note: str | None = None
