"""`harness gateway …`: a gateway for a person, or for a program in any language."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.gateway.attach import checked_run_id
from harness.gateway.server import GatewayOptions, Ready, serve
from harness.sdk import ApiEndpoint
from harness.settings import Settings

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _noun() -> None:
    """Stands before the real E2B: tags, ledger, after-images."""


@app.command(name="serve")
def serve_command(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free port.")] = 0,
    run_id: Annotated[str | None, typer.Option(help="Names the run.")] = None,
    state_dir: Annotated[
        Path | None, typer.Option(help="Where ledgers are kept; testing_env/gateway by default.")
    ] = None,
    owner_grace: Annotated[
        float, typer.Option(min=0, help="Seconds a sandbox outlives the processes that need it.")
    ] = 10.0,
    keep_orphans: Annotated[
        bool,
        typer.Option("--keep-orphans", help="End sandboxes with the gateway only, not before."),
    ] = False,
    lease: Annotated[
        int | None,
        typer.Option(
            min=15, help="Tell the service so many seconds of life, and prolong them from here."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON when ready, nothing else.")
    ] = False,
) -> None:
    """Serves until Ctrl-C, then ends every sandbox that was created through it."""
    settings = Settings.load()
    upstream = ApiEndpoint.from_settings(settings)
    options = GatewayOptions(
        upstream=upstream.api_url,
        sandbox_url=upstream.sandbox_url,
        domain=upstream.domain,
        run_id=checked_run_id(run_id),
        state_dir=(state_dir or settings.testing_env / "gateway").resolve(),
        owner_pid=os.getpid(),
        port=port,
        owner_grace_s=None if keep_orphans else owner_grace,
        watch_stdin=False,
        lease_s=lease,
    )

    def say(ready: Ready) -> None:
        env = {**upstream.to_env(), "E2B_API_URL": ready.url}
        del env["E2B_API_KEY"]  # the client has its own, and a terminal is no place for it
        if as_json:
            admin = {"url": f"{ready.url}/_harness", "token": ready.token}
            print(json.dumps({"env": env, "admin": admin}), flush=True)  # noqa: T201 - the ready line
            return
        for name, value in env.items():
            print(f"export {name}={value}", flush=True)  # noqa: T201 - what the person is to type
        sys.stderr.write(f"gateway to {upstream.host}, run {options.run_id}; Ctrl-C ends it\n")

    asyncio.run(serve(options, say))
