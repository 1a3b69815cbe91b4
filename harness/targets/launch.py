"""Starts a command that dies with its parent.

Run by path, by any Python: `python -I -S launch.py <parent pid> <command> [arguments]`.
It asks the kernel for SIGKILL at the parent's death and becomes the command.
Standard library only.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
GONE = 125


def main() -> None:
    """Replaces this process by the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        sys.exit(f"prctl(PR_SET_PDEATHSIG): {os.strerror(ctypes.get_errno())}")
    # The parent may have died before the request was made.
    if os.getppid() != parent:
        sys.exit(GONE)
    os.execv(command[0], command)  # noqa: S606 - a list, no shell


if __name__ == "__main__":
    main()
