"""What a delimited text file is like apart from its cells: encoding, delimiter, line ends."""

from __future__ import annotations

import codecs
import csv
import io
from dataclasses import dataclass, fields
from pathlib import Path

__all__ = ["CsvFormat", "encoding_of", "read_format", "readable"]

DELIMITERS = ",;\t|"
HEAD_BYTES = 1 << 20
CHUNK_BYTES = 1 << 20
UTF_16 = "UTF-16"
UTF_32 = "UTF-32"
NOT_UTF_8 = "not UTF-8"
_BOMS = (
    (codecs.BOM_UTF8, "UTF-8 with a byte order mark"),
    (codecs.BOM_UTF32_LE, UTF_32),  # begins as UTF-16's does
    (codecs.BOM_UTF32_BE, UTF_32),
    (codecs.BOM_UTF16_LE, UTF_16),
    (codecs.BOM_UTF16_BE, UTF_16),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvFormat:
    """How a delimited text file is written.

    Attributes:
        delimiter: the character between cells.
        line_end: LF, CR LF, CR, mixed or none.
        last_line: whether the last line has an end.
        header: the first record where it names columns: not empty, no numbers.
    """

    delimiter: str
    line_end: str
    last_line: str
    header: tuple[str, ...] | None

    def differing(self, other: CsvFormat) -> list[tuple[str, str, str]]:
        """Names of the attributes that differ, with both values; the header is not among them."""
        named = [
            (field.name, getattr(self, field.name), getattr(other, field.name))
            for field in fields(self)
            if field.name != "header"
        ]
        return [(name, str(mine), str(theirs)) for name, mine, theirs in named if mine != theirs]


def read_format(path: Path, delimiter: str | None = None) -> CsvFormat:
    """Reads the file once, in pieces.

    Args:
        path: the file.
        delimiter: the delimiter where it is known; else the likeliest of `,` `;` tab `|`.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    text = head.decode("utf-8-sig", errors="replace")
    first = next(iter(io.StringIO(text, newline="")), "")
    delimiter = delimiter or max(DELIMITERS, key=lambda candidate: _cells(first, candidate))
    return CsvFormat(
        delimiter=delimiter,
        line_end=_line_end(path),
        last_line=_last_line(path),
        header=_header(text, delimiter),
    )


def encoding_of(path: Path) -> str:
    """The encoding: UTF-8, what the first bytes declare, or where the file stops being UTF-8."""
    with path.open("rb") as file:
        head = file.read(len(codecs.BOM_UTF32_LE))
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    return _utf_8_or_where_not(path)


def readable(path: Path, encoding: str, folder: Path) -> Path | None:
    """The file as UTF-8: itself, or a copy in `folder`; None where it cannot be one.

    Of bytes that are no UTF-8 each stands for the character of its number, so that cells
    can be told apart, whatever they mean. Zero bytes are in no text.
    """
    if encoding.startswith("UTF-8"):
        return path
    copy = folder / path.name
    codec = {UTF_16: "utf-16", UTF_32: "utf-32"}.get(encoding, "latin-1")
    try:
        with (
            path.open(encoding=codec, newline="") as original,
            copy.open("w", encoding="utf-8", newline="") as text,
        ):
            while piece := original.read(CHUNK_BYTES):
                if "\0" in piece:
                    return None
                text.write(piece)
    except UnicodeError:
        return None
    return copy


def _cells(line: str, delimiter: str) -> int:
    try:
        return len(next(csv.reader([line], delimiter=delimiter), []))
    except csv.Error:
        return 0


def _header(text: str, delimiter: str) -> tuple[str, ...] | None:
    try:
        first = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    except csv.Error:
        return None
    named = all(name.strip() and not _is_number(name) for name in first)
    return tuple(first) if first and named else None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _utf_8_or_where_not(path: Path) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")()
    done = 0
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            if piece.isascii() and not decoder.getstate()[0]:
                done += len(piece)
                continue
            try:
                decoder.decode(piece)
            except UnicodeDecodeError as error:
                at = done + error.start - (len(error.object) - len(piece))
                return f"{NOT_UTF_8}: byte 0x{error.object[error.start]:02x} at {at}"
            done += len(piece)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return f"{NOT_UTF_8}: cut inside a character at {done}"
    return "UTF-8"


def _line_end(path: Path) -> str:
    crlf = lf = cr = 0
    before = b""
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            lf += piece.count(b"\n")
            if before == b"\r" or b"\r" in piece:
                crlf += piece.count(b"\r\n") + (before == b"\r" and piece.startswith(b"\n"))
                cr += piece.count(b"\r")
            before = piece[-1:]
    counts = {"CR LF": crlf, "LF": lf - crlf, "CR": cr - crlf}
    used = [name for name, count in counts.items() if count]
    if not used:
        return "none"
    return used[0] if len(used) == 1 else "mixed: " + ", ".join(used)


def _last_line(path: Path) -> str:
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        if not size:
            return "empty file"
        file.seek(-1, io.SEEK_END)
        return "with an end" if file.read(1) in b"\r\n" else "without an end"
