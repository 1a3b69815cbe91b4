"""Redaction of a stream: bytes in, bytes out, a bounded part of them held back.

Whole lines pass at once. What is held back is the line that is not finished, and
from there back as far as a secret with a line break in it, or a private key,
could have begun. A line without end passes in parts, cut where no secret stands.
"""

from __future__ import annotations

import re

from harness.redaction.pattern_rules import MAX_PATTERN_BYTES
from harness.redaction.redact import Redactor

__all__ = ["MAX_HELD_BYTES", "StreamFilter"]

MAX_HELD_BYTES = 64 * 1024
_KEY_BEGINS = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY")
_KEY_ENDS = re.compile(rb"-----END [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----")
_BREAKS = re.compile(rb"[\s\"'<>,;]")


class StreamFilter:
    """Redacts a stream that arrives in chunks cut anywhere.

    The joined output is the same for every way to cut the same stream, as long as
    no line is longer than 64 KiB; on longer lines every known value is still found.

    Args:
        redactor: what is masked.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """Takes the next chunk and gives what can be passed on; may be empty."""
        held = self._held + chunk
        passed = bytearray()
        while (cut := self._cut(held)) > 0:
            passed += self._redactor.data(held[:cut])
            held = held[cut:]
        self._held = held
        return bytes(passed)

    def close(self) -> bytes:
        """Ends the stream and gives the rest."""
        held, self._held = self._held, b""
        return self._redactor.data(held)

    @property
    def held_bytes(self) -> int:
        """How much is held back now."""
        return len(self._held)

    def _cut(self, held: bytes) -> int:
        """How much of `held` can be redacted without what comes later; 0 for nothing."""
        known = self._redactor.known
        limit = len(held) - max(known.longest_multiline_bytes - 1, 0)
        cut = held.rfind(b"\n", 0, max(limit, 0)) + 1
        if cut and known.longest_multiline_bytes:
            cut = self._before_values(held, cut)
        cut = self._before_open_key(held, cut)
        if cut or len(held) <= MAX_HELD_BYTES:
            return cut
        return self._cut_of_long_line(held)

    def _before_values(self, held: bytes, cut: int) -> int:
        for span in reversed(self._redactor.known.spans(held)):
            if span.start < cut < span.end:
                cut = held.rfind(b"\n", 0, span.start) + 1
        return cut

    @staticmethod
    def _before_open_key(held: bytes, cut: int) -> int:
        """Not between a private key's beginning and its end, as long as that is near."""
        begins = [match.start() for match in _KEY_BEGINS.finditer(held, 0, cut)]
        if not begins or _KEY_ENDS.search(held, begins[-1], cut) is not None:
            return cut
        if len(held) - begins[-1] > MAX_PATTERN_BYTES:
            return cut
        return held.rfind(b"\n", 0, begins[-1]) + 1

    def _cut_of_long_line(self, held: bytes) -> int:
        """A place in a line without end that no known value, and if possible no word, spans."""
        margin = max(self._redactor.known.longest_bytes, MAX_PATTERN_BYTES)
        cut = max(len(held) - margin, 1)
        breaks = [match.end() for match in _BREAKS.finditer(held, max(cut - margin, 0), cut)]
        cut = breaks[-1] if breaks else cut
        for span in self._redactor.known.spans(held):
            if span.start < cut < span.end:
                return span.end
        return cut
