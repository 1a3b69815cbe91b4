"""What a scan is allowed, and what it says: findings, and everything that it did not read."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.model.finding import Finding

__all__ = ["ScanLimits", "ScanResult", "Unread"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanLimits:
    """How much of one file is looked at.

    Attributes:
        archive_depth: how many archives may stand in each other.
        unpacked_bytes: how much may be unpacked from one file.
        block_bytes: how much is in memory at once.
    """

    archive_depth: int = 4
    unpacked_bytes: int = 512 * 1024 * 1024
    block_bytes: int = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """Something that was not looked into.

    Attributes:
        path: relative to what was scanned.
        reason: why.
        harmless: it holds no content of its own (a FIFO, a link); else the scan is incomplete.
    """

    path: str
    reason: str
    harmless: bool = False


@dataclass(slots=True)
class ScanResult:
    """What a scan found, and what it looked at.

    Attributes:
        findings: one for each kind, encoding and line, 20 of a kind and encoding in a file.
        repeated: how many more there were.
        unread: what was not looked into.
        files: how many files were read.
        size_bytes: how many bytes, archives packed.
    """

    findings: list[Finding] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    repeated: int = 0
    files: int = 0
    size_bytes: int = 0

    @property
    def incomplete(self) -> tuple[Unread, ...]:
        """What should have been read and was not."""
        return tuple(unread for unread in self.unread if not unread.harmless)
