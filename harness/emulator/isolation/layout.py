"""What is put into sandboxes of one kind, wherever the isolation puts it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.emulator.templates import TemplateEnvironment

__all__ = ["AGENT_FOLDER", "Layout", "agent_code"]

AGENT_FOLDER = "/run/e2b/agent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A template's environment and the agent's code.

    Attributes:
        environment: what /usr/local is made from.
        agent: the host's folder that holds the package `guest`.
    """

    environment: TemplateEnvironment
    agent: Path

    @property
    def programs(self) -> Path:
        """The host's folder of what is copied to /usr/local/sbin."""
        return self.agent / "programs"


def agent_code(folder: str) -> str:
    """What `python -c` runs to become the agent, from the package `guest` in a folder."""
    return f"import sys; sys.path.insert(0, {folder!r}); from guest.agent import main; main()"
