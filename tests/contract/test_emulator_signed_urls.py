"""A signed URL is a credential: who writes it down redacts it, and the scan sees who does not."""

import json
import logging

import httpx
import pytest
from e2b import Sandbox

from harness.emulator.attach import AdminClient
from harness.redaction import Redactor
from harness.redaction.scan import Scanner, ScanResult


def kinds(text: str) -> list[str]:
    result = ScanResult()
    Scanner([]).scan_bytes(text.encode(), result, shown="run.log")
    assert not result.incomplete
    return [finding.kind for finding in result.findings]


def test_signed_url_in_the_ledger_is_no_finding(sandbox: Sandbox, emulator: AdminClient) -> None:
    """The requests are there with their paths, and a scan of the ledger is clean."""
    sandbox.files.write("f.txt", "x")
    for url in (
        sandbox.download_url("f.txt"),
        sandbox.download_url("f.txt", use_signature_expiration=100),
    ):
        assert httpx.get(url).status_code == 200
        refused = httpx.get(url.replace("signature=v1_", "signature=v1_A"))
        assert (refused.status_code, refused.json()["message"]) == (401, "invalid signature")
    ledger = [entry for entry in emulator.ledger() if "signature=" in entry["query"]]
    assert len(ledger) == 4
    assert kinds("\n".join(json.dumps(entry) for entry in emulator.ledger())) == []


def test_signed_url_in_a_clients_log_is_a_finding_until_redacted(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """It opens a file to whoever reads the log; redacted, the rest of the URL stays."""
    sandbox.files.write("f.txt", "x")
    with caplog.at_level(logging.INFO, logger="httpx"):
        httpx.get(sandbox.download_url("f.txt"))
    logged = next(line for line in caplog.messages if "signature=" in line)
    assert kinds(logged) == ["assigned-secret"]
    redacted = Redactor([]).text(logged)
    assert "path=f.txt" in redacted
    assert "signature=***" in redacted
    assert kinds(redacted) == []
