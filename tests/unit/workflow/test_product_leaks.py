"""Canaries stand where a user puts secrets, and every request is recorded."""

import http.client
import http.server
import threading

from harness.model.run import PipelineCase
from harness.model.side import Endpoint
from harness.redaction.accepted_leaks import load_accepted
from harness.settings import Settings
from harness.targets.osiris import OsirisTarget
from harness.workflow.product_leaks import with_canaries
from harness.workflow.request_recorder import RequestRecorder


def test_with_canaries_fills_every_place_with_one_value() -> None:
    """Pipeline, environment and files hold the value of their variable, new for each run."""
    case = PipelineCase(
        name="x",
        purpose="x",
        oml="query: <canary:A_KEY>",
        env={"A_KEY": "<canary:A_KEY>", "B": "x<canary:B_TOKEN>"},
        files={"f": b"<canary:B_TOKEN>"},
    )
    planted, secrets = with_canaries(case, "run-1")
    values = {secret.name: secret.reveal() for secret in secrets}
    assert set(values) == {"A_KEY", "B_TOKEN"}
    assert planted.oml == f"query: {values['A_KEY']}"
    assert planted.env == {"A_KEY": values["A_KEY"], "B": f"x{values['B_TOKEN']}"}
    assert planted.files == {"f": values["B_TOKEN"].encode()}
    again, _ = with_canaries(case, "run-2")
    assert again.oml != planted.oml


def test_leak_cases_and_allowances_name_each_other() -> None:
    """Each accepted leak is about a case that is run, with a reason."""
    target = OsirisTarget(settings=Settings.load())
    names = {case.name for case in target.leak_cases()}
    accepted = load_accepted(target.leak_allowances_file())
    assert len(names) == 5
    assert {entry.case for entry in accepted} <= {*names, "*"}
    assert all(len(entry.reason.split()) > 3 for entry in accepted)


class _Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        return


def test_recorder_keeps_each_request_and_changes_none() -> None:
    """Two requests of one connection are two records, bodies included; the client gets answers."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    endpoint = Endpoint(name="emulator", env={"E2B_API_URL": url, "E2B_SANDBOX_URL": url})
    try:
        with RequestRecorder(endpoint) as recorder:
            host = recorder.endpoint.env["E2B_API_URL"].removeprefix("http://")
            connection = http.client.HTTPConnection(host)
            for number in (1, 2):
                connection.request("POST", f"/files?n={number}", b"body %d" % number)
                assert connection.getresponse().read() == b"ok"
            connection.close()
            found = recorder.requests()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert [(r.method, r.target, r.body) for r in found] == [
        ("POST", b"/files?n=1", b"body 1"),
        ("POST", b"/files?n=2", b"body 2"),
    ]
