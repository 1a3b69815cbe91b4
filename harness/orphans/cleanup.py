"""Cleaning up from Python: one function."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from harness.errors import UsageError
from harness.orphans.keys import require_allowed
from harness.orphans.ledger import LedgerView, read_ledgers
from harness.orphans.policy import Rules
from harness.orphans.sweep import Limits, Sweeper
from harness.ports import AccountView, SandboxDirectory
from harness.sdk import ApiEndpoint, ApiSandboxDirectory
from harness.settings import Settings

__all__ = ["GATEWAY_STATE", "cleanup_orphaned_sandboxes", "ledger_of", "sandbox_directory"]

GATEWAY_STATE = "gateway"  # below testing_env; where the gateways keep their ledgers


def cleanup_orphaned_sandboxes(
    client: Any = None,
    max_age_hours: float = 2,
    dry_run: bool = False,  # noqa: FBT001, FBT002 - the signature that users know
    *,
    max_kill: int = 100,
) -> list[str]:
    """Ends the sandboxes that are proven ours and that nobody needs any more.

    A sandbox is ours when it carries the ownership tags that the emulator and the gateway
    write. It goes when it is older than `max_age_hours`, when its own time is over, or
    when its owner on this machine is gone; never when somebody renewed it. Sandboxes that
    are merely old and not ours are left alone: `harness orphans sweep --include-foreign`.

    Args:
        client: whose sandboxes: `e2b.Sandbox` (or another of the SDK's classes, or one of
            its sandboxes), an `e2b.E2B` client, anything with `list()` and `kill(id)`, or
            a `SandboxDirectory`. None, and Osiris's own `E2BClient` (which cannot list),
            mean the account of E2B_API_KEY.
        max_age_hours: what is ours and older than this is due.
        dry_run: end nothing.
        max_kill: refuse to end more than this.

    Returns:
        The ids of the sandboxes that were ended, or would be, newest first.

    Raises:
        UsageError: if an argument does not fit, E2B_DEBUG is on, or the key of a service
            that is not on this machine is not on the list of `harness orphans allow`.
        NotRunError: if there is neither a client nor a key.
        LeakError: if something that was due is still alive, or more is due than allowed.
        HarnessError: if the service refuses or does not answer.
    """
    if not max_age_hours >= 0:
        raise UsageError(
            f"max_age_hours={max_age_hours!r}",
            expected="a number of hours, 0 or more",
            next_step="pass for instance max_age_hours=2",
        )
    settings = Settings.load()
    with sandbox_directory(client, settings) as directory:
        if not dry_run and isinstance(directory, ApiSandboxDirectory):
            require_allowed(directory.endpoint, settings)
        sweeper = Sweeper(
            directory,
            rules=Rules(max_age=timedelta(hours=max_age_hours)),
            limits=Limits(max_kill=max_kill),
            ledger=ledger_of(settings),
        )
        report = sweeper.sweep(force=not dry_run)
    report.raise_if_left()
    return list(report.orphans)


@contextlib.contextmanager
def sandbox_directory(client: Any, settings: Settings) -> Iterator[SandboxDirectory]:
    """The sandboxes that a client speaks of; those of the settings where there is none.

    Raises:
        UsageError: if the client is none that can list and kill.
        NotRunError: if there is neither a client nor a key.
    """
    if client is None or _is_osiris_live_client(client):
        with ApiSandboxDirectory(ApiEndpoint.from_settings(settings)) as directory:
            yield directory
        return
    if isinstance(client, AccountView) or _is_directory(client):
        yield client
        return
    from harness.sdk.client import ClientSandboxDirectory, endpoint_of_client  # noqa: PLC0415 - 1 s

    endpoint = endpoint_of_client(client)
    if endpoint is None:
        yield ClientSandboxDirectory(client)
        return
    with ApiSandboxDirectory(endpoint) as directory:
        yield directory


def ledger_of(settings: Settings) -> LedgerView:
    """What the gateways of this project wrote.

    Raises:
        BrokenError: if a ledger cannot be read.
    """
    return read_ledgers(settings.testing_env / GATEWAY_STATE)


def _is_osiris_live_client(client: Any) -> bool:
    """Whether it is Osiris's E2BClient on its live transport, which takes E2B_API_KEY itself.

    Source: osiris-pipeline 0.5.7 osiris/remote/e2b_client.py (E2BLiveTransport).
    """
    transport = getattr(client, "transport", None)
    return type(transport).__name__ == "E2BLiveTransport" and not hasattr(client, "list")


def _is_directory(client: Any) -> bool:
    return not isinstance(client, type) and all(
        callable(getattr(client, name, None)) for name in ("list", "get", "kill")
    )
