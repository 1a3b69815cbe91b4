"""`harness secrets` and `harness report` as a person types them: output, exit code, three lines."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

KEY = "e2b_" + "0a1b2c3d4e" * 4


@pytest.fixture
def project(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / "README.md").write_text("a project\n")
    subprocess.run(["git", "-C", str(tmp_path), "add", "README.md"], check=True)
    (tmp_path / "testing_env" / "logs").mkdir(parents=True)
    (tmp_path / "testing_env" / "logs" / "run.log").write_text("started\n")
    (tmp_path / "testing_env" / ".env").write_text(f"E2B_API_KEY={KEY}\n")
    return tmp_path


def harness(project: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *words],
        cwd=project,
        env={"PATH": "/usr/bin:/bin", "HOME": str(project), **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_secrets_scan_of_a_clean_project_passes(project: Path) -> None:
    """Exit code 0, and a verdict that can be read by programs."""
    done = harness(project, "secrets", "scan", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["outcome"] == "passed"


def test_secrets_scan_of_a_leak_ends_with_five_and_three_lines(project: Path) -> None:
    """The place and how to mend it, on standard error; the value nowhere."""
    (project / "testing_env" / "logs" / "run.log").write_text(f"sent {KEY}\n")
    done = harness(project, "secrets", "scan")
    assert done.returncode == 5
    happened, expected, following = done.stderr.splitlines()
    assert happened == ("Secret leaked in logs: E2B_API_KEY (plain) in testing_env/logs/run.log:1")
    assert expected.startswith("expected: no secret outside .env")
    assert following.startswith("next: replace the secret")
    assert "testing_env/logs/run.log:1: E2B_API_KEY, written as plain" in done.stdout
    assert KEY not in done.stdout + done.stderr


def test_secrets_scan_of_a_missing_path_is_a_usage_error(project: Path) -> None:
    """Exit code 2 for a typing error."""
    done = harness(project, "secrets", "scan", "nope")
    assert done.returncode == 2
    assert done.stderr.startswith("no such file or folder: nope\n")


def test_secrets_baseline_accepts_what_is_there(project: Path) -> None:
    """After it the repository is clean, and the file names no path of this machine."""
    line = "db_password = 'tr0ub4dor-and-3'\n"  # pragma: allowlist secret
    (project / "README.md").write_text(line)
    assert harness(project, "secrets", "scan").returncode == 5
    done = harness(project, "secrets", "baseline")
    assert done.stdout == ".secrets.baseline: 1 accepted; look at each before you commit it\n"
    assert harness(project, "secrets", "scan").returncode == 0
    assert str(project) not in (project / ".secrets.baseline").read_text()


def test_report_without_sessions_is_not_run(project: Path) -> None:
    """Exit code 3, and what to run."""
    done = harness(project, "report")
    assert done.returncode == 3
    assert "next: nox -s" in done.stderr


@pytest.mark.parametrize("words", [("report",), ("report", "build")])
def test_report_after_a_clean_scan_is_green(project: Path, words: tuple[str, ...]) -> None:
    """What did not run is listed; the whole is what ran; GitHub's summary gets it, too."""
    harness(project, "secrets", "scan")
    step = project / "step.md"
    done = harness(project, *words, GITHUB_STEP_SUMMARY=str(step))
    assert done.returncode == 0, done.stderr
    assert "not_run parity: no report: nox -s parity" in done.stdout
    assert done.stdout.endswith("verdict: passed\n")
    assert step.read_text().startswith("# e2b-harness: PASSED\n")
    done = harness(project, *words, "--json")
    assert json.loads(done.stdout)["exit_code"] == 0


def test_report_after_a_leak_is_refused(project: Path) -> None:
    """Exit code 5, and neither file is there for an upload."""
    harness(project, "secrets", "scan")
    harness(project, "report")
    (project / "testing_env" / "logs" / "run.log").write_text(f"sent {KEY}\n")
    harness(project, "secrets", "scan")
    done = harness(project, "report")
    assert done.returncode == 5
    assert len(done.stderr.splitlines()) == 3
    reports = project / "testing_env" / "reports"
    assert sorted(path.name for path in reports.iterdir()) == ["secret-scan"]
