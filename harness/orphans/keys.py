"""Which accounts a sweep may end sandboxes of: those whose key somebody put on a list.

A wrong key in the environment must not be enough to empty somebody's account. The list
holds fingerprints, which say nothing about the keys. An emulator of this machine has
no account that anybody could lose; a gateway counts as what stands behind it.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from harness.errors import BrokenError, UsageError
from harness.sdk import ApiEndpoint
from harness.sdk.gateways import service_behind
from harness.settings import Settings

__all__ = ["ALLOWED_FILE", "allow_key", "key_fingerprint", "require_allowed"]

ALLOWED_FILE = "cleanup-allowed"  # below testing_env
_DIGITS = 16


def key_fingerprint(endpoint: ApiEndpoint) -> str:
    """Names the key of an endpoint without telling anything about it."""
    key = hashlib.sha256(endpoint.api_key.reveal().encode()).digest()
    return hmac.new(key, b"harness key fingerprint", hashlib.sha256).hexdigest()[:_DIGITS]


def require_allowed(endpoint: ApiEndpoint, settings: Settings) -> None:
    """Goes on only where sandboxes of this account may be ended.

    Raises:
        UsageError: if the key's fingerprint is not on the list.
        BrokenError: if the list is there and cannot be read.
    """
    service = service_behind(endpoint)
    if service.is_loopback:
        return
    fingerprint = key_fingerprint(service)
    if fingerprint in {*settings.cleanup_allowed, *_listed(settings)}:
        return
    raise UsageError(
        f"the key {fingerprint} at {service.host} is not on the list of keys whose "
        "sandboxes may be ended",
        expected=f"its fingerprint in E2B_CLEANUP_ALLOWED or testing_env/{ALLOWED_FILE}",
        next_step="look at `harness orphans list`, then run `harness orphans allow` once "
        f"(in CI: set E2B_CLEANUP_ALLOWED={fingerprint})",
    )


def allow_key(endpoint: ApiEndpoint, settings: Settings) -> str:
    """Puts the key's fingerprint on this project's list; the fingerprint.

    Raises:
        BrokenError: if the list cannot be read or written.
    """
    service = service_behind(endpoint)
    fingerprint = key_fingerprint(service)
    if fingerprint not in _listed(settings):
        path = _path(settings)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{fingerprint}  # {service.host}\n")
        except OSError as error:
            raise _unusable(path, error) from error
    return fingerprint


def _listed(settings: Settings) -> frozenset[str]:
    path = _path(settings)
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, error) from error
    return frozenset(line.partition("#")[0].strip() for line in lines) - {""}


def _path(settings: Settings) -> Path:
    return settings.testing_env / ALLOWED_FILE


def _unusable(path: Path, error: Exception) -> BrokenError:
    return BrokenError(
        f"the list of allowed keys {path} cannot be used: {error}",
        expected="a text file with one fingerprint a line",
        next_step="correct its permissions, or set E2B_CLEANUP_ALLOWED instead",
    )
