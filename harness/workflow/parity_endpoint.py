"""What stands at the far end of a parity run: the emulator, or the live service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum

from harness.emulator.attach import Emulator
from harness.errors import HarnessError, NotRunError
from harness.gateway import Gateway
from harness.model.outcome import Outcome
from harness.model.side import Endpoint
from harness.model.verdict import Check
from harness.ports import Target
from harness.sdk import ApiEndpoint
from harness.settings import Settings

__all__ = ["FarEnd", "far_end", "not_live", "not_reached"]


class FarEnd(StrEnum):
    """What the remote side runs on."""

    EMULATOR = "emulator"
    LIVE = "live"
    LIVE_ON_EMULATOR = "live-on-emulator"


# Below the 60 s after which the SDK gives a create up. Source: e2b 2.63.0 e2b/connection_config.py
PATIENCE_S = 50.0


@contextmanager
def far_end(
    kind: FarEnd, target: Target, settings: Settings, *, plan: str | None = None
) -> Iterator[Endpoint]:
    """The endpoint, ready; on leaving, every sandbox that was made through it is gone.

    Live, the gateway stands in between: it tags what is created, keeps what a
    sandbox leaves behind, and ends what the run still owns. `live-on-emulator` is
    that very way with the emulator in the place of the service. A create that the plan
    does not allow yet waits in the gateway.

    Args:
        kind: what it is.
        target: says what a sandbox offers.
        settings: folders and key.
        plan: the emulator's plan, such as "hobby"; None has no limits.

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
                *(() if plan is None else ("--plan", plan)),
                packages=target.template_packages() or None,  # none asked for: a bare Python
                template_dir=settings.testing_env / "templates",
            )
            upstream = stack.enter_context(emulator).endpoint
        if kind is FarEnd.EMULATOR:
            yield upstream
            return
        gateway = Gateway(
            upstream=upstream,
            state_dir=settings.testing_env / "gateway",
            patience_s=PATIENCE_S,
        )
        yield stack.enter_context(gateway).endpoint


def not_live(settings: Settings, kind: FarEnd, *, require: bool) -> Check | None:
    """Why the live service is not asked, a failure where it was required; None if it can be."""
    why_not = settings.why_not_live() if kind is FarEnd.LIVE else None
    if why_not is None:
        return None
    outcome = Outcome.FAILED if require or settings.required else Outcome.NOT_RUN
    return Check(name="live", outcome=outcome, reason=why_not)


def not_reached(error: HarnessError) -> Check:
    """What kept a session from its far end, or ended that early."""
    outcome = Outcome.NOT_RUN if isinstance(error, NotRunError) else Outcome.BROKEN
    return Check(name="endpoint", outcome=outcome, reason="\n".join(error.lines()))
