"""A far end of a case's own: bad weather, a moved clock, a database are for nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.emulator.attach import Emulator
from harness.errors import NotRunError
from harness.model.run import Deed, PipelineCase
from harness.model.side import Endpoint
from harness.ports import Target
from harness.workflow.parity_endpoint import FarEnd

__all__ = ["needs_own_weather", "own_weather"]


def needs_own_weather(case: PipelineCase) -> bool:
    """Whether it needs what only an emulator does, or would happen to others, too."""
    advances = case.disturbance is not None and case.disturbance.deed is Deed.ADVANCE
    return bool(case.faults or case.needs) or advances or case.sandbox_expires


@contextmanager
def own_weather(
    case: PipelineCase, target: Target, shared: Endpoint, templates: Path | None
) -> Iterator[Endpoint]:
    """An emulator for this case alone, with its faults in force.

    Args:
        case: declares the faults.
        target: says what a sandbox offers.
        shared: the far end of the other cases.
        templates: where built templates are.

    Raises:
        NotRunError: if the far end is a real service, whose weather is nobody's to make.
        BrokenError: if the emulator does not start, or a fault is none.
    """
    if shared.name != FarEnd.EMULATOR:
        raise NotRunError(
            f"case {case.name!r} needs a far end of its own, and {shared.name!r} is everybody's",
            expected="the emulator: faults, a clock that moves, a way to a service on this "
            "machine, the files of a sandbox that ended by its timeout",
            next_step=f"harness parity run --case {case.name}",
        )
    packages = target.template_packages() or None
    with Emulator(packages=packages, template_dir=templates) as emulator:
        for rule in case.faults:
            effects = dict(rule)
            route = str(effects.pop("route"))
            emulator.fault(route, **effects)
        yield emulator.endpoint
