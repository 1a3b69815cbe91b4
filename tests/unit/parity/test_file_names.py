"""A name that each run draws anew is one name, and what is in the file is still compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from parity_runs import RunFolder, run

from harness.parity import compare_case

ROWS = "id\n1\n2\n"


def found(
    tmp_path: Path, *sides: dict[str, str]
) -> tuple[list[tuple[str, str]], list[tuple[str, str | None]]]:
    """Path and kind of each difference; and of the noise, path and first value."""
    runs = [
        run(files=[RunFolder(tmp_path / str(n)).file(*item) for item in sorted(files.items())])
        for n, files in enumerate(sides)
    ]
    compared = compare_case(runs[0], runs[1], runs[2])
    assert compared.broken is None
    return (
        [(item.path, item.kind) for item in compared.differences],
        [(item.path, item.local) for item in compared.noise],
    )


@pytest.mark.parametrize(
    "names",
    [
        ("tmp_a1b2c3.csv", "tmp_d4e5f6.csv", "tmp_77ff00.csv"),
        ("part-0000-x9y8.csv", "part-0000-q1q1.csv", "part-0000-0z0z.csv"),
        ("run 12ab/out.csv", "run 98cd/out.csv", "run 3e4f/out.csv"),
    ],
)
def test_random_names_are_one_name(names: tuple[str, str, str], tmp_path: Path) -> None:
    """Two local runs show that the name is noise; it is left out, and shown as such."""
    differences, noise = found(tmp_path, *({name: ROWS} for name in names))
    assert differences == []
    ((path, first),) = noise
    assert "<random:1>" in path
    assert first == names[0]


def test_content_under_a_random_name_is_compared(tmp_path: Path) -> None:
    """Control: a lost row is a lost row, whatever the file is called."""
    differences, _ = found(
        tmp_path, {"t_a1b2.csv": ROWS}, {"t_c3d4.csv": ROWS}, {"t_e5f6.csv": "id\n1\n"}
    )
    assert differences == [("files/output/t_<random:1>.csv/rows", "missing")]


def test_file_of_a_random_name_that_is_missing_is_missing(tmp_path: Path) -> None:
    """Control: none of that shape is there, or one of them is lost, or is too many."""
    local = {"t_a1b2.csv": ROWS, "t_c3d4.csv": "x\n"}
    second = {"t_e5f6.csv": "x\n", "t_g7h8.csv": ROWS}
    for remote, told in (
        ({}, [("files/output/t_<random:1>.csv", "missing")] * 2),
        ({"t_i9j0.csv": "x\n"}, [("files/output/t_<random:1>.csv", "missing")]),
        (
            {"t_i9j0.csv": "x\n", "t_k1l2.csv": ROWS, "t_m3n4.csv": ""},
            [("files/output/t_<random:3>.csv", "extra")],
        ),
    ):
        folder = tmp_path / str(len(remote))
        paths, _ = found(folder, local, second, remote)
        kinds = [kind for _, kind in paths]
        assert kinds == [kind for _, kind in told]
        assert all("<random:" in path for path, _ in paths)


def test_names_of_the_same_content_belong_together(tmp_path: Path) -> None:
    """Order by name means nothing where names are drawn."""
    differences, _ = found(
        tmp_path,
        {"t_a1b2.csv": "x\n", "t_c3d4.csv": "y\n"},
        {"t_e5f6.csv": "y\n", "t_g7h8.csv": "x\n"},
        {"t_i9j0.csv": "y\n", "t_k1l2.csv": "x\n"},
    )
    assert differences == []


def test_names_that_two_runs_share_are_what_they_are(tmp_path: Path) -> None:
    """Control: a name that only the remote side has otherwise is no noise."""
    differences, noise = found(
        tmp_path, {"t_a1b2.csv": ROWS}, {"t_a1b2.csv": ROWS}, {"t_e5f6.csv": ROWS}
    )
    assert noise == []
    assert [kind for _, kind in differences] == ["missing", "extra"]


def test_words_are_not_drawn(tmp_path: Path) -> None:
    """Control: two names without a digit in what differs are two files."""
    _, noise = found(tmp_path, {"alpha.csv": ROWS}, {"omega.csv": ROWS}, {"gamma.csv": ROWS})
    assert not any("<random" in path for path, _ in noise)
