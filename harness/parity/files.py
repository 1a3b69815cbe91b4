"""Compares the files of two runs: which there are, their modes, and their content by its kind.

Output data is compared as it is. Artifacts and configurations are normalised
first, as events are. JSON is compared by value, so its white space and the order
of its keys do not count in artifacts; in output data they are reported as format.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from harness.errors import BrokenError
from harness.model.evidence import FileEvidence, FileRole
from harness.model.run import Json
from harness.parity.binary import compare_bytes
from harness.parity.csv_format import CsvFormat, read_format, unreadable
from harness.parity.delta import Delta, Kind, Order
from harness.parity.measured import QUIET, MeasuredNoise
from harness.parity.normalise import NormalisedEvidence
from harness.parity.tables import TableSource, UnreadableTableError, compare_tables
from harness.parity.text import compare_text, lines_of
from harness.parity.tokens import Normaliser
from harness.parity.values import Place, compare_values

__all__ = ["compare_files"]

MAX_TEXT_BYTES = 256 << 20
_DELIMITED = {".csv": None, ".tsv": "\t", ".tab": "\t"}
_PARQUET = frozenset({".parquet", ".pq"})
_JSON = frozenset({".json"})
_JSON_LINES = frozenset({".jsonl", ".ndjson"})


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
    for role in (FileRole.OUTPUT, FileRole.ARTIFACT, FileRole.CFG, FileRole.STATUS):
        mine = {file.path: file for file in local.evidence.files if file.role is role}
        theirs = {file.path: file for file in remote.evidence.files if file.role is role}
        for path in sorted({**mine, **theirs}):
            place = _place(role, path, steps)
            left, right = mine.get(path), theirs.get(path)
            if left is None or right is None:
                yield from _one_sided(left, right, place)
                continue
            if left.mode != right.mode:
                modes = (f"0o{left.mode:o}", f"0o{right.mode:o}")
                yield place.child("mode").delta(Kind.VALUE, *modes, shape="→".join(modes))
            if role is not FileRole.STATUS and left.sha256 != right.sha256:
                pair = _Pair(left, right, place, local.normaliser, remote.normaliser)
                yield from _readable(pair, noise)


@dataclass(frozen=True, slots=True)
class _Pair:
    """One file on both sides."""

    left: FileEvidence
    right: FileEvidence
    place: Place
    left_tokens: Normaliser
    right_tokens: Normaliser

    @property
    def is_output(self) -> bool:
        return self.left.role is FileRole.OUTPUT

    def texts(self) -> tuple[str, str] | None:
        """Both contents as text, normalised unless they are data; None where one is not UTF-8."""
        if max(self.left.size_bytes, self.right.size_bytes) > MAX_TEXT_BYTES:
            return None
        contents = (self.left.location.read_bytes(), self.right.location.read_bytes())
        try:
            mine, theirs = (content.decode("utf-8") for content in contents)
        except UnicodeDecodeError:
            return None
        if "\0" in mine or "\0" in theirs:
            return None
        if self.is_output:
            return mine, theirs
        return _normal(self.left_tokens, mine), _normal(self.right_tokens, theirs)


def _one_sided(
    left: FileEvidence | None, right: FileEvidence | None, place: Place
) -> Iterator[Delta]:
    if left is not None:
        yield place.delta(Kind.MISSING, f"{left.size_bytes} bytes", "no file")
    elif right is not None:
        yield place.delta(Kind.EXTRA, "no file", f"{right.size_bytes} bytes")


def _readable(pair: _Pair, noise: MeasuredNoise) -> Iterator[Delta]:
    try:
        yield from _content(pair, noise)
    except OSError as error:
        raise BrokenError(
            f"cannot read {error.filename}: {error.strerror}",
            expected="the files of both runs, as they were gathered",
            next_step="run the case again; nothing may remove testing_env/runs meanwhile",
        ) from error


def _content(pair: _Pair, noise: MeasuredNoise) -> Iterator[Delta]:
    suffix = PurePosixPath(pair.left.path).suffix.lower()
    if suffix in _DELIMITED:
        yield from _delimited(pair, noise, _DELIMITED[suffix])
    elif suffix in _PARQUET:
        sources = (TableSource(path=pair.left.location), TableSource(path=pair.right.location))
        yield from _table(pair, noise, *sources)
    elif suffix in _JSON:
        yield from _json(pair, noise)
    elif suffix in _JSON_LINES:
        yield from _json_lines(pair, noise)
    else:
        yield from _text(pair, noise)


def _text(pair: _Pair, noise: MeasuredNoise) -> Iterator[Delta]:
    texts = pair.texts()
    if texts is None:
        yield from compare_bytes(pair.left.location, pair.right.location, pair.place)
    else:
        ignored = noise.lines.get(f"{pair.place.site}/lines", ())
        yield from compare_text(*texts, pair.place, ignore=ignored)


def _json(pair: _Pair, noise: MeasuredNoise) -> Iterator[Delta]:
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


def _json_lines(pair: _Pair, noise: MeasuredNoise) -> Iterator[Delta]:
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


def _delimited(pair: _Pair, noise: MeasuredNoise, delimiter: str | None) -> Iterator[Delta]:
    forms = (
        read_format(pair.left.location, delimiter),
        read_format(pair.right.location, delimiter),
    )
    differing = forms[0].differing(forms[1])
    for name, mine, theirs in differing:
        if name != "last_line" or "empty file" not in {mine, theirs}:
            yield (
                _format(pair)
                .child(name)
                .delta(Kind.VALUE, mine, theirs, shape=_format_shape(name, mine, theirs))
            )
    if unreadable(forms[0]) or unreadable(forms[1]):
        if forms[0].encoding == forms[1].encoding:
            yield from _text(pair, noise)
        return
    if not pair.left.size_bytes or not pair.right.size_bytes:
        yield from _text(pair, noise)
        return
    header = forms[0].header is not None and forms[1].header is not None
    sources = (
        _source(pair.left.location, forms[0], header=header),
        _source(pair.right.location, forms[1], header=header),
    )
    deltas = list(_table(pair, noise, *sources))
    yield from deltas
    if not deltas and not differing and not _is_noisy(pair, noise):
        yield from compare_bytes(pair.left.location, pair.right.location, _format(pair))


def _table(
    pair: _Pair, noise: MeasuredNoise, local: TableSource, remote: TableSource
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
    except UnreadableTableError as error:
        yield pair.place.delta(Kind.UNPARSABLE, None, str(error))
        yield from _text(pair, noise)


def _is_noisy(pair: _Pair, noise: MeasuredNoise) -> bool:
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


def _format(pair: _Pair) -> Place:
    return pair.place.child("format")


def _format_shape(name: str, mine: str, theirs: str) -> str:
    """Offsets of bad bytes differ from file to file; that there is one is the fault."""
    short = [re.sub(r":.*", "", text) if name == "encoding" else text for text in (mine, theirs)]
    return "→".join(short)


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


def _normal(normaliser: Normaliser, text: str) -> str:
    return "".join(normaliser.text(line) for line in lines_of(text))


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
