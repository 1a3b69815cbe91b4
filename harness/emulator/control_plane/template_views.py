"""Templates, builds and tags as the control plane's answers show them.

Source: e2b 2.63.0 e2b/api/client/models (template, template_with_builds, template_build,
template_build_info, template_tag_assignment).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from harness.clock import format_instant
from harness.emulator.control_plane.views import ENVD_VERSION
from harness.emulator.template_records import (
    Build,
    BuildStatus,
    LogLine,
    TagAssignment,
    TemplateRecord,
)

__all__ = [
    "assignment_view",
    "build_view",
    "log_view",
    "status_view",
    "template_view",
    "template_with_builds_view",
]

DISK_SIZE_MB = 5120


def template_view(record: TemplateRecord) -> dict[str, Any]:
    """One row of a listing of templates."""
    newest = record.newest()
    ready = [build for build in record.builds.values() if build.status is BuildStatus.READY]
    shown = ready[-1] if ready else newest
    return _identity(record) | {
        "buildID": "" if shown is None else shown.build_id,
        "cpuCount": 2 if shown is None else shown.cpu_count,
        "memoryMB": 512 if shown is None else shown.memory_mb,
        "diskSizeMB": DISK_SIZE_MB,
        "createdBy": None,
        "buildCount": len(record.builds),
        "envdVersion": ENVD_VERSION,
        "buildStatus": (newest.status if newest else BuildStatus.WAITING).value,
    }


def template_with_builds_view(record: TemplateRecord, builds: Sequence[Build]) -> dict[str, Any]:
    """A template and one page of its builds."""
    return _identity(record) | {"builds": [build_view(build) for build in builds]}


def _identity(record: TemplateRecord) -> dict[str, Any]:
    named = [] if record.name == record.template_id else [record.name]
    return {
        "templateID": record.template_id,
        "public": record.public,
        "aliases": named,
        "names": named,
        "createdAt": format_instant(record.created_at),
        "updatedAt": format_instant(record.updated_at),
        "lastSpawnedAt": _instant(record.last_spawned_at),
        "spawnCount": record.spawn_count,
    }


def build_view(build: Build) -> dict[str, Any]:
    """One build of a template."""
    view = {
        "buildID": build.build_id,
        "status": build.status.value,
        "createdAt": format_instant(build.created_at),
        "updatedAt": format_instant(build.finished_at or build.created_at),
        "cpuCount": build.cpu_count,
        "memoryMB": build.memory_mb,
    }
    if build.finished_at is None:
        return view
    finished = {"finishedAt": format_instant(build.finished_at)}
    if build.status is not BuildStatus.READY:
        return view | finished
    return view | finished | {"diskSizeMB": DISK_SIZE_MB, "envdVersion": ENVD_VERSION}


def status_view(record: TemplateRecord, build: Build, lines: Sequence[LogLine]) -> dict[str, Any]:
    """The answer to who waits for a build."""
    view: dict[str, Any] = {
        "templateID": record.template_id,
        "buildID": build.build_id,
        "status": build.status.value,
        "logs": [],
        "logEntries": [log_view(line) for line in lines],
    }
    if build.failure:
        failed = [line for line in build.log if line.step == build.failed_step]
        view["reason"] = {
            "message": build.failure,
            "step": build.failed_step,
            "logEntries": [log_view(line) for line in failed[-10:]],
        }
    return view


def log_view(line: LogLine) -> dict[str, Any]:
    """One line of a build's log."""
    view = {
        "timestamp": format_instant(line.time),
        "message": line.message,
        "level": line.level,
    }
    return view | {"step": line.step} if line.step else view


def assignment_view(assignment: TagAssignment, record: TemplateRecord) -> dict[str, Any]:
    """A tag that was given to a build, with the build's times."""
    build = record.builds[assignment.build_id]
    return {
        "assignmentId": assignment.assignment_id,
        "buildId": assignment.build_id,
        "assignedAt": format_instant(assignment.assigned_at),
        "buildCreatedAt": format_instant(build.created_at),
        "buildFinishedAt": _instant(build.finished_at),
    }


def _instant(time: datetime | None) -> str | None:
    return None if time is None else format_instant(time)
