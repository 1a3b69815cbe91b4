"""After-images as tar streams, and back onto a disk."""

from __future__ import annotations

import asyncio
import io
import tarfile
from pathlib import Path

from harness.emulator.admin.archive import tar_chunks
from harness.emulator.admin.unpack import unpack_tar
from harness.emulator.isolation import AfterImage


def tar_of(image: AfterImage, below: str) -> bytes:
    async def run() -> bytes:
        chunks = tar_chunks(image, below=below, relative_to="/home/user")
        return b"".join([chunk async for chunk in chunks])

    return asyncio.run(run())


def image_with(root: Path) -> AfterImage:
    home = root / "home" / "user"
    (home / "d").mkdir(parents=True)
    (home / "d" / "big").write_bytes(b"x" * 700_000)
    (home / "ü empty").write_bytes(b"")
    (home / "run.sh").write_text("#!/bin/sh\n")
    (home / "run.sh").chmod(0o755)
    (home / "near").symlink_to("d/big")
    (home / "away").symlink_to("/etc/passwd")
    (root / "tmp").mkdir()
    (root / "tmp" / "t").write_text("t")
    return AfterImage(root)


def test_tar_of_home_comes_back_as_it_was(tmp_path: Path) -> None:
    """Names relative to home, contents and the executable bit."""
    archive = tar_of(image_with(tmp_path / "image"), "/home/user")
    unpack_tar(io.BytesIO(archive), tmp_path / "copy")
    copy = tmp_path / "copy"
    assert (copy / "d" / "big").read_bytes() == b"x" * 700_000
    assert (copy / "ü empty").read_bytes() == b""
    assert (copy / "run.sh").stat().st_mode & 0o777 == 0o700
    assert (copy / "near").read_bytes() == b"x" * 700_000
    assert not (copy / "away").is_symlink()


def test_tar_of_a_subtree_keeps_names_relative_to_home(tmp_path: Path) -> None:
    """Elsewhere names only lose their leading slash."""
    image = image_with(tmp_path / "image")
    with tarfile.open(fileobj=io.BytesIO(tar_of(image, "/home/user/d"))) as archive:
        assert "d/big" in archive.getnames()
        assert "run.sh" not in archive.getnames()
    with tarfile.open(fileobj=io.BytesIO(tar_of(image, "/tmp"))) as archive:  # noqa: S108 - the sandbox's
        assert "tmp/t" in archive.getnames()
