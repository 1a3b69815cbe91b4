"""Finds sandboxes that nobody owns any more, and ends those that are proven ours.

`policy` judges without any I/O, `sweep` acts on the judgement, `ledger` is what
the gateway wrote before and after each create; `cleanup_orphaned_sandboxes` is the
door for Python.
"""

from harness.orphans.cleanup import (
    cleanup_orphaned_sandboxes,
    ledger_of,
    sandbox_directory,
)
from harness.orphans.ledger import Ledger, LedgerView, read_ledgers
from harness.orphans.policy import Decision, ForeignFilter, Reason, Rules, Ruling, decide
from harness.orphans.sweep import Limits, Sweeper
from harness.orphans.sweep_report import Fate, SweepReport

__all__ = [
    "Decision",
    "Fate",
    "ForeignFilter",
    "Ledger",
    "LedgerView",
    "Limits",
    "Reason",
    "Rules",
    "Ruling",
    "SweepReport",
    "Sweeper",
    "cleanup_orphaned_sandboxes",
    "decide",
    "ledger_of",
    "read_ledgers",
    "sandbox_directory",
]
