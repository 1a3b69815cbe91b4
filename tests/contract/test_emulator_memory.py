"""Memory stays flat, whatever passes through: files both ways, output that nobody reads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from e2b import Sandbox

from harness.emulator.attach import Emulator

SIZE_MIB = 96
MOST_MIB = 24.0  # of the 96; a server that keeps what it carries takes all of them
ALLOCATE = (
    "import sys; print(flush=True); sys.stdin.read(1); bytearray(96 << 20); print(flush=True)"
)
ALLOCATE += "; sys.stdin.read()"


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator("--pool", "0") as running:
        yield running


@pytest.fixture
def sandbox(emulator: Emulator) -> Iterator[Sandbox]:
    env = emulator.env
    made = Sandbox.create(
        timeout=300,
        api_key=env["E2B_API_KEY"],
        api_url=env["E2B_API_URL"],
        sandbox_url=env["E2B_SANDBOX_URL"],
    )
    yield made
    made.kill()


def peak_mib(status: str) -> float:
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def peak_of(pid: int) -> float:
    return peak_mib(Path(f"/proc/{pid}/status").read_text(encoding="ascii"))


@pytest.fixture
def grown(emulator: Emulator, sandbox: Sandbox) -> Callable[[], tuple[float, float]]:
    """By how much server and agent have grown at their peak."""

    def peaks() -> tuple[float, float]:
        agent = sandbox.commands.run("cat /proc/1/status", user="root").stdout
        return peak_of(emulator.pid), peak_mib(agent)

    sandbox.files.write("warm", b"x" * 1_000_000)
    sandbox.files.read("warm")
    server, agent = peaks()

    def since() -> tuple[float, float]:
        server_now, agent_now = peaks()
        return server_now - server, agent_now - agent

    return since


def pieces() -> Iterator[bytes]:
    for number in range(SIZE_MIB):
        yield bytes([number]) * (1 << 20)


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_file_passes_through_server_and_agent(
    sandbox: Sandbox, grown: Callable[[], tuple[float, float]], encoding: str
) -> None:
    """A large file goes up and down piece by piece, in gzip as well."""
    with httpx.Client(timeout=120, trust_env=False) as client:
        octets = {"Content-Type": "application/octet-stream"}
        client.post(sandbox.upload_url("large"), content=pieces(), headers=octets)
        headers = {"Accept-Encoding": encoding}
        with client.stream("GET", sandbox.download_url("large"), headers=headers) as answer:
            assert answer.headers.get("content-encoding", "identity") == encoding
            assert sum(map(len, answer.iter_bytes())) == SIZE_MIB << 20
    assert max(grown()) < MOST_MIB


def test_output_that_nobody_reads_waits_in_the_command(
    sandbox: Sandbox, grown: Callable[[], tuple[float, float]]
) -> None:
    """A callback that takes its time holds the command back, and loses nothing."""
    heard = list[int]()

    def listen(text: str) -> None:
        if not heard:
            # Others are served meanwhile; what this one does not take, nobody keeps.
            assert max(grown()) < MOST_MIB
        heard.append(len(text))

    sandbox.commands.run(f"yes | head -c {SIZE_MIB << 20}", on_stdout=listen, timeout=120)
    assert sum(heard) == SIZE_MIB << 20
    assert max(grown()) < MOST_MIB


def test_memory_that_is_taken_is_seen() -> None:
    """The measure itself: a process that takes as much shows it, though it gives it back."""
    with subprocess.Popen(
        [sys.executable, "-c", ALLOCATE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        before = peak_of(process.pid)
        process.stdin.write(b"x")
        process.stdin.flush()
        process.stdout.readline()
        assert peak_of(process.pid) - before > MOST_MIB
