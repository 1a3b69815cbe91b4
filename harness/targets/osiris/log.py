"""Reads the product's own log: one record for each entry, however many lines it has."""

from __future__ import annotations

import re
from pathlib import Path

from harness.model.evidence import Record

__all__ = ["read_log"]

# Time, logger, session, level and message. Source: osiris 0.5.7 core/session_logging.py.
_ENTRY = re.compile(
    r"(?P<ts>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:[.,]\d+)?) - (?P<name>\S+) - "
    r"\[(?P<session>[^\]\n]*)\] - (?P<level>[A-Z]+) - (?P<message>.*)",
    re.DOTALL,
)


def read_log(path: Path) -> tuple[Record, ...] | None:
    """The entries of a log; None where there is no such file.

    A line that begins no entry belongs to the one before it (an exception's traceback, a
    message of several lines); where none is before it, it keeps its text.
    """
    if not path.is_file():
        return None
    blocks: list[tuple[int, str]] = []
    text = path.read_bytes().decode("utf-8", "replace")
    for number, line in enumerate(text.split("\n"), start=1):
        if _ENTRY.match(line) or not blocks:
            blocks.append((number, line))
        else:
            first, told = blocks[-1]
            blocks[-1] = (first, f"{told}\n{line}")
    return tuple(_record(number, told.rstrip("\n")) for number, told in blocks if told.strip())


def _record(number: int, told: str) -> Record:
    match = _ENTRY.fullmatch(told)
    if match is None:
        return Record(line=number, fields={}, raw=told)
    return Record(line=number, fields=match.groupdict())
