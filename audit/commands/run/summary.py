"""What `run`, `render` and `merge` print on stderr at the end: counts, who is affected, files, how to go on."""

import shlex
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from rich.text import Text

from audit.cli.terminal import fitted, screen
from audit.commands.outputs import ReportedRun
from audit.findings.redaction import redacted_user
from audit.hints.table import HINTS
from audit.hints.unfinished import brief, brief_also
from audit.model.codes import RETRYABLE, Reason, Status
from audit.model.findings import AuditedUser
from audit.model.lines import NOUNS
from audit.model.run import RunInfo
from audit.model.tables import Column, shown_counts
from audit.model.text import escape_controls, shortened
from audit.model.users import email_or_id
from audit.report import words
from audit.report.answer import answer
from audit.report.view import ATTENTION, RunView
from audit.report.words import (
    beside,
    completed_line,
    counted,
    not_in_baseline,
    part_checked,
    short_hash,
    stale,
    suspicions,
    weights_fact,
    weights_unchecked,
)
from audit.report.writer import STDOUT, Output
from audit.runfile import RunFile

NAMED = 3
"""How many users of each reason are named at most; the reports have them all."""
WIDEST = 100
"""Columns. Longer lines are hard to read, and chats wrap them."""
_ROOM_FOR_A_NAME = 12
"""Columns. Below that, titles stand alone."""
_BELOW = " " * 10
"""Before a line that belongs to the reason above it."""
_COLOURS = {
    Status.NEEDS_SYNC: "yellow",
    Status.ERROR: "red",
    Status.NOT_CHECKED: "magenta",
    Status.UP_TO_DATE: "green",
}
_HEADINGS = {status: words.STATUS_TITLES[status] for status in ATTENTION}


def show(reported: ReportedRun, run_file: RunFile, *, advise: bool = True, caveats: Sequence[str] = ()) -> None:
    """Print everything but the very last line, which names the exit code's meaning.

    `advise` adds the commands that go on from here; `caveats` are sentences about what the run was merged from.
    """
    console = screen(stderr=True)
    width = min(console.width, WIDEST)
    view, info = reported.view, run_file.info
    lines = [
        *_headline(view, width),
        *_part(info),
        *(line for caveat in caveats for line in _wrapped(escape_controls(caveat), width, "bold yellow")),
        *_since_baseline(view, width),
        *_accepted(view),
        *_warnings(view, width),
        *_trainings(view, width),
        *_weights(view, width),
        Text(),
        *_table(view, run_file, width),
        *_files(reported.outputs, run_file.path),
    ]
    if advise:
        lines.extend(_advice(view, run_file, width))
    for line in lines:
        console.print(line, soft_wrap=True)


def _headline(view: RunView, width: int) -> Iterator[Text]:
    """All counts in one line, below how many were checked where that is not all."""
    if not view.summary.total:
        yield from _nobody(view, width)
        return
    if part := part_checked(view):
        yield Text(part, "bold")
    counts = view.summary.statuses
    words = {
        Status.UP_TO_DATE: "up to date",
        Status.NEEDS_SYNC: "need a sync",
        Status.ERROR: "errors",
        Status.NOT_CHECKED: "not checked",
    }
    neutral = {} if view.whole else {Status.UP_TO_DATE: "bold"}  # of the others nothing is known
    pieces = [
        Text(f"{counts[status]:,} {what}", neutral.get(status, f"bold {_COLOURS[status]}") if counts[status] else "")
        for status, what in words.items()
    ]
    # However many there are: in the plural, as a script may look for it.
    noun = (
        "users" if view.latest_per == "user" else f"{NOUNS[view.latest_per]}s of {counted(view.summary.users, 'user')}"
    )
    yield Text.assemble((f"{view.summary.total:,} {noun}: ", "bold"), Text(", ").join(pieces))
    yield from _words_that_count(view, width)


def _nobody(view: RunView, width: int) -> Iterator[Text]:
    """That nobody was audited, and what the config file would have to say so that somebody is."""
    yield Text(f"{answer(view).headline}.", "" if view.empty_shard else "bold red")
    yield from _words_that_count(view, width)


def _words_that_count(view: RunView, width: int) -> Iterator[Text]:
    """Where no user has a completed row: which words are there, and what the config file would have to say."""
    population = view.population
    if population is None or population.users_with_completed_model:
        return
    rows = shown_counts(population.training_status) or "there are none"
    tables = view.run.tables
    if not tables.user_models.has(Column.TRAINING_STATUS):
        counts = f"Rows in all: {sum(population.training_status.values()):,}. Only those with a version count."
        yield from _wrapped(counts, width, "")
        return
    status = tables.user_models.line(Column.TRAINING_STATUS)
    counts = f"Rows by {status}: {rows}. Only {tables.completed_shown} counts as completed."
    yield from _wrapped(escape_controls(counts), width, "")
    if line := completed_line(view):
        yield Text("If these rows are completed, say so in the config file:")
        yield Text("  [database]", "bold")
        yield Text(f"  {line}", "bold")


def _part(info: RunInfo) -> Iterator[Text]:
    """That not all models are in the run, or that it is made of several."""
    if info.shard:
        yield Text(f"This is {info.shard.label}: {info.shard.share}")
    if info.shards:
        absent = len(info.missing_shards)
        merged = f"Merged from {len(info.shards) - absent} of {len(info.shards)} shards"
        yield Text(merged + (": many users are in no count" if absent else ""), "bold red" if absent else "")


def _since_baseline(view: RunView, width: int) -> Iterator[Text]:
    if view.since_baseline and view.run.baseline:
        if other := view.run.baseline.other_place:
            text = f"The baseline is of another database: {escape_controls(other)}"
            yield from _wrapped(text, width, "bold yellow")
        if text := not_in_baseline(view.run):
            yield from _wrapped(text, width, "yellow")
        counts = view.since_baseline.states
        new = f"{counts['new']:,} new since {escape_controls(view.run.baseline.path)}"
        yield Text(f"{new}, {counts['known']:,} known, {counts['resolved']:,} resolved", "bold")


def _accepted(view: RunView) -> Iterator[Text]:
    acceptances, number = view.run.acceptances, view.accepted.total
    if acceptances and number:
        yield Text(f"{number:,} accepted by {escape_controls(acceptances.file)}: they do not count", "bold")
    for each in stale(view.accepted):
        yield Text(f"{each.sentence}:", "bold yellow")
        yield from (Text(f"  {escape_controls(line)}") for line in (*each.entries, each.more) if line)


def _warnings(view: RunView, width: int) -> Iterator[Text]:
    for doubt in suspicions(view):
        yield from _wrapped(escape_controls(f"{doubt.title}. {doubt.text}"), width, "bold red")
    if view.run.stop_reason:
        yield Text(f"The run ended early: {escape_controls(view.run.stop_reason)}", "bold")


def _trainings(view: RunView, width: int) -> Iterator[Text]:
    """How far they were read and whom they settled, and a loud warning where they cannot be trusted."""
    read = view.run.trainings
    if read is None or read.began_at is None:  # of nobody or, where the run was stopped, not yet
        return
    if wrong := view.summary.reasons.get(Reason.EVIDENCE_DISAGREES, 0):
        loud = (
            f"Trainings and versions disagree on {wrong:,} of those who were asked for as a check: do not trust what "
            "trainings settled in this run. Audit everybody: sync-audit run --mode versions"
        )
        yield from _wrapped(loud, width, "bold red")
    back = f", back to {read.back_to[:10]}" if read.back_to else ""
    if read.mode == "trainings":
        text = f"{view.by_training:,} settled by trainings, {view.answered:,} asked; list of trainings read{back}"
    else:
        text = f"{read.read:,} trainings read{back}"
    if read.complete:
        yield from _wrapped(f"{text}.", width, "")
    else:
        why = escape_controls(read.problem or "the run ended before")
        yield from _wrapped(f"{text}, and not as far as wanted: {why}", width, "yellow")


def _weights(view: RunView, width: int) -> Iterator[Text]:
    if view.weights:
        again = "; --resume asks for those again" if view.weights.not_told else ""
        yield from _wrapped(f"Weights asked for: {weights_fact(view)}{again}.", width, "")
    if weights_unchecked(view):
        also = "" if view.run.check_weights else ", --check-weights"
        yield Text(f"Weights were not checked; to check them: --trainings{also}")


def _wrapped(text: str, width: int, style: str) -> Iterator[Text]:
    for line in textwrap.wrap(text, width, break_on_hyphens=False):
        yield Text(line, style)


def _table(view: RunView, run_file: RunFile, width: int) -> Iterator[Text]:
    """A line for each reason that needs somebody, worst status first, with the first users; then what is accepted."""
    reasons = view.summary.reasons
    titles = max((len(HINTS[reason].title) for reason in reasons), default=0)

    def rows(counts: Mapping[Reason, int], *, accepted: bool) -> Iterator[Text]:
        for reason, count in counts.items():
            users = list(islice(_users_with(run_file, reason, accepted=accepted), NAMED))
            names = [_name(each, view) for each in users]
            yield _row(count, HINTS[reason].title, titles, names, width)
            for each, name in zip(users, names, strict=True):
                yield from _newest_row(each, name, view, width)

    for status, heading in _HEADINGS.items():
        open_here = {reason: count for reason, count in _open(view).items() if reason.status is status}
        if open_here:
            yield Text(heading, f"bold {_COLOURS[status]}")
            yield from rows(open_here, accepted=False)
            yield Text()
    if text := beside(view):
        yield from _wrapped(text, width, "bold yellow")
        yield Text()
    if text := words.further_models(view):
        yield from _wrapped(text, width, "yellow")
        yield Text()
    if counts := view.accepted.reasons:
        yield Text("Accepted", "bold cyan")
        yield from rows({reason: counts[reason] for reason in reasons if reason in counts}, accepted=True)
        yield Text()


def _newest_row(user: AuditedUser, name: str, view: RunView, width: int) -> Iterator[Text]:
    """What is known of a row that is not completed, and of the completed one beside it."""
    shown = redacted_user(user) if view.run.redacted else user
    told = [text for text in (brief(shown, view.run.started_at, short_hash), brief_also(shown)) if text]
    if told:
        text = f"{name}: {'; '.join(map(escape_controls, told))}"
        # A URL stays in one piece, however narrow it is: it is there to be pasted.
        wrapper = textwrap.TextWrapper(
            width,
            initial_indent=_BELOW,
            subsequent_indent=_BELOW,
            break_on_hyphens=False,
            break_long_words=False,
        )
        yield from (Text(line, "dim") for line in wrapper.wrap(text))


def _open(view: RunView) -> dict[Reason, int]:
    """Users by reason without those whose finding is accepted, in the order of all users by reason."""
    counts = view.open_reasons
    return {reason: counts[reason] for reason in view.summary.reasons if reason in counts}


def _users_with(run_file: RunFile, reason: Reason, *, accepted: bool) -> Iterator[AuditedUser]:
    return (user for user in run_file.users(reason.status, reason) if (user.accepted is not None) is accepted)


def _row(count: int, title: str, titles: int, names: Sequence[str], width: int) -> Text:
    start = Text.assemble(f"  {count:>6,}  ", title.ljust(titles))
    room = width - len(start) - 2
    if room < _ROOM_FOR_A_NAME:
        start.rstrip()
        start.truncate(width)
        return start
    return start.append("  ").append(fitted(names, count, room), "dim")


def _files(outputs: Sequence[Output], run_file: Path) -> Iterator[Text]:
    files = [(f"{output.format.upper()} report", output.path) for output in outputs if output.path != STDOUT]
    for what, path in (*files, ("Run file", str(run_file))):
        yield Text(f"{what + ':':<13} {escape_controls(path)}")


def _advice(view: RunView, run_file: RunFile, width: int) -> Iterator[Text]:
    """The commands that go on from here, ready to be pasted."""
    path, info = shlex.quote(escape_controls(str(run_file.path))), run_file.info
    reason = next((each for status in _HEADINGS for each in _open(view) if each.status is status), None)
    if reason and reason.status is not Status.NOT_CHECKED:
        user = next(_users_with(run_file, reason, accepted=False))
        who = shlex.quote(_handle(user, view))
        yield Text()
        yield from _step("One user in full:", f"user {who}", f"--run {path}", width)
        yield from _step("What a reason means, and what to do:", f"explain {reason.value}", "", width)
    failed = sum(view.summary.reasons.get(reason, 0) for reason in RETRYABLE)
    if absent := info.missing_shards:
        shard = str(absent[0])
        yield from _step("To audit what is missing, and merge again:", f"run --shard {shard}", "", width)
    if info.state != "complete" and (run_file.count_pending() or not info.shards):
        how = words.SET_TOKEN if info.none_found else "To finish it:"
        yield from _step(how, "run", f"--resume {path}", width)
    elif failed:
        what = f"To ask again for the {failed:,} that failed in passing:"
        yield from _step(what, "run", f"--resume {path}", width)


def _step(why: str, command: str, option: str, width: int) -> Iterator[Text]:
    """A command of this program, on two lines where one is too short for it; a shell takes both."""
    yield Text(why)
    whole = f"  sync-audit {command} {option}".rstrip()
    if len(whole) <= width or not option:
        yield Text(whole, "bold")
    else:
        yield Text(f"  sync-audit {command} \\\n    {option}", "bold")


def _name(user: AuditedUser, view: RunView) -> str:
    redact = view.run.redacted
    record = redacted_user(user).record if redact else user.record
    which = words.which(view, record)
    name = shortened(escape_controls(email_or_id(record, redacted=redact)), 60)
    return f"{name} ({shortened(escape_controls(which), 60)})" if which else name


def _handle(user: AuditedUser, view: RunView) -> str:
    """What a command finds the user by: the e-mail as far as it may be shown and can be pasted, else the id."""
    if view.run.redacted and redacted_user(user).record.user_id != user.record.user_id:
        return "USER_ID"
    name = email_or_id(user.record, redacted=view.run.redacted)
    return name if escape_controls(name) == name else escape_controls(user.record.user_id)
