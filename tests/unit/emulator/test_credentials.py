"""Keys, tokens and signatures."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime

import pytest
from e2b.sandbox.signature import get_signature

from harness.emulator.answers import ApiError
from harness.emulator.credentials import (
    Credentials,
    SignatureError,
    check_signature,
    new_id,
    new_uuid,
    seed_ids,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_ids_have_e2bs_form_and_differ() -> None:
    """An i and twenty of [a-z0-9]."""
    ids = {new_id("i") for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"i[a-z0-9]{20}", one) for one in ids)


@pytest.mark.parametrize(
    ("given", "words"),
    [(None, "is missing"), ("", "is missing"), ("abc", "is malformed"), ("e2b_x", "Invalid API")],
)
def test_api_key_other_than_the_emulators_is_refused(given: str | None, words: str) -> None:
    """Each kind of wrong key has its own words; all are 401."""
    with pytest.raises(ApiError, match=words) as refusal:
        Credentials().check_api_key(given)
    assert refusal.value.status == 401


def test_api_key_of_this_emulator_is_accepted_and_not_shown() -> None:
    """No repr holds it, and the next emulator has another."""
    credentials = Credentials()
    credentials.check_api_key(credentials.api_key)
    assert credentials.admits_admin(credentials.admin_token)
    assert not credentials.admits_admin(credentials.api_key)
    assert not credentials.admits_admin(None)
    assert credentials.api_key not in repr(credentials)
    assert Credentials().api_key != credentials.api_key


def check(signature: str | None, **changes: str | None) -> None:
    given = {"path": "a b/ü", "operation": "read", "user": "", "token": "t", "expiration": None}
    given |= changes
    check_signature(signature=signature, now=NOW, **given)  # type: ignore[arg-type]  # by design of the test


def test_signature_of_the_sdk_is_accepted() -> None:
    """What the real SDK signs, with or without a user."""
    check(get_signature("a b/ü", "read", None, "t")["signature"])
    check(get_signature("a b/ü", "read", "root", "t")["signature"], user="root")


@pytest.mark.parametrize(
    "changes", [{"path": "other"}, {"operation": "write"}, {"user": "root"}, {"token": "u"}]
)
def test_signature_for_something_else_is_refused(changes: dict[str, str]) -> None:
    """It is for one path, one operation, one user and one sandbox."""
    signature = get_signature("a b/ü", "read", None, "t")["signature"]
    with pytest.raises(SignatureError, match="invalid signature"):
        check(signature, **changes)


def test_signature_is_refused_after_its_expiry_and_when_missing() -> None:
    """Validity comes first: a forged expired one is invalid."""
    signed = get_signature("a b/ü", "read", None, "t", 0)
    expired = str(int(NOW.timestamp()) - 1)
    with pytest.raises(SignatureError, match="missing"):
        check(None)
    with pytest.raises(SignatureError, match="invalid signature"):
        check(signed["signature"], expiration=expired)
    check(signed["signature"], expiration=str(signed["expiration"]))


def test_new_uuid_follows_the_seed() -> None:
    """One seed, one order of UUIDs, as of ids; another seed, another order."""
    orders = []
    for seed in (1, 1, 2):
        seed_ids(seed)
        orders.append([new_uuid(), new_id("i"), new_uuid()])
    seed_ids(None)
    assert orders[0] == orders[1] != orders[2]
    assert uuid.UUID(orders[0][0]).version == 4
