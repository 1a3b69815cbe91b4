"""Who calls envd: the sandbox, the user, the access token.

Source: e2b-dev/infra packages/envd/internal/api/auth.go and
packages/envd/internal/permissions/authenticate.go.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass

from starlette.requests import Request

from harness.emulator.answers import ApiError
from harness.emulator.credentials import SignatureError, check_signature
from harness.emulator.exchange import Exchange
from harness.emulator.isolation import Sandbox
from harness.emulator.life import SandboxLife
from harness.emulator.service_clock import ServiceClock

__all__ = ["DEFAULT_USER", "Caller", "check_file_access", "check_token"]

DEFAULT_USER = "user"
TOKEN_HEADER = "x-access-token"  # noqa: S105 - a header's name
_NO_TOKEN = (
    "unauthorized access, please provide a valid access token or method signing if supported"  # noqa: S105 - a message
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One request to envd, as far as a procedure needs to know it.

    Attributes:
        request: the request.
        life: the sandbox.
        exchange: the request's exchange.
        user: who acts; the default user where the request names none.
    """

    request: Request
    life: SandboxLife
    exchange: Exchange
    user: str

    @property
    def guest(self) -> Sandbox:
        """The inside of the sandbox."""
        return self.life.guest

    @classmethod
    def of(cls, request: Request, life: SandboxLife, exchange: Exchange) -> Caller:
        """The caller of a request."""
        user = basic_user(request.headers.get("authorization")) or life.asked.template.image.user
        return cls(request=request, life=life, exchange=exchange, user=user)


def basic_user(header: str | None) -> str | None:
    """The user name of HTTP Basic authentication; None where there is none."""
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except (ValueError, binascii.Error):
        return None
    name, colon, _ = decoded.partition(":")
    return name if colon else None


def check_token(request: Request, life: SandboxLife) -> None:
    """Holds a request to a secured sandbox to its access token.

    Raises:
        ApiError: 401 with envd's words.
    """
    if not _holds_token(request, life):
        raise ApiError(401, _NO_TOKEN)


def check_file_access(
    request: Request, life: SandboxLife, operation: str, clock: ServiceClock
) -> None:
    """Holds a file request to the access token or to a signature in its URL.

    Raises:
        ApiError: 401 with envd's words, 400 where the expiry is not a number.
    """
    given = request.headers.get(TOKEN_HEADER)
    if life.access_token is None:
        return
    if given:
        if not _holds_token(request, life):
            raise ApiError(401, "access token present in header but does not match")
        return
    query = request.query_params
    expiration = query.get("signature_expiration")
    if expiration is not None and not expiration.removeprefix("-").isdecimal():
        raise ApiError(400, "Invalid format for parameter signature_expiration")
    try:
        check_signature(
            path=query.get("path", ""),
            operation=operation,
            user=query.get("username", ""),
            token=life.access_token,
            signature=query.get("signature"),
            expiration=expiration,
            now=clock.now(),
        )
    except SignatureError as error:
        raise ApiError(401, str(error)) from error


def _holds_token(request: Request, life: SandboxLife) -> bool:
    if life.access_token is None:
        return True
    given = request.headers.get(TOKEN_HEADER, "")
    return hmac.compare_digest(given.encode(), life.access_token.encode())
