"""Placeholders in the headers of network rules, filled where a request leaves its sandbox.

Source: e2b-dev/infra packages/shared/pkg/networktransform/placeholders.go (their form);
e2b 2.63.0 e2b/secret/base.py: an unknown secret fails where it is resolved.

Differs: a connection whose rules name a secret that is not there is closed; how E2B's proxy
says it is not published. Placeholders of workload tokens are sent as they stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["UnknownSecretError", "check_placeholders", "fill_placeholders"]

_KNOWN = re.compile(r"\$\{e2b\.(secrets|identity\.tokens)\.([^}]*)(\}?)")
_SECRET_NAME = re.compile(r"[a-z0-9_-]{1,128}")
_PREFIXES = ("${e2b.secrets.", "${e2b.identity.tokens.")


class UnknownSecretError(OSError):
    """A secret that a header names is not there, so the request cannot go out."""


def check_placeholders(value: str) -> None:
    """Holds a header's value to the form of placeholders; other text is free.

    Raises:
        ValueError: one of them is malformed; the message holds nothing of the value.
    """
    for kind, name, end in _KNOWN.findall(value):
        nested = any(prefix in name for prefix in _PREFIXES)
        secret = kind == "secrets"
        if not end or not name or nested or (secret and not _SECRET_NAME.fullmatch(name.lower())):
            raise ValueError("a placeholder is malformed")


def fill_placeholders(value: str, secret: Callable[[str], str | None]) -> str:
    """The value with each secret's placeholder replaced by what the secret holds now.

    Args:
        value: of a header.
        secret: the value of a name; None where there is no such secret.

    Raises:
        UnknownSecretError: a secret is not there, or breaks its line.
    """

    def filled(match: re.Match[str]) -> str:
        kind, name, _ = match.groups()
        if kind != "secrets":
            return match.group(0)
        found = secret(name.lower())
        if found is None or "\n" in found or "\r" in found:
            raise UnknownSecretError(f"no secret {name!r} that a header can hold")
        return found

    return _KNOWN.sub(filled, value)
