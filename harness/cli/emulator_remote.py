"""`harness emulator ledger, fault, advance, …`: asks an emulator that runs, from a terminal.

Which one is said by the variables that `harness emulator serve` prints.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.emulator.admin.client import AdminClient

__all__ = ["add_commands"]

Url = Annotated[
    str, typer.Option(envvar="HARNESS_ADMIN_URL", help="The admin interface.", show_envvar=True)
]
Token = Annotated[
    str, typer.Option(envvar="HARNESS_ADMIN_TOKEN", help="What it asks for.", show_envvar=True)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]


def add_commands(app: typer.Typer) -> None:
    """Adds the verbs to the application of the noun `emulator`."""
    for name, verb in (
        ("ledger", ledger),
        ("sandboxes", sandboxes),
        ("fault", fault),
        ("faults", faults),
        ("advance", advance),
        ("reset", reset),
        ("after-image", after_image),
    ):
        app.command(name)(verb)


def ledger(
    *,
    notes: Annotated[
        bool, typer.Option("--notes", help="Only requests that were not understood.")
    ] = False,
    as_json: Json = False,
    url: Url = "",
    token: Token = "",
) -> None:
    """Prints every request since the last reset, in order."""
    entries = _client(url, token).ledger()
    _print(
        [entry for entry in entries if entry["notes"] or not notes],
        as_json=as_json,
        columns=("n", "time", "method", "path", "status", "ms", "sandbox_id", "fault"),
        more="notes",
    )


def sandboxes(*, as_json: Json = False, url: Url = "", token: Token = "") -> None:
    """Prints every sandbox since the last reset, those that ended included."""
    rows = _client(url, token).sandboxes()
    columns = ("sandbox_id", "template", "state", "started_at", "end_at", "end_reason")
    _print(rows, as_json=as_json, columns=columns)


def fault(
    route: Annotated[str, typer.Argument(help="'POST /v2/sandboxes', '* /files', '*'.")],
    *,
    status: Annotated[int | None, typer.Option(help="Answer so instead of serving.")] = None,
    message: Annotated[str | None, typer.Option(help="The message of that answer.")] = None,
    header: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, a header of that answer; repeatable.")
    ] = None,
    delay: Annotated[float | None, typer.Option(help="Seconds to wait first.")] = None,
    first_byte: Annotated[
        float | None, typer.Option(help="Seconds between the answer's head and its body.")
    ] = None,
    cut_after_bytes: Annotated[int | None, typer.Option(help="Then reset.")] = None,
    truncate_after_bytes: Annotated[int | None, typer.Option(help="Then end in order.")] = None,
    reset_connection: Annotated[
        bool, typer.Option("--reset", help="Reset the connection before any answer.")
    ] = False,
    vanish: Annotated[bool, typer.Option("--vanish", help="Kill the sandbox first.")] = False,
    hang: Annotated[bool, typer.Option("--hang", help="Never end, or never answer.")] = False,
    disk_full: Annotated[bool, typer.Option("--disk-full", help="Find no space left.")] = False,
    times: Annotated[int | None, typer.Option(help="How many requests; 0 is no end.")] = None,
    skip: Annotated[int | None, typer.Option(help="How many pass first.")] = None,
    probability: Annotated[float | None, typer.Option(help="0 to 1.")] = None,
    sandbox: Annotated[str | None, typer.Option(help="Only about this sandbox.")] = None,
    url: Url = "",
    token: Token = "",
) -> None:
    """Adds bad weather; prints its id."""
    effects: dict[str, Any] = {
        "status": status,
        "message": message,
        "headers": _pairs(header or ()) or None,
        "delay_s": delay,
        "first_byte_s": first_byte,
        "cut_after_bytes": cut_after_bytes,
        "truncate_after_bytes": truncate_after_bytes,
        "reset": reset_connection or None,
        "vanish": vanish or None,
        "hang": hang or None,
        "disk_full": disk_full or None,
        "times": times,
        "skip": skip,
        "probability": probability,
        "sandbox_id": sandbox,
    }
    given = {name: value for name, value in effects.items() if value is not None}
    sys.stdout.write(f"{_client(url, token).fault(route, **given)}\n")


def faults(
    *,
    clear: Annotated[bool, typer.Option("--clear", help="Remove every rule.")] = False,
    as_json: Json = False,
    url: Url = "",
    token: Token = "",
) -> None:
    """Prints each fault, how often it struck, and what clients did about it."""
    client = _client(url, token)
    if clear:
        client.clear_faults()
        return
    rules = client.faults()
    if as_json:
        _print(rules, as_json=True, columns=())
        return
    for rule in rules:
        times = rule["times"] or "no end"
        sys.stdout.write(f"{rule['id']}  {rule['route']}  struck {rule['applied']} of {times}\n")
        for one in rule["clients"]:
            told = " ".join(
                "reset" if status is None else str(status) for status in one["statuses"]
            )
            waits = ", ".join(f"{wait_s:.2f} s" for wait_s in one["waits_s"])
            waited = f"; waited {waits}" if waits else ""
            sys.stdout.write(f"    {one['request']}: {one['attempts']} attempts: {told}{waited}\n")


def advance(
    seconds: Annotated[float, typer.Argument(min=0, help="How far.")],
    *,
    url: Url = "",
    token: Token = "",
) -> None:
    """Moves the service's clock; what falls due has happened when this returns."""
    client = _client(url, token)
    client.advance(seconds)
    sys.stdout.write(f"{client.now()}\n")


def reset(*, url: Url = "", token: Token = "") -> None:
    """Ends every sandbox, and forgets requests, faults, after-images and advances."""
    _client(url, token).reset()


def after_image(
    sandbox_id: Annotated[str, typer.Argument(help="The sandbox, running or ended.")],
    into: Annotated[Path, typer.Argument(help="A folder; made where it is missing.")],
    *,
    path: Annotated[str, typer.Option(help="Which subtree of the sandbox.")] = "/home/user",
    url: Url = "",
    token: Token = "",
) -> None:
    """Copies a sandbox's files into a folder."""
    sys.stdout.write(f"{_client(url, token).fetch_after_image(sandbox_id, into, path=path)}\n")


def _client(url: str, token: str) -> AdminClient:
    if not url or not token:
        raise UsageError(
            "no emulator is named",
            expected="the variables HARNESS_ADMIN_URL and HARNESS_ADMIN_TOKEN of one that runs",
            next_step='in its terminal: harness emulator serve; here: paste the "export" lines',
        )
    # Imported here: `harness emulator serve` has 400 ms to be ready.
    from harness.emulator.admin.client import AdminClient  # noqa: PLC0415
    from harness.model.side import Endpoint  # noqa: PLC0415

    return AdminClient(Endpoint(name="emulator", env={}, admin_url=url, admin_token=token))


def _pairs(words: Sequence[str]) -> dict[str, str]:
    wrong = [word for word in words if "=" not in word]
    if wrong:
        raise UsageError(
            f"a header is given as {wrong[0]!r}",
            expected="NAME=VALUE",
            next_step="harness emulator fault ROUTE --status 429 --header Retry-After=7",
        )
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def _print(
    rows: Sequence[dict[str, Any]],
    *,
    as_json: bool,
    columns: Sequence[str],
    more: str = "",
) -> None:
    if as_json:
        for row in rows:
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
        return
    table = [columns, *([_cell(name, row[name]) for name in columns] for row in rows)]
    widths = [max(len(line[index]) for line in table) for index in range(len(columns))]
    for line, row in zip(table, [{}, *rows], strict=True):
        cells = (f"{cell:{width}}" for cell, width in zip(line, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")
        for note in row.get(more, ()):
            sys.stdout.write(f"    {note}\n")


def _cell(name: str, value: Any) -> str:
    if name == "status" and value is None:
        return "reset"
    if name in {"time", "started_at", "end_at"} and value:
        return str(value)[11:23]
    return "" if value is None else str(value)
