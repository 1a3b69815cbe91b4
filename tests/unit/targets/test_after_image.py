"""A sandbox's files come whole, and nothing of them lands outside the folder."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness.errors import BrokenError
from harness.model.side import Endpoint
from harness.targets.after_image import Bounds, fetch_after_image, unpack

TOKEN = "t0ken"


def tar(*members: tarfile.TarInfo | tuple[str, bytes]) -> bytes:
    """An archive of those members; a pair is a regular file."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                info.mode = 0o640
                archive.addfile(info, io.BytesIO(member[1]))
    return file.getvalue()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def unpacked(data: bytes, folder: Path, bounds: Bounds | None = None) -> dict[str, bytes]:
    unpack(io.BytesIO(data), folder, bounds=bounds or Bounds())
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@contextmanager
def serving(data: bytes | None) -> Iterator[Endpoint]:
    """An endpoint whose only after-image is that of sandbox `sbx`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = self.headers["X-Harness-Token"] == TOKEN
            found = data is not None and self.path == "/_harness/after-images/sbx"
            self.send_response((200 if found else 404) if allowed else 401)
            self.end_headers()
            if found and allowed and data is not None:
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/_harness"
        yield Endpoint(name="emulator", env={}, admin_url=url, admin_token=TOKEN)
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("prefix", ["", "./", "home/user/", "/home/user/"])
def test_unpack_names_are_relative_to_the_home_folder(tmp_path: Path, prefix: str) -> None:
    """Whichever way the archive writes its names, the paths are the same."""
    files = unpacked(tar((f"{prefix}output/a.csv", b"1"), (f"{prefix}b", b"")), tmp_path / "x")
    assert files == {"output/a.csv": b"1", "b": b""}


def test_unpack_mode_bits_are_kept(tmp_path: Path) -> None:
    """The permission bits are evidence."""
    unpacked(tar(("a", b"1")), tmp_path / "x")
    assert (tmp_path / "x" / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "name", ["../escape", "a/../../escape", "/escape", "/home/user/../escape", "/etc/passwd"]
)
def test_unpack_name_outside_is_left_out(tmp_path: Path, name: str) -> None:
    """A name that leaves the home folder is left out and told; its neighbour is unpacked."""
    data = tar((name, b"evil"), ("good", b"1"))
    result = unpack(io.BytesIO(data), tmp_path / "in" / "x", bounds=Bounds())
    assert result.left_out == {name: "outside the home folder"}
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["good"]


def test_unpack_symlink_is_not_followed(tmp_path: Path) -> None:
    """A link out of the folder is not made, so nothing is written through it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    data = tar(link("door", str(outside)), ("door/evil", b"evil"))
    assert unpacked(data, tmp_path / "x") == {"door/evil": b"evil"}
    assert list(outside.iterdir()) == []
    assert not (tmp_path / "x" / "door").is_symlink()


def test_unpack_hard_link_is_a_copy_and_a_device_is_left_out(tmp_path: Path) -> None:
    """A hard link inside the archive is a file; what is no file is told."""
    fifo = tarfile.TarInfo("pipe")
    fifo.type = tarfile.FIFOTYPE
    data = tar(("a", b"1"), link("b", "a", tarfile.LNKTYPE), fifo)
    result = unpack(io.BytesIO(data), tmp_path / "x", bounds=Bounds())
    assert (tmp_path / "x" / "b").read_bytes() == b"1"
    assert result.left_out == {"pipe": "neither a file nor a folder"}


def test_unpack_hard_link_out_of_the_archive_is_left_out(tmp_path: Path) -> None:
    """A hard link to a file of this machine brings nothing of it in."""
    data = tar(link("stolen", "/etc/passwd", tarfile.LNKTYPE), ("a", b"1"))
    assert unpacked(data, tmp_path / "x") == {"a": b"1"}


def test_unpack_a_file_where_a_folder_is_named_is_left_out(tmp_path: Path) -> None:
    """Members that contradict each other do not end the unpacking."""
    folder = tarfile.TarInfo("a")
    folder.type = tarfile.DIRTYPE
    data = tar(("a", b"1"), ("a/b", b"2"), ("a", b"3"), folder, ("c", b"4"))
    assert unpacked(data, tmp_path / "x") == {"a": b"1", "c": b"4"}


@pytest.mark.parametrize("bounds", [Bounds(members=2), Bounds(size_bytes=2)])
def test_unpack_beyond_the_bounds_is_broken(tmp_path: Path, bounds: Bounds) -> None:
    """Number and size are bounded; the same archive within the bounds is unpacked."""
    data = tar(("a", b"1"), ("b", b"2"), ("c", b"3"))
    assert len(unpacked(data, tmp_path / "fits", Bounds(members=3, size_bytes=3))) == 3
    with pytest.raises(BrokenError, match="too large"):
        unpacked(data, tmp_path / "x", bounds)


def test_unpack_cut_archive_is_broken(tmp_path: Path) -> None:
    """Half an archive is not taken for a whole one."""
    data = tar(("a", b"1" * 4096), ("b", b"2" * 4096))
    with pytest.raises(BrokenError):
        unpacked(data[:6000], tmp_path / "x")
    with pytest.raises(BrokenError):
        unpacked(b"<html>not a tar</html>", tmp_path / "y")


def test_fetch_brings_the_files_of_the_sandbox(tmp_path: Path) -> None:
    """The image is asked for with the endpoint's token."""
    with serving(tar(("output/a.csv", b"1"))) as endpoint:
        image = fetch_after_image(endpoint, "sbx", tmp_path / "x")
    assert (image.folder / "output" / "a.csv").read_bytes() == b"1"


@pytest.mark.parametrize("sandbox_id", ["sbx", "other"])
def test_fetch_without_an_image_is_broken(tmp_path: Path, sandbox_id: str) -> None:
    """No image is an error that names the answer, never an empty folder."""
    with serving(None) as endpoint, pytest.raises(BrokenError, match="404"):
        fetch_after_image(endpoint, sandbox_id, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_fetch_from_a_dead_endpoint_is_broken(tmp_path: Path, unused_tcp_port: int) -> None:
    """A refused connection is told as such."""
    url = f"http://127.0.0.1:{unused_tcp_port}/_harness"
    endpoint = Endpoint(name="emulator", env={}, admin_url=url, admin_token=TOKEN)
    with pytest.raises(BrokenError, match="ConnectError"):
        fetch_after_image(endpoint, "sbx", tmp_path / "x")


def test_fetch_from_an_endpoint_without_an_interface_is_broken(tmp_path: Path) -> None:
    """The real service alone keeps nothing; the error says what would."""
    with pytest.raises(BrokenError) as caught:
        fetch_after_image(Endpoint(name="live", env={}), "sbx", tmp_path / "x")
    assert "gateway" in caught.value.next_step
