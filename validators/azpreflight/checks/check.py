"""What a check is: a pure function from facts, declaration and typed parameters to findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from azpreflight.checks.view import View
from azpreflight.model import Finding, Frozen, Outcome, Value


class NoParameters(Frozen):
    """The parameters of a check that takes none."""


P = TypeVar("P", bound=Frozen)


class Check(Generic[P]):
    """A named judgement. Made by the decorator `check`; rules refer to it by name.

    Args:
        name: dotted, for example `net.static_address`.
        judge: yields at least one finding; may raise `NotObserved` and `NotApplicable`.
        parameters: the type that a rule's `with` is read into.
        facts: the facts that the check reads, given its parameters. The plan asks for these and no others.
    """

    def __init__(
        self,
        name: str,
        judge: Callable[[View, P], Iterable[Finding]],
        parameters: type[P],
        facts: Callable[[P], tuple[str, ...]],
    ) -> None:
        self.name = name
        self.judge = judge
        self.parameters = parameters
        self.facts = facts
        self.__doc__ = judge.__doc__

    def __repr__(self) -> str:
        return f"Check({self.name!r})"


def check(
    name: str, *facts: str, parameters: type[P] | None = None, needs: Callable[[P], tuple[str, ...]] | None = None
) -> Callable[[Callable[[View, P], Iterable[Finding]]], Check[P]]:
    """Turn a function into a check that reads `facts`, or those that `needs` derives from its parameters."""

    def decorate(judge: Callable[[View, P], Iterable[Finding]]) -> Check[P]:
        kind: Any = parameters or NoParameters
        return Check(name, judge, kind, needs or (lambda _: facts))

    return decorate


def passed(subject: str, message: str, *, expected: Value = None, actual: Value = None) -> Finding:
    """The subject is as it should be."""
    return Finding(subject=subject, outcome=Outcome.PASS, message=message, expected=expected, actual=actual)


def failed(subject: str, message: str, *, expected: Value = None, actual: Value = None) -> Finding:
    """The subject is not as it should be."""
    return Finding(subject=subject, outcome=Outcome.FAIL, message=message, expected=expected, actual=actual)


def unjudged(subject: str, message: str, *, expected: Value = None, actual: Value = None) -> Finding:
    """The subject could not be judged. Never means that it is bad."""
    return Finding(subject=subject, outcome=Outcome.ERROR, message=message, expected=expected, actual=actual)


def irrelevant(subject: str, message: str, *, actual: Value = None) -> Finding:
    """There is nothing to judge about the subject."""
    return Finding(subject=subject, outcome=Outcome.NOT_APPLICABLE, message=message, actual=actual)


def judged(
    good: bool,
    subject: str,
    *,
    if_good: str,
    if_bad: str,
    expected: Value = None,
    actual: Value = None,
) -> Finding:
    """A pass or a failure, as `good` says."""
    make, message = (passed, if_good) if good else (failed, if_bad)
    return make(subject, message, expected=expected, actual=actual)
