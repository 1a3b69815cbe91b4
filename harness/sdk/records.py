"""E2B's rows as records: read at the edge, every problem of a row named together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from harness.clock import parse_instant
from harness.model.sandbox import SandboxRecord

__all__ = ["record_of_json", "record_of_object"]


def record_of_json(row: object) -> SandboxRecord:
    """The record of one row of the API's JSON.

    Raises:
        ValueError: if a field is missing or unreadable; all of them are named.
    """
    if not isinstance(row, Mapping):
        raise ValueError(f"a sandbox is an object, not {type(row).__name__}")  # noqa: TRY004 - one error for bad rows
    problems: list[str] = []

    def text(name: str) -> str:
        value = row.get(name)
        if not isinstance(value, str) or not value:
            problems.append(f"{name}={value!r}")
            return ""
        return value

    def instant(name: str) -> datetime:
        try:
            return parse_instant(text(name))
        except ValueError:
            problems.append(f"{name}={row.get(name)!r}")
            return datetime.min.replace(tzinfo=UTC)

    record = SandboxRecord(
        sandbox_id=text("sandboxID"),
        template_id=text("templateID"),
        state=text("state"),
        started_at=instant("startedAt"),
        end_at=instant("endAt"),
        metadata=_metadata(row.get("metadata")),
        template_name=str(row.get("alias") or ""),
    )
    if problems:
        raise ValueError("unreadable sandbox: " + ", ".join(sorted(set(problems))))
    return record


def record_of_object(item: object) -> SandboxRecord:
    """The record of what an SDK lists (`SandboxInfo`, `ListedSandbox`).

    Raises:
        ValueError: if an attribute is missing.
    """
    try:
        started_at = _aware(getattr(item, "started_at"))  # noqa: B009 - any SDK's class may come
        return SandboxRecord(
            sandbox_id=str(getattr(item, "sandbox_id")),  # noqa: B009
            template_id=str(getattr(item, "template_id", "")),
            # SDKs before 2.0 list running sandboxes only and say neither state nor end.
            state=_state(getattr(item, "state", "running")),
            started_at=started_at,
            end_at=_aware(getattr(item, "end_at", None) or started_at),
            metadata=_metadata(getattr(item, "metadata", None)),
            template_name=str(getattr(item, "name", None) or ""),
        )
    except AttributeError as error:
        raise ValueError(f"not a sandbox of an SDK: {error}") from error


def _state(state: object) -> str:
    return str(getattr(state, "value", state))


def _aware(instant: datetime) -> datetime:
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _metadata(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {}
    return {str(name): str(text) for name, text in value.items()}
