"""A create that the plan does not allow yet waits in line, and no longer than its client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from harness.clock import ManualClock
from harness.gateway.turnstile import Turnstile
from harness.gateway.upstream import Headers


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Headers


FULL = Answer(429, [])
MADE = Answer(201, [])


class Line:
    """A turnstile whose pauses move a manual clock, and what was waited."""

    def __init__(self, patience_s: float) -> None:
        self.clock = ManualClock()
        self.waited: list[float] = []
        self.turnstile = Turnstile(clock=self.clock, pause=self._pause, patience_s=patience_s)

    async def _pause(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.clock.advance(seconds)
        await asyncio.sleep(0)

    async def create(self, *answers: Answer, given_up: bool = False) -> Answer:
        left = iter(answers)
        return await self.turnstile.pass_through(
            asking(lambda: next(left)), given_up=lambda: given_up
        )


def asking(answer: Callable[[], Answer]) -> Callable[[], Awaitable[Answer]]:
    async def ask() -> Answer:
        await asyncio.sleep(0)
        return answer()

    return ask


def run(patience_s: float, answers: Iterable[Answer], *, given_up: bool = False) -> Line:
    line = Line(patience_s)
    line.last = asyncio.run(line.create(*answers, given_up=given_up))  # type: ignore[attr-defined]
    return line


def last(line: Line) -> Answer:
    answer = line.last  # type: ignore[attr-defined]
    assert isinstance(answer, Answer)
    return answer


def test_create_that_is_allowed_does_not_wait() -> None:
    """The usual way costs nothing."""
    line = run(50, [MADE])
    assert (last(line), line.waited) == (MADE, [])


def test_create_past_the_plan_waits_as_long_as_the_service_says() -> None:
    """Retry-After is heeded, and the answer is the create's own."""
    line = run(50, [FULL, Answer(429, [(b"retry-after", b"3")]), MADE])
    assert (last(line), line.waited) == (MADE, [3.0])


def test_create_without_a_word_of_how_long_waits_longer_each_time() -> None:
    """The number of sandboxes at a time has no Retry-After: the question is asked less often."""
    line = run(50, [*[FULL] * 5, MADE])
    assert (last(line), line.waited) == (MADE, [1.0, 2.0, 4.0, 5.0])


def test_create_is_refused_when_the_patience_is_over() -> None:
    """The client hears the 429 before its own timeout."""
    line = run(10, [FULL] * 50)
    assert last(line) is FULL
    assert sum(line.waited) < 10


def test_create_without_patience_is_passed_on_as_it_comes() -> None:
    """A gateway that was not asked to wait is transparent."""
    line = run(0, [FULL])
    assert (last(line), line.waited) == (FULL, [])


def test_create_whose_client_is_gone_is_not_asked_again() -> None:
    """Nobody waits for it: no sandbox is made."""
    line = run(50, [FULL, FULL, MADE], given_up=True)
    assert (last(line), line.waited) == (FULL, [])


def test_those_who_wait_are_served_in_the_order_of_arrival() -> None:
    """Five at once with room for one a second: all are served, nobody is overtaken."""
    line = Line(50)
    served: list[int] = []
    free = {0.0, 1.0, 2.0, 3.0, 4.0}

    async def one(number: int) -> None:
        def answer() -> Answer:
            now = line.clock.monotonic_s()
            if now not in free:
                return FULL
            free.discard(now)
            served.append(number)
            return MADE

        await line.turnstile.pass_through(asking(answer), given_up=lambda: False)

    async def all_of_them() -> None:
        await asyncio.gather(*(one(number) for number in range(5)))

    asyncio.run(all_of_them())
    assert served == [0, 1, 2, 3, 4]
