"""JUnit XML is read with tolerance, and never as less than it says."""

import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime

import pytest
from junitparser import JUnitXml

from harness.errors import BrokenError
from harness.model.outcome import Outcome
from harness.model.verdict import Check, Verdict
from harness.reports.junit import checks_of, junit_of, merge_junit, redact_junit

PYTEST_MODULE = """
import pytest

def test_passes(): pass

class TestThings:
    @pytest.mark.parametrize("value", ["a.b", "c/d"])
    def test_values(self, value): pass

    def test_fails(self):
        print("captured words")
        left, right = 1, 2
        assert left == right

@pytest.mark.skip(reason="E2B_API_KEY not set")
def test_skipped(): pass

@pytest.mark.xfail(reason="a known fault", strict=True)
def test_expected(): assert False

@pytest.fixture
def bad_setup(): raise OSError("no disk")

@pytest.fixture
def bad_teardown():
    yield
    raise OSError("still busy")

def test_setup(bad_setup): pass

def test_teardown(bad_teardown): pass

def test_control_characters(): raise ValueError("\\x00\\x1b[31mred")
"""


@pytest.fixture(scope="module")
def junit_of_pytest(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("suite")
    (folder / "tests" / "deep").mkdir(parents=True)
    (folder / "tests" / "deep" / "test_things.py").write_text(PYTEST_MODULE)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--junit-xml=out.xml",
        "--import-mode=importlib",
    ]
    command += ["-p", "no:harness", "-p", "no:cacheprovider", "--rootdir=.", "-c", "none.toml"]
    (folder / "none.toml").write_text("")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return (folder / "out.xml").read_bytes()


def test_checks_of_pytests_file_have_node_ids_outcomes_and_places(junit_of_pytest: bytes) -> None:
    """What pytest wrote is read case for case; a failure has its file and line."""
    checks = {check.name: check for check in checks_of(junit_of_pytest)}
    module = "tests/deep/test_things.py"
    assert {name.removeprefix(f"{module}::"): check.outcome for name, check in checks.items()} == {
        "test_passes": Outcome.PASSED,
        "TestThings::test_values[a.b]": Outcome.PASSED,
        "TestThings::test_values[c/d]": Outcome.PASSED,
        "TestThings::test_fails": Outcome.FAILED,
        "test_skipped": Outcome.NOT_RUN,
        "test_expected": Outcome.NOT_RUN,
        "test_setup": Outcome.BROKEN,
        "test_teardown": Outcome.BROKEN,
        "test_control_characters": Outcome.FAILED,
    }
    failed = checks[f"{module}::TestThings::test_fails"]
    assert failed.location == f"{module}:13"
    assert failed.reason.startswith("assert 1 == 2")
    assert checks[f"{module}::test_skipped"].reason == "E2B_API_KEY not set"
    assert "no disk" in checks[f"{module}::test_setup"].reason


def test_checks_of_every_truncation_is_broken(junit_of_pytest: bytes) -> None:
    """A file that was cut anywhere is named as broken, not read as a shorter run."""
    for length in range(0, len(junit_of_pytest.rstrip()), 61):
        with pytest.raises(BrokenError, match="cannot be read"):
            checks_of(junit_of_pytest[:length])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no xml at all",
        b"<html><body>404</body></html>",
        b'{"tests": 3}',
        b"\x1f\x8b\x08\x00",
        b'<?xml version="1.0" encoding="no-such"?><testsuites/>',
        b"<testsuites>\x00</testsuites>",
        b"<testsuites>\xff\xfe</testsuites>",
    ],
)
def test_checks_of_foreign_bytes_is_broken(content: bytes) -> None:
    """What is no JUnit is refused in three lines."""
    with pytest.raises(BrokenError) as caught:
        checks_of(content)
    assert len(str(caught.value).splitlines()) == 3


def test_checks_of_other_tools_files_are_read() -> None:
    """Nested suites, odd times, results without text and a bare suite are all in use."""
    nested = b"""<testsuites><testsuite name="a" tests="many">
      <testsuite name="b"><testcase name="deep" classname="x.y" time="1.2s"/></testsuite>
      <testcase name="one" time="1,000.5"><failure/></testcase>
      <testcase name="one" file="src/one.rs" line="7"><error type="Panic"/></testcase>
      <testcase><skipped/></testcase>
      <testcase name="both"><failure message="first"/><error message="then"/></testcase>
    </testsuite><testcase name="loose" time="nan"><failure message="alone"/></testcase>
    </testsuites>"""
    checks = checks_of(nested)
    assert Counter(check.outcome for check in checks) == {
        Outcome.PASSED: 1,
        Outcome.FAILED: 2,
        Outcome.BROKEN: 2,
        Outcome.NOT_RUN: 1,
    }
    merged = JUnitXml.fromstring(merge_junit({"x": nested, "y": nested}))
    assert (merged.tests, merged.failures, merged.time) == (12, 6, 2001.0)
    by_name = {check.name: check for check in checks}
    assert len(by_name) == len(checks)
    assert by_name["one"].duration_s == pytest.approx(1000.5)
    assert by_name["one (2)"].location == "src/one.rs:7"
    assert by_name["one (2)"].reason == "Panic"
    assert by_name["both"].reason == "then"
    assert checks_of(b'<testsuite name="s"><testcase name="t"/></testsuite>')[0].name == "t"


def test_checks_of_an_empty_suite_is_no_pass() -> None:
    """A run without a test case proves nothing: the verdict made of it is BROKEN."""
    checks = checks_of(b"<testsuites/>")
    verdict = Verdict(
        session="s",
        endpoint="none",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        duration_s=0,
        checks=checks,
    )
    assert verdict.outcome is Outcome.BROKEN


def test_junit_of_a_verdict_reads_back_as_its_checks() -> None:
    """Our own files say what the verdict says."""
    checks = (
        Check(name="a", outcome=Outcome.PASSED, duration_s=0.5),
        Check(name="b", outcome=Outcome.FAILED, reason="x != y", location="tests/t.py:3"),
        Check(name="c", outcome=Outcome.BROKEN, reason="no answer"),
        Check(name="d", outcome=Outcome.NOT_RUN, reason="no key"),
    )
    verdict = Verdict(
        session="parity",
        endpoint="none",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        duration_s=0,
        checks=checks,
    )
    read = checks_of(junit_of(verdict))
    assert [(c.outcome, c.reason, c.duration_s, c.location) for c in read] == [
        (c.outcome, c.reason, c.duration_s, c.location) for c in checks
    ]


def test_junit_holds_what_strict_readers_allow_and_nothing_else() -> None:
    """Attribute for attribute as in the schema of Jenkins' xUnit plugin; merged files, too."""
    checks = (
        Check(name="a", outcome=Outcome.PASSED, duration_s=0.1234567),
        Check(name="b", outcome=Outcome.FAILED, reason="a key", location="a b/.env:3"),
        Check(name="c", outcome=Outcome.BROKEN, reason="t.py:7: gone", location="t.py:7"),
        Check(name="d", outcome=Outcome.NOT_RUN, reason="no key"),
    )
    verdict = Verdict(
        session="secrets",
        endpoint="none",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        duration_s=0,
        checks=checks,
    )
    allowed = {
        "testsuites": {"name", "time", "tests", "failures", "errors"},
        "testsuite": {"name", "time", "tests", "failures", "errors", "skipped"},
        "testcase": {"name", "time", "classname"},
        "failure": {"message", "type"},
        "error": {"message", "type"},
        "skipped": {"message", "type"},
    }
    own = junit_of(verdict)
    for junit in (own, merge_junit({"secrets": own, "smoke": checks[3]})):
        for element in JUnitXml.fromstring(junit)._elem.iter():
            assert set(element.attrib) <= allowed[element.tag], element.tag
            assert re.fullmatch(r"\d*(\.\d{0,3})?", element.get("time", "0"))
    places = [(check.reason, check.location) for check in checks_of(own)]
    assert places[1:3] == [("a key", "a b/.env:3"), ("t.py:7: gone", "t.py:7")]


def test_redact_junit_leaves_no_value_and_the_same_cases(junit_of_pytest: bytes) -> None:
    """Texts, messages and names are redacted; a mask with angle brackets keeps the XML whole."""
    secret = "captured words"  # in system-out; the number stands in a message and a text
    assert secret.encode() in junit_of_pytest
    redacted = redact_junit(
        junit_of_pytest,
        lambda text: text.replace(secret, "<secret:A&B>").replace("assert 1 == 2", "<secret:C>"),
    )
    assert secret.encode() not in redacted
    assert b"assert 1 == 2" not in redacted
    before, after = checks_of(junit_of_pytest), checks_of(redacted)
    assert [(c.name, c.outcome) for c in before] == [(c.name, c.outcome) for c in after]
    assert any(check.reason.startswith("<secret:C>") for check in after)
    assert len(list(next(iter(JUnitXml.fromstring(redacted))))) == len(before)


def test_redact_junit_of_a_truncated_file_is_broken(junit_of_pytest: bytes) -> None:
    """What cannot be parsed cannot be redacted by structure, and says so."""
    with pytest.raises(BrokenError):
        redact_junit(junit_of_pytest[:-20], str)


def test_merge_junit_names_suites_by_session_and_keeps_what_is_missing(
    junit_of_pytest: bytes,
) -> None:
    """One file; an unreadable session is an error in it, not a gap."""
    lost = Check(name="verdict.json", outcome=Outcome.BROKEN, reason="truncated")
    merged = merge_junit({"smoke-mocked": junit_of_pytest, "parity": lost})
    document = JUnitXml.fromstring(merged)
    assert [suite.name for suite in document] == ["smoke-mocked", "parity"]
    assert document.tests == len(checks_of(junit_of_pytest)) + 1
    assert (document.failures, document.errors) == (2, 3)
