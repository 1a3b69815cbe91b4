"""Attempts to get out of a sandbox, by the real SDK; each with a control that must succeed.

Those on files, processes and rights, from inside, are with the isolation's own tests.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from e2b import NotFoundException, Sandbox, SandboxException
from guest_lab import DEADLINE_S, eventually

from harness.emulator.attach import AdminClient, Emulator
from harness.pytest_plugin.fixtures import E2BEnvironment

MakeSandbox = Callable[..., Sandbox]
_PLANTED = "planted-" + "in-the-environment"


@pytest.fixture(scope="module")
def walled() -> Iterator[Emulator]:
    """An emulator that was started with a variable that nobody inside is to see."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_PLANTED", _PLANTED)
        with Emulator("--pool", "1") as emulator:
            yield emulator


@pytest.fixture
def inside(walled: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox of that emulator."""
    for name, value in walled.env.items():
        monkeypatch.setenv(name, value)
    with Sandbox.create(timeout=120) as sandbox:
        yield sandbox


def _found(sandbox: Sandbox, words: str) -> list[str]:
    """Where these words are read inside, as root: environments, arguments, files of the run."""
    # In two halves, so that the search does not find itself.
    half = len(words) // 2
    search = (
        f'w="{words[:half]}"; w="${{w}}{words[half:]}"; '
        "for f in /proc/[0-9]*/environ /proc/[0-9]*/cmdline; do "
        'if tr "\\0" "\\n" <$f 2>/dev/null | grep -qF "$w"; then echo $f; fi; done; '
        'grep -rlF --exclude-dir=lib "$w" /run /etc /tmp /home /root 2>/dev/null; true'
    )
    return sandbox.commands.run(search, user="root", timeout=60).stdout.split()


def test_environment_of_the_host_is_not_inside(walled: Emulator, inside: Sandbox) -> None:
    """A variable of the emulator's own is in no process and no file of the sandbox."""
    own = Path(f"/proc/{walled.pid}/environ").read_bytes()
    assert f"HARNESS_PLANTED={_PLANTED}".encode() in own
    assert _found(inside, _PLANTED) == []
    inside.files.write("control", f"x {_PLANTED}")
    assert _found(inside, _PLANTED) == ["/home/user/control"]


def test_emulators_port_and_tokens_are_out_of_reach(walled: Emulator, inside: Sandbox) -> None:
    """No way from inside to the API that made the sandbox, nor to what it asks for."""
    url = httpx.URL(walled.env["E2B_API_URL"])
    with socket.create_connection((url.host, url.port), timeout=DEADLINE_S):
        pass
    # /dev/tcp is bash's: a control that it is meant and works.
    dial = "exec 3<>/dev/tcp/127.0.0.1/{}"
    inside.commands.run("python3 -m http.server 8099 >/dev/null 2>&1", background=True)
    eventually(lambda: inside.commands.run(dial.format(8099) + " || true; echo $?").stderr == "")
    for host in ("127.0.0.1", "localhost", "169.254.169.254", "192.168.0.1", "10.0.2.2"):
        with pytest.raises(SandboxException):
            inside.commands.run(f"timeout 3 bash -c 'exec 3<>/dev/tcp/{host}/{url.port}'")
    endpoint = walled.endpoint
    for token in (endpoint.admin_token, walled.env["E2B_API_KEY"], walled.access_token):
        assert token
        assert _found(inside, token) == []


def test_paths_of_the_file_api_stay_inside(
    sandbox: Sandbox, emulator: AdminClient, tmp_path: Path
) -> None:
    """`..`, absolute paths and symlinks name the sandbox's files, to read, write and move."""
    del emulator
    secret = tmp_path / "secret"
    secret.write_text("host only")
    up = "../" * 12
    for path in (f"{up}{secret}", str(secret), f"/proc/1/root{secret}", f"/proc/self/root{secret}"):
        with pytest.raises((NotFoundException, SandboxException)):
            sandbox.files.read(path, user="root")
    sandbox.commands.run(f"ln -s {secret} link; ln -s {tmp_path} folder; ln -s / root")
    with pytest.raises((NotFoundException, SandboxException)):
        sandbox.files.read("link")
    with pytest.raises((NotFoundException, SandboxException)):
        sandbox.files.list("folder")
    sandbox.files.write(f"{up}{secret}", "inside", user="root")
    assert sandbox.files.read("/home/user/link", user="root") == "inside"
    sandbox.files.rename(str(secret), f"{up}{tmp_path}/moved", user="root")
    assert sandbox.files.read(f"/home/user/root{tmp_path}/moved", user="root") == "inside"
    assert secret.read_text() == "host only"
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_abstract_sockets_do_not_reach_across(
    make_sandbox: MakeSandbox, emulator: AdminClient
) -> None:
    """They have no path and no owner: only the network namespace keeps them apart."""
    del emulator
    name = f"harness-escape-{os.getpid()}"
    one, two = make_sandbox(), make_sandbox()
    server = (
        f'import socket; s = socket.socket(socket.AF_UNIX); s.bind("\\0{name}"); s.listen(); '
        "print(1, flush=True); s.accept()"
    )
    client = f'import socket; socket.socket(socket.AF_UNIX).connect("\\0{name}")'
    running = one.commands.run(f"python3 -c '{server}'", background=True)
    for out, _, _ in running:
        assert out == "1\n"
        break
    with pytest.raises(SandboxException):
        two.commands.run(f"python3 -c '{client}'")
    with socket.socket(socket.AF_UNIX) as host, pytest.raises(ConnectionRefusedError):
        host.connect(f"\0{name}")
    one.commands.run(f"python3 -c '{client}'")


def test_ports_of_one_sandbox_are_not_the_others(
    make_sandbox: MakeSandbox, e2b_env: E2BEnvironment, emulator: AdminClient
) -> None:
    """The same port in two sandboxes is two servers, from outside as from inside."""
    del emulator
    sandboxes = [make_sandbox(), make_sandbox()]
    for number, sandbox in enumerate(sandboxes):
        sandbox.files.write("index.html", f"number {number}")
        sandbox.commands.run("python3 -m http.server 8098", background=True)
    url = e2b_env.endpoint.env["E2B_SANDBOX_URL"]
    for number, sandbox in enumerate(sandboxes):
        headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "E2b-Sandbox-Port": "8098"}
        assert _answer(url, headers) == f"number {number}"


def _answer(url: str, headers: dict[str, str]) -> str:
    """What a port says, once it is open."""

    def ask() -> httpx.Response | None:
        answer = httpx.get(url, headers=headers, timeout=DEADLINE_S)
        return None if answer.status_code == httpx.codes.BAD_GATEWAY else answer

    found = eventually(ask)
    assert found is not None
    return found.text
