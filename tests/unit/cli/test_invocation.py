from __future__ import annotations

from pathlib import Path

from harness.cli.invocation import command_line

NOX = Path("/p/.nox/parity")


def test_command_of_an_environment_of_ones_own_is_harness() -> None:
    """Who installed the package has `harness` on the path."""
    assert command_line("parity", "show", "a b", prefix=Path("/p/.venv")) == (
        "harness parity show 'a b'"
    )


def test_command_within_nox_goes_through_nox() -> None:
    """Who only has nox pastes a nox command."""
    assert command_line("parity", "run", "--case", "x", prefix=NOX) == "nox -s parity -- --case x"
    assert command_line("parity", "run", prefix=NOX) == "nox -s parity --"
    assert command_line("parity", "show", "a", prefix=NOX) == "nox -s harness -- parity show a"
