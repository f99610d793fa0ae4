"""Why facts could not be had, each reason with the status that the facts get."""

from __future__ import annotations

from azpreflight.errors import AzpreflightError
from azpreflight.facts.observation import Status


class WireError(AzpreflightError):
    """A question that brought no usable answer, or that could not be asked.

    status: what becomes of the facts that were asked for. reason: for people; holds no credential.
    fatal: whether nothing more can be asked of this node or directory in this run.
    """

    def __init__(self, status: Status, reason: str, *, fatal: bool = False) -> None:
        self.status = status
        self.reason = reason
        self.fatal = fatal
        super().__init__(reason)


class Rejected(WireError):
    """The other side refused the credential. Never followed by another attempt: accounts lock after three."""

    def __init__(self, reason: str) -> None:
        super().__init__(Status.REFUSED, reason, fatal=True)
