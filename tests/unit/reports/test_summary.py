"""The summary tells the verdict first, never outgrows its budget, and is not written by tests."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ExitCode
from harness.model.outcome import Outcome
from harness.model.verdict import Check, Verdict
from harness.reports.collect import SessionReport
from harness.reports.summary import MAX_SUMMARY_BYTES, code, escape, fence, render_summary

HOSTILE = (
    "</details><script>alert(1)</script> ``` | ![x](http://evil) <img src=x>\n## heading\n@team"
)


def session(
    name: str, *checks: Check, endpoint: str = "emulator", leak: bool = False
) -> SessionReport:
    verdict = Verdict(
        session=name,
        endpoint=endpoint,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        duration_s=12.34,
        checks=checks,
        leak=leak,
    )
    return SessionReport(verdict=verdict, junit=checks[0])


def failed(number: int, reason: str = "x != y") -> Check:
    return Check(
        name=f"case-{number}",
        outcome=Outcome.FAILED,
        reason=f"{reason} {number}",
        location=f"tests/test_x.py:{number}",
    )


SESSIONS = [
    session("smoke-mocked", Check(name="a", outcome=Outcome.PASSED, duration_s=3.0)),
    session("parity", failed(12), Check(name="b", outcome=Outcome.BROKEN, reason="no answer")),
    session("smoke-live", Check(name="c", outcome=Outcome.NOT_RUN, reason="E2B_API_KEY not set")),
]


def test_render_summary_goes_from_the_verdict_to_where_to_look() -> None:
    """Verdict, counts, a line for each session, failures with place and reason, not run, where."""
    summary = render_summary(SESSIONS, exit_code=ExitCode.BROKEN, notes=["scan first"])
    assert summary.startswith(
        "# e2b-harness: BROKEN\n\n2 of 3 sessions ran: 1 passed, 1 broken, 1 not run."
    )
    order = [
        "| `smoke-mocked` | ✅ passed | 1 | 0 | 0 | 0 | emulator | 12.3 s |",
        "| `parity` | 💥 broken | 0 | 1 | 1 | 0 |",
        "| `smoke-live` | ⏸️ not run | 0 | 0 | 0 | 1 |",
        "> scan first",
        "## Failures",
        "**parity** ❌ failed `case-12` at `tests/test_x.py:12`\n\n```text\nx != y 12\n```",
        "**parity** 💥 broken `b`",
        "## Not run",
        "- **smoke-live**: E2B\\_API\\_KEY not set (`c`)",
        "## Where to look",
        "- again: `nox -s parity`",
        "## Slowest",
        "- 3.0 s smoke-mocked `a`",
    ]
    positions = [summary.index(part) for part in order]
    assert positions == sorted(positions)


def test_render_summary_leak_is_not_shown_as_a_pass() -> None:
    """A leaked sandbox outranks its checks."""
    leaky = session("orphans", Check(name="a", outcome=Outcome.PASSED), leak=True)
    assert "| `orphans` | 🔓 leak |" in render_summary([leaky], exit_code=ExitCode.LEAK)


def test_render_summary_same_reason_is_told_once() -> None:
    """A dead emulator is one failure with many names."""
    checks = [
        Check(name=f"case-{n}", outcome=Outcome.BROKEN, reason="emulator died") for n in range(30)
    ]
    summary = render_summary([session("parity", *checks)], exit_code=ExitCode.BROKEN)
    assert summary.count("emulator died") == 1
    assert "`case-9` and 20 more" in summary


def test_render_summary_hostile_text_stays_text() -> None:
    """What a test prints cannot close a block, open HTML, or break the table."""
    hostile = Check(name=HOSTILE, outcome=Outcome.FAILED, reason=HOSTILE, location=HOSTILE)
    skipped = Check(name=HOSTILE, outcome=Outcome.NOT_RUN, reason=HOSTILE)
    summary = render_summary(
        [session("parity", hostile, skipped, endpoint=HOSTILE)],
        exit_code=ExitCode.FAILED,
        notes=[HOSTILE],
    )
    outside = re.sub(r"(?ms)^(`{3,})text\n.*?^\1$", "", summary)  # without code blocks
    outside = re.sub(r"(`+).+?\1", "", outside.replace("\\`", ""))  # and code spans
    assert "<script>" not in outside
    assert "<img" not in outside
    assert "![x]" not in outside
    assert not re.search(r"(?m)^## heading", outside)
    table = [line for line in summary.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {9}


def test_render_summary_of_ten_thousand_failures_keeps_to_githubs_limit() -> None:
    """Over the limit GitHub shows nothing: what does not fit is counted instead."""
    many = session("parity", *(failed(n, "é" * 1_900) for n in range(10_000)))
    summary = render_summary([*SESSIONS, many], exit_code=ExitCode.FAILED)
    size = len(summary.encode())
    assert MAX_SUMMARY_BYTES * 0.95 < size <= MAX_SUMMARY_BYTES
    (left_out,) = re.findall(r"… (\d+) of 10002 failures left out for length", summary)
    assert summary.count("**parity** ") == 10_002 - int(left_out)
    assert "## Not run" in summary
    assert "## Where to look" in summary


@given(
    budget=st.integers(min_value=0, max_value=3_000),
    reasons=st.lists(st.text(max_size=300), max_size=20),
)
def test_render_summary_never_outgrows_its_budget(budget: int, reasons: list[str]) -> None:
    """Whatever the texts and the budget, the bytes are counted; the verdict goes last."""
    checks = [Check(name=r or "x", outcome=Outcome.FAILED, reason=r) for r in reasons]
    sessions = [*SESSIONS, session("tests", *checks, failed(1))]
    summary = render_summary(sessions, exit_code=ExitCode.FAILED, budget_bytes=budget)
    assert len(summary.encode("utf-8", "replace")) <= budget
    if budget > 100:
        assert summary.startswith("# e2b-harness: FAILED")


@given(st.text())
def test_fence_is_never_ended_by_its_text(text: str) -> None:
    """The only line that closes the block is its own."""
    lines = fence(text).rstrip("\n").split("\n")
    assert lines[0] == f"{lines[-1]}text"
    assert not any(line.strip().startswith(lines[-1]) for line in lines[1:-1])


@given(st.text())
def test_code_and_escape_stay_on_one_line_without_markup(text: str) -> None:
    """A name is one span on one line; escaped text has no tag and no bare special character."""
    assert "\n" not in code(text)
    assert not re.search(r"(?<!\\)\|", code(text))
    assert not re.search(r"[<>\n]|(?<!\\)[*_`\[\]|]", re.sub(r"\\\\", "", escape(text)))


@pytest.mark.parametrize("colour", ["\x1b[31mred\x1b[0m", "r\x00e\x08d", "re\u202ed"])
def test_fence_drops_what_a_terminal_would_obey(colour: str) -> None:
    """Colours and control characters are not shown."""
    assert fence(colour) == "```text\nred\n```\n"
