"""Compares the files of two runs: which there are, their modes, and their contents."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from harness.model.evidence import FileEvidence, FileRole
from harness.parity.contents import compare_contents
from harness.parity.delta import Delta, Kind
from harness.parity.file_pair import FilePair
from harness.parity.measured import QUIET, MeasuredNoise
from harness.parity.normalise import NormalisedEvidence
from harness.parity.values import Place

__all__ = ["compare_files"]

_COMPARED = (FileRole.OUTPUT, FileRole.ARTIFACT, FileRole.CFG, FileRole.RUN)


def compare_files(
    local: NormalisedEvidence,
    remote: NormalisedEvidence,
    *,
    steps: Collection[str] = (),
    noise: MeasuredNoise = QUIET,
) -> Iterator[Delta]:
    """Where the files of two runs disagree; outputs first, then artifacts, then the rest.

    Args:
        local: the local side.
        remote: the remote side.
        steps: the steps of the pipeline, to keep their names out of general paths.
        noise: what is known to differ from run to run.

    Raises:
        BrokenError: if a file of the evidence is not there any more or cannot be read.
    """
    for role in (*_COMPARED, FileRole.STATUS):
        mine = {file.path: file for file in local.evidence.files if file.role is role}
        theirs = {file.path: file for file in remote.evidence.files if file.role is role}
        for path in sorted({**mine, **theirs}):
            place = _place(role, path, steps)
            left, right = mine.get(path), theirs.get(path)
            if left is None or right is None:
                yield from _one_sided(left, right, place)
                continue
            if left.delivered != right.delivered:
                told = (_whereabouts(left), _whereabouts(right))
                yield place.child("delivered").delta(Kind.VALUE, *told, shape="→".join(told))
            if left.mode != right.mode:
                modes = (f"0o{left.mode:o}", f"0o{right.mode:o}")
                yield place.child("mode").delta(Kind.VALUE, *modes, shape="→".join(modes))
            if role is not FileRole.STATUS and left.sha256 != right.sha256:
                pair = FilePair(
                    left=left,
                    right=right,
                    place=place,
                    left_tokens=local.normaliser,
                    right_tokens=remote.normaliser,
                )
                yield from compare_contents(pair, noise)


def _whereabouts(file: FileEvidence) -> str:
    return "on this machine" if file.delivered else "in the sandbox only"


def _one_sided(
    left: FileEvidence | None, right: FileEvidence | None, place: Place
) -> Iterator[Delta]:
    if left is not None:
        yield place.delta(Kind.MISSING, f"{left.size_bytes} bytes", "no file")
    elif right is not None:
        yield place.delta(Kind.EXTRA, "no file", f"{right.size_bytes} bytes")


def _place(role: FileRole, path: str, steps: Collection[str]) -> Place:
    """`files/<role>/<path>`; in artifacts and configurations a step's name is `<step>`."""
    site = f"files/{role.value}/{path}"
    if role not in {FileRole.ARTIFACT, FileRole.CFG}:
        return Place(path=site, site=site)
    step: str | None = None
    parts: list[str] = []
    for part in path.split("/"):
        name, dot, rest = part.partition(".")
        if step is None and name in steps:
            step = name
            parts.append(f"<step>{dot}{rest}")
        else:
            parts.append(part)
    return Place(path=f"files/{role.value}/{'/'.join(parts)}", site=site, step=step)
