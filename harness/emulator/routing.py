"""Which sandbox, and which of its ports, a request is for.

Source: e2b-dev/infra packages/shared/pkg/proxy/host.go: by headers where the host is
localhost, an address or `sandbox.<domain>`, else by the host's first label. A file URL
made with E2B_SANDBOX_URL carries neither; its signature tells whose it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address

from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request

from harness.emulator.credentials import SignatureError, check_signature
from harness.emulator.life import SandboxLife

__all__ = ["BadTargetError", "Target", "find_signed", "target_of"]

ID_HEADER = "e2b-sandbox-id"
PORT_HEADER = "e2b-sandbox-port"
_SANDBOX_ID = re.compile(r"[a-z0-9]+")
_HOST_LABEL = re.compile(r"(\d+)-([^.-]+)(?:-[^.]*)?\..+")
_MAX_PORT = 65535
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class BadTargetError(Exception):
    """The request names a sandbox or port in a way that cannot be one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a request is to go.

    Attributes:
        sandbox_id: the sandbox.
        port: its port.
    """

    sandbox_id: str
    port: int


def target_of(headers: Headers) -> Target | None:
    """The sandbox that a request names; None where it names none.

    Raises:
        BadTargetError: with the proxy's words.
    """
    host = headers.get("host", "")
    if _routes_by_header(host):
        return _by_header(headers)
    match = _HOST_LABEL.fullmatch(host)
    if match is None:
        return None
    return _checked(match.group(2), match.group(1))


def _routes_by_header(host: str) -> bool:
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    name = name.strip("[]").lower()
    if name == "localhost" or name.startswith("sandbox."):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _by_header(headers: Headers) -> Target | None:
    sandbox_id, port = headers.get(ID_HEADER), headers.get(PORT_HEADER)
    if not sandbox_id and not port:
        return None
    if not sandbox_id or not port:
        raise BadTargetError("missing header")
    return _checked(sandbox_id, port)


def _checked(sandbox_id: str, port: str) -> Target:
    # Clients before 1.1 append a client id.
    short, _, _ = sandbox_id.partition("-")
    if not _SANDBOX_ID.fullmatch(short):
        raise BadTargetError("Invalid sandbox ID")
    if not port.isdecimal() or not 0 < int(port) <= _MAX_PORT:
        raise BadTargetError("Invalid sandbox port")
    return Target(sandbox_id=short, port=int(port))


def find_signed(request: Request, lives: Iterable[SandboxLife]) -> SandboxLife | None:
    """The sandbox whose token signed this file URL; an expired signature counts too."""
    if request.url.path != "/files" or "signature" not in request.query_params:
        return None
    operation = "read" if request.method in {"GET", "HEAD"} else "write"
    for life in lives:
        if life.access_token and _signed_by(life.access_token, operation, request.query_params):
            return life
    return None


def _signed_by(token: str, operation: str, query: QueryParams) -> bool:
    try:
        check_signature(
            path=query.get("path", ""),
            operation=operation,
            user=query.get("username", ""),
            token=token,
            signature=query.get("signature"),
            expiration=query.get("signature_expiration"),
            now=_LONG_AGO,
        )
    except (SignatureError, ValueError):
        return False
    return True
