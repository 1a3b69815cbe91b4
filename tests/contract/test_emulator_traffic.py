"""Traffic to a sandbox's ports, and the proxy's words where nobody is there."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Callable

import httpx
import pytest
from e2b import Sandbox
from guest_lab import DEADLINE_S, eventually

from harness.emulator.attach import AdminClient
from harness.pytest_plugin.fixtures import E2BEnvironment

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = f"{self.path} {self.headers['Host']}".encode()
        self.send_response(200)
        self.send_header("X-From", "inside")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while (size := int(self.rfile.readline(), 16)):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in (body[:3], body[3:]):
            if piece:
                self.wfile.write(b"%x\\r\\n%s\\r\\n" % (len(piece), piece))
        self.wfile.write(b"0\\r\\n\\r\\n")
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


def start_server(sandbox: Sandbox, script: str = SERVER) -> int:
    sandbox.files.write("server.py", script)
    handle = sandbox.commands.run("python3 server.py", background=True, timeout=0)
    for stdout, _, _ in handle:
        if stdout:
            return int(stdout)
    raise AssertionError("the server did not start")


def ask(e2b_env: E2BEnvironment, sandbox: Sandbox, port: int, path: str = "/") -> httpx.Response:
    """A request by host name, to wherever the endpoint takes sandbox traffic."""
    base = e2b_env.endpoint.env.get("E2B_SANDBOX_URL")
    host = sandbox.get_host(port)
    url = f"{base or 'https://' + host}{path}"
    return httpx.get(url, headers={"Host": host}, timeout=DEADLINE_S)


def test_host_of_a_port_is_found_by_the_test_process(
    sandbox: Sandbox, emulator: AdminClient
) -> None:
    """The name that `get_host()` answers can be asked as it is, by any Python client."""
    url = f"http://{sandbox.get_host(start_server(sandbox))}/as-it-is"
    assert httpx.get(url, timeout=DEADLINE_S, trust_env=False).text.startswith("/as-it-is ")
    with urllib.request.urlopen(url, timeout=DEADLINE_S) as answer:
        assert answer.headers["x-from"] == "inside"
    assert {entry["area"] for entry in emulator.asked("GET /as-it-is")} == {"port"}


def test_port_is_reached_by_host_name_and_by_header(
    e2b_env: E2BEnvironment, sandbox: Sandbox
) -> None:
    """Path, query, status, headers and the client's Host arrive on both ways."""
    port = start_server(sandbox)
    answer = ask(e2b_env, sandbox, port, "/a%20b?q=1")
    assert answer.status_code == 200
    assert answer.headers["x-from"] == "inside"
    assert answer.text == f"/a%20b?q=1 {sandbox.get_host(port)}"
    if base := e2b_env.endpoint.env.get("E2B_SANDBOX_URL"):
        headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "E2b-Sandbox-Port": str(port)}
        assert httpx.get(f"{base}/x", headers=headers).text.startswith("/x ")


def test_port_takes_and_gives_bodies_of_unknown_length(
    e2b_env: E2BEnvironment, sandbox: Sandbox
) -> None:
    """A chunked request and a chunked answer pass, with and without a length."""
    port = start_server(sandbox)
    base = e2b_env.endpoint.env["E2B_SANDBOX_URL"]
    headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "E2b-Sandbox-Port": str(port)}
    pieces = iter([b"one", b"two" * 50_000])
    answer = httpx.post(base, content=pieces, headers=headers)
    assert (answer.status_code, len(answer.content)) == (201, 150_003)
    assert httpx.post(base, content=b"plain", headers=headers).content == b"plain"


def test_closed_port_is_told_with_its_number(e2b_env: E2BEnvironment, sandbox: Sandbox) -> None:
    """The body is the one that clients look into."""
    answer = ask(e2b_env, sandbox, 9)
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.json() == {
        "sandboxId": sandbox.sandbox_id,
        "message": "The sandbox is running but port is not open",
        "port": 9,
        "code": 502,
    }


def test_closed_port_is_a_page_for_a_browser(e2b_env: E2BEnvironment, sandbox: Sandbox) -> None:
    """A person who opens the URL reads a sentence."""
    base = e2b_env.endpoint.env.get("E2B_SANDBOX_URL", "")
    headers = {"Host": sandbox.get_host(9), "User-Agent": "Mozilla/5.0", "Accept": "text/html"}
    answer = httpx.get(base, headers=headers)
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("port", [80, 49983])
def test_gone_sandbox_is_told_on_every_port(
    e2b_env: E2BEnvironment, sandbox: Sandbox, port: int
) -> None:
    """A killed sandbox is not found by the proxy, never a 404."""
    sandbox.kill()
    answer = ask(e2b_env, sandbox, port, "/health")
    assert answer.status_code == 502
    assert answer.json() == {
        "sandboxId": sandbox.sandbox_id,
        "message": "The sandbox was not found",
        "code": 502,
    }


def test_envd_asks_for_its_token(e2b_env: E2BEnvironment, sandbox: Sandbox) -> None:
    """Health is open, everything else is not."""
    base = e2b_env.endpoint.env["E2B_SANDBOX_URL"]
    headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "E2b-Sandbox-Port": "49983"}
    assert httpx.get(f"{base}/health", headers=headers).status_code == 204
    assert httpx.get(f"{base}/envs", headers=headers).status_code == 401
    assert httpx.get(f"{base}/files", headers=headers, params={"path": "x"}).status_code == 401
    stat = httpx.post(
        f"{base}/filesystem.Filesystem/Stat", headers=headers, json={"path": "/home/user"}
    )
    assert stat.status_code == 401
    assert httpx.post(f"{base}/init", headers=headers, json={}).status_code == 404


def test_private_ports_ask_for_the_traffic_token(
    e2b_env: E2BEnvironment, make_sandbox: Callable[..., Sandbox]
) -> None:
    """Without public traffic a port answers to the token alone."""
    sandbox = make_sandbox(network={"allow_public_traffic": False})
    port = start_server(sandbox)
    base = e2b_env.endpoint.env["E2B_SANDBOX_URL"]
    headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "E2b-Sandbox-Port": str(port)}
    refused = httpx.get(base, headers=headers)
    assert refused.status_code == 403
    assert "e2b-traffic-access-token" in refused.json()["message"]
    token = sandbox.traffic_access_token
    headers["e2b-traffic-access-token"] = token or ""
    assert httpx.get(base, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"E2b-Sandbox-Id": "i0", "E2b-Sandbox-Port": "http"}, "Invalid sandbox port"),
        ({"E2b-Sandbox-Id": "../x", "E2b-Sandbox-Port": "80"}, "Invalid sandbox ID"),
        ({"E2b-Sandbox-Id": "i0"}, "missing header"),
    ],
)
def test_malformed_target_is_a_bad_request(
    e2b_env: E2BEnvironment, headers: dict[str, str], words: str
) -> None:
    """What cannot be a sandbox is refused before anyone looks for it."""
    answer = httpx.get(e2b_env.endpoint.env["E2B_SANDBOX_URL"], headers=headers)
    assert (answer.status_code, answer.text.strip()) == (400, words)


UPGRADE_SERVER = """
import socket
import urllib.request
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    head = b""
    while b"\\r\\n\\r\\n" not in head:
        head += connection.recv(4096)
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: echo\\r\\nConnection: Upgrade\\r\\n\\r\\n"
    )
    while data := connection.recv(65536):
        connection.sendall(data.upper())
    connection.close()
"""


def test_connection_that_changes_its_protocol_is_passed_through(
    e2b_env: E2BEnvironment, sandbox: Sandbox
) -> None:
    """WebSockets and the like: after the upgrade bytes go both ways as they are."""
    port = start_server(sandbox, UPGRADE_SERVER)
    url = httpx.URL(e2b_env.endpoint.env["E2B_SANDBOX_URL"])
    with socket.create_connection((url.host, url.port), timeout=DEADLINE_S) as connection:
        connection.sendall(
            (
                f"GET /chat HTTP/1.1\r\nHost: {sandbox.get_host(port)}\r\n"
                "Connection: Upgrade\r\nUpgrade: echo\r\n\r\n"
            ).encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        assert head.startswith(b"HTTP/1.1 101 ")
        sent = b"any bytes \x00\xff" * 20_000
        connection.sendall(sent)
        received = b""
        while len(received) < len(sent):
            received += connection.recv(65536)
        assert received == sent.upper()


HALF_SERVER = """
import socket
import urllib.request
s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1], flush=True)
while True:
    connection, _ = s.accept()
    head = b""
    while not head.endswith(b"\\r\\n\\r\\n"):
        head += connection.recv(1)
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: sum\\r\\nConnection: Upgrade\\r\\n\\r\\n"
    )
    first = b"/first" in head
    if first:
        connection.sendall(b"all said")
        connection.shutdown(socket.SHUT_WR)
    got = b""
    while data := connection.recv(65536):
        got += data
    if not first:
        connection.sendall(b"%d bytes" % len(got))
    else:
        open("/tmp/heard", "wb").write(got)
    connection.close()
"""


@pytest.mark.parametrize("first", ["client", "sandbox"])
def test_side_that_says_no_more_still_hears_the_other(
    e2b_env: E2BEnvironment, sandbox: Sandbox, first: str
) -> None:
    """An upgraded connection may be closed one way, by either side, and used the other way."""
    port = start_server(sandbox, HALF_SERVER)
    url = httpx.URL(e2b_env.endpoint.env["E2B_SANDBOX_URL"])
    path = "/first" if first == "sandbox" else "/sum"
    with socket.create_connection((url.host, url.port), timeout=DEADLINE_S) as connection:
        connection.sendall(
            (
                f"GET {path} HTTP/1.1\r\nHost: {sandbox.get_host(port)}\r\n"
                "Connection: Upgrade\r\nUpgrade: sum\r\n\r\n"
            ).encode()
        )
        while connection.recv(1) != b"\n" or connection.recv(2) != b"\r\n":
            pass
        if first == "client":
            connection.sendall(b"x" * 100_000)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(100, socket.MSG_WAITALL) == b"100000 bytes"
        else:
            assert connection.recv(100, socket.MSG_WAITALL) == b"all said"
            connection.sendall(b"still here")
            connection.shutdown(socket.SHUT_WR)
            heard = "/tmp/heard"  # noqa: S108 - a path in the sandbox
            eventually(lambda: sandbox.files.exists(heard))
            # It is there before it is written.
            eventually(lambda: sandbox.files.read(heard) == "still here")


def test_browser_of_another_origin_may_ask_and_read(
    e2b_env: E2BEnvironment, sandbox: Sandbox
) -> None:
    """The API and envd answer a preflight without a key, and let a page read the answer."""
    origin = {"Origin": "https://app.example"}
    asking = {**origin, "Access-Control-Request-Method": "POST"}
    api = e2b_env.endpoint.env["E2B_API_URL"] + "/v2/sandboxes"
    answer = httpx.options(api, headers={**asking, "Access-Control-Request-Headers": "x-api-key"})
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "X-Api-Key" in answer.headers["access-control-allow-headers"].split(",")
    key = {"X-API-Key": e2b_env.endpoint.env["E2B_API_KEY"]}
    listed = httpx.get(api, headers={**origin, **key})
    assert listed.headers["access-control-allow-origin"] == "*"
    assert "X-Next-Token" in listed.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in httpx.get(api, headers=key).headers
    refused = httpx.get(api, headers=origin)
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "*")
    to_envd = {"E2b-Sandbox-Id": sandbox.sandbox_id, "E2b-Sandbox-Port": "49983"}
    wanted = {"Access-Control-Request-Headers": "x-access-token"}
    envd = e2b_env.endpoint.env["E2B_SANDBOX_URL"] + "/process.Process/List"
    answer = httpx.options(envd, headers={**asking, **to_envd, **wanted})
    assert answer.headers["access-control-allow-headers"] == "x-access-token"
    assert answer.headers["access-control-allow-methods"] == "POST"
    token = {"X-Access-Token": str(sandbox.connection_config.sandbox_headers["X-Access-Token"])}
    for kind, method in (("json", "List"), ("connect+json", "Start")):
        body = b"{}" if kind == "json" else b"\0\0\0\0\2{}"
        typed = {**origin, **to_envd, **token, "Content-Type": f"application/{kind}"}
        url = envd.replace("List", method)
        with httpx.stream("POST", url, headers=typed, content=body) as stream:
            assert stream.status_code == 200
            assert stream.headers["access-control-allow-origin"] == "*"


def test_request_to_the_api_may_name_a_sandbox_in_its_headers(
    make_sandbox: Callable[..., Sandbox], e2b_env: E2BEnvironment
) -> None:
    """A connected client of 2.20 asks the API with the headers that route to the sandbox."""
    sandbox = make_sandbox()
    api_url = e2b_env.env["E2B_API_URL"]
    headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "E2b-Sandbox-Port": "49983"}
    answer = httpx.get(
        f"{api_url}/sandboxes/{sandbox.sandbox_id}",
        headers={**headers, "X-API-Key": e2b_env.env["E2B_API_KEY"]},
    )
    assert answer.json()["sandboxID"] == sandbox.sandbox_id
    assert httpx.get(f"{api_url}/health", headers=headers).status_code == 204


SILENT = """
import socket
import urllib.request
s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1], flush=True)
while True:
    c, _ = s.accept()
    head = c.recv(65536)
    if b"/old" in head:
        c.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nwhole")
    c.close()
"""


def test_answer_that_ends_with_its_connection_ends(
    sandbox: Sandbox, e2b_env: E2BEnvironment
) -> None:
    """A server that closes has said all: an old one's body is whole, a silent one's is a 502."""
    port = start_server(sandbox, SILENT)
    assert ask(e2b_env, sandbox, port, "/old").text == "whole"
    silent = ask(e2b_env, sandbox, port, "/silent")
    assert silent.status_code == 502
    assert "the server in the sandbox failed" in silent.text
