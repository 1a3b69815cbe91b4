"""Any program in a folder as a target: run here and in a sandbox, and compared."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

from harness.clock import SystemClock
from harness.errors import UsageError
from harness.model.evidence import Evidence
from harness.model.run import CollectedArtifacts, ExecResult, ExecutionContext, PipelineCase
from harness.model.side import Endpoint, Side
from harness.sdk.endpoint import ApiEndpoint
from harness.settings import Settings
from harness.targets.command.adapter import CommandAdapter
from harness.targets.command.evidence import gather
from harness.targets.command.job import Job, read_job
from harness.targets.command.places import LocalPlace, Pace, Place, SandboxPlace
from harness.targets.command.program import CommandProgram, requirements_of, variables_of

__all__ = ["PRODUCT", "CommandProgram", "CommandTarget", "requirements_of", "variables_of"]

PRODUCT = "command"


class CommandTarget:
    """The target `command`; implements `harness.ports.Target`.

    Args:
        settings: what the run was told.
        version: names the program's own version, for the file of allowances; "1" where
            it is left out.
        sdk: of no meaning here: the harness's own SDK carries the program.
        program: what is run; a target without one has no case.
    """

    name = "command"

    def __init__(
        self,
        *,
        settings: Settings,
        version: str | None = None,
        sdk: str | None = None,
        program: CommandProgram | None = None,
    ) -> None:
        del sdk
        self.settings = settings
        self.version = version or "1"
        self._program = program
        self._pace = Pace(SystemClock())

    def __reduce__(self) -> tuple[Callable[[], CommandTarget], tuple[()]]:
        """A worker gets a target of its own, which reads the program's folder anew."""
        made = partial(
            CommandTarget, settings=self.settings, version=self.version, program=self._program
        )
        return made, ()

    @property
    def program(self) -> CommandProgram:
        """What is run.

        Raises:
            UsageError: if there is none.
        """
        if self._program is None:
            raise UsageError(
                "the target `command` has no program",
                expected="a folder and a command",
                next_step="harness parity run --files job/ -- python job.py",
            )
        return self._program

    @cached_property
    def job(self) -> Job:
        """The program's folder, as it was at the first call.

        Raises:
            UsageError: if something in it cannot be read, or it is too large.
        """
        return read_job(self.program.folder)

    def cases(self) -> tuple[PipelineCase, ...]:
        """The one case there is; none without a program."""
        return () if self._program is None else (self._program.case,)

    def case(self, name: str) -> PipelineCase:
        """The case of that name.

        Raises:
            UsageError: if there is none of that name.
        """
        for case in self.cases():
            if case.name == name:
                return case
        raise UsageError(
            f"unknown case: {name!r}",
            expected=f"one of {', '.join(case.name for case in self.cases()) or 'no case at all'}",
            next_step="correct the name",
        )

    def adapter(self, side: Side, endpoint: Endpoint | None = None) -> CommandAdapter:
        """A new adapter for one side; the caller closes it.

        Raises:
            UsageError: if the E2B side has no endpoint.
            NotRunError: if the endpoint has no key.
        """
        return CommandAdapter(
            program=self.program,
            job=self.job,
            place=lambda base: self._place(side, endpoint, base),
            local_host=socket.gethostname(),
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
        return gather(
            self.program,
            side=side,
            case=case,
            context=context,
            result=result,
            collected=collected,
        )

    def template_packages(self) -> tuple[str, ...]:
        """What the sandboxes offer to the program beside Python."""
        return self.program.packages

    def allowances_file(self) -> Path:
        """Where the accepted divergences of the program are declared: beside its folder."""
        return self.program.allowances_file

    def _place(self, side: Side, endpoint: Endpoint | None, base: Path) -> Place:
        if side is Side.LOCAL:
            return LocalPlace(base, self._pace)
        if endpoint is None:
            raise UsageError(
                "no endpoint for the E2B side",
                expected="the emulator's endpoint, or the real service's",
                next_step="start one with `harness emulator serve`, or go live with a key",
            )
        # The emulator's template has the packages; the service's is what it is.
        install = self.program.packages if endpoint.name == "live" else ()
        return SandboxPlace(ApiEndpoint.from_env(endpoint.env), self.program, install=install)
