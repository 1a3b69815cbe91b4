"""A canary names its secret and its run, and the scan knows all of them."""

import base64

from harness.redaction.canaries import canary_marks, make_canaries
from harness.redaction.scan import Scanner, ScanResult
from harness.settings import SECRET_NAMES


def test_make_canaries_differ_by_name_and_run_and_can_be_made_again() -> None:
    """One value for each name and run; nothing needs to be stored to know it again."""
    first, second = make_canaries(SECRET_NAMES, "run-1"), make_canaries(SECRET_NAMES, "run-2")
    values = [secret.reveal() for secret in (*first.values(), *second.values())]
    assert len(set(values)) == len(values) == 2 * len(SECRET_NAMES)
    assert make_canaries(SECRET_NAMES, "run-1") == first
    assert first["E2B_API_KEY"].reveal().startswith("e2b_")
    assert int(first["E2B_API_KEY"].reveal()[4:], 16) > 0


def test_canary_marks_find_canaries_of_any_run_in_any_encoding() -> None:
    """A hit says which variable leaked, whatever run it was."""
    scanner = Scanner(canary_marks(SECRET_NAMES))
    for run in ("run-1", "a/b", ""):
        for name, secret in make_canaries(SECRET_NAMES, run).items():
            value = secret.reveal().encode()
            for content in (value, base64.b64encode(b"{" + value), value.hex().encode()):
                result = ScanResult()
                scanner.scan_bytes(content, result, shown="x")
                assert [finding.kind for finding in result.findings] == [name]
