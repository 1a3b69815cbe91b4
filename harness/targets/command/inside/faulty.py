"""Runs a program in a sandbox, and then does to its results what a bad sandbox might do.

Run by `python3 -c`, with the name of a fault and the program's words. Standard library only;
any Python from 3.9. `harness.targets.command.controls` says what each fault must show as.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TABLE = Path("out/table.csv")
RECORDS = Path("out/records.jsonl")
SUMMARY = Path("out/summary.json")
CUT_BYTES = 32 << 10


@dataclass
class Ended:
    """How the program ended: what a fault may change, beside the files."""

    code: int
    stdout: bytes
    stderr: bytes


def _table(change: Callable[[list[str]], object]) -> Callable[[Ended], None]:
    """A fault in the lines of the table; the first one is its header."""

    def apply(ended: Ended) -> None:
        del ended
        lines = TABLE.read_text(encoding="utf-8").splitlines(keepends=True)
        change(lines)
        TABLE.write_text("".join(lines), encoding="utf-8")

    return apply


def _cell(row: int, column: int, change: Callable[[str], str]) -> Callable[[Ended], None]:
    """A fault in one of the first cells of a row, none of which is quoted."""

    def edit(lines: list[str]) -> None:
        parts = lines[row].split(",", 5)
        parts[column] = change(parts[column])
        lines[row] = ",".join(parts)

    return _table(edit)


def _swap(lines: list[str]) -> None:
    lines[1], lines[-1] = lines[-1], lines[1]


def _swap_ids(lines: list[str]) -> None:
    one, other = (lines[n].split(",", 1) for n in (2, 3))
    lines[2], lines[3] = f"{other[0]},{one[1]}", f"{one[0]},{other[1]}"


def _drop_column(lines: list[str]) -> None:
    for number, line in enumerate(lines):
        first, name, _, rest = line.split(",", 3)
        lines[number] = f"{first},{name},{rest}"


def _file(path: str, change: Callable[[bytes], bytes]) -> Callable[[Ended], None]:
    def apply(ended: Ended) -> None:
        del ended
        Path(path).write_bytes(change(Path(path).read_bytes()))

    return apply


def _do(action: Callable[[], object]) -> Callable[[Ended], None]:
    def apply(ended: Ended) -> None:
        del ended
        action()

    return apply


def _end(**changes: object) -> Callable[[Ended], None]:
    def apply(ended: Ended) -> None:
        for name, value in changes.items():
            setattr(ended, name, value)

    return apply


def _cut(ended: Ended) -> None:
    ended.stdout = ended.stdout[:CUT_BYTES]


def _mix(ended: Ended) -> None:
    ended.stdout, ended.stderr = ended.stdout + ended.stderr, b""


def _lose_error(ended: Ended) -> None:
    ended.stderr = ended.stderr.splitlines(keepends=True)[0]


def _lose_record(ended: Ended) -> None:
    del ended
    lines = RECORDS.read_text().splitlines(keepends=True)
    RECORDS.write_text("".join(lines[:5] + lines[6:]))


def _reorder_records(ended: Ended) -> None:
    del ended
    lines = RECORDS.read_text().splitlines(keepends=True)
    RECORDS.write_text("".join([lines[1], lines[0], *lines[2:]]))


def _summary(**changes: object) -> Callable[[Ended], None]:
    def apply(ended: Ended) -> None:
        del ended
        SUMMARY.write_text(json.dumps({**json.loads(SUMMARY.read_text()), **changes}))

    return apply


def _relink(ended: Ended) -> None:
    del ended
    Path("out/latest").unlink()
    Path("out/latest").symlink_to("data.bin")


def _unlink_to_copy(ended: Ended) -> None:
    del ended
    Path("out/latest").unlink()
    shutil.copy("out/notes.txt", "out/latest")


def _of_rows(change: Callable[[str], str]) -> Callable[[Ended], None]:
    """A fault in every row of the table."""

    def edit(lines: list[str]) -> None:
        lines[1:] = [change(line) for line in lines[1:]]

    return _table(edit)


def _quote(line: str) -> str:
    first = line.rstrip("\n").split(",", 5)
    return ",".join([*(f'"{cell}"' for cell in first[:5]), first[5]]) + "\n"


def _part() -> Path:
    return next(Path("out").glob("part-*.txt"))


def _pack(table: bool, notes: bool, method: int = zipfile.ZIP_DEFLATED) -> Callable[[Ended], None]:  # noqa: FBT001 - which members
    """The archive with a table that lacks its last row, or without the notes."""

    def apply(ended: Ended) -> None:
        del ended
        lines = TABLE.read_text(encoding="utf-8").splitlines(keepends=True)
        with zipfile.ZipFile("out/bundle.zip", "w", method) as bundle:
            info = zipfile.ZipInfo.from_file(TABLE, "table.csv")
            info.compress_type = method
            bundle.writestr(info, "".join(lines if table else lines[:-1]))
            if notes:
                bundle.write("out/notes.txt", "notes.txt")

    return apply


def _database(statement: str) -> Callable[[Ended], None]:
    """The database after one more statement."""

    def apply(ended: Ended) -> None:
        del ended
        with sqlite3.connect("out/state.db") as state:
            state.execute(statement)
        state.close()

    return apply


def _turn_folder(ended: Ended) -> None:
    del ended
    Path("out/notes.txt").unlink()
    Path("out/notes.txt").mkdir()


def _colour(ended: Ended) -> None:
    ended.stdout = b"\x1b[32m" + ended.stdout + b"\x1b[0m"


def _swap_lines(ended: Ended) -> None:
    lines = ended.stdout.splitlines(keepends=True)
    ended.stdout = b"".join([*lines[:-2], lines[-1], lines[-2]])


def _swap_streams(ended: Ended) -> None:
    ended.stdout, ended.stderr = ended.stderr, ended.stdout


def _repeat_key(data: bytes) -> bytes:
    return data.replace(b'"rows"', b'"rows": 39, "rows"', 1)


def _turn_keys(data: bytes) -> bytes:
    return json.dumps(dict(reversed(list(json.loads(data).items())))).encode()


def _crash(ended: Ended) -> None:
    del ended
    os.abort()


FAULTS: dict[str, Callable[[Ended], None]] = {
    "nothing": _end(),
    "row lost": _table(lambda lines: lines.pop(7)),
    "row doubled": _table(lambda lines: lines.insert(7, lines[7])),
    "rows out of order": _table(_swap),
    "last line lost": _table(list.pop),
    "float rounded": _cell(3, 2, lambda text: f"{float(text):.3f}"),
    "integer turned float": _cell(3, 3, lambda text: f"{text}.0"),
    "number beyond its digits": _cell(5, 3, lambda text: f"{float(text):.1e}"),
    "null turned empty text": _table(lambda lines: lines.__setitem__(7, lines[7][:-1] + '""\n')),
    "time zone shifted": _cell(
        4, 4, lambda text: text.replace("T08:00:00.250+00", "T10:00:00.250+02")
    ),
    "encoding changed": _file("out/table.csv", lambda data: data.decode().encode("latin-1")),
    "line ends changed": _file("out/table.csv", lambda data: data.replace(b"\n", b"\r\n")),
    "column renamed": _table(lambda lines: lines.__setitem__(0, lines[0].replace("name", "title"))),
    "column dropped": _table(_drop_column),
    "two ids swapped": _table(_swap_ids),
    "record lost": _lose_record,
    "records out of order": _reorder_records,
    "value turned float": _summary(rows=40.0),
    "value turned null": _summary(ok=None),
    "key added": _summary(password="planted-by-a-control"),  # noqa: S106 - what a control plants
    "byte changed": _file("out/data.bin", lambda data: data[:700] + b"\xff" + data[701:]),
    "file truncated": _file("out/data.bin", lambda data: data[:-100]),
    "line changed": _file("out/notes.txt", lambda data: data.replace(b"second", b"2nd")),
    "file lost": _do(lambda: Path("out/notes.txt").unlink()),
    "file left over": _do(lambda: Path("out/core.1234").write_bytes(b"x")),
    "permissions changed": _do(lambda: Path("out/tool.sh").chmod(0o644)),
    "folder lost": _do(lambda: Path("out/empty").rmdir()),
    "folder closed": _do(lambda: Path("out/empty").chmod(0o700)),
    "link to something else": _relink,
    "link turned into a copy": _unlink_to_copy,
    "removed file back": _do(lambda: Path("input.txt").write_text("to be removed\n")),
    "file at home lost": _do(lambda: Path(os.environ["HOME"], "seen.txt").unlink()),
    "header in other case": _table(lambda lines: lines.__setitem__(0, lines[0].title())),
    "header lost": _table(lambda lines: lines.pop(0)),
    "file written twice": _file("out/table.csv", lambda data: data + data),
    "decimal comma": _cell(3, 2, lambda text: '"' + text.replace(".", ",") + '"'),
    "thousands separator": _cell(40, 3, lambda text: f'"{int(text):,}"'),
    "fraction of a second lost": _of_rows(lambda line: line.replace(":00.250+", ":00+")),
    "date in other order": _cell(4, 4, lambda text: f"{text[8:10]}.{text[5:7]}.{text[:4]}"),
    "space behind a cell": _cell(4, 1, lambda text: f"{text} "),
    "character that takes no room": _cell(4, 1, lambda text: f"{text}\u200b"),
    "letters decomposed": _of_rows(lambda line: line.replace("é", "e\u0301")),
    "characters replaced": _of_rows(lambda line: line.replace("é", "\ufffd")),
    "every cell quoted": _of_rows(_quote),
    "row cut in the middle": _file("out/table.csv", lambda data: data[:-25]),
    "text turned null": _table(
        lambda lines: lines.__setitem__(3, ",".join([*lines[3].split(",", 5)[:5], "\n"]))
    ),
    "number turned text": _summary(rows="40"),
    "key that stands twice": _file("out/summary.json", _repeat_key),
    "keys in other order": _file("out/summary.json", _turn_keys),
    "record torn": _file("out/records.jsonl", lambda data: data[:-6]),
    "row lost in an archive": _pack(table=False, notes=True),
    "member lost from an archive": _pack(table=True, notes=False),
    "archive not compressed": _pack(table=True, notes=True, method=zipfile.ZIP_STORED),
    "row lost in a database": _database("DELETE FROM seen WHERE id = 7"),
    "integer turned real in a database": _database("UPDATE seen SET amount = 49.0 WHERE id = 7"),
    "index lost from a database": _database("DROP INDEX by_amount"),
    "line lost under a drawn name": _do(lambda: _part().write_text("drawn\n")),
    "file of a drawn name lost": _do(lambda: _part().unlink()),
    "name in other case": _do(lambda: Path("out/notes.txt").rename("out/Notes.txt")),
    "hidden file left over": _do(lambda: Path("out/.notes.txt.swp").write_bytes(b"x")),
    "file turned folder": _turn_folder,
    "tabs turned spaces": _file("out/notes.txt", lambda data: data.replace(b"\t", b"    ")),
    "colours in stdout": _colour,
    "lines of stdout swapped": _swap_lines,
    "streams swapped": _swap_streams,
    "warning lost": _end(stderr=b""),
    "stdout cut at 32 KiB": _cut,
    "stderr in stdout": _mix,
    "exit code changed": _end(code=1),
    "crash at the end": _crash,
    "exit code 0 on failure": _end(code=0),
    "error text lost": _lose_error,
    "other exit code on failure": _end(code=1),
}


def main() -> None:
    """Runs the program and plants the fault."""
    name, *words = sys.argv[1:]
    done = subprocess.run(words, capture_output=True, check=False)
    ended = Ended(done.returncode, done.stdout, done.stderr)
    FAULTS[name](ended)
    sys.stdout.buffer.write(ended.stdout)
    sys.stderr.buffer.write(ended.stderr)
    sys.exit(ended.code)


if __name__ == "__main__":
    main()
