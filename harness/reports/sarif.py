"""Findings as SARIF 2.1.0, which code hosts and editors show at the line.

Source: the OASIS standard sarif-v2.1.0; a result has a rule, a message and a place.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from harness import __version__
from harness.errors import BrokenError
from harness.model.finding import Finding
from harness.model.run import Json

__all__ = ["sarif", "write_sarif"]

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(findings: Sequence[Finding]) -> dict[str, Json]:
    """One run with a rule for each kind of secret, and a result for each finding."""
    kinds = sorted({finding.kind for finding in findings})
    rules: list[Json] = [
        {"id": kind, "shortDescription": {"text": f"{kind} is readable where it must not be"}}
        for kind in kinds
    ]
    driver: dict[str, Json] = {"name": "e2b-harness", "version": __version__, "rules": rules}
    results: list[Json] = [_result(finding) for finding in findings]
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }


def write_sarif(path: Path, findings: Sequence[Finding]) -> None:
    """Writes the findings to a file, also where there are none: then a host closes old alerts.

    Raises:
        BrokenError: if it cannot be written.
    """
    try:
        path.write_text(json.dumps(sarif(findings), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise BrokenError(
            f"{path}: {error.strerror or error}",
            expected="a file that can be written, in a folder that is there",
            next_step=f"mkdir -p {path.parent}",
        ) from error


def _result(finding: Finding) -> dict[str, Json]:
    place: dict[str, Json] = {"artifactLocation": {"uri": quote(finding.path)}}
    if finding.line:
        place["region"] = {"startLine": finding.line}
    return {
        "ruleId": finding.kind,
        "level": "error",
        "message": {"text": f"Secret leaked: {finding.kind}, written as {finding.encoding}"},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"secretDigest/v1": finding.digest},
    }
