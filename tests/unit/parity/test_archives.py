"""An archive is what is in it: a member that differs is found, and packing it anew is no news."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from parity_runs import RunFolder, run

from harness.parity import compare_case
from harness.parity.archives import compare_archives
from harness.parity.file_pair import FilePair
from harness.parity.tokens import Normaliser
from harness.parity.values import Place

Members = Mapping[str, bytes]
MEMBERS: Members = {"a.csv": b"id,name\n1,a\n2,b\n", "sub/notes.txt": b"one\ntwo\n"}
LOST_ROW = {**MEMBERS, "a.csv": b"id,name\n1,a\n"}
NINETEEN_EIGHTY, LATER = (1980, 1, 1, 0, 0, 0), (2026, 11, 23, 8, 0, 0)


def zipped(
    members: Members,
    *,
    at: tuple[int, int, int, int, int, int] = NINETEEN_EIGHTY,
    method: int = zipfile.ZIP_DEFLATED,
    mode: int = 0o644,
) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, at)
            info.external_attr = mode << 16
            archive.writestr(info, data, method)
    return packed.getvalue()


def tarred(members: Members, *, at: int = 0, mode: int = 0o644, link: str = "a.csv") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(data), at, mode
            archive.addfile(info, io.BytesIO(data))
        latest = tarfile.TarInfo("latest")
        latest.type, latest.linkname, latest.mtime = tarfile.SYMTYPE, link, at
        archive.addfile(latest)
    return packed.getvalue()


def found(tmp_path: Path, name: str, local: bytes, remote: bytes) -> list[tuple[str, str]]:
    """Path and kind of each difference, below the file."""
    sides = [
        run(files=[RunFolder(tmp_path / side).file(name, data)])
        for side, data in (("1", local), ("2", local), ("e2b", remote))
    ]
    compared = compare_case(*sides)
    assert compared.broken is None
    start = f"files/output/{name}"
    return [(item.path.removeprefix(start), item.kind) for item in compared.differences]


@pytest.mark.parametrize("name", ["o.zip", "o.xlsx", "o.npz"])
@pytest.mark.parametrize(
    ("remote", "told"),
    [
        (zipped(MEMBERS), []),
        (zipped(MEMBERS, at=LATER), []),
        (zipped(dict(sorted(MEMBERS.items(), reverse=True))), []),
        (zipped(LOST_ROW), [("/members/a.csv/rows", "missing")]),
        (zipped({"a.csv": MEMBERS["a.csv"]}), [("/members/sub~1notes.txt", "missing")]),
        (zipped({**MEMBERS, "x": b""}), [("/members/x", "extra")]),
        (
            zipped(MEMBERS, mode=0o600),
            [("/members/a.csv/mode", "value"), ("/members/sub~1notes.txt/mode", "value")],
        ),
        (
            zipped(MEMBERS, method=zipfile.ZIP_STORED),
            [("/members/a.csv/format", "value"), ("/members/sub~1notes.txt/format", "value")],
        ),
        (zipped(MEMBERS)[:-30], [("", "unparsable"), ("/bytes", "value")]),
    ],
)
def test_zip_is_compared_by_member(
    name: str, remote: bytes, told: list[tuple[str, str]], tmp_path: Path
) -> None:
    """Bytes, permissions and members count; time and order do not; compression is format."""
    assert found(tmp_path, name, zipped(MEMBERS), remote) == told


@pytest.mark.parametrize(
    ("remote", "told"),
    [
        (tarred(MEMBERS, at=99), []),
        (tarred(LOST_ROW), [("/members/a.csv/rows", "missing")]),
        (tarred(MEMBERS, link="elsewhere"), [("/members/latest", "value")]),
        (
            tarred(MEMBERS, mode=0o755),
            [("/members/a.csv/mode", "value"), ("/members/sub~1notes.txt/mode", "value")],
        ),
        (b"no archive", [("", "unparsable"), ("/bytes", "value")]),
    ],
)
def test_tar_is_compared_by_member(
    remote: bytes, told: list[tuple[str, str]], tmp_path: Path
) -> None:
    """A tar, too, and what its links lead to."""
    assert found(tmp_path, "o.tar", tarred(MEMBERS), remote) == told


@pytest.mark.parametrize("name", ["o.tgz", "o.tar.gz"])
def test_compressed_tar_is_opened_twice(name: str, tmp_path: Path) -> None:
    """The time in either header is no difference, and a row that is lost inside is one."""
    local = gzip.compress(tarred(MEMBERS), mtime=1)
    again = gzip.compress(tarred(MEMBERS, at=5), mtime=2)
    assert found(tmp_path / "again", name, local, again) == []
    lost = gzip.compress(tarred(LOST_ROW), mtime=1)
    assert found(tmp_path / "lost", name, local, lost) == [("/members/a.csv/rows", "missing")]


def test_members_of_one_name_are_all_compared(tmp_path: Path) -> None:
    """A second member of a name hides the first from most readers, and is there."""

    def twice(second: bytes) -> bytes:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(zipfile.ZipInfo("a.txt"), b"one\n")
            with pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr(zipfile.ZipInfo("a.txt"), second)
        return packed.getvalue()

    assert found(tmp_path, "o.zip", twice(b"two\n"), twice(b"2\n")) == [
        ("/members/a.txt#2/lines", "value")
    ]


@pytest.mark.parametrize("limit", ["MAX_UNPACKED_BYTES", "MAX_MEMBERS"])
def test_archive_beyond_measure_is_not_unpacked(
    limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that are too large are told apart by their bytes."""
    monkeypatch.setattr(f"harness.parity.archives.{limit}", 1)
    told = found(tmp_path, "o.zip", zipped(MEMBERS), zipped(LOST_ROW))
    assert told == [("/bytes", "value")]


def test_members_lie_nowhere_but_below_the_folder(tmp_path: Path) -> None:
    """A name with `..` is a name: nothing is written by it."""
    seen: list[Path] = []

    def compare(pair: FilePair) -> Iterator[object]:
        seen.append(pair.left.location)
        yield from ()

    files = [
        RunFolder(tmp_path / side).file("o.zip", zipped({"../../evil": data}))
        for side, data in (("l", b"1"), ("r", b"2"))
    ]
    place = Place(path="p", site="p")
    pair = FilePair(
        left=files[0],
        right=files[1],
        place=place,
        left_tokens=Normaliser(),
        right_tokens=Normaliser(),
    )
    checked: Callable[..., object] = compare
    assert list(compare_archives(pair, checked)) == []  # type: ignore[arg-type]  # yields nothing
    assert [path.name for path in seen] == ["0"]
