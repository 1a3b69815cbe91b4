"""The tutorial's commands, run as they stand there, in a new folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "first-verdict.md"
BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXPECTED = re.compile(r"# exit code (\d+)$")


def test_every_command_of_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    """A newcomer who pastes the blocks one after the other sees what the page promises."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    said = ""
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert blocks
    for block in blocks:
        expected = EXPECTED.search(block.strip())
        done = subprocess.run(
            ["bash", "-e", "-c", block],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        said += done.stdout
        assert done.returncode == int(expected[1] if expected else 0), (block, done)
    assert "job   succeeded  succeeded  passed" in said
    assert "66149aed85  stdout/lines  extra" in said
    assert "where  succeeded  succeeded  known" in said
    assert "place.txt" not in said
    assert 'reason = "only the sandbox says it"' in (tmp_path / "where.allowances.toml").read_text()
