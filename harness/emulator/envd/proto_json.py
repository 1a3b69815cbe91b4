"""proto3's JSON mapping, as far as envd's messages need it.

Names come in camelCase or as in the .proto; bytes are base64 in either alphabet, with
or without padding; enums are names or numbers. Unset fields are not written.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from harness.emulator.envd.connect import ConnectError

__all__ = ["Fields", "encode_bytes", "snake_case", "without_defaults"]


class Fields:
    """One message that a client sent.

    Args:
        message: the decoded JSON object.
    """

    def __init__(self, message: Mapping[str, Any]) -> None:
        self._message = message

    def raw(self, name: str) -> Any:
        """A field by its camelCase name, None where it is unset."""
        if name in self._message:
            return self._message[name]
        return self._message.get(snake_case(name))

    def has(self, name: str) -> bool:
        """Whether a field is set."""
        return self.raw(name) is not None

    def message(self, name: str) -> Fields:
        """A field that is a message; an empty one where it is unset."""
        return Fields(self._typed(name, dict, {}))

    def text(self, name: str) -> str:
        """A string field."""
        value: str = self._typed(name, str, "")
        return value

    def boolean(self, name: str, *, default: bool = False) -> bool:
        """A bool field."""
        value: bool = self._typed(name, bool, default)
        return value

    def number(self, name: str) -> int:
        """An integer field, which JSON may carry as a string."""
        value = self.raw(name)
        if value is None:
            return 0
        try:
            number = int(value)
        except (TypeError, ValueError) as error:
            raise _wrong(name, value) from error
        if isinstance(value, bool) or number != (int(value) if isinstance(value, str) else value):
            raise _wrong(name, value)
        return number

    def texts(self, name: str) -> list[str]:
        """A repeated string field."""
        values: list[Any] = self._typed(name, list, [])
        if not all(isinstance(value, str) for value in values):
            raise _wrong(name, values)
        return values

    def text_map(self, name: str) -> dict[str, str]:
        """A map of strings."""
        values: dict[str, Any] = self._typed(name, dict, {})
        if not all(isinstance(value, str) for value in values.values()):
            raise _wrong(name, values)
        return values

    def data(self, name: str) -> bytes:
        """A bytes field."""
        text = self.text(name)
        try:
            standard = text.replace("-", "+").replace("_", "/").rstrip("=")
            return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
        except (ValueError, binascii.Error) as error:
            raise _wrong(name, text) from error

    def _typed(self, name: str, kind: type, default: Any) -> Any:
        value = self.raw(name)
        if value is None:
            return default
        if not isinstance(value, kind):
            raise _wrong(name, value)
        return value


def encode_bytes(data: bytes) -> str:
    """Bytes as JSON carries them."""
    return base64.b64encode(data).decode("ascii")


def without_defaults(message: Mapping[str, Any]) -> dict[str, Any]:
    """The message without fields that hold their default, as envd writes it."""
    return {
        name: value
        for name, value in message.items()
        if value is not None and value is not False and value not in ("", 0, [], {})
    }


def snake_case(name: str) -> str:
    """A field's name as in the .proto, from either form."""
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)


def _wrong(name: str, value: Any) -> ConnectError:
    return ConnectError(
        "invalid_argument", f"unmarshal message: invalid value for field {name}: {value!r:.80}"
    )
