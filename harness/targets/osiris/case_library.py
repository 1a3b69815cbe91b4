"""The library of cases: one small YAML file each, read strictly.

`load_case` reports every problem of a file together; an unknown key is a problem.
"""

from __future__ import annotations

from pathlib import Path

from harness.model.run import PipelineCase

__all__ = ["CASES", "FIXTURES", "load_case", "load_cases"]

CASES = Path(__file__).parent / "cases"
FIXTURES = CASES / "fixtures"


def load_case(path: Path) -> PipelineCase:
    """Reads one case.

    Raises:
        UsageError: if the file is not a case; every problem is named.
    """
    raise NotImplementedError


def load_cases(folder: Path) -> tuple[PipelineCase, ...]:
    """Every case of a folder (not of its subfolders), sorted by name.

    Raises:
        UsageError: if a file is not a case, or two have one name.
    """
    raise NotImplementedError
