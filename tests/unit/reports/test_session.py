"""A session's report is whole or not there."""

import json
import os
import resource
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from junitparser import JUnitXml

from harness.errors import BrokenError
from harness.model.outcome import Outcome
from harness.model.verdict import Check, Verdict
from harness.redaction import Redactor
from harness.reports.session import read_verdict, write_session
from harness.secret_values import Secret

BEFORE = b"what an earlier run wrote"


def verdict(*checks: Check, session: str = "parity") -> Verdict:
    return Verdict(
        session=session,
        endpoint="emulator",
        started_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
        duration_s=1.25,
        checks=checks or (Check(name="one", outcome=Outcome.PASSED, duration_s=0.5),),
    )


def test_write_session_verdict_reads_back_equal(tmp_path: Path) -> None:
    """What was written is what is read."""
    written = verdict(
        Check(name="a", outcome=Outcome.FAILED, reason="x != y"),
        Check(name="b", outcome=Outcome.NOT_RUN, reason="no key"),
    )
    folder = write_session(tmp_path / "reports", written)
    assert folder == tmp_path / "reports" / "parity"
    assert read_verdict(folder / "verdict.json") == written
    assert sorted(path.name for path in folder.iterdir()) == ["junit.xml", "verdict.json"]


def test_write_session_without_junit_makes_it_from_the_checks(tmp_path: Path) -> None:
    """Each check is a test case; only a passed one looks passed."""
    folder = write_session(
        tmp_path,
        verdict(
            Check(name="a", outcome=Outcome.PASSED),
            Check(name="b", outcome=Outcome.FAILED, reason="first\nsecond \x1b[31m"),
            Check(name="c", outcome=Outcome.BROKEN, reason="no answer"),
            Check(name="d", outcome=Outcome.NOT_RUN, reason="no key"),
        ),
    )
    document = JUnitXml.fromfile(str(folder / "junit.xml"))
    (suite,) = document
    assert (suite.name, suite.tests, suite.failures, suite.errors, suite.skipped) == (
        "parity",
        4,
        1,
        1,
        1,
    )
    failed = list(suite)[1].result[0]
    assert (failed.message, failed.text) == ("first", "first\nsecond #x1B[31m")


def test_write_session_given_junit_keeps_its_cases(tmp_path: Path) -> None:
    """pytest's own file is kept."""
    given = b'<testsuites><testsuite name="pytest"><testcase name="t"/></testsuite></testsuites>'
    folder = write_session(tmp_path, verdict(), junit=given)
    assert [case.name for suite in JUnitXml.fromfile(str(folder / "junit.xml")) for case in suite]


def test_write_session_redacts_verdict_and_junit_before_it_writes(tmp_path: Path) -> None:
    """A secret in a reason, a detail or a captured stream never reaches the disk."""
    value = "s3cr3t/<&>-value"  # pragma: allowlist secret
    escaped = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    junit = (
        f"<testsuite><testcase name='t'><system-out>{escaped}</system-out></testcase></testsuite>"
    )
    leaky = replace(
        verdict(Check(name="a", outcome=Outcome.FAILED, reason=f"got {value}")),
        details={"env": [f"mysql://u:{value}@h/d"], "password": "of any kind"},
    )
    redactor = Redactor([Secret("MYSQL_PASSWORD", value)])
    for given in (None, junit.encode(), junit.encode()[:-9]):
        folder = write_session(tmp_path, leaky, junit=given, redactor=redactor)
        for path in folder.iterdir():
            content = path.read_text()
            assert value not in content
            assert escaped not in content
    read = read_verdict(folder / "verdict.json")
    assert read.checks[0].reason == "got <secret:MYSQL_PASSWORD>"
    assert read.details == {"env": ["mysql://***@h/d"], "password": "<secret:password>"}
    # The control: without the redactor the value is there.
    (plain,) = write_session(tmp_path, leaky, redactor=Redactor()).glob("verdict.json")
    assert value in plain.read_text()


def test_write_session_knows_the_secrets_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever leaves the redactor out still gets one."""
    monkeypatch.setenv("MYSQL_PASSWORD", "from-the-environment-1")
    (tmp_path / "testing_env").mkdir()
    (tmp_path / "testing_env" / ".env").write_text("E2B_API_KEY=from-the-file-2\n")
    reason = "from-the-environment-1 from-the-file-2"
    folder = write_session(
        tmp_path / "testing_env" / "reports",
        verdict(Check(name="a", outcome=Outcome.FAILED, reason=reason)),
    )
    assert read_verdict(folder / "verdict.json").checks[0].reason == (
        "<secret:MYSQL_PASSWORD> <secret:E2B_API_KEY>"
    )


@pytest.mark.parametrize("name", ["", "../parity", "a/b", ".hidden", "a b"])
def test_write_session_name_that_is_no_folder_is_broken(tmp_path: Path, name: str) -> None:
    """A session cannot write outside the folder of reports."""
    with pytest.raises(BrokenError, match="no folder of its own"):
        write_session(tmp_path, verdict(session=name))
    assert list(tmp_path.iterdir()) == []


def test_write_session_where_a_file_stands_is_broken(tmp_path: Path) -> None:
    """A file in the folder's place is named."""
    (tmp_path / "reports").write_bytes(BEFORE)
    with pytest.raises(BrokenError) as caught:
        write_session(tmp_path / "reports", verdict())
    assert len(str(caught.value).splitlines()) == 3
    assert (tmp_path / "reports").read_bytes() == BEFORE


def test_write_session_read_only_folder_is_broken_and_leaves_what_was(tmp_path: Path) -> None:
    """A folder that takes no file keeps what it had."""
    folder = tmp_path / "parity"
    folder.mkdir()
    (folder / "verdict.json").write_bytes(BEFORE)
    folder.chmod(0o555)
    if os.access(folder, os.W_OK):
        # Root may write to any folder; only a read-only mount stops it.
        with _SmallDisk(folder, "ro,size=64k"):
            _assert_broken_and_unchanged(tmp_path, folder, expected=[])
        return
    _assert_broken_and_unchanged(tmp_path, folder, expected=["verdict.json"])


def test_write_session_full_disk_is_broken_and_leaves_what_was(tmp_path: Path) -> None:
    """A disk that fills up while the report is written leaves the earlier report."""
    folder = tmp_path / "parity"
    folder.mkdir()
    with _SmallDisk(folder, "size=64k"):
        (folder / "verdict.json").write_bytes(BEFORE)
        long = Check(name="long", outcome=Outcome.FAILED, reason="x" * 200_000)
        with pytest.raises(BrokenError, match="cannot be written"):
            write_session(tmp_path, verdict(long))
        assert [path.name for path in folder.iterdir()] == ["verdict.json"]
        assert (folder / "verdict.json").read_bytes() == BEFORE
        # The control: what fits is written to the same disk.
        write_session(tmp_path, verdict())
        assert read_verdict(folder / "verdict.json") == verdict()


def test_write_session_file_size_limit_is_broken_and_leaves_what_was(tmp_path: Path) -> None:
    """The same without root: the kernel refuses the bytes above a limit."""
    folder = write_session(tmp_path, verdict())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(BrokenError, match="cannot be written"):
            write_session(
                tmp_path, verdict(Check(name="x", outcome=Outcome.FAILED, reason="y" * 9000))
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"session": "parity"', b"[]", b"{}", b"\xff\xfe", b'{"checks": 3}'],
)
def test_read_verdict_that_is_none_is_broken(tmp_path: Path, content: bytes) -> None:
    """A truncated or foreign verdict is broken, and its file is named."""
    path = tmp_path / "parity" / "verdict.json"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(BrokenError, match=r"verdict\.json is not a verdict") as caught:
        read_verdict(path)
    assert "nox -s parity" in caught.value.next_step


def test_read_verdict_every_truncation_is_broken(tmp_path: Path) -> None:
    """No beginning of a verdict passes for one."""
    whole = json.dumps(verdict().to_json()).encode()
    path = tmp_path / "verdict.json"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(BrokenError):
            read_verdict(path)
    path.write_bytes(whole)
    assert read_verdict(path) == verdict()


def test_read_verdict_missing_is_broken(tmp_path: Path) -> None:
    """A session that wrote nothing is named."""
    with pytest.raises(BrokenError, match="No such file"):
        read_verdict(tmp_path / "orphans" / "verdict.json")


def _assert_broken_and_unchanged(reports: Path, folder: Path, *, expected: list[str]) -> None:
    with pytest.raises(BrokenError, match="cannot be written"):
        write_session(reports, verdict())
    assert [path.name for path in folder.iterdir()] == expected


class _SmallDisk:
    """A small file system of its own on a folder; skips where this user may not mount."""

    def __init__(self, folder: Path, options: str) -> None:
        self._folder = folder
        self._options = options

    def __enter__(self) -> None:
        command = shutil.which("mount")
        if command is None or os.geteuid() != 0:
            pytest.skip("only root may mount a small file system")
        done = subprocess.run(
            [command, "-t", "tmpfs", "-o", self._options, "tmpfs", str(self._folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"this machine mounts no tmpfs: {done.stderr.strip()}")

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", str(self._folder)], check=True)
