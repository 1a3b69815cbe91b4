"""The door that sandboxes come in by: it leads to sandboxes, and to nothing else.

Neither the API nor the admin interface has an answer here.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from harness.emulator.admin import PREFIX as ADMIN_PREFIX
from harness.emulator.routing import BadTargetError, target_of
from harness.emulator.server import EmulatorApplication

__all__ = ["SandboxesOnly"]


class SandboxesOnly:
    """The part of an emulator's application that sandboxes may ask.

    Args:
        application: the emulator's.
    """

    def __init__(self, application: EmulatorApplication) -> None:
        self.service = application.service
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request to a sandbox, and refuses any other."""
        if scope["path"].startswith(f"{ADMIN_PREFIX}/") or not _names_a_sandbox(scope):
            answer = PlainTextResponse("the emulator leads sandboxes to sandboxes only\n", 404)
            await answer(scope, receive, send)
            return
        await self._application(scope, receive, send)


def _names_a_sandbox(scope: Scope) -> bool:
    try:
        return target_of(Headers(scope=scope)) is not None
    except BadTargetError:
        return True  # the application says in which way it is none
