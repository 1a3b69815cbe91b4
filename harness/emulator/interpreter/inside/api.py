"""The interpreter's HTTP interface.

Source: e2b-dev/code-interpreter template/server/main.py, stream.py, api/models.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

from tornado.iostream import StreamClosedError
from tornado.web import Application, RequestHandler

from .bodies import BadBodyError, NewContext, NewExecution
from .context import Context, FolderError
from .contexts import HOME, Contexts
from .kernel import KernelStartError
from .languages import UnknownLanguageError
from .output import error_line

__all__ = ["application"]

_END = '{"type": "end_of_execution"}\n'


class _Handler(RequestHandler):
    """What every route shares; `contexts` comes with the route."""

    contexts: Contexts

    def initialize(self, contexts: Contexts) -> None:
        self.contexts = contexts

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        if "Origin" in self.request.headers:
            self.set_header("Access-Control-Allow-Origin", "*")

    def options(self, *_path: str) -> None:
        """Answers a browser that asks whether it may."""
        self.set_header("Access-Control-Allow-Methods", "*")
        self.set_header("Access-Control-Allow-Headers", "*")
        self._text(200, "OK")

    def write_error(self, status_code: int, **_details: Any) -> None:
        self._json({"detail": HTTPStatus(status_code).phrase}, status_code)

    def _json(self, value: Any, status: int = 200) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(value))

    def _text(self, status: int, text: str) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(text)

    def _refuse(self, status: int, text: str) -> None:
        """A status where that is still to be had, else an error in the stream."""
        if self._headers_written:
            self.finish(f"{json.dumps(error_line('ContextError', text))}\n{_END}")
        else:
            self._text(status, text)

    def _no_context(self, context_id: str | None) -> None:
        self._refuse(404, f"Context {context_id} not found")

    async def _opened(self, opening: Awaitable[Context | None]) -> Context | None:
        """The context; None where the request was answered with what kept it from opening."""
        try:
            context = await opening
        except (FolderError, KernelStartError, UnknownLanguageError) as error:
            self._refuse(500, str(error))
            return None
        if context is None:
            self._no_context(None)
        return context


class _Health(_Handler):
    async def get(self) -> None:
        await self.contexts.ready()
        self._json("OK")


class _Contexts(_Handler):
    async def get(self) -> None:
        await self.contexts.ready()
        self._json([context.to_json() for context in self.contexts.all()])

    async def post(self) -> None:
        try:
            asked = NewContext.parse(self.request.body)
        except BadBodyError as error:
            self._json({"detail": error.problems}, 422)
            return
        await self.contexts.ready()
        context = await self._opened(self.contexts.open(asked.language, asked.cwd or HOME))
        if context is not None:
            self._json(context.to_json())


class _OneContext(_Handler):
    async def delete(self, context_id: str) -> None:
        context = self.contexts.find(context_id)
        if context is None:
            self._no_context(context_id)
            return
        await self.contexts.remove(context)
        self._json(None)


class _Restart(_Handler):
    async def post(self, context_id: str) -> None:
        context = self.contexts.find(context_id)
        if context is None:
            self._no_context(context_id)
            return
        try:
            await context.restart()
        except KernelStartError:
            self._text(500, f"Failed to restart context {context_id}")
            return
        self._json(None)


class _Execute(_Handler):
    _streaming: asyncio.Task[None] | None = None

    async def post(self) -> None:
        try:
            asked = NewExecution.parse(self.request.body)
        except BadBodyError as error:
            self._json({"detail": error.problems}, 422)
            return
        if asked.context_id and asked.language:
            self._text(400, "Only one of context_id or language can be provided")
            return
        # A task of its own, so that the client's leaving can end it and nothing else.
        self._streaming = asyncio.create_task(self._run(asked))
        await asyncio.wait({self._streaming})
        if not self._streaming.cancelled():
            self._streaming.result()

    async def _run(self, asked: NewExecution) -> None:
        self.clear_header("Content-Type")
        if not asked.context_id and not asked.language and self.contexts.opening:
            # The service's default context is always there: what waits for ours is the answer's
            # body, not its head, which tells a client that a later break is the sandbox's end.
            await self.flush()
            await self.contexts.ready()
        context = await self._context(asked)
        if context is not None:
            await self._stream(context, asked)

    async def _context(self, asked: NewExecution) -> Context | None:
        if not asked.context_id:
            return await self._opened(self.contexts.default(asked.language))
        context = self.contexts.find(asked.context_id)
        if context is None:
            self._no_context(asked.context_id)
        return context

    async def _stream(self, context: Context, asked: NewExecution) -> None:
        await self.flush()
        async with aclosing(context.execute(asked.code, asked.env_vars)) as lines:
            try:
                async for line in lines:
                    self.write(f"{json.dumps(line)}\n")
                    await self.flush()
                await self.finish(_END)
            except StreamClosedError:
                return  # the client left; closing the lines interrupts the kernel

    def on_connection_close(self) -> None:
        if self._streaming is not None:
            self._streaming.cancel()


class _NotFound(_Handler):
    def prepare(self) -> None:
        self._json({"detail": "Not Found"}, 404)


def application(contexts: Contexts) -> Application:
    """The routes."""
    shared = {"contexts": contexts}
    return Application(
        [
            (r"/health", _Health, shared),
            (r"/contexts", _Contexts, shared),
            (r"/contexts/([^/]+)", _OneContext, shared),
            (r"/contexts/([^/]+)/restart", _Restart, shared),
            (r"/execute", _Execute, shared),
        ],
        default_handler_class=_NotFound,
        default_handler_args=shared,
        compress_response=False,
    )
