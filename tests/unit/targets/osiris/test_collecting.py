"""What a run left behind is found on this machine and in the sandbox, and told apart."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from harness.model.run import ExecutionContext, PipelineCase
from harness.model.side import Endpoint
from harness.targets.osiris.collecting import collect_left_behind
from harness.targets.osiris.project import Project

CASE = PipelineCase(name="case", purpose="p", oml="steps: []")
IN_THE_SANDBOX = {"stayed.csv": b"1", "both.csv": b"there", "same.csv": b"same"}
TOKEN = "t"
HERE = {"both.csv": b"here", "same.csv": b"same", "only-here.csv": b"2"}


def image() -> bytes:
    """A home folder as the emulator hands it out."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in IN_THE_SANDBOX.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


class Admin(BaseHTTPRequestHandler):
    """The two routes of the admin interface that are asked for."""

    def do_GET(self) -> None:
        answer = image() if "after-images" in self.path else b""
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base's
        """Says nothing."""


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Admin) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        yield Endpoint(name="emulator", env={}, admin_url=url, admin_token=TOKEN)
        server.shutdown()
        thread.join()


@dataclass(frozen=True, slots=True)
class Ran:
    """A project in which a run has written."""

    project: Project
    context: ExecutionContext


@pytest.fixture
def ran(context: ExecutionContext) -> Ran:
    project = Project.create(CASE, context)
    for name, data in HERE.items():
        (project.folder / name).write_bytes(data)
    return Ran(project, context)


def test_collect_outputs_of_both_places_are_told_apart(ran: Ran, endpoint: Endpoint) -> None:
    """What lies in both places with other bytes is kept twice; equal bytes are one file."""
    left = collect_left_behind(
        ran.project, CASE, ran.context, variables=(), endpoint=endpoint, sandbox_ids=["s"]
    )
    assert left.broken is None
    found = {
        path.relative_to(left.outputs).as_posix(): path.read_bytes()
        for path in left.outputs.rglob("*")
        if path.is_file()
    }
    assert found == {
        **HERE,
        "stayed.csv": b"1",
        "in-the-sandbox/both.csv": b"there",
    }
    assert left.undelivered == {"stayed.csv", "in-the-sandbox/both.csv"}


@pytest.mark.parametrize(("refused", "broken"), [(True, False), (False, True)])
def test_collect_without_a_sandbox_is_broken_unless_it_was_refused(
    ran: Ran, endpoint: Endpoint, *, refused: bool, broken: bool
) -> None:
    """A run that never began has no sandbox by right; any other has lost its own."""
    left = collect_left_behind(
        ran.project, CASE, ran.context, variables=(), endpoint=endpoint, refused=refused
    )
    assert (left.broken is not None) is broken
    assert (left.outputs / "only-here.csv").is_file()


def test_collect_on_this_machine_tells_what_was_given(ran: Ran) -> None:
    """Names of variables, never their values."""
    left = collect_left_behind(ran.project, CASE, ran.context, variables=["GREETING"])
    assert left.wire == {"environment": {"GREETING": "set"}, "files": {}}
    assert left.undelivered == frozenset()
