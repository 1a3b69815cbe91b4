"""JSON, signals, sockets and threads without what the standard library puts around them.

`json`, `signal`, `socket`, `threading` and `contextlib` bring `re`, `enum`, `selectors` and
`collections` along, which is most of an agent's start, and every sandbox pays for it. What is
here is the part of each that is written in C and that CPython has carried unchanged since
3.9; where an interpreter has no such JSON, it is the package's.
"""

from __future__ import annotations

from _thread import LockType, allocate_lock, stack_size, start_new_thread

TYPE_CHECKING = False  # typing's own costs every start of an agent its import
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from socket import socket
    from types import TracebackType
    from typing import Any
else:
    import _signal as signal
    from _socket import socket

__all__ = [
    "Event",
    "Lock",
    "accept",
    "dumps",
    "loads",
    "signal",
    "socket",
    "stack_size",
    "start_thread",
    "suppress",
]

Lock = allocate_lock


class Event:
    """Something that happens once, and that threads wait for."""

    def __init__(self) -> None:
        self._happened = False
        self._gate: LockType = allocate_lock()
        self._gate.acquire()

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._happened

    def set(self) -> None:
        """Says that it has happened; called once."""
        self._happened = True
        self._gate.release()

    def wait(self, timeout_s: float = -1) -> bool:
        """Waits for it, at most so long; whether it has happened."""
        if self._gate.acquire(timeout=timeout_s):
            self._gate.release()  # for the next who waits
        return self._happened


class suppress:  # noqa: N801 - as in contextlib
    """A block that ends without a word where one of these errors ends it."""

    def __init__(self, *errors: type[BaseException]) -> None:
        self._errors = errors

    def __enter__(self) -> None:
        """Nothing."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Whether the error is one of them."""
        return kind is not None and issubclass(kind, self._errors)


def start_thread(work: Callable[..., None], *arguments: object) -> None:
    """Has a thread do it; nobody waits for that."""
    start_new_thread(work, arguments)


def accept(listener: socket) -> int:
    """The descriptor of the next connection; no child inherits it."""
    found: tuple[int, object] = listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - typeshed knows the package's class alone
    return found[0]


def _parts() -> tuple[Any, Any]:
    """A scanner that takes a text and a position, and an encoder that takes a value and 0."""
    try:
        from _json import encode_basestring_ascii, make_encoder, make_scanner  # noqa: PLC0415
    except ImportError:
        import json  # noqa: PLC0415 - only where it has no C half

        whole = json.JSONDecoder().raw_decode
        return whole, lambda value, _: (json.dumps(value, separators=(",", ":")),)
    encoder = make_encoder({}, _refuse, encode_basestring_ascii, None, ":", ",", False, False, True)
    rules: Any = _Rules()
    return make_scanner(rules), encoder


class _Rules:
    """What the scanner asks for; the defaults of `json.loads`."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


def _refuse(value: object) -> object:
    raise TypeError(f"{type(value).__name__} is no JSON")


def dumps(value: Any) -> bytes:
    """The value as JSON of ASCII alone, without a space."""
    return "".join(_encode(value, 0)).encode("ascii")


def loads(text: bytes | str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none, or something follows it.
    """
    if isinstance(text, bytes):
        text = text.decode()
    text = text.strip(" \t\n\r")
    try:
        value, end = _scan(text, 0)
    except StopIteration as stop:
        raise ValueError(f"no JSON at character {stop.value}") from None
    if end != len(text):
        raise ValueError(f"no JSON at character {end}")
    return value


_scan, _encode = _parts()
