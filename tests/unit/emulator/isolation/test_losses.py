"""What is lost is said: by the doctor, and on a page."""

from __future__ import annotations

import re
from pathlib import Path

from harness.emulator.isolation.bubblewrap import SHARED_ID_LOSSES
from harness.emulator.isolation.losses import losses
from harness.emulator.isolation.model import IsolationMode
from harness.emulator.isolation.process_mode import LOSSES

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs" / "explanation" / "isolation.md"


def test_losses_are_those_of_the_mode_and_the_rights() -> None:
    """Nothing is lost with ids of their own; more without, most without namespaces."""
    assert losses(own_ids=True) == ()
    assert losses(own_ids=False) == SHARED_ID_LOSSES
    assert losses(IsolationMode.PROCESS, own_ids=True) == LOSSES


def test_page_lists_every_loss_and_tests_that_exist() -> None:
    """What the page says is lost is what the code says, and its proofs are there."""
    text = PAGE.read_text(encoding="utf-8")
    listed = re.findall(r"^- (.+)$", text.partition("As an ordinary user")[2], re.MULTILINE)
    assert listed == [*SHARED_ID_LOSSES, *LOSSES]
    named = set(re.findall(r"`(test_\w+)`", text))
    assert len(named) > 10
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name in named if f"def {name}(" not in tests] == []
