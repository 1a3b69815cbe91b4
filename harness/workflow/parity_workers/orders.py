"""What every worker is told at its start, over its own pipe: the endpoint holds a key."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.clock import SystemClock
from harness.errors import BrokenError
from harness.model.run import PipelineCase
from harness.model.side import Endpoint
from harness.ports import Target
from harness.redaction.redact import Redactor
from harness.settings import Secret, Settings
from harness.workflow.parity_runs import CaseRunner

__all__ = ["Orders"]


class _Pickler(pickle.Pickler):
    """Secrets refuse to be pickled, so that none ends in a file; a worker's own pipe is none."""

    def reducer_override(self, value: object) -> Any:
        if isinstance(value, Secret):
            return Secret, (value.name, value.reveal())
        return NotImplemented


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What is run, and where.

    Attributes:
        settings: folders and secrets.
        target: the system under test.
        endpoint: the far end, which is not the workers' to end.
        folder: the folder of this run of parity.
        cases: what is run, by name, in the order in which they are begun.
        remote_runs: how often the remote side of each case runs.
    """

    settings: Settings
    target: Target
    endpoint: Endpoint
    folder: Path
    cases: Mapping[str, PipelineCase]
    remote_runs: int = 1

    def runner(self) -> CaseRunner:
        """What runs the cases in a worker."""
        testing_env = self.settings.testing_env
        return CaseRunner(
            target=self.target,
            endpoint=self.endpoint,
            folder=self.folder,
            root=self.settings.root,
            mirror=testing_env / "logs" / "remote",
            redactor=Redactor.of_process(root=self.settings.root, secrets=self.settings.secrets()),
            clock=SystemClock(),
            templates=testing_env / "templates",
            remote_runs=self.remote_runs,
        )

    def packed(self) -> bytes:
        """The orders as a worker gets them.

        Raises:
            BrokenError: if the target is none that another process can be handed.
        """
        whole = io.BytesIO()
        try:
            _Pickler(whole).dump(self)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise BrokenError(
                f"the target {self.target.name!r} cannot be handed to a worker: {error}",
                expected="a target that pickle takes",
                next_step="run it without workers: -n 0",
            ) from error
        return whole.getvalue()

    @classmethod
    def unpacked(cls, data: Any) -> Orders:
        """Reads what `packed` wrote, out of this very program's own pipe."""
        orders = pickle.loads(data)  # noqa: S301 - written by the process that started this one
        if not isinstance(orders, cls):
            raise TypeError(f"not orders: {type(orders).__name__}")
        return orders
