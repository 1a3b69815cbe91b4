"""Volumes and secrets, through the real SDK."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable

import pytest
from e2b import AsyncVolume, Sandbox, Secret, Volume
from e2b.exceptions import (
    SecretException,
    SecretNotFoundException,
    VolumeException,
    VolumeNotFoundException,
    VolumePathNotFoundException,
)

from harness.emulator.attach import AdminClient

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
    with pytest.raises(Exception, match="Invalid volume mount path"):
        make_sandbox(volume_mounts={path: volume})


def test_unknown_volume_cannot_be_mounted(make_sandbox: MakeSandbox, volume: Volume) -> None:
    """By the time of the mount it was gone."""
    Volume.destroy(volume.volume_id)
    with pytest.raises(Exception, match="Volume 'data' not found"):
        make_sandbox(volume_mounts={"/data": volume})


def test_volume_token_opens_its_own_volume_only(volume: Volume) -> None:
    """Another volume's token, or none, opens nothing."""
    other = Volume.create("other")
    with pytest.raises(Exception, match=r"401|Unauthorized|token"):
        volume.read_file("x", token=other.token)


def test_volumes_work_for_the_async_client() -> None:
    """The other half of the SDK."""

    async def main() -> list[str]:
        made = await AsyncVolume.create("async")
        await made.write_file("a", "text")
        text = await made.read_file("a")
        await made.remove("a")
        return [text, *(e.path for e in await made.list("/"))]

    assert asyncio.run(main()) == ["text"]


def test_secret_shows_versions_and_never_its_value(emulator: AdminClient) -> None:
    """By id and by name; the value is in no answer, and not in the ledger."""
    value = "plain-" + "value"
    made = Secret.create("Api-Key", value, metadata={"team": "a"})
    assert (made.name, made.version, made.metadata) == ("api-key", 1, {"team": "a"})
    assert Secret.update("api-key", value + "2").version == 2
    assert Secret.update(made.secret_id, value, metadata={}).metadata == {}
    assert Secret.get_info("API-KEY").version == 3
    assert value not in repr(emulator.ledger())
    assert Secret.destroy("api-key") is True
    assert Secret.destroy("api-key") is False
    assert not Secret.exists("api-key")
    with pytest.raises(SecretNotFoundException):
        Secret.update("api-key", value)


def test_secrets_are_listed_in_pages() -> None:
    """Each once, and the last page says that it is the last."""
    for number in range(5):
        Secret.create(f"s{number}", "v")
    pages, found = Secret.list(limit=2), []
    while pages.has_next:
        found += [secret.name for secret in pages.next_items()]
    assert found == [f"s{number}" for number in range(5)]


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("has blank", {}),
        ("sec_mine", {}),
        ("many", {str(number): "" for number in range(33)}),
        ("long", {"k": "v" * 1025}),
        ("sum", {str(number): "v" * 1000 for number in range(9)}),
    ],
)
def test_secret_past_a_limit_is_refused(name: str, metadata: dict[str, str]) -> None:
    """Names and metadata have E2B's limits."""
    with pytest.raises(SecretException, match="400"):
        Secret.create(name, "v", metadata=metadata)


def test_second_secret_of_a_name_is_refused() -> None:
    """Also where only the case differs."""
    Secret.create("twice", "v")
    with pytest.raises(SecretException, match="already exists"):
        Secret.create("TWICE", "v")
