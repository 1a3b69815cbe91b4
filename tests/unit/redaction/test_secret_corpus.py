"""The corpus: every planted secret is found, and nothing in a hundred thousand benign lines."""

import pytest
from secret_corpus import ENCODINGS, benign_lines, fake_secrets, plant

from harness.redaction.scan import Scanner, ScanResult


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_corpus_sample_has_full_recall(encoding: str) -> None:
    """One secret of each of twelve kinds in ten kinds of file; the whole is a benchmark."""
    secrets = [secret for _, secret in fake_secrets(7, 12)]
    scanner = Scanner(secrets, detect=False)
    missed = []
    for planted in plant(7, count=12):
        if planted.encoding == encoding:
            result = ScanResult()
            scanner.scan_bytes(planted.content, result, shown="x")
            if planted.secret.name not in {finding.kind for finding in result.findings}:
                missed.append((planted.kind, planted.file))
    assert missed == []


def test_corpus_benign_lines_have_no_finding() -> None:
    """Known values and detectors together: no false alarm in 20,000 lines."""
    scanner = Scanner([secret for _, secret in fake_secrets(7)])
    result = ScanResult()
    scanner.scan_bytes(b"\n".join(benign_lines(7, 20_000)), result, shown="x")
    assert (result.findings, result.incomplete) == ([], ())
