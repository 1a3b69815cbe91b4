"""Who sent a request that creates sandboxes, as far as this machine says."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from harness.peers import Peers, describe_process

__all__ = ["Creators"]


class Creators:
    """Looks for the process at the other end of a request's connection."""

    def __init__(self) -> None:
        self._peers = Peers()

    def look(self, request: Request) -> asyncio.Task[str]:
        """The command lines of it and its ancestors, looked for beside the create.

        Empty where this machine does not say; looking costs milliseconds.
        """
        return asyncio.create_task(asyncio.to_thread(self._describe, request))

    def _describe(self, request: Request) -> str:
        client, server = request.client, request.scope.get("server")
        holders = self._peers.find(client.port, server[1]) if client and server else None
        return describe_process(holders[0].pid) if holders else ""
