"""What a sandbox has at /usr/local: files of its own, as writable as E2B's.

E2B gives everybody every right below /usr/local. The template's Python environment is there,
too: its small files are copied for each sandbox; what is large, its packages first of all, is
linked to where all sandboxes see it, read-only.

Source: e2b-dev/infra packages/orchestrator/pkg/template/build/phases/finalize/configure.sh.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.emulator.isolation.skeleton import SkeletonFile

__all__ = ["ENVIRONMENT_FOLDER", "LOCAL", "local_files", "local_folders"]

ENVIRONMENT_FOLDER = "/run/e2b/environment"
LOCAL = "usr/local"
FOLDERS = ("bin", "etc", "games", "include", "lib", "sbin", "share", "src")
_COPIED_BYTES = 64 * 1024
# What uv leaves for its own use, and for shells that ask for an environment by name.
_LEFT_OUT = ("environment.json", "CACHEDIR.TAG", ".gitignore", ".lock")


def local_folders(prefix: Path) -> list[str]:
    """The folders below a sandbox's root to make for an environment, parents first."""
    own = [entry.name for entry in sorted(prefix.iterdir()) if _is_folder(entry)]
    return [LOCAL, *(f"{LOCAL}/{name}" for name in sorted({*FOLDERS, *own}))]


def local_files(prefix: Path, programs: Path) -> list[SkeletonFile]:
    """The files and links to make.

    Args:
        prefix: the environment.
        programs: what is in /usr/local/sbin, whatever the environment.
    """
    files = [_copied(program, f"sbin/{program.name}") for program in sorted(programs.iterdir())]
    for entry in sorted(prefix.iterdir()):
        if entry.name in _LEFT_OUT:
            continue
        if _is_folder(entry):
            files += _of_folder(entry)
        else:
            files.append(_copied(entry, entry.name))
    return files


def _of_folder(folder: Path) -> Iterator[SkeletonFile]:
    for entry in sorted(folder.iterdir()):
        name = f"{folder.name}/{entry.name}"
        if entry.name.startswith("activate") or entry.suffix == ".bat":
            continue
        if entry.is_symlink() or (entry.is_file() and entry.stat().st_size <= _COPIED_BYTES):
            yield _copied(entry, name)
        else:
            yield SkeletonFile(path=f"{LOCAL}/{name}", target=f"{ENVIRONMENT_FOLDER}/{name}")


def _copied(entry: Path, name: str) -> SkeletonFile:
    if entry.is_symlink():
        return SkeletonFile(path=f"{LOCAL}/{name}", target=str(entry.readlink()))
    return SkeletonFile(path=f"{LOCAL}/{name}", data=entry.read_bytes(), mode=0o777)


def _is_folder(entry: Path) -> bool:
    return entry.is_dir() and not entry.is_symlink()
