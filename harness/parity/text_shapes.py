"""Which rules can find anything in a text, told from its shape, which many texts share.

No rule tells one digit from another but where it says so (`TextRule.loose`). So what can be
found in `batch 17 took 2 s` is what can be found in `batch 00 took 0 s`: a log of a million
lines has a few hundred shapes, and only what is possible is looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from harness.parity.rules import TEXT_RULES, TextRule

__all__ = ["TextShapes", "literals_pattern"]

MAX_SHAPES = 100_000
_NO_DIGITS = bytes.maketrans(b"123456789", b"0" * 9)


class TextShapes:
    """The rules that can apply, by shape; and whether a literal value can stand there.

    Args:
        literals: values that are looked for word by word.
    """

    def __init__(self, literals: Iterable[str]) -> None:
        shapes = {_text(_shape(value)) for value in literals}
        self._literals = literals_pattern(shapes) if shapes else None
        self._known: dict[bytes, tuple[bool, tuple[TextRule, ...]]] = {}

    def can_hold(self, text: str) -> bool:
        """Whether anything may be found in the text."""
        literal, rules = self.of(text)
        return literal or bool(rules)

    def of(self, text: str) -> tuple[bool, tuple[TextRule, ...]]:
        """Whether a literal may stand in the text, and the rules that may find something."""
        shape = _shape(text)
        known = self._known.get(shape)
        if known is None:
            if len(self._known) >= MAX_SHAPES:
                self._known.clear()
            known = self._known[shape] = self._possible(_text(shape))
        return known

    def _possible(self, shape: str) -> tuple[bool, tuple[TextRule, ...]]:
        return (
            self._literals is not None and self._literals.search(shape) is not None,
            tuple(rule for rule in TEXT_RULES if (rule.loose or rule.pattern).search(shape)),
        )


def _shape(text: str) -> bytes:
    """The text with a 0 for each digit; as bytes, which are translated ten times as fast."""
    return text.encode("utf-8", "surrogatepass").translate(_NO_DIGITS)


def _text(shape: bytes) -> str:
    return shape.decode("utf-8", "surrogatepass")


def literals_pattern(values: Iterable[str]) -> re.Pattern[str]:
    """Longest first; a value that begins or ends like a word must stand as one."""
    parts = []
    for value in sorted(values, key=lambda value: (-len(value), value)):
        before = r"(?<![A-Za-z0-9])" if value[0].isalnum() else ""
        after = r"(?![A-Za-z0-9])" if value[-1].isalnum() else ""
        parts.append(f"{before}{re.escape(value)}{after}")
    return re.compile("|".join(parts))
