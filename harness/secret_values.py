"""What a secret is: a value that does not show itself, and the names that such values go by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote

__all__ = ["Secret", "is_secret_name", "secrets_of"]


class Secret:
    """A value that must not be shown; `reveal()` is the only way to it."""

    __slots__ = ("_value", "name")

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one place that needs it."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (self.name, self._value) == (other.name, other._value)

    def __hash__(self) -> int:
        return hash((self.name, self._value))

    def __repr__(self) -> str:
        return f"<secret:{self.name}>"

    __str__ = __repr__

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError(f"{self!r} is not to be pickled")


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SECRET_WORDS = frozenset(
    {
        *("apikey", "authorization", "credential", "credentials", "dsn", "jwt"),
        *("pass", "passphrase", "passwd", "password", "pwd", "secret", "secrets", "token"),
    }
)
_SECRET_ENDINGS = ("apikey", "passwd", "password", "secret", "token")
_KEY_QUALIFIERS = frozenset(
    {
        *("access", "account", "admin", "anon", "api", "auth", "client", "encryption"),
        *("master", "private", "role", "secret", "shared", "signing"),
    }
)
# What such a name tells about a secret without holding it.
_ABOUT = frozenset(
    {
        *("algorithm", "askpass", "count", "dir", "endpoint", "enabled", "expires", "expiry"),
        *("file", "format", "hash", "header", "id", "length", "limit", "name", "path", "prefix"),
        *("public", "size", "sock", "ttl", "type", "uri", "url", "version"),
    }
)
_PAGING = frozenset({"continuation", "cursor", "next", "page"})
_NOT_SECRET = frozenset({"PWD", "OLDPWD", "GPG_KEY"})
_USERINFO = re.compile(
    r"^[A-Za-z][A-Za-z0-9+.:-]*://[^\s:/@]*:(?!\d{1,5}(?:[/?]|$))(?P<password>\S+)@[^\s@]*$"
)
_KEY_MIN_LENGTH = 16


def is_secret_name(name: str) -> bool:
    """Whether a variable or field of this name holds a secret (`DB_PASSWORD`, `apiKey`)."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or name in _NOT_SECRET or words[-1] in _ABOUT or words[0] in _PAGING:
        return False
    if any(word in _SECRET_WORDS or word.endswith(_SECRET_ENDINGS) for word in words):
        return True
    return words[-1] == "key" and any(word in _KEY_QUALIFIERS for word in words)


def secrets_of(values: Mapping[str, str]) -> tuple[Secret, ...]:
    """The secrets among environment variables, by their names and forms; sorted by name.

    A value that stands under two names is listed once. From a connection string only
    its password counts, as it stands there and decoded.
    """
    found: dict[str, Secret] = {}
    for name in sorted(values):
        for value in _secret_values(name, values[name]):
            found.setdefault(value, Secret(name, value))
    return tuple(found.values())


def _secret_values(name: str, value: str) -> list[str]:
    if not value or name in _NOT_SECRET:
        return []
    if (match := _USERINFO.match(value)) is not None:
        return sorted({match["password"], unquote(match["password"])})
    if is_secret_name(name):
        return [value]
    # `SOMETHING_KEY` alone may be a row's or a cache's key: only what looks drawn by lot counts.
    drawn = len(value) >= _KEY_MIN_LENGTH and re.search(r"\d", value) and "/" not in value
    return [value] if name.endswith("_KEY") and drawn else []
