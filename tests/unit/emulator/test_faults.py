"""Rules of bad weather."""

from __future__ import annotations

from typing import Any

import pytest

from harness.emulator.faults import FaultError, Faults


def taken(
    faults: Faults, count: int, *, path: str = "/files", sandbox_id: str = "i1"
) -> list[bool]:
    return [faults.take("POST", path, sandbox_id) is not None for _ in range(count)]


def test_rule_strikes_so_often_and_then_lets_pass() -> None:
    """Skipped, struck, then well."""
    faults = Faults()
    faults.add({"route": "POST /files", "status": 500, "times": 2, "skip": 1})
    assert taken(faults, 5) == [False, True, True, False, False]
    assert faults.report() == [
        {"id": "fault-1", "route": "POST /files", "seen": 5, "applied": 2, "times": 2}
    ]


def test_rule_without_an_end_strikes_for_ever() -> None:
    """Zero times is no bound."""
    faults = Faults()
    faults.add({"route": "*", "reset": True, "times": 0})
    assert taken(faults, 10) == [True] * 10
    faults.clear()
    assert taken(faults, 1) == [False]


@pytest.mark.parametrize(
    ("route", "sandbox_id", "fits"),
    [
        ("POST /files", "", True),
        ("post /files", "", True),
        ("* /files", "", True),
        ("POST /process.*", "", False),
        ("GET /files", "", False),
        ("* *", "", True),
        ("POST /files", "i1", True),
        ("POST /files", "i2", False),
    ],
)
def test_rule_fits_by_method_path_and_sandbox(route: str, sandbox_id: str, fits: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Wildcards in both parts of the route; the sandbox is exact."""
    faults = Faults()
    faults.add({"route": route, "status": 500, "sandbox_id": sandbox_id})
    assert taken(faults, 1) == [fits]


@pytest.mark.parametrize(
    ("field", "wrong", "right"),
    [
        ("status", 99, 200),
        ("status", 600, 599),
        ("probability", 1.5, 1),
        ("headers", {"Retry-After": 1}, {"Retry-After": "1"}),
        ("headers", {"a b": "c"}, {"a-b": "c d"}),
        ("headers", {"a": "b\nc: d"}, {"a": "b"}),
    ],
)
def test_rule_that_no_answer_could_follow_is_refused(field: str, wrong: Any, right: Any) -> None:
    """What HTTP cannot say is told when the rule is made, not when it strikes."""
    with pytest.raises(FaultError, match=field):
        Faults().add({"route": "*", "delay_s": 1, field: wrong})
    Faults().add({"route": "*", "delay_s": 1, field: right})


def test_probability_is_repeatable_by_seed() -> None:
    """The same seed has the same weather, and about as much of it as was asked for."""

    def strikes(seed: int) -> list[bool]:
        faults = Faults(seed)
        faults.add({"route": "*", "status": 500, "times": 0, "probability": 0.3})
        return taken(faults, 400)

    assert strikes(7) == strikes(7)
    assert strikes(7) != strikes(8)
    assert 60 < sum(strikes(7)) < 180


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"status": 500}, "route is missing"),
        ({"route": "nonsense", "status": 500}, "not 'METHOD /path'"),
        ({"route": "*"}, "nothing happens"),
        ({"route": "*", "status": True}, "status is True"),
        ({"route": "*", "delay_s": -1}, "delay_s is -1, below 0"),
        ({"route": "*", "colour": 1, "status": "x"}, "unknown field 'colour'; status is 'x'"),
    ],
)
def test_add_of_what_is_no_rule_is_refused(document: dict[str, Any], words: str) -> None:
    """Every problem is named together."""
    with pytest.raises(FaultError, match=words):
        Faults().add(document)
