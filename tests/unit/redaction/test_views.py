"""Formats that hide what is in them are read by format, also inside archives."""

import gzip
import io
import pickle
import random
import sqlite3
import zipfile
from pathlib import Path

import duckdb
import pytest

from harness.redaction.scan import Scanner, ScanResult
from harness.secret_values import Secret

TOKEN = "tok-" + "7f3a9c" * 4
SCANNER = Scanner([Secret("TOKEN", TOKEN)], detect=False)


def scanned(content: bytes) -> ScanResult:
    result = ScanResult()
    SCANNER.scan_bytes(content, result, shown="file")
    return result


def parquet(folder: Path, value: str) -> bytes:
    path = folder / "x.parquet"
    query = f"COPY (SELECT '{value}' || (i * 0)::VARCHAR AS t FROM range(5000) r(i)) TO '{path}' (FORMAT parquet, COMPRESSION zstd)"  # noqa: E501, S608 - both are ours
    duckdb.execute(query)
    return path.read_bytes()


def sqlite(folder: Path, value: str) -> bytes:
    """The value lies over a page's border."""
    path = folder / "x.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (x)")
        database.execute("INSERT INTO t VALUES (?)", [("y" * 4060) + value + "z" * 9000])
    database.close()
    return path.read_bytes()


def pickled(folder: Path, value: str) -> bytes:
    del folder
    return pickle.dumps({"a": [value], "b": b"x"})


MAKERS = {"parquet": parquet, "sqlite": sqlite, "pickle": pickled}


@pytest.mark.parametrize("kind", MAKERS)
def test_views_value_is_found_bare_and_in_archives(kind: str, tmp_path: Path) -> None:
    """In the file, in a gzip of it, in a zip of it; a clean one is clean."""
    content = MAKERS[kind](tmp_path, TOKEN)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("inner", content)
    for packed in (content, gzip.compress(content), buffer.getvalue()):
        assert {finding.kind for finding in scanned(packed).findings} == {"TOKEN"}
    (tmp_path / "other").mkdir()
    clean = scanned(MAKERS[kind](tmp_path / "other", "clean"))
    assert (clean.findings, clean.incomplete) == ([], ())


@pytest.mark.parametrize("kind", ["parquet", "sqlite"])
def test_views_damaged_file_is_incomplete(kind: str, tmp_path: Path) -> None:
    """What cannot be read was not searched, and is said."""
    content = MAKERS[kind](tmp_path, TOKEN)
    noise = random.Random(1).randbytes(len(content))  # noqa: S311 - the same in each run
    (unread,) = scanned(content[:20] + noise).incomplete
    assert "damaged" in unread.reason


def test_views_pickle_is_never_loaded(tmp_path: Path) -> None:
    """A pickle that would write a file when loaded writes none."""

    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.write_text, (tmp_path / "loaded", TOKEN)

    assert {f.kind for f in scanned(pickle.dumps(Bomb())).findings} == {"TOKEN"}
    assert not (tmp_path / "loaded").exists()
