"""Commands in a sandbox: users, environment, output, input, signals and ends."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from typing import Any

import pytest
from guest_lab import Ended, Guest, collect, eventually

from harness.emulator.isolation import GuestError


def test_command_without_wishes_runs_as_user_in_its_home(guest: Guest) -> None:
    """The default user is uid 1000 with its home as working directory."""
    ended = guest.run("id -u; id -un; id -gn; pwd; echo $HOME; stat -c %U .")
    assert ended.text.splitlines() == ["1000", "user", "user", "/home/user", "/home/user", "user"]
    assert ended.end == {
        "event": "end",
        "exit_code": 0,
        "exited": True,
        "status": "exit status 0",
        "sizes": {"stdout": len(ended.stdout)},
    }


def test_command_as_root_is_root_with_its_own_home(guest: Guest) -> None:
    """`root` is uid 0 and lives in /root."""
    assert guest.run("id -u; pwd", user="root").text.splitlines() == ["0", "/root"]


def test_command_as_unknown_user_is_unauthenticated(guest: Guest) -> None:
    """A user that the sandbox does not know is refused by name."""
    with pytest.raises(GuestError) as refusal:
        guest.run("true", user="mallory")
    assert (refusal.value.code, refusal.value.message) == (
        "unauthenticated",
        "invalid username: 'mallory'",
    )


def test_command_in_missing_directory_is_invalid(guest: Guest) -> None:
    """A working directory that is not there is refused before anything runs."""
    with pytest.raises(GuestError) as refusal:
        guest.run("true", cwd="/no/such")
    assert refusal.value.code == "invalid_argument"
    assert "/no/such" in refusal.value.message
    assert guest.run("pwd", cwd="/var").text == "/var"


def test_missing_program_is_invalid_and_leaves_nothing(guest: Guest) -> None:
    """A program that cannot be executed is an error of the call, not a process."""
    with pytest.raises(GuestError) as refusal:
        guest.run("", cmd="/no/program", args=[])
    assert refusal.value.code == "invalid_argument"
    assert guest.call("process.list") == {"processes": []}
    eventually(lambda: guest.run("ps -A -o stat= | grep -c Z").text == "0")


def test_environment_holds_only_what_the_sandbox_was_given(
    guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the server's environment arrives; init's and the call's variables do."""
    monkeypatch.setenv("HARNESS_TEST_LEAK", "leaked")
    guest.call("init", envs={"SHARED": "init", "KEPT": "yes"})
    env = dict(
        line.split("=", 1)
        for line in guest.run("env", envs={"SHARED": "call"}).text.splitlines()
        if "=" in line
    )
    assert "HARNESS_TEST_LEAK" not in env
    assert set(env) <= {
        *("E2B_SANDBOX", "E2B_SANDBOX_ID", "E2B_TEMPLATE_ID", "HOME", "KEPT", "LOGNAME"),
        *("PATH", "PWD", "SHARED", "SHLVL", "USER", "_"),
    }
    assert env["E2B_SANDBOX_ID"] == guest.sandbox.sandbox_id
    assert (env["SHARED"], env["KEPT"], env["E2B_SANDBOX"]) == ("call", "yes", "true")
    assert "SHARED=init" in guest.run("env").text


def test_login_shell_keeps_the_given_path(guest: Guest) -> None:
    """`bash -l` does not overwrite PATH, so that a template's programs are found."""
    assert guest.run("echo $PATH", envs={"PATH": "/opt/x:/usr/bin:/bin"}).text == (
        "/opt/x:/usr/bin:/bin"
    )


@pytest.mark.parametrize("program", ["python", "python3", "bash", "sudo", "realpath", "tput"])
def test_usual_programs_are_on_the_path(guest: Guest, program: str) -> None:
    """What E2B's clients and tests call is there."""
    assert guest.run(f"command -v {program}").exit_code == 0


def test_failing_command_tells_its_code_and_both_streams(guest: Guest) -> None:
    """A non-zero exit is an end event with an error, not a failed call."""
    ended = guest.run("echo out; echo err >&2; exit 3")
    assert (ended.stdout, ended.stderr) == (b"out\n", b"err\n")
    assert (ended.end["exit_code"], ended.end["error"]) == (3, "exit status 3")


def test_output_that_is_no_text_arrives_unchanged(guest: Guest) -> None:
    """Bytes are bytes: a UTF-8 sequence cut at a chunk's border is not repaired."""
    ended = guest.run("printf 'a%.0s' {1..8191}; printf '\\xe2\\x82\\xac\\x00\\xff'")
    assert ended.stdout == b"a" * 8191 + b"\xe2\x82\xac\x00\xff"


def test_signalled_command_says_so(guest: Guest) -> None:
    """A death by signal is exit code -1, not exited, in Go's words."""
    ended = guest.run("kill -TERM $$")
    assert ended.end == {
        "event": "end",
        "exit_code": -1,
        "exited": False,
        "status": "signal: terminated",
        "error": "signal: terminated",
        "sizes": {},
    }


def test_stdin_is_empty_unless_asked_for(guest: Guest) -> None:
    """Without stdin a command reads the end of file at once."""
    assert guest.run("cat; echo done").text == "done"


def test_input_reaches_the_process_and_closes(guest: Guest) -> None:
    """Input arrives unchanged, and closing it is the process's end of file."""

    async def talk() -> Ended:
        async with guest.shell("cat", stdin=True) as stream:
            pid = (await anext(stream))["pid"]
            for piece in (b"", b"one\ntwo", b"\x00\xff"):
                async with guest.sandbox.stream("process.input", pid=pid) as inwards:
                    if piece:
                        await inwards.send(piece)
                    await inwards.send_eof()
                    await inwards.finish()
            await guest.sandbox.call("process.close_stdin", pid=pid)
            return await collect(stream)

    assert guest.lab.do(talk).stdout == b"one\ntwo\x00\xff"


def test_input_to_a_process_without_stdin_is_refused(guest: Guest) -> None:
    """Writing where there is no input fails with a precondition."""
    pid = guest.spawn("sleep 30")

    async def write() -> None:
        async with guest.sandbox.stream("process.input", pid=pid) as inwards:
            await inwards.send(b"x")
            await inwards.send_eof()
            await inwards.finish()

    with pytest.raises(GuestError) as refusal:
        guest.lab.do(write)
    assert refusal.value.code == "failed_precondition"


def test_large_input_comes_back_whole(guest: Guest) -> None:
    """Megabytes through cat lose nothing, though every pipe on the way is small."""
    data = os.urandom(1 << 20) * 4

    async def talk() -> Ended:
        async with guest.shell("cat", stdin=True) as stream:
            pid = (await anext(stream))["pid"]
            async with (
                guest.sandbox.stream("process.input", pid=pid) as inwards,
                _task(collect(stream)) as output,
            ):
                await inwards.send(data)
                await inwards.send_eof()
                await inwards.finish()
                await guest.sandbox.call("process.close_stdin", pid=pid)
                ended: Ended = await output
                return ended

    assert guest.lab.do(talk).stdout == data


def test_process_outlives_its_client_and_is_found_again(guest: Guest) -> None:
    """A client that leaves ends nothing; by pid or tag it can come back."""
    pid = guest.spawn("read line; echo got $line", stdin=True, tag="mine")
    listed = guest.call("process.list")["processes"]
    assert [(entry["pid"], entry["tag"]) for entry in listed] == [(pid, "mine")]
    assert listed[0]["config"]["args"][-1] == "read line; echo got $line"

    async def come_back() -> Ended:
        async with guest.sandbox.stream("process.connect", tag="mine") as stream:
            first = await anext(aiter(stream))  # before it, nothing is promised to this client
            assert isinstance(first, dict)
            async with guest.sandbox.stream("process.input", pid=pid) as inwards:
                await inwards.send(b"it\n")
                await inwards.send_eof()
                await inwards.finish()
            return replace(await collect(stream), pid=first["pid"])

    ended = guest.lab.do(come_back)
    assert (ended.pid, ended.text) == (pid, "got it")
    assert guest.call("process.list") == {"processes": []}


def test_late_client_still_learns_the_end(guest: Guest) -> None:
    """Who connects just after the exit gets start and end, as E2B keeps them for a while."""
    ended = guest.run("exit 4", tag="short")

    async def connect(**selector: Any) -> Ended:
        async with guest.sandbox.stream("process.connect", **selector) as stream:
            return await collect(stream)

    assert guest.lab.do(lambda: connect(pid=ended.pid)) == ended
    assert guest.lab.do(lambda: connect(tag="short")).exit_code == 4


def test_tag_is_absent_where_none_was_given(guest: Guest) -> None:
    """The list has no empty tag."""
    guest.spawn("sleep 30")
    assert "tag" not in guest.call("process.list")["processes"][0]


def test_output_without_a_client_does_not_block_the_process(guest: Guest) -> None:
    """More than a pipe holds is dropped when nobody listens, and the process goes on."""
    guest.spawn("head -c 3000000 /dev/zero; echo x > done; sleep 30")
    eventually(lambda: guest.run("ls").text == "done")


@pytest.mark.parametrize("selector", [{"pid": 4242}, {"tag": "nobody"}])
@pytest.mark.parametrize(
    "op", ["process.connect", "process.close_stdin", "process.signal", "process.resize"]
)
def test_unknown_process_is_not_found(guest: Guest, op: str, selector: dict[str, Any]) -> None:
    """Every call that names a process says not_found for one that is not there."""
    with pytest.raises(GuestError) as refusal:
        guest.call(op, signal=9, cols=1, rows=1, **selector)
    assert refusal.value.code == "not_found"


def test_pid_of_the_start_event_is_valid_inside(guest: Guest) -> None:
    """Other commands can look for the process by that pid; a dead pid is the control."""
    pid = guest.spawn("sleep 30")
    assert guest.run(f"kill -0 {pid}").exit_code == 0
    guest.call("process.signal", pid=pid, signal=signal.SIGKILL)
    assert guest.run(f"kill -0 {pid}").exit_code == 1


def test_killed_process_is_reaped_with_its_group_before_the_answer(guest: Guest) -> None:
    """SIGKILL takes the shell's children along, and leaves no zombie."""
    pid = guest.spawn("sleep 301 & sleep 302; true")
    eventually(lambda: guest.run("pgrep -c sleep").text == "2")
    guest.call("process.signal", pid=pid, signal=signal.SIGKILL)
    assert guest.run("ps -A -o pid=,stat=,args= | grep -c '[s]leep 302'").text == "0"
    eventually(lambda: guest.run("pgrep -c sleep").text == "0")


def test_sigterm_can_be_handled(guest: Guest) -> None:
    """A signal other than SIGKILL goes to the process, which may clean up."""

    async def terminate() -> Ended:
        async with guest.shell("trap 'echo bye; exit 5' TERM; echo up; sleep 30 & wait") as stream:
            pid = (await anext(stream))["pid"]
            assert (await anext(stream))["event"] == "data"
            assert await anext(stream) == b"up\n"
            await guest.sandbox.call("process.signal", pid=pid, signal=signal.SIGTERM)
            return await collect(stream)

    ended = guest.lab.do(terminate)
    assert (ended.text, ended.exit_code) == ("bye", 5)


def test_descendant_that_keeps_the_pipe_does_not_hold_back_the_end(guest: Guest) -> None:
    """The end comes soon after the exit, and the descendant lives on and may still write."""
    wait = "until [ -e gate ]; do sleep 0.01; done"
    ended = guest.run(f"({wait}; echo late; echo alive > proof; sleep 30) & echo now")
    assert ended.text == "now"
    assert guest.run("pgrep -f '[g]ate'").exit_code == 0
    guest.write("gate", b"")
    eventually(lambda: guest.run("cat proof").text == "alive")


def test_output_right_before_the_exit_is_complete(guest: Guest) -> None:
    """What is still in the pipe at the exit comes before the end."""
    for _ in range(10):
        assert len(guest.run("head -c 200000 /dev/zero").stdout) == 200_000


def test_orphans_are_reaped(guest: Guest) -> None:
    """A grandchild whose parent is gone leaves no zombie behind."""
    guest.run("for i in 1 2 3; do (setsid sleep 0.01 &) ; done")
    eventually(lambda: guest.run("ps -A -o stat= | grep -c Z").text == "0")


def test_slow_reader_stops_the_writer_and_nothing_is_lost(guest: Guest) -> None:
    """50 MiB to a client that does not read at first: back-pressure, flat memory, no loss."""

    async def read() -> tuple[int, int, int]:
        async with guest.shell("yes 0123456789abcde | head -c 52428800") as stream:
            assert (await anext(stream))["event"] == "start"
            before = await _agent_memory(guest)
            count, most = 0, 0
            async for item in stream:
                if isinstance(item, bytes):
                    count += len(item)
                    if count % (8 << 20) < len(item):
                        most = max(most, await _agent_memory(guest))
        return before, most, count

    before, most, count = guest.lab.do(read)
    assert count == 52_428_800
    assert most - before < 8 << 20


async def _agent_memory(guest: Guest) -> int:
    async with guest.sandbox.stream("fs.read", path="/proc/1/statm", user="root") as stream:
        text = b"".join([item async for item in stream if isinstance(item, bytes)])
    return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")


class _task:  # noqa: N801 - reads as a statement
    """A coroutine that runs beside the block."""

    def __init__(self, work: Any) -> None:
        self._work = work

    async def __aenter__(self) -> Any:
        self._running = asyncio.create_task(self._work)
        return self._running

    async def __aexit__(self, *_: object) -> None:
        await self._running
