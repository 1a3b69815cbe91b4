"""Volumes and their content, through the real SDK: all that it offers for them."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable

import pytest
from e2b import AsyncVolume, Sandbox, Volume
from e2b.exceptions import (
    VolumeException,
    VolumeNotFoundException,
    VolumePathNotFoundException,
)

from harness.emulator.isolation.user_ids import can_map_range

MakeSandbox = Callable[..., Sandbox]
pytestmark = pytest.mark.usefixtures("e2b_env")


@pytest.fixture
def volume() -> Volume:
    """An empty volume."""
    return Volume.create("data")


def test_volume_is_listed_found_and_gone_after_its_end() -> None:
    """Create, list, look up, destroy, and destroy again."""
    made = Volume.create("one")
    assert [(v.volume_id, v.name) for v in Volume.list()] == [(made.volume_id, "one")]
    assert Volume.get_info(made.volume_id).token == made.token
    assert Volume.connect(made.volume_id).name == "one"
    assert Volume.destroy(made.volume_id) is True
    assert Volume.destroy(made.volume_id) is False
    with pytest.raises(VolumeNotFoundException):
        Volume.get_info(made.volume_id)


@pytest.mark.parametrize("name", ["a b", "a/b", ""])
def test_volume_name_that_cannot_be_one_is_refused(name: str) -> None:
    """Letters, digits, dashes and underscores."""
    with pytest.raises(VolumeException, match="400"):
        Volume.create(name)


def test_second_volume_of_a_name_is_refused(volume: Volume) -> None:
    """A mount names a volume, so names are unique."""
    with pytest.raises(VolumeException, match="already exists"):
        Volume.create(volume.name)


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_volume_file_comes_back_as_it_was_written(volume: Volume, size: int) -> None:
    """Bytes, text and streams, of any size."""
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    entry = volume.write_file("deep/file.bin", content, force=True)
    assert (entry.path, entry.size, entry.type.value) == ("/deep/file.bin", size, "file")
    assert volume.read_file("deep/file.bin", format="bytes") == content
    assert b"".join(volume.read_file("/deep/file.bin", format="stream")) == content
    volume.write_file("text", io.StringIO("über"))
    assert volume.read_file("text") == "über"


def test_volume_entries_have_owner_bits_and_places(volume: Volume) -> None:
    """Listing goes as deep as it is asked to, sorted."""
    volume.make_dir("a/b", force=True, mode=0o700)
    volume.write_file("a/b/c.txt", "c", mode=0o640)
    assert [e.path for e in volume.list("/")] == ["/a"]
    assert [e.path for e in volume.list("", depth=3)] == ["/a", "/a/b", "/a/b/c.txt"]
    assert volume.get_info("a/b").mode == 0o700
    entry = volume.update_metadata("a/b/c.txt", mode=0o600)
    assert (entry.mode, entry.uid) == (0o600, 1000)
    assert volume.exists("a/b/c.txt")
    assert not volume.exists("a/none")


def test_missing_volume_path_is_not_found_by_every_call(volume: Volume) -> None:
    """Read, list, stat, change, remove, and a folder below nothing."""
    for call in (
        lambda: volume.read_file("none"),
        lambda: volume.list("none"),
        lambda: volume.get_info("none"),
        lambda: volume.update_metadata("none", mode=0o600),
        lambda: volume.remove("none"),
        lambda: volume.make_dir("none/below"),
        lambda: volume.write_file("none/below", "x"),
        lambda: volume.read_file("../../etc/passwd"),
    ):
        with pytest.raises(VolumePathNotFoundException):
            call()


def test_volume_content_is_shared_with_its_sandboxes(
    make_sandbox: MakeSandbox, volume: Volume
) -> None:
    """What either side writes the other reads, and it outlives the sandbox."""
    volume.write_file("from-outside", "out")
    mounts = {"/data": volume}
    first, second = (make_sandbox(volume_mounts=mounts) for _ in range(2))
    assert first.files.read("/data/from-outside") == "out"
    first.commands.run("echo in > /data/from-inside; mkdir /data/d")
    assert second.commands.run("cat /data/from-inside").stdout == "in\n"
    first.kill()
    assert volume.read_file("from-inside") == "in\n"
    assert volume.get_info("d").uid == 1000
    assert not make_sandbox().files.exists("/data")


def test_symlink_of_a_sandbox_leads_nowhere_outside(
    make_sandbox: MakeSandbox, volume: Volume
) -> None:
    """A link that a sandbox puts into a volume is shown, and never followed by the host."""
    sandbox = make_sandbox(volume_mounts={"/data": volume})
    sandbox.commands.run("ln -s /etc /data/link; ln -s /etc/passwd /data/file")
    assert volume.get_info("link").target == "/etc"
    for path in ("link/passwd", "file"):
        with pytest.raises(VolumePathNotFoundException):
            volume.read_file(path)
    with pytest.raises(VolumePathNotFoundException):
        volume.write_file("link/planted", "x")
    volume.write_file("file", "mine")
    assert sandbox.commands.run("readlink /data/file; cat /data/file", timeout=10).stdout == "mine"


@pytest.mark.parametrize("path", ["relative", "/", "/proc/x", "/usr/local", "/a/../etc"])
def test_mount_where_nothing_can_be_mounted_is_refused(
    make_sandbox: MakeSandbox, volume: Volume, path: str
) -> None:
    """Not over the system, and not by a path that says one thing and means another."""
    with pytest.raises(Exception, match="invalid mounts:\n\t- volume mount #0: path"):
        make_sandbox(volume_mounts={path: volume})


def test_unknown_volume_cannot_be_mounted(make_sandbox: MakeSandbox, volume: Volume) -> None:
    """By the time of the mount it was gone."""
    Volume.destroy(volume.volume_id)
    with pytest.raises(Exception, match="volume mount #0: volume 'data' not found"):
        make_sandbox(volume_mounts={"/data": volume})


def test_volume_token_opens_its_own_volume_only(volume: Volume) -> None:
    """Another volume's token, or none, opens nothing."""
    other = Volume.create("other")
    with pytest.raises(Exception, match=r"401|Unauthorized|token"):
        volume.read_file("x", token=other.token)


@pytest.mark.skipif(not can_map_range(), reason="NOT_RUN: sandboxes have one user id here")
def test_owner_is_the_one_that_was_asked_for(volume: Volume) -> None:
    """Of a new file, a new folder and a later change."""
    entry = volume.write_file("file", "x", uid=1234, gid=4321)
    assert (entry.uid, entry.gid) == (1234, 4321)
    entry = volume.make_dir("folder", uid=0, gid=0)
    assert (entry.uid, entry.gid) == (0, 0)
    entry = volume.update_metadata("file", uid=1000, gid=1000)
    assert (entry.uid, entry.gid) == (1000, 1000)


def test_bits_are_those_that_were_asked_for(make_sandbox: MakeSandbox, volume: Volume) -> None:
    """Of a new file, a new folder and a later change of its owner; a sandbox sees the same."""
    entry = volume.write_file("file", "x", mode=0o604)
    assert entry.mode == 0o604
    entry = volume.make_dir("folder", mode=0o750)
    assert (entry.mode, entry.type.value) == (0o750, "directory")
    entry = volume.update_metadata("file", uid=1000, gid=1000)
    assert entry.mode == 0o604
    sandbox = make_sandbox(volume_mounts={"/data": volume})
    shown = sandbox.commands.run("stat -c '%a %F' /data/file /data/folder").stdout
    assert shown == "604 regular file\n750 directory\n"


def test_a_second_write_replaces_and_a_second_folder_is_refused(volume: Volume) -> None:
    """But for `force`, with which a folder that is there is as good as made."""
    volume.write_file("file", "a longer text")
    assert volume.write_file("file", "short").size == len("short")
    volume.make_dir("folder")
    with pytest.raises(VolumeException):
        volume.make_dir("folder")
    assert volume.make_dir("folder", force=True).path == "/folder"


def test_removed_folder_is_gone_with_all_below_it(volume: Volume) -> None:
    """As the real service removes: a folder need not be empty."""
    volume.write_file("folder/deep/file", "x", force=True)
    volume.remove("folder")
    assert volume.list("/") == []


def test_times_and_types_of_entries_are_those_of_the_files(
    make_sandbox: MakeSandbox, volume: Volume
) -> None:
    """A file, a folder and a link; what was written later is not older."""
    first = volume.write_file("first", "x")
    sandbox = make_sandbox(volume_mounts={"/data": volume})
    sandbox.commands.run("mkdir /data/folder && ln -s first /data/link")
    types = {entry.name: entry.type.value for entry in volume.list("/")}
    assert types == {"first": "file", "folder": "directory", "link": "symlink"}
    assert volume.get_info("folder").mtime >= first.mtime
    assert first.ctime.tzinfo is not None


def test_large_file_is_streamed_in_and_out(volume: Volume) -> None:
    """A file object goes up in pieces, and an iterator brings it back."""
    content = bytes(range(256)) * 40_000
    assert volume.write_file("large", io.BytesIO(content)).size == len(content)
    read = 0
    for piece in volume.read_file("large", format="stream"):
        assert bytes(piece) == content[read : read + len(piece)]
        read += len(piece)
    assert read == len(content)


def test_volume_is_mounted_by_name_and_several_side_by_side(make_sandbox: MakeSandbox) -> None:
    """A name does as well as the object; each mount is its own volume."""
    one, two = Volume.create("one"), Volume.create("two")
    one.write_file("which", "1")
    two.write_file("which", "2")
    sandbox = make_sandbox(volume_mounts={"/one": "one", "/deep/two": two})
    assert sandbox.commands.run("cat /one/which /deep/two/which").stdout == "12"
    mounted = {mount["path"]: mount["name"] for mount in sandbox.get_info().volume_mounts or ()}
    assert mounted == {"/one": "one", "/deep/two": "two"}


def test_volumes_work_for_the_async_client() -> None:
    """The other half of the SDK offers the same, call by call."""

    async def main() -> None:
        made = await AsyncVolume.create("async")
        assert [info.name for info in await AsyncVolume.list()] == ["async"]
        assert (await AsyncVolume.get_info(made.volume_id)).token == made.token
        again = await AsyncVolume.connect(made.volume_id)
        await again.make_dir("d", mode=0o700)
        assert (await again.write_file("d/a", "text")).size == len("text")
        assert await made.read_file("d/a") == "text"
        assert await made.read_file("d/a", format="bytes") == b"text"
        stream = await made.read_file("d/a", format="stream")
        assert b"".join([piece async for piece in stream]) == b"text"
        assert (await made.update_metadata("d/a", mode=0o600)).mode == 0o600
        assert (await made.get_info("d")).mode == 0o700
        assert await made.exists("d/a")
        await made.remove("d/a")
        assert [entry.path for entry in await made.list("/", depth=2)] == ["/d"]
        with pytest.raises(VolumePathNotFoundException):
            await made.read_file("d/a")
        assert await AsyncVolume.destroy(made.volume_id) is True
        assert await AsyncVolume.destroy(made.volume_id) is False
        with pytest.raises(VolumeNotFoundException):
            await AsyncVolume.connect(made.volume_id)

    asyncio.run(main())
