"""Where E2B's API is, and the key for it, as the SDK would find them.

Source: e2b 2.63.0 e2b/connection_config.py (`E2B_API_URL`, else `https://api.<E2B_DOMAIN>`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from harness.errors import NotRunError, UsageError
from harness.settings import Secret, Settings

__all__ = ["DEFAULT_DOMAIN", "ApiEndpoint"]

DEFAULT_DOMAIN = "e2b.app"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiEndpoint:
    """One E2B account at one service.

    Attributes:
        api_url: base URL of the API, without a slash at the end.
        api_key: the account's key.
        sandbox_url: where sandboxes are reached; None for the service's own host names.
        domain: the service's domain, for clients that build host names from it.
    """

    api_url: str
    api_key: Secret
    sandbox_url: str | None = None
    domain: str | None = None

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> ApiEndpoint:
        """The endpoint that a client with these variables would speak to.

        Raises:
            NotRunError: if there is no key.
            UsageError: if the URL is none, or `E2B_DEBUG` is on.
        """
        debug = env.get("E2B_DEBUG", "").strip().lower() in {"1", "true", "yes", "on"}
        return _endpoint(
            api_url=env.get("E2B_API_URL"),
            key=env.get("E2B_API_KEY"),
            sandbox_url=env.get("E2B_SANDBOX_URL"),
            domain=env.get("E2B_DOMAIN"),
            debug=debug,
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> ApiEndpoint:
        """The endpoint that the settings describe.

        Raises:
            NotRunError: if there is no key.
            UsageError: if the URL is none, or `E2B_DEBUG` is on.
        """
        key = settings.e2b_api_key
        return _endpoint(
            api_url=settings.e2b_api_url,
            key=key.reveal() if key else None,
            sandbox_url=settings.e2b_sandbox_url,
            domain=settings.e2b_domain,
            debug=settings.e2b_debug,
        )

    @property
    def host(self) -> str:
        """Host and port, for messages."""
        return urlsplit(self.api_url).netloc

    @property
    def is_loopback(self) -> bool:
        """Whether the API is on this machine: an emulator or a gateway."""
        return urlsplit(self.api_url).hostname in _LOOPBACK

    def to_env(self) -> dict[str, str]:
        """The variables that point a client here; they hold the key."""
        env = {"E2B_API_URL": self.api_url, "E2B_API_KEY": self.api_key.reveal()}
        if self.sandbox_url:
            env["E2B_SANDBOX_URL"] = self.sandbox_url
        if self.domain:
            env["E2B_DOMAIN"] = self.domain
        return env


def _endpoint(
    *,
    api_url: str | None,
    key: str | None,
    sandbox_url: str | None,
    domain: str | None,
    debug: bool,
) -> ApiEndpoint:
    if debug:
        raise UsageError(
            "E2B_DEBUG is on: the SDK then acknowledges a kill without sending it",
            expected="E2B_DEBUG unset or false wherever sandboxes are counted or ended",
            next_step="unset E2B_DEBUG, then run again",
        )
    if not key:
        raise NotRunError(
            "E2B_API_KEY not set",
            expected="the key of the E2B team whose sandboxes are meant",
            next_step="export E2B_API_KEY or add it to testing_env/.env "
            "(in CI: add the repository secret E2B_API_KEY)",
        )
    url = (api_url or f"https://api.{domain or DEFAULT_DOMAIN}").rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(
            f"E2B_API_URL={api_url!r} is no URL",
            expected="http(s)://host[:port]",
            next_step="correct or unset E2B_API_URL, then run again",
        )
    return ApiEndpoint(
        api_url=url,
        api_key=Secret("E2B_API_KEY", key),
        sandbox_url=sandbox_url or None,
        domain=domain or None,
    )
