"""Files go in and out of a sandbox unchanged, and the sandbox's rules hold."""

from __future__ import annotations

import io
from collections.abc import Callable

import httpx
import pytest
from e2b import FileType, Sandbox
from e2b.exceptions import (
    AuthenticationException,
    FileNotFoundException,
    InvalidArgumentException,
    SandboxException,
)
from e2b.sandbox.filesystem.filesystem import WriteEntry
from e2b.sandbox.filesystem.watch_handle import FilesystemEventType

from harness.emulator.attach import AdminClient
from harness.emulator.isolation.user_ids import can_map_range
from harness.pytest_plugin.fixtures import E2BEnvironment


def test_write_and_read_text(sandbox: Sandbox) -> None:
    """Text comes back as it went, and the answer names the whole path."""
    info = sandbox.files.write("dir/näme with blank.txt", "héllo\n")
    assert (info.path, info.name) == (
        "/home/user/dir/näme with blank.txt",
        "näme with blank.txt",
    )
    assert info.metadata is None
    assert sandbox.files.read("dir/näme with blank.txt") == "héllo\n"
    assert sandbox.commands.run("cat dir/*").stdout == "héllo\n"


@pytest.mark.parametrize("octets", [False, True], ids=["multipart", "octet-stream"])
@pytest.mark.parametrize(
    "data",
    [b"", b"\r\n--", bytes(range(256)) * 300, b"x" * 3_000_000],
    ids=["empty", "like-a-boundary", "all-bytes", "large"],
)
def test_write_and_read_bytes(sandbox: Sandbox, data: bytes, octets: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Whatever the bytes and the form of the upload, they come back."""
    sandbox.files.write("data.bin", data, use_octet_stream=octets)
    assert bytes(sandbox.files.read("data.bin", format="bytes")) == data


def test_write_with_gzip_stores_what_was_meant(sandbox: Sandbox) -> None:
    """The encoding is of the transfer and not of the file, both ways."""
    text = "again and again\n" * 1000
    sandbox.files.write("note.txt", text, gzip=True)
    assert sandbox.commands.run("wc -c < note.txt").stdout.strip() == str(len(text))
    assert sandbox.files.read("note.txt", gzip=True) == text


def test_write_overwrites_and_shortens(sandbox: Sandbox) -> None:
    """Nothing of the longer content is left."""
    sandbox.files.write("f", "long content")
    sandbox.files.write("f", "short")
    assert sandbox.files.read("f") == "short"


def test_write_of_several_files_in_one_request(sandbox: Sandbox) -> None:
    """Each has its own path, relative or absolute."""
    written = sandbox.files.write_files(
        [
            WriteEntry(path="a/one.txt", data="1"),
            WriteEntry(path="/home/user/b/two.txt", data=b"2"),
            WriteEntry(path='three "quoted".txt', data=io.BytesIO(b"3")),
        ]
    )
    paths = ["/home/user/a/one.txt", "/home/user/b/two.txt", '/home/user/three "quoted".txt']
    assert [info.path for info in written] == paths
    assert [sandbox.files.read(path) for path in paths] == ["1", "2", "3"]


@pytest.mark.skipif(not can_map_range(), reason="NOT_RUN: sandboxes have one user id here")
def test_write_belongs_to_the_user_who_writes(sandbox: Sandbox) -> None:
    """Files and the directories that were made for them are the user's."""
    sandbox.files.write("new/dir/mine.txt", "x")
    sandbox.files.write("theirs.txt", "x", user="root")
    show = "stat -c '%U:%G %a' new new/dir/mine.txt /root/theirs.txt"
    assert sandbox.commands.run(show, user="root", cwd="/home/user").stdout.splitlines() == [
        "user:user 755",
        "user:user 644",
        "root:root 644",
    ]


def test_write_with_metadata_is_shown_and_replaced(sandbox: Sandbox) -> None:
    """Metadata goes with each write: new ones replace, none clears."""
    info = sandbox.files.write("f", "x", metadata={"Owner": "ada", "n": "1"})
    assert info.metadata == {"owner": "ada", "n": "1"}
    assert sandbox.files.get_info("f").metadata == {"owner": "ada", "n": "1"}
    sandbox.files.write("f", "x")
    assert sandbox.files.get_info("f").metadata is None


def test_write_to_a_directory_or_as_nobody_known_is_refused(sandbox: Sandbox) -> None:
    """The two mistakes have their own errors."""
    with pytest.raises(InvalidArgumentException):
        sandbox.files.write("/home/user", "x")
    with pytest.raises(AuthenticationException, match="nobody-known"):
        sandbox.files.write("f", "x", user="nobody-known")


def test_read_of_a_missing_file_or_a_directory_is_refused(sandbox: Sandbox) -> None:
    """The words are envd's, with the resolved path."""
    with pytest.raises(FileNotFoundException, match="path '/home/user/missing' does not exist"):
        sandbox.files.read("missing")
    with pytest.raises(InvalidArgumentException, match="path '/home/user' is a directory"):
        sandbox.files.read("/home/user")


def test_read_of_proc_is_the_sandboxs_own(sandbox: Sandbox) -> None:
    """A file whose size is said to be 0 is read all the same."""
    assert sandbox.files.read("/proc/self/status").startswith("Name:")


def test_read_as_a_stream_is_whole(sandbox: Sandbox) -> None:
    """A large file comes in pieces that add up."""
    sandbox.commands.run("head -c 5000000 /dev/urandom > big; sha256sum big | cut -c1-64 > sum")
    pieces = list(sandbox.files.read("big", format="stream"))
    assert len(pieces) > 1
    assert sum(map(len, pieces)) == 5_000_000


def test_list_is_sorted_and_as_deep_as_asked(sandbox: Sandbox) -> None:
    """Depth one by default; entries tell type, size and owner."""
    sandbox.commands.run("mkdir -p d/e/f; echo -n 12345 > d/b; ln -s b d/link")
    shallow = sandbox.files.list("d")
    assert [(entry.name, entry.type) for entry in shallow] == [
        ("b", FileType.FILE),
        ("e", FileType.DIR),
        ("link", FileType.FILE),
    ]
    assert (shallow[0].size, shallow[0].owner, shallow[0].permissions) == (5, "user", "-rw-r--r--")
    assert shallow[2].symlink_target == "/home/user/d/b"
    assert [entry.path for entry in sandbox.files.list("d", depth=2)] == [
        "/home/user/d/b",
        "/home/user/d/e",
        "/home/user/d/e/f",
        "/home/user/d/link",
    ]


def test_list_of_a_file_or_nothing_is_refused(sandbox: Sandbox) -> None:
    """A file has no entries, and what is missing is not found."""
    sandbox.files.write("f", "x")
    with pytest.raises(InvalidArgumentException):
        sandbox.files.list("f")
    with pytest.raises(FileNotFoundException):
        sandbox.files.list("missing")


def test_exists_make_rename_and_remove(sandbox: Sandbox) -> None:
    """The life of a directory."""
    assert sandbox.files.make_dir("x/y") is True
    assert sandbox.files.make_dir("x/y") is False
    sandbox.files.write("x/y/f", "1")
    moved = sandbox.files.rename("x/y", "z/y")
    assert moved.path == "/home/user/z/y"
    assert sandbox.files.exists("z/y/f")
    assert not sandbox.files.exists("x/y")
    sandbox.files.remove("z")
    assert not sandbox.files.exists("z")
    sandbox.files.remove("z")
    with pytest.raises(FileNotFoundException):
        sandbox.files.rename("missing", "elsewhere")


def test_watch_tells_of_a_new_file_in_three_events(sandbox: Sandbox) -> None:
    """The events of a write are there on the first look after it."""
    sandbox.files.make_dir("watched")
    watch = sandbox.files.watch_dir("watched")
    sandbox.files.write("watched/new.txt", "x")
    assert [(event.name, event.type) for event in watch.get_new_events()] == [
        ("new.txt", FilesystemEventType.CREATE),
        ("new.txt", FilesystemEventType.CHMOD),
        ("new.txt", FilesystemEventType.WRITE),
    ]
    assert watch.get_new_events() == []
    watch.stop()
    with pytest.raises(SandboxException):
        watch.get_new_events()


def test_watch_below_directories_made_later(sandbox: Sandbox) -> None:
    """A recursive watch follows into what is made after it began."""
    sandbox.files.make_dir("w")
    watch = sandbox.files.watch_dir("w", recursive=True, include_entry=True)
    sandbox.files.write("w/a/b/f.txt", "x")
    events = watch.get_new_events()
    assert {event.name for event in events} >= {"a", "a/b", "a/b/f.txt"}
    created = next(event for event in events if event.name == "a/b/f.txt")
    assert created.entry is not None
    assert created.entry.path == "/home/user/w/a/b/f.txt"


def test_watch_of_a_file_or_nothing_is_refused(sandbox: Sandbox) -> None:
    """Only a directory that exists can be watched."""
    sandbox.files.write("f", "x")
    with pytest.raises(InvalidArgumentException):
        sandbox.files.watch_dir("f")
    with pytest.raises(FileNotFoundException):
        sandbox.files.watch_dir("missing")


def test_signed_urls_work_without_any_header(sandbox: Sandbox) -> None:
    """A browser can fetch and send a file with nothing but the URL."""
    sandbox.files.write("a file.txt", "signed")
    answer = httpx.get(sandbox.download_url("a file.txt"))
    assert (answer.status_code, answer.text) == (200, "signed")
    sent = httpx.post(sandbox.upload_url("up.txt"), files={"file": ("up.txt", b"sent")})
    assert sent.status_code == 200
    assert sandbox.files.read("up.txt") == "sent"


def test_signed_url_is_for_one_path_and_one_time(sandbox: Sandbox, emulator: AdminClient) -> None:
    """Another path is refused, and so is the right one after its expiry."""
    sandbox.set_timeout(3000)
    sandbox.files.write("f.txt", "x")
    sandbox.files.write("g.txt", "x")
    url = sandbox.download_url("f.txt", use_signature_expiration=100)
    assert httpx.get(url).status_code == 200
    assert httpx.get(url.replace("f.txt", "g.txt")).status_code in {401, 404}
    emulator.advance(200)
    expired = httpx.get(url)
    assert expired.status_code == 401
    assert expired.json() == {"code": 401, "message": "signature is already expired"}


def test_range_of_a_file_is_a_partial_answer(make_sandbox: Callable[..., Sandbox]) -> None:
    """A client can go on where it stopped."""
    sandbox = make_sandbox()
    sandbox.files.write("digits", "0123456789")
    url = sandbox.download_url("digits")
    part = httpx.get(url, headers={"Range": "bytes=3-5"})
    assert (part.status_code, part.text) == (206, "345")
    assert part.headers["content-range"] == "bytes 3-5/10"
    assert httpx.get(url, headers={"Range": "bytes=-2"}).text == "89"
    assert httpx.get(url, headers={"Range": "bytes=50-"}).status_code == 416


def test_files_are_composed_into_one_and_gone(
    sandbox: Sandbox, e2b_env: E2BEnvironment, emulator: AdminClient
) -> None:
    """In order, with the sources deleted; what cannot be leaves everything as it was."""
    del emulator  # no SDK asks for it: the path is not another service's promise
    for name in ("one", "two"):
        sandbox.files.write(f"parts/{name}", name * 50_000)
    sandbox.files.write("whole", "before")
    url = e2b_env.endpoint.env["E2B_SANDBOX_URL"] + "/files/compose"
    headers = {
        "E2b-Sandbox-Id": sandbox.sandbox_id,
        "E2b-Sandbox-Port": "49983",
        "X-Access-Token": str(sandbox.connection_config.sandbox_headers["X-Access-Token"]),
    }

    def ask(*sources: str, destination: str = "whole") -> httpx.Response:
        body = {"source_paths": sources, "destination": destination}
        return httpx.post(url, json=body, headers=headers)

    assert ask("parts/one", "missing").status_code == 404
    assert ask("parts").status_code == 400
    assert ask().status_code == 400
    assert ask("parts/one", destination="parts/one").status_code == 400
    assert sandbox.files.read("whole") == "before"
    made = ask("parts/two", "parts/one")
    assert made.json() == {"path": "/home/user/whole", "name": "whole", "type": "file"}
    assert sandbox.files.read("whole") == "two" * 50_000 + "one" * 50_000
    assert [entry for entry in sandbox.files.list(".") if "compose" in entry.name] == []
    assert sandbox.files.list("parts") == []
    assert httpx.post(url, json={}, headers={**headers, "X-Access-Token": ""}).status_code == 401
