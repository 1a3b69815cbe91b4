"""The scan of one stream of bytes, block by block, in bounded memory.

Each block is searched together with the end of the one before it, so that nothing
is lost at a border: not a value, not an encoding, not the base64 of a compressed file.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from harness.model.finding import Finding
from harness.redaction.layers import MAX_DEPTH
from harness.redaction.packed import open_run_start
from harness.redaction.patterns import detected
from harness.redaction.scan_result import ScanResult, Unread
from harness.redaction.search import Hit, search
from harness.redaction.sighting import Sight

__all__ = ["MAX_FINDINGS_OF_A_KIND", "PRAGMA", "BlockScan"]

MAX_FINDINGS_OF_A_KIND = 20  # in one file and encoding
PRAGMA = b"pragma: allowlist secret"
_KEEP_BYTES = 16 * 1024  # What a block's end may cut, encodings of encodings included.
_MAX_RUN_BYTES = 4 * 1024 * 1024  # of compressed bytes in base64, which must be whole


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockScan:
    """How streams are scanned.

    Attributes:
        sight: looks for known values.
        detects: look also for keys, tokens and connection strings that nobody told about.
        block_bytes: how much is in memory at once.
        digest_key: keys the digests.
    """

    sight: Sight
    detects: bool
    block_bytes: int
    digest_key: bytes

    def scan(
        self, stream: IO[bytes], path: str, result: ScanResult, *, depth: int = MAX_DEPTH
    ) -> None:
        """Scans a stream to its end.

        Args:
            stream: from where it is.
            path: in findings; holds no secret.
            result: takes what is found.
            depth: how many encodings may stand in each other.
        """
        keep = max(2 * self.sight.known.longest_bytes + 64, _KEEP_BYTES)
        told = _Told(path, result)
        tail, new_from, lines_before, binary = b"", 0, 0, None
        cut_short = False
        while block := stream.read(self.block_bytes):
            binary = _is_binary(block) if binary is None else binary
            data = tail + block
            found = search(self.sight, data, depth=depth, detect=detected if self.detects else None)
            cut_short = cut_short or found.truncated
            hits = _told_here(data, found.hits, new_from)
            lines = _Lines(data, lines_before)
            told.take(
                [(hit, 0 if binary else lines.line_of(hit.start)) for hit in hits], self.digest
            )
            cut = max(len(data) - keep, 0)
            whole = len(block) < self.block_bytes or not depth
            run_start = -1 if whole else open_run_start(data)
            if 0 <= run_start < cut:
                fits = len(data) - run_start < _MAX_RUN_BYTES
                cut_short, cut = cut_short or not fits, run_start if fits else cut
            lines_before += data.count(b"\n", 0, cut)
            tail, new_from = data[cut:], len(data) - cut
        if cut_short:
            mebibytes = _MAX_RUN_BYTES // 1024**2
            reason = f"holds more than {mebibytes} MiB in encodings of encodings, in one place"
            result.unread.append(Unread(path=path, reason=reason))

    def digest(self, value: bytes) -> str:
        """Tells whether two findings are of one value, to who has the key."""
        return hmac.new(self.digest_key, value, hashlib.sha256).hexdigest()[:16]


def _told_here(data: bytes, hits: list[Hit], new_from: int) -> list[Hit]:
    """What ends after `new_from` and is not allowed on its line, by position."""
    return sorted(
        (
            hit
            for hit in hits
            if (hit.depth or hit.end > new_from)
            and not (hit.detected and PRAGMA in _line(data, hit.start))
        ),
        key=lambda hit: hit.start,
    )


class _Told:
    """What was told of one stream: each kind and encoding once a line, and not without end."""

    def __init__(self, path: str, result: ScanResult) -> None:
        self._path = path
        self._result = result
        self._seen: dict[tuple[str, str], set[int]] = {}

    def take(self, hits: list[tuple[Hit, int]], digest: Callable[[bytes], str]) -> None:
        # What is on a line as it is need not be said of its encodings, too.
        direct = {(hit.name, line) for hit, line in hits if not hit.depth}
        for hit, line in hits:
            there = self._seen.setdefault((hit.name, hit.encoding), set())
            if line in there or (hit.depth and (hit.name, line) in direct):
                continue
            if len(there) == MAX_FINDINGS_OF_A_KIND:
                self._result.repeated += 1
                continue
            there.add(line)
            self._result.findings.append(
                Finding(
                    kind=hit.name,
                    encoding=hit.encoding,
                    path=self._path,
                    line=line,
                    digest=digest(hit.value),
                )
            )


class _Lines:
    """Line numbers of ascending positions in one block."""

    def __init__(self, data: bytes, lines_before: int) -> None:
        self._data = data
        self._position = 0
        self._line = lines_before + 1

    def line_of(self, position: int) -> int:
        self._line += self._data.count(b"\n", self._position, position)
        self._position = position
        return self._line


def _is_binary(block: bytes) -> bool:
    return b"\0" in block[: 8 * 1024] and not block.startswith((b"\xff\xfe", b"\xfe\xff"))


def _line(data: bytes, position: int) -> bytes:
    start = data.rfind(b"\n", 0, position) + 1
    end = data.find(b"\n", position)
    return data[start : end if end >= 0 else len(data)]
