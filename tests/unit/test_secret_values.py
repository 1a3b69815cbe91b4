"""Secrets do not show themselves, and are known by their names."""

import pickle
from pathlib import Path

import pytest

from harness.secret_values import Secret, is_secret_name, secrets_of
from harness.settings import Settings, known_secrets


@pytest.mark.parametrize(
    "name",
    [
        *("E2B_API_KEY", "MYSQL_PASSWORD", "SUPABASE_SERVICE_ROLE_KEY", "GITHUB_TOKEN", "DB_PWD"),
        *("DBPASSWORD", "AWS_SECRET_ACCESS_KEY", "apiKey", "serviceRoleKey", "X-API-Key", "secret"),
        *("Authorization", "clientSecret", "db_pass", "accessToken", "signing_key"),
    ],
)
def test_is_secret_name_of_a_secret_is_true(name: str) -> None:
    """Variables, headers and JSON fields that hold a secret are known by their names."""
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("PWD", "OLDPWD", "primary_key", "cache_key", "max_tokens", "token_count", "SSH_ASKPASS"),
        *("passed", "bypass", "nextToken", "authorizationUrl", "PASSWORD_FILE", "key", "", "42"),
        *("AWS_ACCESS_KEY_ID", "has_password_hash", "compass"),
    ],
)
def test_is_secret_name_of_something_else_is_false(name: str) -> None:
    """What only speaks of a secret, or not even that, is none."""
    assert not is_secret_name(name)


def test_secrets_of_an_environment_lists_each_value_once() -> None:
    """Names, drawn keys and connection strings count; paths, ports and row keys do not."""
    found = secrets_of(
        {
            "HOME": "/root",
            "PWD": "/src",
            "MYSQL_PASSWORD": "pw-1",  # pragma: allowlist secret
            "MYSQL_PASSWORD_AGAIN_TOKEN": "pw-1",
            "DATABASE_URL": "mysql://u:p%40ss@h/db",  # pragma: allowlist secret
            "HTTP_PROXY": "http://proxy:8080/a@b",
            "STRIPE_KEY": "drawn-by-lot-0123456789",
            "CACHE_KEY": "users",
            "EMPTY_TOKEN": "",
        }
    )
    assert [(secret.name, secret.reveal()) for secret in found] == [
        ("DATABASE_URL", "p%40ss"),
        ("DATABASE_URL", "p@ss"),
        ("MYSQL_PASSWORD", "pw-1"),
        ("STRIPE_KEY", "drawn-by-lot-0123456789"),
    ]


def test_secret_shows_itself_nowhere() -> None:
    """Neither str, repr, format nor pickle gives the value away."""
    secret = Secret("MYSQL_PASSWORD", "pw-1")
    shown = f"{secret} {secret!r} {[secret]} %s" % secret
    assert "pw-1" not in shown
    assert "<secret:MYSQL_PASSWORD>" in shown
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_settings_secrets_lists_own_and_other_ones(tmp_path: Path) -> None:
    """The three that the harness uses come first; none shows in the settings' repr."""
    (tmp_path / "testing_env").mkdir()
    (tmp_path / "testing_env" / ".env").write_text("KEBOOLA_TOKEN=tok-from-file\n")
    environ = {"E2B_API_KEY": "key-1", "DB_PASSWORD": "pw-2", "GITHUB_STEP_SUMMARY": "/s.md"}
    settings = Settings.load(root=tmp_path, environ=environ)
    assert [secret.name for secret in settings.secrets()] == [
        "E2B_API_KEY",
        "DB_PASSWORD",
        "KEBOOLA_TOKEN",
    ]
    assert settings.step_summary == Path("/s.md")
    assert not any(value in repr(settings) for value in ("key-1", "pw-2", "tok-from-file"))


def test_known_secrets_with_a_bad_setting_are_still_known(tmp_path: Path) -> None:
    """What redacts does not depend on settings that do not fit."""
    found = known_secrets(root=tmp_path, environ={"E2B_TIMEOUT": "soon", "E2B_API_KEY": "key-1"})
    assert [secret.name for secret in found] == ["E2B_API_KEY"]
