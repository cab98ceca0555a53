"""What a log is told of a repair."""

import io
import re
import time

import pytest
from rich.console import Console

from audit.commands.sync.confirm import TerminalListener
from audit.model.replies import Awaited
from tests.commands.run.test_progress import FakeSession


@pytest.mark.parametrize(
    ("awaited", "words"),
    [
        (None, r"fixing: 3 of 12 rows"),
        (Awaited("model", "acme/m", 45, 2, 5), r"fixing: 3 of 12 rows; waiting 45 s for acme/m, attempt 2 of 5"),
        (Awaited("trainings", "", 45, 1, 5), r".* rows; waiting 45 s for the list of trainings, attempt 1 of 5"),
    ],
)
@pytest.mark.parametrize("redacted", [False, True])
def test_a_log_is_told_what_a_repair_waits_for(awaited: Awaited | None, words: str, *, redacted: bool) -> None:
    session, written = FakeSession(), io.StringIO()
    session.awaited = awaited
    words = words.replace("acme/m", "a model") if redacted else words
    listener = TerminalListener(Console(file=written), redacted=redacted, period=0.05)
    listener.connected(session)
    listener.doing("fixing: 3 of 12 rows")
    deadline = time.monotonic() + 30
    while not (found := re.search(f"^{words}$", written.getvalue(), re.MULTILINE)) and time.monotonic() < deadline:
        time.sleep(0.01)
    listener.done()
    assert found, written.getvalue()
