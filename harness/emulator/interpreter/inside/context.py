"""A context: one kernel, whose executions take turns.

Source: e2b-dev/code-interpreter template/server/messaging.py.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping

from .indentation import indent_of, indented
from .kernel import Kernel, KernelStartError, Message, real_folder
from .languages import Language
from .output import Line, Progress, error_line

__all__ = ["Context", "FolderError"]

KEEPALIVE_S = 5.0


class FolderError(Exception):
    """A new context could not go to its folder; it is there all the same."""


class _Execution:
    """Code that a kernel was given.

    Args:
        silent: whether it is the server's own.
    """

    def __init__(self, *, silent: bool) -> None:
        self.progress = Progress(silent=silent)
        self.lines: asyncio.Queue[Line | None] = asyncio.Queue()
        self.ended = asyncio.Event()

    def take(self, message: Message) -> None:
        """Takes in a message."""
        for line in self.progress.lines(message):
            self.lines.put_nowait(line)
        if self.progress.finished:
            self.end()

    def end(self, *last: Line) -> None:
        """Ends it, whatever the kernel does."""
        if not self.ended.is_set():
            for line in last:
                self.lines.put_nowait(line)
            self.lines.put_nowait(None)
            self.ended.set()

    async def read(self) -> AsyncGenerator[Line, None]:
        """Each line as it comes, and a sign of life where none does."""
        while True:
            try:
                line = await asyncio.wait_for(self.lines.get(), KEEPALIVE_S)
            except TimeoutError:
                yield {"type": "keepalive"}
                continue
            if line is None:
                return
            yield line


class Context:
    """A kernel with an id, a language and a folder.

    Args:
        context_id: E2B's id.
        language: of its kernel.
        cwd: where its code runs.
        envs: the sandbox's variables.
    """

    def __init__(
        self, context_id: str, language: Language, cwd: str, envs: Mapping[str, str]
    ) -> None:
        self.context_id = context_id
        self.language = language
        self.cwd = cwd
        self._envs = envs
        self._fresh = True
        self._asleep = True
        self._turn = asyncio.Lock()
        self._kernel: Kernel | None = None
        self._executions: dict[str, _Execution] = {}
        self._settling: asyncio.Task[None] | None = None
        self._revival: asyncio.Task[None] | None = None

    def to_json(self) -> dict[str, str]:
        """The context as clients see it."""
        return {"id": self.context_id, "language": self.language.name, "cwd": self.cwd}

    async def open(self) -> None:
        """Starts the kernel.

        Raises:
            KernelStartError: the kernel did not come up.
        """
        self._asleep = False
        self._kernel = await Kernel.start(self.language, self._on_message, self._on_death)

    async def enter_folder(self) -> None:
        """Goes to the folder.

        Raises:
            FolderError: the language says that it is not there (Python's `%cd` does not).
        """
        entering = await self._run_silently(self.language.change_folder(real_folder(self.cwd)))
        if entering.progress.failed:
            raise FolderError("Failed to set working directory")

    async def restart(self) -> None:
        """A new kernel in the home folder, without what the old one knew.

        Raises:
            KernelStartError: the new kernel did not come up.
        """
        self._end_all(
            error_line(
                "WebSocketError", "The connections was lost, rerun the code to get the results"
            ),
            error_line(
                "UnexpectedEndOfExecution",
                "Connection to the execution was closed before the execution was finished",
            ),
        )
        self._asleep = False
        await self._start_anew()
        self._fresh = True

    async def close(self) -> None:
        """Ends the kernel."""
        self._end_all()
        for task in (self._settling, self._revival):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if self._kernel is not None:
            await self._kernel.close()

    async def execute(self, code: str, envs: Mapping[str, str]) -> AsyncGenerator[Line, None]:
        """Runs code when its turn comes; leaving early interrupts the kernel.

        Args:
            code: in the context's language.
            envs: variables for this code only.
        """
        async with self._turn:
            if self._asleep:
                self._settling = asyncio.create_task(self._wake())
            async for line in self._until_settled():
                yield line
            if self._kernel is None:
                yield error_line("ContextRestarting", "Context was restarted")
                return
            execution = _Execution(silent=False)
            self._executions[self._kernel.execute(self._prepared(code, envs))] = execution
            try:
                async for line in execution.read():
                    yield line
            except (asyncio.CancelledError, GeneratorExit):
                # Not awaited to its end: the client has gone, and the next turn waits for it.
                self._settling = asyncio.create_task(self._interrupt(execution))
                raise
            if envs:
                self._settling = asyncio.create_task(self._clean(envs))

    async def _wake(self) -> None:
        with contextlib.suppress(KernelStartError):  # the code then finds no kernel, and says so
            await self.open()
            await self._run_silently(self.language.change_folder(real_folder(self.cwd)))

    async def _until_settled(self) -> AsyncGenerator[Line, None]:
        """Waits for what must happen before the next code, with signs of life."""
        while (task := self._unsettled()) is not None:
            await asyncio.wait({task}, timeout=KEEPALIVE_S)
            if not task.done():
                yield {"type": "keepalive"}

    def _unsettled(self) -> asyncio.Task[None] | None:
        tasks = (self._settling, self._revival)
        return next((task for task in tasks if task is not None and not task.done()), None)

    async def _interrupt(self, execution: _Execution) -> None:
        if self._kernel is not None and not execution.ended.is_set():
            await self._kernel.interrupt()
            await execution.ended.wait()

    async def _clean(self, envs: Mapping[str, str]) -> None:
        await self._run_silently(self._cleaned(envs))

    async def _run_silently(self, code: str) -> _Execution:
        execution = _Execution(silent=True)
        if self._kernel is None:
            execution.end(error_line("ContextRestarting", "Context was restarted"))
        else:
            self._executions[self._kernel.execute(code, silent=True)] = execution
        await execution.ended.wait()
        return execution

    def _prepared(self, code: str, envs: Mapping[str, str]) -> str:
        """The code behind the variables' assignments, as the service sends it.

        There, too, line numbers in tracebacks move with the variables, and a cell magic is
        no longer at the top.
        """
        wanted = [*(self._envs.items() if self._fresh else ()), *envs.items()]
        self._fresh = False
        if not wanted:
            return code
        assignments = "\n".join(self.language.set_env(name, value) for name, value in wanted)
        return f"{indented(assignments, indent_of(code))}\n{code}"

    def _cleaned(self, envs: Mapping[str, str]) -> str:
        """Code that gives variables back the sandbox's values, or removes them."""
        return "\n".join(
            self.language.set_env(name, self._envs[name])
            if name in self._envs
            else self.language.unset_env(name)
            for name in envs
        )

    def _on_message(self, message: Message) -> None:
        parent = message["parent_header"].get("msg_id", "")
        execution = self._executions.get(parent)
        if execution is None:
            return
        execution.take(message)
        if execution.ended.is_set():
            del self._executions[parent]

    def _on_death(self) -> None:
        """Jupyter starts a kernel that died anew; its variables are then not set again."""
        self._end_all(error_line("ContextRestarting", "Context was restarted"))
        self._revival = asyncio.create_task(self._start_anew())

    def _end_all(self, *last: Line) -> None:
        for execution in self._executions.values():
            execution.end(*last)
        self._executions.clear()

    async def _start_anew(self) -> None:
        old, self._kernel = self._kernel, None
        if old is not None:
            with contextlib.suppress(OSError):
                await old.close()
        self._kernel = await Kernel.start(self.language, self._on_message, self._on_death)
