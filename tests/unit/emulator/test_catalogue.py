"""The templates that the emulator knows."""

from __future__ import annotations

import re

import pytest

from harness.emulator.answers import ApiError
from harness.emulator.catalogue import Catalogue


def test_template_is_found_by_id_alias_and_default_tag() -> None:
    """One template under all its names, and the same id in every emulator."""
    base = Catalogue().get("base")
    assert re.fullmatch(r"[a-z0-9]{20}", base.template_id)
    assert base == Catalogue().get(base.template_id) == Catalogue().get("base:default")
    assert Catalogue().get("code-interpreter-v1").template_id != base.template_id


@pytest.mark.parametrize(
    ("name", "words"),
    [("nope", "template 'nope' not found"), ("base:v9", "tag 'v9' does not exist for template")],
)
def test_unknown_template_or_tag_is_not_found_by_name(name: str, words: str) -> None:
    """The refusal quotes what was asked for."""
    with pytest.raises(ApiError, match=words) as refusal:
        Catalogue().get(name)
    assert refusal.value.status == 404
