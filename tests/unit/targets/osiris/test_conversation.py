"""Whatever the product's process does, a question has an answer."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from harness.targets.osiris.conversation import Answer, Conversation, Ending

CHILD = Path(__file__).parents[3] / "support" / "children" / "talking.py"


def converse(cwd: Path, *, grace_s: float = 60) -> Conversation:
    return Conversation([sys.executable, str(CHILD)], cwd=cwd, env={}, grace_s=grace_s)


def test_ask_answer_and_streams_are_kept_apart(tmp_path: Path) -> None:
    """The answer comes by its own pipe; what the process printed is in its streams by then."""
    with converse(tmp_path) as child:
        answer = child.ask("echo", deadline_s=120, text="hello")
        assert answer.ending is Ending.ANSWERED
        assert answer.result["text"] == "hello"
        assert child.stdout == "hello\n"
        again = child.ask("echo", deadline_s=120, text="again")
        assert again.result["text"] == "again"


def test_ask_exception_of_the_product_is_an_answer(tmp_path: Path) -> None:
    """Type, words and traceback are kept, and the child can be asked again."""
    with converse(tmp_path) as child:
        answer = child.ask("fail", deadline_s=120)
        assert (answer.ending, answer.error_type, answer.error) == (
            Ending.RAISED,
            "ValueError",
            "no",
        )
        assert child.ask("echo", deadline_s=120).ending is Ending.ANSWERED


@pytest.mark.parametrize(
    ("operation", "words", "exit_code"),
    [
        ("exit", "exit code 3", 3),
        ("sandbox_then_crash", "signal SIGSEGV", 139),
        ("crash_half_way", "exit code 0", 0),
        ("leave_a_child", "exit code 4", 4),
    ],
)
def test_ask_crash_is_an_answer_that_names_it(
    tmp_path: Path, operation: str, words: str, exit_code: int
) -> None:
    """The end of the process is told with its code or signal, also if a grandchild holds on."""
    with converse(tmp_path) as child:
        answer = child.ask(operation, deadline_s=120)
        assert answer.ending is Ending.CRASHED
        assert answer.error is not None
        assert words in answer.error
        assert operation in answer.error
        assert answer.exit_code == exit_code
        assert answer.duration_s < 60


@pytest.mark.parametrize("operation", ["garbage", "not_an_answer"])
def test_ask_unreadable_answer_counts_as_a_crash(tmp_path: Path, operation: str) -> None:
    """Nonsense on the pipe ends the child and says what was read."""
    with converse(tmp_path) as child:
        answer = child.ask(operation, deadline_s=120)
        assert answer.ending is Ending.CRASHED
        assert answer.error is not None
        assert "unreadable" in answer.error


@pytest.mark.parametrize(
    ("before", "grace_s", "signal"), [("echo", 60, "SIGTERM"), ("be_stubborn", 0.3, "SIGKILL")]
)
def test_ask_hang_ends_at_the_deadline(
    tmp_path: Path, before: str, grace_s: float, signal: str
) -> None:
    """SIGTERM first, SIGKILL after the grace; the answer says which it took."""
    with converse(tmp_path, grace_s=grace_s) as child:
        assert child.ask(before, deadline_s=120).ending is Ending.ANSWERED
        answer = child.ask("hang", deadline_s=0.5)
        assert answer.ending is Ending.TIMED_OUT
        assert answer.error is not None
        assert signal in answer.error
        assert "0.5 s" in answer.error


def test_ask_after_the_end_has_the_same_answer(tmp_path: Path) -> None:
    """A child that is gone stays gone; no question waits for it."""
    with converse(tmp_path) as child:
        first = child.ask("exit", deadline_s=120)
        second = child.ask("echo", deadline_s=120)
        assert (second.ending, second.error) == (first.ending, first.error)
        assert second.duration_s == 0


def test_ask_huge_output_is_bounded_and_does_not_deadlock(tmp_path: Path) -> None:
    """40 MiB on each stream come through; the end is kept and the gap is told."""
    with converse(tmp_path) as child:
        answer = child.ask("flood", deadline_s=120, blocks=40 * 1024)
        assert answer.ending is Ending.ANSWERED
        assert child.stdout.endswith("the last line\n")
        assert "bytes left out" in child.stdout
        assert len(child.stdout) < 17 * 1024 * 1024


def test_sandbox_ids_are_known_also_after_a_crash(tmp_path: Path) -> None:
    """What the product told of before its end is not lost with it."""
    with converse(tmp_path) as child:
        child.ask("sandbox", deadline_s=120)
        child.ask("sandbox_then_crash", deadline_s=120)
        assert child.sandbox_ids == ("sbx-1", "sbx-2")


def test_abort_from_another_thread_ends_the_question(tmp_path: Path) -> None:
    """A call under way returns as a crash, long before its deadline."""
    with converse(tmp_path) as child:
        answers: list[Answer] = []
        asking = threading.Thread(target=lambda: answers.append(child.ask("hang", deadline_s=120)))
        asking.start()
        child.abort()
        asking.join(60)
        child.abort()
    assert [answer.ending for answer in answers] == [Ending.CRASHED]
    assert "SIGTERM" in str(answers[0].error)


def test_close_twice_is_fine_and_ends_the_child(tmp_path: Path) -> None:
    """The child is gone after the first."""
    child = converse(tmp_path)
    assert child.ask("echo", deadline_s=120).ending is Ending.ANSWERED
    child.close()
    child.close()
    assert not Path(f"/proc/{child.pid}").exists()
