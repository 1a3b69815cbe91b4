"""Runs builds in the background, one sandbox each, and keeps what can be used again.

Differs: whatever image a build names, its sandbox has this host's system and the built-in
template's Python; no registry is asked. A failed step's message is E2B's, its log's lines
need not be.
Source: e2b-dev/infra packages/orchestrator/internal/template/build (phases, cache).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from harness.emulator.builds.programs import ProgramError, Shell, start_program
from harness.emulator.builds.recipe import BASE_STEP, FINALIZE_STEP, Recipe
from harness.emulator.builds.steps import run_step
from harness.emulator.builds.uploads import Uploads
from harness.emulator.catalogue import Catalogue
from harness.emulator.credentials import new_id
from harness.emulator.isolation import GuestError, Network, Sandbox, SandboxGoneError, SandboxHost
from harness.emulator.isolation.folders import delete_tree
from harness.emulator.service_clock import ServiceClock
from harness.emulator.template_records import Build, BuildStatus, Image, LogLine, TemplateRecord
from harness.errors import HarnessError

__all__ = ["Builder"]

MAX_KEPT = 64
_LOG = logging.getLogger("harness.emulator")
_BASE_ENVIRONMENT = "base"


class _StepError(Exception):
    """A step failed."""

    def __init__(self, step: str, message: str) -> None:
        super().__init__(message)
        self.step = step
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    """One build under way."""

    build: Build
    recipe: Recipe
    clock: ServiceClock

    def say(self, message: str, *, step: str, level: str = "info") -> None:
        """Adds a line to the build's log."""
        line = LogLine(time=self.clock.now(), message=message, level=level, step=step)
        self.build.log.append(line)

    def hears(self, number: int) -> Callable[[str, str], None]:
        """A listener for what the commands of a step say."""
        where, step = f"[builder {number}/{len(self.recipe.steps)}]", str(number)
        return lambda stream, line: self.say(f"{where} [{stream}]: {line}", step=step)


class Builder:
    """Builds templates.

    Args:
        host: starts the builds' sandboxes.
        catalogue: where templates are found and builds are kept.
        clock: tells when a line was logged.
        uploads: the files of COPY steps.
        network: what the builds' sandboxes can reach.
    """

    def __init__(
        self,
        host: SandboxHost,
        catalogue: Catalogue,
        clock: ServiceClock,
        uploads: Uploads,
        *,
        network: Network = Network.NONE,
    ) -> None:
        self.uploads = uploads
        self._host = host
        self._catalogue = catalogue
        self._clock = clock
        self._network = network
        self._kept: dict[str, Image] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    def start(self, record: TemplateRecord, build: Build, recipe: Recipe) -> None:
        """Begins a build; its status says "building" on return."""
        build.status = BuildStatus.BUILDING
        site = _Site(build=build, recipe=recipe, clock=self._clock)
        task = asyncio.create_task(self._build(record, site))
        self._running[build.build_id] = task
        task.add_done_callback(lambda _: self._running.pop(build.build_id, None))

    def cancel(self, record: TemplateRecord) -> None:
        """Ends the builds of a template that is no more."""
        for build_id in record.builds:
            if task := self._running.get(build_id):
                task.cancel()

    async def reset(self) -> None:
        """Ends every build, and forgets uploads; what was built may be used again."""
        await self.close()
        await asyncio.to_thread(self.uploads.clear)

    async def close(self) -> None:
        """Ends every build."""
        tasks = [*self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _build(self, record: TemplateRecord, site: _Site) -> None:
        build = site.build
        try:
            build.image = await self._make(site)
            build.status = BuildStatus.READY
        except _StepError as error:
            self._fail(site, error.step, error.message)
        except asyncio.CancelledError:
            self._fail(site, FINALIZE_STEP, "the build was cancelled")
            raise
        except Exception as error:  # noqa: BLE001 - a border: the build's end is its answer
            _LOG.exception("the build of %s failed", record.name)
            self._fail(site, FINALIZE_STEP, f"internal error of the emulator: {error}")
        finally:
            build.finished_at = record.updated_at = self._clock.now()

    @staticmethod
    def _fail(site: _Site, step: str, message: str) -> None:
        site.say(f"Build failed: {message}", step=step, level="error")
        site.build.failure, site.build.failed_step = message, step
        site.build.status = BuildStatus.ERROR

    async def _make(self, site: _Site) -> Image:
        recipe = site.recipe
        base = self._base(recipe)
        site.say(f"[base] FROM {recipe.base}", step=BASE_STEP)
        keys = recipe.keys(f"{base.environment} {base.layer} {base}")
        reused = self._reusable(recipe, keys)
        image = self._kept[keys[reused]] if reused else base
        for number, step in enumerate(recipe.steps[:reused], 1):
            where = f"[builder {number}/{len(recipe.steps)}]"
            site.say(f"CACHED {where} {step.shown()}", step=str(number))
        name = new_id("b")
        try:
            guest = await self._open(name, image, site)
            image = await self._run_steps(guest, image, reused, site)
            if reused < len(recipe.steps):
                image = await self._keep(name, keys[-1], image)
            return await self._finalize(guest, image, site)
        except SandboxGoneError as error:
            raise _StepError(FINALIZE_STEP, "the build's sandbox ended") from error
        except HarnessError as error:
            raise _StepError(FINALIZE_STEP, error.happened) from error
        finally:
            await asyncio.shield(self._host.discard(name))

    def _base(self, recipe: Recipe) -> Image:
        if not recipe.from_template:
            return Image(environment=_BASE_ENVIRONMENT)
        template = self._catalogue.find(recipe.from_template)
        if template is None:
            raise _StepError(BASE_STEP, f"base template '{recipe.from_template}' not found")
        return replace(template.image)

    def _reusable(self, recipe: Recipe, keys: list[str]) -> int:
        most = recipe.reusable_steps()
        return next((count for count in range(most, 0, -1) if keys[count] in self._kept), 0)

    async def _open(self, name: str, image: Image, site: _Site) -> Sandbox:
        try:
            return await self._host.start(
                name,
                template=image.environment,
                envs=image.envs,
                network=self._network,
                layer=image.layer,
            )
        except HarnessError as error:
            site.say(error.happened, step=BASE_STEP, level="error")
            raise _StepError(BASE_STEP, error.happened) from error

    async def _run_steps(self, guest: Sandbox, image: Image, reused: int, site: _Site) -> Image:
        steps = site.recipe.steps
        for number, step in enumerate(steps[reused:], reused + 1):
            site.say(f"[builder {number}/{len(steps)}] {step.shown()}", step=str(number))
            shell = Shell(
                guest=guest,
                user=image.user,
                workdir=image.workdir,
                envs=image.envs,
                heard=site.hears(number),
            )
            try:
                image = await run_step(step, image, shell, self.uploads)
            except ProgramError as error:
                raise _StepError(str(number), str(error)) from error
            except GuestError as error:
                raise _StepError(str(number), f"{error.code}: {error.message}") from error
        return image

    async def _keep(self, name: str, key: str, image: Image) -> Image:
        layer = self._host.new_layer()
        await self._host.save_layer(name, layer)
        self._kept.pop(key, None)
        self._kept[key] = kept = replace(image, layer=layer)
        await self._drop_old()
        return kept

    async def _drop_old(self) -> None:
        """Deletes the oldest files that no template needs."""
        needed = self._catalogue.layers()
        for key in [*self._kept][:-MAX_KEPT]:
            layer = self._kept[key].layer
            if layer is not None and layer not in needed:
                del self._kept[key]
                await asyncio.to_thread(delete_tree, layer)

    async def _finalize(self, guest: Sandbox, image: Image, site: _Site) -> Image:
        recipe = site.recipe
        site.say("[finalize] Finalizing template build", step=FINALIZE_STEP)
        image = replace(
            image,
            start_cmd=recipe.start_cmd or image.start_cmd,
            ready_cmd=recipe.ready_cmd or ("" if recipe.start_cmd else image.ready_cmd),
        )
        if not image.start_cmd and not image.ready_cmd:
            return image

        def heard(stream: str, line: str) -> None:
            site.say(f"[finalize] [{stream}]: {line}", step=FINALIZE_STEP)

        try:
            await start_program(guest, image, heard)
        except ProgramError as error:
            raise _StepError(FINALIZE_STEP, str(error)) from error
        layer = self._host.new_layer()
        await self._host.save_layer(guest.sandbox_id, layer)
        return replace(image, layer=layer)
