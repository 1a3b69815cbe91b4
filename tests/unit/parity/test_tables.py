from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from harness.parity.csv_format import read_format
from harness.parity.delta import Delta, Kind, Order
from harness.parity.table_source import TableSource, UnreadableTableError, columns_of
from harness.parity.tables import compare_tables
from harness.parity.values import Place

HERE = Place(path="t", site="t")
Compare = Callable[..., list[Delta]]
BASE = "id,name,price\n1,a,1.50\n2,b,2.50\n3,c,3.50\n4,d,4.50\n"


@pytest.fixture
def csv(tmp_path: Path) -> Compare:
    """Compares two CSV texts."""

    def compare(local: str, remote: str, **options: object) -> list[Delta]:
        sources = []
        for side, text in (("local", local), ("remote", remote)):
            path = tmp_path / f"{side}.csv"
            path.write_text(text, encoding="utf-8", newline="")
            sources.append(TableSource(path=path, delimiter=",", header=read_format(path).header))
        return list(compare_tables(sources[0], sources[1], HERE, **options))  # type: ignore[arg-type]

    return compare


@pytest.fixture
def parquet(tmp_path: Path) -> Compare:
    """Compares two tables that SQL makes."""

    def compare(local: str, remote: str, **options: object) -> list[Delta]:
        sources = []
        for side, query in (("local", local), ("remote", remote)):
            path = tmp_path / f"{side}.parquet"
            duckdb.sql(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
            sources.append(TableSource(path=path))
        return list(compare_tables(sources[0], sources[1], HERE, **options))  # type: ignore[arg-type]

    return compare


def brief(deltas: list[Delta]) -> list[tuple[str, Kind, int]]:
    return [(delta.path, delta.kind, delta.count) for delta in deltas]


def test_csv_equal_is_silent(csv: Compare) -> None:
    """Equal tables have nothing to say."""
    assert csv(BASE, BASE) == []


@pytest.mark.parametrize(
    ("remote", "expected"),
    [
        (BASE.replace("2.50", "2.51"), [("t/columns/price", Kind.VALUE, 1)]),
        (BASE.replace("2.50", "2.5"), [("t/columns/price", Kind.VALUE, 1)]),
        (BASE.replace("1,a", "1,"), [("t/columns/name", Kind.TYPE, 1)]),
        (BASE.replace("1,a", '1,""'), [("t/columns/name", Kind.TYPE, 1)]),
        (BASE.replace("2,b,2.50\n", ""), [("t/rows", Kind.MISSING, 1)]),
        (BASE.replace("4,d,4.50\n", ""), [("t/rows", Kind.MISSING, 1)]),
        (BASE + "4,d,4.50\n", [("t/rows", Kind.EXTRA, 1)]),
        (BASE + "5,e,5.50\n", [("t/rows", Kind.EXTRA, 1)]),
        (
            BASE.replace("1,a,1.50\n2,b,2.50\n", "2,b,2.50\n1,a,1.50\n"),
            [("t/rows", Kind.ORDER, 2)],
        ),
        (BASE.replace("3,c", "3.0,c"), [("t/columns/id", Kind.TYPE, 1)]),
        (
            BASE.replace("name", "title"),
            [("t/columns/name", Kind.MISSING, 1), ("t/columns/title", Kind.EXTRA, 1)],
        ),
        (
            "id,price,name\n1,1.50,a\n2,2.50,b\n3,3.50,c\n4,4.50,d\n",
            [("t/columns", Kind.ORDER, 1)],
        ),
        (
            BASE.replace("2,b,2.50\n", "").replace("4.50", "9.99"),
            [("t/columns/price", Kind.VALUE, 1), ("t/rows", Kind.MISSING, 1)],
        ),
    ],
)
def test_csv_seeded_difference_is_found_with_its_place(
    csv: Compare, remote: str, expected: list[tuple[str, Kind, int]]
) -> None:
    """Each fault is one difference that names the column, or the rows."""
    assert brief(csv(BASE, remote)) == expected


def test_csv_null_and_empty_text_are_two_things(csv: Compare) -> None:
    """An unquoted empty cell is NULL, a quoted one is the empty text."""
    (delta,) = csv("a,b\n1,\n", 'a,b\n1,""\n')
    assert (delta.local, delta.remote, delta.shape) == (
        "1 of 1 rows: null\nrow 1: NULL",
        '1 of 1 rows: empty\nrow 1: ""',
        "null→empty",
    )


def test_csv_order_that_is_not_promised_is_silent(csv: Compare) -> None:
    """As a multiset, moved rows are the same and doubled ones are not."""
    moved = "id,name,price\n4,d,4.50\n2,b,2.50\n3,c,3.50\n1,a,1.50\n"
    assert csv(BASE, moved, order=Order.ANY) == []
    doubled = moved.replace("3,c,3.50", "4,d,4.50")
    assert {d.kind for d in csv(BASE, doubled, order=Order.ANY)} <= {
        Kind.VALUE,
        Kind.MISSING,
        Kind.EXTRA,
    }
    assert csv(BASE, doubled, order=Order.ANY) != []


def test_csv_moved_and_changed_row_is_both(csv: Compare) -> None:
    """A changed cell is found by its key even where rows were moved."""
    remote = "id,name,price\n2,b,2.50\n1,a,1.51\n3,c,3.50\n4,d,4.50\n"
    assert ("t/columns/price", Kind.VALUE, 1) in brief(csv(BASE, remote))


def test_csv_ignored_column_hides_values_and_nothing_else(csv: Compare) -> None:
    """Noise in a column does not hide that it is gone, or holds another kind of thing."""
    remote = BASE.replace("2.50", "7.77")
    assert csv(BASE, remote, ignore={"price"}) == []
    assert brief(csv(BASE, BASE.replace("2.50", ""), ignore={"price"})) == [
        ("t/columns/price", Kind.TYPE, 1)
    ]
    gone = "id,name\n1,a\n2,b\n3,c\n4,d\n"
    assert brief(csv(BASE, gone, ignore={"price"})) == [("t/columns/price", Kind.MISSING, 1)]
    assert brief(csv(BASE, remote.replace("1,a", "1,x"), ignore={"price"})) == [
        ("t/columns/name", Kind.VALUE, 1)
    ]


def test_csv_shows_the_first_rows_and_counts_all(csv: Compare) -> None:
    """The report holds the first differing rows; the count is exact."""
    local = "id,v\n" + "".join(f"{n},{n}\n" for n in range(1000))
    remote = "id,v\n" + "".join(f"{n},{n + (n % 10 == 0)}\n" for n in range(1000))
    (delta,) = csv(local, remote)
    assert (delta.path, delta.count) == ("t/columns/v", 100)
    assert delta.local == '100 of 1000 rows: integer\nrow 1: "0"\nrow 11: "10"\nrow 21: "20"'
    assert delta.remote == '100 of 1000 rows: integer\nrow 1: "1"\nrow 11: "11"\nrow 21: "21"'


def test_csv_awkward_cells_are_read_as_one(csv: Compare) -> None:
    """Quotes, delimiters and line ends inside a cell belong to it."""
    text = 'a,b\n"x, ""y""\nz",1\nü,2\n'
    assert csv(text, text) == []
    (delta,) = csv(text, text.replace("\nz", "\nw"))
    assert delta.path == "t/columns/a"


def test_csv_ragged_is_refused_by_name(csv: Compare) -> None:
    """A file that is no table is not quietly read as one."""
    with pytest.raises(UnreadableTableError):
        csv(BASE, BASE + "5,e\n6,f,1,2,3\n")


def test_names_with_quotes_are_only_names(csv: Compare) -> None:
    """A column's name cannot break out of the query."""
    local = 'a\'b,"c""d"\n1,2\n'
    assert csv(local, local) == []
    (delta,) = csv(local, local.replace("1,2", "1,3"))
    assert delta.path == 't/columns/c"d'


@pytest.mark.parametrize(
    ("local", "remote", "path", "kind"),
    [
        ("SELECT 1::BIGINT AS a", "SELECT 1::INTEGER AS a", "t/columns/a", Kind.TYPE),
        ("SELECT 'NaN'::DOUBLE AS a", "SELECT 1.0::DOUBLE AS a", "t/columns/a", Kind.VALUE),
        ("SELECT 0.0::DOUBLE AS a", "SELECT '-0.0'::DOUBLE AS a", "t/columns/a", Kind.VALUE),
        ("SELECT NULL::VARCHAR AS a", "SELECT '' AS a", "t/columns/a", Kind.TYPE),
        (
            "SELECT TIMESTAMPTZ '2026-01-01 00:00:00+00' AS a",
            "SELECT TIMESTAMPTZ '2026-01-01 00:00:00+02' AS a",
            "t/columns/a",
            Kind.VALUE,
        ),
        ("SELECT [0.0::DOUBLE] AS a", "SELECT ['-0.0'::DOUBLE] AS a", "t/columns/a", Kind.VALUE),
        ("SELECT {'x': 1} AS a", "SELECT {'x': 2} AS a", "t/columns/a", Kind.VALUE),
        ("SELECT 'a'::BLOB AS a", "SELECT 'b'::BLOB AS a", "t/columns/a", Kind.VALUE),
        ("SELECT INTERVAL 30 DAY AS a", "SELECT INTERVAL 1 MONTH AS a", "t/columns/a", Kind.VALUE),
    ],
)
def test_parquet_typed_difference_is_found(
    parquet: Compare, local: str, remote: str, path: str, kind: Kind
) -> None:
    """Types and typed values are compared by the stated rules."""
    found = parquet(local, remote)
    assert [delta.path for delta in found] == [path]
    assert found[0].kind is kind
    assert parquet(local, local) == []
    assert parquet(remote, remote) == []


def test_parquet_instants_are_compared_as_instants(parquet: Compare) -> None:
    """One instant written in two zones is one instant."""
    assert (
        parquet(
            "SELECT TIMESTAMPTZ '2026-01-01 02:00:00+02' AS a",
            "SELECT TIMESTAMPTZ '2026-01-01 00:00:00+00' AS a",
        )
        == []
    )


def test_parquet_nan_rows_are_a_multiset(parquet: Compare) -> None:
    """NaN equals NaN also where rows are moved."""
    local = "SELECT * FROM (VALUES (1, 'NaN'::DOUBLE), (2, NULL), (3, '-0.0'::DOUBLE)) t(i, x)"
    remote = "SELECT * FROM (VALUES (3, '-0.0'::DOUBLE), (2, NULL), (1, 'NaN'::DOUBLE)) t(i, x)"
    assert parquet(local, remote, order=Order.ANY) == []
    assert [delta.kind for delta in parquet(local, remote)] == [Kind.ORDER]


def test_parquet_columns_are_read(tmp_path: Path) -> None:
    """Names and types come out in order."""
    path = tmp_path / "t.parquet"
    duckdb.sql(f"COPY (SELECT 1::BIGINT AS b, 'x' AS a) TO '{path}'")
    with duckdb.connect() as db:
        columns = columns_of(db, TableSource(path=path))
    assert [(column.name, column.type) for column in columns] == [("b", "BIGINT"), ("a", "VARCHAR")]


def test_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    """Control: garbage is not an empty table."""
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1 not really")
    source = TableSource(path=path)
    with pytest.raises(UnreadableTableError):
        list(compare_tables(source, source, HERE))


def test_many_changed_rows_are_counted_exactly(csv: Compare) -> None:
    """However many rows differ, each is a changed cell and none a lost row."""
    local = "id,v\n" + "".join(f"{n},{n}\n" for n in range(3000))
    remote = "id,v\n" + "".join(f"{n},{n}.5\n" for n in range(3000))
    assert brief(csv(local, remote)) == [("t/columns/v", Kind.TYPE, 3000)]
