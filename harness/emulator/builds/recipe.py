"""What a build is asked to do.

Source: e2b 2.63.0 e2b/template/main.py (arguments of the steps) and
e2b/api/client/models/template_build_start_v2.py.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["BASE_STEP", "FINALIZE_STEP", "Recipe", "Step", "StepKind", "read_recipe"]

BASE_STEP = "base"
FINALIZE_STEP = "finalize"


class StepKind(StrEnum):
    """What a step does."""

    RUN = "RUN"
    """A shell command, and the user who runs it."""
    COPY = "COPY"
    """Uploaded files: source, destination, owner, permission bits."""
    ENV = "ENV"
    """Variables: names and values in turn."""
    USER = "USER"
    """Who runs what follows."""
    WORKDIR = "WORKDIR"
    """Where what follows runs; made where it is missing."""


# How many arguments each needs at least.
_NEEDED = {
    StepKind.RUN: 1,
    StepKind.COPY: 2,
    StepKind.ENV: 2,
    StepKind.USER: 1,
    StepKind.WORKDIR: 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step.

    Attributes:
        kind: what it does.
        args: see `StepKind`; an argument that is missing counts as empty.
        files_hash: under which name its files were uploaded; empty for no files.
        force: whether it, and what follows, runs though nothing changed.
    """

    kind: StepKind
    args: tuple[str, ...]
    files_hash: str = ""
    force: bool = False

    def arg(self, index: int) -> str:
        """An argument, empty where it is missing."""
        return self.args[index] if index < len(self.args) else ""

    def shown(self) -> str:
        """The step as a line of a log."""
        if self.kind is StepKind.ENV:
            pairs = zip(self.args[::2], self.args[1::2], strict=False)
            return "ENV " + " ".join(f"{name}={value}" for name, value in pairs)
        shown = self.args[: _NEEDED[self.kind]]
        return " ".join((self.kind.value, *shown))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A whole build.

    Attributes:
        from_template: the template that it starts from; empty where it starts from an image.
        from_image: the image's name.
        steps: in order.
        start_cmd: what runs in every sandbox from its beginning; empty is none.
        ready_cmd: succeeds once that has done its part; empty is none.
        force: whether nothing is taken from an earlier build.
    """

    from_template: str = ""
    from_image: str = ""
    steps: tuple[Step, ...] = ()
    start_cmd: str = ""
    ready_cmd: str = ""
    force: bool = False

    @property
    def base(self) -> str:
        """What it starts from, by name."""
        return self.from_template or self.from_image or "e2bdev/base"

    def keys(self, base_key: str) -> list[str]:
        """A name for what stands after the base, and after each step: equal where that is."""
        keys = [hashlib.sha256(base_key.encode()).hexdigest()]
        for step in self.steps:
            said = json.dumps([keys[-1], step.kind, step.args, step.files_hash])
            keys.append(hashlib.sha256(said.encode()).hexdigest())
        return keys

    def reusable_steps(self) -> int:
        """How many of the first steps may be taken from an earlier build."""
        if self.force:
            return 0
        forced = (number for number, step in enumerate(self.steps) if step.force)
        return next(forced, len(self.steps))


def read_recipe(document: Mapping[str, Any]) -> Recipe:
    """The recipe in a request's body, whose fields have their types already.

    Raises:
        ValueError: with every step that does not fit.
    """
    problems: list[str] = []
    steps = [
        step
        for number, entry in enumerate(document.get("steps") or (), 1)
        if (step := _read_step(number, entry, problems)) is not None
    ]
    if document.get("fromTemplate") and document.get("fromImage"):
        problems.append("fromImage and fromTemplate cannot both be given")
    if problems:
        raise ValueError("; ".join(problems))
    return Recipe(
        from_template=document.get("fromTemplate") or "",
        from_image=document.get("fromImage") or "",
        steps=tuple(steps),
        start_cmd=document.get("startCmd") or "",
        ready_cmd=document.get("readyCmd") or "",
        force=bool(document.get("force")),
    )


def _read_step(number: int, entry: Any, problems: list[str]) -> Step | None:
    if not isinstance(entry, dict):
        problems.append(f"steps.{number} must be an object")
        return None
    args = entry.get("args") or []
    try:
        kind = StepKind(str(entry.get("type")).upper())
    except ValueError:
        problems.append(f"steps.{number}: unknown type {entry.get('type')!r}")
        return None
    if not _are_words(args) or len(args) < _NEEDED[kind]:
        problems.append(f"steps.{number}: {kind} needs {_NEEDED[kind]} strings in args")
        return None
    if kind is StepKind.COPY and not entry.get("filesHash"):
        problems.append(f"steps.{number}: COPY needs a filesHash")
        return None
    return Step(
        kind=kind,
        args=tuple(args),
        files_hash=entry.get("filesHash") or "",
        force=bool(entry.get("force")),
    )


def _are_words(args: Sequence[Any]) -> bool:
    return isinstance(args, list) and all(isinstance(word, str) for word in args)
