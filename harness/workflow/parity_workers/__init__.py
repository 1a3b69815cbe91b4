"""Cases on xdist workers: processes of their own, of which one that dies loses only its case."""

from harness.workflow.parity_workers.crew import run_on_workers
from harness.workflow.parity_workers.orders import Orders

__all__ = ["Orders", "run_on_workers"]
