"""A stand-in for the internet: names and addresses that a test answers for.

Every host of it leads to a responder on this machine's loopback. The sandbox's guest
hands over each connection to such an address; the rules of the sandbox decide, and this
process dials. There is no way from here to the real network.

Differs: UDP goes nowhere but for questions about names. Only the ports that the stand-in
names can be connected to; the sandbox's own servers cannot listen on those ports of all
addresses.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from harness.emulator.asked_name import asked_name
from harness.emulator.egress import EgressRules
from harness.emulator.isolation import GuestError, GuestStream, Sandbox, SandboxGoneError
from harness.emulator.placeholders import UnknownSecretError

if TYPE_CHECKING:
    from harness.emulator.transforms import Injector

__all__ = ["Internet", "InternetHost"]

_CHUNK_BYTES = 64 * 1024
_DIAL_TIMEOUT_S = 10.0
_MOST_GREETING_BYTES = 16 * 1024

Rules = Callable[[], EgressRules]


@dataclass(frozen=True, slots=True, kw_only=True)
class InternetHost:
    """One host of the stand-in.

    Attributes:
        address: its IPv4 address, as sandboxes see it.
        names: what it is called; `*.example.com` is every name below that.
        ports: its ports, each with the loopback host and port that answers for it.
    """

    address: str
    names: tuple[str, ...]
    ports: Mapping[int, tuple[str, int]]

    @property
    def has_any_name(self) -> bool:
        """Whether its names are known only as connections ask for them."""
        return any(name.startswith("*.") for name in self.names)

    def answers_to(self, name: str) -> bool:
        """Whether a name is one of its own."""
        wildcards = (known[1:] for known in self.names if known.startswith("*."))
        return name in self.names or any(name.endswith(known) for known in wildcards)


@dataclass(frozen=True, kw_only=True)
class Internet:
    """Everything that sandboxes can reach outside.

    Attributes:
        hosts: the hosts.
        authority: PEM certificates that sandboxes trust, beside the usual ones.
    """

    hosts: tuple[InternetHost, ...] = ()
    authority: str = field(default="", repr=False)

    @cached_property
    def injector(self) -> Injector:
        """Sets headers in requests to these hosts."""
        from harness.emulator.transforms import Injector  # noqa: PLC0415 - imports cryptography

        return Injector(self.authority)

    async def open(self, guest: Sandbox, rules: Rules) -> asyncio.Task[None]:
        """Connects a sandbox; from its return on, the sandbox's connections are served.

        Args:
            guest: the sandbox.
            rules: asked for every connection.

        Returns:
            The task that serves them, until the sandbox ends or it is cancelled.

        Raises:
            GuestError: the sandbox cannot have these addresses.
            SandboxGoneError: the sandbox died.
        """
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._serve(guest, rules, opened))
        await asyncio.wait((opened, task), return_when=asyncio.FIRST_COMPLETED)
        if not opened.done():
            try:
                await task
            except ExceptionGroup as group:
                raise group.exceptions[0] from group
        return task

    async def _serve(self, guest: Sandbox, rules: Rules, opened: asyncio.Future[None]) -> None:
        hosts = [
            {"address": host.address, "names": host.names, "ports": [*host.ports]}
            for host in self.hosts
        ]
        injector = await asyncio.to_thread(lambda: self.injector)
        trusted = f"{self.authority}\n{injector.certificate}"
        try:
            async with (
                asyncio.TaskGroup() as carriers,
                guest.stream("net.open", hosts=hosts, ca=trusted) as stream,
            ):
                async for event in stream:
                    if not isinstance(event, dict):
                        continue
                    if event["event"] == "open":
                        opened.set_result(None)
                    elif event["event"] == "connection":
                        carriers.create_task(self._carry(guest, rules(), event))
        except* (GuestError, SandboxGoneError):
            if not opened.done():
                raise

    async def _carry(self, guest: Sandbox, rules: EgressRules, event: Mapping[str, Any]) -> None:
        with contextlib.suppress(GuestError, SandboxGoneError, OSError, TimeoutError):
            number, port = event["id"], event["port"]
            host = next((one for one in self.hosts if one.address == event["address"]), None)
            if host is None or port not in host.ports:
                await guest.call("net.drop", id=number)
                return
            if host.has_any_name:
                async with guest.stream("net.take", id=number) as stream:
                    first, name = await _asked(stream)
                    way = _Way.to(host, port, rules, (name,) if host.answers_to(name) else ())
                    if way is not None:
                        await self._lead(stream, first, way)
                return
            way = _Way.to(host, port, rules, host.names)
            if way is None:
                await guest.call("net.drop", id=number)
                return
            if way.headers:
                async with guest.stream("net.take", id=number) as stream:
                    await self._lead(stream, b"", way)
                return
            try:
                reader, writer = await _dial(way.place)
            except (OSError, TimeoutError):
                await guest.call("net.drop", id=number)
                raise
            async with guest.stream("net.take", id=number) as stream:
                await _join(stream, reader, writer)

    async def _lead(self, stream: GuestStream, first: bytes, way: _Way) -> None:
        """Carries a connection that was taken, and may have said something."""
        if way.headers:
            await self._inject(stream, first or await _next_bytes(stream), way)
            return
        reader, writer = await _dial(way.place)
        writer.write(first)
        await _join(stream, reader, writer)

    async def _inject(self, stream: GuestStream, first: bytes, way: _Way) -> None:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        writer.write(first)
        carrying = asyncio.create_task(
            self.injector.carry(
                theirs, first=first, names=way.names, place=way.place, headers=way.headers
            )
        )
        try:
            await _join(stream, reader, writer)
        finally:
            carrying.cancel()
            await asyncio.gather(carrying, return_exceptions=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """Where one connection of a sandbox is led to, and what is set in its requests."""

    names: tuple[str, ...]
    place: tuple[str, int]
    headers: Mapping[str, str]

    @classmethod
    def to(
        cls, host: InternetHost, port: int, rules: EgressRules, names: tuple[str, ...]
    ) -> _Way | None:
        """The way to a host by these of its names; None where there is none by the rules."""
        if not rules.permits(host.address, names):
            return None
        try:
            headers = rules.headers_for(host.address, names)
        except UnknownSecretError:
            return None
        return cls(names=names or (host.address,), place=host.ports[port], headers=headers)


async def _dial(place: tuple[str, int]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(_DIAL_TIMEOUT_S):
        return await asyncio.open_connection(*place)


async def _asked(stream: GuestStream) -> tuple[bytes, str]:
    """What a connection says first, up to the name that it asks for; "" where it has none.

    One that waits for the other side to speak is not waited for.
    """
    first = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DIAL_TIMEOUT_S):
            while len(first) < _MOST_GREETING_BYTES and (more := await _next_bytes(stream)):
                first += more
                if name := asked_name(first):
                    return first, name
    return first, ""


async def _next_bytes(stream: GuestStream) -> bytes:
    async for frame in stream:
        if isinstance(frame, bytes):
            return frame
        if frame["event"] == "eof":
            break
    return b""


async def _join(
    stream: GuestStream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        await _both_ways(stream, reader, writer)
    finally:
        writer.transport.abort()


async def _both_ways(
    stream: GuestStream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    async def inwards() -> None:
        while data := await reader.read(_CHUNK_BYTES):
            await stream.send(data)
        await stream.send_eof()

    answering = asyncio.create_task(inwards())
    try:
        async for frame in stream:
            if isinstance(frame, bytes):
                writer.write(frame)
                await writer.drain()
            elif frame["event"] == "eof":
                writer.write_eof()
    finally:
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
