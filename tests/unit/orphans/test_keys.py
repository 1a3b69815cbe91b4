"""The list of keys whose sandboxes a sweep may end."""

from __future__ import annotations

from pathlib import Path

import pytest
from e2b_stand_in import serve

from harness.errors import BrokenError, UsageError
from harness.gateway import Gateway
from harness.orphans import (
    allow_key,
    cleanup_orphaned_sandboxes,
    key_fingerprint,
    require_allowed,
)
from harness.sdk import ApiEndpoint
from harness.settings import Settings

KEY = "e2b_" + "1" * 40
REMOTE = ApiEndpoint.from_env({"E2B_API_KEY": KEY, "E2B_API_URL": "https://api.example.org"})


def settings(root: Path, **environ: str) -> Settings:
    return Settings.load(root=root, environ=environ)


def test_unlisted_key_of_a_remote_service_is_refused_with_its_fingerprint(tmp_path: Path) -> None:
    """The message says what to run, and never shows the key."""
    with pytest.raises(UsageError) as refused:
        require_allowed(REMOTE, settings(tmp_path))
    said = "\n".join(refused.value.lines())
    assert key_fingerprint(REMOTE) in said
    assert "harness orphans allow" in said
    assert KEY not in said


def test_listed_key_is_allowed_and_only_that_one(tmp_path: Path) -> None:
    """Allowing twice writes once; another key is still refused."""
    here = settings(tmp_path)
    assert allow_key(REMOTE, here) == allow_key(REMOTE, here) == key_fingerprint(REMOTE)
    text = (tmp_path / "testing_env" / "cleanup-allowed").read_text()
    assert text == f"{key_fingerprint(REMOTE)}  # api.example.org\n"
    require_allowed(REMOTE, here)
    other = ApiEndpoint.from_env({"E2B_API_KEY": KEY + "2", "E2B_API_URL": REMOTE.api_url})
    with pytest.raises(UsageError):
        require_allowed(other, here)


def test_variable_allows_as_well(tmp_path: Path) -> None:
    """A CI job needs no file; several are told apart by commas or blanks."""
    listed = settings(tmp_path, E2B_CLEANUP_ALLOWED=f"0123,{key_fingerprint(REMOTE)} 45")
    require_allowed(REMOTE, listed)


def test_list_that_cannot_be_read_stops(tmp_path: Path) -> None:
    """Unreadable is not empty, and certainly not everything."""
    (tmp_path / "testing_env" / "cleanup-allowed").mkdir(parents=True)
    with pytest.raises(BrokenError, match="cleanup-allowed"):
        require_allowed(REMOTE, settings(tmp_path))


def test_service_of_this_machine_is_exempt_but_a_gateway_counts_as_what_is_behind_it(
    tmp_path: Path,
) -> None:
    """An emulator has nothing to lose; a gateway on loopback may stand before production."""
    with serve() as service:
        local = ApiEndpoint.from_env({"E2B_API_KEY": KEY, "E2B_API_URL": service.url})
        require_allowed(local, settings(tmp_path))
    with Gateway(upstream=REMOTE.api_url, key=KEY, state_dir=tmp_path / "state") as gateway:
        through = ApiEndpoint.from_env(gateway.endpoint.env)
        with pytest.raises(UsageError, match=r"api\.example\.org"):
            require_allowed(through, settings(tmp_path))


def test_cleanup_from_python_asks_the_list_before_anything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request leaves this machine: the name does not even resolve."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("E2B_API_KEY", KEY)
    monkeypatch.setenv("E2B_API_URL", "https://service.invalid")
    with pytest.raises(UsageError, match="not on the list"):
        cleanup_orphaned_sandboxes()
