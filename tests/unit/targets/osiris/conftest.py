"""The real product, installed once and kept where runs keep it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.model.run import ExecutionContext, PipelineCase
from harness.settings import Settings
from harness.targets.osiris import OsirisTarget
from harness.targets.osiris.environment import OsirisEnvironment

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings(root=ROOT)


@pytest.fixture(scope="session")
def target(settings: Settings) -> OsirisTarget:
    return OsirisTarget(settings=settings)


@pytest.fixture(scope="session")
def environment(target: OsirisTarget) -> OsirisEnvironment:
    return target.environment()


@pytest.fixture
def context(tmp_path: Path) -> ExecutionContext:
    return ExecutionContext(
        session_id="0123456789ab",
        base_path=tmp_path / "run",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.fixture
def make_case() -> Callable[..., PipelineCase]:
    """A pipeline of one query and one CSV file, with what the test wants otherwise."""

    def make(query: str = "SELECT 1 AS one", **fields: object) -> PipelineCase:
        given: dict[str, object] = {
            "name": "made",
            "purpose": "a test's own",
            "oml": f"""
oml_version: "0.1.0"
name: made
steps:
  - id: query
    component: duckdb.processor
    mode: transform
    config: {{query: "{query}"}}
  - id: write
    component: filesystem.csv_writer
    mode: write
    needs: [query]
    config: {{path: out.csv}}
""",
            **fields,
        }
        return PipelineCase(**given)  # type: ignore[arg-type]  # the test's own fields

    return make
