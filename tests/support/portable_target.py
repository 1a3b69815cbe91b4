"""A table of answers that another process can be handed, and what its cases do to a worker."""

from __future__ import annotations

import os
import signal
from functools import partial

from parity_target import DATA, Answers, TableTarget, case

from harness.errors import BrokenError
from harness.model.run import PipelineCase
from harness.model.side import Side

__all__ = ["PortableTarget", "portable"]


class PortableTarget(TableTarget):
    """The table, as a worker gets it: made anew there."""

    def __reduce__(self) -> tuple[object, tuple[()]]:
        return partial(PortableTarget, *self.cases(), answers=self.answers, root=self.root), ()


def portable(*names: str, **rest: object) -> PortableTarget:
    """Cases that do what their names say: `dies`, `interrupts`, `no-room`, `lost-row`."""
    cases: list[PipelineCase] = [case(name) for name in names]
    lost = {("lost-row", Side.E2B): DATA.replace("2,b\n", "")}
    answers = Answers(data=lost, on_execute=misbehave)
    return PortableTarget(*cases, answers=answers, **rest)  # type: ignore[arg-type]


def misbehave(name: str, side: Side) -> None:
    """What happens in a worker that runs a case of that name."""
    if side is Side.LOCAL:
        return
    if name == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "no-room":
        raise OSError(28, "No space left on device", "/full")
    if name == "broken":
        raise BrokenError("no answer", expected="an answer", next_step="look")
    if name == "interrupts":
        os.kill(os.getppid(), signal.SIGINT)
