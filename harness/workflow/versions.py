"""The same contract over many versions of E2B's SDKs, each against an emulator of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from harness.clock import Clock, SystemClock
from harness.emulator.attach import Emulator
from harness.model.outcome import Outcome
from harness.model.verdict import Check, Verdict
from harness.reports.session import write_session
from harness.settings import Settings
from harness.workflow.shown_routes import served_routes
from harness.workflow.versions_clients import run_contract
from harness.workflow.versions_matrix import Client, Language

__all__ = ["Row", "run_versions"]

SESSION = "versions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How a client fared.

    Attributes:
        client: which.
        installed: the version that was really there.
        checks: one a test.
        routes: what it asked for and was served, method and pattern.
    """

    client: Client
    installed: str
    checks: tuple[Check, ...]
    routes: tuple[str, ...] = ()

    def count(self, outcome: Outcome) -> int:
        """How many of its tests came out so."""
        return sum(check.outcome is outcome for check in self.checks)


def run_versions(
    clients: Sequence[Client],
    settings: Settings,
    *,
    say: Callable[[str], None],
    clock: Clock | None = None,
) -> tuple[Verdict, tuple[Row, ...]]:
    """Runs the contract with each client and writes the session's report.

    An interruption ends it with the rows that are whole; the report says so.

    Raises:
        UsageError: if a version does not exist, or the contract is not in this project.
        BrokenError: if the emulator does not start.
    """
    clock = clock or SystemClock()
    started_at, started_s = clock.now(), clock.monotonic_s()
    rows: list[Row] = []
    interrupted = False
    for client in clients:
        say(f"{client.name} …")
        try:
            rows.append(_row(client, settings))
        except KeyboardInterrupt:
            interrupted = True
            break
    verdict = Verdict(
        session=SESSION,
        endpoint="emulator",
        started_at=started_at,
        duration_s=clock.monotonic_s() - started_s,
        checks=tuple(
            replace(check, name=f"{row.client.name}::{check.name}")
            for row in rows
            for check in row.checks
        ),
        interrupted=interrupted,
        details={row.client.name: row.installed for row in rows},
    )
    write_session(settings.reports, verdict)
    return verdict, tuple(rows)


def _row(client: Client, settings: Settings) -> Row:
    with _emulator(client, settings) as emulator:
        ran = run_contract(client, settings, emulator)
        routes = served_routes(emulator.ledger())
    return Row(client=client, installed=ran.installed, checks=ran.checks, routes=routes)


def _emulator(client: Client, settings: Settings) -> Emulator:
    if client.language is not Language.INTERPRETER:
        return Emulator("--proxy")
    templates = settings.testing_env / "templates"
    return Emulator("--proxy", "--interpreter", template_dir=templates)
