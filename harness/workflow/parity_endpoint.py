"""What stands at the far end of a parity run: the emulator, or the live service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum

from harness.emulator.attach import Emulator
from harness.gateway import Gateway
from harness.model.side import Endpoint
from harness.ports import Target
from harness.sdk import ApiEndpoint
from harness.settings import Settings

__all__ = ["FarEnd", "far_end"]


class FarEnd(StrEnum):
    """What the remote side runs on."""

    EMULATOR = "emulator"
    LIVE = "live"
    LIVE_ON_EMULATOR = "live-on-emulator"


@contextmanager
def far_end(kind: FarEnd, target: Target, settings: Settings) -> Iterator[Endpoint]:
    """The endpoint, ready; on leaving, every sandbox that was made through it is gone.

    Live, the gateway stands in between: it tags what is created, keeps what a
    sandbox leaves behind, and ends what the run still owns. `live-on-emulator` is
    that very way with the emulator in the place of the service.

    Raises:
        NotRunError: if there is no key for the live service.
        BrokenError: if it does not get ready, or answers no more at the end.
        LeakError: if a sandbox could not be ended.
    """
    with ExitStack() as stack:
        if kind is FarEnd.LIVE:
            upstream = Endpoint(name="live", env=ApiEndpoint.from_settings(settings).to_env())
        else:
            emulator = Emulator(
                packages=target.template_packages() or None,  # none asked for: a bare Python
                template_dir=settings.testing_env / "templates",
            )
            upstream = stack.enter_context(emulator).endpoint
        if kind is FarEnd.EMULATOR:
            yield upstream
            return
        gateway = Gateway(upstream=upstream, state_dir=settings.testing_env / "gateway")
        yield stack.enter_context(gateway).endpoint
