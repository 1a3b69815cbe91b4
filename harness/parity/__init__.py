"""Compares runs: normalise → noise → compare → causes → allowances → verdict."""

from harness.parity.case import CaseComparison, compare_case
from harness.parity.normalise import normalize
from harness.parity.verdict import CaseRun, ParityFindings, judge

__all__ = ["CaseComparison", "CaseRun", "ParityFindings", "compare_case", "judge", "normalize"]
