"""The summary in Markdown: the verdict first, then a line for each session, then why.

GitHub drops a step's summary that is longer than 1,048,576 bytes, all of it. So the
length is counted in bytes, what matters less goes first, and a line says what went.
Text that comes from tests cannot act as Markdown or HTML.

Source: actions/runner src/Runner.Worker/FileCommandManager.cs (the limit).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import ExitCode
from harness.model.outcome import Outcome
from harness.model.verdict import Check, Verdict
from harness.reports.collect import SessionReport

__all__ = ["MAX_SUMMARY_BYTES", "code", "escape", "fence", "render_summary"]

MAX_SUMMARY_BYTES = 1_048_576
_MAX_NAMES = 10  # of checks with the same reason
_MAX_REASON_LINES = 30
_MAX_REASON_CHARACTERS = 2_000
_ROOM_FOR_NOTES = 160  # for each section: the line that says what was left out
_MARKS = {
    Outcome.PASSED: "✅ passed",
    Outcome.FAILED: "❌ failed",
    Outcome.BROKEN: "💥 broken",
    Outcome.NOT_RUN: "⏸️ not run",
}
_SPECIAL = re.compile(r"([\\`*_{}\[\]#!|~@])")
_CONTROL = re.compile(
    "\x1b\\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


@dataclass(frozen=True, slots=True)
class _Section:
    """A heading and its items; `rank` 0 is the last to be left out."""

    rank: int
    heading: str
    items: tuple[str, ...]


def render_summary(
    sessions: Sequence[SessionReport],
    *,
    exit_code: ExitCode,
    notes: Sequence[str] = (),
    budget_bytes: int = MAX_SUMMARY_BYTES,
) -> str:
    """The summary, never longer than the budget in UTF-8.

    Args:
        sessions: what was run and what was not.
        exit_code: the verdict on the whole.
        notes: what else the reader must know, such as a secret scan that is missing.
        budget_bytes: what the file may hold.
    """
    verdicts = [session.verdict for session in sessions]
    head = _headline(sessions, exit_code)
    sections = (
        _Section(1, "", (_table(verdicts),)),
        _Section(0, "", tuple(f"> {escape(note)}\n" for note in notes)),
        _Section(2, "## Failures\n", tuple(_failures(verdicts))),
        _Section(3, "## Not run\n", tuple(_not_run(verdicts))),
        _Section(4, "## Where to look\n", (_where(verdicts),)),
        _Section(5, "## Slowest\n", tuple(_slowest(verdicts))),
    )
    return _within(head, sections, budget_bytes)


def escape(text: str) -> str:
    """One line of text that Markdown and HTML take for nothing else."""
    line = " ".join(_CONTROL.sub("", text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", line)


def code(text: str) -> str:
    """A code span, also for text with backticks; fit for a table."""
    line = " ".join(_CONTROL.sub("", text).split()) or " "
    ticks = "`" * (_longest_run(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{pad}{line}{pad}{ticks}".replace("|", "\\|")


def fence(text: str) -> str:
    """A code block of at most 30 lines, which its text cannot end."""
    clean = _CONTROL.sub("", text).rstrip()
    body = "\n".join(clean[:_MAX_REASON_CHARACTERS].splitlines()[:_MAX_REASON_LINES])
    if len(body) < len(clean):
        body += "\n… the rest is in junit.xml"
    ticks = "`" * max(_longest_run(body) + 1, 3)
    return f"{ticks}text\n{body}\n{ticks}\n"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def _headline(sessions: Sequence[SessionReport], exit_code: ExitCode) -> str:
    outcomes = Counter(session.verdict.outcome for session in sessions)
    ran = len(sessions) - outcomes[Outcome.NOT_RUN]
    counts = ", ".join(
        f"{outcomes[outcome]} {outcome.value.replace('_', ' ')}"
        for outcome in Outcome
        if outcomes[outcome]
    )
    word = exit_code.name.replace("_", " ")
    return f"# e2b-harness: {word}\n\n{ran} of {len(sessions)} sessions ran: {counts}.\n"


def _table(verdicts: Sequence[Verdict]) -> str:
    rows = ["| session | verdict | passed | failed | broken | not run | far end | duration |"]
    rows.append("|---|---|---:|---:|---:|---:|---|---:|")
    for verdict in verdicts:
        counts = Counter(check.outcome for check in verdict.checks)
        mark = _MARKS[verdict.outcome]
        if verdict.leak:
            mark = "🔓 leak"
        elif verdict.interrupted:
            mark = "⏹️ interrupted"
        numbers = " | ".join(str(counts[outcome]) for outcome in Outcome)
        rows.append(
            f"| {code(verdict.session)} | {mark} | {numbers} "
            f"| {escape(verdict.endpoint)} | {verdict.duration_s:.1f} s |"
        )
    return "\n".join(rows) + "\n"


def _failures(verdicts: Sequence[Verdict]) -> list[str]:
    """Grouped by reason: when the emulator dies, every case has the same one."""
    by_reason: dict[tuple[str, Outcome, str, str], list[Check]] = {}
    for verdict in verdicts:
        for check in verdict.checks:
            if check.outcome in {Outcome.FAILED, Outcome.BROKEN}:
                key = (verdict.session, check.outcome, check.location, check.reason)
                by_reason.setdefault(key, []).append(check)
    return [
        f"**{session}** {_MARKS[outcome]} {_names(checks)}"
        f"{f' at {code(location)}' if location else ''}\n\n{fence(reason)}\n"
        for (session, outcome, location, reason), checks in by_reason.items()
    ]


def _names(checks: Sequence[Check]) -> str:
    names = ", ".join(code(check.name) for check in checks[:_MAX_NAMES])
    more = len(checks) - _MAX_NAMES
    return f"{names} and {more} more" if more > 0 else names


def _not_run(verdicts: Sequence[Verdict]) -> list[str]:
    """Grouped by reason: a hundred tests without a key are one line."""
    by_reason: dict[tuple[str, str], list[Check]] = {}
    for verdict in verdicts:
        for check in verdict.checks:
            if check.outcome is Outcome.NOT_RUN:
                by_reason.setdefault((verdict.session, check.reason), []).append(check)
    return [
        f"- **{session}**: {escape(reason)} ({_names(checks)})\n"
        for (session, reason), checks in by_reason.items()
    ]


def _where(verdicts: Sequence[Verdict]) -> str:
    bad = [v.session for v in verdicts if v.outcome in {Outcome.FAILED, Outcome.BROKEN}]
    lines = ["- every case: `testing_env/reports/junit.xml`, each session's beside it"]
    lines.append("- what a run left behind: `testing_env/runs/`, its logs: `testing_env/logs/`")
    if bad:
        lines.append(f"- again: {code('nox -s ' + ' '.join(bad))}")
    return "\n".join(lines) + "\n"


def _slowest(verdicts: Sequence[Verdict]) -> list[str]:
    timed = [(c.duration_s, v.session, c.name) for v in verdicts for c in v.checks]
    slowest = sorted((item for item in timed if item[0] >= 1.0), reverse=True)[:5]
    return [
        f"- {duration_s:.1f} s {session} {code(name)}\n" for duration_s, session, name in slowest
    ]


def _within(head: str, sections: Sequence[_Section], budget_bytes: int) -> str:
    left = budget_bytes - _size(head)
    if left < 0:
        return head.encode()[:budget_bytes].decode("utf-8", "ignore")
    kept: dict[int, str] = {}
    used = [section for section in sections if section.items]
    reserve = _ROOM_FOR_NOTES * len(used)
    for section in sorted(used, key=lambda section: section.rank):
        reserve -= _ROOM_FOR_NOTES
        text, left = _filled(section, left, reserve)
        kept[section.rank] = text
    # In the order of reading, which is not the order of importance.
    return head + "".join(kept[section.rank] for section in used)


def _filled(section: _Section, left: int, reserve: int) -> tuple[str, int]:
    """As many items as fit, and the line on those that do not; and what is left after them."""
    room = left - reserve
    text, count = f"\n{section.heading}\n" if section.heading else "\n", 0
    for item in section.items:
        if _size(text) + _size(item) + _ROOM_FOR_NOTES > room:
            break
        text += item
        count += 1
    if count < len(section.items):
        what = section.heading.strip("# \n").lower() or "parts"
        left_out = f"{len(section.items) - count} of {len(section.items)} {what}"
        text += f"\n… {left_out} left out for length: see junit.xml\n"
    return (text, left - _size(text)) if _size(text) <= room else ("", left)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
