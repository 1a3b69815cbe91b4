"""What a worker collects: one test, once for each case of its orders."""

from collections.abc import Callable


def test_case(run_case: Callable[[str], None], case_name: str) -> None:
    """The case is run on both sides and compared; the verdict is not made here."""
    run_case(case_name)
