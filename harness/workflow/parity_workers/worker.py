"""The pytest plugin of a worker: each case is one test, its comparison a property of it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from harness.errors import HarnessError
from harness.parity.run_record import to_record
from harness.workflow.parity_runs import CaseRunner
from harness.workflow.parity_workers.orders import Orders

__all__ = ["ORDERS", "RECORD", "TROUBLE"]

ORDERS = "parity_orders"
RECORD = "parity-record"
TROUBLE = "parity-trouble"
_RUNNER = pytest.StashKey[CaseRunner]()
_WORK = pytest.StashKey[Orders]()


def pytest_configure(config: pytest.Config) -> None:
    """A worker unpacks its orders; the process that gives them has none."""
    told = getattr(config, "workerinput", None)
    if told is not None:
        config.stash[_WORK] = Orders.unpacked(told[ORDERS])
        config.stash[_RUNNER] = config.stash[_WORK].runner()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each case."""
    metafunc.parametrize("case_name", list(metafunc.config.stash[_WORK].cases))


@pytest.fixture
def run_case(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Callable[[str], None]:
    """Runs a case and hands over what came of it; an end of everything is told, too."""
    orders, runner = request.config.stash[_WORK], request.config.stash[_RUNNER]

    def run(name: str) -> None:
        try:
            record_property(RECORD, json.dumps(to_record(runner.run(orders.cases[name]))))
        except HarnessError as error:
            record_property(TROUBLE, json.dumps([type(error).__name__, *_said(error)]))
        except KeyboardInterrupt:
            runner.abort()
            raise

    return run


def _said(error: HarnessError) -> tuple[str, str, str]:
    return error.happened, error.expected, error.next_step
