"""The gateway's requests: a few are watched, all others pass through.

Watched are create and fork (tags, ledger), kill (an image first, ledger after) and
the gateway's own routes. What was begun upstream is finished there even when the
client leaves; a sandbox whose client did not wait for it is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from harness.errors import HarnessError
from harness.gateway.admin import ADMIN_PREFIX, Admin, refusal
from harness.gateway.estate import Estate
from harness.gateway.leases import Leases
from harness.gateway.owners import OwnerWatch
from harness.gateway.reaper import Reaper
from harness.gateway.stamp import CREATE_PATHS, Stamp
from harness.gateway.turnstile import Turnstile
from harness.gateway.under_way import UnderWay
from harness.gateway.upstream import Headers, Upstream, passed_on
from harness.peers import Peers, Process, describe_process, socket_of

__all__ = ["GatewayApp"]

MAX_WATCHED_BYTES = 16 * 1024 * 1024
_SANDBOX = re.compile(r"/(?:v2/)?sandboxes/([A-Za-z0-9_-]+)")
# Who sends one of these needs the sandbox from now on, whoever created it.
_ADOPTION = re.compile(r"/(?:v2/)?sandboxes/([A-Za-z0-9_-]+)/(connect|resume|timeout|refreshes)")
_FORK = re.compile(r"/(?:v2/)?sandboxes/[A-Za-z0-9_-]+/fork")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """An upstream answer that was read whole."""

    status: int
    headers: Headers
    raw: bytes
    sandbox_ids: tuple[str, ...]

    @property
    def is_refusal(self) -> bool:
        """Whether the service itself said no; a proxy's 502 or 504 says nothing of a create."""
        return (
            httpx.codes.is_client_error(self.status) and self.status != httpx.codes.REQUEST_TIMEOUT
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Caller:
    """Who sent a request.

    Attributes:
        processes: who holds its connection; None where this machine does not say.
        words: their command lines, for people.
        socket: the number of the connection's other end; empty where it is closed or unknown.
    """

    processes: tuple[Process, ...] | None
    words: str
    socket: str = ""


@dataclass(slots=True, kw_only=True)
class GatewayApp:
    """The ASGI application of one gateway.

    Attributes:
        upstream: the service.
        estate: what the run owns.
        stamp: its tags.
        admin: its own routes.
        grace_s: how long a sandbox outlives a client that did not wait for its create;
            a client that asks again with the same idempotency key gets it after all.
        owner_grace_s: how long a sandbox outlives the last process that needed it;
            None leaves it alone until the run is over.
        patience_s: how long a create may wait for a plan that allows no more; 0 passes the
            429 on as it comes.
        lease_s: how long the service is told that a sandbox lives, which is prolonged from
            here; None changes nothing.
        under_way: what was begun upstream.
        ending: set when the run is over, and nobody is waited for any more.
    """

    upstream: Upstream
    estate: Estate
    stamp: Stamp
    admin: Admin
    grace_s: float = 5.0
    owner_grace_s: float | None = 10.0
    patience_s: float = 0.0
    lease_s: int | None = None
    under_way: UnderWay = field(default_factory=UnderWay)
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    _peers: Peers = field(default_factory=Peers)
    _sockets: dict[str, str] = field(default_factory=dict)
    _nonces: dict[str, str] = field(default_factory=dict)
    _asked: Counter[str] = field(default_factory=Counter)
    _watch: OwnerWatch = field(init=False)
    _reaper: Reaper = field(init=False)
    _leases: Leases = field(init=False)
    _turnstile: Turnstile = field(init=False)

    def __post_init__(self) -> None:
        self._reaper = Reaper(estate=self.estate, ending=self.ending)
        self._leases = Leases(
            upstream=self.upstream,
            clock=self.upstream.time,
            ending=self.ending,
            is_held=self.estate.__contains__,
            lease_s=self.lease_s,
        )
        self._turnstile = Turnstile(
            clock=self.upstream.time, pause=self._reaper.pause, patience_s=self.patience_s
        )
        self._watch = OwnerWatch(
            under_way=self.under_way,
            ending=self.ending,
            grace_s=self.owner_grace_s,
            on_orphan=self._orphaned,
        )
        self.estate.on_end = self._forget

    def close(self) -> None:
        """Watches nobody any more."""
        self._watch.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"the gateway speaks HTTP only, not {scope['type']}")
        if scope["path"].startswith(f"{ADMIN_PREFIX}/"):
            answer = await self.admin.answer(Request(scope, receive))
            await answer(scope, receive, send)
            return
        try:
            await self._route(scope, receive, send)
        except httpx.HTTPError as error:
            words = f"gateway: no answer from {self.upstream.endpoint.host}: {error!r}"
            await refusal(502, words)(scope, receive, send)
        except HarnessError as error:
            await refusal(500, f"gateway: {' | '.join(error.lines())}")(scope, receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        if method == "POST" and (path in CREATE_PATHS or _FORK.fullmatch(path)):
            await self._create(scope, receive, send)
        elif method == "DELETE" and (match := _SANDBOX.fullmatch(path)):
            # Old SDKs write `<sandbox>-<client>`; the service ignores the second half.
            work = self._finish_kill(match[1].split("-")[0], _target(scope), scope["headers"])
            await self._finish(work, receive, send)
        else:
            renewal = _ADOPTION.fullmatch(path) if method == "POST" else None
            if renewal is None:
                await self._pass(scope, receive, send)
            else:
                await self._renew(renewal[1].split("-")[0], renewal[2], scope, receive, send)

    async def _create(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: Headers = scope["headers"]
        body = await _whole_body(receive)
        if body is None:
            await refusal(413, "gateway: the request is too large")(scope, receive, send)
            return
        nonce, metadata, asked_s = self._nonce(headers), {}, 0
        if scope["path"] in CREATE_PATHS:  # a fork inherits the tags of its original
            stamped = self.stamp.put(
                body,
                default_timeout_s=CREATE_PATHS[scope["path"]],
                nonce=nonce,
                api_key=dict(headers).get(b"x-api-key", b"").decode("latin-1"),
            )
            metadata = dict(stamped.metadata)
            body, asked_s = self._leases.shorten_create(stamped.body)
        # Beside the create, which takes longer: looking costs milliseconds.
        caller = self.under_way.begin(self._caller(scope))
        await self.estate.intend(nonce, metadata)
        left = asyncio.Event()
        work = self._finish_create(
            _target(scope), headers, body, nonce, caller, left=left, asked_s=asked_s
        )
        begun = await self._finish(work, receive, send)
        if begun is not None:
            left.set()
            self.under_way.begin(self._abandoned(begun, nonce))

    async def _finish_create(
        self,
        target: str,
        headers: Headers,
        body: bytes,
        nonce: str,
        caller: asyncio.Task[_Caller],
        *,
        left: asyncio.Event,
        asked_s: int,
    ) -> _Answer:
        try:
            answer = await self._turnstile.pass_through(
                lambda: self._read("POST", target, headers, body), given_up=left.is_set
            )
        except httpx.HTTPError as error:
            await self._lose(nonce, headers, why=repr(error))
            raise
        for sandbox_id in answer.sandbox_ids:
            known = await caller
            self.estate.add(
                sandbox_id,
                headers,
                nonce=nonce,
                creators=known.processes,
                words=known.words,
                test_id=self.stamp.test_id,
            )
            self._sockets[sandbox_id] = known.socket
            self._watch.own(sandbox_id, known.processes)
            self.under_way.begin(self._leases.keep(sandbox_id, asked_s, headers))
        if answer.sandbox_ids:  # the client need not wait: the intent is on the disk
            self.under_way.begin(self.estate.force())
        elif answer.is_refusal:
            await self.estate.record("refused", nonce=nonce, status=answer.status)
        else:
            await self._lose(nonce, headers, why=f"answered {answer.status} without a sandbox")
        return answer

    async def _lose(self, nonce: str, headers: Headers, *, why: str) -> None:
        """Looks for what a create made although its answer does not say so.

        The intent stays open, so that a sweep does the same where this process is killed.
        """
        await self.estate.record("unanswered", nonce=nonce, why=why)
        asked = self._asked[nonce]
        search = self._reaper.end_lost(
            nonce, headers, grace_s=self.grace_s, unwanted=lambda: self._asked[nonce] == asked
        )
        self.under_way.begin(search)

    async def _finish_kill(self, sandbox_id: str, target: str, headers: Headers) -> _Answer:
        await self.estate.collect(sandbox_id)
        answer = await self._read("DELETE", target, headers, None)
        if answer.status in {httpx.codes.OK, httpx.codes.NO_CONTENT}:
            await self.estate.acknowledge(sandbox_id)
        elif answer.status == httpx.codes.NOT_FOUND and sandbox_id in self.estate:
            await self.estate.drop(sandbox_id, "gone", by="service")
        return answer

    async def _adopt(self, sandbox_id: str, scope: Scope) -> None:
        """Notes that a process which asks for more time needs the sandbox from now on."""
        if sandbox_id not in self.estate:
            return
        caller = await self._caller(scope)
        if caller.processes == () or sandbox_id not in self.estate:
            return  # its connection is closed already: nobody to wait for
        self._watch.adopt(sandbox_id, caller.processes)
        await self.estate.adopt(sandbox_id, caller.processes)

    def _forget(self, sandbox_id: str) -> None:
        self._sockets.pop(sandbox_id, None)
        self._watch.forget(sandbox_id)

    async def _orphaned(self, sandbox_id: str) -> None:
        # A heir that left its family is found by looking into every process, once.
        number = self._sockets.get(sandbox_id)
        heirs = await asyncio.to_thread(self._peers.holders_of, number) if number else ()
        if heirs and not self.ending.is_set():
            self._watch.own(sandbox_id, heirs)
            await self.estate.adopt(sandbox_id, heirs)
            return
        await self._reaper.end(sandbox_id, by="gateway: its owner is gone")

    async def _abandoned(self, begun: asyncio.Task[_Answer], nonce: str) -> None:
        """Ends what was created for a client that did not wait for it."""
        asked = self._asked[nonce]
        try:
            answer = await begun
        except httpx.HTTPError:
            return  # written to the ledger where it was raised
        await self._reaper.pause(self.grace_s)
        if self._asked[nonce] == asked:
            for sandbox_id in answer.sandbox_ids:
                await self._reaper.end(sandbox_id, by="gateway: the client left meanwhile")

    async def _finish(
        self, work: Coroutine[Any, Any, _Answer], receive: Receive, send: Send
    ) -> asyncio.Task[_Answer] | None:
        """Answers when the work is done; the work itself where the client left before that."""
        begun = self.under_way.begin(work)
        if not await self.under_way.client_stays(begun, receive):
            return begun
        answer = begun.result()
        await send(
            {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
        )
        await send({"type": "http.response.body", "body": answer.raw})
        return None

    async def _renew(
        self, sandbox_id: str, action: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self.under_way.begin(self._adopt(sandbox_id, scope))
        if self.lease_s is None:
            await self._pass(scope, receive, send)
            return
        body = await _whole_body(receive)
        if body is None:
            await refusal(413, "gateway: the request is too large")(scope, receive, send)
            return
        body = self._leases.shorten_renewal(sandbox_id, action, body)
        await self._pass(scope, receive, send, body=body)

    async def _pass(
        self, scope: Scope, receive: Receive, send: Send, *, body: bytes | None = None
    ) -> None:
        headers: Headers = scope["headers"]
        given = body or _body_of(headers, receive)
        response = await self.upstream.send(scope["method"], _target(scope), headers, given)
        start = {"status": response.status_code, "headers": passed_on(response)}
        try:
            await send({"type": "http.response.start", **start})
            async for chunk in response.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await response.aclose()

    async def _read(
        self, method: str, target: str, headers: Headers, body: bytes | None
    ) -> _Answer:
        response = await self.upstream.send(method, target, headers, body)
        try:
            raw = b"".join([chunk async for chunk in response.aiter_raw()])
        finally:
            await response.aclose()
        kept = passed_on(response)
        decoded = httpx.Response(response.status_code, headers=kept, content=raw).content
        return _Answer(
            status=response.status_code, headers=kept, raw=raw, sandbox_ids=_ids(decoded)
        )

    async def _caller(self, scope: Scope) -> _Caller:
        client, server = scope.get("client"), scope.get("server")
        if not client or not server:
            return _Caller(processes=None, words="")
        return await asyncio.to_thread(self._look, client[1], server[1])

    def _look(self, client_port: int, server_port: int) -> _Caller:
        processes = self._peers.find(client_port, server_port)
        if not processes:
            return _Caller(processes=processes, words="")
        return _Caller(
            processes=processes,
            words=describe_process(processes[0].pid),
            socket=socket_of(client_port, server_port) or "",
        )

    def _nonce(self, headers: Headers) -> str:
        """A new nonce; the same one for a repeated request, whose body must stay the same."""
        key = dict(headers).get(b"idempotency-key", b"").decode("latin-1")
        nonce = secrets.token_hex(8)
        if key:
            nonce = self._nonces.setdefault(key, nonce)
            self._asked[nonce] += 1
        return nonce


def _target(scope: Scope) -> str:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return (raw + (b"?" + query if query else b"")).decode("latin-1")


def _ids(body: bytes) -> tuple[str, ...]:
    """Ids in the answer of a create (one sandbox) or of a fork (a list, some of them errors)."""
    document: object = None
    with contextlib.suppress(ValueError):  # an answer that is no JSON names no sandbox
        document = json.loads(body)
    found = []
    for row in document if isinstance(document, list) else [document]:
        sandbox = row.get("sandbox", row) if isinstance(row, dict) else None
        if isinstance(sandbox, dict) and isinstance(sandbox.get("sandboxID"), str):
            found.append(sandbox["sandboxID"])
    return tuple(found)


def _body_of(headers: Headers, receive: Receive) -> AsyncIterator[bytes] | None:
    names = {name for name, _ in headers}
    has_body = b"content-length" in names or b"transfer-encoding" in names
    return _chunks(receive) if has_body else None


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise httpx.ReadError("the client left during its request")
        if message.get("body"):
            yield message["body"]
        more = message.get("more_body", False)


async def _whole_body(receive: Receive) -> bytes | None:
    """The body; None where it is larger than any create request."""
    body = bytearray()
    async for chunk in _chunks(receive):
        body += chunk
        if len(body) > MAX_WATCHED_BYTES:
            return None
    return bytes(body)
