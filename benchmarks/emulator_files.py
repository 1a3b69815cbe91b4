"""How fast do 100 MiB go up and down, and does the server's memory stay flat?

    python benchmarks/emulator_files.py

The baseline is the same web server (uvicorn with starlette) in a process of its own
that writes and sends a plain file, asked by httpx; the emulator is asked by httpx,
too, and by the SDK.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from e2b import Sandbox
from measuring import attached, median, milliseconds, resident_mib, show

SIZE_MIB = 100
TIMES = 3
SERVER = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import FileResponse, Response
from starlette.routing import Route
async def up(request):
    with open(sys.argv[2], 'wb') as file:
        async for piece in request.stream():
            file.write(piece)
    return Response()
async def down(request):
    return FileResponse(sys.argv[2])
app = Starlette(routes=[Route('/', up, methods=['POST']), Route('/', down)])
uvicorn.run(app, port=int(sys.argv[1]), log_level='warning')
"""


def rate(work_ms: list[float]) -> float:
    return SIZE_MIB / (median(work_ms) / 1000)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_for(port: int) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError("the plain server did not come up within 20 s")


data = os.urandom(1 << 20) * SIZE_MIB
client = httpx.Client(timeout=120, headers={"Accept-Encoding": "identity"})
with tempfile.TemporaryDirectory() as folder:
    port = free_port()
    command = [sys.executable, "-c", SERVER, str(port), str(Path(folder) / "plain")]
    with subprocess.Popen(command) as server:
        wait_for(port)
        url = f"http://127.0.0.1:{port}/"
        plain_up = rate(milliseconds(lambda: client.post(url, content=data), times=TIMES))
        plain_down = rate(milliseconds(lambda: client.get(url), times=TIMES))
        server.terminate()
with attached() as emulator, Sandbox.create(timeout=600) as sandbox:
    sandbox.files.write("warm", b"x")
    before = resident_mib(emulator.pid)
    octets = {"Content-Type": "application/octet-stream"}
    target = sandbox.upload_url("big")
    up = rate(milliseconds(lambda: client.post(target, content=data, headers=octets), times=TIMES))
    source = sandbox.download_url("big")
    down = rate(milliseconds(lambda: client.get(source), times=TIMES))
    sdk_up = rate(milliseconds(lambda: sandbox.files.write("sdk", data), times=TIMES))
    sdk_down = rate(milliseconds(lambda: sandbox.files.read("sdk", format="bytes"), times=TIMES))
    grown = resident_mib(emulator.pid) - before
show(
    f"files of {SIZE_MIB} MiB",
    [
        ("up, plain server", f"{plain_up:.0f} MiB/s", ""),
        ("up, emulator", f"{up:.0f} MiB/s = {up / plain_up:.0%}", "50 %"),
        ("down, plain server", f"{plain_down:.0f} MiB/s", ""),
        ("down, emulator", f"{down:.0f} MiB/s = {down / plain_down:.0%}", "50 %"),
        ("up, SDK", f"{sdk_up:.0f} MiB/s", ""),
        ("down, SDK", f"{sdk_down:.0f} MiB/s", ""),
        ("server's memory grew by", f"{grown:.0f} MiB", "64 MiB"),
    ],
)
