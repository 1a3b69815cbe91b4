"""What is known of one sandbox, from the request that created it to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from harness.emulator.exchange import Exchange
from harness.emulator.isolation import Sandbox
from harness.emulator.template_records import Template
from harness.model.sandbox import SandboxRecord

__all__ = ["EndReason", "Happening", "NewSandbox", "SandboxLife", "SandboxState"]


class SandboxState(StrEnum):
    """Where a sandbox is in its life."""

    RUNNING = "running"
    PAUSED = "paused"
    KILLED = "killed"


class EndReason(StrEnum):
    """Why a sandbox ended."""

    REQUEST = "request"
    TIMEOUT = "timeout"
    DIED = "died"
    FAULT = "fault"
    RESET = "reset"


class Happening(StrEnum):
    """What a sandbox goes through."""

    CREATED = "created"
    UPDATED = "updated"
    PAUSED = "paused"
    RESUMED = "resumed"
    CHECKPOINTED = "checkpointed"
    KILLED = "killed"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSandbox:
    """What a create request asks for.

    Attributes:
        template: the template.
        timeout_s: how long it may live.
        metadata: the client's own.
        envs: variables of every command.
        secure: whether envd asks for the access token.
        auto_pause: pause instead of kill at the timeout.
        auto_pause_memory: whether that pause keeps the processes.
        auto_resume: whether traffic resumes it.
        allow_internet_access: as asked; None where it was not.
        network: as asked; None where it was not.
        volume_mounts: as asked.
    """

    template: Template
    timeout_s: int
    metadata: Mapping[str, str] = field(default_factory=dict)
    envs: Mapping[str, str] = field(default_factory=dict)
    secure: bool = True
    auto_pause: bool = False
    auto_pause_memory: bool = True
    auto_resume: bool = False
    allow_internet_access: bool | None = None
    network: Mapping[str, Any] | None = None
    volume_mounts: tuple[Mapping[str, str], ...] = ()

    @property
    def public_traffic(self) -> bool:
        """Whether the sandbox's ports answer without a token."""
        return (self.network or {}).get("allowPublicTraffic", True) is not False


@dataclass(slots=True, kw_only=True, eq=False)
class SandboxLife:
    """One sandbox; changed by `Sandboxes` only.

    Attributes:
        sandbox_id: E2B's id.
        asked: the create request.
        metadata: the client's metadata and the emulator's stamp.
        guest: the sandbox itself.
        started_at: by the service's clock.
        end_at: when it is due to end.
        access_token: what envd asks for; None where it asks for nothing.
        traffic_token: what its ports ask for; None where they ask for nothing.
        state: where it is in its life.
        paused_memory: whether the pause kept the processes.
        unresponsive_at_pause: whether the agent did not answer when it was paused.
        changing: held by whoever pauses, resumes or copies it.
        ended_at: when it ended.
        end_reason: why it ended.
        exchanges: requests about it that are under way.
        creator: the command lines of the process that created it and of its ancestors.
        executions: how often it was started, a resume included.
        requests: how many came for it, to any port.
    """

    sandbox_id: str
    asked: NewSandbox
    metadata: Mapping[str, str]
    guest: Sandbox
    started_at: datetime
    end_at: datetime
    access_token: str | None
    traffic_token: str | None
    state: SandboxState = SandboxState.RUNNING
    paused_memory: bool = True
    unresponsive_at_pause: bool = False
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    ended_at: datetime | None = None
    end_reason: EndReason | None = None
    exchanges: set[Exchange] = field(default_factory=set)
    creator: str = ""
    executions: int = 0
    requests: int = 0

    @property
    def running(self) -> bool:
        """Whether requests reach it."""
        return self.state is SandboxState.RUNNING

    def record(self) -> SandboxRecord:
        """The row that a listing shows."""
        return SandboxRecord(
            sandbox_id=self.sandbox_id,
            template_id=self.asked.template.template_id,
            state=self.state.value,
            started_at=self.started_at,
            end_at=self.end_at,
            metadata=dict(self.metadata),
        )
