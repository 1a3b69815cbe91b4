"""What `harness parity` is told and cannot do ends in three lines and exit code 2, at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import cli


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("run --shard 9/8", "not a shard: '9/8'"),
        ("run --shard 0/8", "not a shard: '0/8'"),
        ("run --shard two", "not a shard: 'two'"),
        ("run --shard 1/400", "shard 1/400 of"),
        ("run --explore 0", "Invalid value for"),
        ("run --explore many", "Invalid value for '--explore'"),
        ("run --explore 5 --seed x", "Invalid value for"),
        ("run --explore 5 --case duckdb-chain", "--explore does not go with"),
        ("run --explore 5 --shard 1/2", "--explore does not go with"),
        ("run --explore 5 --list", "--explore does not go with"),
        ("run --explore 2 --files . -- true", "draws no pipelines"),
        ("run --calibrate 0", "Invalid value for"),
        ("run --calibrate x", "Invalid value for"),
        ("run -n -1", "Invalid value for '-n'"),
        ("run --plan hobby", "--plan hobby without --live-endpoint emulator"),
        ("run --plan gold --live-endpoint emulator", "'gold' is not one of"),
        ("run --case no-such-case", "unknown case: 'no-such-case'"),
        ("run --cases nowhere", "--cases nowhere: no file"),
        ("run --cases .", "--cases .: no case"),
        ("run --cases . --shard 1/2", "--cases does not go with"),
        ("run --cases . --explore 2", "--explore does not go with"),
        ("accept", "not one way to say what is accepted"),
        ("accept --known --reason r", "not one way to say what is accepted"),
        ("accept --known", "no parity run has left a verdict"),
        ("merge", "no verdict of a shard"),
    ],
)
def test_words_that_do_not_fit_are_refused_in_three_lines(
    words: str,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What was given, what is expected, what to do next; nothing is run."""
    monkeypatch.chdir(tmp_path)
    code = cli._run(["parity", *words.split()])
    lines = capsys.readouterr().err.strip().splitlines()
    assert (code, len(lines)) == (2, 3), lines
    assert told in lines[0]
    assert lines[1].startswith("expected: ")
    assert lines[2].startswith("next: ")
