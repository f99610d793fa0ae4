"""What can go wrong between here and a node, each with the status that its facts get."""

from __future__ import annotations

from azpreflight.errors import AzpreflightError
from azpreflight.facts.observation import Status


class WireError(AzpreflightError):
    """A request that brought no usable answer.

    status: what becomes of the facts that were asked for. reason: for people; holds no credential.
    fatal: whether nothing more can be asked of this node in this run.
    """

    def __init__(self, status: Status, reason: str, *, fatal: bool = False) -> None:
        self.status = status
        self.reason = reason
        self.fatal = fatal
        super().__init__(reason)


class Rejected(WireError):
    """The node refused the credential. Never followed by another attempt: accounts lock after three."""

    def __init__(self, reason: str) -> None:
        super().__init__(Status.REFUSED, reason, fatal=True)


class Fault(WireError):
    """A WS-Management fault.

    code: the innermost number that Windows gave, 0 when none. subcode: local name of the SOAP subcode.
    text: the node's own words, in its language.
    """

    def __init__(self, status: Status, reason: str, *, code: int, subcode: str, text: str) -> None:
        super().__init__(status, reason)
        self.code = code
        self.subcode = subcode
        self.text = text
