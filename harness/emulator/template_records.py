"""What is known of templates: their builds, their tags, and what sandboxes start with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

__all__ = [
    "Build",
    "BuildStatus",
    "Image",
    "LogLine",
    "TagAssignment",
    "Template",
    "TemplateRecord",
]


class BuildStatus(StrEnum):
    """Where a build is."""

    WAITING = "waiting"
    BUILDING = "building"
    READY = "ready"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What sandboxes of one build start with.

    Attributes:
        environment: the built-in template whose Python environment they see.
        layer: their files; None is a fresh system.
        envs: variables of every command.
        user: who commands run as unless a request says otherwise.
        workdir: where commands start; None is the user's home.
        start_cmd: runs in each sandbox from its beginning; empty is none.
        ready_cmd: succeeds once the start command has done its part; empty is none.
    """

    environment: str = "base"
    layer: Path | None = None
    envs: Mapping[str, str] = field(default_factory=dict)
    user: str = "user"
    workdir: str | None = None
    start_cmd: str = ""
    ready_cmd: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A template as one sandbox was started from it.

    Attributes:
        template_id: 20 of [a-z0-9]; a built-in one's is the same in every emulator.
        name: the alias; the id where it has none.
        build_id: the build that it was started from; empty where there is none.
        image: what its sandboxes start with.
        cpu_count: shown, not enforced.
        memory_mb: shown, not enforced.
        disk_size_mb: shown, not enforced.
    """

    template_id: str
    name: str
    build_id: str = ""
    image: Image = field(default_factory=Image)
    cpu_count: int = 2
    memory_mb: int = 512
    disk_size_mb: int = 5120


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line of a build's log.

    Attributes:
        time: when it was written.
        message: its text, without a line break.
        level: "debug", "info", "warn" or "error".
        step: the step that it belongs to: "base", its number from 1, or "finalize".
    """

    time: datetime
    message: str
    level: str = "info"
    step: str = ""


@dataclass(slots=True, kw_only=True, eq=False)
class Build:
    """One build of a template.

    Attributes:
        build_id: a UUID.
        created_at: when it was asked for.
        cpu_count: shown, not enforced.
        memory_mb: shown, not enforced.
        status: where it is.
        finished_at: when it ended, well or not.
        log: what it said so far.
        failure: why it failed.
        failed_step: the step that failed.
        image: what it made, once it is ready.
    """

    build_id: str
    created_at: datetime
    cpu_count: int = 2
    memory_mb: int = 512
    status: BuildStatus = BuildStatus.WAITING
    finished_at: datetime | None = None
    log: list[LogLine] = field(default_factory=list)
    failure: str = ""
    failed_step: str = ""
    image: Image | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TagAssignment:
    """A tag that was given to a build."""

    assignment_id: str
    tag: str
    build_id: str
    assigned_at: datetime


@dataclass(slots=True, kw_only=True, eq=False)
class TemplateRecord:
    """What is known of one template; changed by `Catalogue` only.

    Attributes:
        template_id: 20 of [a-z0-9].
        name: the alias; the id where it has none.
        created_at: when it was first asked for.
        updated_at: when it last changed.
        public: whether others may use it.
        built_in: whether E2B has it for everyone.
        builds: by id, oldest first.
        assignments: every tag ever given and not taken away, oldest first.
        spawn_count: how many sandboxes were started from it.
        last_spawned_at: when the last one was.
    """

    template_id: str
    name: str
    created_at: datetime
    updated_at: datetime
    public: bool = False
    built_in: bool = False
    builds: dict[str, Build] = field(default_factory=dict)
    assignments: list[TagAssignment] = field(default_factory=list)
    spawn_count: int = 0
    last_spawned_at: datetime | None = None

    def tags(self) -> dict[str, TagAssignment]:
        """The newest assignment of each tag."""
        return {assignment.tag: assignment for assignment in self.assignments}

    def resolve(self, tag: str) -> Build | None:
        """The ready build that the tag was given to last; None where there is none."""
        for assignment in reversed(self.assignments):
            build = self.builds.get(assignment.build_id)
            if assignment.tag == tag and build and build.status is BuildStatus.READY:
                return build
        return None

    def newest(self) -> Build | None:
        """The build that was asked for last."""
        return next(reversed(self.builds.values()), None)
