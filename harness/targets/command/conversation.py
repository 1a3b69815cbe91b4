"""What the harness and its runner beside the program say to each other: two JSON files.

`spec.json` says what to run; `answer.json` says what came of it. Beside the answer lie
`stdout`, `stderr` and `written.tar`. The runner is `inside/runner.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BrokenError
from harness.model.run import ExecResult, Json
from harness.targets.command.program import CommandProgram

__all__ = [
    "ANSWERS",
    "COLLECT_BYTES",
    "RUNNER",
    "Answer",
    "Entry",
    "printable",
    "read_answer",
    "write_spec",
]

RUNNER = Path(__file__).parent / "inside" / "runner.py"
STREAM_BYTES = 4 << 20
COLLECT_BYTES = 1 << 30
ANSWERS = ("answer.json", "stdout", "stderr", "written.tar")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something that the program wrote or changed.

    Attributes:
        root: "project" or "home".
        path: relative to the root; bytes that are no UTF-8 stand as surrogates.
        kind: "file", "folder", "link" or "special".
        mode: permission bits; 0 for a link.
        size_bytes: of a file.
        sha256: of a file.
        target: of a link.
    """

    root: str
    path: str
    kind: str
    mode: int = 0
    size_bytes: int = 0
    sha256: str = ""
    target: str = ""

    @property
    def shown(self) -> str:
        """The path as text that can be written anywhere."""
        return printable(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of the program.

    Attributes:
        result: how it ended, with its streams.
        entries: what it wrote or changed, sorted by root and path.
        removed: what it removed, as root and path.
        too_large: how many bytes it wrote, where that is too much to be collected; else 0.
        host: the name of the machine.
        environment: what the program saw: its variables, and facts of the machine.
    """

    result: ExecResult
    entries: tuple[Entry, ...]
    removed: tuple[tuple[str, str], ...]
    too_large: int
    host: str
    environment: Mapping[str, Json]


def write_spec(path: Path, program: CommandProgram, *, base: str, search: str | None) -> None:
    """Writes what the runner is to do.

    Args:
        path: the file.
        program: what is run.
        base: the run's own folder, as the runner sees it.
        search: the program's PATH; None for the runner's own.
    """
    tmp = f"{base}/tmp"  # noqa: S108 - of the run's own folder
    env = {"HOME": f"{base}/home", "LANG": "C.UTF-8", "TMPDIR": tmp}
    if search is not None:
        env["PATH"] = search
    document = {
        "words": list(program.words),
        "base": base,
        "env": {**env, **program.env},
        "deadline_s": program.deadline_s,
        "stream_bytes": STREAM_BYTES,
        "collect_bytes": COLLECT_BYTES,
    }
    path.write_text(json.dumps(document), encoding="ascii")


def read_answer(folder: Path, program: CommandProgram) -> Answer:
    """Reads what came of a run.

    Raises:
        BrokenError: if there is no whole answer.
    """
    try:
        said = json.loads((folder / "answer.json").read_bytes())
        return Answer(
            result=_result(said, folder, program),
            entries=tuple(Entry(**entry) for entry in said["entries"]),
            removed=tuple((root, path) for root, path in said["removed"]),
            too_large=int(said["too_large"]),
            host=str(said["host"]),
            environment={"variables": said["variables"], "machine": said["machine"]},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BrokenError(
            f"no answer from beside the program: {type(error).__name__}: {error}",
            expected="the runner to outlive the program",
            next_step=f"look into {folder}, and run the program there by hand",
        ) from error


def printable(text: str) -> str:
    """The text with bytes that are no UTF-8 written out, as Python escapes them."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _result(said: dict[str, Json], folder: Path, program: CommandProgram) -> ExecResult:
    code, signal = int(str(said["exit_code"])), said["signal"]
    timed_out = said["timed_out"] is True
    error = None if said["error"] is None else str(said["error"])
    if timed_out:
        error = f"passed its deadline of {program.deadline_s:g} s"
    elif signal is not None:
        error = f"ended by signal {signal}"
    streams = said["streams"]
    if not isinstance(streams, dict):
        raise TypeError("`streams` is no object")
    return ExecResult(
        success=code == 0 and not timed_out and error is None,
        exit_code=code,
        duration_s=float(str(said["duration_s"])),
        error_message=error,
        stdout=_stream(folder / "stdout", streams["stdout"]),
        stderr=_stream(folder / "stderr", streams["stderr"]),
        timed_out=timed_out,
        crashed=signal is not None and not timed_out,
    )


def _stream(path: Path, said: Json) -> str:
    """The text of a stream. Other bytes than UTF-8 are written out: they are content, too."""
    if not isinstance(said, dict):
        raise TypeError("a stream is no object")
    data, head = path.read_bytes(), int(str(said["head_bytes"]))
    left_out = int(str(said["left_out_bytes"]))
    if not left_out:
        return data.decode("utf-8", "backslashreplace")
    first, last = (part.decode("utf-8", "backslashreplace") for part in (data[:head], data[head:]))
    return f"{first}\n[... {left_out} bytes left out ...]\n{last}"
