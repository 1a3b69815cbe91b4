"""Files for COPY steps: uploaded once, found by their hash.

E2B hands out signed links to a bucket; here the bucket is the emulator, and a link's
token the signature.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

from harness.emulator.answers import ApiError
from harness.emulator.credentials import new_token

__all__ = ["Uploads"]

_HASH = re.compile(r"[A-Za-z0-9_-]{1,128}")


class Uploads:
    """The uploaded files of one emulator.

    Args:
        folder: where they are kept; made on first use.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._secret = new_token()

    def find(self, files_hash: str) -> Path | None:
        """The archive of that hash; None where it was not uploaded."""
        path = self._path(files_hash)
        return path if path.is_file() else None

    def token(self, files_hash: str) -> str:
        """What allows an upload under that hash."""
        return hmac.new(self._secret.encode(), files_hash.encode(), "sha256").hexdigest()

    async def store(self, files_hash: str, token: str, body: AsyncIterator[bytes]) -> None:
        """Keeps an archive; one that breaks off leaves nothing.

        Raises:
            ApiError: 403 where the token is not the hash's.
        """
        if not hmac.compare_digest(token.encode(), self.token(files_hash).encode()):
            raise ApiError(403, "the upload link is not valid")
        path = self._path(files_hash)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self._folder / f".{uuid4().hex}"
        try:
            with draft.open("wb") as file:
                async for piece in body:
                    await asyncio.to_thread(file.write, piece)
            draft.rename(path)
        finally:
            draft.unlink(missing_ok=True)

    def clear(self) -> None:
        """Forgets every archive and every link."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._secret = new_token()

    def _path(self, files_hash: str) -> Path:
        if not _HASH.fullmatch(files_hash):
            raise ApiError(400, f"Invalid files hash '{files_hash}'")
        return self._folder / f"{files_hash}.tar"
