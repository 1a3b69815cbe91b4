"""The scan: no secret in what a run left behind. It does not trust the redaction.

Bytes are looked at, not text: known values in all encodings, also cut by line
breaks, and forms that give themselves away. Memory is bounded whatever the size.
What cannot be read is named; nothing is skipped in silence.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import io
import os
import secrets
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from harness.model.finding import Finding
from harness.redaction.archives import (
    HEAD_BYTES,
    Budget,
    BudgetExceededError,
    UnreadableArchiveError,
    archive_kind,
    members,
)
from harness.redaction.known import KnownValues
from harness.redaction.layers import LAYER_MARKS, MAX_DEPTH, open_run_start
from harness.redaction.patterns import detected
from harness.redaction.redact import Redactor
from harness.redaction.search import Hit, search
from harness.redaction.views import MAX_VIEWED_BYTES, UnreadableViewError, has_view, view_of
from harness.secret_values import Secret

__all__ = ["ScanLimits", "ScanResult", "Scanner", "Unread"]

MAX_FINDINGS_OF_A_KIND = 20  # in one file and encoding
_PACKAGE_FOLDERS = frozenset({"dist-packages", "node_modules", "site-packages"})
PRAGMA = b"pragma: allowlist secret"
_KEEP_BYTES = 16 * 1024  # What a block's end may cut, encodings of encodings included.
_MAX_RUN_BYTES = 4 * 1024 * 1024  # of compressed bytes in base64, which must be whole


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


class Scanner:
    """Looks for secrets in files, folders and streams.

    Args:
        values: the known values.
        detect: look also for keys, tokens and connection strings that nobody told about.
        limits: how much of one file is looked at.
        digest_key: keys the digests; the same for every scan that is to be compared.
    """

    def __init__(
        self,
        values: Iterable[Secret],
        *,
        detect: bool = True,
        limits: ScanLimits | None = None,
        digest_key: bytes | None = None,
    ) -> None:
        values = tuple(values)
        self._redactor = Redactor(values, marks=LAYER_MARKS)
        self.known: KnownValues = self._redactor.known
        self.detects = detect
        self._limits = limits or ScanLimits()
        self._digest_key = digest_key or secrets.token_bytes(32)

    def scan_folder(
        self,
        folder: Path,
        result: ScanResult,
        *,
        prefix: str = "",
        exclude: Collection[Path] = (),
    ) -> None:
        """Scans everything below a folder; symbolic links are named, not followed.

        Installed packages are full of examples: in them only known values are looked for.

        Args:
            folder: where to begin.
            result: takes what is found.
            prefix: put before the paths in findings.
            exclude: files and folders that are left out, resolved.
        """
        pending = [(folder, prefix, self)]
        while pending:
            current, name, scanner = pending.pop()
            try:
                entries = sorted(os.scandir(current), key=lambda entry: entry.name)
            except OSError as error:
                result.unread.append(Unread(path=name or ".", reason=_reason(error)))
                continue
            if current.name in _PACKAGE_FOLDERS or any(e.name == "pyvenv.cfg" for e in entries):
                scanner = scanner.without_detectors()
            for entry in entries:
                path, shown = Path(entry.path), f"{name}{entry.name}"
                if path in exclude:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    self._scan_name(shown, result)
                    pending.append((path, f"{shown}/", scanner))
                else:
                    scanner.scan_file(path, result, shown=shown)

    def scan_file(self, path: Path, result: ScanResult, *, shown: str) -> None:
        """Scans one file and its name; what is no regular file is named.

        Args:
            path: the file.
            result: takes what is found.
            shown: the path in findings.
        """
        self._scan_name(shown, result)
        try:
            before = path.lstat()
            if not stat.S_ISREG(before.st_mode):
                self._special(path, before.st_mode, shown, result)
                return
            # Not to be stopped by a FIFO that took the file's place in between.
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW
            with os.fdopen(os.open(path, flags), "rb") as stream:
                self._scan_content(stream, shown, result)
                after = os.fstat(stream.fileno())
        except OSError as error:
            result.unread.append(Unread(path=self._safe(shown), reason=_reason(error)))
            return
        if (before.st_ino, before.st_size, before.st_mtime_ns) != (
            after.st_ino,
            after.st_size,
            after.st_mtime_ns,
        ):
            reason = "changed while it was read: scan again when nothing writes to it"
            result.unread.append(Unread(path=self._safe(shown), reason=reason))
        result.files += 1
        result.size_bytes += after.st_size

    def scan_stream(self, stream: IO[bytes], result: ScanResult, *, shown: str) -> None:
        """Scans a stream's bytes as they are, without a look into archives."""
        self._scan_blocks(_blocks(stream, self._limits.block_bytes), shown, result)

    def scan_bytes(self, data: bytes, result: ScanResult, *, shown: str) -> None:
        """Scans bytes as if they were a file."""
        self._scan_content(io.BytesIO(data), shown, result)

    def without_detectors(self) -> Scanner:
        """The same scanner, for known values alone."""
        scanner = copy.copy(self)
        scanner.detects = False
        return scanner

    def _scan_content(self, stream: IO[bytes], shown: str, result: ScanResult) -> None:
        head = stream.read(HEAD_BYTES)
        stream.seek(0)
        inside, outside = ScanResult(), ScanResult()
        kind = archive_kind(head)
        if kind is not None:
            budget = Budget(self._limits.unpacked_bytes)
            self._scan_archive(kind, stream, shown, inside, budget, depth=1)
            stream.seek(0)
        else:
            self._scan_view(head, stream, shown, inside)
            stream.seek(0)
        # What an archive's members hold in encodings was looked for in them.
        blocks = _blocks(stream, self._limits.block_bytes)
        self._scan_blocks(blocks, shown, outside, depth=0 if kind else MAX_DEPTH)
        # What a member was found to hold is not said again of the bytes around it.
        named = {finding.kind for finding in inside.findings}
        result.findings += [f for f in outside.findings if f.kind not in named] + inside.findings
        result.unread += inside.unread + outside.unread
        result.repeated += outside.repeated + inside.repeated

    def _scan_archive(
        self,
        kind: str,
        stream: IO[bytes],
        shown: str,
        result: ScanResult,
        budget: Budget,
        *,
        depth: int,
    ) -> None:
        if depth > self._limits.archive_depth:
            reason = f"more than {self._limits.archive_depth} archives in each other"
            result.unread.append(Unread(path=self._safe(shown), reason=reason))
            return
        try:
            for name, member in members(kind, stream, budget):
                inner = f"{shown}!{name}"
                self._scan_name(inner, result)
                inner_kind = archive_kind(member.peek(HEAD_BYTES)[:HEAD_BYTES])
                if inner_kind is not None:
                    self._scan_archive(inner_kind, member, inner, result, budget, depth=depth + 1)
                else:
                    self._scan_member(member, inner, result, budget)
        except BudgetExceededError:
            mebibytes = self._limits.unpacked_bytes // 1024**2
            reason = f"holds more than {mebibytes} MiB unpacked"
            result.unread.append(Unread(path=self._safe(shown), reason=reason))
        except UnreadableArchiveError as error:
            result.unread.append(Unread(path=self._safe(shown), reason=str(error)))

    def _scan_member(
        self, member: io.BufferedReader, shown: str, result: ScanResult, budget: Budget
    ) -> None:
        head = member.peek(HEAD_BYTES)[:HEAD_BYTES]
        if not has_view(head):
            self.scan_stream(member, result, shown=shown)
            return
        content = io.BytesIO(member.read(min(budget.left_bytes, MAX_VIEWED_BYTES) + 1))
        self._scan_view(head, content, shown, result)
        content.seek(0)
        self.scan_stream(content, result, shown=shown)

    def _scan_view(self, head: bytes, stream: IO[bytes], shown: str, result: ScanResult) -> None:
        """A file whose format hides what is in it (Parquet, SQLite, pickle) is read by format."""
        if not has_view(head):
            return
        try:
            for part, text in view_of(head, stream):
                self.scan_stream(io.BytesIO(text), result, shown=f"{shown}!{part}")
        except UnreadableViewError as error:
            result.unread.append(Unread(path=self._safe(shown), reason=str(error)))

    def _scan_blocks(
        self, blocks: Iterator[bytes], shown: str, result: ScanResult, *, depth: int = MAX_DEPTH
    ) -> None:
        keep = max(2 * self.known.longest_bytes + 64, _KEEP_BYTES)
        seen: dict[tuple[str, str], set[int]] = {}
        path = self._safe(shown)
        tail, new_from, lines_before, binary = b"", 0, 0, False
        cut_short = False
        for number, block in enumerate(blocks):
            binary = binary or (number == 0 and _is_binary(block))
            data = tail + block
            lines = _Lines(data, lines_before)
            found = search(self.known, data, depth=depth)
            cut_short = cut_short or found.truncated
            hits = self._hits(data, found.hits, new_from)
            on_lines = [(hit, 0 if binary else lines.line_of(hit.start)) for hit in hits]
            # What is on a line as it is need not be said of its encodings, too.
            direct = {(hit.name, line) for hit, line in on_lines if not hit.depth}
            for hit, line in on_lines:
                there = seen.setdefault((hit.name, hit.encoding), set())
                if line in there or (hit.depth and (hit.name, line) in direct):
                    continue
                if len(there) == MAX_FINDINGS_OF_A_KIND:
                    result.repeated += 1
                    continue
                there.add(line)
                digest = self._digest(hit.value)
                result.findings.append(
                    Finding(
                        kind=hit.name, encoding=hit.encoding, path=path, line=line, digest=digest
                    )
                )
            cut = max(len(data) - keep, 0)
            whole = len(block) < self._limits.block_bytes or not depth
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

    def _hits(self, data: bytes, known: list[Hit], new_from: int) -> list[Hit]:
        """What ends after `new_from`, by position."""
        hits = [hit for hit in known if hit.depth or hit.end > new_from]
        if self.detects:
            for kind, start, end in detected(data):
                covered = any(hit.start < end and start < hit.end for hit in known)
                if end > new_from and not covered and PRAGMA not in _line(data, start):
                    hits.append(
                        Hit(
                            name=kind, encoding="plain", start=start, end=end, value=data[start:end]
                        )
                    )
        return sorted(hits, key=lambda hit: hit.start)

    def _scan_name(self, shown: str, result: ScanResult) -> None:
        name = shown.rpartition("/")[2].encode("utf-8", "surrogateescape")
        result.findings += [
            Finding(
                kind=span.name,
                encoding=f"{span.encoding}, in the file's name",
                path=self._safe(shown),
                line=0,
                digest=self._digest(span.value),
            )
            for span in self.known.spans(name)
        ]

    def _special(self, path: Path, mode: int, shown: str, result: ScanResult) -> None:
        if stat.S_ISLNK(mode):
            target = str(path.readlink())
            self._scan_name(target, result)
            # A loop leads nowhere, too.
            reason = "link, not followed" if path.exists() else "link that leads nowhere"
        else:
            kinds = {stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket", stat.S_IFDIR: "folder"}
            reason = f"{kinds.get(stat.S_IFMT(mode), 'device')}, not read"
        result.unread.append(Unread(path=self._safe(shown), reason=reason, harmless=True))

    def _safe(self, shown: str) -> str:
        return (
            self._redactor.text(shown).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        )

    def _digest(self, value: bytes) -> str:
        return hmac.new(self._digest_key, value, hashlib.sha256).hexdigest()[:16]


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


def _blocks(stream: IO[bytes], size_bytes: int) -> Iterator[bytes]:
    while block := stream.read(size_bytes):
        yield block


def _is_binary(block: bytes) -> bool:
    return b"\0" in block[: 8 * 1024] and not block.startswith((b"\xff\xfe", b"\xfe\xff"))


def _line(data: bytes, position: int) -> bytes:
    start = data.rfind(b"\n", 0, position) + 1
    end = data.find(b"\n", position)
    return data[start : end if end >= 0 else len(data)]


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
