"""The scan: no secret in what a run left behind. It does not trust the redaction.

Bytes are looked at, not text: known values in all encodings, also cut by line
breaks, and forms that give themselves away. Memory is bounded whatever the size.
What cannot be read is named; nothing is skipped in silence.
"""

from __future__ import annotations

import copy
import io
import os
import secrets
import stat
from collections.abc import Collection, Iterable
from dataclasses import replace
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
from harness.redaction.block_scan import BlockScan
from harness.redaction.known import KnownValues
from harness.redaction.layers import MAX_DEPTH
from harness.redaction.pieces import UnreadableViewError, as_file
from harness.redaction.redact import Redactor
from harness.redaction.scan_result import ScanLimits, ScanResult, Unread
from harness.redaction.search import SEARCH_MARKS
from harness.redaction.sighting import Sight
from harness.redaction.views import has_view, view_of
from harness.secret_values import Secret

__all__ = ["ScanLimits", "ScanResult", "Scanner", "Unread"]

_PACKAGE_FOLDERS = frozenset({"dist-packages", "node_modules", "site-packages"})


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
        self._redactor = Redactor(values)
        self._limits = limits or ScanLimits()
        self._blocks = BlockScan(
            sight=Sight(self._redactor.known, SEARCH_MARKS),
            detects=detect,
            block_bytes=self._limits.block_bytes,
            digest_key=digest_key or secrets.token_bytes(32),
        )

    @property
    def known(self) -> KnownValues:
        """The known values."""
        return self._redactor.known

    @property
    def detects(self) -> bool:
        """Whether it looks also for what nobody told about."""
        return self._blocks.detects

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
        self._blocks.scan(stream, self._safe(shown), result)

    def scan_bytes(self, data: bytes, result: ScanResult, *, shown: str) -> None:
        """Scans bytes as if they were a file."""
        self._scan_content(io.BytesIO(data), shown, result)

    def without_detectors(self) -> Scanner:
        """The same scanner, for known values alone."""
        scanner = copy.copy(self)
        scanner._blocks = replace(self._blocks, detects=False)  # noqa: SLF001 - of this class
        return scanner

    def _scan_content(self, stream: IO[bytes], shown: str, result: ScanResult) -> None:
        head = stream.read(HEAD_BYTES)
        stream.seek(0)
        inside, outside = ScanResult(), ScanResult()
        kind = archive_kind(head, shown)
        if kind is not None:
            budget = Budget(self._limits.unpacked_bytes)
            self._scan_archive(kind, stream, shown, inside, budget, depth=1)
            stream.seek(0)
        else:
            self._scan_view(head, stream, shown, inside)
            stream.seek(0)
        # What an archive's members hold in encodings was looked for in them, if they were read.
        depth = 0 if kind is not None and not inside.unread else MAX_DEPTH
        self._blocks.scan(stream, self._safe(shown), outside, depth=depth)
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
                inner_kind = archive_kind(member.peek(HEAD_BYTES)[:HEAD_BYTES], inner)
                if inner_kind is not None:
                    self._scan_archive(inner_kind, member, inner, result, budget, depth=depth + 1)
                else:
                    self._scan_member(member, inner, result)
        except BudgetExceededError:
            mebibytes = self._limits.unpacked_bytes // 1024**2
            reason = f"holds more than {mebibytes} MiB unpacked"
            result.unread.append(Unread(path=self._safe(shown), reason=reason))
        except UnreadableArchiveError as error:
            result.unread.append(Unread(path=self._safe(shown), reason=str(error)))

    def _scan_member(self, member: io.BufferedReader, shown: str, result: ScanResult) -> None:
        head = member.peek(HEAD_BYTES)[:HEAD_BYTES]
        if not has_view(head):
            self.scan_stream(member, result, shown=shown)
            return
        with as_file(member) as content:
            self._scan_view(head, content, shown, result)
            content.seek(0)
            self.scan_stream(content, result, shown=shown)

    def _scan_view(self, head: bytes, stream: IO[bytes], shown: str, result: ScanResult) -> None:
        """A file whose format hides what is in it (Parquet, SQLite, pickle) is read by format."""
        if not has_view(head):
            return
        unread: dict[str, str] = {}
        try:
            with as_file(stream) as content:
                for part, text in view_of(head, content):
                    name = f"{shown}!{part}"
                    try:
                        self.scan_stream(text, result, shown=name)
                    except UnreadableViewError as error:
                        unread.setdefault(str(error), name)
        except UnreadableViewError as error:
            unread.setdefault(str(error), shown)
        # A reason that holds for every part of a table is said once.
        result.unread += [Unread(path=self._safe(p), reason=r) for r, p in unread.items()]

    def _scan_name(self, shown: str, result: ScanResult) -> None:
        name = shown.rpartition("/")[2].encode("utf-8", "surrogateescape")
        result.findings += [
            Finding(
                kind=span.name,
                encoding=f"{span.encoding}, in the file's name",
                path=self._safe(shown),
                line=0,
                digest=self._blocks.digest(span.value),
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


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
