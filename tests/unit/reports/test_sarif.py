"""Findings as SARIF: rule, place and digest, and never a value."""

import json
from pathlib import Path

import pytest

from harness.errors import BrokenError
from harness.model.finding import Finding
from harness.reports.sarif import sarif, write_sarif

FINDING = Finding(kind="A_KEY", encoding="hex", path="logs/a b.log", line=3, digest="d1g35t")


def test_sarif_result_has_rule_place_and_fingerprint() -> None:
    """What a code host needs to show the finding at its line."""
    (run,) = json.loads(json.dumps(sarif([FINDING])))["runs"]
    assert run["tool"]["driver"]["rules"][0]["id"] == "A_KEY"
    (result,) = run["results"]
    assert result == {
        "ruleId": "A_KEY",
        "level": "error",
        "message": {"text": "Secret leaked: A_KEY, written as hex"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": "logs/a%20b.log"},
                    "region": {"startLine": 3},
                }
            }
        ],
        "partialFingerprints": {"secretDigest/v1": "d1g35t"},
    }


def test_write_sarif_without_findings_is_a_document(tmp_path: Path) -> None:
    """No finding is a result, too; a folder that is not there is an error of three lines."""
    write_sarif(tmp_path / "x.sarif", [])
    assert json.loads((tmp_path / "x.sarif").read_text())["runs"][0]["results"] == []
    with pytest.raises(BrokenError):
        write_sarif(tmp_path / "none" / "x.sarif", [])
