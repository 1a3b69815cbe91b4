"""Builds the template `httpbin` that E2B's public suite starts as a neighbour.

It is copied beside that suite and runs as a program in the suite's environment, with
whatever SDK is there; what it builds answers as go-httpbin does to what that suite asks.
"""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path

__all__ = ["SERVER", "main"]

NAME = "httpbin"
SERVER = '''"""GET /headers tells the headers of the request, as go-httpbin does."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        names = {"-".join(map(str.capitalize, name.split("-"))) for name in self.headers}
        told = {name: self.headers.get_all(name) for name in sorted(names)}
        body = json.dumps({"headers": told}).encode()
        self.send_response(200 if self.path == "/headers" else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("", 8080), Echo).serve_forever()
'''


def main() -> None:
    """Builds it against the service that the environment names."""
    e2b = importlib.import_module("e2b")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "echo.py").write_text(SERVER, encoding="utf-8")
        template = (
            e2b.Template(file_context_path=folder)
            .from_base_image()
            .copy("echo.py", "/srv/echo.py", user="root")
            .set_start_cmd(
                "python3 /srv/echo.py", e2b.wait_for_url("http://localhost:8080/headers")
            )
        )
        e2b.Template.build(template, NAME)


if __name__ == "__main__":
    main()
