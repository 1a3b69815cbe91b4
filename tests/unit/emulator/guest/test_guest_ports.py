"""Connections to ports inside a sandbox, and its figures."""

from __future__ import annotations

import asyncio
import socket

import pytest
from guest_lab import Guest, eventually

from harness.emulator.isolation import GuestError

SERVER = """
import socket
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", 8123)); s.listen(); open("up", "w").close()
while True:
    c, _ = s.accept()
    data = b""
    while piece := c.recv(65536):
        data += piece
    c.sendall(b"%d:" % len(data) + data[:4]); c.close()
"""


def dial(guest: Guest, port: int, data: bytes) -> bytes:
    """Sends all, half-closes, and reads all."""

    async def talk() -> bytes:
        async with guest.sandbox.stream("tcp.dial", port=port) as stream:
            assert await anext(stream) == {"event": "connected"}

            async def send() -> None:
                await stream.send(data)
                await stream.send_eof()

            sending = asyncio.create_task(send())
            said = b"".join([item async for item in stream if isinstance(item, bytes)])
            await sending
            return said

    return guest.lab.do(talk)


def test_bytes_go_both_ways_and_half_closing_works(guest: Guest) -> None:
    """The server sees the end of input and can still answer."""
    guest.write("server.py", SERVER.encode())
    guest.spawn("python3 server.py")
    eventually(lambda: "up" in guest.run("ls").text)
    assert dial(guest, 8123, b"abcd" * 500_000) == b"2000000:abcd"
    assert dial(guest, 8123, b"") == b"0:"


DEAF = """
import socket, time
s = socket.create_server(("127.0.0.1", 8124)); open("up", "w").close()
c, _ = s.accept()
c.recv(10); c.sendall(b"enough"); time.sleep(0.5); c.close(); s.accept()
"""


def test_peer_that_stops_listening_is_no_failure(guest: Guest) -> None:
    """What it said is read, while the sender's bytes go nowhere."""
    guest.write("deaf.py", DEAF.encode())
    guest.spawn("python3 deaf.py")
    eventually(lambda: "up" in guest.run("ls").text)
    assert dial(guest, 8124, b"x" * (8 << 20)) == b"enough"


def test_closed_port_is_a_failed_precondition(guest: Guest) -> None:
    """Nothing listens: the server makes its 502 of it."""
    with pytest.raises(GuestError) as refusal:
        dial(guest, 9, b"")
    assert refusal.value.code == "failed_precondition"


def test_port_of_the_host_is_not_the_sandboxes(guest: Guest) -> None:
    """A service on this machine's loopback is out of reach; here it is reachable."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        with pytest.raises(GuestError):
            dial(guest, port, b"")
        assert guest.run(f"exec 3<>/dev/tcp/127.0.0.1/{port}").exit_code != 0


def test_figures_are_those_of_the_sandbox(guest: Guest) -> None:
    """A busy process shows as processor use, a large one as memory."""
    idle = guest.call("metrics")
    assert set(idle) == {
        *("cpu_count", "cpu_used_pct", "mem_total", "mem_used", "mem_cache"),
        *("disk_total", "disk_used"),
    }
    assert 0 < idle["mem_used"] < idle["mem_total"]
    guest.spawn("python3 -c 'x = bytearray(200 << 20); print(len(x)); input()'", stdin=True)
    eventually(lambda: guest.call("metrics")["mem_used"] > idle["mem_used"] + (150 << 20))
    guest.call("metrics")
    guest.run("python3 -c 'import time\nwhile time.process_time() < 0.3: pass'")
    assert guest.call("metrics")["cpu_used_pct"] > 1
