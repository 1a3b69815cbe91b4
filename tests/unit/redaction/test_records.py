"""A value that several records share is found, however short it is and however often it is cut."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence

import pytest

from harness.redaction.scan import Scanner, ScanResult
from harness.secret_values import Secret

SHORT = Secret("SHORT", "k7#Qz9")
SEVEN = Secret("SEVEN", "pq-4Xw2")
LONG = Secret("LONG", "Xk29-fq71Lm83Zt+Wd56/Hy04Bn")
SCANNER = Scanner([SHORT, SEVEN, LONG], detect=False)
Carry = Callable[[Sequence[str]], str]
CARRIERS: dict[str, Carry] = {
    "chunks": lambda parts: "\n".join(json.dumps({"n": 1, "chunk": part}) for part in parts),
    "chunks with ids": lambda parts: "\n".join(
        json.dumps({"id": str(uuid.UUID(int=7**n)), "at": n * 97, "data": {"text": part}})
        for n, part in enumerate(parts, start=20)
    ),
    "within sentences": lambda parts: "\n".join(
        json.dumps({"t": 1, "msg": f"{'the key is ' * (not n)}{part}"})
        for n, part in enumerate(parts)
    ),
    "log lines": lambda parts: "\n".join(
        f"2026-01-01T00:00:0{n % 10}.{n * 37}Z INFO app: {part}" for n, part in enumerate(parts)
    ),
    "elements": lambda parts: "\n".join(f"  <line n='{n}'>{p}</line>" for n, p in enumerate(parts)),
}


def kinds(text: str) -> list[str]:
    result = ScanResult()
    SCANNER.scan_bytes(f"first\n{text}\nlast\n".encode(), result, shown="x")
    return [finding.kind for finding in result.findings]


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("secret", [SHORT, SEVEN], ids=["six", "seven"])
def test_records_short_value_is_found_at_every_cut(secret: Secret, carrier: str) -> None:
    """Six characters are enough, wherever the border of two records cuts them."""
    value = secret.reveal()
    missed = [
        cut
        for cut in range(1, len(value))
        if kinds(CARRIERS[carrier]([value[:cut], value[cut:]])) != [secret.name]
    ]
    assert missed == []


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("size", [6, 7, 9, 12])
def test_records_value_in_many_parts_is_found(size: int, carrier: str) -> None:
    """No two of the parts are halves; together they are the value."""
    value = LONG.reveal()
    parts = [value[start : start + size] for start in range(0, len(value), size)]
    assert kinds(CARRIERS[carrier](parts)) == ["LONG"]


def test_records_parts_that_are_apart_or_in_another_order_are_none() -> None:
    """Pieces prove nothing: not in another field, not the other way round, not apart."""
    value = SHORT.reveal()
    one, two = value[:3], value[3:]
    assert kinds(CARRIERS["chunks"]([two, one])) == []
    assert kinds(CARRIERS["chunks"]([one, "-", two])) == []
    assert kinds(json.dumps({"a": one}) + "\n" + json.dumps({"b": two})) == []
    assert kinds(f"INFO {one} is\nINFO {two} is") == []
