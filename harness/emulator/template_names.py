"""How templates and snapshots are named: `[namespace/]alias[:tag]`.

Source: e2b-dev/infra packages/shared/pkg/id (ParseName, ValidateNamespaceMatchesTeam).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["DEFAULT_TAG", "TEAM_SLUG", "TemplateName", "check_namespace", "parse_name"]

DEFAULT_TAG = "default"
TEAM_SLUG = "harness"
_IDENTIFIER = re.compile(r"[a-z0-9_-]+")
_TAG = re.compile(r"[a-z0-9_.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateName:
    """One name, taken apart; everything in lower case.

    Attributes:
        alias: a template's alias or id.
        namespace: the team's slug; None where the name has none.
        tag: as it was written; None where there was none.
    """

    alias: str
    namespace: str | None = None
    tag: str | None = None


def parse_name(text: str) -> TemplateName:
    """Takes a name apart.

    Raises:
        ValueError: with E2B's words for the part that cannot be one.
    """
    identifier, colon, tag = text.strip().partition(":")
    namespace, slash, alias = identifier.partition("/")
    if not slash:
        namespace, alias = "", identifier
    return TemplateName(
        tag=_cleaned(tag, "tag", _TAG) if colon else None,
        namespace=_cleaned(namespace, "namespace", _IDENTIFIER) if slash else None,
        alias=_cleaned(alias, "template ID", _IDENTIFIER),
    )


def check_namespace(name: TemplateName) -> None:
    """Holds a name to the one team of this emulator.

    Raises:
        ValueError: with E2B's words, where it names another.
    """
    if name.namespace not in {None, TEAM_SLUG}:
        raise ValueError(f"namespace '{name.namespace}' must match your team '{TEAM_SLUG}'")


def _cleaned(text: str, what: str, pattern: re.Pattern[str]) -> str:
    cleaned = text.strip().lower()
    if not pattern.fullmatch(cleaned):
        raise ValueError(f"invalid {what}: {text}")
    return cleaned
