"""Captured output is bounded, complete up to the call, and never holds anyone up."""

from __future__ import annotations

import os
import threading
from io import FileIO

from harness.targets.streams import BoundedText, StreamCapture


def test_bounded_text_within_the_bound_is_whole() -> None:
    """Nothing is lost, also where a character lies across two reads."""
    text = BoundedText(64)
    for byte in "grün, 🚀".encode():
        text.append(bytes([byte]))
    assert text.text() == "grün, 🚀"
    assert not text.truncated


def test_bounded_text_beyond_the_bound_keeps_both_ends() -> None:
    """The beginning and the end stay, and the gap is counted to the byte."""
    text = BoundedText(20)
    for number in range(1000):
        text.append(f"{number:04d}".encode())
    assert text.truncated
    assert text.text().startswith("0000000100")
    assert text.text().endswith("9709980999")
    assert "[... 3980 bytes left out ...]" in text.text()


def test_bounded_text_one_large_chunk_keeps_both_ends() -> None:
    """A single read beyond the bound is cut like many small ones."""
    text = BoundedText(8)
    text.append(b"aaaa" + b"." * 100 + b"zzzz")
    assert text.text() == "aaaa\n[... 100 bytes left out ...]\nzzzz"


def test_capture_text_has_all_that_was_written_before_the_call() -> None:
    """No wait and no sleep: what stood in the pipe is in the text."""
    read, write = os.pipe()
    with StreamCapture({"out": FileIO(read)}) as capture:
        for number in range(200):
            os.write(write, f"{number}\n".encode())
            assert capture.text("out").endswith(f"{number}\n")
        os.close(write)
    assert capture.text("out") == "".join(f"{number}\n" for number in range(200))


def test_capture_two_full_pipes_does_not_deadlock() -> None:
    """A writer that fills both pipes gets rid of all of it."""
    pipes = {name: os.pipe() for name in ("out", "err")}

    def write(name: str) -> None:
        with os.fdopen(pipes[name][1], "wb") as file:
            file.write(b"y" * 3_000_000)

    writers = [threading.Thread(target=write, args=(name,)) for name in pipes]
    capture = StreamCapture(
        {name: FileIO(read) for name, (read, _) in pipes.items()}, limit_bytes=4_000_000
    )
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=60)
        assert not writer.is_alive()
    capture.close()
    assert (len(capture.text("out")), len(capture.text("err"))) == (3_000_000, 3_000_000)


def test_capture_close_while_a_writer_stays_open_returns() -> None:
    """A process that got away with the pipe cannot hold the caller up; its words are kept."""
    read, write = os.pipe()
    capture = StreamCapture({"out": FileIO(read)})
    os.write(write, b"said before")
    capture.close()
    capture.close()
    assert capture.text("out") == "said before"
    os.close(write)
