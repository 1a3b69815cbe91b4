"""Which templates the emulator knows, by id and by name."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from harness.emulator.answers import ApiError

__all__ = ["BUILT_IN_NAMES", "Catalogue", "Template"]

BUILT_IN_NAMES = ("base", "code-interpreter-v1")
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A template as the API shows it.

    Attributes:
        template_id: 20 of [a-z0-9], the same in every emulator.
        name: the alias; also the name under which the isolation knows it.
        cpu_count: shown, not enforced.
        memory_mb: shown, not enforced.
        disk_size_mb: shown, not enforced.
    """

    template_id: str
    name: str
    cpu_count: int = 2
    memory_mb: int = 512
    disk_size_mb: int = 5120


class Catalogue:
    """The templates of one emulator.

    Args:
        names: the aliases.
    """

    def __init__(self, names: tuple[str, ...] = BUILT_IN_NAMES) -> None:
        self.templates = tuple(Template(template_id=_stable_id(name), name=name) for name in names)
        self._by_key = {t.template_id: t for t in self.templates}
        self._by_key.update({t.name: t for t in self.templates})

    def find(self, identifier: str) -> Template | None:
        """The template of an id or alias, with or without the tag `:default`."""
        name, _, tag = identifier.strip().lower().partition(":")
        return self._by_key.get(name) if tag in {"", "default"} else None

    def get(self, identifier: str) -> Template:
        """The template of an id or alias.

        Raises:
            ApiError: 404 with the template's name, or its tag's.
        """
        name, _, tag = identifier.strip().partition(":")
        found = self.find(identifier)
        if found is not None:
            return found
        if self.find(name) is not None:
            raise ApiError(404, f"tag '{tag}' does not exist for template '{name}'")
        raise ApiError(404, f"template '{name}' not found")


def _stable_id(name: str) -> str:
    number = int.from_bytes(hashlib.sha256(name.encode()).digest(), "big")
    digits = []
    for _ in range(_ID_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)
