"""Leaks of the product under test that are known and accepted, each with its reason.

One TOML file a version. What is not in it is a new leak; an entry that accepts
nothing any more is stale, and must go. Every problem of a file is told together.
"""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import UsageError

__all__ = ["AcceptedLeak", "Judged", "ProductLeak", "as_toml", "judge_leaks", "load_accepted"]

_KEYS = ("secret", "case", "side", "where", "reason")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ProductLeak:
    """A secret that the product wrote or sent in a readable form.

    Attributes:
        case: the pipeline.
        side: "local" or "e2b".
        secret: the variable.
        where: the file, the stream or the request, without what differs from run to run.
        encoding: how it is written there.
        line: 1-based; 0 where there are no lines.
    """

    case: str
    side: str
    secret: str
    where: str
    encoding: str
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedLeak:
    """An entry of the file; each field but the reason may hold `*`.

    Attributes:
        secret: the variable.
        case: the pipeline.
        side: "local" or "e2b".
        where: as in `ProductLeak`.
        reason: why it is accepted.
    """

    secret: str
    case: str
    side: str
    where: str
    reason: str

    def covers(self, leak: ProductLeak) -> bool:
        """Whether it accepts this leak."""
        return all(
            fnmatch.fnmatchcase(getattr(leak, key), getattr(self, key).replace("[", "[[]"))
            for key in ("secret", "case", "side", "where")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Leaks against what is accepted.

    Attributes:
        new: leaks that no entry covers.
        accepted: those that one does.
        stale: entries that cover nothing.
    """

    new: tuple[ProductLeak, ...] = ()
    accepted: tuple[ProductLeak, ...] = ()
    stale: tuple[AcceptedLeak, ...] = field(default=())


def judge_leaks(leaks: Iterable[ProductLeak], accepted: Sequence[AcceptedLeak]) -> Judged:
    """Sorts leaks into new and accepted ones, and finds the stale entries."""
    leaks = sorted(set(leaks))
    covered = tuple(leak for leak in leaks if any(entry.covers(leak) for entry in accepted))
    return Judged(
        new=tuple(leak for leak in leaks if leak not in covered),
        accepted=covered,
        stale=tuple(e for e in accepted if not any(e.covers(leak) for leak in leaks)),
    )


def load_accepted(path: Path) -> tuple[AcceptedLeak, ...]:
    """Reads a file; one that does not exist accepts nothing.

    Raises:
        UsageError: if it is not TOML with tables `[[leak]]` of the five texts.
    """
    if not path.exists():
        return ()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _refused(path, [str(error)]) from error
    entries = document.get("leak", [])
    problems = [f"unknown key {key!r}" for key in document if key != "leak"]
    accepted = []
    for number, entry in enumerate(entries if isinstance(entries, list) else [], start=1):
        texts = entry if isinstance(entry, dict) else {}
        wrong = [k for k in _KEYS if not isinstance(texts.get(k), str) or not texts[k].strip()]
        unknown = sorted(set(texts) - set(_KEYS))
        problems += [f"entry {number}: {key} must be a text" for key in wrong]
        problems += [f"entry {number}: unknown key {key!r}" for key in unknown]
        if not wrong and not unknown:
            accepted.append(AcceptedLeak(**texts))
    if problems:
        raise _refused(path, problems)
    return tuple(accepted)


def as_toml(leak: ProductLeak) -> str:
    """An entry to paste, its reason left to be written."""
    return (
        f'[[leak]]\nsecret = "{leak.secret}"\ncase = "{leak.case}"\nside = "{leak.side}"\n'
        f'where = "{leak.where}"\nreason = ""\n'
    )


def _refused(path: Path, problems: list[str]) -> UsageError:
    return UsageError(
        f"{path}: {'; '.join(problems)}",
        expected=f"[[leak]] tables with the texts {', '.join(_KEYS)}",
        next_step=f"correct {path}",
    )
