from __future__ import annotations

import math

import pytest

from harness.model.run import Json
from harness.parity.delta import Delta, Kind, Order
from harness.parity.values import Place, compare_values, segment

HERE = Place(path="status", site="status")


def found(local: Json, remote: Json, order: Order = Order.PROMISED) -> list[tuple[str, Kind]]:
    return [(delta.path, delta.kind) for delta in compare_values(local, remote, HERE, order=order)]


@pytest.mark.parametrize(
    ("local", "remote", "kind"),
    [
        (1, 2, Kind.VALUE),
        (1, 1.0, Kind.TYPE),
        (1, True, Kind.TYPE),
        (0, False, Kind.TYPE),
        (1, "1", Kind.TYPE),
        ("", None, Kind.TYPE),
        (0.0, -0.0, Kind.VALUE),
        (0.1 + 0.2, 0.3, Kind.VALUE),
        (math.nan, 1.0, Kind.VALUE),
        (math.inf, -math.inf, Kind.VALUE),
        ("é", "e\u0301", Kind.VALUE),
        ("a", "a ", Kind.VALUE),
        ([], {}, Kind.TYPE),
    ],
)
def test_scalar_that_changed_is_one_difference(local: Json, remote: Json, kind: Kind) -> None:
    """Types are strict, and no two values are nearly the same."""
    assert found(local, remote) == [("status", kind)]
    assert found(remote, local) == [("status", kind)]


def test_value_that_no_encoding_has_is_told_in_text_that_can_be_written() -> None:
    """A lone surrogate, which JSON may hold, is found and written out, in names, too."""
    (delta,) = compare_values({"a\ud800": "\ud800"}, {"a\ud800": "\ud801"}, HERE)
    assert (delta.path, delta.local, delta.remote) == (
        *("status/a\\ud800", '"\\ud800"', '"\\ud801"'),
    )
    assert delta.shape.encode("utf-8")


@pytest.mark.parametrize(
    "value", [None, True, 0, -0.0, math.nan, "", "x", [], {}, [1, [math.nan]], {"a": {"b": [-0.0]}}]
)
def test_value_with_itself_is_silent(value: Json) -> None:
    """NaN is NaN; equal is equal."""
    assert found(value, value) == []


def test_key_order_is_no_difference() -> None:
    """An object is a set of names and values."""
    assert found({"a": 1, "b": 2}, {"b": 2, "a": 1}) == []


def test_missing_and_extra_keys_are_named() -> None:
    """The path names the field, as seen from the local side."""
    assert found({"a": 1, "c": {"d": 1}}, {"b": 1, "c": {}}) == [
        ("status/a", Kind.MISSING),
        ("status/c/d", Kind.MISSING),
        ("status/b", Kind.EXTRA),
    ]


def test_null_is_not_a_missing_key() -> None:
    """A field that is null and a field that is not there are two things."""
    assert found({"a": None}, {}) == [("status/a", Kind.MISSING)]


@pytest.mark.parametrize(
    ("local", "remote", "expected"),
    [
        ([1, 2, 3], [1, 3], [("status/#", Kind.MISSING)]),
        ([1, 3], [1, 2, 3], [("status/#", Kind.EXTRA)]),
        ([1, 2, 3], [1, 9, 3], [("status/#", Kind.VALUE)]),
        ([1, 2], [2, 1], [("status", Kind.ORDER)]),
        ([1, 1], [1], [("status/#", Kind.MISSING)]),
        ([{"a": 1}, {"a": 2}], [{"a": 1}, {"a": 3}], [("status/#/a", Kind.VALUE)]),
    ],
)
def test_list_in_promised_order(
    local: Json, remote: Json, expected: list[tuple[str, Kind]]
) -> None:
    """One lost element does not shift all that follow; moved ones are an order."""
    assert found(local, remote) == expected


def test_list_in_any_order_is_a_multiset() -> None:
    """Where order is not promised, only what is in the list counts, and how often."""
    assert found([1, 2, 2], [2, 1, 2], Order.ANY) == []
    assert found([1, 2, 2], [2, 1, 1], Order.ANY) == [("status/#", Kind.VALUE)]


def test_both_values_are_shown_as_they_are() -> None:
    """Text and number look different in the report."""
    (delta,) = compare_values({"a": "1"}, {"a": 1}, HERE)
    assert (delta.local, delta.remote) == ('"1"', "1")


def test_a_slash_in_a_name_stays_in_its_segment() -> None:
    """A path can always be taken apart again."""
    assert segment("a/b~c") == "a~1b~0c"


def test_a_shape_holds_no_number_and_no_quoted_text() -> None:
    """The identity of a fault does not depend on what varies in its message."""

    def shape(local: str, remote: str) -> str:
        (delta,) = compare_values(local, remote, HERE)
        assert isinstance(delta, Delta)
        return delta.shape

    assert shape("read 5 rows of 'a'", "gone") == shape("read 77 rows of 'b c'", "gone")
    assert shape("read 5 rows", "gone") != shape("wrote 5 rows", "gone")
