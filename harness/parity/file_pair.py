"""One file on both sides, as the comparers of contents are given it."""

from __future__ import annotations

from dataclasses import dataclass

from harness.model.evidence import FileEvidence, FileRole
from harness.parity.text import lines_of
from harness.parity.tokens import Normaliser
from harness.parity.values import Place

__all__ = ["FilePair"]

MAX_TEXT_BYTES = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePair:
    """One file on both sides.

    Attributes:
        left: the local file.
        right: the remote file.
        place: where they stand.
        left_tokens: normalises the local content, unless it is data.
        right_tokens: the same for the remote content.
    """

    left: FileEvidence
    right: FileEvidence
    place: Place
    left_tokens: Normaliser
    right_tokens: Normaliser

    @property
    def is_output(self) -> bool:
        """Whether it is data, which is compared as it is."""
        return self.left.role is FileRole.OUTPUT

    def texts(self) -> tuple[str, str] | None:
        """Both contents as text, normalised unless they are data; None where one is not UTF-8."""
        if max(self.left.size_bytes, self.right.size_bytes) > MAX_TEXT_BYTES:
            return None
        contents = (self.left.location.read_bytes(), self.right.location.read_bytes())
        try:
            mine, theirs = (content.decode("utf-8") for content in contents)
        except UnicodeDecodeError:
            return None
        if "\0" in mine or "\0" in theirs:
            return None
        if self.is_output:
            return mine, theirs
        return _normal(self.left_tokens, mine), _normal(self.right_tokens, theirs)


def _normal(normaliser: Normaliser, text: str) -> str:
    return "".join(normaliser.text(line) for line in lines_of(text))
