"""A leak of the product that nobody has accepted ends the session with exit code 5.

The real product runs on both sides with a pipeline that no allowance knows. What is planted
is the pipeline; everything after it is what `nox -s secret-scan` does.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2b]

ROOT = Path(__file__).parents[2]
SESSION = """
import sys
from pathlib import Path

from harness.cli import main
from harness.model.run import PipelineCase
from harness.targets import osiris
from harness.targets.osiris import OsirisTarget

ACCEPTED = Path(sys.argv.pop(1))
OML = '''
oml_version: "0.1.0"
name: planted
steps:
  - id: select
    component: duckdb.processor
    mode: transform
    config: {query: "SELECT '<canary:PLANTED_PASSWORD>' AS password"}
  - id: write
    component: filesystem.csv_writer
    mode: write
    needs: [select]
    config: {path: output/planted.csv}
'''


class Planted(OsirisTarget):
    def leak_cases(self):
        return (PipelineCase(name="planted", purpose="a new leak", oml=OML),)

    def leak_allowances_file(self):
        return ACCEPTED


osiris.OsirisTarget = Planted
main()
"""


def session(project: Path, accepted: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SESSION, str(accepted), "secrets", "scan", "--product"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of its own that has the built environments of this one."""
    root = tmp_path / "project"
    (root / "testing_env").mkdir(parents=True)
    for built in ("environments", "templates"):
        if (ROOT / "testing_env" / built).is_dir():
            (root / "testing_env" / built).symlink_to(ROOT / "testing_env" / built)
    (root / "README.md").write_text("a project\n")
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    subprocess.run(["git", "-C", str(root), "add", "README.md"], check=True)
    return root


def test_product_leak_that_is_new_is_red_and_pasted_it_is_accepted(
    project: Path, tmp_path: Path
) -> None:
    """Exit code 5 with variable, place and side; report refuses; with its entries it passes."""
    accepted = tmp_path / "accepted.toml"
    known = (
        '[[leak]]\nsecret = "E2B_API_KEY"\n'  # pragma: allowlist secret
        'case = "planted"\nside = "*"\nwhere = "*"\n'
        'reason = "the product gives it to each sandbox"\n'
    )
    accepted.write_text(known)
    done = session(project, accepted)
    assert done.returncode == 5, done.stdout + done.stderr
    assert "Secret leaked in the product's run: PLANTED_PASSWORD (plain)" in done.stderr
    reports = project / "testing_env" / "reports" / "secret-scan"
    verdict = json.loads((reports / "verdict.json").read_text())
    leaks = {(f["kind"], f["path"]) for f in verdict["details"]["findings"]}
    assert {path.split("/")[2] for _, path in leaks} == {"local", "e2b"}
    assert any("wire: POST" in path for _, path in leaks)
    assert "PLANTED_PASSWORD" in (reports / "junit.xml").read_text()

    refused = subprocess.run(
        [sys.executable, "-m", "harness", "report"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 5
    accepted.write_text(
        known.replace("E2B_API_KEY", "PLANTED_PASSWORD").replace("the product", "a test") + known
    )
    done = session(project, accepted)
    assert done.returncode == 0, done.stdout + done.stderr
