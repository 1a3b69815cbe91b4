"""The project's secrets: written, never read back.

Source: e2b-dev/infra spec/openapi.yml (NewSecret, SecretMetadata: names and limits).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from harness.clock import Clock
from harness.emulator.answers import ApiError
from harness.emulator.credentials import new_id

__all__ = ["SecretRecord", "SecretStore"]

ID_PREFIX = "sec_"
MAX_ENTRIES = 32
MAX_KEY_BYTES = 128
MAX_VALUE_BYTES = 1024
MAX_METADATA_BYTES = 8192
_NAME = re.compile(r"[a-z0-9_-]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRecord:
    """What may be known of a secret.

    Attributes:
        secret_id: its id.
        name: in lower case.
        version: 1, and one more with each new value.
        metadata: the client's own.
        created_at: when its first value came.
        updated_at: when its last value came.
        values: each value, never shown.
    """

    secret_id: str
    name: str
    version: int
    metadata: Mapping[str, str]
    created_at: datetime
    updated_at: datetime
    values: tuple[str, ...] = field(repr=False)


class SecretStore:
    """The secrets of one emulator.

    Args:
        clock: tells when.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._secrets: dict[str, SecretRecord] = {}

    def all(self) -> tuple[SecretRecord, ...]:
        """Every secret, oldest first."""
        return tuple(self._secrets.values())

    def get(self, identifier: str) -> SecretRecord:
        """The secret of an id or name.

        Raises:
            ApiError: 404 where there is none.
        """
        found = self._secrets.get(identifier)
        wanted = identifier.lower()
        found = found or next((one for one in self.all() if one.name == wanted), None)
        if found is None:
            raise ApiError(404, f"Secret '{identifier}' not found")
        return found

    def value(self, name: str) -> str | None:
        """What a secret holds now, for a request that leaves a sandbox; None without it."""
        found = next((one for one in self.all() if one.name == name), None)
        return None if found is None else found.values[-1]

    def create(self, name: str, value: str, metadata: Mapping[str, str]) -> SecretRecord:
        """A new secret.

        Raises:
            ApiError: 400 for a name or metadata that cannot be, 409 for a name that is taken.
        """
        key = name.lower()
        if not _NAME.fullmatch(key) or key.startswith(ID_PREFIX):
            raise ApiError(400, f"Invalid secret name '{name}'")
        _check_metadata(metadata)
        if any(one.name == key for one in self.all()):
            raise ApiError(409, f"Secret with name '{key}' already exists")
        now = self._clock.now()
        record = SecretRecord(
            secret_id=new_id(ID_PREFIX),
            name=key,
            version=1,
            metadata=dict(metadata),
            created_at=now,
            updated_at=now,
            values=(value,),
        )
        self._secrets[record.secret_id] = record
        return record

    def update(
        self, identifier: str, value: str, metadata: Mapping[str, str] | None
    ) -> SecretRecord:
        """A new value; metadata of None keeps what is there.

        Raises:
            ApiError: 400 for metadata that cannot be, 404 where there is no such secret.
        """
        old = self.get(identifier)
        if metadata is not None:
            _check_metadata(metadata)
        new = replace(
            old,
            version=old.version + 1,
            metadata=old.metadata if metadata is None else dict(metadata),
            updated_at=self._clock.now(),
            values=(*old.values, value),
        )
        self._secrets[old.secret_id] = new
        return new

    def delete(self, identifier: str) -> None:
        """Forgets a secret and all its values.

        Raises:
            ApiError: 404 where there is none.
        """
        del self._secrets[self.get(identifier).secret_id]

    def clear(self) -> None:
        """Forgets every secret."""
        self._secrets.clear()


def _check_metadata(metadata: Mapping[str, str]) -> None:
    sizes = [(len(key.encode()), len(value.encode())) for key, value in metadata.items()]
    if len(sizes) > MAX_ENTRIES:
        raise ApiError(400, f"metadata may have at most {MAX_ENTRIES} entries")
    if any(key > MAX_KEY_BYTES or value > MAX_VALUE_BYTES for key, value in sizes):
        raise ApiError(
            400,
            f"a metadata key may have {MAX_KEY_BYTES} bytes, a value {MAX_VALUE_BYTES}",
        )
    if sum(map(sum, sizes)) > MAX_METADATA_BYTES:
        raise ApiError(400, f"metadata may have {MAX_METADATA_BYTES} bytes in total")
