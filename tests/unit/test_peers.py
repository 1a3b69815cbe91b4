"""Who is at the other end of a loopback connection, asked of real processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from harness.peers import Peers, Process, describe_process, process_of, socket_of

CLIENT = """
import os, socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
if sys.argv[2] == "fork" and os.fork() == 0:
    sys.stdin.read()
    os._exit(0)
print(os.getpid(), connection.getsockname()[1], flush=True)
sys.stdin.read()
"""

LATE_FORK = """
import os, socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print(connection.getsockname()[1], flush=True)
sys.stdin.readline()
child = os.fork()
if child:
    print(child, flush=True)
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
    peers, server_port = Peers(), listener.getsockname()[1]
    with socket.create_connection(("127.0.0.1", server_port)) as client:
        client_port = client.getsockname()[1]
        assert peers.find(client_port, server_port) == (process_of(os.getpid()),)
        assert peers.find(client_port, server_port) == (process_of(os.getpid()),)
        accepted, _ = listener.accept()
    with accepted:
        assert peers.find(client_port, server_port) == ()


def test_a_peer_that_was_met_is_found_with_all_it_forked(listener: socket.socket) -> None:
    """A later look asks those who were met, and misses no child that inherited the socket."""
    peers, port = Peers(), listener.getsockname()[1]
    with subprocess.Popen(
        [sys.executable, "-c", LATE_FORK, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        client_port = int(child.stdout.readline())
        accepted, _ = listener.accept()
        with accepted:
            assert peers.find(client_port, port) == (process_of(child.pid),)
            child.stdin.write(b"fork\n")
            child.stdin.flush()
            forked = int(child.stdout.readline())
            again = peers.find(client_port, port)
            number = socket_of(client_port, port)
            assert number
            assert again == peers.holders_of(number)
            assert {process.pid for process in again or ()} == {child.pid, forked}
            child.stdin.close()
            child.wait()


def test_a_peer_is_not_the_one_that_was_met_before(listener: socket.socket) -> None:
    """Who was met is asked first, and not believed: another process's connection is its own."""
    peers, port = Peers(), listener.getsockname()[1]
    with socket.create_connection(("127.0.0.1", port)) as ours:
        assert peers.find(ours.getsockname()[1], port) == (process_of(os.getpid()),)
        with subprocess.Popen(
            [sys.executable, "-c", CLIENT, str(port), "plain"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as child:
            assert child.stdout is not None
            pid, client_port = map(int, child.stdout.readline().split())
            assert peers.find(client_port, port) == (process_of(pid),)


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
            found = Peers().find(client_port, port)
        assert found is not None
        assert len(found) == holders
        assert pid in {process.pid for process in found}
        assert all(process.alive for process in found)
        described = describe_process(pid)
        assert f"(pid {pid})" in described
        assert f"started by {sys.executable}" in described or f"(pid {os.getpid()})" in described
    assert not process_of(pid).alive
    assert not Process(pid=os.getpid(), started="1").alive  # another one under this number
