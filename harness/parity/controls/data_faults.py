"""Faults in the data that a pipeline wrote."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from decimal import Decimal

from harness.parity.controls.cells import Cells
from harness.parity.controls.scene import Fault, Scene, UnfitError

__all__ = ["DATA_FAULTS"]


def _cell(pattern: bytes, change: Callable[[bytes], bytes]) -> Callable[[Scene], str]:
    """A fault in the first cell that fits."""

    def plant(scene: Scene) -> str:
        path, place = scene.table()
        data, _, column = Cells.of(path.read_bytes()).with_cell(pattern, change)
        scene.write(path, data)
        return f"{place}/columns/{column.decode()}"

    return plant


Row = tuple[bytes, ...]


def _rows(change: Callable[[list[Row]], list[Row]]) -> Callable[[Scene], str]:
    """A fault in the rows."""

    def plant(scene: Scene) -> str:
        path, place = scene.table()
        table = Cells.of(path.read_bytes())
        scene.write(path, table.written(tuple(change(list(table.rows)))))
        return f"{place}/rows"

    return plant


def _whole(place_in_format: str, change: Callable[[bytes], bytes]) -> Callable[[Scene], str]:
    """A fault in how the file is written."""

    def plant(scene: Scene) -> str:
        path, place = scene.table()
        scene.edit(path, change)
        return f"{place}/format/{place_in_format}"

    return plant


def _rounded(cell: bytes) -> bytes:
    number = Decimal(cell.decode())
    places = -int(number.as_tuple().exponent)
    return str(round(number, places - 1)).encode()


def _zone_shifted(cell: bytes) -> bytes:
    """One and the same instant, written in another zone."""
    match = re.search(rb"[T ](\d\d)(:.*)\+00(:?00)?", cell)
    if match is None:
        return cell
    hour = f"{(int(match[1]) + 2) % 24:02d}".encode()
    return cell.replace(match[1] + match[2] + b"+00", hour + match[2] + b"+02", 1)


def _swapped_rows(rows: list[Row]) -> list[Row]:
    if rows[0] == rows[-1]:
        raise UnfitError("two rows that differ")
    return [rows[-1], *rows[1:-1], rows[0]]


def _swapped_ids(scene: Scene) -> str:
    """Two values of one column change places: the same values, at each other's row."""
    path, place = scene.table()
    table = Cells.of(path.read_bytes())
    for column, name in enumerate(table.names):
        first, second = (row[column] for row in (table.rows[0], table.rows[-1]))
        if first != second and first and second:
            rows = list(table.rows)
            rows[0] = (*rows[0][:column], second, *rows[0][column + 1 :])
            rows[-1] = (*rows[-1][:column], first, *rows[-1][column + 1 :])
            scene.write(path, table.written(tuple(rows)))
            return f"{place}/columns/{name.decode()}"
    raise UnfitError("a column with two values")


def _renamed_column(scene: Scene) -> str:
    path, place = scene.table()
    table = Cells.of(path.read_bytes())
    scene.edit(path, lambda data: data.replace(table.names[0], table.names[0] + b"_x", 1))
    return f"{place}/columns/{table.names[0].decode()}"


def _header_case(scene: Scene) -> str:
    path, place = scene.table()
    table = Cells.of(path.read_bytes())
    scene.edit(path, lambda data: data.replace(table.names[0], table.names[0].swapcase(), 1))
    return f"{place}/columns/{table.names[0].decode()}"


def _quoted_cells(scene: Scene) -> str:
    """Other writing, and the same cells: an empty one that is quoted would be another cell."""
    path, place = scene.table()
    table = Cells.of(path.read_bytes())
    rows = tuple(
        tuple(cell if cell[:1] in {b"", b'"'} else b'"' + cell + b'"' for cell in row)
        for row in table.rows
    )
    scene.write(path, table.written(rows))
    return f"{place}/format/bytes"


def _cut_row(scene: Scene) -> str:
    """The file ends within its last row, which then has fewer cells."""
    path, place = scene.table()
    table = Cells.of(path.read_bytes())
    first = table.rows[-1][0]
    scene.write(path, table.written(table.rows[:-1]) + first)
    return place


def _dropped_column(scene: Scene) -> str:
    path, place = scene.table()
    table = Cells.of(path.read_bytes())
    less = Cells(names=table.names[:-1], rows=tuple(row[:-1] for row in table.rows), end=table.end)
    scene.write(path, less.written())
    return f"{place}/columns/{table.names[-1].decode()}"


def _moved_column(scene: Scene) -> str:
    path, place = scene.table()
    table = Cells.of(path.read_bytes())
    everything = [(*row[1:], row[0]) for row in (table.names, *table.rows)]
    moved = Cells(names=everything[0], rows=tuple(everything[1:]), end=table.end)
    scene.write(path, moved.written())
    return f"{place}/columns"


def _extra_file(scene: Scene) -> str:
    path, place = scene.table()
    scene.write(path.with_name("left-over.tmp"), b"x")
    return f"{place.rpartition('/')[0]}/left-over.tmp"


def _missing_file(scene: Scene) -> str:
    path, place = scene.table()
    scene.remove(path)
    return place


def _other_mode(scene: Scene) -> str:
    path, place = scene.table()
    scene.chmod(path, 0o600)
    return f"{place}/mode"


def _decomposed(cell: bytes) -> bytes:
    return unicodedata.normalize("NFD", cell.decode()).encode()


_BEYOND_ASCII = rb'[^",\r\n]*[\xc3-\xf4][^",\r\n]*'
_REAL = rb"-?\d+\.\d{2,}"
_WHOLE = rb"-?\d+"
_FRACTION = rb"[\d-]*[T ]?\d\d:\d\d:\d\d\.\d+.*"
_WORDS = rb'[^",\r\n]*[a-z]{2}[^",\r\n]*'

DATA_FAULTS: tuple[Fault, ...] = tuple(
    Fault(name=name, plant=plant)
    for name, plant in (
        ("row lost", _rows(lambda rows: rows[:-1])),
        ("first row lost", _rows(lambda rows: rows[1:])),
        ("row doubled", _rows(lambda rows: [*rows, rows[-1]])),
        ("rows out of order", _rows(_swapped_rows)),
        ("no row at all", _rows(lambda rows: rows[:0])),
        ("table written twice", _rows(lambda rows: [*rows, *rows])),
        ("float rounded", _cell(_REAL, _rounded)),
        ("float cut to an integer", _cell(_REAL, lambda cell: cell.partition(b".")[0])),
        ("integer turned float", _cell(_WHOLE, lambda cell: cell + b".0")),
        ("number off by one", _cell(_WHOLE, lambda cell: str(int(cell) + 1).encode())),
        ("sign lost", _cell(rb"-[\d.]+", lambda cell: cell[1:])),
        ("leading zero", _cell(_WHOLE, lambda cell: b"0" + cell)),
        ("null turned empty text", _cell(rb"", lambda _: b'""')),
        ("null turned NaN", _cell(rb"", lambda _: b"nan")),
        ("null turned zero", _cell(rb"", lambda _: b"0")),
        ("null turned a word", _cell(rb"", lambda _: b"None")),
        ("decimal comma", _cell(_REAL, lambda cell: b'"' + cell.replace(b".", b",") + b'"')),
        ("fraction of a second lost", _cell(_FRACTION, lambda c: re.sub(rb"\.\d+", b"", c))),
        ("letters decomposed", _cell(_BEYOND_ASCII, _decomposed)),
        (
            "characters replaced",
            _cell(_BEYOND_ASCII, lambda c: c.decode("ascii", "ignore").encode()),
        ),
        ("character that takes no room", _cell(_WORDS, lambda cell: cell + b"\xe2\x80\x8b")),
        ("text emptied", _cell(_WORDS, lambda _: b'""')),
        ("letter case", _cell(_WORDS, bytes.swapcase)),
        ("white space lost", _cell(rb"\s+\S.*|.*\S\s+", bytes.strip)),
        ("boolean written otherwise", _cell(rb"True|False|true|false", bytes.swapcase)),
        ("time zone shifted", _cell(rb"\d{4}-\d\d-\d\d.*\+00.*", _zone_shifted)),
        ("date shifted by a day", _cell(rb"\d{4}-\d\d-\d[0-8]", lambda c: c[:-1] + b"9")),
        ("two ids swapped", _swapped_ids),
        ("header in other case", _header_case),
        ("cells quoted", _quoted_cells),
        ("row cut in the middle", _cut_row),
        ("column renamed", _renamed_column),
        ("column dropped", _dropped_column),
        ("columns out of order", _moved_column),
        ("last line without its end", _whole("last_line", lambda data: data.rstrip(b"\r\n"))),
        ("line ends", _whole("line_end", lambda data: data.replace(b"\n", b"\r\n"))),
        ("encoding", _whole("encoding", lambda data: data.decode().encode("utf-16"))),
        ("byte order mark", _whole("encoding", lambda data: b"\xef\xbb\xbf" + data)),
        ("delimiter", _whole("delimiter", lambda data: data.replace(b",", b";"))),
        ("output file extra", _extra_file),
        ("output file missing", _missing_file),
        ("output file with other permissions", _other_mode),
    )
)
