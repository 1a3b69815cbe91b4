"""Osiris Pipeline as a target: the released product, in an environment of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from harness.errors import UsageError
from harness.model.evidence import Evidence
from harness.model.run import CollectedArtifacts, ExecResult, ExecutionContext, PipelineCase
from harness.model.side import Endpoint, Side
from harness.settings import Settings
from harness.targets.osiris.adapter import OsirisAdapter
from harness.targets.osiris.case_library import CASES, FIXTURES, LEAK_CASES, load_cases
from harness.targets.osiris.environment import (
    DEFAULT_SDK,
    DEFAULT_VERSION,
    OsirisEnvironment,
    ensure_environment,
)
from harness.targets.osiris.evidence import gather
from harness.targets.osiris.exploration import OsirisSketch, case_text, draw_sketches
from harness.targets.osiris.sandbox_packages import template_packages
from harness.targets.osiris.services import Services

__all__ = ["OsirisTarget"]


class OsirisTarget:
    """The target `osiris`; implements `harness.ports.Target`.

    Args:
        settings: what the run was told; environments live in `testing_env/environments`.
        version: of osiris-pipeline; the pinned one where it is left out.
        sdk: the SDK that carries it; the pinned one where it is left out.
    """

    name = "osiris"

    def __init__(
        self, *, settings: Settings, version: str | None = None, sdk: str | None = None
    ) -> None:
        self.settings = settings
        self.version = version or DEFAULT_VERSION
        self.sdk = sdk or DEFAULT_SDK
        self._services = Services()

    def __reduce__(self) -> tuple[Callable[[], OsirisTarget], tuple[()]]:
        """A worker gets a target of its own: services belong to the process that started them."""
        make = partial(OsirisTarget, settings=self.settings, version=self.version, sdk=self.sdk)
        return make, ()

    def environment(self) -> OsirisEnvironment:
        """The product's environment, built at the first call."""
        folder = self.settings.testing_env / "environments"
        return ensure_environment(folder, version=self.version, sdk=self.sdk)

    def cases(self) -> tuple[PipelineCase, ...]:
        """The cases that parity compares, sorted by name."""
        return load_cases(CASES)

    def case(self, name: str) -> PipelineCase:
        """One case of the library, or one of the pipelines that the pytest fixtures run.

        Raises:
            UsageError: if there is none of that name.
        """
        known = {case.name: case for case in (*self.cases(), *load_cases(FIXTURES))}
        if name not in known:
            raise UsageError(
                f"unknown case: {name!r}",
                expected=f"one of {', '.join(sorted(known))}",
                next_step="correct the name, or add the case to the library",
            )
        return known[name]

    def adapter(self, side: Side, endpoint: Endpoint | None = None) -> OsirisAdapter:
        """A new adapter for one side; the caller closes it."""
        return OsirisAdapter(
            side=side,
            environment=self.environment(),
            settings=self.settings,
            endpoint=endpoint,
            services=self._services,
        )

    def gather(
        self,
        side: Side,
        case: PipelineCase,
        context: ExecutionContext,
        result: ExecResult,
        collected: CollectedArtifacts | None,
    ) -> Evidence:
        """Everything that a user could observe of a run."""
        return gather(side, case, context, result, collected)

    def template_packages(self) -> tuple[str, ...]:
        """Exact pins of what a sandbox must offer to the product's worker."""
        return template_packages(self.environment())

    def allowances_file(self) -> Path:
        """Where the accepted divergences of this version of Osiris are declared."""
        return Path(__file__).parent / "allowances" / f"{self.version}.toml"

    def sketches(self, *, count: int, seed: int) -> tuple[OsirisSketch, ...]:
        """Different pipelines out of hypothesis; the same count and seed give the same ones."""
        return draw_sketches(count=count, seed_number=seed)

    def write_case(self, case: PipelineCase, *, notes: Sequence[str]) -> str:
        """The case as a file of the library; the notes stand above it as comments."""
        return case_text(case, notes=notes)

    def leak_cases(self) -> tuple[PipelineCase, ...]:
        """Pipelines with secrets, as `<canary:NAME>`, in every place where a user puts one."""
        return load_cases(LEAK_CASES)

    def leak_allowances_file(self) -> Path:
        """Where the accepted leaks of this version of Osiris are declared."""
        return Path(__file__).parent / "leak_allowances" / f"{self.version}.toml"
