"""The emulator as a process: how it starts, what it says, and that nothing outlives it."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import httpx
import pytest
from guest_lab import eventually

from harness.emulator.attach import Emulator
from harness.emulator.isolation import IsolationMode
from harness.emulator.isolation.losses import losses
from harness.errors import BrokenError, ExitCode

DEADLINE_S = 60.0
COMMAND = [sys.executable, "-m", "harness.emulator", "serve"]


def descendants(pid: int) -> set[int]:
    """Every process below one, by /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parent = int(stat.rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            found.add(child)
            waiting.append(child)
    return found


@contextmanager
def watched(pids: set[int]) -> Iterator[dict[int, int]]:
    """Descriptors by which the ends of processes can be awaited, whoever their parent is."""
    descriptors: dict[int, int] = {}
    for pid in pids:
        with suppress(ProcessLookupError):  # it has ended since it was seen
            descriptors[pid] = os.pidfd_open(pid)
    yield descriptors
    for descriptor in descriptors.values():
        os.close(descriptor)


def still_running(descriptors: dict[int, int]) -> set[int]:
    """Those that have not ended when the deadline has passed."""
    deadline = time.monotonic() + DEADLINE_S
    running = dict(descriptors)
    while running and time.monotonic() < deadline:
        ready, _, _ = select.select(list(running.values()), [], [], deadline - time.monotonic())
        running = {pid: fd for pid, fd in running.items() if fd not in ready}
    return set(running)


class Started(subprocess.Popen[str]):
    """A process that a failing test does not wait for."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, error, trace)


def start(*arguments: str) -> subprocess.Popen[str]:
    return Started(
        [*COMMAND, "--bare", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def create_sandbox(env: dict[str, str]) -> str:
    answer = httpx.post(
        f"{env['E2B_API_URL']}/v2/sandboxes",
        headers={"X-API-Key": env["E2B_API_KEY"]},
        json={"templateID": "base"},
        timeout=DEADLINE_S,
    )
    assert answer.status_code == 201
    return str(answer.json()["sandboxID"])


def test_ready_line_is_the_only_thing_on_stdout() -> None:
    """Another program reads one line, and nothing but it."""
    with start("--json") as process:
        assert process.stdout is not None
        line = json.loads(process.stdout.readline())
        assert set(line) == {"env", "proxy_env", "admin", "access_token", "pid"}
        assert {"E2B_API_URL", "E2B_SANDBOX_URL", "E2B_API_KEY"} <= set(line["env"])
        assert line["pid"] == process.pid
        assert line["env"]["E2B_API_URL"].startswith("http://127.0.0.1:")
        create_sandbox(line["env"])
        process.terminate()
        rest, log = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == ExitCode.PASSED
    assert rest == ""
    assert line["env"]["E2B_API_KEY"] not in log
    assert line["access_token"] not in log


def test_key_is_new_for_each_start_and_in_no_log() -> None:
    """A person's log can be shown around."""
    with start() as process:
        assert process.stdout is not None
        exports = [process.stdout.readline() for _ in range(4)]
        env = dict(line.removeprefix("export ").strip().split("=", 1) for line in exports)
        sandbox_id = create_sandbox(env)
        httpx.get(f"{env['E2B_API_URL']}/v2/sandboxes", headers={"X-API-Key": "e2b_" + "1" * 40})
        process.terminate()
        _, log = process.communicate(timeout=DEADLINE_S)
    assert env["E2B_API_KEY"].startswith("e2b_")
    assert len(env["E2B_API_KEY"]) == 44
    assert env["E2B_API_KEY"] not in log
    requests = [line.split() for line in log.splitlines() if " ms" in line]
    assert [line[1:4] for line in requests] == [
        ["POST", "/v2/sandboxes", "201"],
        ["GET", "/v2/sandboxes", "401"],
    ]
    assert requests[0][-1] == sandbox_id


@pytest.mark.parametrize("isolation", list(IsolationMode))
def test_losses_of_this_isolation_are_told_to_a_person(isolation: IsolationMode) -> None:
    """Whoever starts it reads what it does not keep apart, and nothing where that is nothing."""
    with start("--isolation", isolation) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        _, log = process.communicate(timeout=DEADLINE_S)
    assert [line.strip() for line in log.splitlines() if line.startswith("  ")] == [
        *losses(isolation)
    ]


def test_port_in_use_is_told_in_three_lines() -> None:
    """What happened names the port, and the exit code is that of a broken surrounding."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with start("--port", str(port)) as process:
            stdout, stderr = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == ExitCode.BROKEN
    assert stdout == ""
    happened, expected, next_step = stderr.splitlines()
    assert str(port) in happened
    assert expected.startswith("expected: ")
    assert next_step.startswith("next: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "99999"],
        ["--plan", "gold"],
        ["--package", "duckdb"],  # together with --bare
        ["--requirements", "/no/such/file"],
    ],
)
def test_wrong_arguments_are_a_usage_error(arguments: list[str]) -> None:
    """Nothing is started."""
    with start(*arguments) as process:
        process.communicate(timeout=DEADLINE_S)
    assert process.returncode == ExitCode.USAGE


def test_emulator_that_cannot_start_is_told_with_its_log() -> None:
    """The error of the Python client holds what the process said."""
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(BrokenError, match="ended with exit code 4: port") as failure,
    ):
        Emulator("--port", str(taken.getsockname()[1])).start()
    assert "cannot be had" in failure.value.happened


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_end_of_the_emulator_leaves_no_process(number: signal.Signals, tmp_path: Path) -> None:
    """However it ends, every process of every sandbox ends with it."""
    with start("--json", "--state-dir", str(tmp_path)) as process:
        assert process.stdout is not None
        env = json.loads(process.stdout.readline())["env"]
        create_sandbox(env)
        create_sandbox(env)
        below = descendants(process.pid)
        assert len(below) >= 2
        with watched(below) as descriptors:
            process.send_signal(number)
            process.wait(DEADLINE_S)
            assert still_running(descriptors) == set()
    left = list(tmp_path.iterdir())
    assert bool(left) == (number is signal.SIGKILL)
    with Emulator("--state-dir", str(tmp_path)):
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


def test_second_interrupt_does_not_cut_the_cleaning_short() -> None:
    """An impatient person leaves nothing behind either."""
    with start("--json", "--pool", "4") as process:
        assert process.stdout is not None
        env = json.loads(process.stdout.readline())["env"]
        for _ in range(4):
            create_sandbox(env)
        with watched(descendants(process.pid)) as descriptors:
            for _ in range(5):
                process.send_signal(signal.SIGINT)
            process.communicate(timeout=DEADLINE_S)
            assert still_running(descriptors) == set()
    assert process.returncode == ExitCode.PASSED


def test_emulator_goes_with_the_process_that_started_it() -> None:
    """A program that is killed takes its emulator along."""
    script = (
        "import subprocess, sys\n"
        f"process = subprocess.Popen({[*COMMAND, '--bare', '--json']!r})\n"
        "print(process.pid, flush=True)\n"
        "process.wait()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        lines = [parent.stdout.readline() for _ in range(2)]
        pid = int(next(line for line in lines if line.strip().isdigit()))
        with watched({pid, *descendants(pid)}) as descriptors:
            parent.kill()
            parent.wait(DEADLINE_S)
            assert still_running(descriptors) == set()


def test_many_lives_leave_nothing_open(tmp_path: Path) -> None:
    """After many sandboxes and a reset, no process, file or descriptor is left of them."""
    with Emulator("--state-dir", str(tmp_path)) as emulator:
        env = emulator.env
        key = {"X-API-Key": env["E2B_API_KEY"]}

        def live_and_die(count: int) -> tuple[int, int]:
            for _ in range(count):
                sandbox_id = create_sandbox(env)
                url = f"{env['E2B_API_URL']}/sandboxes/{sandbox_id}"
                assert httpx.delete(url, headers=key, timeout=DEADLINE_S).status_code == 204
            emulator.reset()
            return held()

        def held() -> tuple[int, int]:
            open_files = sum(1 for _ in Path(f"/proc/{emulator.pid}/fd").iterdir())
            return open_files, len(descendants(emulator.pid))

        files, processes = live_and_die(5)
        live_and_die(25)
        eventually(lambda: held()[0] <= files + 3)
        eventually(lambda: held()[1] <= processes + 6)  # the pool fills while it is counted
        [folder] = tmp_path.iterdir()
        assert [entry.name for entry in folder.iterdir() if entry.name.startswith("i")] == []
