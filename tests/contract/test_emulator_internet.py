"""What a sandbox reaches outside: a stand-in internet, and the rules on it, by the real SDK."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme
from e2b import InvalidArgumentException, Sandbox, SandboxException, Secret

from harness.emulator.attach import AdminClient, Emulator, admin

MakeSandbox = Callable[..., Sandbox]
ALL = "0.0.0.0/0"
ONE, TWO = "1.1.1.1", "8.8.8.8"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    name = ""


class _Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        body = f"{self.server.name}{self.path}".encode()
        if self.path == "/headers":
            body = str(self.headers).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        seen = 0
        while seen < length:
            seen += len(self.rfile.read(min(1 << 16, length - seen)))
        body = str(seen).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stays silent."""


@contextmanager
def _responder(name: str, authority: trustme.CA | None = None) -> Iterator[str]:
    """A server on loopback that answers with its name; its place."""
    server = _Server(("127.0.0.1", 0), _Hello)
    server.name = name
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def internet(emulator: AdminClient) -> Iterator[AdminClient]:
    """A stand-in with two addresses and a name, each with HTTP and HTTPS."""
    authority = trustme.CA()
    with ExitStack() as stack:
        hosts = []
        for name, address in ((ONE, ONE), (TWO, TWO), ("api.example.com", None)):
            ports = {
                "80": stack.enter_context(_responder(name)),
                "443": stack.enter_context(_responder(name, authority)),
            }
            hosts.append({"names": [] if address else [name], "ports": ports})
            if address:
                hosts[-1]["address"] = address
        emulator.set_internet(hosts, authority=authority.cert_pem.bytes().decode())
        yield emulator


def _reaches(sandbox: Sandbox, where: str) -> bool:
    """Whether curl gets the answer of the host, over verified TLS."""
    told = sandbox.commands.run(
        f'curl -s --max-time 60 https://{where}/x; echo " $?"'
    ).stdout.split()
    assert told[-1] == "0" or len(told) == 1, told
    return told == [f"{where}/x", "0"]


def test_stand_in_answers_by_name_and_address_over_tls(
    internet: AdminClient, make_sandbox: MakeSandbox
) -> None:
    """Names resolve, certificates verify, bytes go both ways; nothing else is there."""
    del internet
    sandbox = make_sandbox()
    assert _reaches(sandbox, "api.example.com")
    assert _reaches(sandbox, ONE)
    assert not _reaches(sandbox, "other.example.com")
    assert not _reaches(sandbox, "9.9.9.9")
    sandbox.commands.run("head -c 3000000 /dev/zero > big")
    sent = sandbox.commands.run("curl -s --data-binary @big http://api.example.com/")
    assert sent.stdout == "3000000"


def test_sandbox_without_stand_in_reaches_nothing(
    emulator: AdminClient, make_sandbox: MakeSandbox
) -> None:
    """The control: the same commands fail where no test supplies an internet."""
    del emulator
    sandbox = make_sandbox()
    assert not _reaches(sandbox, "api.example.com")
    assert not _reaches(sandbox, ONE)


@pytest.mark.parametrize(
    ("options", "reached"),
    [
        ({"allow_internet_access": False}, set()),
        ({"network": {"deny_out": [ALL]}}, set()),
        ({"network": {"deny_out": [TWO]}}, {ONE, "api.example.com"}),
        ({"network": {"deny_out": ["8.8.0.0/16"]}}, {ONE, "api.example.com"}),
        ({"network": {"deny_out": [ALL], "allow_out": [ONE]}}, {ONE}),
        ({"network": {"deny_out": [ONE, TWO], "allow_out": [ONE]}}, {ONE, "api.example.com"}),
        ({"network": {"deny_out": [ALL], "allow_out": ["*.example.com"]}}, {"api.example.com"}),
        ({"network": {"deny_out": [ALL], "allow_out": ["api.example.com"]}}, {"api.example.com"}),
    ],
    ids=["off", "all", "address", "network", "list", "allow-wins", "wildcard", "name"],
)
def test_rules_at_create_hold(
    internet: AdminClient,
    make_sandbox: MakeSandbox,
    options: dict[str, object],
    reached: set[str],
) -> None:
    """What is allowed is reached, what is denied is not, and allow beats deny."""
    del internet
    sandbox = make_sandbox(**options)
    assert {where for where in (ONE, TWO, "api.example.com") if _reaches(sandbox, where)} == reached


def test_update_replaces_the_rules_whole(internet: AdminClient, make_sandbox: MakeSandbox) -> None:
    """What an update leaves out is cleared; it holds for the next connection."""
    del internet
    sandbox = make_sandbox(network={"deny_out": [ALL], "allow_out": [ONE]})
    assert (_reaches(sandbox, ONE), _reaches(sandbox, TWO)) == (True, False)
    sandbox.update_network({"deny_out": [ONE]})
    assert (_reaches(sandbox, ONE), _reaches(sandbox, TWO)) == (False, True)
    sandbox.update_network({})
    assert (_reaches(sandbox, ONE), _reaches(sandbox, TWO)) == (True, True)


def test_rules_outlive_pause_snapshot_and_fork(
    internet: AdminClient, make_sandbox: MakeSandbox
) -> None:
    """A cold boot has the same internet and rules; a fork has its origin's."""
    del internet
    sandbox = make_sandbox(network={"deny_out": [TWO]})
    sandbox.pause(keep_memory=False)
    sandbox.connect()
    assert (_reaches(sandbox, ONE), _reaches(sandbox, TWO)) == (True, False)
    fork = sandbox.fork(timeout=60)[0]
    assert isinstance(fork, Sandbox)
    try:
        assert (_reaches(fork, ONE), _reaches(fork, TWO)) == (True, False)
    finally:
        fork.kill()
    twin = make_sandbox(sandbox.create_snapshot().snapshot_id)
    assert (_reaches(twin, ONE), _reaches(twin, TWO)) == (True, True)


@pytest.mark.parametrize(
    "network",
    [{"allow_out": ["api.example.com"]}, {"deny_out": ["api.example.com"]}, {"deny_out": ["1.1"]}],
    ids=["name-without-block", "denied-name", "no-cidr"],
)
def test_rules_that_cannot_hold_are_refused(
    make_sandbox: MakeSandbox, network: dict[str, object]
) -> None:
    """A name needs all else denied, and only addresses are denied."""
    with pytest.raises((InvalidArgumentException, SandboxException), match=r"CIDR|deny out"):
        make_sandbox(network=network)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_transform_sets_headers_on_the_way_out(
    internet: AdminClient, make_sandbox: MakeSandbox, scheme: str
) -> None:
    """The responder sees the header, over the sandbox's own; other hosts do not."""
    del internet
    rule = {"transform": {"headers": {"X-Told": "by-the-rule"}}}
    sandbox = make_sandbox(network={"rules": {"api.example.com": [rule]}})

    def told(host: str) -> list[str]:
        curl = f"curl -sS --max-time 60 -H 'x-told: by-the-client' {scheme}://{host}/headers"
        lines = sandbox.commands.run(curl).stdout.splitlines()
        return [line for line in lines if line.lower().startswith("x-told")]

    assert told("api.example.com") == ["X-Told: by-the-rule"]
    assert told(ONE) == ["x-told: by-the-client"]
    sandbox.update_network({})
    assert told("api.example.com") == ["x-told: by-the-client"]


def test_secret_is_filled_in_where_a_request_leaves(
    internet: AdminClient, make_sandbox: MakeSandbox
) -> None:
    """The responder gets the value of now, the sandbox never; without the secret nothing goes."""
    del internet
    first, second = "value-" + "one", "value-" + "two"
    Secret.create("api-key", first)
    rule = {"transform": {"headers": {"X-Key": f"Bearer {Secret.fill('API-Key')}"}}}
    sandbox = make_sandbox(network={"rules": {"api.example.com": [rule]}})

    def told() -> str:
        curl = "curl -sS --max-time 60 https://api.example.com/headers || echo failed"
        return sandbox.commands.run(curl).stdout

    assert f"X-Key: Bearer {first}" in told()
    Secret.update("api-key", second)
    assert f"X-Key: Bearer {second}" in told()
    Secret.destroy("api-key")
    assert told().strip() == "failed"
    inside = sandbox.commands.run("env; cat /proc/*/cmdline | tr '\\0' ' '").stdout
    assert first not in inside
    bad = {"transform": {"headers": {"X-Key": "${e2b.secrets.api-key"}}}
    with pytest.raises(SandboxException, match="malformed E2B placeholder"):
        make_sandbox(network={"rules": {"api.example.com": [bad]}})


def test_stand_in_without_namespaces_is_refused_and_touches_nothing() -> None:
    """Where a sandbox has this machine's network, no address and no file of it changes."""
    resolver = Path("/etc/resolv.conf")
    before = resolver.read_bytes() if resolver.is_file() else None
    with Emulator("--isolation", "process", "--bare") as emulator:
        admin(emulator.endpoint).set_internet([{"ports": {"80": "127.0.0.1:9"}}])
        env = emulator.endpoint.env
        with pytest.raises(SandboxException, match="needs namespaces"):
            Sandbox.create(api_key=env["E2B_API_KEY"], api_url=env["E2B_API_URL"])
    assert (resolver.read_bytes() if resolver.is_file() else None) == before
