"""Faults in how a run that failed is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.parity.controls.scene import EVENTS, Fault, Scene, UnfitError
from harness.parity.vocabulary import STEP_COMPLETED, STEP_FAILED, STEP_STARTED

__all__ = ["FAILURE_FAULTS"]


def _result(path: str, **changes: Any) -> Callable[[Scene], str]:
    def plant(scene: Scene) -> str:
        scene.result = replace(scene.result, **changes)
        return path

    return plant


def _words_lost(scene: Scene) -> str:
    """Neither the result nor any event says why the run failed."""

    def edit(lines: list[bytes]) -> None:
        for number, line in enumerate(lines):
            if _names(line, STEP_FAILED):
                event = {**json.loads(line), "error": None}
                lines[number] = json.dumps(event).encode() + b"\n"

    scene.result = replace(scene.result, error_message=None)
    scene.edit_lines(EVENTS, edit)
    return "error/"


def _later_step(scene: Scene) -> str:
    """A step begins and ends although the one before it failed."""

    def edit(lines: list[bytes]) -> None:
        at = next((n for n, line in enumerate(lines) if _names(line, STEP_FAILED)), None)
        if at is None:
            raise UnfitError("an event of a failed step")
        start = json.loads(next(line for line in lines if _names(line, STEP_STARTED)))
        for name in (min(STEP_STARTED), min(STEP_COMPLETED)):
            at += 1
            event = {**start, "event": name, "step_id": "after_the_failure"}
            lines.insert(at, json.dumps(event).encode() + b"\n")

    scene.edit_lines(EVENTS, edit)
    return "events/step_"


def _failure_lost(scene: Scene) -> str:
    def edit(lines: list[bytes]) -> None:
        lines[:] = [line for line in lines if not _names(line, STEP_FAILED)]

    scene.edit_lines(EVENTS, edit)
    return "events/step_"


def _names(line: bytes, names: frozenset[str]) -> bool:
    return json.loads(line).get("event") in names


FAILURE_FAULTS: tuple[Fault, ...] = tuple(
    Fault(name=name, plant=plant)
    for name, plant in (
        ("exit code 0 on failure", _result("exit_code", exit_code=0)),
        ("failure told as success", _result("outcome", success=True, error_message=None)),
        ("error text lost", _words_lost),
        ("timeout told as failure", _result("outcome", timed_out=True)),
        ("step run after a failure", _later_step),
        ("event of the failure lost", _failure_lost),
    )
)
