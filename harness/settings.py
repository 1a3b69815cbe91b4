"""The only reader of the environment and of the `.env` files.

`Settings.load()` merges, strongest first: the process environment,
`testing_env/.env`, `.env` in the project root. A value that does not fit is
refused with what was expected. Secrets are wrapped, so that no `repr` shows one;
every variable whose name says that it holds a secret counts as one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from dotenv import dotenv_values

from harness.errors import UsageError
from harness.secret_values import Secret, secrets_of

__all__ = ["ENVIRONMENT_NAMES", "SECRET_NAMES", "Secret", "Settings", "known_secrets"]

T = TypeVar("T")
D = TypeVar("D")

SECRET_NAMES = ("E2B_API_KEY", "MYSQL_PASSWORD", "SUPABASE_SERVICE_ROLE_KEY")
ENVIRONMENT_NAMES = (
    *SECRET_NAMES,
    "E2B_API_URL",
    "E2B_CLEANUP_ALLOWED",
    "E2B_DEBUG",
    "E2B_DOMAIN",
    "E2B_LIVE_TESTS",
    "E2B_REQUIRED",
    "E2B_SANDBOX_URL",
    "E2B_TIMEOUT",
    "OSIRIS_TEST_DISABLE_PREFLIGHT",
)

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off", ""})
CERTIFICATE_NAMES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
MAX_TIMEOUT_S = 24 * 3600  # E2B's longest life of a sandbox on its pro plan.


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run was told by its surroundings.

    Attributes:
        root: the project folder, absolute; runs write below `root/testing_env` only.
        e2b_api_key: the key of the real service, or None.
        live_tests: whether `E2B_LIVE_TESTS` asks for live tests.
        required: whether `E2B_REQUIRED` turns "not run" into a failure.
        sandbox_timeout_s: how long a sandbox may live, `E2B_TIMEOUT`, 1 to 86400 seconds.
        disable_preflight: whether Osiris's preflight validation is skipped.
        mysql_password: for database connection tests, or None.
        supabase_service_role_key: for Supabase tests, or None.
        e2b_api_url: where the SDK finds the API, `E2B_API_URL`; None for the domain's own.
        e2b_sandbox_url: where the SDK finds sandboxes, `E2B_SANDBOX_URL`; None likewise.
        e2b_domain: the service's domain, `E2B_DOMAIN`; None for the SDK's own default.
        e2b_debug: `E2B_DEBUG` is on: the SDK then acknowledges a kill without sending it.
        cleanup_allowed: fingerprints of the keys whose sandboxes a sweep may end,
            `E2B_CLEANUP_ALLOWED`, besides those in `testing_env/cleanup-allowed`.
        certificates: the variables that name this machine's own certificates, for
            programs that reach the real service from an otherwise empty environment.
        other_secrets: what else the surroundings hold that must not get out, by name.
        step_summary: the file that GitHub shows as a job's summary, or None.
    """

    root: Path
    e2b_api_key: Secret | None = None
    live_tests: bool = False
    required: bool = False
    sandbox_timeout_s: int = 300
    disable_preflight: bool = True
    mysql_password: Secret | None = None
    supabase_service_role_key: Secret | None = None
    e2b_api_url: str | None = None
    e2b_sandbox_url: str | None = None
    e2b_domain: str | None = None
    e2b_debug: bool = False
    cleanup_allowed: tuple[str, ...] = ()
    certificates: Mapping[str, str] = field(default_factory=dict, hash=False)
    other_secrets: tuple[Secret, ...] = ()
    step_summary: Path | None = None

    @classmethod
    def load(
        cls, *, root: Path | None = None, environ: Mapping[str, str] | None = None
    ) -> Settings:
        """The settings of this process.

        Args:
            root: the project folder; the working directory where it is left out.
            environ: stands in for the process environment.

        Raises:
            UsageError: if a value does not fit; every bad value is named at once.
        """
        root = (root or Path.cwd()).resolve()
        values = _merged(root, os.environ if environ is None else environ)
        problems: list[str] = []

        def read(name: str, parse: Callable[[str], T], default: D) -> T | D:
            text = values.get(name)
            if text is None or text == "":
                return default
            try:
                return parse(text)
            except ValueError as error:
                problems.append(f"{name}={text!r}: {error}")
                return default

        def secret(name: str) -> Secret | None:
            text = values.get(name)
            return Secret(name, text) if text else None

        settings = cls(
            root=root,
            e2b_api_key=secret("E2B_API_KEY"),
            live_tests=read("E2B_LIVE_TESTS", _boolean, False),
            required=read("E2B_REQUIRED", _boolean, False),
            sandbox_timeout_s=read("E2B_TIMEOUT", _timeout_s, 300),
            disable_preflight=read("OSIRIS_TEST_DISABLE_PREFLIGHT", _boolean, True),
            mysql_password=secret("MYSQL_PASSWORD"),
            supabase_service_role_key=secret("SUPABASE_SERVICE_ROLE_KEY"),
            certificates={name: values[name] for name in CERTIFICATE_NAMES if values.get(name)},
            e2b_api_url=values.get("E2B_API_URL") or None,
            e2b_sandbox_url=values.get("E2B_SANDBOX_URL") or None,
            e2b_domain=values.get("E2B_DOMAIN") or None,
            e2b_debug=read("E2B_DEBUG", _boolean, False),
            cleanup_allowed=tuple(values.get("E2B_CLEANUP_ALLOWED", "").replace(",", " ").split()),
            other_secrets=tuple(s for s in secrets_of(values) if s.name not in SECRET_NAMES),
            step_summary=read("GITHUB_STEP_SUMMARY", Path, None),
        )
        if problems:
            raise UsageError(
                "bad setting: " + "; ".join(problems),
                expected="the values that testing_env/.env.example describes",
                next_step="correct the environment or testing_env/.env, then run again",
            )
        return settings

    @property
    def testing_env(self) -> Path:
        """The one folder that runs write to."""
        return self.root / "testing_env"

    @property
    def reports(self) -> Path:
        """Where each session puts its junit.xml and verdict.json."""
        return self.testing_env / "reports"

    def secrets(self) -> tuple[Secret, ...]:
        """Every secret that is set: the three by name, then the others."""
        own = (self.e2b_api_key, self.mysql_password, self.supabase_service_role_key)
        return (*(secret for secret in own if secret is not None), *self.other_secrets)

    def why_not_live(self) -> str | None:
        """Why live tests cannot run, in the words that users know; None where they can."""
        if self.e2b_api_key is None:
            return (
                "E2B_API_KEY not set: export E2B_API_KEY or add it to testing_env/.env "
                "(in CI: add the repository secret E2B_API_KEY)"
            )
        if not self.live_tests:
            return "E2B_LIVE_TESTS not enabled: set E2B_LIVE_TESTS=1 for live tests"
        return None


def known_secrets(
    *, root: Path | None = None, environ: Mapping[str, str] | None = None
) -> tuple[Secret, ...]:
    """Every secret of this process, without a look at the other settings.

    For what writes: it must redact also where a bad setting ends the run.

    Args:
        root: the project folder; the working directory where it is left out.
        environ: stands in for the process environment.
    """
    root = (root or Path.cwd()).resolve()
    return secrets_of(_merged(root, os.environ if environ is None else environ))


def _merged(root: Path, environ: Mapping[str, str]) -> dict[str, str]:
    merged: dict[str, str] = {}
    for path in (root / ".env", root / "testing_env" / ".env"):
        if path.is_file():
            merged.update({k: v for k, v in dotenv_values(path).items() if v is not None})
    merged.update(environ)
    return merged


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("expected 1 or 0 (also true/false, yes/no, on/off)")


def _timeout_s(text: str) -> int:
    expected = f"expected a whole number of seconds from 1 to {MAX_TIMEOUT_S}"
    try:
        seconds = int(text.strip())
    except ValueError:
        raise ValueError(expected) from None
    if not 1 <= seconds <= MAX_TIMEOUT_S:
        raise ValueError(expected)
    return seconds
