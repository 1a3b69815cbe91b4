"""The stamp on sandboxes."""

from __future__ import annotations

import re
from datetime import timedelta

from harness.clock import ManualClock
from harness.emulator.catalogue import Catalogue
from harness.emulator.life import NewSandbox
from harness.emulator.ownership import Ownership, this_process
from harness.model.sandbox import OwnershipTags

CLOCK = ManualClock()
KEY = "e2b_" + "0" * 40
HEADERS = {"x-api-key": KEY}


def ownership(*, enabled: bool = True) -> Ownership:
    return Ownership(CLOCK, run_id="run-1", owner="ada@host:1", enabled=enabled)


def asked(**metadata: str) -> NewSandbox:
    return NewSandbox(template=Catalogue().get("base"), timeout_s=60, metadata=metadata)


def test_stamp_says_run_owner_and_end_and_is_signed() -> None:
    """What a sweep needs to know, and proof that it was not made up."""
    tags = OwnershipTags.from_metadata(ownership().stamp(asked(), HEADERS))
    assert tags is not None
    assert (tags.run_id, tags.owner) == ("run-1", "ada@host:1")
    assert tags.expires_at - tags.created_at == timedelta(seconds=60)
    assert tags.is_signed_with(KEY)


def test_stamp_takes_the_run_from_the_request() -> None:
    """Several runs can share an emulator."""
    headers = {**HEADERS, "x-harness-run": "run-2", "x-harness-owner": "eve@there:2"}
    tags = OwnershipTags.from_metadata(ownership().stamp(asked(), headers))
    assert tags is not None
    assert (tags.run_id, tags.owner) == ("run-2", "eve@there:2")


def test_stamp_of_a_gateway_in_front_is_left_alone() -> None:
    """Its signature shows that it is the harness's own; a forged one is replaced."""
    theirs = ownership().stamp(asked(), HEADERS)
    assert ownership().stamp(asked(**theirs), HEADERS) == {}
    forged = {**theirs, "harness_run": "run-of-somebody"}
    assert ownership().stamp(asked(**forged), HEADERS)["harness_run"] == "run-1"


def test_stamp_can_be_turned_off() -> None:
    """Then a sandbox has what its client wrote, and nothing else."""
    assert ownership(enabled=False).stamp(asked(), HEADERS) == {}


def test_owner_is_user_host_and_process() -> None:
    """The form that the sweep reads."""
    assert re.fullmatch(r"[^@]+@[^:]+:\d+", this_process())
