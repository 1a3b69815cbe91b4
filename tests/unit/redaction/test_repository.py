"""What git tracks holds no secret; what is accepted is accepted by name."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import BrokenError, NotRunError
from harness.model.finding import Finding
from harness.redaction.repository import BASELINE, scan_repository, tracked_files, write_baseline
from harness.redaction.scan import Scanner
from harness.redaction.self_test import DETECTABLE
from harness.secret_values import Secret

AWS_KEY = DETECTABLE["aws-access-key"]
TOKEN = "tok-" + "7f3a9c" * 4
PASSWORD_LINE = "db_password = 'tr0ub4dor-and-3'\n"  # pragma: allowlist secret


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    track(tmp_path, "README.md", "nothing to see\n")
    return tmp_path


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True)


def track(root: Path, name: str, content: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(content)
    git(root, "add", "--force", name)


def findings(root: Path) -> list[Finding]:
    scanner = Scanner([Secret("API_TOKEN", TOKEN)])
    return scan_repository(root, scanner, digest_key=b"k").findings


def places(root: Path) -> list[tuple[str, str, int]]:
    return [(finding.kind, finding.path, finding.line) for finding in findings(root)]


def test_scan_repository_clean_finds_nothing(repository: Path) -> None:
    """The control of all others."""
    assert places(repository) == []


def test_scan_repository_unknown_secret_is_found(repository: Path) -> None:
    """A key in a tracked file is found once, by kind, file and line; its value is not told."""
    track(repository, "src/config.py", f"\nKEY = '{AWS_KEY}'\n")
    assert places(repository) == [("aws-access-key", "src/config.py", 2)]
    assert AWS_KEY not in repr(findings(repository))


def test_scan_repository_secret_only_detect_secrets_knows_is_found(repository: Path) -> None:
    """The engine's own detectors count, too: a password beside its name."""
    track(
        repository, "src/config.py", "db_password = 'tr0ub4dor-and-3'\n"
    )  # pragma: allowlist secret
    assert places(repository) == [("secret-keyword", "src/config.py", 1)]


def test_scan_repository_untracked_file_is_not_the_projects(repository: Path) -> None:
    """What git does not track is not looked at here."""
    (repository / "notes.txt").write_text(AWS_KEY)
    assert places(repository) == []


def test_scan_repository_pragma_accepts_a_line(repository: Path) -> None:
    """A test's fake is accepted beside itself, on that line alone."""
    allowed = "# pragma: allowlist secret"
    track(repository, "tests/fake.py", f"a = '{AWS_KEY}'  {allowed}\nb = '{AWS_KEY}'\n")
    assert places(repository) == [("aws-access-key", "tests/fake.py", 2)]


def test_scan_repository_known_value_counts_in_any_encoding_and_despite_a_pragma(
    repository: Path,
) -> None:
    """A real value is a leak wherever it stands."""
    encoded = base64.b64encode(TOKEN.encode()).decode()
    track(repository, "x.txt", f"{encoded}  # pragma: allowlist secret\n")
    assert places(repository) == [("API_TOKEN", "x.txt", 1)]


@pytest.mark.parametrize("name", [".env", "testing_env/.env", ".env.local", "deploy/prod.env"])
def test_scan_repository_tracked_env_file_is_a_leak(repository: Path, name: str) -> None:
    """Where secrets may be, git must not be."""
    track(repository, name, "\n")
    assert ("tracked-env-file", name, 0) in places(repository)


@pytest.mark.parametrize("name", [".env.example", "testing_env/.env.sample", "environment.py"])
def test_scan_repository_sample_of_an_env_file_is_none(repository: Path, name: str) -> None:
    """The sample that tells people what to set is meant to be there."""
    track(repository, name, "E2B_API_KEY=\n")
    assert places(repository) == []


def test_write_baseline_accepts_what_is_there_and_nothing_new(repository: Path) -> None:
    """A baseline accepts file, kind and value; the same value elsewhere is new."""
    track(repository, "docs/a.md", PASSWORD_LINE)
    assert write_baseline(repository) == 1
    text = (repository / BASELINE).read_text()
    assert str(repository) not in text
    assert "tr0ub4dor" not in text
    assert places(repository) == []
    track(repository, "docs/b.md", PASSWORD_LINE)
    assert places(repository) == [("secret-keyword", "docs/b.md", 1)]


def test_write_baseline_keeps_what_a_person_said(repository: Path) -> None:
    """A secret that somebody marked as true stays a leak, also in a new baseline."""
    track(repository, "docs/a.md", PASSWORD_LINE)
    write_baseline(repository)
    document = json.loads((repository / BASELINE).read_text())
    document["results"]["docs/a.md"][0]["is_secret"] = True
    (repository / BASELINE).write_text(json.dumps(document))
    write_baseline(repository)
    assert places(repository) == [("secret-keyword", "docs/a.md", 1)]


def test_scan_repository_baselines_of_detect_secrets_itself_are_read(repository: Path) -> None:
    """The engine's own command and ours understand each other's file."""
    track(repository, "docs/a.md", PASSWORD_LINE)
    made = subprocess.run(
        [Path(sys.executable).parent / "detect-secrets", "scan"],
        cwd=repository,
        capture_output=True,
        check=True,
    )
    (repository / BASELINE).write_bytes(made.stdout)
    assert places(repository) == []


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"plugins_used": [{"name": "No"}]}'])
def test_scan_repository_bad_baseline_is_broken(repository: Path, content: str) -> None:
    """A baseline that cannot be read accepts nothing and ends the scan."""
    (repository / BASELINE).write_text(content)
    with pytest.raises(BrokenError, match="cannot be read"):
        findings(repository)


def test_tracked_files_outside_a_repository_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without git there is no list of the project's files; that is said, not passed over."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(NotRunError, match="not a git repository"):
        tracked_files(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotRunError, match="No such file"):
        tracked_files(tmp_path)


def test_scan_repository_many_examples_are_not_counted_as_more_of_a_finding(
    repository: Path,
) -> None:
    """A page of connection strings says nothing; the control counts what is a finding."""
    scanner = Scanner([Secret("API_TOKEN", TOKEN)])
    track(repository, "docs.md", f"{DETECTABLE['connection-string']}\n" * 30)
    write_baseline(repository)
    result = scan_repository(repository, scanner, digest_key=b"k")
    assert (result.findings, result.repeated) == ([], 0)
    track(repository, "leak.md", f"{TOKEN}\n" * 30)
    assert scan_repository(repository, scanner, digest_key=b"k").repeated > 0
