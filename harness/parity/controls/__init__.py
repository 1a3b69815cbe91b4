"""The controls of parity: faults that a remote side could have, to be planted and found.

A fault is planted into what came back from a real run in a sandbox, in its bytes, before
any of it is read as evidence; then parity compares as ever. What it does not find, nobody
would. `harness.targets.command.controls` holds those that happen in the sandbox itself.
"""

from harness.parity.controls.data_faults import DATA_FAULTS
from harness.parity.controls.failure_faults import FAILURE_FAULTS
from harness.parity.controls.record_faults import RECORD_FAULTS
from harness.parity.controls.run_faults import RUN_FAULTS
from harness.parity.controls.scene import Fault, Scene, UnfitError

__all__ = ["FAILURE_FAULTS", "FAULTS", "Fault", "Scene", "UnfitError"]

FAULTS: tuple[Fault, ...] = (*DATA_FAULTS, *RECORD_FAULTS, *RUN_FAULTS)
"""Faults of a run that succeeded; `FAILURE_FAULTS` are those of one that failed."""
