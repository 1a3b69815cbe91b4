"""Each rule that the comparers state, held by a pair of files that only it tells apart."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from parity_runs import RunFolder, on_e2b, run

from harness.parity.comparison import compare_evidence
from harness.parity.delta import Delta, Kind
from harness.parity.normalise import normalise_evidence

Files = Callable[..., list[Delta]]
PLAIN = "id,name\n1,a\n2,b\n"


@pytest.fixture
def compared(tmp_path: Path) -> Files:
    """What the contents of one output file differ in, on both sides."""

    def compare(name: str, local: bytes | str, remote: bytes | str) -> list[Delta]:
        sides = []
        for side, content in (("l", local), ("r", remote)):
            file = RunFolder(tmp_path / side).file(name, content)
            sides.append(normalise_evidence(run(files=[file])))
        return list(compare_evidence(sides[0], sides[1]))

    return compare


def brief(found: list[Delta], name: str) -> list[tuple[str, Kind, int]]:
    stem = f"files/output/{name}/"
    return [(delta.path.removeprefix(stem), delta.kind, delta.count) for delta in found]


@pytest.mark.parametrize(
    ("local", "remote", "expected"),
    [
        (PLAIN, "\ufeff" + PLAIN, [("format/encoding", Kind.VALUE, 1)]),
        (PLAIN, PLAIN.replace("1,a", "1,NaN"), [("columns/name", Kind.TYPE, 1)]),
        ("a\n1\n", "a\nNULL\n", [("columns/a", Kind.TYPE, 1)]),
        ("a,b\n1,NaN\n", "a,b\n1,\n", [("columns/b", Kind.TYPE, 1)]),
        ("a\n-0.0\n", "a\n0.0\n", [("columns/a", Kind.VALUE, 1)]),
        ("a\n9007199254740993\n", "a\n9007199254740992\n", [("columns/a", Kind.VALUE, 1)]),
        (f"a\n{10**40}\n", f"a\n{10**40 + 1}\n", [("columns/a", Kind.VALUE, 1)]),
        ("a\n1.10\n", "a\n1.1\n", [("columns/a", Kind.VALUE, 1)]),
        (
            "a\n2026-01-01T00:00:00+00:00\n",
            "a\n2026-01-01T02:00:00+02:00\n",
            [("columns/a", Kind.VALUE, 1)],
        ),
        ('a,b\n"x\ny",1\n', 'a,b\n"x\r\ny",1\n', [("columns/a", Kind.VALUE, 1)]),
        ('a,b\n"x,y",1\n', "a,b\nx;y,1\n", [("columns/a", Kind.VALUE, 1)]),
        ("a,b\n1,2\n1,2\n", "a,b\n1,2\n", [("rows", Kind.MISSING, 1)]),
        ("a,b\n1,2\n", "a,b\n1,2\n1,2\n1,2\n", [("rows", Kind.EXTRA, 2)]),
        ("a,b\n", "a,b\n1,2\n", [("rows", Kind.EXTRA, 1)]),
        ("x,x\n1,2\n", "x,x\n1,3\n", [("columns/x#2", Kind.VALUE, 1)]),
        ("x,X\n1,2\n", "x,X\n3,2\n", [("columns/x", Kind.VALUE, 1)]),
        (
            "x,x\n1,2\n",
            "x,y\n1,2\n",
            [("columns/x#2", Kind.MISSING, 1), ("columns/y", Kind.EXTRA, 1)],
        ),
        ("harness_row,h,k0\n1,2,3\n", "harness_row,h,k0\n1,2,4\n", [("columns/k0", Kind.VALUE, 1)]),
        (
            "\u00e9,b\n1,2\n",
            "e\u0301,b\n1,2\n",
            [("columns/\u00e9", Kind.MISSING, 1), ("columns/e\u0301", Kind.EXTRA, 1)],
        ),
    ],
)
def test_csv_rule_tells_the_two_apart(
    compared: Files, local: str, remote: str, expected: list[tuple[str, Kind, int]]
) -> None:
    """One fault is one difference that names its column, its rows or its format."""
    found = brief(compared("t.csv", local, remote), "t.csv")
    assert [item for item in found if item[0] != "format/line_end"] == expected
    assert compared("t.csv", local, local) == []


def test_csv_in_an_unknown_encoding_is_compared_by_cells(compared: Files) -> None:
    """Bytes that are no UTF-8 on both sides are characters all the same."""
    local, remote = (text.encode("latin-1") for text in ("a\nü\nx\n", "a\nö\nx\n"))
    assert brief(compared("t.csv", local, remote), "t.csv") == [("columns/a", Kind.VALUE, 1)]


def test_utf_32_is_not_taken_for_utf_16(compared: Files) -> None:
    """The mark of one begins with the mark of the other."""
    found = compared("t.csv", PLAIN.encode("utf-32"), PLAIN.encode("utf-16"))
    assert [(d.local, d.remote) for d in found] == [("UTF-32", "UTF-16")]


@pytest.mark.parametrize("bad", ["l", "r", "both"])
def test_ragged_rows_are_told_of_the_side_that_has_them(compared: Files, bad: str) -> None:
    """The side that is no table is named; where neither is one, only the text counts."""
    ragged = PLAIN + "3,c,1,1\n"
    local = PLAIN if bad == "r" else ragged
    remote = PLAIN if bad == "l" else ragged.replace("2,b", "2,c")
    found = compared("t.csv", local, remote)
    told = [d for d in found if d.kind is Kind.UNPARSABLE]
    assert [d.local == "a table" for d in told] == {"l": [False], "r": [True], "both": []}[bad]
    assert "files/output/t.csv/lines" in {d.path for d in found}


@pytest.mark.parametrize(
    ("local", "remote", "path"),
    [
        ("SELECT 'NaN'::DOUBLE AS a", "SELECT NULL::DOUBLE AS a", "columns/a"),
        ("SELECT 9007199254740993 AS a", "SELECT 9007199254740992 AS a", "columns/a"),
        ("SELECT 1.10::DECIMAL(9,2) AS a", "SELECT 1.11::DECIMAL(9,2) AS a", "columns/a"),
        ("SELECT 1.1::DECIMAL(9,2) AS a", "SELECT 1.1::DECIMAL(9,3) AS a", "columns/a"),
        ("SELECT ['a, b'] AS a", "SELECT ['a', 'b'] AS a", "columns/a"),
        ("SELECT [[1], [NULL]] AS a", "SELECT [[1], []] AS a", "columns/a"),
        ("SELECT {'x': [1.0::DOUBLE]} AS a", "SELECT {'x': ['NaN'::DOUBLE]} AS a", "columns/a"),
        ("SELECT TIMESTAMP '2026-01-01' AS a", "SELECT TIMESTAMPTZ '2026-01-01' AS a", "columns/a"),
        ("SELECT DATE '2026-01-01' AS a", "SELECT DATE '2026-01-02' AS a", "columns/a"),
        ("SELECT 1 AS a WHERE false", "SELECT 1 AS a", "rows"),
    ],
)
def test_parquet_rule_tells_the_two_apart(
    compared: Files, tmp_path: Path, local: str, remote: str, path: str
) -> None:
    """Typed values are compared by the stated rules, nested ones too."""
    contents = []
    for query in (local, remote):
        file = tmp_path / "made.parquet"
        duckdb.sql(f"COPY ({query}) TO '{file}' (FORMAT parquet)")
        contents.append(file.read_bytes())
    found = compared("t.parquet", contents[0], contents[1])
    assert [item[0] for item in brief(found, "t.parquet")] == [path]
    assert compared("t.parquet", contents[0], contents[0]) == []


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_compressed_table_is_compared_as_the_table_that_it_is(compared: Files, suffix: str) -> None:
    """A changed cell is a changed cell; garbage is not taken for an empty file."""
    packers: dict[str, Callable[[bytes], bytes]] = {
        ".gz": gzip.compress,
        ".bz2": bz2.compress,
        ".xz": lzma.compress,
    }
    pack = packers[suffix]
    name = f"t.csv{suffix}"
    local, remote = (pack(text.encode()) for text in (PLAIN, PLAIN.replace("2,b", "2,c")))
    assert brief(compared(name, local, remote), name) == [("columns/name", Kind.VALUE, 1)]
    broken = compared(name, local, remote[:-6])
    assert broken[0].kind is Kind.UNPARSABLE
    assert broken[0].local == "compressed data"


def test_time_in_a_gzip_header_is_no_difference_and_its_level_is_one(compared: Files) -> None:
    """When a file was packed says nothing; how it was packed is its format."""
    text = (PLAIN * 50).encode()
    first, second = (gzip.compress(text, mtime=when) for when in (1, 2))
    assert compared("t.csv.gz", first, second) == []
    found = compared("t.csv.gz", first, gzip.compress(text, compresslevel=1, mtime=1))
    assert brief(found, "t.csv.gz") == [("format/bytes", Kind.VALUE, 1)]


def test_tables_of_a_database_file_are_compared(compared: Files, tmp_path: Path) -> None:
    """Each table by its name; one that is missing is one difference."""
    contents = []
    for number, extra in enumerate(("", "; CREATE TABLE more (x INTEGER)")):
        file = tmp_path / f"made{number}.duckdb"
        with duckdb.connect(str(file)) as db:
            db.execute(f'CREATE TABLE "my t" AS SELECT 1 AS a, {number} AS b{extra}')
        contents.append(file.read_bytes())
    found = brief(compared("t.duckdb", contents[0], contents[1]), "t.duckdb")
    assert found == [
        ("tables/main.more", Kind.EXTRA, 1),
        ("tables/main.my t/columns/b", Kind.VALUE, 1),
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("COMPRESSION zstd", "format/codec"),
        ("KV_METADATA {unit: 'g'}", "format/metadata unit"),
        ("ROW_GROUP_SIZE 2048", None),
    ],
)
def test_how_parquet_is_packed_is_its_format(
    options: str, expected: str | None, compared: Files, tmp_path: Path
) -> None:
    """The codec and what readers are told count; where row groups end does not."""
    contents = []
    for number, made in enumerate(("KV_METADATA {unit: 'kg'}", options)):
        file = tmp_path / f"made{number}.parquet"
        metadata = "" if "KV" in made else ", KV_METADATA {unit: 'kg'}"
        query = "SELECT range AS a FROM range(10000)"
        duckdb.sql(f"COPY ({query}) TO '{file}' (FORMAT parquet, {made}{metadata})")
        contents.append(file.read_bytes())
    found = brief(compared("t.parquet", *contents), "t.parquet")
    assert found == ([(expected, Kind.VALUE, 1)] if expected else [])


@pytest.mark.parametrize(
    ("made", "otherwise", "path"),
    [
        ("VIEW v AS SELECT a FROM t", "VIEW v AS SELECT -a FROM t", "view main.v"),
        ("SEQUENCE s", "SEQUENCE s START 5", "sequence main.s"),
        ("INDEX i ON t (a)", "INDEX i ON t (b)", "index main.i"),
        ("MACRO m(x) AS x + 1", "MACRO m(x) AS x", "macro main.m"),
        ("TABLE k (a INT PRIMARY KEY)", "TABLE k (a INT NOT NULL)", "constraints of main.k"),
    ],
)
def test_what_a_database_file_holds_beside_tables_is_compared(
    made: str, otherwise: str, path: str, compared: Files, tmp_path: Path
) -> None:
    """Views, indexes, sequences, macros and constraints are the file's content, too."""
    contents = []
    for number, statement in enumerate((made, made, otherwise)):
        file = tmp_path / f"made{number}.duckdb"
        with duckdb.connect(str(file)) as db:
            db.execute(f"CREATE TABLE t AS SELECT 1 AS a, 2 AS b; CREATE {statement}")
        contents.append(file.read_bytes())
    assert compared("same.duckdb", contents[0], contents[1]) == []
    found = brief(compared("t.duckdb", contents[0], contents[2]), "t.duckdb")
    assert found == [(f"objects/{path}", Kind.VALUE, 1)]


@pytest.mark.parametrize(
    ("local", "remote", "path"),
    [
        ('{"a": 9007199254740993}', '{"a": 9007199254740992}', "a"),
        ('{"a": NaN}', '{"a": null}', "a"),
        ('{"a": -0.0}', '{"a": 0.0}', "a"),
        ('{"a": 1}', '{"a": 1.0}', "a"),
        ('{"a": [1, [2, {"b": 3}]]}', '{"a": [1, [2, {"b": 4}]]}', "a/#/#/b"),
        ('{"a": 1}', '{"a":1}', "format/bytes"),
    ],
)
def test_json_rule_tells_the_two_apart(compared: Files, local: str, remote: str, path: str) -> None:
    """Numbers keep their type and their digits; white space is format."""
    found = brief(compared("t.json", local, remote), "t.json")
    assert [item[0] for item in found] == [path]


def test_row_that_is_lost_in_the_middle_shifts_nothing(compared: Files) -> None:
    """What follows a lost block is compared with what it was, not with its neighbour."""
    rows = [f"{n},{n % 7}\n" for n in range(500)]
    lost = rows[:100] + rows[103:]
    lost[300] = "x,9\n"
    found = brief(compared("t.csv", "id,v\n" + "".join(rows), "id,v\n" + "".join(lost)), "t.csv")
    assert found == [("rows", Kind.MISSING, 4), ("rows", Kind.EXTRA, 1)]


def test_rows_swapped_at_both_ends_are_one_order_difference(compared: Files) -> None:
    """All that was moved is counted, and only that."""
    rows = [f"{n},{n % 7}\n" for n in range(500)]
    moved = [rows[-1], *rows[1:-1], rows[0]]
    found = brief(compared("t.csv", "id,v\n" + "".join(rows), "id,v\n" + "".join(moved)), "t.csv")
    assert found == [("rows", Kind.ORDER, 2)]


def test_wide_table_is_compared(compared: Files) -> None:
    """Two thousand columns are no more than one."""
    header = ",".join(f"c{n}" for n in range(2000)) + "\n"
    row = ",".join(str(n) for n in range(2000)) + "\n"
    found = compared("t.csv", header + row * 3, header + row * 2 + row.replace(",777,", ",x,"))
    assert brief(found, "t.csv") == [("columns/c777", Kind.TYPE, 1)]


def test_sides_are_told_apart_in_this_test(tmp_path: Path) -> None:
    """Control: equal evidence of two sides is silent."""
    file = RunFolder(tmp_path).file("t.csv", PLAIN)
    side = run(files=[file])
    assert compare_evidence(normalise_evidence(side), normalise_evidence(on_e2b(side))) == ()
