"""A program run on this machine by its adapter: what is seen of it, and what is not."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.model.evidence import Evidence, FileRole
from harness.model.run import ExecutionContext
from harness.model.side import Side
from harness.parity.normalise import normalise_evidence
from harness.settings import Settings
from harness.targets.command import CommandProgram, CommandTarget

Run = Callable[..., Evidence]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs shell words in a folder with one file, and gathers the evidence."""
    job = tmp_path / "job"
    job.mkdir()
    (job / "input.txt").write_text("given\n")
    settings = Settings.load()

    def once(script: str, **changes: object) -> Evidence:
        program = CommandProgram(
            words=("sh", "-c", script),
            folder=job,
            path=os.pathsep.join(os.get_exec_path()),
            **changes,  # type: ignore[arg-type]
        )
        target = CommandTarget(settings=settings, program=program)
        (case,) = target.cases()
        number = len(list(tmp_path.iterdir()))
        context = ExecutionContext(
            session_id="s",
            base_path=tmp_path / f"run-{number}",
            started_at=datetime(2026, 11, 23, tzinfo=UTC),
        )
        adapter = target.adapter(Side.LOCAL)
        try:
            prepared = adapter.prepare(case, context)
            result = adapter.execute(prepared, context)
            collected = adapter.collect(prepared, context)
        finally:
            adapter.close()
        return target.gather(Side.LOCAL, case, context, result, collected)

    return once


def test_all_that_a_program_does_is_evidence(run: Run) -> None:
    """Files with modes, folders, links, what was removed, what is at home, both streams."""
    seen = run(
        "echo out; echo err >&2; mkdir d; ln -s d l; echo x > d/f; chmod 600 d/f; "
        'rm input.txt; echo y > "$HOME/h"; exit 4'
    )
    assert (seen.result.success, seen.result.exit_code) == (False, 4)
    assert (seen.result.stdout, seen.result.stderr) == ("out\n", "err\n")
    assert {(file.role, file.path, file.mode) for file in seen.files} == {
        (FileRole.OUTPUT, "d/f", 0o600),
        (FileRole.ARTIFACT, "home/h", 0o644),
    }
    assert seen.status is not None
    assert seen.status["folders"] == {"d": "0o755"}
    assert seen.status["links"] == {"l": "d"}
    assert seen.status["removed"] == {"input.txt": "removed"}


def test_what_is_of_the_machine_is_a_token(run: Run) -> None:
    """Where it ran and where programs lie are no difference to anyone."""
    seen = normalise_evidence(run('pwd; echo "$PATH"; echo "$HOME" "$TMPDIR"')).evidence
    assert seen.result.stdout.splitlines() == [
        "<project:1>",
        "<search-path:1>",
        "<home:1> <tmp:1>",
    ]


def test_search_path_that_was_asked_for_is_compared(run: Run) -> None:
    """A variable of the person's own is content."""
    asked = run('echo "$PATH"', env={"PATH": "/usr/bin:/bin"})
    assert normalise_evidence(asked).evidence.result.stdout == "/usr/bin:/bin\n"


def test_program_sees_nothing_of_the_person_s_environment(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what was asked for, and what every program needs."""
    monkeypatch.setenv("PRIVATE", "mine")
    seen = run("env | cut -d= -f1 | sort", env={"ASKED": "1"})
    assert {"ASKED", "HOME", "LANG", "PATH", "TMPDIR"} <= set(seen.result.stdout.split())
    assert "PRIVATE" not in seen.result.stdout


def test_program_that_takes_too_long_is_ended_with_its_children(run: Run) -> None:
    """A deadline is a result; nothing that it started goes on."""
    seen = run("sleep 60 & sleep 60", deadline_s=0.5)
    assert seen.result.timed_out
    assert seen.result.error_message == "passed its deadline of 0.5 s"


def test_program_that_is_killed_has_crashed(run: Run) -> None:
    """By which signal is told."""
    seen = run("kill -SEGV $$")
    assert seen.result.crashed
    assert seen.result.error_message == "ended by signal SIGSEGV"


def test_environment_is_evidence_where_it_is_asked_for(run: Run) -> None:
    """And only there."""
    assert "environment" not in (run("true").status or {})
    assert "environment" in (run("true", compare_env=True).status or {})


def test_context_is_used_once(run: Run, tmp_path: Path) -> None:
    """A second run in the same folder would compare leftovers."""
    run("true")
    folder = next(path for path in tmp_path.iterdir() if path.name.startswith("run-"))
    target = CommandTarget(
        settings=Settings.load(),
        program=CommandProgram(
            words=("true",), folder=tmp_path / "job", path=os.pathsep.join(os.get_exec_path())
        ),
    )
    context = ExecutionContext(
        session_id="s", base_path=folder, started_at=datetime(2026, 11, 23, tzinfo=UTC)
    )
    (folder / "job.tar").write_bytes(b"")
    with pytest.raises(UsageError, match="used already"):
        target.adapter(Side.LOCAL).prepare(target.cases()[0], context)
