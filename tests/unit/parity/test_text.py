from __future__ import annotations

import pytest

from harness.parity.delta import Kind
from harness.parity.text import compare_text, lines_of
from harness.parity.values import Place

HERE = Place(path="stdout", site="stdout")


@pytest.mark.parametrize(
    ("local", "remote", "path", "kind"),
    [
        ("a\nb\nc\n", "a\nX\nc\n", "stdout/lines", Kind.VALUE),
        ("a\nb\nc\n", "a\nc\n", "stdout/lines", Kind.MISSING),
        ("a\nc\n", "a\nb\nc\n", "stdout/lines", Kind.EXTRA),
        ("a\nb\n", "a\r\nb\r\n", "stdout/line_ends", Kind.VALUE),
        ("a\nb\n", "a\nb", "stdout/line_ends", Kind.VALUE),
        ("a\nb\n", "", "stdout/lines", Kind.MISSING),
        ("a b\n", "a\u00a0b\n", "stdout/lines", Kind.VALUE),
    ],
)
def test_changed_text_is_one_difference(local: str, remote: str, path: str, kind: Kind) -> None:
    """What changed is told by its kind: content, lines, or line ends."""
    assert [(d.path, d.kind) for d in compare_text(local, remote, HERE)] == [(path, kind)]


def test_equal_text_is_silent() -> None:
    """Nothing is said of what is equal."""
    assert list(compare_text("a\n\x0cb\u2028c", "a\n\x0cb\u2028c", HERE)) == []


def test_first_lines_are_shown_with_their_numbers() -> None:
    """The report shows where, on both sides, and how much more there is."""
    local = "".join(f"{n}\n" for n in range(20))
    remote = "".join(f"{n}!\n" for n in range(20))
    (delta,) = compare_text(local, remote, HERE)
    assert delta.count == 20
    assert (delta.local or "").splitlines()[0] == "1: 0"
    assert (delta.local or "").splitlines()[-1] == "… and 15 more"


def test_ignored_line_hides_its_content_and_not_its_absence() -> None:
    """Noise on a line covers another value there; a lost line is still lost."""
    assert list(compare_text("a\n1\nc\n", "a\n2\nc\n", HERE, ignore=[1])) == []
    (delta,) = compare_text("a\n1\nc\n", "a\nc\n", HERE, ignore=[1])
    assert delta.kind is Kind.MISSING


def test_lines_only_end_where_lines_end() -> None:
    """Form feeds and Unicode separators are content."""
    assert lines_of("a\x0cb\u2028c\r\nd\re\n\nf") == ["a\x0cb\u2028c\r\n", "d\r", "e\n", "\n", "f"]
