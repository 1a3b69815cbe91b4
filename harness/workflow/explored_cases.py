"""Keeps what an exploration has found, as files of the case library, from the first find on.

A file holds the smallest pipeline known so far, and as comments what differed, where
it was found, how far it shrank, and the cause where it is a known one. It is replaced
when a smaller pipeline is found, so that whoever ends the exploration has the files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BrokenError
from harness.model.difference import Allowance, Difference
from harness.model.run import Json, PipelineCase
from harness.ports import Explorable, Sketch

__all__ = ["CaseFolder", "Find", "name_of"]


@dataclass(slots=True, kw_only=True)
class Find:
    """One divergence that was found.

    Attributes:
        fault: what tells it from others.
        difference: as the pipeline showed it in which it was found.
        example: the number of that pipeline, from 1.
        before: that pipeline.
        after: the smallest one known.
        seen_in: how many of the drawn pipelines showed it; 0 where a louder fault stood
            before it in all of them, and a smaller pipeline showed it.
        whole: nothing one cut smaller than `after` shows it.
        runs: how many runs its shrinking cost.
        confirmed: whether two local runs and a remote one show it, too; None before that.
        known: the allowance that accepts it in the pipelines of the library; None for none.
    """

    fault: str
    difference: Difference
    example: int
    before: Sketch
    after: Sketch
    seen_in: int = 1
    whole: bool = False
    runs: int = 0
    confirmed: bool | None = None
    known: Allowance | None = None

    def to_json(self, file: Path) -> dict[str, Json]:
        """The find, as the verdict has it."""
        shown = self.difference.to_json()
        return {
            **{name: value for name, value in shown.items() if name not in {"pipelines", "cause"}},
            "example": self.example,
            "seen_in": self.seen_in,
            "before": _size(self.before),
            "after": _size(self.after),
            "smallest": self.whole,
            "runs": self.runs,
            "confirmed": self.confirmed,
            "file": str(file),
            "known": None
            if self.known is None
            else {
                "source": self.known.source,
                "reason": self.known.reason,
                "link": self.known.link,
            },
        }


class CaseFolder:
    """The folder of one exploration's cases.

    Args:
        folder: made where it is missing; files of an earlier exploration in it are removed.
        target: writes cases as its library reads them.
        origin: where the pipelines come from, for the comments.
    """

    def __init__(self, folder: Path, target: Explorable, *, origin: str) -> None:
        self.folder = folder
        self._target = target
        self._origin = origin
        self._written: dict[Path, str] = {}
        for path in folder.glob("explored-*.yaml"):
            path.unlink()

    def path_of(self, find: Find) -> Path:
        """Where the find's smallest pipeline is, or will be."""
        return self.folder / f"{name_of(find.after)}.yaml"

    def write(self, finds: Sequence[Find]) -> None:
        """Makes the folder hold exactly the smallest pipelines of these finds.

        Raises:
            BrokenError: if it cannot be written.
        """
        texts = dict(self._texts(finds))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for path, text in texts.items():
                if self._written.get(path) != text:
                    path.write_text(text, encoding="utf-8")
            for path in self._written.keys() - texts.keys():
                path.unlink(missing_ok=True)
        except OSError as error:
            raise BrokenError(
                f"cannot write {error.filename or self.folder}: {error.strerror}",
                expected="a folder that can be written to and has space left",
                next_step="make room, then run the exploration again",
            ) from error
        self._written = texts

    def _texts(self, finds: Sequence[Find]) -> Iterator[tuple[Path, str]]:
        together: dict[Sketch, list[Find]] = {}
        for find in finds:
            together.setdefault(find.after, []).append(find)
        for sketch, group in together.items():
            case = sketch.case(name_of(sketch), purpose=_purpose(group))
            notes = [f"Found by exploration: {self._origin}.", ""]
            notes += [note for find in group for note in _notes(find)]
            yield self.path_of(group[0]), self._target.write_case(case, notes=notes[:-1])


def name_of(sketch: Sketch) -> str:
    """The name of a pipeline's case: the same for the same pipeline."""
    case: PipelineCase = sketch.case("explored", purpose="")
    digest = hashlib.sha256(case.oml.encode())
    for name, data in sorted(case.files.items()):
        digest.update(f"\0{name}\0".encode() + data)
    return f"explored-{digest.hexdigest()[:8]}"


def _purpose(group: Sequence[Find]) -> str:
    first = group[0].difference
    more = f", and {len(group) - 1} more differences" if len(group) > 1 else ""
    return f"The smallest pipeline known to show {first.path} ({first.kind}){more}."


def _notes(find: Find) -> Iterator[str]:
    shown, before, after = find.difference, find.before, find.after
    yield f"{shown.id} {shown.path} ({shown.kind})"
    yield f"  here: {_first_line(shown.local)}"
    yield f"  sandbox: {_first_line(shown.remote)}"
    yield (
        f"  example {find.example}: {before.step_count} steps, {before.size_bytes} bytes"
        f" -> {after.step_count} steps, {after.size_bytes} bytes"
    )
    if find.confirmed is False:
        yield "  not seen again with the noise of two local runs left out"
    if find.known is not None:
        yield f"  cause: {find.known.reason} ({find.known.link or find.known.source})"
    yield ""


def _first_line(value: str | None) -> str:
    return "(nothing)" if value is None else (value.splitlines() or [""])[0]


def _size(sketch: Sketch) -> dict[str, Json]:
    return {"steps": sketch.step_count, "bytes": sketch.size_bytes}
