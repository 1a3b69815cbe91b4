"""The stamp on a create request: tags in, everything else as it was."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from harness.clock import ManualClock
from harness.gateway.stamp import Stamp
from harness.model.sandbox import OwnershipTags

KEY = "e2b_" + "3" * 40
STAMP = Stamp(run_id="run-1", owner="ann@host:1", clock=ManualClock())


def stamped(document: object) -> dict[str, object]:
    body = json.dumps(document).encode()
    result = STAMP.put(body, default_timeout_s=300, nonce="n1", api_key=KEY)
    fields = json.loads(result.body)
    assert isinstance(fields, dict)
    return fields


def tags_in(fields: dict[str, object]) -> OwnershipTags:
    metadata = fields["metadata"]
    assert isinstance(metadata, dict)
    tags = OwnershipTags.from_metadata(metadata)
    assert tags is not None
    return tags


def test_stamp_adds_signed_tags_and_keeps_every_field() -> None:
    """Unknown fields, envs and the client's own metadata pass unchanged."""
    document = {
        "templateID": "base",
        "timeout": 60,
        "envVars": {"A": "ž"},
        "metadata": {"job": "7"},
        "future": {"deep": [1, 2.5, None]},
    }
    fields = stamped(document)
    assert {**fields, "metadata": None} == {**document, "metadata": None}
    assert isinstance(fields["metadata"], dict)
    assert fields["metadata"]["job"] == "7"
    tags = tags_in(fields)
    assert tags.is_signed_with(KEY)
    assert (tags.run_id, tags.owner, tags.nonce) == ("run-1", "ann@host:1", "n1")
    assert tags.expires_at - tags.created_at == timedelta(seconds=60)


@pytest.mark.parametrize("document", [{}, {"metadata": None}, {"metadata": {}}, {"timeout": 0}])
def test_stamp_fills_what_the_client_left_out(document: object) -> None:
    """No metadata is fine; no timeout means the service's own."""
    tags = tags_in(stamped(document))
    assert tags.expires_at - tags.created_at == timedelta(seconds=300)


def test_stamp_replaces_tags_that_were_copied() -> None:
    """A client that passes on another sandbox's metadata gets tags of its own."""
    theirs = OwnershipTags(
        run_id="run-0",
        owner="bob@host:2",
        created_at=ManualClock().now(),
        expires_at=ManualClock().now(),
        nonce="n0",
    )
    assert tags_in(stamped({"metadata": theirs.signed(KEY).to_metadata()})).run_id == "run-1"


@pytest.mark.parametrize("timeout", [10**12, -5, True, "60", 1.5])
def test_stamp_leaves_a_timeout_that_is_none_to_the_service(timeout: object) -> None:
    """The service refuses it in its own words; the tags say its default until then."""
    fields = stamped({"timeout": timeout})
    assert fields["timeout"] == timeout
    tags = tags_in(fields)
    assert tags.expires_at - tags.created_at == timedelta(seconds=300)


def test_stamp_keeps_half_of_a_surrogate_pair() -> None:
    """What JSON can carry and UTF-8 cannot arrives as it was."""
    assert stamped({"envVars": {"A": "\ud83d"}})["envVars"] == {"A": "\ud83d"}


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"\xff", b"[" * 100_000),
        *(b'{"metadata": "x"}', b'{"metadata": []}', b'{"metadata": 0}', b'{"metadata": ""}'),
    ],
    ids=lambda body: body[:16].decode("latin-1"),
)
def test_stamp_passes_on_what_is_no_create_request(body: bytes) -> None:
    """The service refuses it in its own words."""
    result = STAMP.put(body, default_timeout_s=300, nonce="n1", api_key=KEY)
    assert (result.body, dict(result.metadata)) == (body, {})
