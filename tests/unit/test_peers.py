"""Who is at the other end of a loopback connection, asked of real processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from harness.peers import Process, describe_process, peers, process_of

CLIENT = """
import os, socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
if sys.argv[2] == "fork" and os.fork() == 0:
    sys.stdin.read()
    os._exit(0)
print(os.getpid(), connection.getsockname()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening


def test_peers_of_own_connection_are_this_process(listener: socket.socket) -> None:
    """A client in the same process is seen as what it is; a closed end is nobody."""
    server_port = listener.getsockname()[1]
    with socket.create_connection(("127.0.0.1", server_port)) as client:
        client_port = client.getsockname()[1]
        assert peers(client_port, server_port) == (process_of(os.getpid()),)
        accepted, _ = listener.accept()
    with accepted:
        assert peers(client_port, server_port) == ()


@pytest.mark.parametrize(("how", "holders"), [("plain", 1), ("fork", 2)])
def test_peers_of_a_child_are_all_who_hold_its_socket(
    listener: socket.socket, how: str, holders: int
) -> None:
    """A forked child that kept the connection counts as well; a dead process is not alive."""
    port = listener.getsockname()[1]
    with subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(port), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        pid, client_port = map(int, child.stdout.readline().split())
        accepted, _ = listener.accept()
        with accepted:
            found = peers(client_port, port)
        assert found is not None
        assert len(found) == holders
        assert pid in {process.pid for process in found}
        assert all(process.alive for process in found)
        described = describe_process(pid)
        assert f"(pid {pid})" in described
        assert f"started by {sys.executable}" in described or f"(pid {os.getpid()})" in described
    assert not process_of(pid).alive
    assert not Process(pid=os.getpid(), started="1").alive  # another one under this number
