"""What every version of the Python SDK can rely on."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import e2b
import httpx
import pytest
from e2b import AsyncSandbox, CommandExitException, Sandbox

UNKNOWN_ID = "i" + "0" * 20
DEADLINE_S = 60.0


def eventually(look: Callable[[], bool]) -> bool:
    """Looks until it is true, or the deadline has passed."""
    until = time.monotonic() + DEADLINE_S
    while not (found := look()) and time.monotonic() < until:
        time.sleep(0.05)
    return found


def test_info_tells_what_create_was_asked(make_sandbox: Callable[..., Any]) -> None:
    """Id, template, life and metadata come back."""
    sandbox = make_sandbox(metadata={"user": "ada"})
    info = sandbox.get_info()
    assert info.sandbox_id == sandbox.sandbox_id
    assert info.metadata["user"] == "ada"
    assert info.end_at - info.started_at == timedelta(seconds=120)
    assert sandbox.is_running()


def test_kill_says_whether_there_was_anything_to_kill(sandbox: Any) -> None:
    """The second kill is false, and a killed sandbox does not run."""
    assert sandbox.kill() is True
    assert sandbox.kill() is False
    assert not sandbox.is_running()
    assert Sandbox.kill(UNKNOWN_ID) is False


def test_command_in_a_killed_sandbox_is_a_timeout(sandbox: Any) -> None:
    """Every version calls it so."""
    sandbox.kill()
    with pytest.raises(e2b.TimeoutException):
        sandbox.commands.run("true")


def test_list_finds_by_metadata(make_sandbox: Callable[..., Any]) -> None:
    """Exact pairs only, whatever signs they hold."""
    odd = {"a key&more": "välue +%25/?"}
    wanted = make_sandbox(metadata=odd)
    make_sandbox(metadata={"a key&more": "other"})
    query = e2b.SandboxQuery(metadata=odd)
    found = [info.sandbox_id for info in Sandbox.list(query=query).next_items()]
    assert found == [wanted.sandbox_id]


def test_list_goes_on_over_pages(make_sandbox: Callable[..., Any]) -> None:
    """Pages of one hold every sandbox once."""
    made = {make_sandbox(metadata={"page": "yes"}).sandbox_id for _ in range(3)}
    pages = Sandbox.list(query=e2b.SandboxQuery(metadata={"page": "yes"}), limit=1)
    found = []
    while pages.has_next:
        found += [info.sandbox_id for info in pages.next_items()]
    assert sorted(found) == sorted(made)


def test_set_timeout_counts_from_now(sandbox: Any) -> None:
    """A life can be made longer and shorter."""
    before = sandbox.get_info().end_at
    sandbox.set_timeout(600)
    assert sandbox.get_info().end_at > before
    sandbox.set_timeout(60)
    assert sandbox.get_info().end_at < before


def test_connect_reaches_the_same_sandbox(sandbox: Any) -> None:
    """Files written before are there after."""
    sandbox.files.write("note", "here")
    assert Sandbox.connect(sandbox.sandbox_id).files.read("note") == "here"


def test_unknown_sandbox_is_not_found() -> None:
    """In words and class of the SDK."""
    with pytest.raises(e2b.NotFoundException):
        Sandbox.connect(UNKNOWN_ID)


def test_unknown_template_is_refused() -> None:
    """Nothing is created."""
    with pytest.raises(e2b.SandboxException):
        Sandbox.create("no-such-template")


def test_wrong_key_is_refused() -> None:
    """A key of the right form that nobody gave out."""
    with pytest.raises(e2b.AuthenticationException):
        Sandbox.create(api_key="e2b_" + "0" * 40)


def test_pause_and_connect_keep_processes(sandbox: Any, need: Callable[..., Any]) -> None:
    """What ran goes on after the pause."""
    pause = getattr(sandbox, "pause", None) or need(sandbox, "beta_pause")
    process = sandbox.commands.run("sleep 1000", background=True)
    pause()
    assert not sandbox.is_running()
    again = Sandbox.connect(sandbox.sandbox_id, timeout=60)
    assert process.pid in [info.pid for info in again.commands.list()]


def test_metrics_are_real_figures(sandbox: Any, need: Callable[..., Any]) -> None:
    """A running sandbox uses memory."""
    need(Sandbox, "get_metrics")
    assert eventually(lambda: bool(sandbox.get_metrics()))
    point = sandbox.get_metrics()[-1]
    assert point.mem_total > point.mem_used > 0


def test_run_returns_both_streams_and_the_exit_code(sandbox: Any) -> None:
    """Output is whole and apart; a failure carries it."""
    result = sandbox.commands.run("echo out; echo err >&2")
    assert (result.stdout, result.stderr, result.exit_code) == ("out\n", "err\n", 0)
    with pytest.raises(CommandExitException) as failure:
        sandbox.commands.run("echo before; exit 7")
    assert (failure.value.exit_code, failure.value.stdout) == (7, "before\n")


def test_run_has_user_home_and_variables(make_sandbox: Callable[..., Any]) -> None:
    """The sandbox's variables, the command's own over them."""
    sandbox = make_sandbox(envs={"A": "sandbox", "B": "sandbox"})
    shown = sandbox.commands.run('pwd; whoami; echo "$A $B"', envs={"B": "own"}).stdout
    assert shown == "/home/user\nuser\nsandbox own\n"
    assert sandbox.commands.run("id -u", user="root").stdout == "0\n"
    assert sandbox.commands.run("pwd", cwd="/home").stdout == "/home\n"


def test_run_streams_to_callbacks(sandbox: Any) -> None:
    """Nothing is lost on the way, and letters are whole."""
    pieces: list[str] = []
    sandbox.commands.run("for i in 1 2 3; do echo näme $i; done", on_stdout=pieces.append)
    assert "".join(pieces) == "näme 1\nnäme 2\nnäme 3\n"


def test_large_output_is_whole(sandbox: Any) -> None:
    """Five million characters arrive, all of them."""
    assert len(sandbox.commands.run("yes | head -c 5000000").stdout) == 5_000_000


def test_background_command_is_listed_and_killed(sandbox: Any) -> None:
    """It is found by its pid until it is killed."""
    process = sandbox.commands.run("sleep 1000", background=True)
    assert process.pid in [info.pid for info in sandbox.commands.list()]
    assert sandbox.commands.kill(process.pid) is True
    assert process.pid not in [info.pid for info in sandbox.commands.list()]
    assert sandbox.commands.kill(process.pid) is False


def test_background_command_can_be_connected_to(sandbox: Any) -> None:
    """Another handle waits for the same end."""
    process = sandbox.commands.run("sleep 0.5; echo end", background=True)
    assert sandbox.commands.connect(process.pid).wait().exit_code == 0


def test_stdin_reaches_the_command(sandbox: Any, need: Callable[..., Any]) -> None:
    """What is sent is read."""
    need(sandbox.commands, "run", "stdin")
    process = sandbox.commands.run("head -n 1", background=True, stdin=True)
    sandbox.commands.send_stdin(process.pid, "a line\n")
    assert process.wait().stdout == "a line\n"


def test_timeout_ends_the_command(sandbox: Any) -> None:
    """A command does not run longer than it may."""
    ends: tuple[type[Exception], ...] = (e2b.TimeoutException,)
    if importlib.util.find_spec("e2b_connect") is not None:
        # Old clients have a clock of their own, which may be first by a millisecond.
        ends += (importlib.import_module("httpcore").ReadTimeout,)
    with pytest.raises(ends):
        sandbox.commands.run("sleep 30", timeout=1)


def test_terminal_echoes_and_resizes(sandbox: Any) -> None:
    """A terminal is a terminal."""
    terminal = sandbox.pty.create(e2b.PtySize(rows=24, cols=80))
    sandbox.pty.resize(terminal.pid, e2b.PtySize(rows=30, cols=100))
    sandbox.pty.send_stdin(terminal.pid, b"stty size; exit\n")
    shown: list[bytes] = []
    terminal.wait(on_pty=shown.append)
    assert b"30 100" in b"".join(shown)


def test_files_come_back_as_they_went(sandbox: Any) -> None:
    """Text and bytes, small and large."""
    sandbox.files.write("dir/näme.txt", "héllo\n")
    assert sandbox.files.read("dir/näme.txt") == "héllo\n"
    data = bytes(range(256)) * 8000
    sandbox.files.write("data.bin", data)
    assert bytes(sandbox.files.read("data.bin", format="bytes")) == data
    assert b"".join(sandbox.files.read("data.bin", format="stream")) == data


def test_several_files_go_in_one_call(sandbox: Any, need: Callable[..., Any]) -> None:
    """Each to its own path."""
    write_files = need(sandbox.files, "write_files")
    write_files([{"path": "a/one", "data": "1"}, {"path": "b/two", "data": b"2"}])
    assert sandbox.files.read("a/one") + sandbox.files.read("b/two") == "12"


def test_directories_are_made_listed_moved_and_removed(sandbox: Any) -> None:
    """The life of a directory."""
    assert sandbox.files.make_dir("x/y") is True
    assert sandbox.files.make_dir("x/y") is False
    sandbox.files.write("x/y/f", "1")
    assert [entry.name for entry in sandbox.files.list("x")] == ["y"]
    assert sandbox.files.rename("x/y", "z").path == "/home/user/z"
    assert sandbox.files.exists("z/f")
    sandbox.files.remove("z")
    assert not sandbox.files.exists("z")


def test_missing_file_is_not_found(sandbox: Any) -> None:
    """Reading what is not there is an error with a class."""
    with pytest.raises(e2b.NotFoundException):
        sandbox.files.read("missing")


def test_info_of_a_file_tells_type_and_size(sandbox: Any, need: Callable[..., Any]) -> None:
    """Owner, permissions and size are those of the file."""
    get_info = need(sandbox.files, "get_info")
    sandbox.files.write("f", "12345")
    info = get_info("f")
    assert (info.path, info.size, info.owner) == ("/home/user/f", 5, "user")
    assert info.permissions == "-rw-r--r--"


def test_metadata_of_a_file_is_kept(sandbox: Any, need: Callable[..., Any]) -> None:
    """What was written beside the content comes back."""
    need(sandbox.files, "write", "metadata")
    sandbox.files.write("f", "x", metadata={"colour": "blue"})
    assert sandbox.files.get_info("f").metadata == {"colour": "blue"}


def test_watch_tells_of_a_new_file(sandbox: Any) -> None:
    """The events of a write are there after it."""
    sandbox.files.make_dir("watched")
    watch = sandbox.files.watch_dir("watched")
    sandbox.files.write("watched/new.txt", "x")
    seen: list[str] = []

    def look() -> bool:
        seen.extend(event.name for event in watch.get_new_events())
        return "new.txt" in seen

    assert eventually(look)
    watch.stop()


def test_signed_url_needs_no_header(make_sandbox: Callable[..., Any]) -> None:
    """A browser can fetch and send a file with nothing but the URL."""
    sandbox = make_sandbox(secure=True)
    sandbox.files.write("a file.txt", "signed")
    answer = httpx.get(sandbox.download_url("a file.txt"))
    assert (answer.status_code, answer.text) == (200, "signed")
    sent = httpx.post(sandbox.upload_url("up.txt"), files={"file": ("up.txt", b"sent")})
    assert sent.is_success
    assert sandbox.files.read("up.txt") == "sent"


def test_git_works_in_the_sandbox(sandbox: Any, need: Callable[..., Any]) -> None:
    """A repository is made, and its state is told."""
    git = need(sandbox, "git")
    git.init("/home/user/repo")
    sandbox.files.write("repo/f", "x")
    assert not git.status("/home/user/repo").is_clean


def test_snapshot_starts_another_sandbox(
    sandbox: Any, make_sandbox: Callable[..., Any], need: Callable[..., Any]
) -> None:
    """Files of the first are in the second."""
    create_snapshot = need(sandbox, "create_snapshot")
    sandbox.files.write("kept", "yes")
    snapshot = create_snapshot()
    second = make_sandbox(snapshot.snapshot_id)
    assert second.files.read("kept") == "yes"
    second.kill()  # a template in use is not deleted
    assert Sandbox.delete_snapshot(snapshot.snapshot_id) is True


def test_fork_has_the_files_of_its_origin(sandbox: Any, need: Callable[..., Any]) -> None:
    """And a life of its own."""
    fork = need(sandbox, "fork")
    sandbox.files.write("kept", "yes")
    [child] = [getattr(row, "sandbox", row) for row in _listed(fork())]
    try:
        assert child.sandbox_id != sandbox.sandbox_id
        assert child.files.read("kept") == "yes"
    finally:
        child.kill()


def test_template_is_built_and_started(
    make_sandbox: Callable[..., Any], need: Callable[..., Any]
) -> None:
    """Its file and variables are there, and its name is taken."""
    template_class = need(e2b, "Template")
    template = template_class().from_base_image().set_envs({"COLOUR": "blue"})
    template = template.run_cmd("echo built > /home/user/built")
    template_class.build(template, alias="any-version")
    sandbox = make_sandbox("any-version")
    assert sandbox.files.read("built") == "built\n"
    assert sandbox.commands.run("echo $COLOUR").stdout == "blue\n"


def test_volume_outlives_the_sandbox_that_wrote_to_it(
    make_sandbox: Callable[..., Any], need: Callable[..., Any]
) -> None:
    """Its content is read and written from outside, too."""
    volume_class = need(e2b, "Volume")
    volume = volume_class.create("any-version")
    try:
        volume.write_file("from-outside", "out")
        sandbox = make_sandbox(volume_mounts={"/data": volume})
        assert sandbox.commands.run("cat /data/from-outside").stdout == "out"
        sandbox.files.write("/data/from-inside", "in")
        sandbox.kill()
        assert volume.read_file("from-inside") == "in"
        assert {entry.path for entry in volume.list("/")} == {"/from-outside", "/from-inside"}
    finally:
        assert volume_class.destroy(volume.volume_id) is True


def test_secret_is_kept_changed_and_destroyed(need: Callable[..., Any]) -> None:
    """Each change is a version; a value is never shown."""
    secret_class = need(e2b, "Secret")
    made = secret_class.create("any-version", "a value")
    try:
        assert secret_class.update("any-version", "another").version == made.version + 1
        assert secret_class.get_info(made.secret_id).name == "any-version"
        assert "any-version" in [secret.name for secret in secret_class.list().next_items()]
    finally:
        assert secret_class.destroy("any-version") is True
    assert secret_class.exists("any-version") is False


def test_asynchronous_client_does_the_same() -> None:
    """One pass through create, command, file and kill."""

    async def session() -> tuple[str, str, bool]:
        sandbox = await AsyncSandbox.create(timeout=60)
        try:
            result = await sandbox.commands.run("echo here")
            await sandbox.files.write("f", "x")
            return result.stdout, await sandbox.files.read("f"), await sandbox.is_running()
        finally:
            await sandbox.kill()

    assert asyncio.run(session()) == ("here\n", "x", True)


@pytest.mark.skipif(
    os.environ.get("CONTRACT_INTERPRETER") != "1",
    reason="NOT_RUN: asked of e2b-code-interpreter only",
)
def test_code_runs_in_the_interpreter() -> None:
    """What e2b-code-interpreter adds: state between cells, results and errors."""
    interpreter = pytest.importorskip("e2b_code_interpreter")
    with interpreter.Sandbox.create(timeout=60) as sandbox:
        sandbox.run_code("x = 20")
        assert sandbox.run_code("x + 1").text == "21"
        assert sandbox.run_code("1 / 0").error.name == "ZeroDivisionError"


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
