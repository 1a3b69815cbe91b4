"""The secrets of one emulator and of its sandboxes: made at run time, never stored.

Source: e2b-dev/infra packages/auth/pkg/auth/internal/middleware/middleware.go (API
key) and packages/envd/internal/api/auth.go (access token, signatures).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import secrets
import string
import uuid
from datetime import datetime

from harness.emulator.api_error import ApiError

__all__ = [
    "Credentials",
    "SignatureError",
    "check_signature",
    "new_id",
    "new_token",
    "new_uuid",
    "seed_ids",
]

KEY_PREFIX = "e2b_"
_ID_ALPHABET = string.ascii_lowercase + string.digits
_ID_LENGTH = 20
PERSON_PREFIX = "sk_e2b_"
_BEARER = "Bearer "
_BAD_PERSON = "Invalid Access token, try to login again by running `e2b auth login`."
_BAD_KEY = "Invalid API key, please visit https://e2b.dev/docs/api-key for more information."


class SignatureError(Exception):
    """A file URL is not, or no longer, signed for what it asks."""


class _Ids:
    """Where ids come from in this process, which is one emulator."""

    source: random.Random = random.SystemRandom()


def seed_ids(seed: int | None) -> None:
    """Has ids come in an order of their own for each seed, from its beginning; None is chance.

    Tokens stay a matter of chance.
    """
    _Ids.source = random.SystemRandom() if seed is None else random.Random(seed)  # noqa: S311 - ids are no secrets


def new_id(prefix: str) -> str:
    """An id in E2B's form: the prefix and 20 of [a-z0-9]."""
    return prefix + "".join(_Ids.source.choices(_ID_ALPHABET, k=_ID_LENGTH))


def new_uuid() -> str:
    """A random UUID, in the order of the seed like every id."""
    return str(uuid.UUID(int=_Ids.source.getrandbits(128), version=4))


def new_token() -> str:
    """A token that nobody guesses: 64 hexadecimal digits."""
    return secrets.token_hex(32)


class Credentials:
    """The API key, the admin token and the person of one emulator.

    Attributes:
        api_key: what E2B's clients must send.
        admin_token: what the admin interface asks for.
        access_token: what its one person has, for what E2B asks a person to do.
    """

    __slots__ = ("_further", "_persons", "access_token", "admin_token", "api_key")

    def __init__(self) -> None:
        self.api_key = KEY_PREFIX + secrets.token_hex(20)
        self.admin_token = new_token()
        self.access_token = PERSON_PREFIX + secrets.token_hex(20)
        self._further: set[str] = set()
        self._persons: set[str] = set()

    def admit(self) -> str:
        """One more key that opens what the emulator's own opens."""
        key = KEY_PREFIX + secrets.token_hex(20)
        self._further.add(key)
        return key

    def revoke(self, key: str) -> None:
        """Has a further key open nothing; an unknown one is fine."""
        self._further.discard(key)

    def check_api_key(self, given: str | None) -> None:
        """Accepts exactly the keys of this emulator.

        Raises:
            ApiError: 401 with E2B's words for a missing, malformed or unknown key.
        """
        if not given:
            raise ApiError(401, "authorization header is missing")
        if not given.startswith(KEY_PREFIX):
            raise ApiError(401, "authorization header is malformed")
        known = (self.api_key, *self._further)
        if not any(hmac.compare_digest(given.encode(), key.encode()) for key in known):
            raise ApiError(401, f"{_BAD_KEY}\nCannot get the team for the given API key")

    def admit_person(self, token: str) -> None:
        """Has one more token be as good as the person's own."""
        self._persons.add(token)

    def revoke_person(self, token: str) -> None:
        """Has a further token of the person open nothing; an unknown one is fine."""
        self._persons.discard(token)

    def check_person(self, header: str | None) -> None:
        """Accepts `Bearer` and a token of the person.

        Raises:
            ApiError: 401 with E2B's words for a missing or unknown token.
        """
        given = (header or "").removeprefix(_BEARER).strip()
        if not given:
            raise ApiError(401, "authorization header is missing")
        known = (self.access_token, *self._persons)
        if not any(hmac.compare_digest(given.encode(), token.encode()) for token in known):
            raise ApiError(401, f"{_BAD_PERSON}\nCannot get the user for the given access token")

    def admits_admin(self, given: str | None) -> bool:
        """Whether this is the admin token."""
        return hmac.compare_digest((given or "").encode(), self.admin_token.encode())

    def __repr__(self) -> str:
        return "<credentials>"


def check_signature(
    *,
    path: str,
    operation: str,
    user: str,
    token: str,
    signature: str | None,
    expiration: str | None,
    now: datetime,
) -> None:
    """Accepts a file URL that was signed with the sandbox's token.

    Args:
        path: as it stands in the URL, not resolved.
        operation: "read" or "write".
        user: as it stands in the URL, empty where it is absent.
        token: the sandbox's access token.
        signature: the URL's signature.
        expiration: the URL's expiry in seconds of Unix time, None where it is absent.
        now: the service's time.

    Raises:
        SignatureError: with envd's words; validity is checked before the expiry.
    """
    if signature is None:
        raise SignatureError("missing signature query parameter")
    parts = [path, operation, user, token]
    if expiration is not None:
        parts.append(expiration)
    digest = hashlib.sha256(":".join(parts).encode()).digest()
    expected = "v1_" + base64.b64encode(digest).rstrip(b"=").decode()
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise SignatureError("invalid signature")
    if expiration is not None and int(expiration) < int(now.timestamp()):
        raise SignatureError("signature is already expired")
