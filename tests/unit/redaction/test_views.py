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


def kinds(content: bytes) -> set[str]:
    result = scanned(content)
    assert not result.incomplete
    return {finding.kind for finding in result.findings}


@pytest.mark.parametrize("value", [TOKEN, "clean"])
def test_views_parquet_of_large_row_groups_is_read_by_column(value: str, tmp_path: Path) -> None:
    """Also a column with an odd name, and the last row of the last group."""
    path = tmp_path / "x.parquet"
    query = (
        "COPY (SELECT i, repeat(md5(i::VARCHAR), 4) AS filler, "  # noqa: S608 - both are ours
        f'CASE i WHEN 99999 THEN \'{value}\' END AS "it\'s ""odd""" '
        f"FROM range(100000) r(i)) TO '{path}' (FORMAT parquet, COMPRESSION zstd)"
    )
    duckdb.execute(query)
    assert kinds(path.read_bytes()) == ({"TOKEN"} if value == TOKEN else set())


def test_views_sqlite_in_write_ahead_mode_is_read_and_left_as_it_is(tmp_path: Path) -> None:
    """A file on the disk is opened without a lock, and nothing appears beside it."""
    path = tmp_path / "x.sqlite"
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE t (x)")
    database.execute("INSERT INTO t VALUES (?)", [("y" * 4060) + TOKEN + "z" * 9000])
    database.commit()
    database.close()
    before, result = path.read_bytes(), ScanResult()
    SCANNER.scan_file(path, result, shown="x.sqlite")
    assert {finding.kind for finding in result.findings} == {"TOKEN"}
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (before, [path])


@pytest.mark.parametrize("value", [TOKEN, "clean"])
def test_views_sqlite_rows_that_are_in_the_write_ahead_log_alone_are_read(
    value: str, tmp_path: Path
) -> None:
    """Also one over a page's border, in a log as a killed program leaves it; nothing is changed."""
    database = sqlite3.connect(tmp_path / "x.sqlite")
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE t (x)")
    database.execute("INSERT INTO t VALUES (?)", [("y" * 4060) + value + "z" * 9000])
    database.commit()
    left = tmp_path / "left"
    left.mkdir()
    for name in ("x.sqlite", "x.sqlite-wal"):
        (left / name).write_bytes((tmp_path / name).read_bytes())
    database.close()
    before = {path.name: path.read_bytes() for path in left.iterdir()}
    result = ScanResult()
    SCANNER.scan_folder(left, result)
    assert {finding.kind for finding in result.findings} == ({"TOKEN"} if value == TOKEN else set())
    assert result.incomplete == ()
    assert {path.name: path.read_bytes() for path in left.iterdir()} == before


def test_views_write_ahead_log_without_its_database_is_named(tmp_path: Path) -> None:
    """Its pages alone cut values, and nobody can put them together."""
    path = tmp_path / "x.sqlite-wal"
    path.write_bytes(b"\x37\x7f\x06\x82" + bytes(99))
    result = ScanResult()
    SCANNER.scan_file(path, result, shown="x")
    (unread,) = result.incomplete
    assert unread.reason == "SQLite's write-ahead log, its database not beside it"


@pytest.mark.parametrize("kind", ["parquet", "sqlite"])
def test_views_truncated_file_is_incomplete(kind: str, tmp_path: Path) -> None:
    """Half of one on the disk is said, too; the whole one is complete."""
    content = MAKERS[kind](tmp_path, TOKEN)
    path = tmp_path / "half"
    for part, complete in ((content, True), (content[: len(content) // 2], False)):
        path.write_bytes(part)
        result = ScanResult()
        SCANNER.scan_file(path, result, shown="half")
        assert (not result.incomplete) is complete
        assert all("damaged" in unread.reason for unread in result.incomplete)


def test_views_sqlite_value_too_long_for_memory_is_named(tmp_path: Path) -> None:
    """One of 17 MiB is not read, and the scan says that it is incomplete."""
    (unread,) = scanned(sqlite(tmp_path, "y" * (17 * 1024 * 1024))).incomplete
    assert unread.reason == "SQLite with a value of more than 16 MiB"


def test_views_pickle_long_argument_hides_nothing() -> None:
    """A value in five MiB of text is found, and one that follows them."""
    filler = "filler " * 750_000
    assert kinds(pickle.dumps([filler + TOKEN])) == {"TOKEN"}
    assert kinds(pickle.dumps([filler, {"a": [TOKEN]}])) == {"TOKEN"}
    assert kinds(pickle.dumps([filler, bytearray(filler.encode()), "clean"])) == set()


def test_views_temporary_copies_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was taken out of an archive to be read leaves nothing behind."""
    packed = gzip.compress(sqlite(tmp_path, TOKEN))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    assert kinds(packed) == {"TOKEN"}
    assert not any((tmp_path / "temporary").iterdir())
