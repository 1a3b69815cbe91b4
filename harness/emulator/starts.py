"""How a sandbox comes up: its variables, what it reaches, and what runs in it at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from harness.emulator.answers import ApiError
from harness.emulator.builds import ProgramError, start_program
from harness.emulator.egress import NOWHERE, EgressRules, rules_of
from harness.emulator.internet import Internet
from harness.emulator.interpreter import INTERPRETER_TEMPLATE, open_interpreter
from harness.emulator.isolation import GuestError, Network, Sandbox, SandboxGoneError, SandboxHost
from harness.emulator.life import NewSandbox
from harness.emulator.neighbours import Neighbours
from harness.emulator.placeholders import fill_placeholders
from harness.emulator.volumes import Volumes
from harness.errors import BrokenError

__all__ = ["Starts"]


class Starts:
    """Starts sandboxes, and starts them anew from their files.

    Args:
        host: isolates them.
        network: what every sandbox can reach.
        interpreter: whether sandboxes of the code interpreter's template run code.
        volumes: what they may mount.
        internet: what stands for the internet; where it has no host, there is none.
        keep: holds on to a task that serves a sandbox as long as that lives.
        secret: the value of a secret's name; None where there is no such secret.

    Attributes:
        internet: see above; another one holds for sandboxes that are started from then on.
        neighbours: how sandboxes with an internet reach each other; None is not at all.
    """

    def __init__(
        self,
        host: SandboxHost,
        *,
        network: Network,
        interpreter: bool,
        volumes: Volumes | None,
        internet: Internet,
        keep: Callable[[asyncio.Task[None]], None],
        secret: Callable[[str], str | None],
    ) -> None:
        self._host = host
        self._network = network
        self._interpreter = interpreter
        self._volumes = volumes
        self.internet = self._first_internet = internet
        self.neighbours: Neighbours | None = None
        self._joined = (internet, internet)
        self._keep = keep
        self._secret = secret
        self._rules: dict[str, EgressRules] = {}

    async def start(self, sandbox_id: str, asked: NewSandbox) -> Sandbox:
        """A sandbox that is ready for its first request.

        Raises:
            ApiError: 500 where it does not come up.
        """
        envs = _envs(sandbox_id, asked)
        template = asked.template
        try:
            guest = await self._host.start(
                sandbox_id,
                template=template.image.environment,
                envs=envs,
                network=self._network,
                layer=template.image.layer,
                mounts=self._volumes.mounts(asked.volume_mounts) if self._volumes else (),
            )
        except BrokenError as error:
            raise _failure(error.happened) from error
        try:
            await self._open(guest, asked, envs)
        except BaseException as error:
            await self._host.discard(sandbox_id)
            if not isinstance(error, SandboxGoneError):
                raise
            raise _failure("it ended at once") from error
        return guest

    async def restart(self, sandbox_id: str, asked: NewSandbox) -> Sandbox:
        """A sandbox with the files of one whose processes are gone.

        Raises:
            ApiError: 500 where it does not come up.
        """
        envs = _envs(sandbox_id, asked)
        try:
            guest = await self._host.reboot(sandbox_id, envs=envs)
        except BrokenError as error:
            raise ApiError(500, f"Failed to resume sandbox: {error.happened}") from error
        await self._open(guest, asked, envs)
        return guest

    def set_rules(self, sandbox_id: str, asked: NewSandbox) -> None:
        """Has a running sandbox reach what it now asks for."""
        self._rules[sandbox_id] = replace(rules_of(asked), fill=self._fill)

    def _fill(self, value: str) -> str:
        return fill_placeholders(value, self._secret)

    def forget(self, sandbox_id: str) -> None:
        """Drops what is known of a sandbox that ended."""
        self._rules.pop(sandbox_id, None)

    def reset(self) -> None:
        """Returns to the first internet, for no sandbox."""
        self._rules.clear()
        self.internet = self._first_internet

    async def _open(self, guest: Sandbox, asked: NewSandbox, envs: Mapping[str, str]) -> None:
        self.set_rules(guest.sandbox_id, asked)
        if self.internet.hosts:
            await self._open_internet(guest)
        if self._interpreter and asked.template.image.environment == INTERPRETER_TEMPLATE:
            await open_interpreter(guest, dict(envs))
        image = asked.template.image
        if image.user != "user" or image.workdir:
            await guest.call("init", default_user=image.user, default_workdir=image.workdir)
        try:
            await start_program(guest, image)
        except ProgramError as error:
            raise _failure(str(error)) from error

    async def _open_internet(self, guest: Sandbox) -> None:
        sandbox_id = guest.sandbox_id
        try:
            serving = await self._outside().open(
                guest, lambda: self._rules.get(sandbox_id, NOWHERE)
            )
        except GuestError as error:
            raise _failure(error.message) from error
        self._keep(serving)

    def _outside(self) -> Internet:
        """The internet with the names of sandboxes; the same object while that is the same."""
        if self.neighbours is None:
            return self.internet
        if self._joined[0] is not self.internet or self._joined[1] is self.internet:
            self._joined = (self.internet, self.neighbours.beside(self.internet))
        return self._joined[1]


def _envs(sandbox_id: str, asked: NewSandbox) -> dict[str, str]:
    return {
        **asked.template.image.envs,
        **asked.envs,
        "E2B_SANDBOX": "true",
        "E2B_SANDBOX_ID": sandbox_id,
        "E2B_TEMPLATE_ID": asked.template.template_id,
    }


def _failure(why: str) -> ApiError:
    return ApiError(500, f"Failed to create sandbox: {why}", error_code="sandbox_create_failed")
