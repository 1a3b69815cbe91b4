"""The sandbox's side of a stand-in internet: its names, its addresses, its connections out.

The sandbox's network has nothing but its own loopback device. The addresses of the
stand-in are put on that device; what connects to them is accepted here, and handed to
the server, which decides and dials. Names are answered on 127.0.0.53.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import selectors
import socket
import struct
import threading

from .dial import carry
from .frames import Channel, Fault, HangUp

TYPE_CHECKING = False  # typing's own costs every start of an agent its import
if TYPE_CHECKING:
    from .frames import Json

__all__ = ["Internet"]

RESOLVER = ("127.0.0.53", 53)
_SIOCSIFADDR, _SIOCSIFNETMASK = 0x8916, 0x891C
_RESOLV_CONF = "nameserver 127.0.0.53\noptions timeout:1 attempts:1\n"
_CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_MOST_WAITING = 512
_TTL_S = 1
_HEADER = struct.Struct(">HHHHHH")
_A, _IN = 1, 1
_FOUND, _UNKNOWN = 0x8180, 0x8183


class Internet:
    """Listens on every address of the stand-in, and keeps who waits to be carried out."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._waiting: dict[int, socket.socket] = {}
        self._lock = threading.Lock()

    def open(self, channel: Channel, request: Json) -> None:
        """Serves until the server hangs up; each connection out is an event.

        Raises:
            Fault: `failed_precondition`, if the addresses cannot be had.
        """
        hosts = request["hosts"]
        with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
            try:
                self._listen(hosts, selector, stack)
            except OSError as error:
                raise Fault("failed_precondition", f"no stand-in internet: {error}") from error
            _write_files(request.get("ca") or "")
            names = {name: host["address"] for host in hosts for name in host["names"]}
            channel.event({"event": "open"})
            selector.register(channel.connection, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is channel.connection:
                        raise HangUp  # the server says nothing more in this call
                    sock: socket.socket = key.data
                    if sock.type == socket.SOCK_DGRAM:
                        _answer_name(sock, names)
                    else:
                        self._accept(sock, channel)

    def take(self, channel: Channel, request: Json) -> Json:
        """Carries a waiting connection's bytes, both ways."""
        connection = self._pop(request)
        channel.event({"event": "connected"})
        carry(channel, connection)
        return {}

    def drop(self, _channel: Channel, request: Json) -> Json:
        """Resets a waiting connection."""
        connection = self._pop(request)
        _reset(connection)
        return {}

    def _pop(self, request: Json) -> socket.socket:
        with self._lock:
            connection = self._waiting.pop(request["id"], None)
        if connection is None:
            raise Fault("not_found", f"no connection {request['id']} waits")
        return connection

    @staticmethod
    def _listen(
        hosts: list[Json], selector: selectors.BaseSelector, stack: contextlib.ExitStack
    ) -> None:
        for number, host in enumerate(hosts):
            _add_address(f"lo:{number + 1}", host["address"])
            for port in host["ports"]:
                listener = stack.enter_context(socket.socket())
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind((host["address"], port))
                listener.listen(64)
                listener.setblocking(False)
                selector.register(listener, selectors.EVENT_READ, listener)
        resolver = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
        resolver.bind(RESOLVER)
        resolver.setblocking(False)
        selector.register(resolver, selectors.EVENT_READ, resolver)

    def _accept(self, listener: socket.socket, channel: Channel) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return  # it left again
        connection.setblocking(True)
        address, port = connection.getsockname()
        with self._lock:
            number = next(self._numbers)
            crowded = len(self._waiting) >= _MOST_WAITING
            if not crowded:
                self._waiting[number] = connection
        if crowded:
            _reset(connection)
            return
        channel.event({"event": "connection", "id": number, "address": address, "port": port})


def _add_address(label: str, address: str) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as control:
        # The mask of the address's class would make all its neighbours local, too.
        for call, value in ((_SIOCSIFADDR, address), (_SIOCSIFNETMASK, "255.255.255.255")):
            target = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(value))
            fcntl.ioctl(control, call, struct.pack("16s16s", label.encode(), target))


def _write_files(authority: str) -> None:
    with open("/etc/resolv.conf", "w", encoding="ascii") as file:
        file.write(_RESOLV_CONF)
    if not authority:
        return
    os.makedirs(os.path.dirname(_CA_BUNDLE), exist_ok=True)
    with open(_CA_BUNDLE, "a+", encoding="ascii") as file:
        file.seek(0)
        if authority not in file.read():
            file.write(f"\n{authority}")


def _answer_name(resolver: socket.socket, names: dict[str, str]) -> None:
    try:
        question, asker = resolver.recvfrom(4096)
        answer = _answer(question, names)
        if answer:
            resolver.sendto(answer, asker)
    except OSError:
        return  # whoever asked is gone


def _answer(message: bytes, names: dict[str, str]) -> bytes:
    """The reply to one DNS question; empty where it is none."""
    try:
        number, _, questions, _, _, _ = _HEADER.unpack_from(message)
        labels, place = [], _HEADER.size
        while message[place]:
            length = message[place]
            labels.append(message[place + 1 : place + 1 + length].decode("ascii").lower())
            place += 1 + length
        kind, group = struct.unpack_from(">HH", message, place + 1)
    except (IndexError, UnicodeDecodeError, struct.error):
        return b""
    asked = message[_HEADER.size : place + 5]
    address = _address_of(".".join(labels), names)
    if not questions or address is None:
        return _HEADER.pack(number, _UNKNOWN, 1, 0, 0, 0) + asked
    if (kind, group) != (_A, _IN):
        return _HEADER.pack(number, _FOUND, 1, 0, 0, 0) + asked
    record = struct.pack(">HHHIH", 0xC00C, _A, _IN, _TTL_S, 4) + socket.inet_aton(address)
    return _HEADER.pack(number, _FOUND, 1, 1, 0, 0) + asked + record


def _address_of(name: str, names: dict[str, str]) -> str | None:
    """The address of a name: its own, or that of the nearest `*.` above it."""
    found = names.get(name)
    while found is None and "." in name:
        name = name.partition(".")[2]
        found = names.get("*." + name)
    return found


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
