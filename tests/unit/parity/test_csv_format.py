from __future__ import annotations

from pathlib import Path

import pytest

from harness.parity import csv_format
from harness.parity.csv_format import encoding_of, read_format, readable


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "f.csv"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a,b\n1,2\n", (",", "LF", "with an end", ("a", "b"))),
        (b"a;b\r\n1;2", (";", "CR LF", "without an end", ("a", "b"))),
        (b"a\tb\r1\t2\r", ("\t", "CR", "with an end", ("a", "b"))),
        (b'"a,b"|c\n', ("|", "LF", "with an end", ("a,b", "c"))),
        (b"a,b\n1,2\r\n", (",", "mixed: CR LF, LF", "with an end", ("a", "b"))),
        (b"1,2\n3,4\n", (",", "LF", "with an end", None)),
        (b"a,a\n1,2\n", (",", "LF", "with an end", ("a", "a"))),
        (b"a,\n1,2\n", (",", "LF", "with an end", None)),
        (b"", (",", "none", "empty file", None)),
    ],
)
def test_format_is_read(
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    data: bytes,
    expected: tuple[object, ...],
) -> None:
    """What a file looks like apart from its cells, also where a line end spans two chunks."""
    monkeypatch.setattr(csv_format, "CHUNK_BYTES", 1)
    file.write_bytes(data)
    form = read_format(file)
    assert (form.delimiter, form.line_end, form.last_line, form.header) == expected


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("ü".encode(), "UTF-8"),
        ("\ufeffü".encode(), "UTF-8 with a byte order mark"),
        ("ü".encode("utf-16"), "UTF-16"),
        ("aü".encode("latin-1"), "not UTF-8: byte 0xfc at 1"),
        ("ü".encode()[:1], "not UTF-8: cut inside a character at 1"),
        (b"\xff", "not UTF-8: byte 0xff at 0"),
    ],
)
def test_encoding_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, encoding: str
) -> None:
    """UTF-8 is checked to its end; a character may span two chunks."""
    monkeypatch.setattr(csv_format, "CHUNK_BYTES", 1)
    file.write_bytes(data)
    assert encoding_of(file) == encoding


def test_wide_file_is_readable_as_a_copy(file: Path, tmp_path: Path) -> None:
    """UTF-16 is read by way of a copy in UTF-8; an unknown encoding is not read at all."""
    folder = tmp_path / "copies"
    folder.mkdir()
    file.write_bytes("a\r\nü\r\n".encode("utf-16"))
    copy = readable(file, "UTF-16", folder)
    assert copy is not None
    assert copy.read_bytes() == "a\r\nü\r\n".encode()
    assert readable(file, "UTF-8", folder) == file
    assert readable(file, "not UTF-8: byte 0xfc at 1", folder) is None
