"""Copies the logs of a run under way to a place that a person can watch.

The product writes its logs deep inside the run's own folder. While it runs, and
once more when it has ended, what is new is copied, without secrets and in whole
lines, to a folder whose name does not change from run to run.
"""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.redaction.redact import Redactor

__all__ = ["LogMirror"]

INTERVAL_S = 0.5
LOGS = ("events.jsonl", "metrics.jsonl", "osiris.log", "debug.log", "status.json")


class LogMirror:
    """Mirrors the logs of one folder while the `with` block runs.

    Args:
        source: where the product writes; it need not exist yet.
        destination: where the copies go; what lies there from an earlier run is removed.
        redactor: takes secrets out of every line.
        interval_s: how long it waits between two looks.

    Raises:
        OSError: if the destination cannot be written.
    """

    def __init__(
        self, source: Path, destination: Path, redactor: Redactor, *, interval_s: float = INTERVAL_S
    ) -> None:
        self._source = source
        self._destination = destination
        self._redactor = redactor
        self._interval_s = interval_s
        self._read: dict[str, int] = {}
        self._over = threading.Event()
        self._failed: OSError | None = None
        self._thread = threading.Thread(target=self._follow, name="log-mirror")

    def __enter__(self) -> Self:
        shutil.rmtree(self._destination, ignore_errors=True)
        self._destination.mkdir(parents=True, exist_ok=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        if self._failed is None:
            self._copy(whole=True)
        elif error is None:
            raise self._failed

    def _follow(self) -> None:
        while not self._over.wait(self._interval_s):
            try:
                self._copy(whole=False)
            except OSError as error:
                self._failed = error
                return

    def _copy(self, *, whole: bool) -> None:
        """What is new since the last look; up to the last line's end unless the run is over."""
        for name in LOGS:
            path = self._source / name
            if not path.is_file():
                continue
            done = self._read.get(name, 0)
            with path.open("rb") as log:
                log.seek(done)
                piece = log.read()
            if not whole:
                piece = piece[: piece.rfind(b"\n") + 1]
            if piece:
                with (self._destination / name).open("ab") as copy:
                    copy.write(self._redactor.data(piece))
                self._read[name] = done + len(piece)
