"""The doctor sees what is missing on a machine, and starts a real sandbox to know."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.model.outcome import Outcome
from harness.model.verdict import Check
from harness.workflow.doctor import examine

FAKE_KEY = "e2b_" + "ab" * 20


def checks(root: Path) -> dict[str, Check]:
    return {check.name: check for check in examine(root).checks}


def test_examine_a_ready_machine_passes_and_says_what_live_lacks(tmp_path: Path) -> None:
    """All that offline runs need is there, a sandbox included; live is not run, with the reason."""
    seen = checks(tmp_path)
    live = seen.pop("live")
    assert {check.outcome for check in seen.values()} == {Outcome.PASSED}
    assert "answers" in seen["sandboxes"].reason
    assert live.outcome is Outcome.NOT_RUN
    assert live.reason.startswith("E2B_API_KEY not set")


def test_examine_without_git_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing program is named, with what was expected."""
    monkeypatch.setenv("PATH", str(tmp_path))
    seen = checks(tmp_path)
    assert seen["git"].outcome is Outcome.FAILED
    assert "no git on PATH" in seen["git"].reason


def test_examine_bad_setting_is_failed_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting that does not fit is found before a run trips over it."""
    monkeypatch.setenv("E2B_TIMEOUT", "soon")
    assert "E2B_TIMEOUT='soon'" in checks(tmp_path)["settings"].reason


def test_examine_debug_switch_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """E2B_DEBUG turns a kill into nothing, so it must be off."""
    monkeypatch.setenv("E2B_DEBUG", "true")
    settings = checks(tmp_path)["settings"]
    assert settings.outcome is Outcome.FAILED
    assert "unset E2B_DEBUG" in settings.reason


def test_examine_folder_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    """A file where the folder should be is said before a run loses its report there."""
    (tmp_path / "testing_env").write_text("in the way")
    assert checks(tmp_path)["testing_env"].outcome is Outcome.FAILED


def test_examine_key_is_shown_by_its_fingerprint_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is set is recognisable, and not readable."""
    monkeypatch.setenv("E2B_API_KEY", FAKE_KEY)
    monkeypatch.setenv("E2B_LIVE_TESTS", "1")
    verdict = examine(tmp_path)
    assert FAKE_KEY not in str(verdict.to_json())
    (live,) = [check for check in verdict.checks if check.name == "live"]
    assert live.outcome is Outcome.PASSED
    assert "key " in live.reason
