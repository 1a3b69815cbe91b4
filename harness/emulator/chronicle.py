"""What happens to sandboxes, told once, and kept in each of the forms that E2B shows it in."""

from __future__ import annotations

from typing import Any

from harness.clock import Clock
from harness.emulator.life import Happening, SandboxLife
from harness.emulator.lifecycle_events import LifecycleEvents
from harness.emulator.sandbox_logs import Level, SandboxLogs
from harness.emulator.team import TEAM_ID
from harness.emulator.team_figures import TeamFigures

__all__ = ["Chronicle"]

_API = "orchestration-api"
_NODE = "orchestrator"
# Source: e2b-dev/infra packages/api/internal/handlers (sandbox_create.go, sandbox_resume.go),
# packages/api/internal/orchestrator/analytics.go, packages/orchestrator/pkg/server/sandboxes.go.
_LINES = {
    Happening.CREATED: (_API, "Sandbox created"),
    Happening.RESUMED: (_API, "Sandbox created"),
    Happening.PAUSED: (_NODE, "Pausing sandbox"),
    Happening.CHECKPOINTED: (_NODE, "Checkpointing sandbox"),
    Happening.KILLED: (_NODE, "Killing sandbox"),
}


class Chronicle:
    """Keeps what it is told, until reset.

    Args:
        clock: the service's clock.

    Attributes:
        logs: the lines of each sandbox.
        events: the lifecycle events.
        team: how many sandboxes ran, and how many were started.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.logs = SandboxLogs(clock)
        self.events = LifecycleEvents(clock)
        self.team = TeamFigures(clock)

    def starting(self, sandbox_id: str, template_id: str, *, anew: bool = False) -> None:
        """A sandbox is about to start, or to be resumed."""
        what = "Started resuming sandbox" if anew else "Started creating sandbox"
        self._line(sandbox_id, template_id, Level.DEBUG, _API, what)

    def tell(
        self, happening: Happening, life: SandboxLife, *, was_running: bool = True, **data: Any
    ) -> None:
        """Something has happened to a sandbox.

        Args:
            happening: what.
            life: the sandbox, as it is after that.
            was_running: whether it ran before.
            data: what the event and the log's line say of it beside.
        """
        if happening in {Happening.CREATED, Happening.RESUMED}:
            life.executions += 1
        if happening is not Happening.UPDATED:
            fields = dict(data)
            if happening in {Happening.CREATED, Happening.RESUMED}:
                fields["end_time"] = f"{life.end_at:%Y-%m-%d %H:%M:%S} +00:00"
            logger, message = _LINES[happening]
            template_id = life.asked.template.template_id
            self._line(life.sandbox_id, template_id, Level.INFO, logger, message, **fields)
        self.events.add(happening, life, data)
        self.team.note(happening, was_running=was_running)

    def clear(self) -> None:
        """Forgets everything."""
        self.logs.clear()
        self.events.clear()
        self.team.clear()

    def _line(
        self,
        sandbox_id: str,
        template_id: str,
        level: Level,
        logger: str,
        message: str,
        **fields: Any,
    ) -> None:
        self.logs.add(
            sandbox_id,
            level,
            message,
            logger=logger,
            sandboxID=sandbox_id,
            templateID=template_id,
            teamID=TEAM_ID,
            instanceID=sandbox_id,
            envID=template_id,
            **fields,
        )
