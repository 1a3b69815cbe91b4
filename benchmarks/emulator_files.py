"""How fast do 100 MiB go up and down, and does memory stay flat, also with 2 GiB?

    python benchmarks/emulator_files.py [--large-mib 2048]

The baseline is the same web server (uvicorn with starlette) in a process of its own that
writes and sends a plain file, asked by the same client: httpx, and pyqwest, which carries
the SDK's requests. The data is random: nothing can be squeezed.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pyqwest
from e2b import Sandbox
from measuring import Memory, Row, agents, attached, median, milliseconds, program, show

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

words = argparse.ArgumentParser()
words.add_argument("--large-mib", type=int, default=2048)
options = words.parse_args()


def rate(work_ms: list[float]) -> float:
    return SIZE_MIB / (median(work_ms) / 1000)


def large() -> Iterator[bytes]:
    piece = os.urandom(1 << 20)
    for _ in range(options.large_mib):
        yield piece


def swallow(url: str) -> int:
    with client.stream("GET", url) as answer:
        return sum(len(piece) for piece in answer.iter_raw())


data = os.urandom(1 << 20) * SIZE_MIB
client = httpx.Client(timeout=600, headers={"Accept-Encoding": "identity"}, trust_env=False)
of_the_sdk = pyqwest.SyncClient()
plain: dict[str, float] = {}
here: dict[str, float] = {}
with tempfile.TemporaryDirectory() as folder, program(SERVER, str(Path(folder) / "plain")) as url:
    plain["up"] = rate(milliseconds(lambda: client.post(url, content=data), times=TIMES))
    plain["down"] = rate(milliseconds(lambda: client.get(url), times=TIMES))
    plain["up, SDK"] = rate(
        milliseconds(lambda: of_the_sdk.post(url + "/", content=data), times=TIMES)
    )
    plain["down, SDK"] = rate(milliseconds(lambda: of_the_sdk.get(url + "/"), times=TIMES))
with attached("--pool", "0") as emulator, Sandbox.create(timeout=3600) as sandbox:
    sandbox.files.write("warm", b"x")
    server, agent = Memory({emulator.pid}), Memory(agents(emulator.pid))
    octets = {"Content-Type": "application/octet-stream"}
    target, source = sandbox.upload_url("big"), sandbox.download_url("big")
    here["up"] = rate(
        milliseconds(lambda: client.post(target, content=data, headers=octets), times=TIMES)
    )
    here["down"] = rate(milliseconds(lambda: client.get(source), times=TIMES))
    here["up, SDK"] = rate(milliseconds(lambda: sandbox.files.write("sdk", data), times=TIMES))
    here["down, SDK"] = rate(
        milliseconds(lambda: sandbox.files.read("sdk", format="bytes"), times=TIMES)
    )
    client.post(target, content=large(), headers=octets).raise_for_status()
    lost = (options.large_mib << 20) - swallow(source)
    grown = {"server": server.grown_mib(), "agent": agent.grown_mib()}
show(
    f"files: {SIZE_MIB} MiB, and {options.large_mib} MiB for the memory",
    [
        *(
            Row(
                figure=name,
                measured=f"{here[name]:.0f} MiB/s",
                aim="50 % of a plain file",
                baseline=f"{plain[name]:.0f} MiB/s",
                ratio=f"{here[name] / plain[name]:.0%}",
            )
            for name in here
        ),
        *(
            Row(
                figure=f"memory of the {name}, at most",
                measured=f"{more:+.1f} MiB",
                aim="under +64 MiB",
                baseline=f"{options.large_mib} MiB sent",
                ratio=f"{more / options.large_mib:.2%}",
            )
            for name, more in grown.items()
        ),
        Row(figure="lost of the large file", measured=f"{lost} bytes", aim="0"),
    ],
)
