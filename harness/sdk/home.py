"""Fetches what a running sandbox holds in its user's home, as a tar file.

Source: e2b 2.63.0 e2b/sandbox_sync/main.py (connect), commands and files of the sandbox.
"""

from __future__ import annotations

import shlex
import zlib
from pathlib import Path

from e2b import Sandbox

from harness.errors import BrokenError
from harness.sdk.endpoint import ApiEndpoint

__all__ = ["HOME", "HomeNotCollectedError", "collect_home"]

HOME = "/home/user"
_ARCHIVE = "/tmp/.harness-after-image.tgz"  # noqa: S108 - in the sandbox, which is about to end
_GZIP = 31  # zlib's window bits for a gzip header


class HomeNotCollectedError(BrokenError):
    """The sandbox's files could not be fetched."""


def collect_home(
    sandbox_id: str,
    endpoint: ApiEndpoint,
    target: Path,
    *,
    limit_bytes: int = 256 * 1024 * 1024,
    timeout_s: float = 30.0,
) -> int:
    """Writes the sandbox's /home/user to `target` as a plain tar with relative paths.

    Connecting to a sandbox never shortens its life, and one that is paused is not
    to be passed here: connecting would resume it.

    Args:
        sandbox_id: a running sandbox.
        endpoint: where it runs.
        target: the tar file to write; it is whole or not there.
        limit_bytes: a home that is larger, packed or unpacked, is not collected.
        timeout_s: for each of the two steps, packing and fetching.

    Returns:
        The tar file's size in bytes.

    Raises:
        HomeNotCollectedError: if the sandbox does not answer, tar fails, or it is too large.
    """
    partial = target.with_name(target.name + ".part")
    try:
        sandbox = Sandbox.connect(
            sandbox_id,
            # Not the SDK's five minutes: a sweep would take a longer life for somebody's wish.
            timeout=1,
            api_key=endpoint.api_key.reveal(),
            api_url=endpoint.api_url,
            domain=endpoint.domain,
            sandbox_url=endpoint.sandbox_url,
            request_timeout=timeout_s,
            debug=False,  # E2B_DEBUG would have the SDK speak to port 3000
        )
        size = _pack(sandbox, limit_bytes, timeout_s)
        if size > limit_bytes:
            raise _not_collected(sandbox_id, f"it is larger than {limit_bytes} bytes packed")  # noqa: TRY301 - one border
        _fetch(sandbox, partial, limit_bytes, timeout_s)
        partial.replace(target)
    except HomeNotCollectedError:
        raise
    # Whatever goes wrong here, the caller's kill must go on: one border, one error.
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise _not_collected(sandbox_id, why) from error
    finally:
        partial.unlink(missing_ok=True)
    return target.stat().st_size


def _pack(sandbox: Sandbox, limit_bytes: int, timeout_s: float) -> int:
    """Packs the home inside the sandbox; the archive's size in bytes."""
    # tar ends with 1 where a file changed while it was read; what it packed is still good.
    # Cut off at the limit it ends badly too, which the size tells.
    script = (
        f"rm -f {_ARCHIVE}; "
        f"tar -C {HOME} --transform='flags=rh;s,^\\./,,' -czf - . | "
        f"head -c {limit_bytes + 1} > {_ARCHIVE}; packed=${{PIPESTATUS[0]}}; "
        f"size=$(stat -c %s {_ARCHIVE}) || exit; "
        f'[ "$packed" -le 1 ] || [ "$size" -gt {limit_bytes} ] || exit "$packed"; echo "$size"'
    )
    result = sandbox.commands.run(f"bash -c {shlex.quote(script)}", user="root", timeout=timeout_s)
    return int(result.stdout.strip().splitlines()[-1])


def _fetch(sandbox: Sandbox, partial: Path, limit_bytes: int, timeout_s: float) -> None:
    unpack = zlib.decompressobj(_GZIP)
    written = 0
    chunks = sandbox.files.read(_ARCHIVE, format="stream", user="root", request_timeout=timeout_s)
    with partial.open("wb") as file:
        for chunk in chunks:
            data = unpack.decompress(chunk)
            written += len(data)
            if written > limit_bytes:
                raise ValueError(f"it is larger than {limit_bytes} bytes unpacked")
            file.write(data)
        file.write(unpack.flush())
    if not unpack.eof:
        raise ValueError("the archive ended early")


def _not_collected(sandbox_id: str, why: str) -> HomeNotCollectedError:
    return HomeNotCollectedError(
        f"the files of sandbox {sandbox_id} were not collected: {why}",
        expected=f"a sandbox that answers, with GNU tar and a {HOME} that fits",
        next_step="see the ledger of the run; the sandbox was ended all the same",
    )
