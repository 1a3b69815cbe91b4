"""What a pipeline wrote is told from what was there or was uploaded."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from harness.targets.osiris.sandbox_home import copy_sandbox_outputs, is_output


@pytest.mark.parametrize(
    "path",
    [
        "output/a.csv",
        "a.csv",
        "mine.py",
        "output/session/a.csv",
        "output/proxy_worker.py",
        ".hidden.csv",
        "osiris.csv",
        "deep/.cache/x",
    ],
)
def test_is_output_what_the_pipeline_may_write(path: str) -> None:
    """Only the names that are taken are left out, and only where they are taken."""
    assert is_output(PurePosixPath(path))


@pytest.mark.parametrize(
    "path",
    [
        "session/x/events.jsonl",
        "osiris/core/driver.py",
        "components/a.b/spec.yaml",
        "proxy_worker.py",
        "commands.jsonl",
        ".bashrc",
        ".cache/pip/x",
        "__pycache__/proxy_worker.cpython-311.pyc",
    ],
)
def test_is_output_not_what_osiris_or_the_template_put_there(path: str) -> None:
    """Uploads and the template's own files are no outputs."""
    assert not is_output(PurePosixPath(path))


def test_copy_sandbox_outputs_keeps_paths(tmp_path: Path) -> None:
    """The relative path in the sandbox is the path in the evidence."""
    for name in ("home/output/deep/a.csv", "home/session/s/x", "home/.bashrc"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    copy_sandbox_outputs(tmp_path / "home", tmp_path / "outputs")
    files = [path for path in (tmp_path / "outputs").rglob("*") if path.is_file()]
    assert files == [tmp_path / "outputs" / "output" / "deep" / "a.csv"]
