"""What is done with verdicts of parity: shards merged, differences shown and accepted."""

from __future__ import annotations

import json
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.invocation import command_line
from harness.cli.parity_display import print_difference, print_parity
from harness.errors import UsageError
from harness.settings import Settings
from harness.workflow.parity_accept import (
    accept_difference,
    accept_known,
    find_difference,
    last_verdict,
)
from harness.workflow.parity_merge import merge_shards

__all__ = ["accept", "merge", "print_json", "show"]


def merge(
    verdicts: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH ...]", help="verdict.json of each shard, or their folders."),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Show accepted ones and noise, too.")
    ] = False,
) -> None:
    """Puts the verdicts of all shards together into the one of the whole run."""
    settings = Settings.load()
    verdict = merge_shards(settings, verdicts or ())
    if as_json:
        print_json(verdict.to_json())
    else:
        print_parity(verdict, settings, verbose=verbose)
    raise typer.Exit(verdict.exit_code)


def show(
    identity: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A difference; its first characters do.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Show accepted ones and noise, too.")
    ] = False,
) -> None:
    """Shows the last verdict again, or one of its differences whole."""
    settings = Settings.load()
    verdict = last_verdict(settings)
    if identity is None:
        if as_json:
            print_json(verdict.to_json())
        else:
            print_parity(verdict, settings, verbose=verbose)
        return
    found, everything = find_difference(verdict, identity)
    if as_json:
        print_json(found)
    else:
        print_difference(found, everything)


def accept(
    identity: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A difference of the last verdict.")
    ] = None,
    *,
    reason: Annotated[
        str | None, typer.Option(help="Why it is accepted, for who reads it in a year.")
    ] = None,
    known: Annotated[
        bool, typer.Option("--known", help="Accept all whose cause is known, for that reason.")
    ] = False,
    link: Annotated[str, typer.Option(help="Where the cause is written down.")] = "",
    expires: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The last day on which it holds; else 90 days."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Accepts differences of the last verdict: appends entries to its file of allowances."""
    settings = Settings.load()
    day: date | None = expires.date() if expires else None
    if known == (identity is not None) or (known and (reason or link)):
        raise UsageError(
            "not one way to say what is accepted, and why",
            expected="an ID with its --reason, or --known alone",
            next_step='harness parity accept ID --reason "…", or harness parity accept --known',
        )
    if identity is None:
        everything = accept_known(settings, expires=day)
    else:
        words = reason or ""
        everything = (accept_difference(settings, identity, reason=words, link=link, expires=day),)
    entries = [accepted.entry for accepted in everything]
    file = str(everything[0].file)
    if as_json:
        print_json(
            {"file": file, "entries" if known else "entry": entries if known else entries[0]}
        )
        return
    sys.stdout.write("\n".join(entries) + f"\nappended to {file}\n")
    again = last_verdict(settings).details.get("again") or command_line("parity", "run")
    sys.stdout.write(f"next: {again}\n")


def print_json(document: object) -> None:
    """Prints a document to standard output, as every `--json` does."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
