"""HTTP to a port inside a sandbox, streamed both ways.

The sandbox has a network of its own, so the connection is made by its guest
(`tcp.dial`) and HTTP/1.1 is spoken through it.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from harness.emulator.answers import proxy_error
from harness.emulator.exchange import exchange_of
from harness.emulator.isolation import GuestError
from harness.emulator.life import SandboxLife

__all__ = ["TRAFFIC_HEADER", "PortProxy", "admits_traffic", "canonical_name", "masked_host"]

TRAFFIC_HEADER = "e2b-traffic-access-token"
_CLOSED = "The sandbox is running but port is not open"


def masked_host(network: Mapping[str, Any] | None, port: int, host: str) -> str:
    """The Host that a sandbox's server sees: its creator's mask, else the client's own."""
    mask = (network or {}).get("maskRequestHost")
    return str(mask).replace("${PORT}", str(port)) if mask else host


def canonical_name(name: bytes) -> bytes:
    """A header's name as E2B's proxy writes it.

    Source: Go net/textproto CanonicalMIMEHeaderKey, which net/http applies to all it passes on.
    """
    return b"-".join(part.capitalize() for part in name.split(b"-"))


def admits_traffic(life: SandboxLife, headers: Headers) -> bool:
    """Whether a request holds the token that the sandbox's ports ask for, if any."""
    if life.traffic_token is None:
        return True
    given = headers.get(TRAFFIC_HEADER, "")
    return hmac.compare_digest(given.encode(), life.traffic_token.encode())


class PortProxy:
    """Forwards requests to ports other than envd's."""

    async def answer(self, request: Request, life: SandboxLife, port: int) -> Response:
        """The answer of whatever listens on the port.

        Raises:
            SandboxGoneError: the sandbox died before anything was answered.
        """
        # With h11, which costs each start of an emulator more than most do with ports.
        from harness.emulator.forwarded_answer import ForwardedAnswer  # noqa: PLC0415

        exchange = exchange_of(request)
        exchange.entry.area = "port"
        exchange.entry.details = {"port": port}
        stack = AsyncExitStack()
        try:
            stream = await stack.enter_async_context(life.guest.stream("tcp.dial", port=port))
            await anext(stream)  # connected
        except GuestError:
            await stack.aclose()
            return proxy_error(request, 502, _CLOSED, sandboxId=life.sandbox_id, port=port)
        except BaseException:
            await stack.aclose()
            raise
        host = masked_host(life.asked.network, port, request.headers.get("host", ""))
        return ForwardedAnswer(request, host, stream, stack)
