"""`harness orphans …`: what runs on that nobody needs, and ending it."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import Abort

from harness.cli.sweep_tables import print_listing, print_sweep
from harness.cli.verdicts import print_verdicts
from harness.clock import SystemClock
from harness.errors import HarnessError, LeakError, UsageError
from harness.model.outcome import Outcome
from harness.model.verdict import Check, Verdict
from harness.orphans import (
    ForeignFilter,
    Limits,
    Reason,
    Rules,
    Sweeper,
    SweepReport,
    allow_key,
    ledger_of,
    require_allowed,
)
from harness.reports.junit import junit_of
from harness.sdk import ApiEndpoint, ApiSandboxDirectory
from harness.settings import Settings
from harness.workflow.orphans import checks_of_sweep, run_orphans
from harness.workflow.smoke import exit_code

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)

_AGE = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "": 3600, "d": 86400}

Live = Annotated[
    bool, typer.Option("--live", help="Insist on the real service: E2B_API_URL must not be local.")
]
EndpointEnv = Annotated[
    bool,
    typer.Option("--endpoint-env", help="Insist on the endpoint that E2B_API_URL names."),
]
MaxAge = Annotated[float, typer.Option(min=0, help="Ours and older than this is due.")]
Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]
JUnit = Annotated[Path | None, typer.Option(help="Write the report as JUnit XML to this file too.")]


@app.callback()
def _noun() -> None:
    """Does it leave sandboxes running?"""


@app.command(name="list")
def list_command(
    *,
    max_age_hours: MaxAge = 2,
    live: Live = False,
    endpoint_env: EndpointEnv = False,
    as_json: Json = False,
    junit: JUnit = None,
) -> None:
    """Lists every sandbox of the account with what a sweep would do, and why."""
    settings = Settings.load()
    endpoint = _endpoint(settings, live=live, endpoint_env=endpoint_env)
    with ApiSandboxDirectory(endpoint) as directory, _reported(junit, endpoint):
        rules = Rules(max_age=timedelta(hours=max_age_hours))
        report = Sweeper(directory, rules=rules, ledger=ledger_of(settings)).judge()
    _print(report, as_json=as_json, whole=True)
    _write_junit(checks_of_sweep(report), junit, endpoint)
    raise typer.Exit(report.exit_code)


@app.command()
def sweep(
    *,
    force: Annotated[
        bool, typer.Option("--force", help="End what is due; without it nothing is ended.")
    ] = False,
    max_age_hours: MaxAge = 2,
    include_foreign: Annotated[
        bool,
        typer.Option("--include-foreign", help="Sandboxes that are not ours too; needs a filter."),
    ] = False,
    older_than: Annotated[
        str | None, typer.Option(help="Foreign: at least this old, such as 90m, 24h, 3d.")
    ] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(help="Foreign: carries name=value; repeatable.")
    ] = None,
    template: Annotated[
        str | None, typer.Option(help="Foreign: made from this template (id or name).")
    ] = None,
    include_paused: Annotated[
        bool,
        typer.Option("--include-paused", help="Foreign: paused ones too; snapshots are lost."),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask before ending what is not ours.")
    ] = False,
    max_kill: Annotated[int, typer.Option(min=0, help="Never end more than this.")] = 100,
    max_share: Annotated[
        float, typer.Option(min=0, max=1, help="Nor more than this part of 20 and more.")
    ] = 0.8,
    concurrency: Annotated[
        int, typer.Option(min=1, max=100, help="How many requests are under way at once.")
    ] = 10,
    live: Live = False,
    endpoint_env: EndpointEnv = False,
    as_json: Json = False,
    junit: JUnit = None,
) -> None:
    """Ends our orphaned sandboxes with --force; without it, says what it would end."""
    settings = Settings.load()
    foreign = _foreign(
        include_foreign=include_foreign,
        older_than=older_than,
        metadata=metadata or [],
        template=template,
        include_paused=include_paused,
    )
    endpoint = _endpoint(settings, live=live, endpoint_env=endpoint_env)
    with ApiSandboxDirectory(endpoint) as directory, _reported(junit, endpoint):
        if force:
            require_allowed(endpoint, settings)
        sweeper = Sweeper(
            directory,
            rules=Rules(max_age=timedelta(hours=max_age_hours), foreign=foreign),
            limits=Limits(max_kill=max_kill, max_share=max_share, concurrency=concurrency),
            ledger=ledger_of(settings),
        )
        report = sweeper.judge()
        if force:
            _confirm_foreign(report, yes=yes)
            report = sweeper.end(report)
    _print(report, as_json=as_json, whole=False)
    _write_junit(checks_of_sweep(report), junit, endpoint)
    if report.dry_run and report.orphans and not as_json:
        sys.stderr.write("dry run: nothing was ended; add --force to end them\n")
    if not report.interrupted:
        report.raise_if_left()
    raise typer.Exit(report.exit_code)


@app.command()
def allow(*, as_json: Json = False) -> None:
    """Allows sweeps to end sandboxes of the account of E2B_API_KEY; asked for once."""
    settings = Settings.load()
    endpoint = _endpoint(settings, live=False, endpoint_env=False)
    fingerprint = allow_key(endpoint, settings)
    if as_json:
        json.dump({"fingerprint": fingerprint, "api_url": endpoint.api_url}, sys.stdout)
        sys.stdout.write("\n")
    else:
        sys.stdout.write(f"{fingerprint}  # {endpoint.host}\n")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run(
    context: typer.Context,
    *,
    live: Annotated[
        bool, typer.Option("--live", help="Judge the account's own listing too.")
    ] = False,
    require: Annotated[
        bool, typer.Option("--e2b-require", help="A live part that cannot run is a failure.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdicts as JSON.")] = False,
) -> None:
    """Proves the sweep in an emulator and runs its tests; other arguments go on to pytest."""
    settings = Settings.load()
    wants_live = live or settings.live_tests
    if live:
        settings = replace(settings, live_tests=True)
    verdicts = run_orphans(settings, live=wants_live, require=require, arguments=context.args)
    print_verdicts(verdicts, settings, as_json=as_json)
    if not wants_live:
        sys.stderr.write("live part: not asked for (add `--live`, or set E2B_LIVE_TESTS=1)\n")
    raise typer.Exit(exit_code(verdicts))


def _endpoint(settings: Settings, *, live: bool, endpoint_env: bool) -> ApiEndpoint:
    endpoint = ApiEndpoint.from_settings(settings)
    if live and endpoint.is_loopback:
        raise UsageError(
            f"--live, but E2B_API_URL points to this machine: {endpoint.api_url}",
            expected="the real service",
            next_step="unset E2B_API_URL, or leave --live out",
        )
    if endpoint_env and settings.e2b_api_url is None:
        raise UsageError(
            "--endpoint-env, but E2B_API_URL is not set",
            expected="the variables that `harness emulator serve` prints",
            next_step="export them, then run again",
        )
    sys.stderr.write(f"far end: {endpoint.api_url}\n")
    return endpoint


def _foreign(
    *,
    include_foreign: bool,
    older_than: str | None,
    metadata: list[str],
    template: str | None,
    include_paused: bool,
) -> ForeignFilter | None:
    if template is not None and not template.strip():
        raise UsageError(
            "--template is empty",
            expected="the id or name of a template",
            next_step="look for it with `harness orphans list --json`",
        )
    named = older_than is not None or bool(metadata) or template is not None
    if include_foreign != named or (include_paused and not include_foreign):
        raise UsageError(
            "--include-foreign without a filter"
            if include_foreign
            else "a filter for foreign sandboxes without --include-foreign",
            expected="--include-foreign together with --older-than, --metadata or --template",
            next_step="for instance: harness orphans sweep --include-foreign --older-than 24h",
        )
    if not include_foreign:
        return None
    return ForeignFilter(
        older_than=None if older_than is None else _duration(older_than),
        metadata=dict(_pair(text) for text in metadata),
        template=template,
        include_paused=include_paused,
    )


def _duration(text: str) -> timedelta:
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"--older-than {text!r}",
            expected="a number with s, m, h or d; hours where there is no letter",
            next_step="for instance --older-than 24h",
        )
    return timedelta(seconds=float(match[1]) * _UNIT_S[match[2]])


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        # A dropped pair would widen the match, so nothing is dropped.
        raise UsageError(
            f"--metadata {text!r}",
            expected="name=value",
            next_step="repeat --metadata for each pair, and quote what the shell would split",
        )
    return name, value


def _confirm_foreign(report: SweepReport, *, yes: bool) -> None:
    count = sum(one.decision.reason is Reason.SELECTED for one in report.endings)
    if not count or yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            f"{count} sandboxes that are not ours would be ended, and nobody is here to ask",
            expected="--yes where no person answers",
            next_step="run it without --force, look at the list, then add --yes",
        )
    print_sweep(report)
    answer = typer.prompt(
        f"{count} sandboxes that are NOT OURS will be ended. Type {count} to go on"
    )
    if answer.strip() != str(count):
        raise UsageError(
            f"the answer was {answer!r}; nothing was ended",
            expected=f"the number {count}",
            next_step="run it without --force and look at the list",
        )


def _print(report: SweepReport, *, as_json: bool, whole: bool) -> None:
    if as_json:
        json.dump(report.to_json(), sys.stdout, indent=2)
        sys.stdout.write("\n")
    elif whole:
        print_listing(report)
    else:
        print_sweep(report)


@contextlib.contextmanager
def _reported(junit: Path | None, endpoint: ApiEndpoint) -> Iterator[None]:
    """Whatever stops a sweep stands in the JUnit report, too: a missing file looks like no run."""
    try:
        yield
    except HarnessError as error:
        outcome = Outcome.FAILED if isinstance(error, LeakError) else Outcome.BROKEN
        check = Check(name="sweep", outcome=outcome, reason=" | ".join(error.lines()))
        _write_junit((check,), junit, endpoint)
        raise
    except (KeyboardInterrupt, Abort):
        reason = "interrupted before anything was ended"
        check = Check(name="sweep", outcome=Outcome.BROKEN, reason=reason)
        _write_junit((check,), junit, endpoint)
        raise


def _write_junit(checks: tuple[Check, ...], path: Path | None, endpoint: ApiEndpoint) -> None:
    if path is None:
        return
    verdict = Verdict(
        session="orphans-sweep",
        endpoint="emulator" if endpoint.is_loopback else "live",
        started_at=SystemClock().now(),
        duration_s=0.0,
        checks=checks,
    )
    try:
        path.write_bytes(junit_of(verdict))
    except OSError as error:
        raise UsageError(
            f"--junit {path}: {error}",
            expected="a file that can be written",
            next_step="choose another path",
        ) from error
