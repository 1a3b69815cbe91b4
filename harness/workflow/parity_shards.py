"""Splits the cases of a parity run over jobs, so that each takes about as long.

Every job makes the same split by itself: from the same cases and the same recorded
durations. A case without a record counts as much as the middle one of those that have.
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BrokenError, UsageError
from harness.model.run import PipelineCase
from harness.parity import CaseRun
from harness.reports.storage import write_files

__all__ = [
    "Shard",
    "cases_of_shard",
    "known_durations",
    "longest_first",
    "read_durations",
    "record_durations",
]

MOST_SHARDS = 999
_SHARD = re.compile(r"(\d{1,3})/(\d{1,3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One of several parts of a run.

    Attributes:
        number: which, from 1.
        total: of how many.
    """

    number: int
    total: int

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    @property
    def session(self) -> str:
        """The name of its report's folder."""
        return f"parity-{self.number}-of-{self.total}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Reads "2/8".

        Raises:
            UsageError: if it is not a number of a part and how many there are.
        """
        found = _SHARD.fullmatch(text)
        number, total = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1 <= number <= total:
            raise UsageError(
                f"not a shard: {text!r}",
                expected=f"NUMBER/TOTAL from 1/1 to {MOST_SHARDS}/{MOST_SHARDS}, such as 2/8",
                next_step="correct --shard",
            )
        return cls(number=number, total=total)


def cases_of_shard(
    cases: Sequence[PipelineCase], shard: Shard, durations: Mapping[str, float]
) -> tuple[PipelineCase, ...]:
    """The cases of one part, in their order.

    The longest are dealt first, each to the part that has least to do.

    Args:
        cases: everything that is to be run.
        shard: which part.
        durations: seconds by case, as far as they are known.

    Raises:
        UsageError: if there are more parts than cases.
    """
    if shard.total > len(cases):
        raise UsageError(
            f"shard {shard} of {len(cases)} cases",
            expected="at most as many shards as cases: an empty one would compare nothing",
            next_step=f"split over {len(cases)} shards, or choose more cases",
        )
    usual_s = _usual_s(cases, durations)
    loads = [(0.0, 0, number) for number in range(1, shard.total + 1)]
    mine: set[str] = set()
    ordered = sorted(cases, key=lambda case: (-durations.get(case.name, usual_s), case.name))
    for case in ordered:
        load_s, count, number = min(loads, key=lambda load: (load[1] > 0, load[0], load[2]))
        loads[number - 1] = (load_s + durations.get(case.name, usual_s), count + 1, number)
        if number == shard.number:
            mine.add(case.name)
    return tuple(case for case in cases if case.name in mine)


def longest_first(
    cases: Sequence[PipelineCase], durations: Mapping[str, float]
) -> tuple[PipelineCase, ...]:
    """The cases in the order in which they are best begun: what lasts longest is begun first.

    A case without a record counts as long where its run is disturbed, for it mostly waits.
    """
    usual_s = _usual_s(cases, durations)

    def seconds(case: PipelineCase) -> float:
        unknown_s = usual_s if case.disturbance is None else math.inf
        return durations.get(case.name, unknown_s)

    return tuple(sorted(cases, key=lambda case: (-seconds(case), case.name)))


def _usual_s(cases: Sequence[PipelineCase], durations: Mapping[str, float]) -> float:
    known = [durations[case.name] for case in cases if case.name in durations]
    return statistics.median(known) if known else 1.0


def read_durations(path: Path) -> dict[str, float]:
    """Seconds by case; none where there is no such file.

    Raises:
        UsageError: if the file is not one of durations.
        BrokenError: if it cannot be read.
    """
    try:
        document = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise BrokenError(
            f"cannot read {path}: {error.strerror}",
            expected="a file of durations, or none",
            next_step="correct the path or its permissions",
        ) from error
    except ValueError as error:
        raise _not_durations(path, str(error)) from error
    if not isinstance(document, dict) or not all(
        type(value) in {int, float} and value >= 0 for value in document.values()
    ):
        raise _not_durations(path, "not an object of seconds by case")
    return {name: float(value) for name, value in document.items()}


def known_durations(path: Path) -> dict[str, float]:
    """As `read_durations`, for those who get by without: a file that is none of durations is none.

    Raises:
        BrokenError: if it cannot be read.
    """
    try:
        return read_durations(path)
    except UsageError:
        return {}  # written by something else, or cut short


def record_durations(path: Path, runs: Sequence[CaseRun]) -> None:
    """Notes how long these cases took; what is known of others stays.

    Raises:
        BrokenError: if the file cannot be written.
    """
    durations = known_durations(path) | {
        run.comparison.pipeline: round(run.duration_s, 2)
        for run in runs
        if run.comparison.broken is None and run.comparison.not_run is None
    }
    text = json.dumps(dict(sorted(durations.items())), indent=2) + "\n"
    write_files(path.parent, {path.name: text.encode()})


def _not_durations(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} does not hold durations: {why}",
        expected='an object of seconds by case: {"duckdb-chain": 4.2}',
        next_step="remove it, and run `harness parity run` once without --shard",
    )
