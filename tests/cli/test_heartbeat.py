"""The timer that keeps a log from being silent."""

import fcntl
import io
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress

import pytest

from audit.cli.heartbeat import Heartbeat
from audit.cli.streams import takes_more


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def unread() -> Iterator[int]:
    """Standard error is a pipe that is full, whose other end is this descriptor."""
    reading, writing = os.pipe()
    size = fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ)
    os.write(writing, b"x" * size)
    with os.fdopen(writing, "w") as stream, redirect_stderr(stream):
        yield reading
        os.read(reading, size)  # closing flushes
    os.close(reading)


def test_a_line_is_written_after_each_period_of_silence(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    heart = Heartbeat(lambda: f"at {clock.now:.0f}", period=20, clock=clock)
    assert heart.beat() == 20
    clock.now += 15
    heart.progress("news")
    clock.now += 15
    heart.line("no news")
    assert heart.beat() == 5
    clock.now += 5
    assert heart.beat() == 20
    assert capsys.readouterr().err.splitlines() == ["news", "no news", "at 135"]


def test_it_beats_from_a_thread_that_is_gone_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    beaten = threading.Event()

    def words() -> str:
        beaten.set()
        return "still there"

    heart = Heartbeat(words, period=0.01)
    for _ in range(2):
        beaten.clear()
        with suppress(KeyError), heart:
            assert beaten.wait(30)
            raise KeyError  # whatever ends the command
        assert not [thread for thread in threading.enumerate() if thread.name == "heartbeat"]
        assert "still there\n" in capsys.readouterr().err


def test_it_never_waits_for_a_reader_who_does_not_read() -> None:
    clock = Clock()
    heart = Heartbeat(lambda: "x" * 100, period=20, clock=clock)
    clock.now += 60
    with unread() as reader:
        assert not takes_more(sys.stderr)
        assert heart.beat() < 20
        os.read(reader, 8192)
        assert heart.beat() == 20


def test_it_never_waits_for_a_line_that_is_being_written() -> None:
    clock, begun, end = Clock(), threading.Event(), threading.Event()

    def write(_: str) -> None:
        begun.set()
        assert end.wait(30)

    heart = Heartbeat(lambda: "beat", write, period=20, clock=clock)
    writing = threading.Thread(target=heart.line, args=("a long line",))
    writing.start()
    assert begun.wait(30)
    clock.now += 60
    assert heart.beat() < 20
    end.set()
    writing.join()
    assert heart.beat() == 20


def test_where_nobody_can_tell_whether_there_is_room_a_line_is_written() -> None:
    closed = io.StringIO()
    closed.close()
    assert takes_more(io.StringIO())
    assert takes_more(closed)
