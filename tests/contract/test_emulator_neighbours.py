"""Sandboxes reach each other by their public names, as hosts of a stand-in internet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from e2b import Sandbox

from harness.emulator.attach import Emulator

PORT = 8080
ALL = "0.0.0.0/0"
_ECHO = """
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
class Echo(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"path": self.path, **dict(self.headers)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
HTTPServer(("", 8080), Echo).serve_forever()
"""
MakeSandbox = Callable[..., Sandbox]


@pytest.fixture(scope="module")
def proxied() -> Iterator[Emulator]:
    """An emulator with public names, and an internet of one host that nobody answers for."""
    with Emulator("--proxy", "--domain", "e2b.example.org") as emulator:
        emulator.admin.set_internet([{"names": ["api.example.com"], "ports": {"443": "[::1]:9"}}])
        yield emulator


@pytest.fixture
def make(proxied: Emulator) -> Iterator[MakeSandbox]:
    """Creates sandboxes that are gone after the test."""
    made: list[Sandbox] = []
    env = proxied.env
    options: dict[str, Any] = {
        "api_key": env["E2B_API_KEY"],
        "api_url": env["E2B_API_URL"],
        "sandbox_url": env["E2B_SANDBOX_URL"],
    }

    def create(**asked: Any) -> Sandbox:
        made.append(Sandbox.create(timeout=120, **options, **asked))
        return made[-1]

    yield create
    for sandbox in made:
        sandbox.kill()


@pytest.fixture
def server(make: MakeSandbox) -> Sandbox:
    """A sandbox that tells each request's path and headers on port 8080."""
    sandbox = make()
    sandbox.files.write("echo.py", _ECHO)
    sandbox.commands.run("python3 echo.py", background=True)
    sandbox.commands.run(f"until curl -sf http://127.0.0.1:{PORT}/; do sleep 0.05; done")
    return sandbox


def _host(sandbox: Sandbox, domain: str = "e2b.app") -> str:
    return f"{PORT}-{sandbox.sandbox_id}.{domain}"


def _ask(sandbox: Sandbox, url: str, *words: str) -> tuple[int, str]:
    """curl's exit code and what it was told; TLS is verified."""
    curl = " ".join(("curl -sS --max-time 60", *words, url))
    told = sandbox.commands.run(f'{curl} 2>&1; echo " $?"').stdout
    body, _, code = told.rstrip().rpartition(" ")
    return int(code), body


def test_neighbour_answers_by_its_public_name(make: MakeSandbox, server: Sandbox) -> None:
    """Over verified TLS, below each domain that the emulator plays."""
    asking = make()
    for domain in ("e2b.app", "e2b.example.org"):
        code, body = _ask(asking, f"https://{_host(server, domain)}/where")
        assert code == 0, body
        answer = json.loads(body)
        assert (answer["path"], answer["Host"]) == ("/where", _host(server, domain))


def test_transform_holds_for_the_neighbour_it_names_alone(
    make: MakeSandbox, server: Sandbox
) -> None:
    """The rule of one public name says nothing of another."""
    rule = {"transform": {"headers": {"X-Told": "by-the-rule"}}}
    asking = make(network={"rules": {_host(server): [rule]}})
    answer = json.loads(_ask(asking, f"https://{_host(server)}/")[1])
    assert answer["X-Told"] == "by-the-rule"
    other = json.loads(_ask(asking, f"https://{_host(server, 'e2b.example.org')}/")[1])
    assert "X-Told" not in other


@pytest.mark.parametrize(
    ("allowed", "reached"),
    [([], False), (["*.e2b.app"], True), (["{host}"], True), (["1-x.e2b.app"], False)],
    ids=["none", "wildcard", "name", "another"],
)
def test_rules_of_the_network_hold_by_the_name_that_was_asked(
    make: MakeSandbox,
    server: Sandbox,
    allowed: list[str],
    reached: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """All sandboxes share an address; the name tells them apart."""
    names = [name.format(host=_host(server)) for name in allowed]
    asking = make(network={"deny_out": [ALL], "allow_out": names})
    assert (_ask(asking, f"https://{_host(server)}/")[0] == 0) is reached


def test_closed_neighbour_asks_for_its_token(make: MakeSandbox) -> None:
    """What holds for the world holds for other sandboxes, too."""
    closed = make(network={"allow_public_traffic": False})
    code, body = _ask(make(), f"https://{_host(closed)}/")
    assert (code, "traffic access token" in body) == (0, True)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("api.e2b.app/v2/sandboxes", ()),
        ("8080-x.e2b.app/v2/sandboxes", ("-H 'Host: api.e2b.app'",)),
        ("8080-x.e2b.app/_harness/ledger", ("-H 'Host: localhost'",)),
        ("{host}/_harness/ledger", ()),
    ],
    ids=["api", "api-by-header", "admin-by-header", "admin-by-name"],
)
def test_door_of_sandboxes_leads_neither_to_the_api_nor_to_the_admin(
    make: MakeSandbox, proxied: Emulator, server: Sandbox, name: str, words: tuple[str, ...]
) -> None:
    """Not even with the keys."""
    keys = (
        f"-H 'X-API-Key: {proxied.env['E2B_API_KEY']}'",
        f"-H 'X-Harness-Token: {proxied.endpoint.admin_token}'",
    )
    url = f"https://{name.format(host=_host(server))}"
    code, body = _ask(make(), url, *words, *keys)
    assert (code, body.strip()) == (0, "the emulator leads sandboxes to sandboxes only")


def test_without_an_internet_there_are_no_neighbours(make: MakeSandbox, proxied: Emulator) -> None:
    """The control: the name is not even known."""
    proxied.reset()
    code, _ = _ask(make(), "https://8080-x.e2b.app/")
    could_not_resolve = 6
    assert code == could_not_resolve
    proxied.admin.set_internet([{"names": ["api.example.com"], "ports": {"443": "[::1]:9"}}])
