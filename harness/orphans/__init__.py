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
from harness.orphans.keys import allow_key, key_fingerprint, require_allowed
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
    "allow_key",
    "cleanup_orphaned_sandboxes",
    "decide",
    "key_fingerprint",
    "ledger_of",
    "read_ledgers",
    "require_allowed",
    "sandbox_directory",
]
