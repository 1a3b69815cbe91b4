"""How fast does a command's output come through callbacks, whole and with flat memory?

    python benchmarks/emulator_stdout.py

The baseline is what the SDK can take: a bare server that sends it the same frames from
memory, with no sandbox behind it. In the second run the callback stands still in the middle:
the command has to wait, nobody may keep what it would have written.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from e2b import Sandbox
from measuring import Memory, Row, agents, attached, program, show

SIZE_MIB = 100
COMMAND = f"yes | head -c {SIZE_MIB << 20}"
STANDS_STILL_S = 3.0
SERVER = """
import base64, json, socket, socketserver, struct, sys
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        if not self.rfile.readline():
            return
        while self.rfile.readline().strip():
            pass
        self.wfile.write(b"HTTP/1.1 200 OK\\r\\ncontent-type: application/connect+json\\r\\n"
                         b"connection: close\\r\\n"
                         b"transfer-encoding: chunked\\r\\n\\r\\n")
        self.frame({"event": {"start": {"pid": 1}}})
        output = base64.b64encode(b"y\\n" * (int(sys.argv[3]) // 2)).decode()
        piece = self.framed({"event": {"data": {"stdout": output}}})
        for _ in range(int(sys.argv[2]) // int(sys.argv[3])):
            self.wfile.write(piece)
        self.frame({"event": {"end": {"exited": True, "status": "exit status 0"}}})
        self.frame({}, flags=2)
        self.wfile.write(b"0\\r\\n\\r\\n")
        self.connection.shutdown(socket.SHUT_WR)
        self.rfile.read()  # the request's body; to close on it would take the answer back
    def framed(self, message, flags=0):
        body = json.dumps(message, separators=(",", ":")).encode()
        body = struct.pack(">BI", flags, len(body)) + body
        return b"%x\\r\\n%s\\r\\n" % (len(body), body)
    def frame(self, message, flags=0):
        self.wfile.write(self.framed(message, flags))
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
# Of one message; the agent reads as much at a time from a pipe.
PIECE_BYTES = 32 * 1024


class Listener:
    """Counts what it hears; stands still once, where that is asked."""

    def __init__(self, *, stands_still: bool = False) -> None:
        self.heard = 0
        self._stands_still = stands_still

    def __call__(self, text: str) -> None:
        self.heard += len(text)
        if self._stands_still and self.heard > SIZE_MIB << 19:
            self._stands_still = False
            time.sleep(STANDS_STILL_S)


def rate(sandbox: Sandbox, callback: Callable[[str], None]) -> float:
    started = time.perf_counter()
    sandbox.commands.run(COMMAND, on_stdout=callback, timeout=600)
    return SIZE_MIB / (time.perf_counter() - started)


with attached("--pool", "0") as emulator, Sandbox.create(timeout=600) as sandbox:
    sandbox.commands.run("true")
    server, agent = Memory({emulator.pid}), Memory(agents(emulator.pid))
    plain, slow = Listener(), Listener(stands_still=True)
    through_emulator = rate(sandbox, plain)
    rate(sandbox, slow)
    grown = (server.grown_mib(), agent.grown_mib())
    with program(SERVER, str(SIZE_MIB << 20), str(PIECE_BYTES)) as url:
        os.environ["E2B_SANDBOX_URL"] = url
        bare, ceiling = Listener(), Sandbox.connect(sandbox.sandbox_id, timeout=600)
        of_the_sdk = rate(ceiling, bare)
lost = [(SIZE_MIB << 20) - listener.heard for listener in (plain, slow, bare)]
show(
    f"standard output of {SIZE_MIB} MiB",
    [
        Row(
            figure="commands.run with a callback",
            measured=f"{through_emulator:.0f} MiB/s",
            aim="50 MiB/s",
            baseline=f"{of_the_sdk:.0f} MiB/s, frames from memory",
            ratio=f"{through_emulator / of_the_sdk:.0%}",
        ),
        Row(
            figure="lost, straight and with a callback that stands still",
            measured=f"{lost[0]} and {lost[1]} bytes",
            aim="0",
            baseline=f"{lost[2]} bytes",
        ),
        Row(figure="server's memory grew at most by", measured=f"{grown[0]:.1f} MiB", aim="flat"),
        Row(figure="agent's memory grew at most by", measured=f"{grown[1]:.1f} MiB", aim="flat"),
    ],
)
