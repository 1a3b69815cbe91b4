"""Every value of a Parquet file is read, however it is written, and what is not is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from harness.redaction import views
from harness.redaction.scan import Scanner, ScanResult
from harness.secret_values import Secret

TOKEN = "tok-" + "7f3a9c" * 4
NUMBER = "918273645546"
UUID = "12345678-90ab-cdef-1234-567890abcdef"
VALUES = (Secret("TOKEN", TOKEN), Secret("NUMBER", NUMBER), Secret("UUID", UUID))
SCANNER = Scanner(VALUES, detect=False)
CODECS = ("uncompressed", "snappy", "gzip", "zstd", "brotli", "lz4_raw")


def written(path: Path, query: str, options: str = "COMPRESSION zstd") -> Path:
    duckdb.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, {options})")
    return path


def scanned(path: Path) -> tuple[set[str], list[str]]:
    result = ScanResult()
    SCANNER.scan_file(path, result, shown="x.parquet")
    kinds = {finding.kind for finding in result.findings}
    return kinds, [unread.reason for unread in result.incomplete]


@pytest.mark.parametrize("column", ["i % 7 || CASE i WHEN 4321 THEN '{}' ELSE 'row ' || i END",
                                    "CASE i WHEN 77 THEN '{}' ELSE 'the same' END"],
                         ids=["each-different", "dictionary"])  # fmt: skip
@pytest.mark.parametrize("version", ["V1", "V2"])
@pytest.mark.parametrize("codec", CODECS)
def test_parquet_text_is_found_in_every_compression(
    codec: str, version: str, column: str, tmp_path: Path
) -> None:
    """In both versions of pages, written out or by a dictionary; a clean file is clean."""
    for value, kinds in ((TOKEN, {"TOKEN"}), ("clean", set())):
        query = f"SELECT {column.format(value)} AS s FROM range(5000) r(i)"  # noqa: S608 - ours
        options = f"COMPRESSION {codec}, PARQUET_VERSION {version}"
        path = written(tmp_path / f"{value}.parquet", query, options)
        assert scanned(path) == (kinds, [])


@pytest.mark.parametrize("version", ["V1", "V2"])
@pytest.mark.parametrize(
    "value",
    [
        f"{NUMBER}::BIGINT",
        f"{NUMBER}::UBIGINT",
        f"{NUMBER}::DOUBLE",
        f"{NUMBER}::DECIMAL(18, 0)",
        f"{NUMBER}::DECIMAL(38, 0)",
        f"'{UUID}'::UUID",
        f"'{TOKEN}'::BLOB",
        f"['a', '{TOKEN}']",
        f"{{'a': {{'b': ['{TOKEN}']}}}}",
        f"MAP {{'a': '{TOKEN}'}}",
    ],
)
def test_parquet_value_of_any_type_is_found(value: str, version: str, tmp_path: Path) -> None:
    """A number, a UUID, bytes, and what is nested, between rows that hold nothing."""
    query = f"SELECT CASE i WHEN 77 THEN {value} END AS s FROM range(500) r(i)"  # noqa: S608 - ours
    path = written(tmp_path / "x.parquet", query, f"COMPRESSION zstd, PARQUET_VERSION {version}")
    found, unread = scanned(path)
    assert (len(found), unread) == (1, [])


def test_parquet_finding_names_column_and_row_group(tmp_path: Path) -> None:
    """So that it can be looked up."""
    query = f"SELECT CASE i WHEN 2077 THEN '{TOKEN}' ELSE 'row ' || i END AS message FROM range(4096) r(i)"  # noqa: E501, S608 - ours
    path = written(tmp_path / "x.parquet", query, "COMPRESSION zstd, ROW_GROUP_SIZE 2048")
    result = ScanResult()
    SCANNER.scan_file(path, result, shown="x.parquet")
    (finding,) = result.findings
    assert (finding.path, finding.line) == ("x.parquet!column message from row 2049", 30)


def test_parquet_with_an_encrypted_footer_is_named(tmp_path: Path) -> None:
    """It is not passed over, and nothing is said of damage."""
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PARE" + bytes(100) + b"\x40\0\0\0PARE")
    assert scanned(path) == (set(), ["encrypted Parquet"])


LEAF = b"\x15\x0c\x25\x00\x18\x01s\x00"  # a BYTE_ARRAY, required, called s
ROOT = b"\x48\x01r\x15\x02\x00"  # one child


@pytest.mark.parametrize(
    ("chunk", "reason"),
    [
        (b"\x8c\x00\x00", "an encrypted column of Parquet"),
        (b"\x18\x01f\x00", "a column of Parquet in another file"),
        (b"\x3c\x45\x06\x15\x02\x00\x00", "Parquet packed with lzo, not unpacked here"),
    ],
    ids=["encrypted", "elsewhere", "lzo"],
)
def test_parquet_column_that_cannot_be_read_is_named(
    chunk: bytes, reason: str, tmp_path: Path
) -> None:
    """The footer is plain, the column is not: a file made by hand, after the format's manual."""
    footer = b"\x29\x2c" + ROOT + LEAF + b"\x29\x1c" + b"\x19\x1c" + chunk + b"\x00" + b"\x00"
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    assert scanned(path) == (set(), [reason])


def test_parquet_that_unpacks_without_end_is_given_up_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of some KiB that holds 24 MiB, where 16 are allowed; the same within the limit."""
    path = written(tmp_path / "x.parquet", "SELECT repeat('a b ', 3_000_000) AS s FROM range(2)")
    assert path.stat().st_size < 64 * 1024
    assert scanned(path) == (set(), [])
    monkeypatch.setattr(views, "_MIN_UNPACKED_BYTES", 16 * 1024**2)
    assert scanned(path) == (set(), ["holds more than 16 MiB unpacked"])


MEASURE = """
import re, sys
from pathlib import Path
from harness.redaction.scan import Scanner, ScanResult
from harness.secret_values import Secret
import harness.workflow.secret_scan
scanner = Scanner([Secret("TOKEN", sys.argv[2])], detect=False)
result = ScanResult()
scanner.scan_file(Path(sys.argv[1]), result, shown="large")
# The kernel's other figure counts the process that started this one, too.
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
loaded = [name for name in ("duckdb", "e2b", "starlette") if name in sys.modules]
print([finding.kind for finding in result.findings], len(result.incomplete), loaded, peak // 1024)
"""


@pytest.mark.parametrize("codec", ["snappy", "zstd"])
def test_parquet_page_and_value_of_any_size_stay_within_bounded_memory(
    codec: str, tmp_path: Path
) -> None:
    """A page of 48 MiB, and a value as long: less than 100 MiB, all told."""
    query = f"SELECT repeat('a b ', 12_000_000) || '{TOKEN}' AS s"
    path = written(tmp_path / "x.parquet", query, f"COMPRESSION {codec}")
    command = [sys.executable, "-c", MEASURE, str(path), TOKEN]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said, _, peak_mib = done.stdout.rpartition(" ")
    assert said == "['TOKEN'] 0 []"
    assert int(peak_mib) < 100
