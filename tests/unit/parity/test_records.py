from __future__ import annotations

import pytest
from parity_runs import records, step_events

from harness.model.evidence import Record
from harness.model.run import Json
from harness.parity.delta import Delta, Kind, Order
from harness.parity.records import compare_records

STEPS = ("load", "clean", "write")


def told() -> list[dict[str, Json]]:
    return [{"event": "run_start"}, *step_events(*STEPS), {"event": "run_complete", "steps": 3}]


def compare(
    local: tuple[Record, ...] | None,
    remote: tuple[Record, ...] | None,
    order: Order = Order.PROMISED,
) -> list[Delta]:
    return list(compare_records(local, remote, "events", order=order, steps=STEPS))


def metrics(numbers: tuple[int, ...]) -> tuple[Record, ...]:
    told: list[dict[str, Json]] = [{"metric": "rows", "value": number} for number in numbers]
    return records(*told)


def brief(deltas: list[Delta]) -> list[tuple[str, Kind, str | None]]:
    return [(delta.path, delta.kind, delta.step) for delta in deltas]


def test_equal_streams_are_silent() -> None:
    """A run compared with itself has nothing to say."""
    assert compare(records(*told()), records(*told())) == []


def test_event_missing_is_named_with_its_step() -> None:
    """One lost event is one difference, and what follows is not shifted."""
    remote = told()
    del remote[4]
    assert brief(compare(records(*told()), records(*remote))) == [
        ("events/step_complete", Kind.MISSING, "clean")
    ]


def test_event_doubled_is_extra() -> None:
    """The second of two equal events has no counterpart."""
    remote = told()
    remote.insert(3, remote[2])
    assert brief(compare(records(*told()), records(*remote))) == [
        ("events/step_complete", Kind.EXTRA, "load")
    ]


def test_events_out_of_order_are_an_order() -> None:
    """Two swapped events are a difference of order, and of nothing else."""
    remote = told()
    remote[2], remote[3] = remote[3], remote[2]
    found = compare(records(*told()), records(*remote))
    assert [delta.kind for delta in found] == [Kind.ORDER]
    assert found[0].path in {"events/step_complete", "events/step_start"}


def test_order_that_is_not_promised_is_silent() -> None:
    """Where order does not count, the same events in another order are the same."""
    remote = told()
    remote.reverse()
    assert compare(records(*told()), records(*remote), Order.ANY) == []


def test_field_changed_missing_extra_and_of_another_type() -> None:
    """Every field is compared, by name."""
    remote = told()
    remote[2] = {"event": "step_complete", "step_id": "load", "rows": 5.0, "new": 1}
    del remote[7]["steps"]
    assert brief(compare(records(*told()), records(*remote))) == [
        ("events/step_complete/fields/rows", Kind.TYPE, "load"),
        ("events/step_complete/fields/new", Kind.EXTRA, "load"),
        ("events/run_complete/fields/steps", Kind.MISSING, None),
    ]


def test_minus_zero_and_true_in_a_field_are_found() -> None:
    """Values that Python calls equal are still compared strictly."""
    local = records({"event": "a", "x": 0.0}, {"event": "b", "x": 1})
    remote = records({"event": "a", "x": -0.0}, {"event": "b", "x": True})
    assert [delta.kind for delta in compare(local, remote)] == [Kind.VALUE, Kind.TYPE]


def test_unparsable_line_is_a_difference() -> None:
    """A line that does not parse is never dropped, on neither side."""
    broken = records(*told()[:3], '{"event": "cut', *told()[3:])
    assert brief(compare(records(*told()), broken)) == [
        ("events/<unparsable>", Kind.UNPARSABLE, None)
    ]
    assert brief(compare(broken, records(*told()))) == [
        ("events/<unparsable>", Kind.UNPARSABLE, None)
    ]
    assert compare(broken, broken) == []


def test_two_unparsable_lines_that_differ_are_a_difference() -> None:
    """Unparsable on both sides is only silent where the line is the very same."""
    local, remote = records("{broken", {"event": "a"}), records("{torn", {"event": "a"})
    (delta,) = compare(local, remote)
    assert delta.kind is Kind.UNPARSABLE
    assert (delta.local, delta.remote) == ("line 1: {broken", "line 1: {torn")


def test_missing_file_is_one_difference() -> None:
    """A stream that is not there is one difference, not one for each record."""
    (delta,) = compare(records(*told()), None)
    assert (delta.path, delta.kind, delta.remote) == ("events", Kind.MISSING, "no file")
    (delta,) = compare(None, records(*told()))
    assert delta.kind is Kind.EXTRA


def test_empty_file_is_one_difference() -> None:
    """An empty stream is told from one that is not there."""
    (delta,) = compare(records(*told()), ())
    assert (delta.path, delta.kind, delta.remote) == ("events", Kind.MISSING, "0 records")
    assert compare((), ()) == []
    assert compare(None, None) == []
    (delta,) = compare((), None)
    assert delta.remote == "no file"


def test_step_in_a_metric_name_is_left_out_of_the_path() -> None:
    """The same metric of another step is the same fault."""
    local = records(
        {"metric": "step_load_duration", "value": 1}, {"metric": "rows_written", "value": 1}
    )
    (delta,) = compare_records(local, local[1:], "metrics", steps=STEPS)
    assert (delta.path, delta.step) == ("metrics/step_<step>_duration", "load")


def test_metric_off_by_one_names_the_metric() -> None:
    """A metric without a step is matched by its turn."""
    local, remote = (metrics(numbers) for numbers in ((5, 6, 7), (5, 7, 7)))
    (delta,) = compare_records(local, remote, "metrics")
    assert (delta.path, delta.local, delta.remote) == ("metrics/rows/fields/value", "6", "7")


def test_step_that_only_one_side_tells_is_an_extra_field() -> None:
    """A side that names steps and one that does not are still matched by name."""
    local = records({"metric": "rows", "value": 5}, {"metric": "rows", "value": 6})
    remote = records(
        {"metric": "rows", "value": 5, "step_id": "load"},
        {"metric": "rows", "value": 6, "step_id": "write"},
    )
    found = list(compare_records(local, remote, "metrics", steps=STEPS))
    assert brief(found) == [("metrics/rows/fields/step_id", Kind.EXTRA, None)] * 2


def test_lost_record_among_ones_that_all_differ_is_found() -> None:
    """A field that differs everywhere does not hide which record is gone."""
    every: list[dict[str, Json]] = [{"event": "e", "n": n, "side": "here"} for n in range(5)]
    local = records(*every)
    kept: list[dict[str, Json]] = [{"event": "e", "n": n, "extra": 1} for n in (0, 1, 3, 4)]
    remote = records(*kept)
    missing = [delta for delta in compare(local, remote) if delta.path == "events/e"]
    assert [delta.local for delta in missing] == ['{"event": "e", "n": 2, "side": "here"}']


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [(1, 1.0), (1, True), (0.0, -0.0), (None, float("nan")), ("1", 1), ([1], [1.0])],
    ids=["real", "boolean", "minus-zero", "nan", "text", "nested"],
)
def test_record_among_a_thousand_that_is_almost_equal_is_found(mine: Json, theirs: Json) -> None:
    """What is skipped as the very same is as strictly the same as what is compared."""
    told: list[dict[str, Json]] = [{"event": "e", "n": n, "v": mine} for n in range(1000)]
    other = [dict(item) for item in told]
    other[700]["v"] = theirs
    found = list(compare_records(records(*told), records(*other), "events"))
    assert {(d.site.partition("/fields")[0], d.path.partition("/fields")[0]) for d in found} == {
        ("events/e[]#700", "events/e")
    }


def test_record_that_is_lost_among_a_thousand_is_the_only_difference() -> None:
    """What stands before and after it has its counterpart."""
    told: list[dict[str, Json]] = [{"event": f"e{n % 7}", "n": n} for n in range(1000)]
    found = list(compare_records(records(*told), records(*told[:500], *told[501:]), "events"))
    assert [(d.kind, d.path) for d in found] == [(Kind.MISSING, "events/e3")]


def test_keys_in_another_order_are_the_same_record() -> None:
    """An object's keys have no order."""
    mine: list[dict[str, Json]] = [{"event": "e", "a": n, "b": n} for n in range(600)]
    theirs: list[dict[str, Json]] = [{"b": n, "a": n, "event": "e"} for n in range(600)]
    assert list(compare_records(records(*mine), records(*theirs), "events")) == []


def test_moved_record_says_what_it_stood_behind() -> None:
    """Also where that is one of those that were skipped."""
    mine: list[dict[str, Json]] = [{"event": name} for name in ("a", "b", "c", "d")]
    theirs: list[dict[str, Json]] = [{"event": name} for name in ("a", "c", "b", "d")]
    (found,) = compare_records(records(*mine), records(*theirs), "events")
    assert found.kind is Kind.ORDER
    assert "after a" in {found.local, found.remote}
