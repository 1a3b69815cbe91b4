"""Environments for clients: names of versions, and what is installed."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from harness.errors import BrokenError, UsageError
from harness.workflow.client_environments import ensure_client, installed_version, pinned


def test_pinned_is_one_version() -> None:
    """A version becomes a requirement."""
    assert pinned("e2b", "2.45.1") == "e2b==2.45.1"


@pytest.mark.parametrize("word", ["", "latest", "2.45.1; rm", ">=2"])
def test_pinned_refuses_what_is_no_version(word: str) -> None:
    """A word that is neither a version nor `newest` is named."""
    with pytest.raises(UsageError) as caught:
        pinned("e2b", word)
    assert repr(word) in caught.value.happened


def test_installed_version_is_read_from_the_environment() -> None:
    """What is there has a version, what is not has none."""
    python = Path(sys.prefix) / "bin" / "python"
    assert installed_version(python, "pytest") == version("pytest")
    assert installed_version(python, "no-such-package") == ""


def test_ensure_client_that_cannot_be_built_leaves_nothing(tmp_path: Path) -> None:
    """A failed build is never taken for an environment later."""
    with pytest.raises(BrokenError):
        ensure_client(tmp_path, "bad", ["pytest==0.0.0.1"])
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
