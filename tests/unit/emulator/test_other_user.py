"""An emulator of root's that runs as an ordinary user."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from e2b import Sandbox

from harness.emulator.attach import Emulator
from harness.emulator.other_user import OtherUser
from harness.errors import UsageError

NOBODY = 65534
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="NOT_RUN: only root can become another user")


@AS_ROOT
def test_emulator_as_another_user_serves_sandboxes_without_root() -> None:
    """Neither the emulator nor anything it starts has root's identity."""
    with Emulator(user=NOBODY) as emulator:
        status = Path(f"/proc/{emulator.pid}/status").read_text()
        assert f"Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}" in status
        env = emulator.env
        with Sandbox.create(
            api_key=env["E2B_API_KEY"],
            api_url=env["E2B_API_URL"],
            sandbox_url=env["E2B_SANDBOX_URL"],
        ) as sandbox:
            assert sandbox.commands.run("id -un").stdout == "user\n"


@AS_ROOT
def test_other_user_leaves_no_home_behind() -> None:
    """What the user was given is gone after close, and closing again is fine."""
    user = OtherUser(NOBODY)
    home = Path(user.options()["env"]["HOME"])
    assert home.stat().st_uid == NOBODY
    user.close()
    user.close()
    assert not home.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="NOT_RUN: root may become another user")
def test_other_user_is_refused_to_an_ordinary_user() -> None:
    """The message says who alone can."""
    with pytest.raises(UsageError, match="cannot start"):
        OtherUser(NOBODY)
