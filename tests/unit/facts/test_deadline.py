"""Deadlines: none outlasts the one it came from, and calling off ends them all."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azpreflight.facts.deadline import Deadline


class Clock:
    """A monotonic clock that moves by hand."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    return clock


def test_time_runs_out(clock: Clock) -> None:
    deadline = Deadline(10)
    assert deadline.remaining == 10
    clock.now += 4
    assert deadline.remaining == 6
    assert not deadline.over
    clock.now += 6
    assert deadline.over
    clock.now += 1
    assert deadline.remaining == 0.0


@pytest.mark.parametrize("seconds", [0, -1, -1e9])
def test_no_time_is_over_at_once(seconds: float) -> None:
    assert Deadline(seconds).over


def test_the_earlier_of_two_counts(clock: Clock) -> None:
    outer = Deadline(10)
    assert outer.within(3).remaining == 3
    assert outer.within(30).remaining == 10
    clock.now += 9
    assert outer.within(3).remaining == 1
    clock.now += 9
    assert outer.within(3).over


def test_calling_off_ends_a_deadline_and_all_within_it() -> None:
    event = threading.Event()
    outer = Deadline(1000, event)
    inner = outer.within(100).within(50)
    assert not inner.over
    event.set()
    assert outer.over
    assert inner.over
    assert inner.remaining == 0.0
    assert outer.within(5).over


@given(st.floats(-10, 1000), st.lists(st.floats(-10, 1000), max_size=5))
def test_none_outlasts_the_one_it_came_from(seconds: float, inner: list[float]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", Clock().monotonic)
        deadline = Deadline(seconds)
        for found in inner:
            last, deadline = deadline, deadline.within(found)
            assert deadline.remaining <= last.remaining + 1e-9
            assert deadline.remaining <= max(0.0, found) + 1e-9
