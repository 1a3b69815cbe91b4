"""Commands run in the sandbox as E2B runs them."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from e2b import CommandExitException, NotFoundException, PtySize, Sandbox
from e2b.exceptions import (
    AuthenticationException,
    InvalidArgumentException,
    TimeoutException,
)
from guest_lab import eventually

from harness.emulator.attach import AdminClient


def test_run_returns_both_streams_and_the_exit_code(sandbox: Sandbox) -> None:
    """Output is whole and apart; success is no exception."""
    result = sandbox.commands.run("echo out; echo err >&2")
    assert (result.stdout, result.stderr, result.exit_code) == ("out\n", "err\n", 0)
    assert result.error is None


def test_run_that_fails_raises_with_the_output(sandbox: Sandbox) -> None:
    """The exception carries what the command wrote before it failed."""
    with pytest.raises(CommandExitException) as failure:
        sandbox.commands.run("echo before; exit 7")
    assert failure.value.exit_code == 7
    assert failure.value.stdout == "before\n"
    assert failure.value.error == "exit status 7"


def test_run_of_a_killed_command_reports_the_signal(sandbox: Sandbox) -> None:
    """A command that a signal ended did not exit."""
    with pytest.raises(CommandExitException) as failure:
        sandbox.commands.run("kill -9 $$")
    assert failure.value.exit_code == -1
    assert "killed" in (failure.value.error or "")


def test_run_sees_the_sandboxs_and_its_own_variables(make_sandbox: Callable[..., Sandbox]) -> None:
    """A command's own variables win, and do not outlive it."""
    sandbox = make_sandbox(envs={"A": "sandbox", "B": "sandbox"})
    show = 'echo "$A $B $E2B_SANDBOX $E2B_SANDBOX_ID"'
    expected = f"sandbox own true {sandbox.sandbox_id}\n"
    assert sandbox.commands.run(show, envs={"B": "own"}).stdout == expected
    assert sandbox.commands.run('echo "$B"').stdout == "sandbox\n"


def test_run_starts_at_home_or_where_it_is_told(sandbox: Sandbox) -> None:
    """The default directory is the user's home; a missing one is refused."""
    assert sandbox.commands.run("pwd; whoami").stdout == "/home/user\nuser\n"
    assert sandbox.commands.run("pwd", cwd="/home").stdout == "/home\n"
    with pytest.raises(InvalidArgumentException):
        sandbox.commands.run("pwd", cwd="/no/such/directory")


def test_run_as_root_and_as_nobody_known(sandbox: Sandbox) -> None:
    """Root is there on request; an unknown user is refused by name."""
    assert sandbox.commands.run("id -u; pwd", user="root").stdout == "0\n/root\n"
    with pytest.raises(AuthenticationException, match="invalid username: 'nobody-known'"):
        sandbox.commands.run("id", user="nobody-known")


def test_run_streams_while_the_command_runs(sandbox: Sandbox) -> None:
    """Callbacks hear of output before the command ends."""
    seen: list[str] = []
    answer = sandbox.commands.run("mkfifo gate", background=True)
    answer.wait()

    def on_stdout(text: str) -> None:
        seen.append(text)
        if "first" in text:
            sandbox.files.write("go", "")

    sandbox.commands.run(
        "echo first; until [ -e go ]; do sleep 0.01; done; echo second", on_stdout=on_stdout
    )
    assert "".join(seen) == "first\nsecond\n"


def test_run_passes_every_byte_of_split_characters(sandbox: Sandbox) -> None:
    """A character cut by a chunk's border arrives whole."""
    script = "import sys; sys.stdout.write('a' * 8191 + '\\u20ac' + 'b' * 70000)"
    assert sandbox.commands.run(f'python3 -c "{script}"').stdout == "a" * 8191 + "€" + "b" * 70000


def test_background_command_goes_on_without_its_client(sandbox: Sandbox) -> None:
    """Leaving does not end it; another client finds it, follows it and ends it."""
    handle = sandbox.commands.run("echo begun; sleep 1000", background=True)
    handle.disconnect()
    [info] = sandbox.commands.list()
    assert info.pid == handle.pid
    assert info.cmd == "/bin/bash"
    assert info.args == ["-l", "-c", "echo begun; sleep 1000"]
    assert info.tag is None
    assert sandbox.commands.run(f"kill -0 {handle.pid}").exit_code == 0
    again = sandbox.commands.connect(handle.pid)
    assert again.kill() is True
    assert sandbox.commands.list() == []
    assert sandbox.commands.kill(handle.pid) is False


def test_connect_to_an_unknown_process_is_not_found(sandbox: Sandbox) -> None:
    """A process that never was cannot be followed."""
    with pytest.raises(NotFoundException):
        sandbox.commands.connect(999_999)


def test_stdin_is_written_in_order_and_closed(sandbox: Sandbox) -> None:
    """Several writes, an empty one, and the end of the input."""
    handle = sandbox.commands.run("cat; echo end", background=True, stdin=True)
    sandbox.commands.send_stdin(handle.pid, "one\ntwo\n")
    sandbox.commands.send_stdin(handle.pid, "")
    sandbox.commands.stream_input(handle.pid, ["three ", "four\n"])
    sandbox.commands.close_stdin(handle.pid)
    assert handle.wait().stdout == "one\ntwo\nthree four\nend\n"


def test_stdin_is_closed_unless_asked_for(sandbox: Sandbox) -> None:
    """A command that reads does not hang."""
    assert sandbox.commands.run("cat; echo end").stdout == "end\n"


def test_input_to_an_unknown_process_is_not_found(sandbox: Sandbox) -> None:
    """Both ways of writing refuse it."""
    with pytest.raises(NotFoundException):
        sandbox.commands.send_stdin(999_999, "x")
    with pytest.raises(NotFoundException):
        sandbox.commands.stream_input(999_999, ["x"])


def test_timeout_ends_the_command_and_not_only_the_wait(sandbox: Sandbox) -> None:
    """After the client's deadline nothing of the command is left."""
    with pytest.raises(TimeoutException):
        sandbox.commands.run("sleep 1000", timeout=0.3)
    probe = 'until [ -z "$(pgrep -x sleep)" ]; do sleep 0.02; done'
    assert sandbox.commands.run(probe).exit_code == 0
    eventually(lambda: sandbox.commands.list() == [])


def test_kill_of_the_sandbox_during_a_command_is_told_as_such(sandbox: Sandbox) -> None:
    """A client whose stream breaks learns that the sandbox was killed."""
    handle = sandbox.commands.run("sleep 1000", background=True)
    killer = threading.Timer(0.2, sandbox.kill)
    killer.start()
    with pytest.raises(TimeoutException, match="was killed or reached its end of life"):
        handle.wait()
    killer.join()


def test_expiry_during_a_command_is_told_as_such(sandbox: Sandbox, emulator: AdminClient) -> None:
    """The same when the life of the sandbox ends by itself."""
    handle = sandbox.commands.run("sleep 1000", background=True)
    killer = threading.Timer(0.2, emulator.advance, (121,))
    killer.start()
    with pytest.raises(TimeoutException, match="was killed or reached its end of life"):
        handle.wait()
    killer.join()


def test_next_request_after_a_killed_stream_is_not_broken(
    make_sandbox: Callable[..., Sandbox],
) -> None:
    """Only the connection of the stream is reset; the pool's others go on."""
    first, second = make_sandbox(), make_sandbox()
    handle = first.commands.run("sleep 1000", background=True)
    assert first.commands.run("echo idle connection").exit_code == 0
    first.kill()
    with pytest.raises(TimeoutException):
        handle.wait()
    for _ in range(5):
        assert second.commands.run("echo fine").stdout == "fine\n"


def test_terminal_echoes_resizes_and_ends(sandbox: Sandbox) -> None:
    """A PTY takes input, knows its size, and ends with its shell."""
    output = bytearray()
    terminal = sandbox.pty.create(PtySize(rows=24, cols=80))
    sandbox.pty.send_stdin(terminal.pid, b"tty; stty size\n")
    sandbox.pty.resize(terminal.pid, PtySize(rows=40, cols=120))
    sandbox.pty.send_stdin(terminal.pid, b"stty size; exit\n")
    result = terminal.wait(on_pty=output.extend)
    assert result.exit_code == 0
    assert b"/dev/pts/" in output
    assert b"40 120" in output


def test_many_commands_at_once_keep_their_output_apart(sandbox: Sandbox) -> None:
    """Twenty streams side by side."""
    handles = [
        sandbox.commands.run(f"echo {n}; sleep 0.1; echo {n}", background=True) for n in range(20)
    ]
    assert [handle.wait().stdout for handle in handles] == [f"{n}\n{n}\n" for n in range(20)]
