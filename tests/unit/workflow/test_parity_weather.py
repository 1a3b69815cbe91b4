"""A case whose weather would spoil the others has a far end of its own."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from harness.errors import BrokenError, NotRunError
from harness.model.run import Deed, Disturbance, PipelineCase
from harness.model.side import Endpoint
from harness.settings import Settings
from harness.targets.command import CommandTarget
from harness.workflow.parity_weather import needs_own_weather, own_weather

CASE = PipelineCase(name="case", purpose="p", oml="")


@dataclass(frozen=True, slots=True)
class Made:
    """Makes a case that differs from a plain one."""

    case: PipelineCase
    own: bool


def made(*, own: bool, **fields: object) -> Made:
    return Made(PipelineCase(name="case", purpose="p", oml="", **fields), own)  # type: ignore[arg-type]  # the test's own fields


@pytest.mark.parametrize(
    "made",
    [
        made(own=False),
        made(own=False, disturbance=Disturbance(step="a", deed=Deed.VANISH)),
        made(own=True, disturbance=Disturbance(step="a", deed=Deed.ADVANCE, seconds=1)),
        made(own=True, faults=({"route": "*", "status": 500},)),
        made(own=True, needs=("mysql",)),
        made(own=True, sandbox_expires=True),
    ],
    ids=["plain", "own-sandbox-only", "clock", "faults", "database", "expires"],
)
def test_needs_own_weather_where_others_would_notice(made: Made) -> None:
    """A blow at the case's own sandbox is nobody else's; a clock, a fault, a name are."""
    assert needs_own_weather(made.case) is made.own


def test_own_weather_at_a_real_service_is_not_run(settings: Settings) -> None:
    """Nobody injects faults into the real service; the message says what does."""
    target = CommandTarget(settings=settings)
    shared = Endpoint(name="live", env={})
    with (
        pytest.raises(NotRunError, match="far end of its own"),
        own_weather(CASE, target, shared, None),
    ):
        pytest.fail("it was entered")


@pytest.fixture
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(root=tmp_path_factory.mktemp("root"))


class Bare(CommandTarget):
    """A target whose sandbox offers nothing."""

    def template_packages(self) -> tuple[str, ...]:
        return ()


def test_own_weather_has_the_faults_of_the_case_in_force(settings: Settings) -> None:
    """Each rule is there before the first request; a rule that is none breaks the case."""
    shared = Endpoint(name="emulator", env={})
    rule = {"route": "POST /v2/sandboxes", "status": 503}
    case = made(own=True, faults=(rule,)).case
    with own_weather(case, Bare(settings=settings), shared, None) as endpoint:
        assert endpoint.admin_url is not None
    wrong = made(own=True, faults=({"route": "*", "colour": "blue"},)).case
    with (
        pytest.raises(BrokenError, match="colour"),
        own_weather(wrong, Bare(settings=settings), shared, None),
    ):
        pytest.fail("it was entered")
