"""Faults in what a run says of itself and leaves beside its data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.model.run import Json
from harness.parity.controls.scene import Fault, Scene

__all__ = ["RUN_FAULTS"]

PLANTED_VALUE = "planted-by-a-control"
MORE = "oh, by the way\n"


def _result(path: str, **changes: Any) -> Callable[[Scene], str]:
    def plant(scene: Scene) -> str:
        scene.result = replace(scene.result, **changes)
        return path

    return plant


def _stdout(scene: Scene) -> str:
    scene.result = replace(scene.result, stdout=f"{scene.result.stdout}{MORE}")
    return "stdout/lines"


def _stderr(scene: Scene) -> str:
    scene.result = replace(scene.result, stderr=f"{scene.result.stderr}{MORE}")
    return "stderr/lines"


def _secret_in_a_config(scene: Scene) -> str:
    path, place = scene.artifact()

    def add(document: dict[str, Json]) -> None:
        document["password"] = PLANTED_VALUE

    scene.edit_json(path, add)
    return f"{place}/password"


def _truncated_artifact(scene: Scene) -> str:
    path, place = scene.artifact()
    scene.edit(path, lambda data: data[: len(data) // 2])
    return place


def _missing_artifact(scene: Scene) -> str:
    path, place = scene.artifact()
    scene.remove(path)
    return place


def _extra_artifact(scene: Scene) -> str:
    path, place = scene.artifact()
    scene.write(path.with_name("core.dump"), b"\x7fELF")
    return f"{place.rpartition('/')[0]}/core.dump"


def _artifact_mode(scene: Scene) -> str:
    path, place = scene.artifact()
    scene.chmod(path, 0o777)
    return f"{place}/mode"


def _status(name: str, change: Callable[[Any], Json]) -> Callable[[Scene], str]:
    def plant(scene: Scene) -> str:
        def edit(document: dict[str, Json]) -> None:
            document[name] = change(document.get(name))

        scene.edit_json(scene.status, edit)
        return f"status/{name}"

    return plant


def _torn_status(scene: Scene) -> str:
    scene.edit(scene.status, lambda data: data[:-3])
    return "status"


def _sent(area: str, name: str, what: Json) -> Callable[[Scene], str]:
    def plant(scene: Scene) -> str:
        scene.send(area, name, what)
        return f"wire/{area}/{name}"

    return plant


def _warned(scene: Scene) -> str:
    """An entry of the log more, by a part of the product that says nothing here."""

    def add(data: bytes) -> bytes:
        time, _, session, _, _ = data.splitlines()[-1].decode().split(" - ", 4)
        entry = f"{time} - planted.logger - {session} - WARNING - careful"
        return data + f"{entry}\n".encode()

    scene.edit(scene.log, add)
    return "log/planted.logger"


RUN_FAULTS: tuple[Fault, ...] = tuple(
    Fault(name=name, plant=plant)
    for name, plant in (
        ("failure without words", _result("outcome", success=False)),
        ("exit code of a success", _result("exit_code", exit_code=3)),
        ("killed at the end", _result("outcome", crashed=True, success=False, exit_code=137)),
        ("stdout with a line more", _stdout),
        ("stderr with a line more", _stderr),
        ("secret in a config", _secret_in_a_config),
        ("artifact truncated", _truncated_artifact),
        ("artifact missing", _missing_artifact),
        ("artifact extra", _extra_artifact),
        ("artifact with other permissions", _artifact_mode),
        ("status with another count", _status("steps_total", lambda count: (count or 0) + 1)),
        ("status with a new field", _status("degraded", lambda _: True)),
        ("status that does not parse", _torn_status),
        ("variable sent that nobody asked for", _sent("environment", "PLANTED_NAME", "set")),
        ("file sent that nobody asked for", _sent("files", "planted.csv", 10)),
        ("warning in the log", _warned),
    )
)
