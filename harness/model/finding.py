"""A secret that was found where none should be; never the value itself."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Finding"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One place in which a secret shows.

    Attributes:
        kind: the variable's name for a known value ("E2B_API_KEY"), else the detector's name.
        encoding: how it was written there: "plain", "base64", "url" …
        path: the file, relative to what was scanned.
        line: 1-based; 0 where the file has no lines.
        digest: a keyed digest of the value, the same for the same value within a scan.
    """

    kind: str
    encoding: str
    path: str
    line: int
    digest: str
