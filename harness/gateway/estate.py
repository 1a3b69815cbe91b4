"""What one run has created and must end: kept in memory, and in the ledger before that.

The gateway has no key of its own: it ends a sandbox with the credentials of the
request that created it, which never leave this process.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import httpx

from harness.errors import HarnessError
from harness.gateway.images import AfterImages
from harness.gateway.upstream import Headers, Upstream
from harness.model.run import Json
from harness.model.sandbox import TAG_PREFIX
from harness.orphans.ledger import Ledger
from harness.peers import Process
from harness.settings import Secret

__all__ = ["Estate", "credentials_of"]

_CREDENTIALS = frozenset({b"x-api-key", b"authorization"})
COLLECT_S = 40.0  # clients wait 60 s for their kill
KILL_ATTEMPTS = 4
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
PAGE = 100  # the service's maximum
MAX_PAGES = 1000
NONCE_TAG, RUN_TAG = f"{TAG_PREFIX}nonce", f"{TAG_PREFIX}run"
_DONE = frozenset({200, 204, 404})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holding:
    """A sandbox of this run that is not known to be over."""

    sandbox_id: str
    credentials: tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    """Where a sandbox came from, for people."""

    words: str
    test_id: str


def credentials_of(headers: Headers) -> tuple[tuple[bytes, bytes], ...]:
    """The headers that say whose request it is."""
    return tuple((name, value) for name, value in headers if name in _CREDENTIALS)


class Estate:
    """The sandboxes of one run.

    Args:
        upstream: the service.
        ledger: the run's.
        images: the run's.
        run_id: the run, as it stands in the tags of its sandboxes.
    """

    def __init__(
        self, upstream: Upstream, ledger: Ledger, images: AfterImages, *, run_id: str
    ) -> None:
        self._upstream = upstream
        self._ledger = ledger
        self._images = images
        self._run_id = run_id
        self._holdings: dict[str, _Holding] = {}
        self._ended: dict[str, str] = {}
        self._acknowledged: dict[str, _Holding] = {}
        self._collecting: dict[str, asyncio.Task[None]] = {}
        self._origins: dict[str, _Origin] = {}
        self.troubles: list[str] = []
        self.on_end: Callable[[str], None] | None = None

    def __contains__(self, sandbox_id: object) -> bool:
        return sandbox_id in self._holdings

    @property
    def alive(self) -> tuple[str, ...]:
        """Ids of what is not known to be over, in the order of creation."""
        return tuple(self._holdings)

    @property
    def ledger_path(self) -> Path:
        """The run's ledger."""
        return self._ledger.path

    def rows(self) -> list[dict[str, str]]:
        """Everything that the run created: `sandbox_id`, `state`, `test_id` and `creator`.

        The state is alive, killed or gone; the creator is its command line and those of
        the processes that started it.
        """
        states = {**self._ended, **dict.fromkeys(self._holdings, "alive")}
        return [
            {
                "sandbox_id": one,
                "state": state,
                "test_id": self._origins[one].test_id,
                "creator": self._origins[one].words,
            }
            for one, state in states.items()
        ]

    async def intend(self, nonce: str, metadata: Mapping[str, str]) -> None:
        """Writes down that a sandbox is about to be created.

        Raises:
            BrokenError: if it cannot be written; nothing may be created then.
        """
        await asyncio.to_thread(self._ledger.append, "intent", nonce=nonce, metadata=dict(metadata))

    async def record(self, kind: str, **fields: Json) -> None:
        """Writes down what has happened; where that fails, `troubles` says so.

        What happened upstream is not undone by a full disk, and the other sandboxes
        must be ended all the same.
        """
        try:
            await asyncio.to_thread(self._ledger.append, kind, **fields)
        except HarnessError as error:
            self.troubles.append(error.happened)

    def add(
        self,
        sandbox_id: str,
        headers: Headers,
        *,
        nonce: str,
        creators: Sequence[Process] | None = None,
        words: str = "",
        test_id: str = "",
    ) -> None:
        """Takes over a sandbox that was just created; `force` is to follow."""
        credentials = credentials_of(headers)
        self._origins[sandbox_id] = _Origin(words=words, test_id=test_id)
        self._holdings[sandbox_id] = _Holding(sandbox_id=sandbox_id, credentials=credentials)
        try:
            self._ledger.write(
                "created", sandbox_id=sandbox_id, nonce=nonce, creators=_written(creators)
            )
        except HarnessError as error:
            self.troubles.append(error.happened)

    async def force(self) -> None:
        """Has the disk take what was written; where that fails, `troubles` says so."""
        try:
            await asyncio.to_thread(self._ledger.force)
        except HarnessError as error:
            self.troubles.append(error.happened)

    async def adopt(self, sandbox_id: str, creators: Sequence[Process] | None) -> None:
        """Notes that further processes need a sandbox."""
        await self.record("adopted", sandbox_id=sandbox_id, creators=_written(creators))

    async def find(self, nonce: str, headers: Headers) -> tuple[str, ...]:
        """Ids of the sandboxes that carry the nonce, with the credentials of its create.

        Raises:
            httpx.HTTPError: if the service does not answer, or not with a list.
        """
        listed = await self._listed(NONCE_TAG, nonce, credentials_of(headers))
        # A service that knew no filter would list everything: each row has to prove itself.
        return tuple(one for one, tags in listed.items() if tags.get(NONCE_TAG) == nonce)

    async def drop(self, sandbox_id: str, kind: str, *, by: str) -> None:
        """Notes that a sandbox is over."""
        if self._holdings.pop(sandbox_id, None) is not None:
            self._ended[sandbox_id] = kind
        if self.on_end is not None:
            self.on_end(sandbox_id)
        await self.record(kind, sandbox_id=sandbox_id, by=by)

    async def acknowledge(self, sandbox_id: str) -> None:
        """Notes that the service acknowledged the client's kill; `verify` looks whether it did."""
        if sandbox_id in self._holdings:
            self._acknowledged[sandbox_id] = self._holdings[sandbox_id]
        await self.drop(sandbox_id, "killed", by="client")

    async def verify(self, *, by: str) -> dict[str, str]:
        """Ends again what the service acknowledged as ended and still lists.

        Returns:
            Why, by the id of each that is left, or of which that is not known.
        """
        acknowledged, self._acknowledged = self._acknowledged, {}
        left: dict[str, str] = {}
        for credentials in {one.credentials for one in acknowledged.values()}:
            theirs = [one for one in acknowledged.values() if one.credentials == credentials]
            try:
                listed = await self._listed_at_last(credentials)
            except httpx.HTTPError as error:
                why = f"its end was acknowledged, but not verified: {error!r}"
                left |= dict.fromkeys((one.sandbox_id for one in theirs), why)
                continue
            for holding in theirs:
                if holding.sandbox_id in listed:
                    self._holdings[holding.sandbox_id] = holding
                    left[holding.sandbox_id] = await self.kill(holding.sandbox_id, by=by)
        return {sandbox_id: why for sandbox_id, why in left.items() if why}

    async def collect(self, sandbox_id: str) -> None:
        """Keeps an image of a sandbox that is about to be killed; a failure is only noted.

        Only a running one: connecting to a paused one would resume it.
        """
        if sandbox_id not in self._holdings:
            return
        if sandbox_id not in self._collecting:
            self._collecting[sandbox_id] = asyncio.create_task(self._collect(sandbox_id))
        task = self._collecting[sandbox_id]
        await asyncio.wait({task}, timeout=COLLECT_S)
        if not task.done():
            why = f"it took more than {COLLECT_S:g} s"
            await self.record("not_collected", sandbox_id=sandbox_id, why=why)

    async def kill(self, sandbox_id: str, *, by: str) -> str:
        """Ends a sandbox with its creator's credentials; why it is left, or ""."""
        holding = self._holdings.get(sandbox_id)
        if holding is None:
            return ""
        why = await self._end(holding)
        if why:
            await self.record("left", sandbox_id=sandbox_id, why=why)
        else:
            await self.drop(sandbox_id, "killed", by=by)
        return why

    async def kill_all(
        self, *, by: str, except_for: Container[str] = (), concurrency: int = 10
    ) -> dict[str, str]:
        """Ends everything that is left; why, by the id of each that could not be ended."""
        turn = asyncio.Semaphore(concurrency)

        async def one(sandbox_id: str) -> tuple[str, str]:
            async with turn:
                return sandbox_id, await self.kill(sandbox_id, by=by)

        wanted = [sandbox_id for sandbox_id in self.alive if sandbox_id not in except_for]
        results = await asyncio.gather(*(one(sandbox_id) for sandbox_id in wanted))
        return {sandbox_id: why for sandbox_id, why in results if why}

    async def _listed_at_last(self, credentials: Sequence[tuple[bytes, bytes]]) -> Container[str]:
        """What the service lists of this run, for a service that fails now and then.

        Raises:
            httpx.HTTPError: if it does not answer after all.
        """
        for attempt in range(KILL_ATTEMPTS - 1):
            with contextlib.suppress(httpx.HTTPError):
                return await self._listed(RUN_TAG, self._run_id, credentials)
            await asyncio.sleep(FIRST_PAUSE_S * 2**attempt)
        return await self._listed(RUN_TAG, self._run_id, credentials)

    async def _listed(
        self, tag: str, text: str, credentials: Sequence[tuple[bytes, bytes]]
    ) -> dict[str, Mapping[str, str]]:
        """The metadata of what the service lists with a tag, by id, all pages.

        Raises:
            httpx.HTTPError: if the service does not answer, or not with a list.
        """
        found: dict[str, Mapping[str, str]] = {}
        wanted = f"{tag}%3D{quote(text, safe='')}"
        first = target = f"/v2/sandboxes?limit={PAGE}&state=running,paused&metadata={wanted}"
        for _ in range(MAX_PAGES):
            answer = await self._upstream.ask("GET", target, list(credentials))
            try:
                rows = answer.json() if answer.is_success else None
            except ValueError:
                rows = None
            if not isinstance(rows, list):
                raise httpx.ReadError(f"the list was answered with {answer.status_code}")
            for row in rows:
                if isinstance(row, dict) and isinstance(row.get("sandboxID"), str):
                    found[row["sandboxID"]] = row.get("metadata") or {}
            token = answer.headers.get("x-next-token", "")
            if not token:
                return found
            target = f"{first}&nextToken={quote(token, safe='')}"
        raise httpx.ReadError(f"the list did not end after {MAX_PAGES} pages")

    async def _collect(self, sandbox_id: str) -> None:
        holding = self._holdings[sandbox_id]
        try:
            answer = await self._upstream.ask(
                "GET", f"/sandboxes/{sandbox_id}", list(holding.credentials)
            )
            state = answer.json().get("state") if answer.is_success else answer.status_code
            if state != "running":
                await self.record("not_collected", sandbox_id=sandbox_id, why=f"it was {state}")
                return
            key = dict(holding.credentials).get(b"x-api-key", b"").decode()
            endpoint = replace(self._upstream.endpoint, api_key=Secret("E2B_API_KEY", key))
            size_bytes = await self._images.collect(sandbox_id, endpoint)
        except HarnessError as error:
            await self.record("not_collected", sandbox_id=sandbox_id, why=error.happened)
        except (httpx.HTTPError, ValueError) as error:
            await self.record("not_collected", sandbox_id=sandbox_id, why=repr(error))
        else:
            await self.record("collected", sandbox_id=sandbox_id, size_bytes=size_bytes)

    async def _end(self, holding: _Holding) -> str:
        """Kills, and looks whether it is really gone; why not, or ""."""
        target, headers = f"/sandboxes/{holding.sandbox_id}", list(holding.credentials)
        why, pause_s = "", 0.0
        for attempt in range(KILL_ATTEMPTS):
            await asyncio.sleep(pause_s)
            pause_s = FIRST_PAUSE_S * 2**attempt
            try:
                killed = await self._upstream.ask("DELETE", target, headers)
                if killed.status_code not in _DONE:
                    why = f"DELETE answered {killed.status_code}"
                    pause_s = max(pause_s, _retry_after_s(killed))
                    continue
                looked = await self._upstream.ask("GET", target, headers)
            except httpx.HTTPError as error:
                why = repr(error)
                continue
            if looked.status_code == httpx.codes.NOT_FOUND:
                return ""
            still = "it is still there" if looked.is_success else f"GET {looked.status_code}"
            why = f"DELETE answered {killed.status_code}, but {still}"
        return why


def _written(processes: Sequence[Process] | None) -> Json:
    if processes is None:
        return None
    return [{"pid": process.pid, "started": process.started} for process in processes]


def _retry_after_s(answer: httpx.Response) -> float:
    text = answer.headers.get("retry-after", "")
    return min(float(text), LONGEST_PAUSE_S) if text.isdecimal() else 0.0
