"""The steps of a drawn pipeline, and how each is written in Osiris's own language.

Every query answers the same, in the same order, whenever it is asked: what differs
between two sides is then a difference of the sides.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.model.run import Json

__all__ = [
    "COLUMNS",
    "FAULTS",
    "WRITER_OPTIONS",
    "Extract",
    "Generate",
    "Operation",
    "Probe",
    "Step",
    "Transform",
    "Write",
]

# What stands in a column: SQL by row, repeated where there are more rows. The first is `id`.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": ("1", "2", "3"),
    "flag": ("TRUE", "FALSE", "NULL"),
    "big": ("9223372036854775807", "-9223372036854775808", "0"),
    "huge": ("170141183460469231731687303715884105727::HUGEINT", "NULL", "0::HUGEINT"),
    "single": ("0.1::FLOAT", "'nan'::FLOAT", "-0.0::FLOAT"),
    "double": ("0.1::DOUBLE", "'infinity'::DOUBLE", "1e300"),
    "amount": ("12345678901234.5678::DECIMAL(18, 4)", "-0.0001::DECIMAL(18, 4)", "NULL"),
    "day": ("DATE '2024-02-29'", "DATE '1969-12-31'", "NULL"),
    "clock": ("TIME '23:59:59.999999'", "TIME '00:00:00'", "NULL"),
    "moment": (
        "TIMESTAMP '2024-02-29 12:34:56.789012'",
        "TIMESTAMP '1969-12-31 23:59:59'",
        "NULL",
    ),
    "zoned": (
        "TIMESTAMPTZ '2024-02-29 12:34:56+02:00'",
        "TIMESTAMPTZ '1969-12-31 23:59:59-08:00'",
        "NULL",
    ),
    "span": ("INTERVAL 90 MINUTE", "INTERVAL 1 DAY", "NULL"),
    "uid": ("UUID '00000000-0000-4000-8000-000000000001'", "NULL", "NULL"),
    "word": ("'plain'", "''", "NULL"),
    "accent": ("'caf' || chr(233)", "chr(128640)", "'ü'"),
    "quoted": ("'a \"quote\", a comma'", "'''single'''", "' padded '"),
    "lines": ("'two' || chr(10) || 'lines'", "chr(13) || chr(10)", "chr(9) || 'tab'"),
    "bytes": ("'abc'::BLOB", "''::BLOB", "NULL"),
    "items": ("[1, 2, NULL]", "[]", "NULL"),
    "fields": ("{'k': 'v'}", "{'k': NULL}", "NULL"),
}

# Queries that fail, each in another way.
FAULTS: Mapping[str, str] = {
    "syntax": "SELEC 1",
    "cast": "SELECT CAST('not a number' AS INTEGER) AS id",
    "no-table": "SELECT * FROM nowhere",
    "no-column": "SELECT missing FROM (SELECT 1 AS id)",
    "no-function": "SELECT no_such_function(1) AS id",
    "raised": "SELECT error('raised by the query') AS id",
    "overflow": "SELECT 9223372036854775807 + id AS id FROM (VALUES (1::BIGINT)) AS t(id)",
}

WRITER_OPTIONS: Mapping[str, tuple[Json, ...]] = {
    "delimiter": (";", "|", "\t"),
    "encoding": ("utf-16", "latin-1", "ascii"),
    "header": (False,),
    "newline": ("crlf",),
    "quoting": ("all", "nonnumeric"),
    "chunk_size": (1,),
}


class Operation(StrEnum):
    """What a transformation does with the tables before it."""

    COPY = "copy"
    COUNT = "count"
    EXTEND = "extend"
    LAST_FIRST = "last-first"
    TYPES = "types"
    UNION = "union"
    CROSS = "cross"


class Probe(StrEnum):
    """What a query asks its surroundings."""

    ZONE = "zone"
    FILE = "file"
    VARIABLE = "variable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Generate:
    """A query without input.

    Attributes:
        id: the step's name.
        needs: steps that it waits for, and reads nothing of.
        columns: names out of `COLUMNS`.
        rows: how many.
        fault: a name out of `FAULTS`: the query fails instead.
        probe: what it asks its surroundings instead.
        parameter: it also answers with the pipeline's parameter.
    """

    id: str
    needs: tuple[str, ...] = ()
    columns: tuple[str, ...] = ("id",)
    rows: int = 1
    fault: str | None = None
    probe: Probe | None = None
    parameter: bool = False

    def oml(self) -> dict[str, Json]:
        """The step as Osiris reads it."""
        return _step(self.id, "duckdb.processor", "transform", self.needs, {"query": self.query()})

    def query(self) -> str:
        """Its SQL."""
        if self.fault is not None:
            return FAULTS[self.fault]
        if self.probe is not None:
            return _PROBES[self.probe]
        greeting = ", '${params.greeting}' AS greeting" if self.parameter else ""
        if (self.columns, self.rows) == (("id",), 1):
            return f"SELECT 1 AS id{greeting}"
        rows = [
            "(" + ", ".join(_cell(name, row) for name in self.columns) + ")"
            for row in range(max(self.rows, 1))
        ]
        names = ", ".join(self.columns)
        query = f"SELECT *{greeting} FROM (VALUES {', '.join(rows)}) AS t({names})"
        return query if self.rows else f"{query} WHERE FALSE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """A CSV file of the project is read.

    Attributes:
        id: the step's name.
        rows: how many the file has.
        delimiter: between its cells.
        encoding: of its text.
        absent: the file is not there.
    """

    id: str
    rows: int = 1
    delimiter: str = ","
    encoding: str = "utf-8"
    absent: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        """It reads a file, and no table."""
        return ()

    def oml(self) -> dict[str, Json]:
        """The step as Osiris reads it."""
        config: dict[str, Json] = {"path": self.path}
        if self.delimiter != ",":
            config["delimiter"] = self.delimiter
        if self.encoding != "utf-8":
            config["encoding"] = self.encoding
        return _step(self.id, "filesystem.csv_extractor", "read", None, config)

    @property
    def path(self) -> str:
        """Where the file lies in the project."""
        return f"input/{self.id}.csv"

    def content(self) -> bytes:
        """The file."""
        file = io.StringIO()
        writer = csv.writer(file, delimiter=self.delimiter, lineterminator="\n")
        writer.writerow(("id", "name"))
        names = itertools.cycle(("Ada", 'Grace "Hopper"', "René", ""))
        writer.writerows((row + 1, next(names)) for row in range(self.rows))
        return file.getvalue().encode(self.encoding)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transform:
    """A query over the tables of the steps before it.

    Attributes:
        id: the step's name.
        needs: the steps whose tables it reads; at least one.
        operation: what it does with them.
    """

    id: str
    needs: tuple[str, ...]
    operation: Operation = Operation.COPY

    def oml(self) -> dict[str, Json]:
        """The step as Osiris reads it."""
        return _step(self.id, "duckdb.processor", "transform", self.needs, {"query": self.query()})

    def query(self) -> str:
        """Its SQL."""
        tables = [_table(name) for name in self.needs]
        first = tables[0]
        if self.operation is Operation.UNION:
            return " UNION ALL BY NAME ".join(f"SELECT * FROM {name}" for name in tables)
        if self.operation is Operation.CROSS:
            counts = ", ".join(
                f"(SELECT count(*) FROM {name}) AS rows_{number}"
                for number, name in enumerate(tables, start=1)
            )
            return f"SELECT {counts}"
        return {
            Operation.COPY: f"SELECT * FROM {first}",
            Operation.COUNT: f"SELECT count(*) AS rows FROM {first}",
            Operation.EXTEND: f"SELECT *, 1.5 AS more FROM {first}",
            Operation.LAST_FIRST: f"SELECT * FROM {first} ORDER BY ALL DESC",
            Operation.TYPES: f"SELECT typeof(COLUMNS(*)) FROM {first} LIMIT 1",
        }[self.operation]


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """The table of a step becomes a CSV file.

    Attributes:
        id: the step's name.
        needs: whose table; usually one.
        number: which of the pipeline's outputs it is.
        options: names and values out of `WRITER_OPTIONS`, sorted.
        parameter: the file's name comes out of the pipeline's parameter.
    """

    id: str
    needs: tuple[str, ...]
    number: int = 1
    options: tuple[tuple[str, Json], ...] = ()
    parameter: bool = False

    def oml(self) -> dict[str, Json]:
        """The step as Osiris reads it."""
        name = "${params.file}" if self.parameter else f"rows-{self.number}"
        config: dict[str, Json] = {"path": f"output/{name}.csv", **dict(self.options)}
        return _step(self.id, "filesystem.csv_writer", "write", self.needs, config)


Step = Generate | Extract | Transform | Write

_PROBES = {
    Probe.ZONE: "SELECT current_setting('TimeZone') AS zone",
    Probe.FILE: "SELECT count(*) AS files FROM glob('input/*.csv')",
    Probe.VARIABLE: (
        "SELECT content LIKE '%HARNESS_COLOUR=green%' AS told FROM read_text('/proc/self/environ')"
    ),
}


def _cell(name: str, row: int) -> str:
    values = COLUMNS[name]
    return str(row + 1) if name == "id" else values[row % len(values)]


def _table(step: str) -> str:
    """How Osiris documents the name of a step's table. Source: osiris 0.5.7 step_naming.py."""
    name = re.sub(r"[^0-9a-zA-Z_]", "_", step)
    return f"df__{name}" if name[:1].isdigit() else f"df_{name}"


def _step(
    name: str, component: str, mode: str, needs: Sequence[str] | None, config: dict[str, Json]
) -> dict[str, Json]:
    step: dict[str, Json] = {"id": name, "component": component, "mode": mode}
    if needs is not None:
        step["needs"] = list(needs)
    return {**step, "config": config}
