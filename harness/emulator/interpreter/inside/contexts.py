"""The contexts of one sandbox, by id, and the default one of each language.

Source: e2b-dev/code-interpreter template/server/contexts.py, main.py.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import defaultdict
from collections.abc import Mapping

from .context import Context
from .kernel import KernelStartError
from .languages import DEFAULT_LANGUAGE, READY_LANGUAGES, find_language, plain_name

__all__ = ["HOME", "Contexts"]

HOME = "/home/user"
_LOG = logging.getLogger("interpreter")


class Contexts:
    """Opens, finds and removes contexts.

    Args:
        envs: the sandbox's variables.
    """

    def __init__(self, envs: Mapping[str, str]) -> None:
        self._envs = envs
        self._by_id: dict[str, Context] = {}
        self._defaults: dict[str, str] = {}
        self._opening: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def open_default(self) -> None:
        """Opens the default context before anyone asks for it; a failure is told on request."""
        async with self._opening[DEFAULT_LANGUAGE]:
            try:
                default = await self.open(DEFAULT_LANGUAGE, HOME)
            except KernelStartError as error:
                _LOG.error("%s", error)
            else:
                self._defaults[DEFAULT_LANGUAGE] = default.context_id
            for name in READY_LANGUAGES:
                # Its kernel waits for its first code: most sandboxes never speak the language.
                context = Context(str(uuid.uuid4()), find_language(name), HOME, self._envs)
                self._by_id[context.context_id] = context
                self._defaults[name] = context.context_id

    @property
    def opening(self) -> bool:
        """Whether the default context is still to come."""
        return DEFAULT_LANGUAGE not in self._defaults

    def all(self) -> list[Context]:
        """Every context, oldest first."""
        return list(self._by_id.values())

    def find(self, context_id: str) -> Context | None:
        """The context of an id; None where there is none."""
        return self._by_id.get(context_id)

    async def ready(self) -> None:
        """Returns once the default context is there, or could not be had."""
        async with self._opening[DEFAULT_LANGUAGE]:
            return

    async def default(self, language: str | None) -> Context | None:
        """The default context of a language; None once it was removed.

        Raises:
            KernelStartError: its kernel did not come up.
            UnknownLanguageError: there is no kernel for it.
        """
        name = plain_name(language)
        find_language(name)
        await self.ready()
        async with self._opening[name]:
            if name not in self._defaults:
                self._defaults[name] = (await self.open(name, HOME)).context_id
        return self._by_id.get(self._defaults[name])

    async def open(self, language: str | None, cwd: str) -> Context:
        """A new context.

        Raises:
            FolderError: it is there, but not in that folder.
            KernelStartError: its kernel did not come up.
            UnknownLanguageError: there is no kernel for the language.
        """
        found = find_language(plain_name(language))
        context = Context(str(uuid.uuid4()), found, cwd, self._envs)
        await context.open()
        self._by_id[context.context_id] = context
        await context.enter_folder()
        return context

    async def remove(self, context: Context) -> None:
        """Ends a context."""
        self._by_id.pop(context.context_id, None)
        await context.close()

    async def close(self) -> None:
        """Ends every context."""
        await asyncio.gather(*(context.close() for context in self._by_id.values()))
        self._by_id.clear()
