"""The files of sandboxes that ended: kept until reset, within bounds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime

from harness.emulator.isolation import AfterImage, SandboxHost
from harness.emulator.life import EndReason, SandboxLife

__all__ = ["AfterImages", "KeptImage"]

MAX_IMAGES = 200
MAX_BYTES = 4 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptImage:
    """One after-image.

    Attributes:
        sandbox_id: the sandbox that it was.
        template_id: what it was made from.
        metadata: what it was labelled with.
        ended_at: when it ended.
        end_reason: why it ended.
        size_bytes: all files below its home; None while they are being counted.
        files: how many files; None while they are being counted.
    """

    sandbox_id: str
    template_id: str
    metadata: dict[str, str]
    ended_at: datetime
    end_reason: EndReason
    size_bytes: int | None = None
    files: int | None = None


class AfterImages:
    """Keeps after-images, the oldest dropped first.

    Args:
        host: owns the folders.
        max_images: how many are kept.
        max_bytes: how much they may hold together.
    """

    def __init__(
        self, host: SandboxHost, *, max_images: int = MAX_IMAGES, max_bytes: int = MAX_BYTES
    ) -> None:
        self._host = host
        self._max_images = max_images
        self._max_bytes = max_bytes
        self._kept: dict[str, KeptImage] = {}

    def list(self) -> tuple[KeptImage, ...]:
        """What is kept, in the order of the ends."""
        return tuple(sorted(self._kept.values(), key=lambda image: image.ended_at))

    def files(self, sandbox_id: str) -> AfterImage | None:
        """The files of a sandbox, running or kept; None where there are none."""
        return self._host.after_image(sandbox_id)

    def keep(self, life: SandboxLife) -> None:
        """Takes the files of a sandbox that ended; `measure` is to follow."""
        if life.ended_at is None or life.end_reason is None:
            raise ValueError(f"sandbox {life.sandbox_id} has not ended")
        self._kept[life.sandbox_id] = KeptImage(
            sandbox_id=life.sandbox_id,
            template_id=life.asked.template.template_id,
            metadata=dict(life.metadata),
            ended_at=life.ended_at,
            end_reason=life.end_reason,
        )

    async def measure(self, sandbox_id: str) -> None:
        """Counts an after-image, and drops the oldest past the bounds."""
        image = self._host.after_image(sandbox_id)
        if image is None:
            return
        size_bytes, files = await asyncio.to_thread(_measure, image)
        if sandbox_id in self._kept:
            kept = self._kept[sandbox_id]
            self._kept[sandbox_id] = replace(kept, size_bytes=size_bytes, files=files)
            await self._drop_oldest()

    async def clear(self) -> None:
        """Drops every after-image."""
        ids, self._kept = [*self._kept], {}
        for sandbox_id in ids:
            await self._host.discard(sandbox_id)

    async def _drop_oldest(self) -> None:
        for image in self.list():
            total = sum(kept.size_bytes or 0 for kept in self._kept.values())
            if len(self._kept) <= self._max_images and total <= self._max_bytes:
                return
            del self._kept[image.sandbox_id]
            await self._host.discard(image.sandbox_id)


def _measure(image: AfterImage) -> tuple[int, int]:
    sizes = [entry.size_bytes for entry in image.walk() if entry.type == "file"]
    return sum(sizes), len(sizes)
