from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.parity.rules import TEXT_RULES, TextRule
from harness.parity.text_shapes import TextShapes

EXAMPLES = {
    "session-name": "in 20261123_052258_9ab93595 now",
    "session-number": "run_1764000000123",
    "uuid": "id 01234567-89ab-cdef-0123-456789abcdef.",
    "ulid": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "sandbox-id": "i9abcdefghij0123456k7",
    "instant": "at 2026-11-23T05:22:58.439735+00:00",
    "compact-instant": "20261123T052258Z",
    "instant-with-slashes": "2026/11/23 05:22:58 INFO",
    "instant-in-words": "Date: Mon, 23 Nov 2026 05:22:58 GMT",
    "told-duration": "took 12 ms",
    "duration": "in 12.345 s",
    "address": "<object at 0x7f34ab12cd90>",
    "process": "pid=4711",
    "temporary-folder": "/tmp/tmpab12cd3_/x",  # noqa: S108 - an example
    "installed-packages": "/opt/x/site-packages/y.py",
    "standard-library": "/usr/lib/python3.12/json.py",
}


@pytest.mark.parametrize("rule", TEXT_RULES, ids=lambda rule: rule.name)
def test_rule_is_possible_where_it_finds_something(rule: TextRule) -> None:
    """Every rule has an example, and its shape leads to it."""
    name = rule.name
    _, possible = TextShapes([]).of(EXAMPLES[name])
    assert name in {item.name for item in possible}


@given(
    st.lists(
        st.one_of(
            st.sampled_from(sorted(EXAMPLES.values())),
            st.text(alphabet="0123456789abcdefixTZ_-:./ <>pidrun", max_size=40),
        ),
        max_size=4,
    ).map(" ".join)
)
def test_what_is_found_was_possible(text: str) -> None:
    """No rule that finds something in a text is left out by its shape."""
    _, possible = TextShapes([]).of(text)
    assert {rule.name for rule in TEXT_RULES if rule.pattern.search(text)} <= {
        rule.name for rule in possible
    }


def test_literal_is_possible_wherever_it_stands_as_a_word() -> None:
    """Also where another text of its shape came first."""
    shapes = TextShapes(["run-17"])
    assert shapes.of("see run-99")[0]
    assert shapes.of("see run-17")[0]
    assert not shapes.of("see rerun-17")[0]
    assert not shapes.can_hold("nothing here")
