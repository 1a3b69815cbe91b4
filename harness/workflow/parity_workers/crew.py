"""Has xdist run the cases, and takes each comparison as it comes.

pytest and xdist are the engine, and stay out of sight: their words go to a file that
is shown only where they fail. A worker that dies is replaced by another one, and the
case that it was running is broken, with the worker's name.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.errors import BrokenError, InterruptedRunError, UsageError
from harness.parity import CaseComparison, CaseRun
from harness.parity.run_record import from_record
from harness.workflow.parity_workers import worker
from harness.workflow.parity_workers.orders import Orders

__all__ = ["run_on_workers"]

_FILE = Path(__file__).with_name("each_case.py")
_TAIL = 12
_FOR_PYTEST = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")
_ERRORS = {kind.__name__: kind for kind in (BrokenError, InterruptedRunError, UsageError)}


def run_on_workers(orders: Orders, *, workers: int, take: Callable[[CaseRun], None]) -> None:
    """Runs the cases on that many processes; returns when every one is taken.

    Args:
        orders: what is run.
        workers: how many processes.
        take: is handed each case as soon as it is compared.

    Raises:
        KeyboardInterrupt: if the run was interrupted; every worker has ended.
        BrokenError: if the disk takes no more, or the workers cannot be had.
    """
    control = _Control(orders, take)
    said = io.StringIO()
    arguments = [
        *("--disable-plugin-autoload", "-p", "xdist", "-p", worker.__name__),
        *("-p", "no:cacheprovider", "--capture=no", "-c", str(_FILE.with_name("pytest.ini"))),
        *("--rootdir", str(_FILE.parent), "--import-mode=importlib", "-q"),
        *("-n", str(workers), "--dist", "load", "--maxschedchunk", "1"),
        *("--max-worker-restart", str(len(orders.cases))),
        str(_FILE),
    ]
    with contextlib.redirect_stdout(said), _without_words_for_pytest():
        code = pytest.main(arguments, plugins=[control])
    if control.trouble is not None:
        raise control.trouble
    if code == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if control.left:
        raise BrokenError(
            f"{len(control.left)} cases were not run: {_tail(said.getvalue())}",
            expected="xdist workers that run every case",
            next_step="run it without workers: -n 0",
        )


@contextlib.contextmanager
def _without_words_for_pytest() -> Iterator[None]:
    """What a person's environment tells pytest is for their own tests."""
    kept = {name: os.environ.pop(name) for name in _FOR_PYTEST if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


class _Control:
    """The plugin on this side: gives orders, takes comparisons."""

    def __init__(self, orders: Orders, take: Callable[[CaseRun], None]) -> None:
        self._packed = orders.packed()
        self._take = take
        self.left = set(orders.cases)
        self.trouble: Exception | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: object) -> None:
        """A hook of xdist: what a worker is told."""
        node.workerinput[worker.ORDERS] = self._packed  # type: ignore[attr-defined]  # xdist has no types

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A case is compared, or its worker could not."""
        properties = dict(report.user_properties)
        if worker.RECORD in properties:
            self._done(from_record(json.loads(str(properties[worker.RECORD]))))
        elif worker.TROUBLE in properties:
            kind, happened, expected, next_step = json.loads(str(properties[worker.TROUBLE]))
            self.trouble = _ERRORS.get(kind, BrokenError)(
                happened, expected=expected, next_step=next_step
            )
            raise KeyboardInterrupt  # pytest's way to end a run; what came of it is in `trouble`
        elif report.failed:
            self._done(_lost(_name_of(report.nodeid), report.longreprtext))

    def _done(self, run: CaseRun) -> None:
        if run.comparison.pipeline in self.left:  # the report comes once for each phase
            self.left.discard(run.comparison.pipeline)
            self._take(run)


def _lost(name: str, why: str) -> CaseRun:
    words = (why.strip().splitlines() or ["its worker said nothing"])[-1]
    return CaseRun(
        comparison=CaseComparison(
            pipeline=name, local="-", remote="-", broken=f"the case was lost: {words}"
        )
    )


def _name_of(nodeid: str) -> str:
    """The case that a test is about: what stands in its brackets."""
    return nodeid.rpartition("[")[2].removesuffix("]")


def _tail(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-_TAIL:]) or "pytest said nothing"
