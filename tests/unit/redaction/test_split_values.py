"""A value that two records share is found; two values' halves are not one value."""

import json

import pytest

from harness.redaction.scan import Scanner, ScanResult
from harness.secret_values import Secret

VALUE = "Xk29-fq71Lm83Zt"
SCANNER = Scanner([Secret("TOKEN", VALUE)], detect=False)
CARRIERS = {
    "records": lambda a, b: "\n".join(json.dumps({"n": 1, "chunk": t}) for t in (a, b)),
    "log lines": lambda a, b: f"2026-01-01 INFO got {a}\n2026-01-01 INFO {b} and more",
    "literals": lambda a, b: f'x = "{a}" + \\\n    "{b}"',
    "cells": lambda a, b: json.dumps({"source": [f"v = {a}\n", f"{b}\n"]}, indent=1),
    "elements": lambda a, b: f"<out>{a}</out><out>{b}</out>",
}


def kinds(text: str) -> list[str]:
    result = ScanResult()
    SCANNER.scan_bytes(text.encode(), result, shown="x")
    return [finding.kind for finding in result.findings]


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("cut", range(1, len(VALUE)))
def test_split_value_at_every_cut_is_found(carrier: str, cut: int) -> None:
    """Wherever it is cut, and whatever stands in between."""
    assert kinds(CARRIERS[carrier](VALUE[:cut], VALUE[cut:])) == ["TOKEN"]


def test_split_value_one_half_alone_is_none() -> None:
    """A half without the other one near it proves nothing."""
    half = len(VALUE) // 2
    assert kinds(f"{VALUE[:half]} {VALUE[:half]}") == []
    assert kinds(VALUE[half:]) == []
    assert kinds(VALUE[:half] + "." * 1000 + VALUE[half:]) == []
