"""Finds a difference of the last verdict, and accepts it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from harness.clock import Clock, SystemClock
from harness.errors import BrokenError, UsageError
from harness.model.run import Json
from harness.model.verdict import Verdict
from harness.parity.allowances import append_allowance, read_entry
from harness.parity.proposals import as_toml
from harness.parity.verdict import DEFAULT_TERM
from harness.reports.session import VERDICT_FILE, read_verdict
from harness.settings import Settings
from harness.workflow.parity import SESSION

__all__ = ["Accepted", "accept_difference", "accept_known", "find_difference", "last_verdict"]

Entry = dict[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """An allowance that was written.

    Attributes:
        file: the file that it was appended to.
        entry: its text.
    """

    file: Path
    entry: str


def last_verdict(settings: Settings) -> Verdict:
    """The verdict of the last parity run.

    Raises:
        UsageError: if there is none yet.
        BrokenError: if it cannot be read.
    """
    path = settings.reports / SESSION / VERDICT_FILE
    if not path.is_file():
        raise UsageError(
            f"no parity run has left a verdict: {path}",
            expected="the verdict of a run of this project",
            next_step="harness parity run",
        )
    return read_verdict(path)


def find_difference(verdict: Verdict, identity: str) -> tuple[Entry, list[Entry]]:
    """One difference of a verdict, open or accepted, and all others beside it.

    Args:
        verdict: a verdict of parity.
        identity: the difference's id, or the first characters of it.

    Raises:
        UsageError: if no difference, or more than one, has that id.
    """
    everything = [
        item
        for name in ("differences", "accepted")
        for item in _entries(verdict, name)
        if isinstance(item, dict)
    ]
    found = {str(item["id"]): item for item in reversed(everything)}
    matching = [name for name in found if identity and name.startswith(identity)]
    if len(matching) != 1:
        ids = ", ".join(matching or sorted(found)) or "the last run found no difference"
        raise UsageError(
            f"{'more than one' if matching else 'no'} difference has the id {identity!r}",
            expected=f"one of: {ids}",
            next_step="list them with `harness parity show -v`",
        )
    return found[matching[0]], everything


def accept_difference(
    settings: Settings,
    identity: str,
    *,
    reason: str,
    link: str = "",
    expires: date | None = None,
    clock: Clock | None = None,
) -> Accepted:
    """Appends an allowance for a difference of the last verdict to the file that it used.

    Args:
        settings: where the verdict is.
        identity: the difference's id, or the first characters of it.
        reason: why it is accepted.
        link: where the cause is written down.
        expires: the last day on which it holds; 90 days from today where it is left out.
        clock: the time.

    Raises:
        UsageError: if there is no such difference, it is accepted already, the reason
            says nothing, or the day has passed.
        BrokenError: if the file cannot be written.
    """
    today = (clock or SystemClock()).now().date()
    expires = expires or today + DEFAULT_TERM
    problems = []
    if not reason.strip():
        problems.append("the reason is empty")
    if expires < today:
        problems.append(f"{expires.isoformat()} has passed")
    if problems:
        raise UsageError(
            "; ".join(problems),
            expected="a reason that a reader understands in a year, and a day to come",
            next_step=f'harness parity accept {identity} --reason "…" --expires YYYY-MM-DD',
        )
    verdict = last_verdict(settings)
    entry, _ = find_difference(verdict, identity)
    if isinstance(entry.get("allowance"), dict):
        raise UsageError(
            f"the difference {entry['id']} is accepted already",
            expected="an open difference",
            next_step=f"harness parity show {entry['id']}",
        )
    path, product, version = _destination(verdict)
    proposed = read_entry(str(entry.get("allowance")))
    text = as_toml(replace(proposed, reason=reason, link=link, expires=expires))
    append_allowance(path, text, product=product, version=version)
    return Accepted(file=path, entry=text)


def accept_known(
    settings: Settings, *, expires: date | None = None, clock: Clock | None = None
) -> tuple[Accepted, ...]:
    """Accepts every difference of the last verdict whose cause is known, with that as reason.

    What follows from one of them is accepted with it.

    Args:
        settings: where the verdict is.
        expires: the last day on which they hold; 90 days from today where it is left out.
        clock: the time.

    Raises:
        UsageError: if there is none, or the day has passed.
        BrokenError: if the file cannot be written.
    """
    verdict = last_verdict(settings)
    causes = {
        str(entry["id"]): known
        for entry in _entries(verdict, "differences")
        if isinstance(entry, dict) and isinstance(known := entry.get("known"), dict)
        if entry["explained_by"] is None
    }
    if not causes:
        raise UsageError(
            "the last run has no open difference of a known cause",
            expected="differences that another pipeline has shown already",
            next_step="list them with `harness parity show -v`",
        )
    return tuple(
        accept_difference(
            settings,
            identity,
            reason=str(known["reason"]),
            link=str(known["link"]),
            expires=expires,
            clock=clock,
        )
        for identity, known in causes.items()
    )


def _destination(verdict: Verdict) -> tuple[Path, str, str]:
    target = verdict.details.get("target")
    path, product = verdict.details.get("allowances_file"), verdict.details.get("product")
    if not isinstance(target, dict) or not isinstance(path, str) or not isinstance(product, str):
        raise BrokenError(
            "the last verdict does not say where its allowances are",
            expected="a verdict of this version of the harness",
            next_step="harness parity run",
        )
    return Path(path), product, str(target.get("version"))


def _entries(verdict: Verdict, name: str) -> list[Json]:
    value = verdict.details.get(name)
    return value if isinstance(value, list) else []
