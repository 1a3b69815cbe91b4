"""`harness emulator …`: runs an emulator for a person, or for another program."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness import starting
from harness.clock import format_instant
from harness.emulator.internet import Internet
from harness.emulator.interpreter import INTERPRETER_PACKAGES
from harness.emulator.isolation import IsolationMode, Network
from harness.emulator.plans import Plan
from harness.emulator.serve import serve
from harness.emulator.serve_options import ServeOptions
from harness.emulator.templates import DEFAULT_PACKAGES, TemplateEnvironment, ensure_template
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.emulator.doors import Running
    from harness.emulator.ledger import Entry

__all__ = ["app", "template_folder"]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _root() -> None:
    """E2B on loopback, with real sandboxes."""


@app.command("serve")
def serve_command(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free port.")] = 0,
    seed: Annotated[
        int | None, typer.Option(help="Makes ids the same after each start and reset.")
    ] = None,
    proxy: Annotated[
        bool,
        typer.Option("--proxy", help="Also a proxy with TLS, for clients without E2B's variables."),
    ] = False,
    proxy_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of the proxy with TLS; 0 takes a free port.")
    ] = 0,
    domain: Annotated[
        list[str] | None,
        typer.Option(help="What E2B_DOMAIN is for clients of the proxy; e2b.app is known."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON when ready, nothing else.")
    ] = False,
    isolation: Annotated[
        IsolationMode, typer.Option(help="What stands between a sandbox and this machine.")
    ] = IsolationMode.BUBBLEWRAP,
    network: Annotated[Network, typer.Option(help="What sandboxes can reach.")] = Network.NONE,
    internet: Annotated[
        Path | None, typer.Option(help="A JSON file: what stands for the internet.")
    ] = None,
    requirements: Annotated[
        Path | None, typer.Option(help="A requirements file: what the templates offer.")
    ] = None,
    package: Annotated[
        list[str] | None, typer.Option(help="A package that the templates offer; repeatable.")
    ] = None,
    bare: Annotated[
        bool, typer.Option("--bare", help="Templates with a Python and no package.")
    ] = False,
    interpreter: Annotated[
        bool | None,
        typer.Option(
            "--interpreter/--no-interpreter",
            help="Run code in sandboxes of code-interpreter-v1; by default where no package "
            "is named.",
        ),
    ] = None,
    state_dir: Annotated[
        Path | None, typer.Option(help="Where sandboxes keep their files while they exist.")
    ] = None,
    template_dir: Annotated[
        Path | None, typer.Option(help="Where built templates are kept between starts.")
    ] = None,
    pool: Annotated[int, typer.Option(min=0, help="How many sandboxes wait ready.")] = 2,
    plan: Annotated[
        Plan, typer.Option(help="Whose limits on number, rate and life hold.")
    ] = Plan.NONE,
    run_id: Annotated[
        str | None, typer.Option(help="The run that sandboxes are labelled with.")
    ] = None,
    stamp: Annotated[
        bool, typer.Option("--stamp/--no-stamp", help="Label sandboxes with their owner.")
    ] = True,
    sign_in: Annotated[
        bool,
        typer.Option("--sign-in", help="Let E2B's command line sign in; gives tokens to anyone."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Do not show requests.")] = False,
    outlive_parent: Annotated[
        bool, typer.Option("--outlive-parent", help="Go on when the starting process ends.")
    ] = False,
    parent_pid: Annotated[
        int | None, typer.Option(help="The process to end with; the starting one by default.")
    ] = None,
) -> None:
    """Run an emulator until Ctrl-C, SIGTERM, or the end of the process that started it."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    if interpreter is None:
        interpreter = not (bare or requirements or package)
    environment = _environment(
        bare=bare,
        requirements=requirements,
        packages=package,
        interpreter=interpreter,
        folder=template_dir,
    )
    options = ServeOptions(
        port=port,
        seed=seed,
        proxy=proxy or bool(proxy_port or domain),
        proxy_port=proxy_port,
        domains=tuple(name.lower() for name in domain or ()),
        isolation=isolation,
        network=network,
        environment=environment,
        interpreter=interpreter,
        internet=_internet(internet, isolation, network),
        state_base=state_dir,
        pool_size=pool,
        plan=plan,
        run_id=run_id,
        stamp=stamp,
        sign_in=sign_in,
        # 0 is what the first process of a container has for a parent.
        parent_pid=None if outlive_parent else parent_pid or os.getppid() or None,
    )

    def on_ready(running: Running) -> None:
        if as_json:
            _print_json(running)
        else:
            _print_exports(running, isolation)
        starting.over()

    asyncio.run(
        serve(
            options,
            on_ready=on_ready,
            on_request=None if quiet or as_json else _print_request,
        )
    )


def _internet(file: Path | None, isolation: IsolationMode, network: Network) -> Internet:
    if file is None:
        return Internet()
    if isolation is not IsolationMode.BUBBLEWRAP or network is not Network.NONE:
        raise UsageError(
            "--internet was asked for where sandboxes share this machine's network",
            expected="--isolation bubblewrap and --network none",
            next_step=f"harness emulator serve --internet {file}",
        )
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the stand-in internet cannot be read: {error}",
            expected=f"a JSON file at {file}",
            next_step="write the file, as docs/reference/emulator.md shows it",
        ) from error
    from harness.emulator.internet_document import parse_internet  # noqa: PLC0415 - rarely asked for

    return parse_internet(document)


def template_folder() -> Path:
    """Where built templates are kept unless a person says otherwise."""
    return Path.home() / ".cache" / "e2b-harness" / "templates"


def _environment(
    *,
    bare: bool,
    requirements: Path | None,
    packages: list[str] | None,
    interpreter: bool,
    folder: Path | None,
) -> TemplateEnvironment | None:
    if bare and (requirements or packages):
        raise UsageError(
            "--bare and packages were both asked for",
            expected="--bare, or --requirements and --package",
            next_step="harness emulator serve --bare",
        )
    wanted = [*(packages or ()), *(_lines(requirements) if requirements else ())]
    if not bare:
        wanted = wanted or list(DEFAULT_PACKAGES)
    if interpreter:
        wanted += INTERPRETER_PACKAGES
    return ensure_template(folder or template_folder(), packages=wanted) if wanted else None


def _lines(requirements: Path) -> list[str]:
    try:
        text = requirements.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the requirements cannot be read: {error}",
            expected="a text file with one requirement a line",
            next_step="harness emulator serve --package duckdb --package pandas",
        ) from error
    lines = (line.partition(" #")[0].strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _print_json(running: Running) -> None:
    print(json.dumps(running.to_json()), flush=True)  # noqa: T201 - the line that callers read


def _print_exports(running: Running, isolation: IsolationMode) -> None:
    lines = [f"export {name}={value}" for name, value in running.env.items()]
    if running.proxy_env:
        lines.append("# or, for clients that know only E2B's public names:")
    lines += [f"# export {name}={value}" for name, value in running.proxy_env.items()]
    lines.append("# for `harness emulator ledger, fault, advance, reset, …`:")
    lines.append(f"export HARNESS_ADMIN_URL={running.admin_url}")
    lines.append(f"export HARNESS_ADMIN_TOKEN={running.admin_token}")
    print("\n".join(lines), flush=True)  # noqa: T201 - what the person pastes
    print("ready; Ctrl-C ends it and every sandbox", file=sys.stderr)  # noqa: T201 - progress
    # Imported here: a program that waits for its line of JSON does not ask.
    from harness.emulator.isolation.losses import losses  # noqa: PLC0415

    lost = "".join(f"  {loss}\n" for loss in losses(isolation))
    if lost:
        sys.stderr.write(f"not kept apart here (docs/explanation/isolation.md):\n{lost}")


def _print_request(entry: Entry) -> None:
    time = format_instant(entry.time)[11:23]
    status = "reset" if entry.status is None else str(entry.status)
    duration = f"{entry.duration_ms or 0:8.1f} ms"
    fault = f"  [{entry.fault}]" if entry.fault else ""
    line = f"{time} {entry.method:6} {entry.path:42} {status:5} {duration}  {entry.sandbox_id}"
    # In one piece: a program in the same terminal writes there, too.
    sys.stderr.write((line + fault).rstrip() + "\n")
