"""The target as the rest of the harness sees it."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.targets.osiris import OsirisTarget

NEEDED = {"duckdb", "numpy", "pandas", "psycopg2-binary", "pydantic", "pymysql", "pyyaml"}


def test_case_is_found_in_the_library_and_among_the_fixtures(target: OsirisTarget) -> None:
    """A fixture's pipeline is a case, but not one that parity compares."""
    assert target.case("fan-in-join").name == "fan-in-join"
    assert target.case("small_pipeline").name == "small_pipeline"
    assert "small_pipeline" not in {case.name for case in target.cases()}


def test_case_unknown_lists_the_known(target: OsirisTarget) -> None:
    """The message says which names there are."""
    with pytest.raises(UsageError) as caught:
        target.case("nothing")
    assert "fan-in-join" in caught.value.expected
    assert "small_pipeline" in caught.value.expected


def test_template_packages_are_pins_of_what_the_components_ask_for(target: OsirisTarget) -> None:
    """Both sides run the same versions; what the product lacks itself is added."""
    pins = dict(pin.split("==") for pin in target.template_packages())
    assert pins.keys() >= {*NEEDED, "requests", "sqlalchemy", "supabase"}
    installed = target.environment().packages
    assert {name: pins[name] for name in pins if name in installed} == {
        name: installed[name] for name in pins if name in installed
    }
    assert "osiris-pipeline" not in pins
