"""How a value can be searched for: everywhere, beside its name only, or not at all."""

from __future__ import annotations

import re
from enum import StrEnum

from harness.redaction.encodings import MIN_FORM_BYTES

__all__ = ["Strength", "strength"]

_COMMON_WORDS = frozenset(
    {
        *("admin", "anonymous", "api-key", "api_key", "apikey", "changeit", "changeme", "database"),
        *("default", "demo", "development", "disabled", "docker", "dummy", "dummy-key", "e2b"),
        *("enabled", "example", "fake", "fake-key", "false", "foobar", "guest"),
        *("letmein", "local", "localhost", "master", "mysql", "nobody", "none", "null", "osiris"),
        *("passw0rd", "password", "password1", "password123", "postgres", "postgresql"),
        *("production", "public", "qwerty", "random", "redacted", "required", "root", "sample"),
        *("sandbox", "secret", "staging", "string", "supabase", "system", "test", "test-key"),
        *("test_key", "testing", "testkey", "token", "true", "undefined", "unknown", "user"),
        *("username", "value", "welcome"),
    }
)
_PLACEHOLDER = re.compile(
    r"""(?ix) ^(?: [*x.•#_-]+ | <[^<>]*> | \$\{.*\} | \$\w+ | \{\{.*\}\} | %\w+%
    | your[-_ ].* | .*[-_ ]here | replace[-_ ]?me.* | (?:insert|put|set|enter)[-_ ].* )$"""
)
_DIGITS_MIN = 9
_CHARACTERS_MIN = 3  # "ababab" is no secret


class Strength(StrEnum):
    """How a value can be searched for."""

    STRONG = "strong"
    WEAK = "weak"
    PLACEHOLDER = "placeholder"


def strength(value: str) -> Strength:
    """How a value can be searched for.

    WEAK: under six characters, digits alone that could be a count or a port, or an
    ordinary word. PLACEHOLDER: stands for a value (`your-api-key-here`, `***`).
    """
    if _PLACEHOLDER.match(value):
        return Strength.PLACEHOLDER
    short = len(value.encode("utf-8", "surrogateescape")) < MIN_FORM_BYTES
    if short or (value.isdigit() and len(value) < _DIGITS_MIN) or len(set(value)) < _CHARACTERS_MIN:
        return Strength.WEAK
    return Strength.WEAK if value.lower() in _COMMON_WORDS else Strength.STRONG
