"""What a run was given is told in the same terms on both sides."""

from __future__ import annotations

from harness.model.run import Json, PipelineCase
from harness.model.side import Endpoint
from harness.targets.osiris.wire import given_here, read_ledger, sent_there

CASE = PipelineCase(
    name="case",
    purpose="p",
    oml="",
    files={"input/a.csv": b"id\n1\n", "osiris_connections.yaml": b"version: 1\n"},
)
LEDGER: list[dict[str, Json]] = [
    {
        "path": "/v2/sandboxes",
        "sandbox_id": "mine",
        "details": {
            "template": "base",
            "timeout_s": 300,
            "env_names": ["SERVICE_KEY"],
            "metadata": {"harness_run": "r", "team": "t"},
        },
    },
    {
        "path": "/files",
        "sandbox_id": "mine",
        "details": {"files": [{"path": "/home/user/input/a.csv", "size": 5}]},
    },
    {
        "path": "/files",
        "sandbox_id": "mine",
        "details": {"files": [{"path": "/home/user/worker.py", "size": 7}, {"path": "/etc/x"}]},
    },
    {
        "path": "/process.Process/Start",
        "sandbox_id": "mine",
        "details": {"command": ["bash", "-c", "true"], "env_names": ["GREETING"]},
    },
    {
        "path": "/process.Process/Start",
        "sandbox_id": "of-another-run",
        "details": {"command": ["bash", "-c", "false"], "env_names": ["NOT_MINE"]},
    },
]


def test_given_here_names_variables_and_files_but_not_settings() -> None:
    """The product reads its connections itself; they are nothing that a step is given."""
    assert given_here(CASE, ["B", "A"]) == {
        "environment": {"A": "set", "B": "set"},
        "files": {"input/a.csv": 5},
    }


def test_sent_there_tells_the_users_from_the_products_own() -> None:
    """Of another run's sandbox, and of the harness's own labels, nothing is told."""
    assert sent_there(CASE, LEDGER, ["mine"]) == {
        "environment": {"GREETING": "set", "SERVICE_KEY": "set"},  # pragma: allowlist secret
        "files": {"input/a.csv": 5},
        "commands": [["bash", "-c", "true"]],
        "product_files": {"/etc/x": None, "worker.py": 7},
        "sandbox": [{"template": "base", "timeout_s": 300, "metadata": {"team": "t"}}],
    }


def test_read_ledger_of_an_endpoint_that_does_not_see_sandboxes_is_none() -> None:
    """The gateway does not see what goes to a sandbox; that is unknown, and not nothing."""
    assert read_ledger(Endpoint(name="live", env={}, admin_url="http://127.0.0.1:1")) is None
