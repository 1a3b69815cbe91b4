"""After-images: what a sandbox held when it was killed, one tar file each."""

from __future__ import annotations

import asyncio
import re
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from harness.clock import Clock, format_instant
from harness.sdk import ApiEndpoint

__all__ = ["AfterImage", "AfterImages"]

CONCURRENCY = 4
_SAFE = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterImage:
    """One after-image.

    Attributes:
        sandbox_id: the sandbox that it was.
        ended_at: when it was collected, which is just before its end.
        size_bytes: all files together.
        files: how many files.
    """

    sandbox_id: str
    ended_at: datetime
    size_bytes: int
    files: int

    def to_json(self) -> dict[str, str | int]:
        """The image as the list of images shows it."""
        return {
            "sandbox_id": self.sandbox_id,
            "ended_at": format_instant(self.ended_at),
            "end_reason": "request",
            "size_bytes": self.size_bytes,
            "files": self.files,
        }


class AfterImages:
    """The after-images of one run.

    Args:
        folder: where they are kept.
        clock: says when.
        limit_bytes: a home that is larger is not collected.
        timeout_s: for each of the two steps of collecting.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        limit_bytes: int = 256 * 1024 * 1024,
        timeout_s: float = 20.0,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._kept: dict[str, AfterImage] = {}
        # Threads of its own: a slow sandbox must not hold up the ledger.
        self._threads = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="collect")
        self._limit_bytes = limit_bytes
        self._timeout_s = timeout_s

    async def collect(self, sandbox_id: str, endpoint: ApiEndpoint) -> int:
        """Fetches the home of a running sandbox; the size of its files in bytes.

        Raises:
            HarnessError: if it cannot be fetched.
        """
        loop = asyncio.get_running_loop()
        image = await loop.run_in_executor(self._threads, self._collect, sandbox_id, endpoint)
        self._kept[sandbox_id] = image
        return image.size_bytes

    def path(self, sandbox_id: str) -> Path | None:
        """The tar file of a sandbox; None where there is none."""
        if not _SAFE.fullmatch(sandbox_id):
            return None
        path = self._folder / f"{sandbox_id}.tar"
        return path if path.is_file() else None

    def list(self) -> tuple[AfterImage, ...]:
        """What is kept, in the order of the ends."""
        return tuple(self._kept.values())

    def _collect(self, sandbox_id: str, endpoint: ApiEndpoint) -> AfterImage:
        from harness.sdk.home import collect_home  # noqa: PLC0415 - the SDK takes 1 s to import

        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._folder / f"{sandbox_id}.tar"
        collect_home(
            sandbox_id,
            endpoint,
            target,
            limit_bytes=self._limit_bytes,
            timeout_s=self._timeout_s,
        )
        with tarfile.open(target) as archive:
            sizes = [member.size for member in archive if member.isfile()]
        return AfterImage(
            sandbox_id=sandbox_id,
            ended_at=self._clock.now(),
            size_bytes=sum(sizes),
            files=len(sizes),
        )
