"""What a sandbox left behind is unpacked below a folder, and nowhere else."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from harness.emulator.admin.unpack import unpack_tar


def archive(*members: tuple[str, bytes | None, str | None]) -> io.BytesIO:
    """A tar of (name, content, link target)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content, target in members:
            info = tarfile.TarInfo(name)
            if target is not None:
                info.type, info.linkname = tarfile.SYMTYPE, target
            info.size = len(content or b"")
            tar.addfile(info, io.BytesIO(content or b""))
    stream.seek(0)
    return stream


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "//evil"])
def test_name_that_leads_out_stays_inside_or_is_left_out(tmp_path: Path, name: str) -> None:
    """Neither a parent nor the root of the disk is reached."""
    unpack_tar(archive((name, b"x", None)), tmp_path / "in")
    assert [path for path in tmp_path.iterdir() if path.name != "in"] == []
    assert not Path("/evil").exists()


@pytest.mark.parametrize("target", ["/etc", "..", "../..", "a/../../x"])
def test_symlink_that_leads_out_is_not_made(tmp_path: Path, target: str) -> None:
    """Neither absolute ones nor those that climb."""
    unpack_tar(archive(("link", None, target)), tmp_path / "in")
    assert list((tmp_path / "in").iterdir()) == []


def test_file_is_never_written_through_a_symlink(tmp_path: Path) -> None:
    """Links are made last, so a name below one is a directory of ours."""
    outside = tmp_path / "outside"
    outside.mkdir()
    members = archive(("in/dir", None, "../../outside"), ("in/dir/file", b"x", None))
    unpack_tar(members, tmp_path / "to")
    assert list(outside.iterdir()) == []
    assert (tmp_path / "to/in/dir/file").read_bytes() == b"x"


def test_devices_and_hard_links_are_left_out(tmp_path: Path) -> None:
    """Only files, directories and links that stay inside."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for kind in (tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.LNKTYPE):
            info = tarfile.TarInfo("odd")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    stream.seek(0)
    unpack_tar(stream, tmp_path / "in")
    assert list((tmp_path / "in").iterdir()) == []


def test_stream_that_ends_too_early_is_an_error(tmp_path: Path) -> None:
    """Half an image is not taken for a whole one."""
    whole = archive(("f", b"x" * 5000, None)).getvalue()
    with pytest.raises(tarfile.TarError):
        unpack_tar(io.BytesIO(whole[:2000]), tmp_path / "in")
