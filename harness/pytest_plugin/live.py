"""When a test is live, and what becomes of it where it cannot be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.settings import Settings

__all__ = ["LIVE_ENDPOINTS", "is_live", "live_on_emulator", "refuse_unless_live_can_run"]

LIVE_ENDPOINTS = ("service", "emulator")

SETTINGS_KEY = pytest.StashKey[Settings]()


def load_settings(config: pytest.Config) -> Settings:
    """The settings of this pytest run; `--e2b-live` counts as E2B_LIVE_TESTS=1.

    Raises:
        UsageError: if a setting does not fit.
    """
    if SETTINGS_KEY not in config.stash:
        settings = Settings.load(root=config.rootpath)
        if config.getoption("--e2b-live"):
            settings = replace(settings, live_tests=True)
        config.stash[SETTINGS_KEY] = settings
    return config.stash[SETTINGS_KEY]


def is_live(node: pytest.Item) -> bool:
    """Whether the test is to meet the live side rather than the plain emulator."""
    if node.get_closest_marker("e2b_live"):
        return True
    return bool(node.config.getoption("--e2b-live")) and _speaks_to_e2b(node)


def live_on_emulator(config: pytest.Config) -> bool:
    """Whether the emulator stands in for the live service."""
    return bool(config.getoption("--live-endpoint") == "emulator")


def refuse_unless_live_can_run(item: pytest.Item) -> None:
    """Skips (or fails, where live is required) a live test that lacks its key or flag."""
    if not is_live(item) or live_on_emulator(item.config):
        return
    settings = load_settings(item.config)
    reason = settings.why_not_live()
    if reason is None:
        return
    if settings.required or item.config.getoption("--e2b-require"):
        pytest.fail(f"NOT_RUN, but live tests are required here: {reason}", pytrace=False)
    pytest.skip(f"NOT_RUN: {reason}")


def _speaks_to_e2b(node: pytest.Item) -> bool:
    return "e2b_endpoint" in getattr(node, "fixturenames", ())
