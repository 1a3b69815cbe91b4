"""Puts the guest agent's modules where sandboxes can be given them, compiled."""

from __future__ import annotations

import py_compile
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

from harness.errors import BrokenError

__all__ = ["install_agent"]

_COMPILE_TIMEOUT_S = 60
_SUDO = """\
#!/usr/bin/env -S python3 -ISE
import sys
sys.path.insert(0, "{folder}")
from guest.sudo import main
main()
"""


def install_agent(folder: Path, python: Path, *, seen_as: str) -> Path:
    """A folder with the packages `guest` and `interpreter`, for sandboxes to run.

    The first is byte-compiled for its interpreter.
    Without that every sandbox would compile it anew, since it sees the folder read-only.

    Args:
        folder: is made, with parents; must be empty or missing.
        python: the interpreter that the sandboxes' agents run with.
        seen_as: the folder's name inside.

    Raises:
        BrokenError: that interpreter does not run.
    """
    package = folder / "guest"
    _copy_package("harness.emulator.guest", package)
    # Not compiled: most servers' sandboxes never run it.
    _copy_package("harness.emulator.interpreter.inside", folder / "interpreter")
    programs = folder / "programs"
    programs.mkdir()
    (programs / "sudo").write_text(_SUDO.format(folder=seen_as), encoding="utf-8")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.parent == programs else 0o644)
    if python.resolve() == Path(sys.executable).resolve():
        for path in package.glob("*.py"):
            py_compile.compile(str(path), doraise=True)
        return folder
    command = [str(python), "-I", "-S", "-E", "-m", "compileall", "-q", str(package)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_COMPILE_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        raise BrokenError(
            f"the sandboxes' Python does not run: {error}",
            expected=f"a working interpreter at {python}",
            next_step="delete the template's folder, so that it is built again",
        ) from error
    return folder


def _copy_package(name: str, into: Path) -> None:
    into.mkdir(parents=True, mode=0o755)
    for source in files(name).iterdir():
        if source.name.endswith((".py", ".js")):
            (into / source.name).write_bytes(source.read_bytes())
