"""Puts the verdicts of a run's shards together: what one run of all cases would have said.

Each shard's verdict holds its compared cases whole. They are judged anew, together,
because an allowance that nothing matches any more shows only over all of them.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.model.outcome import Outcome
from harness.model.run import Json
from harness.model.verdict import Check, Verdict
from harness.parity import CaseRun, judge
from harness.parity.allowances import AllowanceFile, load_allowances
from harness.parity.run_record import from_record, to_record
from harness.reports.session import VERDICT_FILE, read_verdict, write_session
from harness.settings import Settings
from harness.workflow.parity_shards import Shard

__all__ = ["merge_shards", "shard_details"]

SESSION = "parity"
PATTERN = "parity-*-of-*"
NEXT = "run each shard of one version with the same options, then merge all of their verdicts"
Document = dict[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One shard's verdict, read."""

    path: Path
    verdict: Verdict
    shard: Shard
    target: str
    version: str
    cases: tuple[str, ...]
    selection: tuple[str, ...]
    library: tuple[str, ...]
    runs: tuple[CaseRun, ...]
    allowances: str | None
    accepting: bool
    product: str
    allowances_file: str
    command: str


def shard_details(
    shard: Shard,
    *,
    cases: Sequence[str],
    selection: Sequence[str],
    library: Sequence[str],
    runs: Sequence[CaseRun],
    allowances: AllowanceFile,
    command: str,
) -> Document:
    """What a shard's verdict holds so that it can be merged.

    Args:
        shard: which part it is.
        cases: the names of its own cases.
        selection: those of all shards together.
        library: those of every case that there is.
        runs: its cases as they were compared, without secrets.
        allowances: the accepted divergences; their text goes along.
        command: the beginning of a command that runs a case again.
    """
    text = allowances.path.read_text(encoding="utf-8") if allowances.path.is_file() else None
    return {
        "number": shard.number,
        "total": shard.total,
        "cases": list(cases),
        "selection": list(selection),
        "library": list(library),
        "allowances": text,
        "command": command,
        "runs": [to_record(run) for run in runs],
    }


def merge_shards(settings: Settings, paths: Sequence[Path]) -> Verdict:
    """The verdict of the whole run, written as that of the session `parity`.

    Args:
        settings: where reports are.
        paths: verdicts of shards, or folders that hold them; none for those in the
            folder of reports.

    Raises:
        UsageError: if they are not the shards of one run, whole and each once.
        BrokenError: if a verdict cannot be read, or the new one cannot be written.
    """
    files = _files(settings, paths)
    parts = sorted((_read(path) for path in files), key=lambda part: part.shard.number)
    _check_same(parts)
    _check_whole(parts)
    verdict = _judged(parts)
    write_session(settings.reports, verdict)
    return verdict


def _files(settings: Settings, paths: Sequence[Path]) -> list[Path]:
    given = list(paths) or sorted(settings.reports.glob(PATTERN))
    found: list[Path] = []
    for path in given:
        inside = sorted(path.rglob(VERDICT_FILE)) if path.is_dir() else [path]
        found += inside or [path / VERDICT_FILE]
    if not found:
        raise UsageError(
            f"no verdict of a shard in {settings.reports}",
            expected=f"folders {PATTERN}, one for each shard",
            next_step="harness parity run --shard 1/2, then --shard 2/2",
        )
    return found


def _read(path: Path) -> _Part:
    verdict = read_verdict(path)
    try:
        return _part(path, verdict)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{path} is not the verdict of a shard: {error}",
            expected="a verdict.json that `harness parity run --shard NUMBER/TOTAL` wrote",
            next_step=NEXT,
        ) from error


def _part(path: Path, verdict: Verdict) -> _Part:
    details, target = verdict.details.get("shard"), verdict.details.get("target")
    if not isinstance(details, dict) or not isinstance(target, dict):
        raise TypeError("it is of a whole run")
    lists: dict[str, list[Json]] = {}
    for name in ("cases", "selection", "library", "runs"):
        value = details[name]
        if not isinstance(value, list):
            raise TypeError(f"`{name}` is no list")
        lists[name] = value
    text = details["allowances"]
    return _Part(
        path=path,
        verdict=verdict,
        shard=Shard.parse(f"{details['number']}/{details['total']}"),
        target=str(target["name"]),
        version=str(target["version"]),
        cases=tuple(map(str, lists["cases"])),
        selection=tuple(map(str, lists["selection"])),
        library=tuple(map(str, lists["library"])),
        runs=tuple(map(from_record, lists["runs"])),
        allowances=text if isinstance(text, str) else None,
        accepting=bool(verdict.details["accepting"]),
        product=str(verdict.details["product"]),
        allowances_file=str(verdict.details["allowances_file"]),
        command=str(details["command"]),
    )


def _check_same(parts: Sequence[_Part]) -> None:
    """All of them are about the same."""
    first = parts[0]
    questions: tuple[tuple[str, Callable[[_Part], object]], ...] = (
        ("versions", lambda part: f"{part.target} {part.version}"),
        ("numbers of shards", lambda part: part.shard.total),
        ("far ends", lambda part: part.verdict.endpoint),
        ("cases", lambda part: part.selection),
        ("libraries", lambda part: part.library),
        ("allowances", lambda part: (part.accepting, part.allowances)),
    )
    for what, ask in questions:
        for part in parts[1:]:
            if ask(part) != ask(first):
                raise UsageError(
                    f"shards of different {what}: {_told(first, ask)}, {_told(part, ask)}",
                    expected="the shards of one run",
                    next_step=NEXT,
                )


def _told(part: _Part, ask: Callable[[_Part], object]) -> str:
    answer = ask(part)
    words = f" is of {answer}" if isinstance(answer, str | int) else ""
    return f"{part.shard} ({part.path}){words}"


def _check_whole(parts: Sequence[_Part]) -> None:
    """Every shard is there, once, and every case belongs to one of them."""
    total = parts[0].shard.total
    counts = Counter(part.shard.number for part in parts)
    missing = [f"{number}/{total}" for number in range(1, total + 1) if not counts[number]]
    twice = [f"{number}/{total}" for number, count in counts.items() if count > 1]
    if missing or twice:
        told = [f"missing: {', '.join(missing)}"] if missing else []
        told += [f"there twice: {', '.join(twice)}"] if twice else []
        raise UsageError(
            f"not every shard once; {'; '.join(told)}",
            expected=f"one verdict for each of {total} shards",
            next_step=f"harness parity run --shard {missing[0]}"
            if missing
            else "leave out one of the two verdicts",
        )
    owners: dict[str, list[str]] = {}
    for part in parts:
        for name in part.cases:
            owners.setdefault(name, []).append(str(part.shard))
    nobody = [name for name in parts[0].selection if name not in owners]
    shared = [f"{name} in {' and '.join(by)}" for name, by in owners.items() if len(by) > 1]
    if nobody or shared:
        raise UsageError(
            f"the shards were split differently: {', '.join([*shared, *nobody][:3])}",
            expected="each case in exactly one shard",
            next_step="give every shard the same durations (--durations FILE), then run again",
        )


def _judged(parts: Sequence[_Part]) -> Verdict:
    first = parts[0]
    started_at = min(part.verdict.started_at for part in parts)
    by_name = {run.comparison.pipeline: run for part in parts for run in part.runs}
    runs = [by_name[name] for name in first.selection if name in by_name]
    today = started_at.date()
    allowances = _allowances(first) if first.accepting else None
    findings = judge(runs, allowances, today=today, library=first.library)
    trouble = [
        Check(name=f"shard {part.shard}: {check.name}", outcome=check.outcome, reason=check.reason)
        for part in parts
        for check in part.verdict.checks
        if check.name in {"live", "endpoint"}
    ]
    lost = [
        Check(
            name=name, outcome=Outcome.BROKEN, reason=f"shard {part.shard} ended before this case"
        )
        for part in parts
        if not any(check.name in {"live", "endpoint"} for check in part.verdict.checks)
        for name in part.cases
        if name not in by_name
    ]
    copied = ("target", "product", "allowances_file", "allowances_files", "accepting")
    return Verdict(
        session=SESSION,
        endpoint=first.verdict.endpoint,
        started_at=started_at,
        duration_s=max(part.verdict.duration_s for part in parts),
        checks=(*trouble, *findings.checks, *lost),
        leak=any(part.verdict.leak for part in parts),
        interrupted=any(part.verdict.interrupted for part in parts),
        details={
            "run_id": str(first.verdict.details.get("run_id")),
            "merged": [str(part.verdict.details.get("run_id")) for part in parts],
            **{name: first.verdict.details.get(name) for name in copied},
            **findings.to_json(command=first.command, today=today),
        },
    )


def _allowances(part: _Part) -> AllowanceFile:
    """The allowances of the shards, whose file need not be on this machine."""
    with tempfile.TemporaryDirectory(prefix="harness-allowances-") as folder:
        path = Path(folder, Path(part.allowances_file).name)
        if part.allowances is not None:
            path.write_text(part.allowances, encoding="utf-8")
        return load_allowances(path, product=part.product, version=part.version)
