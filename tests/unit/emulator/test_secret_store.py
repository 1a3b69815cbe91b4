"""Secrets: written, versioned, and given to nobody but a request on its way out."""

from __future__ import annotations

import pytest

from harness.clock import ManualClock
from harness.emulator.answers import ApiError
from harness.emulator.secret_store import SecretStore


def test_secret_is_found_by_id_and_by_name_in_any_case() -> None:
    """A new value is a new version; metadata stays unless it is given."""
    clock = ManualClock()
    store = SecretStore(clock)
    made = store.create("Api-Key", "one", {"for": "tests"})
    clock.advance(5)
    changed = store.update("API-KEY", "two", None)
    assert (made.name, changed.version, changed.metadata) == ("api-key", 2, {"for": "tests"})
    assert changed.updated_at > changed.created_at == made.created_at
    assert store.get(made.secret_id) == store.get("api-key") == changed
    assert store.value("api-key") == "two"
    assert "two" not in repr(changed)
    store.delete("api-key")
    assert store.value("api-key") is None
    with pytest.raises(ApiError, match="not found"):
        store.get(made.secret_id)


@pytest.mark.parametrize("name", ["", "a b", "x" * 129, "sec_mine", "ä"])
def test_secret_with_an_impossible_name_is_refused(name: str) -> None:
    """Names are those that a placeholder can hold; ids are told apart from them."""
    with pytest.raises(ApiError, match="Invalid secret name"):
        SecretStore(ManualClock()).create(name, "v", {})


@pytest.mark.parametrize(
    "metadata",
    [
        {str(number): "" for number in range(33)},
        {"k" * 129: ""},
        {"k": "v" * 1025},
        {str(number): "v" * 1000 for number in range(9)},
    ],
    ids=["entries", "key", "value", "total"],
)
def test_secret_with_too_much_metadata_is_refused(metadata: dict[str, str]) -> None:
    """The bounds are E2B's, also at an update."""
    store = SecretStore(ManualClock())
    with pytest.raises(ApiError, match="metadata"):
        store.create("a", "v", metadata)
    store.create("a", "v", {})
    with pytest.raises(ApiError, match="metadata"):
        store.update("a", "v", metadata)
    with pytest.raises(ApiError, match="already exists"):
        store.create("A", "v", {})
