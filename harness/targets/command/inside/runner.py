"""Runs one program in a folder of its own and writes down everything that came of it.

Run by path, by any Python from 3.9: `python3 -I -S runner.py <spec.json>`. The same file
runs on this machine and in a sandbox, so that what it sees differs only where the two
differ. Standard library only. `harness.targets.command.conversation` writes the
specification and reads the answer.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import platform
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path
from types import FrameType
from typing import IO, Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
GRACE_S = 2.0
DRAIN_S = 10.0
CHUNK_BYTES = 1 << 16
NOT_FOUND = 127  # as shells say it
NOT_EXECUTABLE = 126
TIMED_OUT = 124  # as timeout(1) says it
SIGNALLED = 128
UMASK = 0o022
# Bytecode holds times of its source and is named after the interpreter; caches are by
# their definition not what a program is for. Source: PEP 3147, XDG Base Directory 0.8.
BYPRODUCTS = {"project": {"__pycache__"}, "home": {"__pycache__", ".cache"}}

libc = ctypes.CDLL(None, use_errno=True)


class Capture(threading.Thread):
    """Reads a pipe to its end; keeps its beginning, its end and how much lay between."""

    def __init__(self, pipe: IO[bytes] | None, limit_bytes: int) -> None:
        super().__init__(daemon=True)
        if pipe is None:
            raise AssertionError("Popen was asked for a pipe")
        self.pipe = pipe
        self.half = max(1, limit_bytes // 2)
        self.head = bytearray()
        self.tail = bytearray()
        self.left_out = 0
        self.start()

    def run(self) -> None:
        """Reads until every writer has closed the pipe."""
        while True:
            data = os.read(self.pipe.fileno(), CHUNK_BYTES)
            if not data:
                return
            room = self.half - len(self.head)
            self.head += data[:room]
            self.tail += data[room:]
            if len(self.tail) > 2 * self.half:
                self.trim()

    def trim(self) -> None:
        """Cuts the end down to its half of the bound."""
        excess = len(self.tail) - self.half
        if excess > 0:
            del self.tail[:excess]
            self.left_out += excess

    def write(self, path: Path) -> dict[str, int]:
        """Writes what was kept; answers where the gap is and how large."""
        self.join(DRAIN_S)
        self.trim()
        path.write_bytes(self.head + self.tail)
        return {"head_bytes": len(self.head), "left_out_bytes": self.left_out}


def main() -> None:
    """Reads the specification, runs it, writes the answer."""
    spec = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    spec["env"].setdefault("PATH", os.environ.get("PATH", os.defpath))
    os.umask(UMASK)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGTERM, end_all_and_exit)
    base = Path(spec["base"])
    roots = {name: base / name for name in ("project", "home")}
    for folder in (*roots.values(), base / "tmp"):
        folder.mkdir(parents=True)
    unpack(base / "job.tar", roots["project"])
    before = {name: scan(root, BYPRODUCTS[name]) for name, root in roots.items()}
    answer = run(spec, base)
    after = {name: scan(root, BYPRODUCTS[name]) for name, root in roots.items()}
    entries, removed = changes(before, after)
    answer.update(
        entries=entries,
        removed=removed,
        too_large=pack(base, roots, entries, spec["collect_bytes"]),
        host=socket.gethostname(),
        variables=spec["env"],
        machine=machine(),
    )
    partial = base / "answer.part"
    partial.write_text(json.dumps(answer), encoding="ascii")
    partial.replace(base / "answer.json")


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks the job's files: made by the harness, so modes and links are wanted as they are."""
    with tarfile.open(archive) as tar:
        if hasattr(tarfile, "fully_trusted_filter"):
            tar.extraction_filter = tarfile.fully_trusted_filter
        tar.extractall(folder)  # noqa: S202 - packed by the harness itself
    archive.unlink()


def run(spec: dict[str, Any], base: Path) -> dict[str, Any]:
    """Runs the program to its end or its deadline, and ends everything that it started."""
    started_s = time.monotonic()
    process, code, error = start(spec, base)
    streams: dict[str, Any] = {}
    signal_name, timed_out = None, False
    if process is None:
        for name in ("stdout", "stderr"):
            (base / name).write_bytes(b"")
            streams[name] = {"head_bytes": 0, "left_out_bytes": 0}
    else:
        limit = spec["stream_bytes"]
        captures = {
            "stdout": Capture(process.stdout, limit),
            "stderr": Capture(process.stderr, limit),
        }
        try:
            code = process.wait(spec["deadline_s"])
        except subprocess.TimeoutExpired:
            timed_out, code = True, TIMED_OUT
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        duration_s = time.monotonic() - started_s
        end_descendants()
        streams = {name: capture.write(base / name) for name, capture in captures.items()}
        if code < 0:
            signal_name, code = name_of_signal(-code), SIGNALLED - code
    if process is None:
        duration_s = time.monotonic() - started_s
    return {
        "exit_code": code,
        "error": error,
        "signal": signal_name,
        "timed_out": timed_out,
        "duration_s": duration_s,
        "streams": streams,
    }


def start(
    spec: dict[str, Any], base: Path
) -> tuple[subprocess.Popen[bytes] | None, int, str | None]:
    """The started program; or None, the exit code that says so, and why."""
    words = spec["words"]
    try:
        process = subprocess.Popen(
            words,
            cwd=base / "project",
            env=spec["env"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - no thread runs here yet
        )
    except FileNotFoundError:
        return None, NOT_FOUND, f"{words[0]}: not found"
    except OSError as error:
        return None, NOT_EXECUTABLE, f"{words[0]}: {error.strerror}"
    return process, 0, None


def die_with_parent() -> None:
    """In the child: it does not outlive this process, whatever ends it."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def end_all_and_exit(number: int, frame: FrameType | None) -> None:
    """The harness ends the run: nothing that was started here stays."""
    del frame
    end_descendants()
    os._exit(SIGNALLED + number)


def end_descendants() -> None:
    """Ends every process that the program left behind; orphans have become children of this.

    What cannot be ended (a process of root) is left to whoever ends the sandbox.
    """
    until_s = time.monotonic() + GRACE_S
    while time.monotonic() < until_s:
        for child in children():
            try:
                os.kill(child, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
        try:
            ended, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not ended:
            time.sleep(0.002)  # the kernel is at it; there is nothing else to wait for


def children() -> list[int]:
    """The children of this process; not every kernel has /proc/<pid>/task/<tid>/children."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        if int(fields[1]) == os.getpid():
            found.append(int(status.parent.name))
    return found


def name_of_signal(number: int) -> str:
    """The name of a signal, such as SIGSEGV."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def scan(root: Path, byproducts: set[str]) -> dict[str, dict[str, Any]]:
    """Everything below a folder by relative path: kind, mode, content's digest, link's target."""
    found: dict[str, dict[str, Any]] = {}
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        for entry in sorted(listed(folder)):
            if entry in byproducts:
                continue
            path = folder / entry
            told = describe(path)
            found[str(path.relative_to(root))] = told
            if told["kind"] == "folder":
                waiting.append(path)
    return found


def listed(folder: Path) -> list[str]:
    """The names in a folder, also of one that its owner may not read any more."""
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are all that is needed
    except PermissionError:
        mode = stat.S_IMODE(folder.stat().st_mode)
        folder.chmod(mode | 0o700)
        return os.listdir(folder)  # noqa: PTH208 - names are all that is needed


def describe(path: Path) -> dict[str, Any]:
    """One entry of a folder."""
    status = path.lstat()
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        return {"kind": "link", "target": str(path.readlink())}
    if stat.S_ISDIR(status.st_mode):
        return {"kind": "folder", "mode": mode}
    if not stat.S_ISREG(status.st_mode):
        return {"kind": "special", "mode": mode}
    if not os.access(path, os.R_OK):
        path.chmod(mode | 0o400)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    size = status.st_size
    return {"kind": "file", "mode": mode, "size_bytes": size, "sha256": digest.hexdigest()}


def changes(
    before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[list[str]]]:
    """What is new or changed, and what is gone, as root and path."""
    entries = [
        {"root": root, "path": path, **told}
        for root, found in after.items()
        for path, told in sorted(found.items())
        if before[root].get(path) != told
    ]
    removed = [
        [root, path]
        for root, found in before.items()
        for path in sorted(found)
        if path not in after[root]
    ]
    return entries, removed


def pack(base: Path, roots: dict[str, Path], entries: list[dict[str, Any]], limit: int) -> int:
    """Packs the files that were written, unless they are too large together: then their size."""
    files = [entry for entry in entries if entry["kind"] == "file"]
    size = sum(entry["size_bytes"] for entry in files)
    with tarfile.open(base / "written.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        for entry in files if size <= limit else ():
            path = roots[entry["root"]] / entry["path"]
            member = tar.gettarinfo(path, arcname=f"of-{entry['root']}/{entry['path']}")
            member.type, member.size = tarfile.REGTYPE, path.stat().st_size
            with path.open("rb") as file:
                tar.addfile(member, file)
    return size if size > limit else 0


def machine() -> dict[str, Any]:
    """What else a program can see of the place where it runs."""
    user_id = os.getuid()
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "root": user_id == 0,
        "time_zone": list(time.tzname),
        "umask": f"{UMASK:#o}",
        "cpus": len(os.sched_getaffinity(0)),
    }


if __name__ == "__main__":
    main()
