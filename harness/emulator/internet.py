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
from ipaddress import AddressValueError, IPv4Address, ip_address
from typing import TYPE_CHECKING, Any

from harness.emulator.egress import EgressRules
from harness.emulator.isolation import GuestError, GuestStream, Sandbox, SandboxGoneError
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.emulator.transforms import Injector

__all__ = ["Internet", "InternetHost", "parse_internet"]

_FIRST_ADDRESS = int(IPv4Address("198.18.0.1"))  # RFC 2544: for tests, never routed
_CHUNK_BYTES = 64 * 1024
_DIAL_TIMEOUT_S = 10.0
_MAX_PORT = 65535

Rules = Callable[[], EgressRules]


@dataclass(frozen=True, slots=True, kw_only=True)
class InternetHost:
    """One host of the stand-in.

    Attributes:
        address: its IPv4 address, as sandboxes see it.
        names: what it is called.
        ports: its ports, each with the loopback host and port that answers for it.
    """

    address: str
    names: tuple[str, ...]
    ports: Mapping[int, tuple[str, int]]


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
            if (
                host is None
                or port not in host.ports
                or not rules.permits(host.address, host.names)
            ):
                await guest.call("net.drop", id=number)
                return
            if headers := rules.headers_for(host.address, host.names):
                async with guest.stream("net.take", id=number) as stream:
                    await self._inject(stream, host, host.ports[port], headers)
                return
            try:
                async with asyncio.timeout(_DIAL_TIMEOUT_S):
                    reader, writer = await asyncio.open_connection(*host.ports[port])
            except (OSError, TimeoutError):
                await guest.call("net.drop", id=number)
                raise
            try:
                async with guest.stream("net.take", id=number) as stream:
                    await _both_ways(stream, reader, writer)
            finally:
                writer.transport.abort()

    async def _inject(
        self,
        stream: GuestStream,
        host: InternetHost,
        place: tuple[str, int],
        headers: Mapping[str, str],
    ) -> None:
        first = await _first_bytes(stream)
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        writer.write(first)
        names = host.names or (host.address,)
        carrying = asyncio.create_task(
            self.injector.carry(theirs, first=first, names=names, place=place, headers=headers)
        )
        try:
            await _both_ways(stream, reader, writer)
        finally:
            carrying.cancel()
            await asyncio.gather(carrying, return_exceptions=True)
            writer.transport.abort()


async def _first_bytes(stream: GuestStream) -> bytes:
    async for frame in stream:
        if isinstance(frame, bytes):
            return frame
    return b""


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


def parse_internet(document: Any) -> Internet:
    """Reads a stand-in internet.

    Args:
        document: `{"hosts": [{"names": […], "address": …, "ports": {"443": "127.0.0.1:4433"}}],
            "ca": PEM}`; a host without an address gets one of its own.

    Raises:
        UsageError: it is not of that form, or leads off this machine.
    """
    if not isinstance(document, dict) or not isinstance(document.get("hosts"), list):
        raise _refusal("it is no object with a list `hosts`")
    hosts: list[InternetHost] = []
    for number, entry in enumerate(document["hosts"]):
        hosts.append(_parse_host(entry, str(IPv4Address(_FIRST_ADDRESS + number))))
    addresses = [host.address for host in hosts]
    doubled = {address for address in addresses if addresses.count(address) > 1}
    if doubled:
        raise _refusal(f"two hosts have the address {min(doubled)}")
    authority = document.get("ca", "")
    if not isinstance(authority, str) or (authority and "BEGIN CERTIFICATE" not in authority):
        raise _refusal("`ca` holds no PEM certificate")
    return Internet(hosts=tuple(hosts), authority=authority)


def _parse_host(entry: Any, own_address: str) -> InternetHost:
    if not isinstance(entry, dict):
        raise _refusal(f"the host {entry!r} is no object")
    names, ports = entry.get("names", []), entry.get("ports", {})
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _refusal(f"the names {names!r} are no list of strings")
    if not isinstance(ports, dict) or not ports:
        raise _refusal(f"the host {names or entry.get('address')!r} has no ports")
    address = entry.get("address", own_address)
    try:
        outside = IPv4Address(address)
    except (AddressValueError, TypeError) as error:
        raise _refusal(f"{address!r} is no IPv4 address") from error
    if outside.is_loopback:
        raise _refusal(f"{address} is the sandbox's own loopback address")
    return InternetHost(
        address=str(outside),
        names=tuple(name.lower().rstrip(".") for name in names),
        ports={_parse_port(port): _parse_responder(place) for port, place in ports.items()},
    )


def _parse_responder(place: Any) -> tuple[str, int]:
    host, _, port = str(place).rpartition(":")
    try:
        local = ip_address(host.strip("[]")).is_loopback
    except ValueError:
        local = False
    if not local:
        raise _refusal(f"the responder {place!r} is not on this machine's loopback")
    return host.strip("[]"), _parse_port(port)


def _parse_port(text: Any) -> int:
    if not str(text).isdecimal() or not 0 < int(text) <= _MAX_PORT:
        raise _refusal(f"{text!r} is no port")
    return int(text)


def _refusal(problem: str) -> UsageError:
    return UsageError(
        f"the stand-in internet cannot be used: {problem}",
        expected='{"hosts": [{"names": ["api.example.com"], "ports": {"443": "127.0.0.1:4433"}}]}',
        next_step="correct the file, or what was sent to PUT /_harness/internet",
    )
