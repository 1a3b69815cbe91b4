"""Layers: copies of a sandbox's files, that others start from."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from harness.emulator.isolation.copier import TOO_LARGE
from harness.emulator.isolation.folders import delete_tree
from harness.errors import BrokenError

__all__ = ["MAX_LAYER_BYTES", "copy_tree"]

MAX_LAYER_BYTES = 4 * 1024**3
_PROGRAM = Path(__file__).with_name("copier.py")


async def copy_tree(source: Path, target: Path, *, limit_bytes: int = MAX_LAYER_BYTES) -> None:
    """Copies a tree with owners, modes, times, xattrs, holes, links and sockets.

    Blocks are shared where the file system can. Nothing may write to the source meanwhile.

    Args:
        source: the folder to copy.
        target: the folder that it becomes; must not exist.
        limit_bytes: how much the source may take on disk.

    Raises:
        BrokenError: it is larger, or the copy failed; no target is left then.
    """
    words = (str(_PROGRAM), str(source), str(target), str(limit_bytes))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-E", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.defpath, "LC_ALL": "C"},
    )
    try:
        _, said = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        await asyncio.to_thread(delete_tree, target)
        raise
    if process.returncode == 0:
        return
    await asyncio.to_thread(delete_tree, target)
    if process.returncode == TOO_LARGE:
        raise BrokenError(
            f"the sandbox's files take more than {limit_bytes // 1024**2} MiB",
            expected="files that fit into one snapshot",
            next_step="delete what is not needed in the sandbox, and take the snapshot again",
        )
    reason = " | ".join(said.decode(errors="replace").strip().splitlines()[-3:])
    raise BrokenError(
        f"a sandbox's files could not be copied: {reason or 'cp said nothing'}",
        expected="GNU cp, and room for the copy beside the emulator's other files",
        next_step="free some space, or choose another folder by TMPDIR",
    )
