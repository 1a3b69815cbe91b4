"""The kernel of Python contexts: IPython's, with the results that E2B adds.

A program of its own, since a kernel is a process of its own.
Source: e2b-dev/code-interpreter template/startup_scripts, template/ipython_kernel_config.py.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Runs a kernel; the arguments are ipykernel's."""
    own_folder = sys.path.pop(0)  # the code must not see the server's modules
    from ipykernel.kernelapp import IPKernelApp  # noqa: PLC0415 - after the path was cleaned

    app = IPKernelApp.instance()
    app.initialize()
    formatters = Path(own_folder, "formatters.py")
    namespace: dict[str, object] = {"__name__": "e2b_formatters"}
    exec(compile(formatters.read_bytes(), str(formatters), "exec"), namespace)  # noqa: S102 - its folder is not on the path
    namespace["install"](app.shell)  # type: ignore[operator]  # a function of that file
    app.start()


if __name__ == "__main__":
    main()
