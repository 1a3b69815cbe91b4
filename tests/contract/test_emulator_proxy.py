"""The second way in: a proxy and a certificate, and no variable of E2B's but the key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from harness.emulator.attach import Emulator

_TIMEOUT_S = 200
# Runs in a process of its own: the SDK reads its environment when it is imported.
_SYNC = """
from e2b import Sandbox, Template
with Sandbox.create(timeout=60) as sandbox:
    said = sandbox.commands.run("echo said").stdout
    sandbox.files.write("a.txt", "written")
    read = sandbox.files.read("a.txt")
    sandbox.commands.run("python3 -m http.server 8099", background=True)
    sandbox.commands.run("until curl -sf http://127.0.0.1:8099/; do sleep 0.1; done")
    url = f"https://{sandbox.get_host(8099)}/a.txt"
    served = httpx.get(url).text
    linked = httpx.get(sandbox.download_url("a.txt")).text
    again = Sandbox.connect(sandbox.sandbox_id).commands.run("cat a.txt").stdout
    print(json.dumps([said, read, served, linked, again, url.partition(".")[2]]))
"""
_ASYNC = """
from e2b import AsyncSandbox
async def main():
    sandbox = await AsyncSandbox.create(timeout=60)
    said = (await sandbox.commands.run("echo said")).stdout
    await sandbox.files.write("a.txt", "written")
    print(json.dumps([said, await sandbox.files.read("a.txt"), await sandbox.kill()]))
asyncio.run(main())
"""
_BUILD = """
import pathlib
pathlib.Path("x.txt").write_text("x")
template = Template(file_context_path=".").from_base_image().copy("x.txt", "y.txt")
Template.build(template, "through-the-proxy")
with Sandbox.create("through-the-proxy", timeout=60) as sandbox:
    print(json.dumps(sandbox.files.read("y.txt")))
"""
_HEAD = "import asyncio, json, os\nimport httpx\nfrom e2b import Sandbox, Template\n"


@pytest.fixture(scope="module")
def proxied() -> Iterator[Emulator]:
    """An emulator that plays one more domain."""
    with Emulator("--proxy", "--domain", "e2b.example.org") as emulator:
        yield emulator


def _run(emulator: Emulator, code: str, cwd: str = "/", **variables: str) -> object:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("E2B_")}
    env = {**clean, **emulator.proxy_env, **variables}
    done = subprocess.run(
        [sys.executable, "-c", _HEAD + code],
        env=env,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_proxy_variables_are_the_key_and_nothing_else_of_e2b(proxied: Emulator) -> None:
    """The day the SDK drops its URL variables, nothing here notices."""
    names = {name for name in proxied.proxy_env if name.startswith("E2B_")}
    assert names == {"E2B_API_KEY"}


def test_sync_client_meets_the_emulator_under_the_public_names(proxied: Emulator) -> None:
    """Create, commands, files, links, a served port and connect, all at https and e2b.app."""
    found = _run(proxied, _SYNC)
    assert found == ["said\n", "written", "written", "written", "written", "e2b.app/a.txt"]


def test_async_client_meets_the_emulator_under_the_public_names(proxied: Emulator) -> None:
    """The same for the async half of the SDK."""
    assert _run(proxied, _ASYNC) == ["said\n", "written", True]


def test_template_files_are_uploaded_through_the_proxy(
    proxied: Emulator, tmp_path: os.PathLike[str]
) -> None:
    """The upload link leads where the client already is."""
    assert _run(proxied, _BUILD, cwd=os.fspath(tmp_path)) == "x"


def test_another_domain_is_played_where_asked_for(proxied: Emulator) -> None:
    """A private cluster's domain works as e2b.app does."""
    code = (
        "with Sandbox.create(timeout=60) as s: print(json.dumps([s.get_host(1), s.is_running()]))"
    )
    found = _run(proxied, code, E2B_DOMAIN="e2b.example.org")
    assert isinstance(found, list)
    assert found[0].endswith(".e2b.example.org")
    assert found[1] is True


def test_other_hosts_are_refused_by_name_and_noted(proxied: Emulator) -> None:
    """Nothing leaves this machine by the proxy, and the ledger says what wanted to."""
    proxy = proxied.proxy_env["HTTPS_PROXY"]
    with (
        httpx.Client(proxy=proxy, trust_env=False) as client,
        pytest.raises(httpx.ProxyError, match="403"),
    ):
        client.get("https://pypi.example/simple")
    refused = [entry for entry in proxied.ledger() if entry["method"] == "CONNECT"]
    assert [entry["path"] for entry in refused] == ["pypi.example:443"]


def test_client_that_does_not_trust_the_certificate_is_refused(proxied: Emulator) -> None:
    """Without the certificate there is no way in: a control that TLS is really checked."""
    proxy = proxied.proxy_env["HTTPS_PROXY"]
    with (
        httpx.Client(proxy=proxy, trust_env=False) as client,
        pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        client.get("https://api.e2b.app/health")
