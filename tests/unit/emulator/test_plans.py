"""What plans allow."""

from __future__ import annotations

import pytest

from harness.clock import ManualClock
from harness.emulator.answers import ApiError
from harness.emulator.plans import CreationRate, Plan


def test_rate_of_hobby_is_one_a_second_with_the_headers_of_a_429() -> None:
    """A second create within the second is told when to come again."""
    clock = ManualClock()
    rate = CreationRate(clock, Plan.HOBBY.limits)
    rate.take()
    with pytest.raises(ApiError, match="Rate limit exceeded") as refusal:
        rate.take()
    assert refusal.value.status == 429
    assert refusal.value.headers == {
        "Retry-After": "1",
        "RateLimit-Limit": "1",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": "1",
    }
    clock.advance(1)
    rate.take()


def test_rate_of_pro_is_five_a_second_and_saves_no_more() -> None:
    """A quiet minute does not add up to a burst of hundreds."""
    clock = ManualClock()
    rate = CreationRate(clock, Plan.PRO.limits)
    clock.advance(60)
    for _ in range(5):
        rate.take()
    with pytest.raises(ApiError):
        rate.take()


def test_rate_without_a_plan_has_no_bound() -> None:
    """Tests create as fast as they can."""
    rate = CreationRate(ManualClock(), Plan.NONE.limits)
    for _ in range(1000):
        rate.take()


def test_longest_life_is_an_hour_or_a_day() -> None:
    """The figures that the refusal of a timeout names."""
    assert [plan.limits.longest_life_hours for plan in Plan] == [24, 1, 24]
