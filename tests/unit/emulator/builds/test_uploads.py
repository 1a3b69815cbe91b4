"""Files for COPY steps, kept by their hash."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from harness.emulator.answers import ApiError
from harness.emulator.builds.uploads import Uploads


async def _pieces(*pieces: bytes, broken: bool = False) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
    if broken:
        raise ConnectionError("the client left")


def test_upload_needs_the_hashs_own_link(tmp_path: Path) -> None:
    """A link opens one hash; after a clear it opens none."""
    uploads = Uploads(tmp_path / "uploads")
    link = uploads.token("one")
    asyncio.run(uploads.store("one", link, _pieces(b"ab", b"c")))
    found = uploads.find("one")
    assert found is not None
    assert found.read_bytes() == b"abc"
    for files_hash, token in (("two", link), ("one", "")):
        with pytest.raises(ApiError, match="not valid"):
            asyncio.run(uploads.store(files_hash, token, _pieces(b"x")))
    uploads.clear()
    assert uploads.find("one") is None
    with pytest.raises(ApiError, match="not valid"):
        asyncio.run(uploads.store("one", link, _pieces(b"x")))


def test_upload_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    """Neither the file nor a part of it."""
    uploads = Uploads(tmp_path)
    with pytest.raises(ConnectionError):
        asyncio.run(uploads.store("h", uploads.token("h"), _pieces(b"half", broken=True)))
    assert uploads.find("h") is None
    assert [*tmp_path.iterdir()] == []


def test_hash_that_is_a_path_is_refused(tmp_path: Path) -> None:
    """A hash is a name, not a way out of the folder."""
    with pytest.raises(ApiError, match="Invalid files hash"):
        Uploads(tmp_path).find("../passwd")
