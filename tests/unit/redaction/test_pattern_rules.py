"""Each rule is needed, and each has a sample: without it, or with another, one is missed."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
from token_samples import samples

from harness.redaction import patterns
from harness.redaction.pattern_rules import ASSIGNED, PATTERNS, Pattern
from harness.redaction.scan import Scanner, ScanResult

SAMPLES = samples(11)


def _cases() -> list[tuple[int, str]]:
    """Each rule's number with its sample."""
    left = {name: list(texts) for name, texts in SAMPLES.items()}
    return [(number, left[rule.name].pop(0)) for number, rule in enumerate(PATTERNS)]


CASES = _cases()
NAMED = [f"{PATTERNS[number].name}-{number}" for number, _ in CASES]
CARRIERS = {
    "bare": "{}",
    "a line of a log": "2026-01-01 INFO got {} here\n",
    "XML": "<system-out>{}</system-out>",
    "CSV": "1,{},2\n",
    "after an escape": "first\\n{}",
}


def kinds(text: str) -> set[str]:
    return {kind for kind, _, _ in patterns.detected(text.encode())}


def use(monkeypatch: pytest.MonkeyPatch, rules: tuple[Pattern, ...]) -> None:
    monkeypatch.setattr(patterns, "_ANCHORS", patterns._Anchors(rules))


def without(number: int) -> tuple[Pattern, ...]:
    return PATTERNS[:number] + PATTERNS[number + 1 :]


def changed(number: int, rule: Pattern) -> tuple[Pattern, ...]:
    return (*PATTERNS[:number], rule, *PATTERNS[number + 1 :])


def test_pattern_rules_each_have_one_sample() -> None:
    """No rule without a sample, no sample without a rule."""
    assert {rule.name for rule in PATTERNS} == set(SAMPLES)
    assert len(CASES) == sum(map(len, SAMPLES.values())) == len(PATTERNS)


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize(("number", "sample"), CASES, ids=NAMED)
def test_pattern_rule_finds_its_sample_wherever_it_stands(
    number: int, sample: str, carrier: str
) -> None:
    """As a finding, and masked."""
    rule, text = PATTERNS[number], CARRIERS[carrier].format(sample)
    assert (rule.kind or rule.name) in kinds(text)
    assert patterns.redact_patterns(text.encode()) != text.encode()


@pytest.mark.parametrize(("number", "sample"), CASES, ids=NAMED)
def test_pattern_rule_taken_away_misses_its_sample(
    number: int, sample: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rule is needed: without it its sample is not found, and not masked in the same way."""
    rule, masked = PATTERNS[number], patterns.redact_patterns(sample.encode())
    use(monkeypatch, without(number))
    if rule.kind != ASSIGNED:
        assert rule.name not in kinds(sample)
    assert patterns.redact_patterns(sample.encode()) != masked


@pytest.mark.parametrize(("number", "sample"), CASES, ids=NAMED)
def test_pattern_rule_with_another_beginning_or_expression_misses_its_sample(
    number: int, sample: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both halves of a rule count: what it begins with, and what it goes on with."""
    rule, masked = PATTERNS[number], patterns.redact_patterns(sample.encode())
    never = re.compile(rb"(?!)(?P<secret>)")
    for mutant in (
        dataclasses.replace(rule, anchor=b"\\x00never\\x00"),
        dataclasses.replace(rule, expression=never),
    ):
        use(monkeypatch, changed(number, mutant))
        assert patterns.redact_patterns(sample.encode()) != masked


@pytest.mark.parametrize(("number", "sample"), CASES, ids=NAMED)
def test_pattern_rule_refuses_what_stands_for_a_value(number: int, sample: str) -> None:
    """The same form with nothing drawn by lot in it is no finding."""
    rule = PATTERNS[number]
    by_hand = re.sub(r"[A-Za-z0-9+/]{12,}", lambda run: "x" * len(run[0]), sample)
    assert (rule.kind or rule.name) not in kinds(by_hand)


def test_detected_in_encodings_is_found_too() -> None:
    """What nobody told about is decoded as known values are."""
    token = SAMPLES["github-token"][0]
    scanner = Scanner(())
    for text in (json.dumps({"x": token}).encode().hex(), f"%22{token}%22"):
        result = ScanResult()
        scanner.scan_bytes(text.encode(), result, shown="x")
        assert [finding.kind for finding in result.findings] == ["github-token"]
