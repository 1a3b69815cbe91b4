"""Settings: who wins, what is refused, and that no secret shows."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from harness.errors import ExitCode, UsageError
from harness.settings import Secret, Settings

FAKE = "e2b_" + "ab" * 20


def load(root: Path, **environ: str) -> Settings:
    return Settings.load(root=root, environ=environ)


def test_load_from_nothing_has_the_documented_defaults(tmp_path: Path) -> None:
    """Without any variable, runs are offline with a timeout of 300 seconds."""
    settings = load(tmp_path)
    assert settings.e2b_api_key is None
    assert (settings.live_tests, settings.required) == (False, False)
    assert settings.sandbox_timeout_s == 300
    assert settings.disable_preflight is True


def test_load_environment_wins_over_both_files(tmp_path: Path) -> None:
    """The environment is stronger than testing_env/.env, and that than .env in the root."""
    (tmp_path / "testing_env").mkdir()
    (tmp_path / ".env").write_text("E2B_TIMEOUT=1\nMYSQL_PASSWORD=root-file\n")
    (tmp_path / "testing_env" / ".env").write_text("E2B_TIMEOUT=2\nE2B_LIVE_TESTS=1\n")
    settings = load(tmp_path, E2B_TIMEOUT="3")
    assert settings.sandbox_timeout_s == 3
    assert settings.live_tests is True
    assert settings.mysql_password == Secret("MYSQL_PASSWORD", "root-file")
    assert load(tmp_path).sandbox_timeout_s == 2


@pytest.mark.parametrize("text", ["0", "-1", "86401", "five", "1.5", "300s"])
def test_load_bad_timeout_is_refused(tmp_path: Path, text: str) -> None:
    """A timeout that E2B could not honour is named with what was expected."""
    with pytest.raises(UsageError) as caught:
        load(tmp_path, E2B_TIMEOUT=text)
    assert text in caught.value.happened
    assert "1 to 86400" in caught.value.happened
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize("text", ["1", "86400"])
def test_load_timeout_at_its_bounds_is_taken(tmp_path: Path, text: str) -> None:
    """The bounds themselves are fine."""
    assert load(tmp_path, E2B_TIMEOUT=text).sandbox_timeout_s == int(text)


def test_load_several_bad_values_names_them_all(tmp_path: Path) -> None:
    """One run tells everything that has to be corrected."""
    with pytest.raises(UsageError) as caught:
        load(tmp_path, E2B_TIMEOUT="x", E2B_LIVE_TESTS="maybe", OSIRIS_TEST_DISABLE_PREFLIGHT="2")
    for name in ("E2B_TIMEOUT", "E2B_LIVE_TESTS", "OSIRIS_TEST_DISABLE_PREFLIGHT"):
        assert name in caught.value.happened


def test_why_not_live_uses_the_words_that_users_know(tmp_path: Path) -> None:
    """First the key is missing, then the flag, then nothing."""
    assert (load(tmp_path).why_not_live() or "").startswith("E2B_API_KEY not set")
    keyed = load(tmp_path, E2B_API_KEY=FAKE)
    assert (keyed.why_not_live() or "").startswith("E2B_LIVE_TESTS not enabled")
    assert load(tmp_path, E2B_API_KEY=FAKE, E2B_LIVE_TESTS="1").why_not_live() is None


def test_secret_shows_nowhere_but_in_reveal(tmp_path: Path) -> None:
    """Neither str, repr, format nor pickle gives a secret away."""
    settings = load(tmp_path, E2B_API_KEY=FAKE)
    secret = settings.e2b_api_key
    assert secret is not None
    for text in (str(secret), repr(secret), f"{secret}", repr(settings)):
        assert FAKE not in text
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert secret.reveal() == FAKE
