"""The file of accepted divergences is whole: it loads, its cases and its links are there."""

from __future__ import annotations

import re
from pathlib import Path

from harness.model.difference import Allowance
from harness.parity.allowances import load_allowances
from harness.settings import Settings
from harness.targets.osiris import OsirisTarget
from harness.workflow.parity import PRODUCT

ROOT = Path(__file__).parents[4]


def allowances(tmp_path: Path) -> tuple[OsirisTarget, tuple[Allowance, ...]]:
    target = OsirisTarget(settings=Settings(root=tmp_path))
    file = load_allowances(target.allowances_file(), product=PRODUCT, version=target.version)
    return target, file.allowances


def test_pinned_version_has_allowances_for_cases_that_exist(tmp_path: Path) -> None:
    """An allowance for a case that was renamed would never be judged."""
    target, found = allowances(tmp_path)
    assert found
    known = {case.name for case in target.cases()}
    assert {name for item in found for name in item.pipelines} <= known


def test_every_allowance_links_to_where_its_cause_is_written_down(tmp_path: Path) -> None:
    """The page and the heading exist."""
    _, found = allowances(tmp_path)
    for item in found:
        page, _, anchor = item.link.partition("#")
        assert anchor in anchors(ROOT / page), item.source


def test_every_cause_links_to_where_it_is_written_down(tmp_path: Path) -> None:
    """A difference that is called known leads to what is known of it."""
    target = OsirisTarget(settings=Settings(root=tmp_path))
    file = load_allowances(target.allowances_file(), product=PRODUCT, version=target.version)
    assert file.causes
    for cause in file.causes:
        page, _, anchor = cause.about.link.partition("#")
        assert anchor in anchors(ROOT / page), cause.about.source


def test_no_allowance_accepts_everything(tmp_path: Path) -> None:
    """A debt names its place, and its kind or its cases; `**` would hide what is new."""
    _, found = allowances(tmp_path)
    vague = [item for item in found if item.kind is None and not item.pipelines]
    assert [item.source for item in found if "**" in item.path or item in vague] == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}
