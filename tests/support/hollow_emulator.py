"""The real emulator with sandboxes in which nothing runs, so that it can hold 10,000 of them.

Routes, rules, faults and the listing are the emulator's own. Its sandboxes are planted:
due ones of ours among others that look like them; its clock stands still.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

from starlette.types import Receive, Scope, Send

from harness.clock import ManualClock, SystemClock
from harness.emulator.assembly import assemble
from harness.emulator.isolation import Sandbox
from harness.emulator.isolation.model import GuestError
from harness.emulator.life import NewSandbox, SandboxLife, SandboxState
from harness.emulator.listener import Listener
from harness.emulator.loopback import bind
from harness.emulator.serve_options import ServeOptions
from harness.emulator.server import EmulatorApplication
from harness.emulator.template_records import Template
from harness.model.sandbox import OwnershipTags
from harness.model.side import Endpoint

HOUR = timedelta(hours=1)
MAX_AGE = 2 * HOUR
_LIMITED = b'{"code":429,"message":"rate limit"}'


@dataclass(frozen=True, kw_only=True)
class Hollow:
    """A running hollow emulator.

    Attributes:
        endpoint: how it is reached.
        due: ids of what a sweep has to end.
        pid: its process.
    """

    endpoint: Endpoint
    due: frozenset[str]
    pid: int


@contextmanager
def hollow_emulator(sandboxes: int, due: int, *, limit_per_s: float = 0) -> Iterator[Hollow]:
    """Starts one with so many sandboxes, and a limit on requests a second (0 for none)."""
    numbers = ("--sandboxes", str(sandboxes), "--due", str(due), "--limit", str(limit_per_s))
    process = subprocess.Popen(
        [sys.executable, __file__, *numbers], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield Hollow(
            endpoint=Endpoint(
                name="emulator",
                env={"E2B_API_URL": ready["url"], "E2B_API_KEY": ready["key"]},
                admin_url=f"{ready['url']}/_harness",
                admin_token=ready["token"],
            ),
            due=frozenset(ready["due"]),
            pid=process.pid,
        )
    finally:
        process.communicate()  # the end of its input ends it


class _NobodyHome:
    """A guest in which nothing runs."""

    async def kill(self) -> None:
        return

    async def call(self, what: str) -> None:
        raise GuestError("unavailable", f"nobody is home to answer {what}")


def plant(
    template: Template, key: str, count: int, due: int, now: datetime
) -> Iterator[tuple[SandboxLife, bool]]:
    """So many sandboxes with their fate, in no order."""
    random.seed(5)
    kinds = [True] * due + [False] * (count - due)
    random.shuffle(kinds)
    asked = NewSandbox(template=template, timeout_s=300)
    originals: list[dict[str, str]] = []
    for number, is_due in enumerate(kinds):
        made = _due_one(number, now, key) if is_due else _lookalike(number, now, key, originals)
        started_at, end_at, metadata, state = made
        if is_due:
            originals.append(metadata)
        life = SandboxLife(
            sandbox_id=f"i{random.getrandbits(96):020x}",
            asked=asked,
            metadata=metadata,
            guest=cast("Sandbox", _NobodyHome()),
            started_at=started_at,
            end_at=end_at,
            access_token=None,
            traffic_token=None,
            state=state,
        )
        yield life, is_due


_Made = tuple[datetime, datetime, dict[str, str], SandboxState]


def _tags(number: int, started_at: datetime, life: timedelta) -> OwnershipTags:
    return OwnershipTags(
        run_id=f"run-{number % 50}",
        owner="ann@ci:1",
        created_at=started_at - timedelta(seconds=0.2),
        expires_at=started_at + life,
        nonce=f"{number:016x}",
    )


def _ours(number: int, now: datetime, key: str, age: timedelta, life: timedelta) -> _Made:
    started_at = now - age
    metadata = _tags(number, started_at, life).signed(key).to_metadata()
    return started_at, started_at + life, metadata, SandboxState.RUNNING


def _due_one(number: int, now: datetime, key: str) -> _Made:
    spread = timedelta(seconds=number * 7 % 9000)
    if number % 3 == 0:  # paused at its end, and nobody came back
        made = _ours(number, now, key, HOUR + spread, timedelta(minutes=5))
        return *made[:3], SandboxState.PAUSED
    second = timedelta(seconds=2) if number % 3 == 1 else spread
    return _ours(number, now, key, MAX_AGE + max(second, timedelta(seconds=2)), 24 * HOUR)


def _lookalike(number: int, now: datetime, key: str, originals: list[dict[str, str]]) -> _Made:
    started_at, end_at, metadata, state = _ours(number, now, key, 3 * HOUR, 24 * HOUR)
    match number % 8:
        case 0:  # the owner was edited
            metadata = {**metadata, "harness_owner": "bob@elsewhere:1"}
        case 1:  # another deployment on the same account
            metadata = _tags(number, started_at, 24 * HOUR).signed(f"{key}x").to_metadata()
        case 2:  # one second too young
            return _ours(number, now, key, MAX_AGE - timedelta(seconds=1), 24 * HOUR)
        case 3:  # renewed, and not over
            end_at = now + 24 * HOUR
        case 4 if originals:  # a copy of one that is due
            started_at, metadata = now - timedelta(minutes=90), dict(random.choice(originals))  # noqa: S311
        case 5:  # tags without their proof
            metadata = {name: text for name, text in metadata.items() if "proof" not in name}
        case 6:  # tags that cannot be read
            metadata = {**metadata, "harness_expires": "tomorrow"}
        case _:
            metadata = {"job": str(number)}
    return started_at, end_at, metadata, state


class _Limited:
    """At most so many requests a second, as a bucket of one second; the admin is free."""

    def __init__(self, app: EmulatorApplication, per_s: float) -> None:
        self.service = app.service
        self._app = app
        self._per_s = per_s
        self._tokens = per_s
        self._at_s = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._per_s or scope["path"].startswith("/_harness") or self._take():
            await self._app(scope, receive, send)
            return
        headers = [(b"retry-after", b"1"), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 429, "headers": headers})
        await send({"type": "http.response.body", "body": _LIMITED})

    def _take(self) -> bool:
        now_s = time.monotonic()
        self._tokens = min(self._per_s, self._tokens + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


async def _serve(sandboxes: int, due: int, limit_per_s: float) -> None:
    sock = bind(0)
    port: int = sock.getsockname()[1]
    options = ServeOptions(pool_size=0, stamp=False)
    with tempfile.TemporaryDirectory(prefix="hollow-") as folder:
        async with assemble(options, Path(folder), port) as service:
            service.clock._base = ManualClock(SystemClock().now())
            planted = dict[str, bool]()
            template = service.catalogue.get("base")
            key = service.credentials.api_key
            for life, is_due in plant(template, key, sandboxes, due, service.clock.now()):
                service.sandboxes._alive[life.sandbox_id] = life
                planted[life.sandbox_id] = is_due
            application = _Limited(EmulatorApplication(service), limit_per_s)
            async with Listener(cast("EmulatorApplication", application), sock):
                ready = {
                    "url": f"http://127.0.0.1:{port}",
                    "key": key,
                    "token": service.credentials.admin_token,
                    "due": [sandbox_id for sandbox_id, is_due in planted.items() if is_due],
                }
                print(json.dumps(ready), flush=True)  # noqa: T201 - the ready line
                await asyncio.to_thread(sys.stdin.read)
                service.sandboxes._alive.clear()  # nothing of it is the host's to end


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--sandboxes", type=int, required=True)
    parser.add_argument("--due", type=int, required=True)
    parser.add_argument("--limit", type=float, required=True)
    told = parser.parse_args()
    asyncio.run(_serve(told.sandboxes, told.due, told.limit))
