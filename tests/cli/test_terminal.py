"""What commands say while they are busy."""

import re
import time

import pytest

from audit.cli.terminal import busy


def test_a_log_is_told_now_and_then_what_is_being_done(capsys: pytest.CaptureFixture[str]) -> None:
    written, deadline = "", time.monotonic() + 30
    with busy("merging the shards", period=0.05):
        while written.count("\n") < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
            written += capsys.readouterr().err
    assert re.fullmatch(r"(merging the shards; \d+ s so far\n){2,}", written)


def test_what_is_quick_says_nothing_to_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    with busy("merging the shards"):
        pass
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
