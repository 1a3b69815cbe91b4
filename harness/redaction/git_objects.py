"""What git holds besides the files that are there: its history, and what is staged.

Blobs are read from git itself, each once however many commits hold it. A value
that was committed and removed again is still there for whoever clones.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import IO

from harness.errors import BrokenError, NotRunError
from harness.model.finding import Finding
from harness.redaction.patterns import FULL_OF_EXAMPLES
from harness.redaction.scan import Scanner, ScanResult, Unread

__all__ = ["ACCEPTED_HISTORY", "accept_history", "git_output", "scan_history", "scan_staged"]

MAX_BLOB_BYTES = 64 * 1024 * 1024
ACCEPTED_HISTORY = ".secrets.history"
_BLOB = b"blob"
_HEADER = """\
# What detectors find in git's history and somebody has looked at: kind, then where. A blob never
# changes, so neither does what is accepted. Made by: harness secrets baseline --history
"""


def scan_history(root: Path, scanner: Scanner) -> ScanResult:
    """Scans every blob that a commit of any branch, tag or stash holds, and each commit's message.

    Connection strings are left to the detectors with a baseline: history is full of examples.
    Findings name the path under which the blob was committed, and the blob. What detectors
    find and `.secrets.history` lists is accepted; a known value never is.

    Raises:
        NotRunError: if the folder is in no git repository, or git is missing.
        BrokenError: if git ends before everything was read.
    """
    listed = git_output(root, "rev-list", "--objects", "--all").splitlines()
    names: dict[str, str] = {}
    for line in listed:
        oid, _, name = line.decode("utf-8", "surrogateescape").partition(" ")
        names.setdefault(oid, name)
    result = _scanned(root, scanner, {oid: name or "commit" for oid, name in names.items()})
    accepted = _accepted(root / ACCEPTED_HISTORY)
    known = {secret.name for secret in scanner.known.strong} | {*scanner.known.weak}
    result.findings = [
        finding
        for finding in result.findings
        if finding.kind not in FULL_OF_EXAMPLES
        and (finding.kind in known or _entry(finding) not in accepted)
    ]
    return result


def accept_history(root: Path) -> int:
    """Accepts everything that the detectors find in history now, and tells how many that are.

    Raises:
        NotRunError: if the folder is in no git repository, or git is missing.
        BrokenError: if git ends before everything was read.
    """
    path = root / ACCEPTED_HISTORY
    found = {_entry(finding) for finding in scan_history(root, Scanner(())).findings}
    entries = sorted(found | _accepted(path))
    path.write_text(_HEADER + "".join(f"{entry}\n" for entry in entries), encoding="utf-8")
    return len(entries)


def _accepted(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    lines = path.read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def _entry(finding: Finding) -> str:
    return f"{finding.kind} {finding.path}"


def scan_staged(root: Path, scanner: Scanner) -> ScanResult:
    """Scans what the next commit would add or change.

    Raises:
        NotRunError: if the folder is in no git repository, or git is missing.
        BrokenError: if git ends before everything was read.
    """
    raw = git_output(root, "diff", "--cached", "--raw", "-z", "--no-renames", "--abbrev=64", "HEAD")
    fields = raw.decode("utf-8", "surrogateescape").split("\0")
    names = {}
    for status, name in zip(fields[::2], fields[1::2], strict=False):
        oid = status.split(" ")[3] if status.startswith(":") else ""
        if oid.strip("0"):
            names[oid] = name
    return _scanned(root, scanner, names)


def _scanned(root: Path, scanner: Scanner, names: dict[str, str]) -> ScanResult:
    result = ScanResult()
    command = ["git", "-C", str(root), "cat-file", "--batch"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as git:
        if git.stdin is None or git.stdout is None:
            raise TypeError("git was started without pipes")
        for oid, name in names.items():
            git.stdin.write(f"{oid}\n".encode())
            git.stdin.flush()
            header = git.stdout.readline().split()
            if len(header) != 3:  # noqa: PLR2004 - oid, type, size
                git.kill()
                raise _unreadable(root, oid)
            _, kind, size = header[0], header[1], int(header[2])
            shown = f"{name} in {kind.decode()} {oid[:12]}"
            if size > MAX_BLOB_BYTES:
                result.unread.append(Unread(path=shown, reason="more than 64 MiB, not read"))
                _skip(git.stdout, size)
            else:
                content = git.stdout.read(size)
                if kind in {_BLOB, b"commit", b"tag"}:
                    scanner.scan_bytes(content, result, shown=shown)
                    result.files += 1
                    result.size_bytes += size
            git.stdout.read(1)
    return result


def _skip(stream: IO[bytes], size: int) -> None:
    while size > 0:
        piece = stream.read(min(size, 1024 * 1024))
        if not piece:
            return
        size -= len(piece)


def git_output(
    root: Path,
    *arguments: str,
    failed: str | None = None,
    expected: str = "a git repository with a commit",
    next_step: str = "run it in a clone",
) -> bytes:
    """What git says of the repository that holds `root`.

    Args:
        root: a folder of the repository.
        arguments: git's own.
        failed: what to say happened where git refuses; its cause is added.
        expected: what was expected then.
        next_step: what to do then.

    Raises:
        NotRunError: if the folder is in no git repository, or git is missing or refuses.
    """
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        stderr = getattr(error, "stderr", b"") or str(error).encode()
        cause = stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        raise NotRunError(
            f"{failed or f'git {arguments[0]} in {root}'}: {cause}",
            expected=expected,
            next_step=next_step,
        ) from error
    return done.stdout


def _unreadable(root: Path, oid: str) -> BrokenError:
    return BrokenError(
        f"git does not give object {oid} of {root}",
        expected="a repository that is whole",
        next_step=f"git -C {root} fsck",
    )
