"""The stand-in that E2B's suite asks, and the neighbour that tells it its headers."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from harness.emulator.internet import Internet
from harness.emulator.internet_document import parse_internet
from harness.workflow.conformance_httpbin import SERVER
from harness.workflow.conformance_internet import stand_in

STATUSES = {"1.1.1.1": 301, "8.8.8.8": 302, "connectivitycheck.gstatic.com": 204}


def test_stand_in_answers_each_host_over_tls_with_its_status(tmp_path: Path) -> None:
    """The file is one that the emulator takes, and the authority in it vouches for all."""
    found = {}
    with stand_in(tmp_path) as file:
        internet = parse_internet(json.loads(file.read_text()))
        for host in internet.hosts:
            name = host.names[0] if host.names else host.address
            found[name] = _status(internet, name, host.ports[443])
            place = host.ports[443]
    assert found == STATUSES
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(place)


def test_client_that_hangs_up_keeps_nobody_waiting(tmp_path: Path) -> None:
    """Half a handshake holds up neither others nor the end."""
    with stand_in(tmp_path) as file:
        internet = parse_internet(json.loads(file.read_text()))
        place = internet.hosts[0].ports[443]
        with socket.create_connection(place):
            assert _status(internet, "1.1.1.1", place) == STATUSES["1.1.1.1"]


def test_neighbour_tells_headers_in_lists_under_canonical_names(tmp_path: Path) -> None:
    """As go-httpbin does; any other path is not there."""
    program = tmp_path / "echo.py"
    # The system chooses the port, and the program tells it before it serves.
    serve = 'server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)\n'
    serve += "print(server.server_port, flush=True)\nserver.serve_forever()\n"
    program.write_text(
        SERVER.replace('ThreadingHTTPServer(("", 8080), Echo).serve_forever()', serve)
    )
    with subprocess.Popen(
        [sys.executable, str(program)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            told = client.get("/headers", headers=[("x-told", "a"), ("X-TOLD", "b")])
            other = client.get("/anything")
        server.terminate()
    assert told.json()["headers"]["X-Told"] == ["a", "b"]
    assert other.status_code == 404


def _status(internet: Internet, name: str, place: tuple[str, int]) -> int:
    context = ssl.create_default_context(cadata=internet.authority)
    with httpx.Client(verify=context, timeout=60) as client:
        url = f"https://{place[0]}:{place[1]}/"
        return client.head(url, extensions={"sni_hostname": name}).status_code
