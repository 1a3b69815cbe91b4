"""Multipart uploads, part by part."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.emulator.envd.multipart import MultipartError, boundary_of, read_parts

Files = list[tuple[str, bytes]]


async def pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def parse(body: bytes, content_type: str, size: int = 7) -> list[tuple[str, str | None, bytes]]:
    async def run() -> list[tuple[str, str | None, bytes]]:
        return [
            (part.name, part.filename, b"".join([chunk async for chunk in part.content]))
            async for part in read_parts(pieces(body, size), boundary_of(content_type))
        ]

    return asyncio.run(run())


def sent(files: Files) -> tuple[bytes, str]:
    """A body as httpx writes it."""
    request = httpx.Request("POST", "http://x", files=[("file", file) for file in files])
    return request.read(), request.headers["content-type"]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "d/b", "/abs/ü", 'q"uo"te', "new\nline"]), st.binary(max_size=300)
        ),
        min_size=1,
        max_size=4,
    ),
    st.integers(min_value=1, max_value=400),
)
def test_parts_of_httpx_come_back_whole(files: Files, size: int) -> None:
    """Names with their directories, bytes as they were, wherever chunks are cut."""
    body, content_type = sent(files)
    assert parse(body, content_type, size) == [("file", name, data) for name, data in files]


def test_content_that_looks_like_a_boundary_stays_content() -> None:
    """Only a whole delimiter ends a part."""
    data = b"--\r\n--x\r\n\r\n--"
    body = b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\n' + data + b"\r\n--b--\r\n"
    assert parse(body, "multipart/form-data; boundary=b", 1) == [("f", None, data)]


def test_rest_of_a_part_that_nobody_read_is_skipped() -> None:
    """The next part begins where it begins."""
    body, content_type = sent([("one", b"1" * 1000), ("two", b"2")])

    async def run() -> list[str | None]:
        parts = read_parts(pieces(body, 10), boundary_of(content_type))
        return [part.filename async for part in parts]

    assert asyncio.run(run()) == ["one", "two"]


def test_extended_filename_is_decoded() -> None:
    """RFC 5987, as some clients write it."""
    head = b"Content-Disposition: form-data; name=file; filename*=utf-8''d%2F%C3%BC"
    body = b"preamble\r\n--b\r\n" + head + b"\r\n\r\nx\r\n--b--"
    assert parse(body, 'multipart/form-data; boundary="b"') == [("file", "d/ü", b"x")]


@pytest.mark.parametrize(
    "body",
    [b"", b"no boundary", b"--b\r\nContent-Disposition: form-data", b"--b\r\n\r\nno end"],
)
def test_body_that_ends_too_early_is_told(body: bytes) -> None:
    """A broken upload is no empty file."""
    with pytest.raises(MultipartError, match="unexpected EOF"):
        parse(body, "multipart/form-data; boundary=b")


def test_content_type_without_a_boundary_is_refused() -> None:
    """Nothing could be told apart."""
    with pytest.raises(MultipartError, match="boundary"):
        boundary_of("multipart/form-data")
