"""A small E2B API for tests of its clients: lists, reads, ends; with faults on order.

It is no emulator: nothing runs in its sandboxes. It passes the contract of sandbox
directories, as the emulator does, and can do what the emulator does not offer: lie.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.utils import format_datetime
from urllib.parse import parse_qsl, unquote_plus

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from harness.clock import ManualClock, format_instant
from harness.model.sandbox import SandboxRecord

KEY = "e2b_" + "0" * 40


@dataclass
class StandIn:
    """The service's state; tests read and change it directly."""

    clock: ManualClock = field(default_factory=ManualClock)
    sandboxes: dict[str, SandboxRecord] = field(default_factory=dict)
    faults: list[tuple[str, Response]] = field(default_factory=list)
    lies: list[tuple[str, Response]] = field(default_factory=list)
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    immortal: set[str] = field(default_factory=set)
    hidden_pages: int = 0
    unlisted: set[str] = field(default_factory=set)
    ends_after_a_page: int = 0
    before_create: threading.Event | None = None
    url: str = ""

    def reset(self) -> None:
        for kept in (self.sandboxes, self.faults, self.lies, self.requests, self.headers):
            kept.clear()
        self.immortal.clear()
        self.hidden_pages = self.ends_after_a_page = 0
        self.unlisted.clear()
        self.before_create = None

    def plant(
        self,
        sandbox_id: str,
        *,
        age_s: float = 0.0,
        timeout_s: float = 300.0,
        metadata: Mapping[str, str] | None = None,
        state: str = "running",
    ) -> SandboxRecord:
        started_at = self.clock.now() - timedelta(seconds=age_s)
        record = SandboxRecord(
            sandbox_id=sandbox_id,
            template_id="base",
            state=state,
            started_at=started_at,
            end_at=started_at + timedelta(seconds=timeout_s),
            metadata=dict(metadata or {}),
        )
        self.sandboxes[sandbox_id] = record
        return record

    def fail(self, what: str, *answers: Response) -> None:
        """Each answer is given once, to the next request whose `METHOD path` begins so."""
        self.faults.extend((what, answer) for answer in answers)

    def lie(self, what: str, answer: Response) -> None:
        """Carries the next such request out, and answers this instead."""
        self.lies.append((what, answer))

    def counts(self) -> Counter[str]:
        return Counter(f"{method} {path.split('?')[0]}" for method, path, _ in self.requests)


def refusal(status: int, message: str = "as ordered", **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return JSONResponse({"code": status, "message": message}, status_code=status, headers=named)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.ready.set()


@contextlib.contextmanager
def serve(service: StandIn | None = None) -> Iterator[StandIn]:
    """Serves a stand-in on loopback from a thread."""
    service = service or StandIn()
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    service.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = _Server(
        uvicorn.Config(_application(service), log_level="error", lifespan="off", date_header=False)
    )
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    assert server.ready.wait(60)
    try:
        yield service
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()


def _application(service: StandIn) -> Starlette:
    async def answer(request: Request) -> Response:
        body = await request.body()
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        service.requests.append((request.method, target, body))
        service.headers.append(dict(request.headers))
        response = _ordered(service.faults, request)
        if response is None:
            response = await _routed(service, request, body)
            response = _ordered(service.lies, request) or response
        response.headers.setdefault("date", format_datetime(service.clock.now(), usegmt=True))
        return response

    methods = ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD"]
    return Starlette(routes=[Route("/{path:path}", answer, methods=methods)])


def _ordered(orders: list[tuple[str, Response]], request: Request) -> Response | None:
    what = f"{request.method} {request.url.path}"
    for index, (prefix, response) in enumerate(orders):
        if what.startswith(prefix):
            del orders[index]
            return response
    return None


async def _routed(service: StandIn, request: Request, body: bytes) -> Response:
    if request.headers.get("x-api-key") != KEY:
        return refusal(401, "invalid API key")
    match request.method, request.url.path.strip("/").split("/"):
        case "GET", ["v2", "sandboxes"]:
            return _list(service, request)
        case "POST", ["sandboxes"] | ["v2", "sandboxes"]:
            return await _create(service, body)
        case "GET", ["sandboxes", sandbox_id] if sandbox_id in service.sandboxes:
            return JSONResponse(_row(service.sandboxes[sandbox_id]))
    return _changed(service, request)


def _changed(service: StandIn, request: Request) -> Response:
    match request.method, request.url.path.strip("/").split("/"):
        case "DELETE", ["sandboxes", sandbox_id] if sandbox_id in service.sandboxes:
            if sandbox_id not in service.immortal:
                del service.sandboxes[sandbox_id]
            return Response(status_code=204)
        case "POST", ["sandboxes", sandbox_id, "timeout"] if sandbox_id in service.sandboxes:
            return Response(status_code=204)
        case "POST", ["sandboxes", sandbox_id, "fork"] if sandbox_id in service.sandboxes:
            fork = replace(service.sandboxes[sandbox_id], sandbox_id=f"{sandbox_id}fork")
            service.sandboxes[fork.sandbox_id] = fork
            return JSONResponse([{"sandbox": _row(fork)}, {"error": {"code": 1}}], status_code=201)
    return refusal(404, "not found")


async def _create(service: StandIn, body: bytes) -> Response:
    if service.before_create is not None:
        await asyncio.to_thread(service.before_create.wait, 60)
    fields = json.loads(body)
    record = service.plant(
        f"i{len(service.requests):020d}",
        timeout_s=fields.get("timeout", 300),
        metadata=fields.get("metadata"),
    )
    return JSONResponse({**_row(record), "envdVersion": "0.6.13"}, status_code=201)


def _list(service: StandIn, request: Request) -> Response:
    query = request.query_params
    wanted = {
        unquote_plus(name): unquote_plus(value)
        for name, value in parse_qsl(query.get("metadata", ""))
    }
    states = query.get("state", "running,paused").split(",")
    rows = [
        record
        for record in sorted(
            service.sandboxes.values(), key=lambda one: (one.started_at, one.sandbox_id)
        )[::-1]
        if record.state in states and wanted.items() <= record.metadata.items()
    ]
    running = sum(record.state == "running" for record in rows)
    limit = int(query.get("limit", "100"))
    offset = int(base64.b64decode(query["nextToken"])) if "nextToken" in query else 0
    headers = {"X-Total-Running": str(running)}
    following = offset + limit * (1 + service.hidden_pages)
    if offset + limit < len(rows) and following < len(rows):
        headers["X-Next-Token"] = base64.b64encode(str(following).encode()).decode()
    page = [
        _row(one) for one in rows[offset : offset + limit] if one.sandbox_id not in service.unlisted
    ]
    for record in rows[len(rows) - service.ends_after_a_page :]:
        del service.sandboxes[record.sandbox_id]
    return JSONResponse(page, headers=headers)


def _row(record: SandboxRecord) -> dict[str, object]:
    return {
        "sandboxID": record.sandbox_id,
        "templateID": record.template_id,
        "clientID": "c",
        "envdVersion": "0.6.13",
        "startedAt": format_instant(record.started_at),
        "endAt": format_instant(record.end_at),
        "state": record.state,
        "cpuCount": 2,
        "memoryMB": 512,
        "diskSizeMB": 512,
        "metadata": dict(record.metadata),
    }
