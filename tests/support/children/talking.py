"""Stands in for the product's process: does to the pipe whatever it is asked to do."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any


class Child:
    """One method for each thing that a child can do."""

    def __init__(self, answers: int) -> None:
        self.answers = answers

    def say(self, message: object) -> None:
        os.write(self.answers, (json.dumps(message) + "\n").encode())

    def echo(self, **request: Any) -> None:
        sys.stdout.write(str(request.get("text", "")) + "\n")
        sys.stdout.flush()
        self.say({"ok": True, "result": request})

    def fail(self) -> None:
        error = {"type": "ValueError", "message": "no", "traceback": "Traceback …"}
        self.say({"ok": False, "error": error})

    def sandbox(self) -> None:
        self.say({"event": "sandbox", "id": "sbx-1"})
        self.say({"ok": True, "result": {}})

    def sandbox_then_crash(self) -> None:
        self.say({"event": "sandbox", "id": "sbx-2"})
        os.kill(os.getpid(), signal.SIGSEGV)

    def exit(self) -> None:
        os._exit(3)

    def crash_half_way(self) -> None:
        os.write(self.answers, b'{"ok": true, "resu')
        os._exit(0)

    def garbage(self) -> None:
        os.write(self.answers, b"this is not JSON\n")

    def not_an_answer(self) -> None:
        self.say(["neither", "answer", "nor", "event"])

    def hang(self) -> None:
        threading.Event().wait()

    def be_stubborn(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.say({"ok": True, "result": {}})

    def flood(self, blocks: int) -> None:
        for _ in range(blocks):
            os.write(1, b"x" * 1023 + b"\n")
            os.write(2, b"y" * 1023 + b"\n")
        os.write(1, b"the last line\n")
        self.say({"ok": True, "result": {}})

    def leave_a_child(self) -> None:
        # A grandchild in the same group keeps every pipe open after its parent's end.
        if os.fork() == 0:
            threading.Event().wait()
        os._exit(4)


def main() -> None:
    child = Child(int(sys.argv[-1]))
    for line in os.fdopen(int(sys.argv[-2])):
        request = json.loads(line)
        getattr(child, request.pop("op"))(**request)


main()
