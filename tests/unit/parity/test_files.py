from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from parity_runs import RunFolder, run

from harness.errors import BrokenError
from harness.model.evidence import FileEvidence, FileRole
from harness.parity.delta import Delta, Kind
from harness.parity.files import compare_files
from harness.parity.measured import MeasuredNoise
from harness.parity.normalise import normalise_evidence


@pytest.fixture
def local(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "local")


@pytest.fixture
def remote(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "remote")


def compare(
    local: list[FileEvidence], remote: list[FileEvidence], noise: MeasuredNoise | None = None
) -> list[Delta]:
    sides = [normalise_evidence(run(files=files)) for files in (local, remote)]
    found = compare_files(*sides, steps=("load", "write"), noise=noise or MeasuredNoise())
    return list(found)


def brief(deltas: list[Delta]) -> list[tuple[str, Kind]]:
    return [(delta.path, delta.kind) for delta in deltas]


CSV = "id,name\n1,a\n2,b\n"


@pytest.mark.parametrize(
    ("name", "contents", "expected"),
    [
        ("o.csv", (CSV, "id,name\n1,a\n2,c\n"), [("o.csv/columns/name", Kind.VALUE)]),
        ("o.csv", (CSV, "id,name\n1,a\n2,b"), [("o.csv/format/last_line", Kind.VALUE)]),
        ("o.csv", (CSV, CSV.replace("\n", "\r\n")), [("o.csv/format/line_end", Kind.VALUE)]),
        ("o.csv", (CSV, "\ufeff" + CSV), [("o.csv/format/encoding", Kind.VALUE)]),
        ("o.csv", (CSV, 'id,"name"\n1,a\n2,b\n'), [("o.csv/format/bytes", Kind.VALUE)]),
        ("o.csv", (CSV, CSV.replace(",", ";")), [("o.csv/format/delimiter", Kind.VALUE)]),
        (
            "o.csv",
            (CSV, ""),
            [("o.csv/format/line_end", Kind.VALUE), ("o.csv/lines", Kind.MISSING)],
        ),
        ("o.csv", (CSV, "id,name\n"), [("o.csv/rows", Kind.MISSING)]),
        ("o.csv", ("1,2\n3,4\n", "1,2\n3,5\n"), [("o.csv/columns/column2", Kind.VALUE)]),
        ("o.tsv", ("a\tb\n1\t2\n", "a\tb\n1\t3\n"), [("o.tsv/columns/b", Kind.VALUE)]),
        ("o.json", ('{"a": 1}', '{"a": 1.0}'), [("o.json/a", Kind.TYPE)]),
        ("o.json", ('{"a": 1}', '{"a":1}'), [("o.json/format/bytes", Kind.VALUE)]),
        (
            "o.json",
            ('{"a": 1}', '{"a": '),
            [("o.json", Kind.UNPARSABLE), ("o.json/lines", Kind.VALUE)],
        ),
        (
            "o.json",
            ('{"a": 1}', '{"a": 2, "a": 1}'),
            [("o.json", Kind.UNPARSABLE), ("o.json/lines", Kind.VALUE)],
        ),
        (
            "o.jsonl",
            ('{"a": 1}\n{"a": 2}\n', '{"a": 1}\n{"a": 3}\n'),
            [("o.jsonl/lines/#/a", Kind.VALUE)],
        ),
        ("o.jsonl", ('{"a": 1}\n{"a": 2}\n', '{"a": 1}\n'), [("o.jsonl/lines", Kind.MISSING)]),
        ("o.txt", ("a\nb\n", "a\nc\n"), [("o.txt/lines", Kind.VALUE)]),
        ("o.bin", (b"\0\1\2", b"\0\1\3"), [("o.bin/bytes", Kind.VALUE)]),
        ("o.bin", (b"\0\1\2", b"\0\1"), [("o.bin/bytes", Kind.VALUE)]),
    ],
)
def test_changed_content_is_found_by_its_kind(
    local: RunFolder,
    remote: RunFolder,
    name: str,
    contents: tuple[str | bytes, str | bytes],
    expected: list[tuple[str, Kind]],
) -> None:
    """Each kind of file is compared by what it holds, and the path says where."""
    here, there = contents
    found = compare([local.file(name, here)], [remote.file(name, there)])
    assert brief(found) == [(f"files/output/{path}", kind) for path, kind in expected]
    assert compare([local.file(name, here)], [remote.file(name, here)]) == []


def test_changed_encoding_is_one_difference(local: RunFolder, remote: RunFolder) -> None:
    """A table that is not UTF-8 any more is named as such, not as garbage cells."""
    found = compare(
        [local.file("o.csv", "id\nü\n".encode())],
        [remote.file("o.csv", "id\nü\n".encode("latin-1"))],
    )
    assert brief(found) == [("files/output/o.csv/format/encoding", Kind.VALUE)]
    assert (found[0].local, found[0].remote) == ("UTF-8", "not UTF-8: byte 0xfc at 3")


def test_utf_16_is_compared_by_cells(local: RunFolder, remote: RunFolder) -> None:
    """Another encoding is one difference; the cells are compared all the same."""
    text = "id,name\n1,ü\n2,b\n"
    wide = local.file("o.csv", text.encode("utf-16"))
    assert brief(compare([wide], [remote.file("o.csv", text)])) == [
        ("files/output/o.csv/format/encoding", Kind.VALUE)
    ]
    changed = remote.file("o.csv", text.replace("2,b", "2,c").encode("utf-16"))
    assert brief(compare([wide], [changed])) == [("files/output/o.csv/columns/name", Kind.VALUE)]


def test_missing_extra_and_other_mode(local: RunFolder, remote: RunFolder) -> None:
    """Which files there are, and their permissions, are part of a run."""
    found = compare(
        [local.file("a.txt", "x"), local.file("b.txt", "x", mode=0o644)],
        [remote.file("b.txt", "x", mode=0o600), remote.file("c.txt", "x")],
    )
    assert brief(found) == [
        ("files/output/a.txt", Kind.MISSING),
        ("files/output/b.txt/mode", Kind.VALUE),
        ("files/output/c.txt", Kind.EXTRA),
    ]
    assert (found[1].local, found[1].remote) == ("0o644", "0o600")


def test_step_of_an_artifact_is_left_out_of_its_path(local: RunFolder, remote: RunFolder) -> None:
    """An artifact of any step is the same fault, and the step is told."""
    (delta,) = compare(
        [local.file("load/cleaned_config.json", '{"q": 1}', role=FileRole.ARTIFACT)],
        [remote.file("load/cleaned_config.json", '{"q": 2}', role=FileRole.ARTIFACT)],
    )
    assert (delta.path, delta.step) == ("files/artifact/<step>/cleaned_config.json/q", "load")


def test_artifacts_are_normalised_and_outputs_are_not(local: RunFolder, remote: RunFolder) -> None:
    """The time of a run is noise in an artifact, and data in an output."""
    here, there = '{"duration_ms": 1}', '{"duration_ms": 2}'
    assert (
        compare(
            [local.file("card.json", here, role=FileRole.ARTIFACT)],
            [remote.file("card.json", there, role=FileRole.ARTIFACT)],
        )
        == []
    )
    (delta,) = compare([local.file("card.json", here)], [remote.file("card.json", there)])
    assert delta.path == "files/output/card.json/duration_ms"


def test_file_that_vanished_is_broken_not_equal(local: RunFolder, remote: RunFolder) -> None:
    """Control: evidence that cannot be read is no verdict."""
    file = local.file("a.txt", "x")
    gone = replace(remote.file("a.txt", "y"), location=remote.root / "gone.txt")
    with pytest.raises(BrokenError, match=r"gone\.txt"):
        compare([file], [gone])


def test_noise_leaves_a_column_and_an_order_out(local: RunFolder, remote: RunFolder) -> None:
    """Measured noise is left out of a table, and only there."""
    files = ([local.file("o.csv", CSV)], [remote.file("o.csv", "id,name\n2,x\n1,a\n")])
    noise = MeasuredNoise(
        columns={"files/output/o.csv/columns": frozenset({"name"})},
        unordered=frozenset({"files/output/o.csv/rows"}),
    )
    assert compare(*files, noise) == []
    assert compare(*files) != []


def test_ragged_table_is_unparsable_and_compared_as_text(
    local: RunFolder, remote: RunFolder
) -> None:
    """A file that is no table any more is a difference, and its lines are shown."""
    found = compare([local.file("o.csv", CSV)], [remote.file("o.csv", CSV + "3,c,1,1\n")])
    assert brief(found) == [
        ("files/output/o.csv", Kind.UNPARSABLE),
        ("files/output/o.csv/lines", Kind.EXTRA),
    ]
