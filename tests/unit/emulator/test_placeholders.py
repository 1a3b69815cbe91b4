"""Placeholders in headers: their form, and what is put in their place."""

from __future__ import annotations

import pytest

from harness.emulator.placeholders import (
    UnknownSecretError,
    check_placeholders,
    fill_placeholders,
)


@pytest.mark.parametrize(
    "value", ["plain", "${other}", "${e2b.secrets.a-b}", "x ${e2b.identity.tokens.a b} ${E2B"]
)
def test_well_formed_value_is_accepted(value: str) -> None:
    """Text beside the two kinds of placeholders is free."""
    check_placeholders(value)


@pytest.mark.parametrize(
    "value",
    [
        "${e2b.secrets.}",
        "${e2b.secrets.a",
        "${e2b.secrets.a b}",
        "${e2b.secrets.a${e2b.secrets.b}}",
        "${e2b.identity.tokens.}",
    ],
)
def test_malformed_value_is_refused_without_being_repeated(value: str) -> None:
    """The refusal holds nothing of what may be a secret's name."""
    with pytest.raises(ValueError, match="a placeholder is malformed"):
        check_placeholders(value)


def test_every_secret_is_filled_in_and_tokens_stay() -> None:
    """Names are in lower case; a missing secret, or one that breaks a line, is an error."""
    values = {"a": "1", "bad": "x\r\nEvil: yes"}
    text = "${e2b.secrets.A}-${e2b.secrets.a} ${e2b.identity.tokens.t}"
    assert fill_placeholders(text, values.get) == "1-1 ${e2b.identity.tokens.t}"
    for name in ("missing", "bad"):
        with pytest.raises(UnknownSecretError):
            fill_placeholders(f"${{e2b.secrets.{name}}}", values.get)
