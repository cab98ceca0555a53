"""What a person sees of a run while it goes on."""

import asyncio
import dataclasses
import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from itertools import pairwise
from pathlib import Path
from typing import Literal

import asyncpg
import pytest
from msgspec.structs import replace

from audit.cli.signals import Stop
from audit.commands.run import audit as audit_run
from audit.commands.run.progress import LoggedProgress, ProgressCounter, reading_trainings, reading_users, stopping
from audit.commands.run.progress_line import RunProgress, progress_line
from audit.commands.waiting import Doing, HeldUp
from audit.demo.fake_replicate.faults import Endpoint, Hang
from audit.demo.fake_replicate.server import in_thread
from audit.demo.fake_replicate.world import Model
from audit.model import exit_status
from audit.model.codes import Reason
from audit.model.findings import Finding
from audit.model.replies import Awaited, TrainingsRead
from audit.model.run import Filters
from tests.support.audits import Servers, Shell
from tests.support.faults import Slow
from tests.support.instrumented_replicate import Behaviour, InstrumentedReplicate, Rate
from tests.support.synthetic_users import OWNER, SyntheticUsers
from tests.support.terminals import terminal

NEEDS = Finding(reason=Reason.OUTDATED_VERSION)
WRONG = Finding(reason=Reason.TIMEOUT)
FINE = Finding(reason=Reason.LATEST_VERSION)


def progress(**changes: object) -> RunProgress:
    plain = {"done": 1234, "total": 71000, "sent": 2380, "allowed": 2400, "needs_sync": 12, "errors": 3}
    return RunProgress(**{**plain, "left": 1680.0, **changes})  # type: ignore[arg-type]  # the test's


def by(
    seconds: float, model: str = "acme/portrait", attempt: int = 2, attempts: int = 5, in_flight: int = 1
) -> Awaited:
    return Awaited("model", model, seconds, attempt, attempts, in_flight)


class FakeSession:
    """Requests that the test makes up, and a clock that it moves."""

    per_minute = 2400

    def __init__(self) -> None:
        self.now = 100.0
        self.sent = 0
        self.wait = 0.0
        self.awaited: Awaited | None = None

    def waiting(self) -> float:
        return self.wait

    def last_minute(self) -> int:
        return self.sent

    def longest_wait(self) -> Awaited | None:
        return self.awaited

    def clock(self) -> float:
        return self.now

    def counter(self, models: int, **options: bool) -> ProgressCounter:
        """One that has just begun to ask for so many."""
        counter = ProgressCounter(self.clock, **options)
        counter.start(models, self)
        return counter

    def answers(self, counter: ProgressCounter | LoggedProgress, models: int, every: float = 1.0) -> None:
        for _ in range(models):
            self.now += every
            self.sent += 2
            (counter.add if isinstance(counter, ProgressCounter) else counter.answered)([NEEDS, FINE])


def run_progress(counter: ProgressCounter) -> RunProgress:
    now = counter.progress()
    assert isinstance(now, RunProgress)
    return now


@contextmanager
def closing(listener: LoggedProgress) -> Iterator[LoggedProgress]:
    try:
        yield listener
    finally:
        listener.done()


def shown(what: RunProgress | Doing, width: int, encoding: str = "utf-8") -> str:
    return progress_line(what, width, encoding=encoding).plain


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (
            100,
            "  1,234/71,000  2,380 of 2,400 allowed this minute  12 need a sync  3 errors  28 min left",
        ),
        (79, "1,234/71,000  2,380/2,400 this min  12 need a sync  3 errors  28 min left"),
        (63, "  1,234/71,000  12 need a sync  3 errors  28 min left"),
        (41, "1,234/71,000  12 sync  3 err  28 min left"),
        (39, "  1,234/71,000  12 sync  3 err"),
        (20, "1,234/71,000"),
        (5, "1,234"),
    ],
)
def test_what_matters_least_goes_first(width: int, line: str) -> None:
    got = shown(progress(), width)
    assert len(got) <= width
    assert got.endswith(line)


LONG = by(45, "acme-photos-and-more/" + "portrait-of-" * 6 + "customer-0017")


@pytest.mark.parametrize(
    ("awaited", "width", "line"),
    [
        (by(45), 79, "59/60  waiting 45 s for acme/portrait, attempt 2 of 5  1 needs a sync  1 error"),
        (by(45), 72, "59/60  waiting 45 s for acme/portrait, attempt 2 of 5  1 sync  1 err"),
        (by(45), 60, "59/60  waiting 45 s for acme/portrait, attempt 2 of 5"),
        (by(45), 50, "━━━━━━━━━━─  59/60  waiting 45 s for acme/portrait"),
        (by(45), 39, "59/60  waiting 45 s for acme/portrait"),
        (by(45), 33, "waiting 45 s for acme/portrait"),
        (by(45), 20, "59/60  waiting 45 s"),
        (by(45), 15, "waiting 45 s"),
        (by(200, attempts=1), 39, "59/60  waiting 3 min for acme/portrait"),
        (LONG, 79, "59/60  waiting 45 s for ...ortrait-of-portrait-of-customer-0017, attempt 2 of 5"),
        (LONG, 39, "59/60  waiting 45 s for ...ustomer-0017"),
        (Awaited("training", "abc", 45, 1, 5), 60, "59/60  waiting 45 s for training abc, attempt 1 of 5"),
        (
            Awaited("weights", "replicate.delivery", 45, 1, 1),
            60,
            "59/60  waiting 45 s for weights at replicate.delivery",
        ),
    ],
)
def test_what_is_waited_for_stands_in_the_place_of_the_time_left_on_any_width(
    awaited: Awaited, width: int, line: str
) -> None:
    held = HeldUp.by(awaited, redacted=False)
    got = shown(progress(done=59, total=60, needs_sync=1, errors=1, held=held), width)
    assert got.endswith(line)
    assert len(got) <= width
    assert "left" not in got


@pytest.mark.parametrize(
    ("step", "width", "line"),
    [
        (reading_users(0), 79, "reading the database"),
        (
            dataclasses.replace(reading_users(0), seconds=45),
            79,
            "reading the database; waiting 45 s for the first user",
        ),
        (dataclasses.replace(reading_users(0), seconds=45), 39, "reading the database; 45 s"),
        (
            dataclasses.replace(reading_users(71_000), seconds=45),
            79,
            "reading the database: 71,000 users; waiting 45 s for more",
        ),
        (dataclasses.replace(reading_users(1), seconds=4), 79, "reading the database: 1 user"),
        (Doing("writing the reports", 200), 39, "writing the reports; 3 min so far"),
        (
            dataclasses.replace(reading_trainings(300), held=HeldUp.by(by(45), redacted=False)),
            90,
            "reading the list of trainings: 300 so far; waiting 45 s for acme/portrait, attempt 2 of 5",
        ),
        (
            dataclasses.replace(reading_trainings(300), held=HeldUp.by(by(45), redacted=False)),
            79,
            "waiting 45 s for acme/portrait, attempt 2 of 5",
        ),
        (
            dataclasses.replace(reading_trainings(300), held=HeldUp.by(by(45), redacted=False)),
            39,
            "waiting 45 s for acme/portrait",
        ),
    ],
)
def test_a_step_says_how_long_nothing_has_come_of_it_on_any_width(step: Doing, width: int, line: str) -> None:
    assert shown(step, width) == line


HELD = [
    None,
    HeldUp(12.4, why="rate limit"),
    HeldUp(12.4, why="Replicate is not answering"),
    *(HeldUp.by(awaited, redacted=redacted) for awaited in (by(45), LONG) for redacted in (False, True)),
]


@pytest.mark.parametrize("held", HELD, ids=str)
def test_no_width_is_too_narrow(held: HeldUp | None) -> None:
    for width in range(1, 200):
        assert len(shown(progress(held=held), width)) <= width
        for step in (Doing("reading the database: 1,000 users"), Doing("reading", 7.0), Doing("asking", held=held)):
            assert len(shown(step, width)) <= width


@pytest.mark.parametrize("width", [80, 40, 24])
def test_a_wait_for_the_rate_limit_is_said_on_any_width(width: int) -> None:
    assert "waiting 12 s: rate limit" in shown(progress(held=HeldUp(12.4, why="rate limit")), width)


def test_a_bar_is_drawn_where_there_is_room_in_characters_that_there_are() -> None:
    half = progress(done=50, total=100)
    assert shown(half, 120).startswith("━" * 15 + "─" * 15 + " ")
    assert shown(half, 120, "cp1252").startswith("#" * 15 + "." * 15 + " ")
    assert shown(half, 120, "cp1252").isascii()


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"done": 800, "total": 2000, "sent": 800},
            "800 of 2,000 models asked, 800 of 2,400 allowed this minute, 12 need a sync, 3 errors, 28 min left",
        ),
        (
            {"done": 0, "total": 1, "sent": 1, "needs_sync": 1, "errors": 1, "left": None},
            "0 of 1 model asked, 1 of 2,400 allowed this minute, 1 needs a sync, 1 error",
        ),
        (
            {"done": 59, "total": 60, "held": HeldUp.by(by(45, "owner/name"), redacted=False)},
            "59 of 60; waiting 45 s for owner/name, attempt 2 of 5; 12 need a sync, 3 errors",
        ),
        (
            {"held": HeldUp(12.4, why="rate limit")},
            "1,234 of 71,000; waiting 12 s: rate limit; 12 need a sync, 3 errors",
        ),
    ],
)
def test_a_log_is_told_all_of_it(changes: dict[str, object], line: str) -> None:
    assert progress(**changes).sentence() == line


def test_the_time_left_is_that_of_late() -> None:
    session = FakeSession()
    counter = session.counter(100)
    assert run_progress(counter).left is None
    session.answers(counter, 20)
    now = run_progress(counter)
    assert (now.done, now.total, now.needs_sync, now.errors) == (20, 100, 20, 0)
    assert (now.sent, now.allowed) == (40, 2400)
    assert now.left == pytest.approx(80, rel=0.1)


@pytest.mark.parametrize(
    ("models", "awaited", "quiet", "left", "held"),
    [
        pytest.param(100, by(0.3, in_flight=32), 0.3, True, False, id="all is well"),
        pytest.param(100, by(45, in_flight=32), 0.3, True, False, id="one hangs and others are answered"),
        pytest.param(41, by(0.3), 0.3, True, False, id="the last one"),
        pytest.param(41, by(2.0), 2.0, False, False, id="the last one, slower than reckoned"),
        pytest.param(41, by(6.0), 2.0, False, True, id="the last one, for which everybody waits"),
        pytest.param(41, by(45), 0.3, True, True, id="the last one, which was asked long ago"),
        pytest.param(43, by(45, in_flight=3), 0.3, True, True, id="the last three"),
        pytest.param(100, by(6.0, in_flight=32), 6.0, True, True, id="all hang"),
        pytest.param(41, None, 40.0, False, False, id="a turn is waited for"),
    ],
)
def test_what_is_waited_for_is_said_when_nothing_else_goes_on(
    models: int, awaited: Awaited | None, quiet: float, *, left: bool, held: bool
) -> None:
    session = FakeSession()
    counter = session.counter(models)
    session.answers(counter, 40)
    session.awaited = awaited
    session.now += quiet
    now = run_progress(counter)
    assert (now.left is not None, now.held is not None) == (left, held)
    assert "left" not in shown(now, 80) or not held


def test_who_wants_no_names_is_told_of_none() -> None:
    session = FakeSession()
    counter = session.counter(1, redacted=True)
    session.awaited = by(45, "acme/beatriz-costa")
    session.now += 6
    assert "waiting 45 s for a model, attempt 2 of 5" in run_progress(counter).sentence()
    session.awaited = Awaited("training", "beatriz-costa", 45, 1, 5)
    assert "waiting 45 s for a training, attempt 1 of 5" in run_progress(counter).sentence()


def test_a_name_that_acts_on_a_terminal_does_not() -> None:
    assert str(HeldUp.by(by(45, "acme/\x1b[2Jx"), redacted=False)).startswith("waiting 45 s for acme/\\x1b[2Jx")


def test_while_the_service_is_down_the_next_try_is_told() -> None:
    session = FakeSession()
    counter = session.counter(800)
    counter.pause(60)
    session.now += 25
    assert run_progress(counter).sentence() == (
        "0 of 800; waiting 35 s: Replicate is not answering; 0 need a sync, 0 errors"
    )
    session.now, session.awaited = session.now + 42, by(7, attempt=1, attempts=1)
    assert "waiting 7 s for acme/portrait;" in run_progress(counter).sentence()


def test_a_log_has_a_line_every_ten_seconds_or_five_percent(capsys: pytest.CaptureFixture[str]) -> None:
    session = FakeSession()
    with closing(LoggedProgress(clock=session.clock)) as listener:
        listener.asking(1000, session)
        for _ in range(100):
            session.now += 0.5
            session.sent += 1
            listener.answered([WRONG])
    captured = capsys.readouterr()
    assert captured.out == ""
    first, *logged = captured.err.splitlines()
    assert first == "asking Replicate for 1,000 models"
    assert [line.split(" ")[0] for line in logged] == ["50", "100"]
    assert logged[0] == (
        "50 of 1,000 models asked, 50 of 2,400 allowed this minute, 0 need a sync, 50 errors, 8 min left"
    )


@pytest.mark.parametrize(
    ("report", "lines"),
    [
        (
            lambda listener, step: listener.trainings_read(100 * step),
            [
                "reading the list of trainings",
                *(f"reading the list of trainings: {count:,} so far" for count in (1000, 2000, 3000)),
            ],
        ),
        (
            lambda listener, step: listener.weights_asked(step, 31),
            [f"asking for weights: {done} of 31" for done in (0, 10, 20, 30)],
        ),
        (
            lambda listener, step: listener.users_read(1000 * step),
            [f"reading the database: {count:,} users" for count in (10000, 20000, 30000)],
        ),
    ],
)
def test_a_log_counts_what_is_read_every_ten_seconds(
    report: Callable[[LoggedProgress, int], None], lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    session = FakeSession()
    listener = LoggedProgress(clock=session.clock)
    for step in range(31):
        session.now += 1 if step else 0
        report(listener, step)
    listener.done()
    assert capsys.readouterr().err.splitlines() == lines


def test_a_log_does_not_say_that_models_are_asked_for_after_it_was_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    session = FakeSession()
    with closing(LoggedProgress(clock=session.clock)) as listener:
        listener.trainings_read(0)
        listener.stopping()
        listener.asking(300, session)
    assert capsys.readouterr().err.splitlines() == ["reading the list of trainings", "stopping"]


Told = Callable[[LoggedProgress, FakeSession], None]
SILENT: dict[str, tuple[Told, str]] = {
    "whose token": (lambda listener, session: listener.connected(session), "starting; waiting {} s for the account"),
    "a slow query": (
        lambda listener, _: listener.users_read(0),
        "reading the database; waiting {} s for the first user",
    ),
    "slow rows": (
        lambda listener, _: listener.users_read(1000),
        "reading the database: 1,000 users; waiting {} s for more",
    ),
    "the list": (
        lambda listener, _: listener.trainings_read(100),
        "reading the list of trainings: 100 so far; waiting {} s for the list of trainings, attempt 1 of 5",
    ),
    "a model": (
        lambda listener, session: listener.asking(60, session),
        "0 of 60; waiting {} s for acme/portrait, attempt 1 of 5; 0 need a sync, 0 errors",
    ),
    "turns": (
        lambda listener, session: listener.asking(60, session),
        "0 of 60 models asked, 0 of 2,400 allowed this minute, 0 need a sync, 0 errors",
    ),
    "weights": (
        lambda listener, _: listener.weights_asked(3, 9),
        "asking for weights: 3 of 9; waiting {} s for weights at replicate.delivery, attempt 1 of 5",
    ),
    "a stop": (
        lambda listener, _: listener.stopping(),
        "stopping; {} s so far",
    ),
    "reports": (lambda listener, _: listener.doing("writing the reports"), "writing the reports; {} s so far"),
}
AWAITED = {
    "whose token": Awaited("account", "", 0, 1, 1),
    "the list": Awaited("trainings", "", 0, 1, 5),
    "a model": by(0, attempt=1),
    "weights": Awaited("weights", "replicate.delivery", 0, 1, 5),
}


@pytest.mark.parametrize("silence", SILENT)
def test_whatever_a_log_is_silent_about_is_named_after_each_period(
    silence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    session = FakeSession()
    tell, line = SILENT[silence]
    with closing(LoggedProgress(clock=session.clock, period=20)) as listener:
        listener.connected(session)
        tell(listener, session)
        capsys.readouterr()
        for seconds in (20, 40, 60):
            assert listener.heart.beat() == pytest.approx(20)
            session.now += 20
            if silence in AWAITED:
                session.awaited = replace(AWAITED[silence], seconds=float(seconds))
            listener.heart.beat()
            assert capsys.readouterr().err == f"{line.format(seconds)}\n"


def test_what_was_logged_a_moment_ago_needs_no_timer(capsys: pytest.CaptureFixture[str]) -> None:
    session = FakeSession()
    with closing(LoggedProgress(clock=session.clock, period=20)) as listener:
        listener.asking(60, session)
        session.answers(listener, 1, every=12)
        session.answers(listener, 3)  # five percent, after ten seconds
        session.now += 18
        assert listener.heart.beat() == pytest.approx(1)
        listener.line("a line of the log, which is no progress")
        session.now += 1
        listener.heart.beat()
    assert [line[:8] for line in capsys.readouterr().err.splitlines()] == [
        *("asking R", "3 of 60 ", "a line o", "4 of 60 ")
    ]


def test_lists_that_are_read_while_models_are_asked_for_do_not_hide_them() -> None:
    session = FakeSession()
    counter = session.counter(2)
    counter.begin(reading_trainings(100))
    session.answers(counter, 1)
    assert run_progress(counter).done == 1
    session.answers(counter, 1)
    counter.begin(reading_trainings(200))
    assert counter.progress() == reading_trainings(200)


@pytest.mark.parametrize(
    ("reason", "in_flight", "words"),
    [
        ("stopped by SIGINT", 3, "stopping (SIGINT): 3 answers left"),
        ("stopped by SIGTERM", 1, "stopping (SIGTERM): 1 answer left"),
        ("stopped by SIGHUP", 0, "stopping (SIGHUP)"),
        ("the disk is full", 128, "stopping: 128 answers left; the disk is full"),
        ("the disk is full", 0, "stopping: the disk is full"),
    ],
)
def test_a_stop_says_why_and_what_is_still_waited_for(reason: str, in_flight: int, words: str) -> None:
    assert stopping(reason, in_flight).words == words


def test_after_a_stop_nothing_else_is_shown_until_something_new_is_done() -> None:
    session = FakeSession()
    counter = session.counter(2)
    counter.stop()
    counter.begin(reading_trainings(100))
    session.answers(counter, 1, every=0)
    counter.start(5, session)
    assert counter.progress() == stopping()
    counter.end(Doing("writing the reports"))
    assert counter.progress() == Doing("writing the reports")


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
        assert window.lines[-1].endswith("(exit 4)")
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


class OneHangs(SyntheticUsers):
    """A model of many is never answered."""

    @property
    def hangs(self) -> str:
        """The model of the first user who is up to date."""
        return self.model_name(next(i for i, reason in enumerate(self.reasons) if reason is Reason.LATEST_VERSION))

    def model(self, owner: str, name: str) -> Model | None:
        model = super().model(owner, name)
        return replace(model, faults=(Hang(),)) if model and name == self.hangs else model


@pytest.fixture
def hanging(shell: Shell, synthetic_servers: Servers) -> Iterator[OneHangs]:
    """The users of an audit that waits for one of them."""
    users = OneHangs(300, oddities=0.2)
    with in_thread(InstrumentedReplicate(users)) as fake:
        shell.environ = Servers(synthetic_servers.dsn, fake).environ | {
            "SYNC_AUDIT_TIMEOUT": "7",
            "SYNC_AUDIT_RETRIES": "2",
        }
        yield users


@pytest.mark.parametrize(
    ("columns", "options", "words"),
    [
        (80, [], r"waiting (\d+) s for {owner}/{name}, attempt 1 of 3"),
        pytest.param(40, [], r"waiting (\d+) s for \.\.\.\d+-lora", marks=pytest.mark.slow),
        pytest.param(80, ["--redact"], r"waiting (\d+) s for a model, attempt 1 of 3", marks=pytest.mark.slow),
    ],
)
def test_a_model_that_hangs_is_named_in_the_place_of_the_time_left(
    hanging: OneHangs, shell: Shell, columns: int, options: list[str], words: str
) -> None:
    words = words.format(owner=OWNER, name=hanging.hangs)
    with terminal(shell, "run", "-o", "x.json", "--limit", "60", *options, columns=columns) as window:
        lines = window.until(lambda lines: lines and re.search(words, lines[-1]))
        assert len(lines) == 1
        assert len(lines[0]) < columns
        assert " left" not in lines[0]
        match = re.search(words, lines[0])
        assert match
        assert int(match[1]) >= 5
        window.type(b"\x03")
        assert window.to_the_end() == exit_status.INTERRUPTED


class TimedLines(io.StringIO):
    """A stream in memory that notes when each line was written."""

    def __init__(self) -> None:
        super().__init__()
        self.times = [time.monotonic()]

    def write(self, text: str) -> int:
        self.times += [time.monotonic()] * text.count("\n")
        return super().write(text)


@contextmanager
def locked(dsn: str, seconds: float) -> Iterator[None]:
    """Nobody can read the users for so long."""

    async def hold() -> None:
        connection = await asyncpg.connect(dsn)
        async with connection.transaction():
            await connection.execute("LOCK TABLE user_models IN ACCESS EXCLUSIVE MODE")
            held.set()
            await asyncio.sleep(seconds)
        await connection.close()

    held = threading.Event()
    thread = threading.Thread(target=asyncio.run, args=(hold(),))
    thread.start()
    assert held.wait(30)
    yield
    thread.join()


@pytest.mark.parametrize(
    ("where", "words"),
    [
        pytest.param("account", "identifying the token's account", marks=pytest.mark.slow),
        ("database", "reading the database"),
        pytest.param("trainings", "reading the list of trainings", marks=pytest.mark.slow),
        ("versions", r"0 of \d+ models? asked"),
    ],
)
def test_a_log_is_never_silent_for_longer_than_its_period(
    where: Endpoint | Literal["database"],
    words: str,
    synthetic_servers: Servers,
    synthetic_users: SyntheticUsers,
    tmp_path: Path,
) -> None:
    faults = () if where == "database" else (Slow(low=3, high=3, on=(where,)),)
    period = 0.5
    with (
        in_thread(InstrumentedReplicate(synthetic_users, Behaviour(faults=faults))) as fake,
        locked(synthetic_servers.dsn, 3) if where == "database" else nullcontext(),
        redirect_stderr(TimedLines()) as written,
        closing(LoggedProgress(period=period)) as listener,
    ):
        settings = Servers(synthetic_servers.dsn, fake).settings(
            tmp_path, timeout=20, filters=Filters(limit=20), trainings=TrainingsRead(mode="trainings")
        )
        with asyncio.run(audit_run.audit(settings, listener, Stop())):
            pass
    lines = written.getvalue().splitlines()
    assert len([line for line in lines if re.match(words, line)]) >= 3, lines
    # Twice the period, as a machine may be busy; the silence itself is six of them.
    assert max(later - earlier for earlier, later in pairwise(written.times)) < 2 * period + 0.5
    assert not [thread for thread in threading.enumerate() if thread.name == "heartbeat"]


@pytest.mark.slow
def test_a_log_names_a_model_that_hangs_within_half_a_minute(hanging: OneHangs, shell: Shell) -> None:
    began = time.monotonic()
    err = shell("run", "-o", "x.json", "--limit", "60", SYNC_AUDIT_TIMEOUT="32", SYNC_AUDIT_RETRIES="0").err
    assert time.monotonic() - began > 30
    waited = f"56 of 57; waiting 25 s for {OWNER}/{hanging.hangs}; "
    assert [line for line in err.splitlines() if line.startswith(waited)], err


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
        assert re.search(rb"stopping \(SIGINT\)(?:: \d+ answers? left)?", window.raw)
        assert "The run ended early: stopped by SIGINT" in "\n".join(window.lines)
        assert " ".join(window.lines).endswith("(exit 130)")
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
        assert window.lines[0].split(": ")[0] in {"Hold", "Unknown", "Trial run"}


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
