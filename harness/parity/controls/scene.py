"""What came back from one run, open to be changed, and put back as it was afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.model.evidence import Evidence
from harness.model.run import CollectedArtifacts, ExecResult, ExecutionContext, Json

__all__ = ["Fault", "Scene", "UnfitError"]

EVENTS = "events.jsonl"
METRICS = "metrics.jsonl"


class UnfitError(Exception):
    """What came back has nothing that the fault could change; the message says what it needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that a remote side could do wrong.

    Attributes:
        name: in a few words, unique among its kind.
        plant: changes the scene; the path at which a difference must be found.
    """

    name: str
    plant: Callable[[Scene], str]


class Scene:
    """The files and the result of one remote run.

    Args:
        context: where it was run.
        result: what the product answered.
        collected: what the adapter gathered.
        local: the local side, to choose what both sides have.
    """

    def __init__(
        self,
        context: ExecutionContext,
        result: ExecResult,
        collected: CollectedArtifacts,
        local: Evidence,
    ) -> None:
        self.result = result
        self.collected = collected
        self.local = local
        self._logs = collected.logs_dir or context.logs_dir
        self._artifacts = collected.artifacts_dir or self._logs / "artifacts"
        self._before: dict[Path, tuple[bytes, int] | None] = {}

    @contextmanager
    def kept(self) -> Iterator[Scene]:
        """The scene; on leaving, everything is as it was."""
        result, collected = self.result, self.collected
        try:
            yield self
        finally:
            self.result, self.collected = result, collected
            for path, before in self._before.items():
                if before is None:
                    path.unlink(missing_ok=True)
                else:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(before[0])
                    path.chmod(before[1])
            self._before.clear()

    @property
    def status(self) -> Path:
        """The status file."""
        return self._present(self._logs / "status.json")

    def records(self, name: str) -> Path:
        """The file of events or of metrics.

        Raises:
            UnfitError: if there is none.
        """
        told = self.collected.events_log if name == EVENTS else self.collected.metrics_log
        return self._present(told or self._logs / name)

    @property
    def log(self) -> Path:
        """The product's own log."""
        return self._present(self.collected.execution_log or self._logs / "osiris.log")

    def send(self, area: str, name: str, what: Json) -> None:
        """Has something more been sent to the sandbox.

        Raises:
            UnfitError: if nobody saw what was sent.
        """
        sent = dict(self.collected.wire or {})
        known = sent.get(area)
        if not isinstance(known, dict):
            raise UnfitError(f"{area} as they were seen on the wire")
        self.collected = replace(self.collected, wire={**sent, area: {**known, name: what}})

    def table(self) -> tuple[Path, str]:
        """The first delimited output with rows, and its path in differences.

        Raises:
            UnfitError: if there is none.
        """
        root = self.collected.outputs_dir
        for path in sorted(root.rglob("*.csv")) if root else ():
            if path.is_file() and path.read_bytes().count(b"\n") > 1:
                return path, f"files/output/{path.relative_to(root or path).as_posix()}"
        raise UnfitError("a CSV file with rows among the outputs")

    def artifact(self) -> tuple[Path, str]:
        """The first JSON artifact of a step that both sides have, and its path in differences.

        Raises:
            UnfitError: if there is none.
        """
        for file in self.local.files:
            path = self._artifacts / file.path
            if file.role.value == "artifact" and path.suffix == ".json" and path.is_file():
                inside = Path(file.path).parts[1:]
                return path, "/".join(["files/artifact/<step>", *inside])
        raise UnfitError("a JSON artifact of a step on both sides")

    def write(self, path: Path, data: bytes) -> None:
        """Gives a file another content; a new one is made.

        Raises:
            UnfitError: if that changes nothing.
        """
        if path.is_file() and path.read_bytes() == data:
            raise UnfitError(f"something else in {path.name}")
        self._remember(path)
        path.write_bytes(data)

    def edit(self, path: Path, change: Callable[[bytes], bytes]) -> None:
        """Changes the content of a file.

        Raises:
            UnfitError: if that changes nothing.
        """
        self.write(path, change(path.read_bytes()))

    def remove(self, path: Path) -> None:
        """Takes a file away."""
        self._remember(path)
        path.unlink()

    def chmod(self, path: Path, mode: int) -> None:
        """Gives a file other permissions."""
        self._remember(path)
        path.chmod(mode)

    def edit_json(self, path: Path, change: Callable[[dict[str, Json]], None]) -> None:
        """Changes a file that holds a JSON object.

        Raises:
            UnfitError: if that changes nothing.
        """
        document = json.loads(path.read_bytes())
        change(document)
        self.write(path, json.dumps(document).encode())

    def edit_lines(self, name: str, change: Callable[[list[bytes]], None]) -> None:
        """Changes the lines of the events or the metrics, each with its end.

        Raises:
            UnfitError: if that changes nothing.
        """
        lines = self.records(name).read_bytes().splitlines(keepends=True)
        change(lines)
        self.write(self.records(name), b"".join(lines))

    def _present(self, path: Path) -> Path:
        if not path.is_file():
            raise UnfitError(path.name)
        return path

    def _remember(self, path: Path) -> None:
        if path not in self._before:
            is_there = path.is_file()
            self._before[path] = (
                (path.read_bytes(), path.stat().st_mode & 0o7777) if is_there else None
            )
