"""Osiris on both sides, as fixtures: adapters, contexts and pipelines.

The names are those that Osiris's own test suite uses.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.clock import SystemClock
from harness.model.run import ExecutionContext, PipelineCase
from harness.model.side import Endpoint, Side
from harness.settings import Settings

if TYPE_CHECKING:
    # Imported when a fixture is used: every pytest run of the user loads this module.
    from harness.targets.osiris import OsirisTarget
    from harness.targets.osiris.adapter import OsirisAdapter

__all__ = [
    "e2b_adapter",
    "e2b_sandbox",
    "error_pipeline",
    "execution_context",
    "local_adapter",
    "make_execution_context",
    "osiris_target",
    "parity_pipeline",
    "resource_intensive_pipeline",
    "small_pipeline",
    "timeout_prone_pipeline",
]

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def osiris_target(pytestconfig: pytest.Config, harness_settings: Settings) -> OsirisTarget:
    """The released Osiris in an environment of its own; `--osiris` chooses the version."""
    from harness.targets.osiris import OsirisTarget  # noqa: PLC0415 - see above

    return OsirisTarget(settings=harness_settings, version=pytestconfig.getoption("--osiris"))


@pytest.fixture
def make_execution_context(tmp_path: Path) -> Callable[..., ExecutionContext]:
    """Makes execution contexts, each with folders of its own.

    Accepts `session_id` and `base_path`; `logs_dir` is an older name of `base_path`.
    """

    def make(
        session_id: str | None = None,
        base_path: Path | None = None,
        logs_dir: Path | None = None,
    ) -> ExecutionContext:
        number = next(_numbers)
        folder = base_path or logs_dir or tmp_path / f"run-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        return ExecutionContext(
            session_id=session_id or f"test{number:04d}",
            base_path=folder,
            started_at=SystemClock().now(),
        )

    return make


@pytest.fixture
def execution_context(
    make_execution_context: Callable[..., ExecutionContext],
) -> ExecutionContext:
    """Where one run writes, in the test's temporary folder."""
    return make_execution_context()


@pytest.fixture
def local_adapter(osiris_target: OsirisTarget) -> Iterator[OsirisAdapter]:
    """Osiris on this machine."""
    with osiris_target.adapter(Side.LOCAL) as adapter:
        yield adapter


@pytest.fixture
def e2b_adapter(osiris_target: OsirisTarget, e2b_endpoint: Endpoint) -> Iterator[OsirisAdapter]:
    """Osiris in a sandbox; its sandboxes are gone when the test is over."""
    with _cleaned_up(osiris_target, e2b_endpoint) as adapter:
        yield adapter


@contextmanager
def _cleaned_up(target: OsirisTarget, endpoint: Endpoint) -> Iterator[OsirisAdapter]:
    """An adapter whose sandboxes are ended with it.

    The product ends its own; one that was killed at its deadline, or crashed, did not.
    """
    from harness.sdk import ApiEndpoint, ApiSandboxDirectory  # noqa: PLC0415 - see above

    with target.adapter(Side.E2B, endpoint) as adapter:
        yield adapter
    if adapter.sandbox_ids:
        with ApiSandboxDirectory(ApiEndpoint.from_env(endpoint.env)) as directory:
            for sandbox_id in adapter.sandbox_ids:
                directory.kill(sandbox_id)


@pytest.fixture
def e2b_sandbox(e2b_adapter: OsirisAdapter) -> OsirisAdapter:
    """Osiris in a sandbox: `prepare`, `execute`, `collect`; always cleaned up."""
    return e2b_adapter


@pytest.fixture
def _create_test_e2b_adapter(
    request: pytest.FixtureRequest, osiris_target: OsirisTarget
) -> Iterator[Callable[..., OsirisAdapter]]:
    """Makes adapters as older tests do: `use_real`, and a key or None for the emulator."""
    with ExitStack() as stack:

        def create(*, use_real: bool = True, api_key: str | None = None) -> OsirisAdapter:
            del use_real  # there is only the real adapter
            endpoint: Endpoint = request.getfixturevalue("e2b_endpoint")
            if api_key is not None:
                endpoint = Endpoint(
                    name=endpoint.name,
                    env={**endpoint.env, "E2B_API_KEY": api_key},
                    admin_url=endpoint.admin_url,
                    admin_token=endpoint.admin_token,
                )
            return stack.enter_context(_cleaned_up(osiris_target, endpoint))

        yield create


@pytest.fixture
def small_pipeline(osiris_target: OsirisTarget) -> PipelineCase:
    """Generates a few rows and writes them to a CSV file."""
    return osiris_target.case("small_pipeline")


@pytest.fixture
def parity_pipeline(osiris_target: OsirisTarget) -> PipelineCase:
    """The pipeline that parity checks begin with."""
    return osiris_target.case("parity_pipeline")


@pytest.fixture
def error_pipeline(osiris_target: OsirisTarget) -> PipelineCase:
    """A pipeline that fails in its first step."""
    return osiris_target.case("error_pipeline")


@pytest.fixture
def resource_intensive_pipeline(osiris_target: OsirisTarget) -> PipelineCase:
    """About a million rows, aggregated."""
    return osiris_target.case("resource_intensive_pipeline")


@pytest.fixture
def timeout_prone_pipeline(osiris_target: OsirisTarget) -> PipelineCase:
    """A query that runs far longer than its deadline."""
    return osiris_target.case("timeout_prone_pipeline")
