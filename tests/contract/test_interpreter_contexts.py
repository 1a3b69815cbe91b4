"""Contexts of the code interpreter: their life, their turns, their variables, their ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import httpx
import pytest
from e2b import NotFoundException, SandboxException, TimeoutException
from e2b_code_interpreter import AsyncSandbox, Sandbox
from interpreter_lab import interpreter_emulators

from harness.pytest_plugin.fixtures import E2BEnvironment

_harness_emulators = interpreter_emulators


@pytest.fixture
def sandbox(code_sandbox: Callable[..., Sandbox]) -> Sandbox:
    """One sandbox that runs code."""
    return code_sandbox(envs={"SHARED": "of the sandbox"})


def test_contexts_know_nothing_of_each_other(sandbox: Sandbox) -> None:
    """A new context is listed last, starts empty in its folder, and is gone once removed."""
    sandbox.run_code("x = 1")
    sandbox.files.make_dir("/home/user/deep")
    context = sandbox.create_code_context(cwd="/home/user/deep")
    assert sandbox.list_code_contexts()[-1].id == context.id
    execution = sandbox.run_code("import os; print(os.getcwd()); x", context=context)
    assert execution.logs.stdout == ["/home/user/deep\n"]
    assert execution.error is not None
    assert execution.error.name == "NameError"
    sandbox.remove_code_context(context)
    assert context.id not in [each.id for each in sandbox.list_code_contexts()]
    with pytest.raises(NotFoundException, match=f"Context {context.id} not found"):
        sandbox.run_code("1", context=context)


def test_restarted_context_forgets_and_ends_what_ran(sandbox: Sandbox) -> None:
    """A restart empties a context, keeps its id, and the code under way ends in an error."""
    context = sandbox.create_code_context()
    sandbox.run_code("x = 1", context=context)
    began = threading.Event()
    errors: list[str] = []

    def run() -> None:
        execution = sandbox.run_code(
            "print('began', flush=True)\nimport time; time.sleep(60)",
            context=context,
            on_stdout=lambda _message: began.set(),
        )
        errors.append(execution.error.name if execution.error else "none")

    thread = threading.Thread(target=run)
    thread.start()
    assert began.wait(60)
    sandbox.restart_code_context(context)
    thread.join(60)
    assert errors == ["UnexpectedEndOfExecution"]
    again = sandbox.run_code("import os; print(os.environ['SHARED']); x", context=context)
    assert again.logs.stdout == ["of the sandbox\n"]
    assert again.error is not None
    assert again.error.name == "NameError"


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("python", "import os; print(os.environ.get('{}', 'unset'))"),
        ("bash", "echo ${{{}:-unset}}"),
    ],
)
def test_variables_hold_for_one_execution(sandbox: Sandbox, language: str, code: str) -> None:
    """A variable of one execution is gone in the next; the sandbox's own comes back."""

    def value(name: str, **envs: str) -> str:
        logs = sandbox.run_code(code.format(name), language=language, envs=envs).logs
        return "".join(logs.stdout).strip()

    assert value("SHARED") == "of the sandbox"
    assert value("SHARED", SHARED="mine") == "mine"
    assert value("SHARED") == "of the sandbox"
    assert value("ONCE", ONCE="1") == "1"
    assert value("ONCE") == "unset"


def test_executions_of_one_context_take_turns(sandbox: Sandbox) -> None:
    """Two requests at once run one after the other, each to its own client."""
    sandbox.run_code("import time; running = 0; most = 0")
    code = "running += 1; most = max(most, running); time.sleep(0.3); running -= 1; print('{}')"
    outputs: dict[str, list[str]] = {}

    def run(name: str) -> None:
        outputs[name] = sandbox.run_code(code.format(name)).logs.stdout

    threads = [threading.Thread(target=run, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert outputs == {name: [f"{name}\n"] for name in "abc"}
    assert sandbox.run_code("most").text == "1"


@pytest.mark.parametrize(
    ("language", "before", "endless"),
    [
        ("python", "import time; x = 1", "time.sleep(300)"),
        ("js", "const x = 1", "await new Promise(() => setInterval(() => {}, 1000))"),
    ],
)
def test_client_that_gives_up_interrupts_its_code(
    sandbox: Sandbox, language: str, before: str, endless: str
) -> None:
    """After a timeout the context is free at once, and its state is still there."""
    sandbox.run_code(before, language=language)
    with pytest.raises(TimeoutException):
        sandbox.run_code(endless, language=language, timeout=1)
    assert sandbox.run_code("x", language=language, timeout=60).text == "1"


def test_kernel_that_dies_is_reported_and_comes_back(sandbox: Sandbox) -> None:
    """The code that killed its kernel ends in an error; the next finds a new kernel."""
    execution = sandbox.run_code("import os; os._exit(3)")
    assert execution.error is not None
    assert execution.error.name == "ContextRestarting"
    assert sandbox.run_code("1 + 1").text == "2"


def test_server_that_is_killed_comes_back(sandbox: Sandbox) -> None:
    """The interpreter outlives a kill of its own process; contexts do not."""
    sandbox.run_code("x = 1")
    sandbox.commands.run("kill -9 $(pgrep -f \"run_module\\('interpreter'\")", user="root")
    assert sandbox.run_code("'x' in globals()").text == "False"


def test_sandbox_killed_under_code_is_named(sandbox: Sandbox) -> None:
    """Code whose sandbox is killed ends in the client's word for that."""
    sandbox.run_code("import time")
    killer = threading.Thread(target=sandbox.kill)
    with pytest.raises(TimeoutException, match="sandbox was killed while the request"):
        sandbox.run_code(
            "print('runs', flush=True); time.sleep(60)", on_stdout=lambda _: killer.start()
        )
    killer.join()


@pytest.mark.parametrize("language", ["r", "java"])
def test_language_without_kernel_is_refused_by_name(sandbox: Sandbox, language: str) -> None:
    """A kernel that is missing is named in the service's words, for code and for contexts."""
    words = f"The '{language}' kernel is not available"
    with pytest.raises(SandboxException, match=words):
        sandbox.run_code("1", language=language)
    with pytest.raises(SandboxException, match=words):
        sandbox.create_code_context(language=language)


def test_ports_of_a_closed_sandbox_ask_for_its_token(
    code_sandbox: Callable[..., Sandbox], e2b_env: E2BEnvironment
) -> None:
    """With public traffic off the client's token opens the interpreter, and nothing else does."""
    sandbox = code_sandbox(network={"allow_public_traffic": False})
    assert sandbox.run_code("1 + 1").text == "2"
    base = e2b_env.endpoint.env.get("E2B_SANDBOX_URL") or f"https://{sandbox.get_host(49999)}"
    headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "E2b-Sandbox-Port": "49999"}
    refused = httpx.get(f"{base}/contexts", headers=headers)
    assert refused.status_code == 403
    assert "e2b-traffic-access-token" in refused.text.lower()


@pytest.mark.parametrize("language", ["bash"])
def test_folder_that_is_missing_is_refused_where_the_language_says_so(
    sandbox: Sandbox, language: str
) -> None:
    """A context in a folder that is not there is an error of the service, not a silence."""
    with pytest.raises(SandboxException, match="Failed to set working directory"):
        sandbox.create_code_context(cwd="/nowhere", language=language)


def test_async_client_runs_code(e2b_env: E2BEnvironment) -> None:
    """The asynchronous client is served alike."""
    assert e2b_env.timeout_s

    async def run() -> str | None:
        sandbox = await AsyncSandbox.create(timeout=60)
        try:
            text: str | None = (await sandbox.run_code("6 * 7")).text
        finally:
            await sandbox.kill()
        return text

    assert asyncio.run(run()) == "42"
