"""The scan is a gate: it finds what leaked, says what it did not see, and leaves a verdict."""

import base64
import os
import subprocess
from pathlib import Path

import pytest

from harness.clock import ManualClock
from harness.errors import ExitCode, UsageError
from harness.model.outcome import Outcome
from harness.model.verdict import Verdict
from harness.redaction.canaries import make_canaries
from harness.redaction.self_test import DETECTABLE
from harness.reports.session import read_verdict
from harness.settings import Settings
from harness.workflow import secret_scan
from harness.workflow.secret_scan import SecretScan, leak_error, scan_secrets

KEY = "e2b_" + "0a1b2c3d4e" * 4


@pytest.fixture
def project(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / "README.md").write_text("a project\n")
    subprocess.run(["git", "-C", str(tmp_path), "add", "README.md"], check=True)
    (tmp_path / "testing_env" / "logs" / "remote").mkdir(parents=True)
    (tmp_path / "testing_env" / "logs" / "remote" / "run.log").write_text("started\n")
    (tmp_path / "testing_env" / ".env").write_text(f"E2B_API_KEY={KEY}\n")
    return tmp_path


def run(root: Path, *paths: Path, live: bool = False) -> SecretScan:
    settings = Settings.load(root=root, environ={"PATH": os.environ["PATH"]})
    return scan_secrets(settings, paths=paths, live=live, clock=ManualClock())


def outcomes(scan: SecretScan) -> dict[str, Outcome]:
    return {c.name: c.outcome for c in scan.verdict.checks if not c.location}


def test_scan_secrets_clean_project_passes_and_leaves_the_stamp(project: Path) -> None:
    """Key in .env, nothing elsewhere: passed, and the report says so."""
    scan = run(project)
    assert outcomes(scan) == {
        "self-test": Outcome.PASSED,
        "repository": Outcome.PASSED,
        "testing_env": Outcome.PASSED,
    }
    stamp = read_verdict(project / "testing_env" / "reports" / "secret-scan" / "verdict.json")
    assert (stamp.exit_code, stamp.leak) == (ExitCode.PASSED, False)


@pytest.mark.parametrize(
    "place",
    [
        "logs/remote/run.log",
        "runs/run-1/e2b/events.jsonl",
        "reports/smoke-mocked/junit.xml",
        "x.env",
    ],
)
@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (KEY, "plain"),
        (base64.b64encode(f"x{KEY}".encode()).decode(), "base64"),
        (KEY.encode().hex(), "hex"),
    ],
    ids=["plain", "base64", "hex"],  # a name stands in the report, which is scanned
)
def test_scan_secrets_key_anywhere_under_testing_env_is_a_leak(
    project: Path, place: str, content: str, encoding: str
) -> None:
    """Exit code 5, the phrase that users know, variable, encoding and place; never the value."""
    path = project / "testing_env" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"first line\nsent {content} on\n")
    scan = run(project)
    assert scan.verdict.exit_code is ExitCode.LEAK
    assert [(f.kind, f.encoding, f.path, f.line) for f in scan.findings] == [
        ("E2B_API_KEY", encoding, f"testing_env/{place}", 2)
    ]
    error = leak_error(scan)
    assert error.happened.startswith(
        f"Secret leaked in logs: E2B_API_KEY ({encoding}) in testing_env"
    )
    assert "redact_connection_string" in error.next_step
    report = project / "testing_env" / "reports" / "secret-scan"
    written = "".join(file.read_text() for file in report.iterdir())
    assert KEY not in written
    assert content not in written
    assert f"testing_env/{place}" in written


def test_scan_secrets_unmasked_connection_string_is_a_leak(project: Path) -> None:
    """What nobody told the scan about is found by its form; masked it is none."""
    log = project / "testing_env" / "logs" / "remote" / "run.log"
    log.write_text("connecting to mysql://***@host/db\n")
    assert run(project).findings == ()
    log.write_text(f"connecting to {DETECTABLE['connection-string']}\n")
    assert [f.kind for f in run(project).findings] == ["connection-string"]


def test_scan_secrets_canary_of_any_run_names_its_variable(project: Path) -> None:
    """A value that a run planted is traced to the variable that it stood in."""
    canary = make_canaries(["MYSQL_PASSWORD"], "run-17")["MYSQL_PASSWORD"].reveal()
    (project / "testing_env" / "runs").mkdir()
    (project / "testing_env" / "runs" / "status.json").write_text(f'{{"error": "{canary}"}}')
    assert [f.kind for f in run(project).findings] == ["MYSQL_PASSWORD"]


def test_scan_secrets_built_environments_are_named_not_scanned(project: Path) -> None:
    """What was built from packages is left out, and a note says so."""
    for name in ("environments", "envs", "templates"):
        folder = project / "testing_env" / name
        folder.mkdir()
        (folder / "x").write_text(KEY)
    (project / "testing_env" / "clients" / "e2b-1").mkdir(parents=True)
    (project / "testing_env" / "clients" / "e2b-1" / "x").write_text(KEY)
    scan = run(project)
    assert scan.findings == ()
    assert sum("not scanned" in note for note in scan.notes) == 4
    (project / "testing_env" / "clients" / "baseline.json").write_text(KEY)
    assert [f.path for f in run(project).findings] == ["testing_env/clients/baseline.json"]


def test_scan_secrets_tracked_env_file_is_a_leak(project: Path) -> None:
    """The place for secrets is no leak, unless git tracks it."""
    subprocess.run(["git", "-C", str(project), "add", "-f", "testing_env/.env"], check=True)
    scan = run(project)
    assert {"tracked-env-file", "E2B_API_KEY"} <= {f.kind for f in scan.findings}
    assert scan.verdict.exit_code is ExitCode.LEAK


def test_scan_secrets_leak_in_the_repository_says_so(project: Path) -> None:
    """The message tells a log from a source file."""
    (project / "README.md").write_text(f"use {KEY}\n")
    error = leak_error(run(project))
    assert error.happened == ("Secret leaked in the repository: E2B_API_KEY (plain) in README.md:1")


def test_scan_secrets_incomplete_scan_is_broken(project: Path) -> None:
    """What could not be read may hold anything: no pass, and the file is named."""
    (project / "testing_env" / "logs" / "cut.gz").write_bytes(b"\x1f\x8b\x08\x00")
    scan = run(project)
    assert scan.verdict.exit_code is ExitCode.BROKEN
    (check,) = [c for c in scan.verdict.checks if c.name == "testing_env"]
    assert "testing_env/logs/cut.gz" in check.reason


def test_scan_secrets_blind_scanner_is_broken(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scan that does not find what it planted itself proves nothing."""
    monkeypatch.setattr(secret_scan, "blind_spots", lambda *_: ["E2B_API_KEY as hex"])
    scan = run(project)
    assert scan.verdict.exit_code is ExitCode.BROKEN
    assert "E2B_API_KEY as hex" in scan.verdict.checks[0].reason


def test_scan_secrets_outside_git_and_without_runs_is_not_run(tmp_path: Path) -> None:
    """Nothing that was looked at is not a pass."""
    settings = Settings.load(
        root=tmp_path,
        environ={"PATH": os.environ["PATH"]},
    )
    scan = scan_secrets(settings, clock=ManualClock())
    assert outcomes(scan) == {"repository": Outcome.NOT_RUN, "testing_env": Outcome.NOT_RUN}
    assert scan.verdict.exit_code is ExitCode.NOT_RUN


def test_scan_secrets_live_without_a_key_says_what_was_not_looked_for(project: Path) -> None:
    """Live means that the real value is among what is looked for; without it it is not green."""
    complete = run(project, live=True)
    assert outcomes(complete)["real values"] is Outcome.PASSED
    assert complete.verdict.exit_code is ExitCode.PASSED
    (project / "testing_env" / ".env").unlink()
    scan = run(project, live=True)
    assert outcomes(scan)["real values"] is Outcome.NOT_RUN
    (check,) = [c for c in scan.verdict.checks if c.name == "real values"]
    assert check.reason.startswith("E2B_API_KEY not set")
    assert scan.verdict.exit_code is ExitCode.NOT_RUN
    assert Verdict.from_json(scan.verdict.to_json()).exit_code is ExitCode.NOT_RUN
    assert run(project).verdict.exit_code is ExitCode.PASSED


def test_scan_secrets_of_paths_scans_them_alone_and_keeps_the_stamp(project: Path) -> None:
    """Another scope is another session: it cannot turn the gate green."""
    (project / "testing_env" / "logs" / "leak.log").write_text(KEY)
    run(project)
    clean = project / "clean.txt"
    clean.write_text("nothing\n")
    scan = run(project, clean)
    assert scan.verdict.exit_code is ExitCode.PASSED
    reports = project / "testing_env" / "reports"
    assert read_verdict(reports / "secret-scan" / "verdict.json").leak
    assert not read_verdict(reports / "secret-scan-paths" / "verdict.json").leak
    assert [f.path for f in run(project, project / "testing_env" / "logs").findings] == [
        f"{project}/testing_env/logs/leak.log"
    ]


def test_scan_secrets_of_a_missing_path_is_a_usage_error(project: Path) -> None:
    """A typing error is no clean scan."""
    with pytest.raises(UsageError, match="no such file or folder"):
        run(project, project / "nope")


def test_scan_secrets_that_dies_leaves_no_old_stamp(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict of an earlier scan does not stand for one that did not end."""
    run(project)

    def interrupted(*_: object) -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(secret_scan, "blind_spots", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(project)
    assert not (project / "testing_env" / "reports" / "secret-scan" / "verdict.json").exists()


def test_scan_secrets_weak_and_placeholder_values_are_named(project: Path) -> None:
    """How a value was looked for is said, by its name."""
    (project / "testing_env" / ".env").write_text(
        "MYSQL_PASSWORD=root\nE2B_API_KEY=your-api-key-here\n"
    )
    notes = "\n".join(run(project).notes)
    assert "looked for beside its name only: MYSQL_PASSWORD" in notes
    assert "a placeholder, not looked for: E2B_API_KEY" in notes


def test_scan_secrets_links_of_one_name_are_told_in_one_note(project: Path) -> None:
    """Each run has its `latest`; a page of them hides what else is said."""
    runs = project / "testing_env" / "runs"
    for name in ("one", "two", "three"):
        (runs / name).mkdir(parents=True)
        (runs / name / "latest").symlink_to(runs / name)
    (runs / "gone").symlink_to("nowhere")
    notes = [note for note in run(project).notes if "link" in note]
    assert sorted(note.partition(": ")[2] for note in notes) == [
        "link that leads nowhere",
        "link, not followed (and 2 more named latest)",
    ]
