"""A target is found by the name that its package declares."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.errors import BrokenError, UsageError
from harness.settings import Settings
from harness.targets.osiris import OsirisTarget
from harness.targets.registry import load_target, target_names


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path)


def declare(folder: Path, name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installs a package that declares a target, for this test."""
    info = folder / f"{name}_target-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-target\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[harness.targets]\n{name} = {value}\n")
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])


def test_load_target_osiris_is_there_with_its_pinned_version(settings: Settings) -> None:
    """Nothing is built or asked for by loading it."""
    target = load_target("osiris", settings=settings)
    assert isinstance(target, OsirisTarget)
    assert target.version == "0.5.7"
    assert not settings.testing_env.exists()
    assert load_target("osiris", settings=settings, version="0.5.1").version == "0.5.1"


def test_load_target_unknown_name_lists_the_known(settings: Settings) -> None:
    """The message says which names there are."""
    with pytest.raises(UsageError) as caught:
        load_target("no-such", settings=settings)
    assert "'no-such'" in caught.value.happened
    assert "osiris" in caught.value.expected


def test_load_target_of_another_package_is_found(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installing a package is enough to add a target."""
    declare(tmp_path, "other", "harness.targets.osiris:OsirisTarget", monkeypatch)
    assert set(target_names()) >= {"osiris", "other"}
    assert isinstance(load_target("other", settings=settings), OsirisTarget)


@pytest.mark.parametrize("value", ["no_such_module:Target", "harness.targets.osiris:NoSuchTarget"])
def test_load_target_that_cannot_be_imported_is_broken(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """A declaration that leads nowhere is not the caller's mistake."""
    declare(tmp_path, "hollow", value, monkeypatch)
    with pytest.raises(BrokenError, match="hollow"):
        load_target("hollow", settings=settings)
