"""The program: `harness`, or `python -m harness`."""

from __future__ import annotations

from harness import starting

__all__ = ["main"]


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    starting.begin()
    from harness.cli import main as run  # noqa: PLC0415 - after the start was made cheap

    run()


if __name__ == "__main__":
    main()
