"""Compares the contents of a file on both sides, by what kind of file it is.

Output data is compared as it is. Artifacts and configurations are normalised
first, as events are. JSON is compared by value, so its white space and the order
of its keys do not count in artifacts; in output data they are reported as format.
"""

from __future__ import annotations

import csv
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from harness.errors import BrokenError
from harness.model.run import Json
from harness.parity.archives import ARCHIVES, compare_archives
from harness.parity.binary import compare_bytes
from harness.parity.csv_format import CsvFormat, encoding_of, read_format, readable
from harness.parity.delta import Delta, Kind, Order
from harness.parity.file_pair import FilePair
from harness.parity.measured import MeasuredNoise
from harness.parity.narrowing import narrow
from harness.parity.packed import PACKED, is_same_packing, unpacked
from harness.parity.sqlite_tables import is_sqlite, read_sqlite
from harness.parity.table_source import (
    TableSource,
    UnreadableTableError,
    objects_of,
    parquet_format_of,
    tables_of,
)
from harness.parity.tables import NotNarrowError, compare_tables, why_unreadable
from harness.parity.text import compare_text, lines_of
from harness.parity.values import Place, compare_values, segment

__all__ = ["compare_contents"]

NARROWED_FROM_BYTES = 1 << 20
_DELIMITED = {".csv": None, ".tsv": "\t", ".tab": "\t"}
_PARQUET = frozenset({".parquet", ".pq"})
_JSON = frozenset({".json"})
_JSON_LINES = frozenset({".jsonl", ".ndjson"})
_DATABASE = frozenset({".duckdb", ".ddb"})


def compare_contents(pair: FilePair, noise: MeasuredNoise) -> Iterator[Delta]:
    """Where the contents of a file disagree.

    Args:
        pair: the file on both sides.
        noise: what is known to differ from run to run.

    Raises:
        BrokenError: if one of them is not there any more or cannot be read.
    """
    try:
        yield from _content(pair, noise)
    except OSError as error:
        raise BrokenError(
            f"cannot read {error.filename}: {error.strerror}",
            expected="the files of both runs, as they were gathered",
            next_step="run the case again; nothing may remove testing_env/runs meanwhile",
        ) from error


def _content(pair: FilePair, noise: MeasuredNoise) -> Iterator[Delta]:
    suffix = PurePosixPath(pair.left.path).suffix.lower()
    if suffix in PACKED:
        yield from _packed(pair, noise)
    elif suffix in ARCHIVES:
        yield from compare_archives(pair, lambda member: _content(member, noise))
    elif suffix in _DELIMITED:
        yield from _delimited(pair, noise, _DELIMITED[suffix])
    elif suffix in _PARQUET:
        yield from _parquet(pair, noise)
    elif suffix in _DATABASE:
        yield from _database(pair, noise)
    elif suffix in _JSON:
        yield from _json(pair, noise)
    elif suffix in _JSON_LINES:
        yield from _json_lines(pair, noise)
    elif is_sqlite(pair.left.location) and is_sqlite(pair.right.location):
        yield from _sqlite(pair, noise)
    else:
        yield from _text(pair, noise)


def _packed(pair: FilePair, noise: MeasuredNoise) -> Iterator[Delta]:
    """What is in a compressed file counts; when and how well it was packed is its format."""
    with tempfile.TemporaryDirectory(prefix="harness-packed-") as folder:
        found = [
            unpacked(file, Path(folder, side))
            for side, file in (("l", pair.left), ("r", pair.right))
        ]
        mine, theirs = found
        if isinstance(mine, str) or isinstance(theirs, str):
            told = [word if isinstance(word, str) else "compressed data" for word in found]
            if told[0] != told[1]:
                yield pair.place.delta(Kind.UNPARSABLE, *told)
            yield from compare_bytes(pair.left.location, pair.right.location, pair.place)
        elif mine.sha256 != theirs.sha256:
            yield from _content(replace(pair, left=mine, right=theirs), noise)
        elif not is_same_packing(pair.left.location, pair.right.location):
            yield from compare_bytes(pair.left.location, pair.right.location, _format(pair))


def _parquet(pair: FilePair, noise: MeasuredNoise) -> Iterator[Delta]:
    """Typed values; where they are the same, how they were packed and what readers are told."""
    paths = (pair.left.location, pair.right.location)
    deltas = list(_table(pair, noise, *(TableSource(path=path) for path in paths)))
    yield from deltas
    if deltas:
        return
    try:
        mine, theirs = (parquet_format_of(path) for path in paths)
    except UnreadableTableError:
        yield from compare_bytes(*paths, _format(pair))
    else:
        yield from compare_values({**mine}, {**theirs}, _format(pair))


def _database(pair: FilePair, noise: MeasuredNoise) -> Iterator[Delta]:
    """The tables of a DuckDB file; its pages are laid out anew by each run."""
    paths = (pair.left.location, pair.right.location)
    try:
        mine, theirs = (tables_of(path) for path in paths)
        objects = [objects_of(path) for path in paths]
    except UnreadableTableError as error:
        yield from _unreadable(pair, error)
        return
    tables = [
        {".".join(table): TableSource(path=path, table=table) for table in found}
        for path, found in zip(paths, (mine, theirs), strict=True)
    ]
    yield from _tables(pair, noise, *tables)
    yield from compare_values({**objects[0]}, {**objects[1]}, pair.place.child("objects"))


def _unreadable(pair: FilePair, error: UnreadableTableError) -> Iterator[Delta]:
    """A database that cannot be read, and where its bytes differ from the other side's."""
    yield pair.place.delta(Kind.UNPARSABLE, None, str(error))
    yield from compare_bytes(pair.left.location, pair.right.location, pair.place)


def _tables(
    pair: FilePair,
    noise: MeasuredNoise,
    mine: Mapping[str, TableSource],
    theirs: Mapping[str, TableSource],
) -> Iterator[Delta]:
    """The tables of two databases by their names."""
    for name in sorted({*mine, *theirs}):
        here = pair.place.child("tables").child(segment(name))
        if name not in theirs:
            yield here.delta(Kind.MISSING, "a table", "no table")
        elif name not in mine:
            yield here.delta(Kind.EXTRA, "no table", "a table")
        else:
            yield from _table(replace(pair, place=here), noise, mine[name], theirs[name])


def _sqlite(pair: FilePair, noise: MeasuredNoise) -> Iterator[Delta]:
    """The tables of a SQLite file; where its pages lie is not what a user reads."""
    paths = (pair.left.location, pair.right.location)
    with tempfile.TemporaryDirectory(prefix="harness-sqlite-") as folder:
        try:
            mine, theirs = (read_sqlite(path, Path(tempfile.mkdtemp(dir=folder))) for path in paths)
        except UnreadableTableError as error:
            yield from _unreadable(pair, error)
            return
        yield from _tables(pair, noise, mine.tables, theirs.tables)
        objects = [dict(mine.objects), dict(theirs.objects)]
        for name in mine.tables.keys() & theirs.tables.keys():
            if mine.tables[name].header == theirs.tables[name].header:
                objects[0][f"table {name}"] = mine.declared[name]
                objects[1][f"table {name}"] = theirs.declared[name]
        yield from compare_values({**objects[0]}, {**objects[1]}, pair.place.child("objects"))


def _text(pair: FilePair, noise: MeasuredNoise) -> Iterator[Delta]:
    texts = pair.texts()
    if texts is None:
        yield from compare_bytes(pair.left.location, pair.right.location, pair.place)
    else:
        ignored, theirs = noise.lines_of(f"{pair.place.site}/lines")
        yield from compare_text(*texts, pair.place, ignore=ignored, ignore_remote=theirs)


def _json(pair: FilePair, noise: MeasuredNoise) -> Iterator[Delta]:
    mine, theirs = _parsed(pair.left.location), _parsed(pair.right.location)
    if mine.problem or theirs.problem:
        if mine.problem != theirs.problem:
            yield pair.place.delta(
                Kind.UNPARSABLE, mine.problem or "JSON", theirs.problem or "JSON"
            )
        yield from _text(pair, noise)
        return
    left, right = mine.value, theirs.value
    if not pair.is_output:
        left, right = pair.left_tokens.json(left), pair.right_tokens.json(right)
    deltas = list(compare_values(left, right, pair.place))
    yield from deltas
    if not deltas and pair.is_output:
        yield from compare_bytes(pair.left.location, pair.right.location, _format(pair))


def _json_lines(pair: FilePair, noise: MeasuredNoise) -> Iterator[Delta]:
    texts = pair.texts()
    lines = None if texts is None else [lines_of(text) for text in texts]
    if lines is None or len(lines[0]) != len(lines[1]):
        yield from _text(pair, noise)
        return
    found = 0
    for number, (mine, theirs) in enumerate(zip(*lines, strict=True)):
        left, right = _parse(mine), _parse(theirs)
        if left.problem or right.problem:
            yield from _text(pair, noise)
            return
        here = pair.place.child("lines").child("#", f"#{number}")
        values = (left.value, right.value)
        if not pair.is_output:
            values = (pair.left_tokens.json(values[0]), pair.right_tokens.json(values[1]))
        for delta in compare_values(*values, here):
            found += 1
            yield delta
    if not found and pair.is_output:
        yield from compare_bytes(pair.left.location, pair.right.location, _format(pair))


def _delimited(pair: FilePair, noise: MeasuredNoise, delimiter: str | None) -> Iterator[Delta]:
    paths = (pair.left.location, pair.right.location)
    encodings = [encoding_of(path) for path in paths]
    alike = encodings[0].partition(":")[0] == encodings[1].partition(":")[0]
    if not alike:
        yield _format_delta(pair, "encoding", *encodings)
    with tempfile.TemporaryDirectory(prefix="harness-text-") as folder:
        texts = [
            readable(path, encoding, Path(tempfile.mkdtemp(dir=folder)))
            for path, encoding in zip(paths, encodings, strict=True)
        ]
        if texts[0] is not None and texts[1] is not None:
            yield from _records(pair, noise, (texts[0], texts[1]), delimiter, alike=alike)
        elif alike:
            yield from _text(pair, noise)


def _records(
    pair: FilePair,
    noise: MeasuredNoise,
    texts: tuple[Path, Path],
    delimiter: str | None,
    *,
    alike: bool,
) -> Iterator[Delta]:
    """Two delimited files in UTF-8: format and cells; `alike` where the encoding was the same."""
    forms = [read_format(path, delimiter) for path in texts]
    for name, mine, theirs in forms[0].differing(forms[1]):
        alike = False
        if name != "last_line" or "empty file" not in {mine, theirs}:
            yield _format_delta(pair, name, mine, theirs)
    if not pair.left.size_bytes or not pair.right.size_bytes:
        yield from _text(pair, noise)
        return
    header = all(form.header is not None for form in forms)
    deltas = _narrowed(pair, noise, texts, forms) if alike else None
    if deltas is None:
        sources = [
            _source(path, form, header=header) for path, form in zip(texts, forms, strict=True)
        ]
        deltas = list(_table(pair, noise, *sources))
    yield from deltas
    if not deltas and alike and not _is_noisy(pair, noise):
        yield from compare_bytes(pair.left.location, pair.right.location, _format(pair))


def _narrowed(
    pair: FilePair, noise: MeasuredNoise, texts: tuple[Path, Path], forms: list[CsvFormat]
) -> list[Delta] | None:
    """What a few records of two large files differ in; None where all have to be read."""
    small = max(pair.left.size_bytes, pair.right.size_bytes) < NARROWED_FROM_BYTES
    by_line = forms[0].line_end in {"LF", "CR LF"} and forms[0].header == forms[1].header
    if small or not by_line or _is_noisy(pair, noise):
        return None
    header = forms[0].header is not None
    with tempfile.TemporaryDirectory(prefix="harness-narrowed-") as folder:
        found = narrow(*texts, Path(folder), header=header)
        if found is None:
            return None
        mine, theirs = (
            _source(path, forms[0], header=header) for path in (found.local, found.remote)
        )
        try:
            return list(compare_tables(mine, theirs, pair.place, narrowed=found))
        except (NotNarrowError, UnreadableTableError):
            return None


def _table(
    pair: FilePair, noise: MeasuredNoise, local: TableSource, remote: TableSource
) -> Iterator[Delta]:
    site = pair.place.site
    try:
        yield from compare_tables(
            local,
            remote,
            pair.place,
            order=Order.ANY if f"{site}/rows" in noise.unordered else Order.PROMISED,
            ignore=noise.columns.get(f"{site}/columns", frozenset()),
        )
    except UnreadableTableError:
        whys = [why_unreadable(source) for source in (local, remote)]
        if whys[0] is None or whys[1] is None:
            yield pair.place.delta(Kind.UNPARSABLE, *(why or "a table" for why in whys))
        yield from _text(pair, noise)


def _is_noisy(pair: FilePair, noise: MeasuredNoise) -> bool:
    site = pair.place.site
    return f"{site}/columns" in noise.columns or f"{site}/rows" in noise.unordered


def _source(path: Path, form: CsvFormat, *, header: bool) -> TableSource:
    width = 0
    if not header:
        with path.open(encoding="utf-8-sig", newline="") as file:
            width = len(next(csv.reader(file, delimiter=form.delimiter), []))
    return TableSource(
        path=path, delimiter=form.delimiter, header=form.header if header else None, width=width
    )


def _format(pair: FilePair) -> Place:
    return pair.place.child("format")


def _format_delta(pair: FilePair, name: str, mine: str, theirs: str) -> Delta:
    """Offsets of bad bytes vary from file to file; that there is one is the fault."""
    shape = "→".join(
        re.sub(r":.*", "", text) if name == "encoding" else text for text in (mine, theirs)
    )
    return _format(pair).child(name).delta(Kind.VALUE, mine, theirs, shape=shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parsed:
    """A JSON value, or why there is none."""

    value: Json = None
    problem: str | None = None


def _parsed(path: Path) -> _Parsed:
    try:
        return _parse(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        return _Parsed(problem=f"not UTF-8 at {error.start}")


def _parse(text: str) -> _Parsed:
    try:
        value: Json = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        return _Parsed(problem=f"not JSON: {error}")
    return _Parsed(value=value)


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """An object; a key that stands twice would hide a value, so it is no JSON to us."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found
