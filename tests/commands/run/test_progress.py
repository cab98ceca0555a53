"""What a person sees of a run while it goes on."""

import json
import re
from collections.abc import Iterator

import pytest

from audit.commands.run.progress import LoggedProgress, ProgressCounter, RunProgress, progress_line
from audit.demo.fake_replicate.server import in_thread
from audit.model import exit_status
from audit.model.codes import Reason
from audit.model.findings import Finding
from audit.model.replies import Requests
from tests.support.audits import Servers, Shell
from tests.support.faults import Slow
from tests.support.instrumented_replicate import Behaviour, InstrumentedReplicate, Rate
from tests.support.synthetic_users import SyntheticUsers
from tests.support.terminals import terminal

NEEDS = Finding(reason=Reason.OUTDATED_VERSION)
WRONG = Finding(reason=Reason.TIMEOUT)
FINE = Finding(reason=Reason.LATEST_VERSION)


def progress(**changes: object) -> RunProgress:
    plain = {"done": 1234, "total": 71000, "per_minute": 2380, "allowed": 2400, "needs_sync": 12, "errors": 3}
    return RunProgress(**{**plain, "left": 1680.0, "waiting": 0.0, **changes})  # type: ignore[arg-type]  # the test's


class FakeSession:
    """Requests that the test makes up, and a clock that it moves."""

    per_minute = 2400

    def __init__(self) -> None:
        self.now = 100.0
        self.requests = Requests()
        self.wait = 0.0

    def waiting(self) -> float:
        return self.wait

    def clock(self) -> float:
        return self.now


def shown(what: RunProgress | str, width: int, encoding: str = "utf-8") -> str:
    return progress_line(what, width, encoding=encoding).plain


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (90, "  1,234/71,000  2,380 of 2,400/min  12 need a sync  3 errors  28 min left"),
        (71, "1,234/71,000  2,380 of 2,400/min  12 need a sync  3 errors  28 min left"),
        (63, "1,234/71,000  2,380/min  12 need a sync  3 errors  28 min left"),
        (39, "1,234/71,000  12 sync  3 err"),
        (20, "1,234/71,000"),
        (5, "1,234"),
    ],
)
def test_what_matters_least_goes_first(width: int, line: str) -> None:
    got = shown(progress(), width)
    assert len(got) <= width
    assert got.endswith(line)


@pytest.mark.parametrize("waiting", [0.0, 12.4])
def test_no_width_is_too_narrow(waiting: float) -> None:
    for width in range(1, 200):
        assert len(shown(progress(waiting=waiting), width)) <= width
        assert len(shown("reading the database: 1,000 users", width)) <= width


@pytest.mark.parametrize("width", [80, 40, 24])
def test_a_wait_for_the_rate_limit_is_said_on_any_width(width: int) -> None:
    assert "waiting 12 s: rate limit" in shown(progress(waiting=12.4), width)


def test_a_bar_is_drawn_where_there_is_room_in_characters_that_there_are() -> None:
    half = progress(done=50, total=100)
    assert shown(half, 100).startswith("━" * 15 + "─" * 15 + " ")
    assert shown(half, 100, "cp1252").startswith("#" * 15 + "." * 15 + " ")
    assert shown(half, 100, "cp1252").isascii()


def test_rate_and_time_left_are_those_of_late() -> None:
    session = FakeSession()
    counter = ProgressCounter(session.clock)
    counter.start(100, session)
    assert (counter.progress().per_minute, counter.progress().left) == (None, None)
    for _ in range(20):
        session.now += 1
        session.requests += Requests(2)
        counter.add([NEEDS, FINE])
    now = counter.progress()
    assert (now.done, now.total, now.needs_sync, now.errors) == (20, 100, 20, 0)
    assert now.per_minute == 120
    assert now.left == pytest.approx(80, rel=0.1)


def test_a_log_has_a_line_every_ten_seconds_or_five_percent(capsys: pytest.CaptureFixture[str]) -> None:
    session = FakeSession()
    listener = LoggedProgress(clock=session.clock)
    listener.asking(1000, session)
    for _ in range(100):
        session.now += 0.5
        session.requests += Requests(1)
        listener.answered([WRONG])
    captured = capsys.readouterr()
    assert captured.out == ""
    first, *logged = captured.err.splitlines()
    assert first == "asking Replicate for 1,000 models"
    assert [line.split(" ")[0] for line in logged] == ["50", "100"]
    assert logged[0] == "50 of 1,000 models asked, 120 of 2,400 requests a minute, 0 need a sync, 50 errors, 8 min left"


def test_a_log_says_how_the_list_of_trainings_is_read_at_first_and_every_ten_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    session = FakeSession()
    listener = LoggedProgress(clock=session.clock)
    listener.trainings_read(0)
    for page in range(1, 31):
        session.now += 1
        listener.trainings_read(100 * page)
    logged = capsys.readouterr().err.splitlines()
    assert logged == [
        "reading the list of trainings",
        *(f"reading the list of trainings: {count:,} so far" for count in (1000, 2000, 3000)),
    ]


def test_a_log_says_how_weights_are_asked_for_at_first_and_every_ten_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    session = FakeSession()
    listener = LoggedProgress(clock=session.clock)
    for done in range(25):
        listener.weights_asked(done, 25)
        session.now += 1
    logged = capsys.readouterr().err.splitlines()
    assert logged == [f"asking for weights: {done} of 25" for done in (0, 10, 20)]


@pytest.fixture
def slow(shell: Shell, synthetic_servers: Servers, synthetic_users: SyntheticUsers) -> Iterator[Shell]:
    """An audit that takes a few seconds."""
    with in_thread(InstrumentedReplicate(synthetic_users, Behaviour(faults=(Slow(low=0.02, high=0.06),)))) as fake:
        shell.environ = Servers(synthetic_servers.dsn, fake).environ | {
            "SYNC_AUDIT_TIMEOUT": "20",
            "SYNC_AUDIT_CONCURRENCY": "4",
        }
        yield shell


def test_on_a_terminal_one_line_stays_in_place_and_is_gone_at_the_end(slow: Shell) -> None:
    with terminal(slow, "run", "-o", "json=-") as window:
        lines = window.until(lambda lines: lines and re.search(r"[1-9]\d*/2\d\d .* need a sync .* errors", lines[-1]))
        assert len(lines) == 1
        assert len(lines[0]) < 80
        window.resize(40)
        window.until(lambda lines: lines and re.fullmatch(r"[━─ ]*\d+/2\d\d  \d+ sync  \d+ err.*", lines[-1]))
        window.resize(100)
        assert window.process.stdout is not None
        assert json.load(window.process.stdout)["schema_version"] == 1
        assert window.to_the_end() == exit_status.INCOMPLETE
        assert not [line for line in window.lines if "━" in line or "/min" in line]
        assert window.lines[-1].startswith("exit 4: ")
        assert not window.cursor_hidden


def test_on_a_terminal_the_list_of_trainings_is_counted(
    shell: Shell, synthetic_servers: Servers, synthetic_users: SyntheticUsers
) -> None:
    with in_thread(
        InstrumentedReplicate(synthetic_users, Behaviour(faults=(Slow(low=0.1, high=0.3, on=("trainings",)),)))
    ) as fake:
        shell.environ = Servers(synthetic_servers.dsn, fake).environ
        with terminal(shell, "run", "--trainings", "-o", "x.json", "--limit", "5") as window:
            window.to_the_end()
            assert re.search(rb"reading the list of trainings: [1-9]\d*00\b", window.raw)
            assert not [line for line in window.lines if "reading the list" in line]


def test_a_narrow_terminal_without_colours_and_unicode_gets_a_line_of_its_own(slow: Shell) -> None:
    environ = {"NO_COLOR": "1", "PYTHONIOENCODING": "cp1252"}
    with terminal(slow, "run", "-o", "x.json", columns=40, **environ) as window:
        window.until(lambda lines: lines and re.search(r"[1-9]\d*/2\d\d  \d+ sync  \d+ err", lines[-1]))
        assert max(map(len, window.lines)) < 40
        window.to_the_end()
        assert not re.search(rb"\x1b\[(?:[0-9]+;)*[349][0-7]m", window.raw)
        assert window.raw.isascii()


def test_ctrl_c_in_the_middle_says_so_at_once_and_leaves_a_tidy_terminal(slow: Shell) -> None:
    with terminal(slow, "run", "-o", "x.json") as window:
        window.until(lambda lines: lines and re.search(r"[1-9]\d*/2\d\d", lines[-1]))
        window.type(b"\x03")
        assert window.to_the_end() == exit_status.INTERRUPTED
        assert b"stopping: waiting for the answers in flight" in window.raw
        assert "The run ended early: stopped by SIGINT" in "\n".join(window.lines)
        assert window.lines[-1].startswith("exit 130: ")
        assert not [line for line in window.lines if "━" in line or "stopping" in line]
        assert not window.cursor_hidden
    assert json.loads((slow.folder / "x.json").read_text())["run"]["state"] == "interrupted"


def test_a_wait_for_the_rate_limit_counts_down(
    shell: Shell, synthetic_servers: Servers, synthetic_users: SyntheticUsers
) -> None:
    with in_thread(InstrumentedReplicate(synthetic_users, Behaviour(rate=Rate(per_minute=60, burst=20)))) as fake:
        shell.environ = Servers(synthetic_servers.dsn, fake).environ
        with terminal(shell, "run", "-o", "x.json", SYNC_AUDIT_RETRIES="4") as window:
            window.until(lambda lines: any("s: rate limit" in line for line in lines))
            window.type(b"\x03")
            assert window.to_the_end() == exit_status.INTERRUPTED


@pytest.mark.parametrize("quiet", [["-q"], ["--no-progress"]])
def test_nothing_is_shown_to_who_does_not_want_it(slow: Shell, quiet: list[str]) -> None:
    with terminal(slow, "run", "-o", "x.json", "--limit", "20", *quiet) as window:
        window.to_the_end()
        assert b"\x1b[?25l" not in window.raw
        assert window.lines[1].startswith("20 users: ")


def test_a_dumb_terminal_gets_plain_lines(slow: Shell) -> None:
    with terminal(slow, "run", "-o", "x.json", "--limit", "20", TERM="dumb") as window:
        window.to_the_end()
        assert b"\x1b" not in window.raw
        assert re.fullmatch(r"asking Replicate for \d+ models", window.lines[0])


def test_colours_by_force_are_no_reason_to_animate_a_log(slow: Shell) -> None:
    err = slow("run", "-o", "x.json", "--limit", "20", FORCE_COLOR="1").err
    assert re.match(r"asking Replicate for \d+ models\n", err)
    assert "\x1b[?25l" not in err


def test_where_logs_are_json_progress_is_too(slow: Shell) -> None:
    first = slow("run", "-o", "x.json", "--limit", "20", "--log-format", "json").err.splitlines()[0]
    line = json.loads(first)
    assert line.keys() == {"time", "level", "event"}
    assert re.fullmatch(r"asking Replicate for \d+ models", line["event"])
