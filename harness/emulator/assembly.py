"""What one emulator consists of, put together, and taken apart at its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from harness.emulator.after_images import AfterImages
from harness.emulator.builds import Builder, Uploads
from harness.emulator.catalogue import Catalogue
from harness.emulator.chronicle import Chronicle
from harness.emulator.credentials import Credentials, new_id, seed_ids
from harness.emulator.faults import Faults
from harness.emulator.figures import Figures
from harness.emulator.isolation import SandboxHost
from harness.emulator.ledger import Ledger
from harness.emulator.ownership import Ownership, this_process
from harness.emulator.sandboxes import Sandboxes
from harness.emulator.secret_store import SecretStore
from harness.emulator.serve_options import ServeOptions
from harness.emulator.service import EmulatedService
from harness.emulator.service_clock import ServiceClock
from harness.emulator.snapshots import Snapshots
from harness.emulator.volumes import Volumes

__all__ = ["assemble"]

_LOG = logging.getLogger("harness.emulator")


@contextlib.asynccontextmanager
async def assemble(
    options: ServeOptions, folder: Path, port: int, *, host: SandboxHost | None = None
) -> AsyncIterator[EmulatedService]:
    """An emulator that answers to nobody yet; at the end it starts no more sandboxes.

    Args:
        options: how it is to run.
        folder: where it keeps its state.
        port: where it will listen, for its answers to say.
        host: starts its sandboxes; None opens one, and with that all of them end.

    Raises:
        BrokenError: this machine cannot isolate sandboxes.
    """
    clock = ServiceClock()
    chronicle, secrets = Chronicle(clock), SecretStore(clock)
    async with contextlib.AsyncExitStack() as stack:
        if host is None:
            host = await stack.enter_async_context(options.host(folder))
        after_images = AfterImages(host)
        volumes = Volumes(folder / "volumes")
        sandboxes = Sandboxes(
            host,
            clock,
            after_images,
            plan=options.plan,
            network=options.network,
            interpreter=options.interpreter,
            volumes=volumes,
            internet=options.internet,
            chronicle=chronicle,
            secret=secrets.value,
        )
        figures = Figures(clock, sandboxes.alive)
        catalogue = Catalogue(clock=clock)
        uploads = Uploads(folder / "uploads")
        builder = Builder(host, catalogue, clock, uploads, network=options.network)
        run_id = options.run_id or new_id("run-")
        seed_ids(options.seed)  # from here on, as after a reset
        expiry = asyncio.create_task(sandboxes.run_expiry())
        measuring = asyncio.create_task(figures.run())
        try:
            yield EmulatedService(
                domain=f"localhost:{port}",
                clock=clock,
                credentials=Credentials(),
                catalogue=catalogue,
                builder=builder,
                volumes=volumes,
                secrets=secrets,
                sandboxes=sandboxes,
                snapshots=Snapshots(host, sandboxes, catalogue),
                after_images=after_images,
                ledger=Ledger(),
                faults=Faults(options.seed),
                seed=options.seed,
                ownership=Ownership(
                    clock, run_id=run_id, owner=this_process(), enabled=options.stamp
                ),
                chronicle=chronicle,
                figures=figures,
                sign_in=options.sign_in,
            )
        finally:
            await _ended(measuring, "sandboxes were no longer measured")
            await _ended(expiry, "sandboxes no longer expired")
            await builder.close()
            await sandboxes.close()


async def _ended(task: asyncio.Task[None], failure: str) -> None:
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return
    except Exception:  # noqa: BLE001 - a border: the emulator is ending already
        _LOG.exception(failure)
