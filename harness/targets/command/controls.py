"""Controls that happen inside a sandbox: a program whose results are spoilt there.

The same program runs here and there, for real. In the sandbox it is run by `inside/faulty.py`,
which plants one fault into its results before anything of them leaves the sandbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from harness.targets.command.program import CommandProgram

__all__ = ["FAILING", "FAULTS", "NO_FAULT", "control_program", "spoilt"]

NO_FAULT = "nothing"
FAULTY = Path(__file__).parent / "inside" / "faulty.py"
JOB = Path(__file__).parent / "control_job"
_TABLE = "files/output/out/table.csv"

FAULTS: Mapping[str, str] = {
    "row lost": f"{_TABLE}/rows",
    "row doubled": f"{_TABLE}/rows",
    "rows out of order": f"{_TABLE}/rows",
    "last line lost": f"{_TABLE}/rows",
    "float rounded": f"{_TABLE}/columns/amount",
    "integer turned float": f"{_TABLE}/columns/count",
    "number beyond its digits": f"{_TABLE}/columns/count",
    "null turned empty text": f"{_TABLE}/columns/note",
    "time zone shifted": f"{_TABLE}/columns/moment",
    "encoding changed": f"{_TABLE}/format/encoding",
    "line ends changed": f"{_TABLE}/format/line_end",
    "column renamed": f"{_TABLE}/columns/name",
    "column dropped": f"{_TABLE}/columns/amount",
    "two ids swapped": f"{_TABLE}/columns/id",
    "record lost": "files/output/out/records.jsonl",
    "records out of order": "files/output/out/records.jsonl",
    "value turned float": "files/output/out/summary.json/rows",
    "value turned null": "files/output/out/summary.json/ok",
    "key added": "files/output/out/summary.json/password",
    "byte changed": "files/output/out/data.bin/bytes",
    "file truncated": "files/output/out/data.bin/bytes",
    "line changed": "files/output/out/notes.txt/lines",
    "file lost": "files/output/out/notes.txt",
    "file left over": "files/output/out/core.1234",
    "permissions changed": "files/output/out/tool.sh/mode",
    "folder lost": "status/folders/out~1empty",
    "folder closed": "status/folders/out~1empty",
    "link to something else": "status/links/out~1latest",
    "link turned into a copy": "files/output/out/latest",
    "removed file back": "status/removed/input.txt",
    "file at home lost": "files/artifact/home/seen.txt",
    "header in other case": f"{_TABLE}/columns/",
    "header lost": f"{_TABLE}/rows",
    "file written twice": f"{_TABLE}/rows",
    "decimal comma": f"{_TABLE}/columns/amount",
    "thousands separator": f"{_TABLE}/columns/count",
    "fraction of a second lost": f"{_TABLE}/columns/moment",
    "date in other order": f"{_TABLE}/columns/moment",
    "space behind a cell": f"{_TABLE}/columns/name",
    "character that takes no room": f"{_TABLE}/columns/name",
    "letters decomposed": f"{_TABLE}/columns/note",
    "characters replaced": f"{_TABLE}/columns/note",
    "every cell quoted": f"{_TABLE}/format/bytes",
    "row cut in the middle": "files/output/out/table.csv",
    "text turned null": f"{_TABLE}/columns/note",
    "number turned text": "files/output/out/summary.json/rows",
    "key that stands twice": "files/output/out/summary.json",
    "keys in other order": "files/output/out/summary.json/format",
    "record torn": "files/output/out/records.jsonl",
    "row lost in an archive": "files/output/out/bundle.zip/members/table.csv/rows",
    "member lost from an archive": "files/output/out/bundle.zip/members/notes.txt",
    "archive not compressed": "files/output/out/bundle.zip/members/notes.txt/format",
    "row lost in a database": "files/output/out/state.db/tables/seen/rows",
    "integer turned real in a database": "files/output/out/state.db/tables/seen/columns/amount",
    "index lost from a database": "files/output/out/state.db/objects/index by_amount",
    "line lost under a drawn name": "files/output/out/part-<random:1>.txt/lines",
    "file of a drawn name lost": "files/output/out/part-<random:1>.txt",
    "name in other case": "files/output/out/Notes.txt",
    "hidden file left over": "files/output/out/.notes.txt.swp",
    "file turned folder": "status/folders/out~1notes.txt",
    "tabs turned spaces": "files/output/out/notes.txt/lines",
    "colours in stdout": "stdout/lines",
    "lines of stdout swapped": "stdout/lines",
    "streams swapped": "stderr/lines",
    "warning lost": "stderr/lines",
    "stdout cut at 32 KiB": "stdout/lines",
    "stderr in stdout": "stderr/lines",
    "exit code changed": "exit_code",
    "crash at the end": "outcome",
}
"""What can be done to a run that succeeds, and the path at which it must be found."""

FAILING: Mapping[str, str] = {
    "exit code 0 on failure": "outcome",
    "other exit code on failure": "exit_code",
    "error text lost": "stderr/lines",
}
"""The same for a run that fails."""


def control_program(path: str, *, fails: bool = False) -> CommandProgram:
    """The program that is run on both sides.

    Args:
        path: the search path of the local side.
        fails: whether it ends with an exit code other than 0.
    """
    words = ("python3", "job.py", *(("--fail",) if fails else ()))
    return CommandProgram(words=words, folder=JOB, path=path, deadline_s=60)


def spoilt(program: CommandProgram, fault: str) -> CommandProgram:
    """The program as a bad sandbox would run it."""
    script = FAULTY.read_text(encoding="utf-8")
    return replace(program, words=("python3", "-c", script, fault, *program.words))
