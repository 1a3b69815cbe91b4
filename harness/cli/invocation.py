"""How the person at the keyboard calls the harness, so that a printed command can be pasted.

Within a nox session there is no `harness` on the person's own PATH: nox is the door.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

__all__ = ["command_line"]

_SESSIONS: dict[tuple[str, ...], str] = {
    ("parity", "run"): "parity"
}  # what has a session of its own; the rest is `harness`


def command_line(*words: str, prefix: Path | None = None) -> str:
    """The command that runs `harness <words>`, ready to be pasted.

    Args:
        words: noun, verb and what follows them.
        prefix: the running environment; this process's own where it is left out.
    """
    prefix = prefix or Path(sys.prefix)
    if prefix.parent.name != ".nox":
        return shlex.join(("harness", *words))
    session = _SESSIONS.get(tuple(words[:2]))
    rest = words[2:] if session else words
    return " ".join(["nox -s", session or "harness", "--", shlex.join(rest)]).rstrip()
