"""Runs the emulator as another user than root, who starts it.

Root's own interpreter often lies in root's home, which that user may not enter; the
system's one of the same version then stands in, with the same packages.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness.errors import BrokenError, UsageError

__all__ = ["OtherUser"]


class OtherUser:
    """What a process needs to run as another user; one home each, removed by `close`.

    Args:
        user_id: whose process it is to be; the group has the same number.

    Raises:
        UsageError: this process is not root's.
    """

    def __init__(self, user_id: int) -> None:
        if os.geteuid() != 0:
            raise UsageError(
                f"user {os.geteuid()} cannot start an emulator as user {user_id}",
                expected="root, who alone can become somebody else",
                next_step="leave the user out: without root it runs as you",
            )
        self._user_id = user_id
        self._home: Path | None = None

    def options(self) -> dict[str, Any]:
        """Options for `subprocess.Popen`."""
        if self._home is None:
            self._home = Path(tempfile.mkdtemp(prefix="e2b-harness-user-"))
            os.chown(self._home, self._user_id, self._user_id)
        environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {
            **self._identity(),
            "cwd": "/",
            "env": {
                **environment,
                "HOME": str(self._home),
                "TMPDIR": str(self._home),
                "PYTHONPATH": os.pathsep.join(_import_path()),
            },
        }

    def python(self) -> str:
        """An interpreter that the user may run.

        Raises:
            BrokenError: there is none of this version.
        """
        name = f"python{sys.version_info.major}.{sys.version_info.minor}"
        system = shutil.which(name, path="/usr/local/bin:/usr/bin:/bin")
        for candidate in (sys.executable, system):
            if candidate is not None and self._runs(candidate):
                return candidate
        raise BrokenError(
            f"user {self._user_id} can run no {name}: {sys.executable} is not open to all",
            expected=f"{name} in /usr/bin, or an interpreter outside of root's home",
            next_step=f"install {name} for everybody, or run this as an ordinary user",
        )

    def close(self) -> None:
        """Removes the home; again is fine."""
        home, self._home = self._home, None
        if home is not None:
            shutil.rmtree(home, ignore_errors=True)

    def _identity(self) -> dict[str, Any]:
        return {"user": self._user_id, "group": self._user_id, "extra_groups": []}

    def _runs(self, candidate: str) -> bool:
        check = [candidate, "-c", "import harness.errors"]
        environment = {"PYTHONPATH": os.pathsep.join(_import_path())}
        try:
            finished = subprocess.run(
                check,
                check=False,
                env=environment,
                cwd="/",
                capture_output=True,
                **self._identity(),
            )
        except PermissionError:
            return False
        return finished.returncode == 0


def _import_path() -> list[str]:
    """Where this process finds its packages, without the standard library."""
    harness = str(Path(__file__).parents[2])
    packages = [entry for entry in sys.path if entry.endswith("-packages")]
    return [harness, *packages]
