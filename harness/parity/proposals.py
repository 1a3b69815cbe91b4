"""Proposes the allowance that accepts a difference and nothing else, and writes it as TOML."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from datetime import date

from harness.model.difference import Allowance, Difference
from harness.parity.delta import Kind

__all__ = ["as_toml", "escape", "proposal", "toml_text"]

PINNED_KINDS = frozenset({Kind.VALUE.value, Kind.TYPE.value})
PINNED_PATHS = frozenset({"error/text"})


def proposal(
    difference: Difference,
    *,
    reason: str,
    expires: date,
    link: str = "",
    occurrences: Sequence[Difference] = (),
) -> Allowance:
    """The allowance that accepts a difference in exactly the pipelines where it occurs.

    It covers that and no more: the count is exact, and so are two values that differ. What
    is missing or extra is told by its path alone; an error is also told by its words.

    Args:
        difference: what is to be accepted.
        reason: why.
        expires: the last day on which it holds.
        link: where the cause is written down.
        occurrences: the difference in each pipeline, where values vary between them.
    """
    everyone = occurrences or (difference,)
    pinned = difference.kind in PINNED_KINDS or difference.path in PINNED_PATHS
    return Allowance(
        path=escape(difference.path),
        kind=difference.kind,
        pipelines=difference.pipelines,
        reason=reason,
        link=link,
        expires=expires,
        source=f"id {difference.id}",
        local=_pattern([item.local for item in everyone]) if pinned else None,
        remote=_pattern([item.remote for item in everyone]) if pinned else None,
        count=difference.count,
    )


def as_toml(allowance: Allowance) -> str:
    """The entry of a file; its source stands above it as a comment."""
    lines = [f"# {allowance.source}", "[[allowance]]", f"path = {toml_text(allowance.path)}"]
    for name, value in (
        ("kind", allowance.kind),
        ("local", allowance.local),
        ("remote", allowance.remote),
    ):
        if value is not None:
            lines.append(f"{name} = {toml_text(value)}")
    lines += [
        f"pipelines = [{', '.join(toml_text(name) for name in allowance.pipelines)}]",
        f"reason = {toml_text(allowance.reason)}",
        f"link = {toml_text(allowance.link)}",
        f"expires = {allowance.expires.isoformat()}",
    ]
    if allowance.per is not None:
        lines.append(f"per = {toml_text(allowance.per)}")
    if allowance.count is not None:
        lines.append(f"count = {allowance.count}")
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """The text as a pattern that matches only itself."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in text)


def _pattern(values: Sequence[str | None]) -> str | None:
    """What all values have in common, with a star for what they have not."""
    texts = [value for value in values if value is not None]
    if len(texts) != len(values):
        return None
    if len(set(texts)) == 1:
        return escape(texts[0])
    head = _common_head(texts)
    rest = [text[len(head) :][::-1] for text in texts]
    return f"{escape(head)}*{escape(_common_head(rest)[::-1])}"


def _common_head(texts: Sequence[str]) -> str:
    columns = itertools.takewhile(lambda column: len(set(column)) == 1, zip(*texts, strict=False))
    return "".join(column[0] for column in columns)


def toml_text(text: str) -> str:
    """A TOML basic string; JSON's escapes are among TOML's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
