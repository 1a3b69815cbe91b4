"""Secrets, through the real SDK: all that it offers for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from e2b import AsyncSecret, Sandbox, Secret
from e2b.exceptions import SecretException, SecretNotFoundException

from harness.emulator.attach import AdminClient

MakeSandbox = Callable[..., Sandbox]
pytestmark = pytest.mark.usefixtures("e2b_env")


def test_secret_shows_versions_and_never_its_value(emulator: AdminClient) -> None:
    """By id and by name; the value is in no answer, and not in the ledger."""
    value = "plain-" + "value"
    made = Secret.create("Api-Key", value, metadata={"team": "a"})
    assert (made.name, made.version, made.metadata) == ("api-key", 1, {"team": "a"})
    assert Secret.update("api-key", value + "2").version == 2
    assert Secret.update(made.secret_id, value, metadata={}).metadata == {}
    assert Secret.get_info("API-KEY").version == 3
    assert value not in repr(emulator.ledger())
    assert Secret.destroy("api-key") is True
    assert Secret.destroy("api-key") is False
    assert not Secret.exists("api-key")
    with pytest.raises(SecretNotFoundException):
        Secret.update("api-key", value)


def test_secrets_are_listed_in_pages() -> None:
    """Each once, and the last page says that it is the last."""
    for number in range(5):
        Secret.create(f"s{number}", "v")
    pages, found = Secret.list(limit=2), []
    while pages.has_next:
        found += [secret.name for secret in pages.next_items()]
    assert found == [f"s{number}" for number in range(5)]


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("has blank", {}),
        ("sec_mine", {}),
        ("many", {str(number): "" for number in range(33)}),
        ("long", {"k": "v" * 1025}),
        ("sum", {str(number): "v" * 1000 for number in range(9)}),
    ],
)
def test_secret_past_a_limit_is_refused(name: str, metadata: dict[str, str]) -> None:
    """Names and metadata have E2B's limits."""
    with pytest.raises(SecretException, match="400"):
        Secret.create(name, "v", metadata=metadata)


def test_second_secret_of_a_name_is_refused() -> None:
    """Also where only the case differs."""
    Secret.create("twice", "v")
    with pytest.raises(SecretException, match="already exists"):
        Secret.create("TWICE", "v")


def test_unknown_secret_is_not_found_by_every_call() -> None:
    """Told apart from a failure, by name and by id."""
    unknown = "sec_" + "0" * 20
    for name in ("none", unknown):
        assert not Secret.exists(name)
        assert Secret.destroy(name) is False
        with pytest.raises(SecretNotFoundException):
            Secret.get_info(name)


def test_secret_tells_when_it_was_made_and_changed() -> None:
    """By the service's clock; a change leaves the first moment alone."""
    made = Secret.create("dated", "v")
    changed = Secret.update("dated", "w")
    assert made.created_at.tzinfo is not None
    assert abs((datetime.now(UTC) - made.created_at).total_seconds()) < 60
    assert changed.created_at == made.created_at
    assert changed.updated_at >= made.updated_at
    assert changed.secret_id == made.secret_id


def test_page_is_taken_up_again_by_its_token() -> None:
    """A second paginator goes on where the first was left."""
    for number in range(3):
        Secret.create(f"s{number}", "v")
    first = Secret.list(limit=2)
    assert [secret.name for secret in first.next_items()] == ["s0", "s1"]
    rest = Secret.list(limit=2, next_token=first.next_token)
    assert [secret.name for secret in rest.next_items()] == ["s2"]
    assert not rest.has_next


def test_sandbox_takes_a_placeholder_and_sees_no_value(
    emulator: AdminClient, make_sandbox: MakeSandbox
) -> None:
    """What stands in a transform is the placeholder; the value is nowhere in the sandbox."""
    value = "plain-" + "value"
    Secret.create("api-key", value)
    rule = {"transform": {"headers": {"X-Api-Key": Secret.fill("api-key")}}}
    sandbox = make_sandbox(network={"rules": {"api.example.com": [rule]}})
    assert value not in repr(emulator.ledger())
    found = sandbox.commands.run(f"env | grep -c {value}; grep -rls {value} /home /etc; true")
    assert found.stdout == "0\n"


def test_secrets_work_for_the_async_client() -> None:
    """The other half of the SDK offers the same, call by call."""

    async def main() -> None:
        made = await AsyncSecret.create("async", "v", metadata={"a": "b"})
        assert (await AsyncSecret.get_info("async")).secret_id == made.secret_id
        assert (await AsyncSecret.update("async", "w")).version == made.version + 1
        assert await AsyncSecret.exists(made.secret_id)
        pages = AsyncSecret.list()
        assert [secret.name for secret in await pages.next_items()] == ["async"]
        assert await AsyncSecret.destroy("async") is True
        assert await AsyncSecret.destroy("async") is False
        with pytest.raises(SecretNotFoundException):
            await AsyncSecret.get_info("async")

    asyncio.run(main())
