"""Notes what runs of suites and contracts measured, for the coverage page.

The file is JSON and lies in the repository: a row for each combination that was run,
each with its date, so that one run renews its own row and leaves the others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.model.outcome import Outcome
from harness.model.verdict import Check
from harness.reports.storage import write_files
from harness.workflow.conformance import Conformance
from harness.workflow.versions import Row

__all__ = ["note_conformance", "note_versions"]

_SHOWN_FAILURES = 4
_MOST_REASON_CHARACTERS = 160
_ID = re.compile(r"\b[ib][a-z0-9]{20}\b")


def note_conformance(file: Path, found: Conformance) -> None:
    """Notes the figures of one suite, in the place of the same suite, SDK and user.

    Raises:
        UsageError: the file is there and is not such a file.
    """
    document = _read(file)
    details = found.verdict.details
    row = {
        "date": _date(found.verdict.started_at),
        "repository": details["repository"],
        "suite": found.suite_version,
        "sdk": found.sdk_version,
        "ordinary_user": details["ordinary_user"],
        "workers": details["workers"],
        "runs": [[run.passed, run.feasible, round(run.duration_s)] for run in found.runs],
        "twins": found.twins,
        "areas": [
            {"area": a.area, "passed": a.passed, "feasible": a.feasible, "total": a.total}
            for a in found.figures
        ],
        "routes": list(found.routes),
    }
    _renew(document["conformance"], row, ("repository", "suite", "sdk", "ordinary_user"))
    _write(file, document)


def note_versions(file: Path, rows: Sequence[Row], at: datetime) -> None:
    """Notes how each client fared, in the place of what was known of the same one.

    Raises:
        UsageError: the file is there and is not such a file.
    """
    document = _read(file)
    for row in rows:
        noted = {
            "client": row.client.name,
            "installed": row.installed,
            "date": _date(at),
            "attached_by": row.client.attached_by.value,
            "passed": row.count(Outcome.PASSED),
            "failed": row.count(Outcome.FAILED) + row.count(Outcome.BROKEN),
            "lacks": row.count(Outcome.NOT_RUN),
            "failures": _failures(row.checks),
            "routes": list(row.routes),
        }
        _renew(document["versions"], noted, ("client",))
    _write(file, document)


def _read(file: Path) -> dict[str, list[dict[str, Any]]]:
    if not file.is_file():
        return {"conformance": [], "versions": []}
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        known = {name: list(document[name]) for name in ("conformance", "versions")}
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{file} holds no figures: {error}",
            expected="a JSON file with the lists `conformance` and `versions`",
            next_step="name another file, or one that is not there yet",
        ) from error
    return known


def _renew(rows: list[dict[str, Any]], row: dict[str, Any], key: Sequence[str]) -> None:
    for place, other in enumerate(rows):
        if all(other.get(name) == row[name] for name in key):
            rows[place] = row
            return
    rows.append(row)


def _failures(checks: Sequence[Check]) -> list[str]:
    """What failed and why, without ids, which no two runs share."""
    told = [
        _ID.sub("<id>", f"{check.name}: {check.reason}")[:_MOST_REASON_CHARACTERS]
        for check in checks
        if check.outcome in {Outcome.FAILED, Outcome.BROKEN}
    ]
    if len(told) <= _SHOWN_FAILURES:
        return told
    return [*told[:2], f"and {len(told) - 2} more"]


def _date(moment: datetime) -> str:
    return moment.date().isoformat()


def _write(file: Path, document: dict[str, list[dict[str, Any]]]) -> None:
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    write_files(file.parent, {file.name: text.encode()})
