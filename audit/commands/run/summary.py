"""What `run`, `render`, `merge` and `demo` end in on stderr: at most eight lines, the exit code in the last one."""

import shlex
import textwrap
from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from rich.text import Text

from audit.cli.terminal import fitted, screen
from audit.commands.outputs import ReportedRun
from audit.commands.run.details import details
from audit.hints.table import HINTS
from audit.model.codes import Status
from audit.model.exit_status import ExitStatus
from audit.model.run import RunInfo
from audit.model.tables import Column, shown_counts
from audit.model.text import escape_controls, shortened
from audit.report.answer import Answer, answer
from audit.report.steps import Step, steps
from audit.report.view import RunView
from audit.report.words import completed_line, lines, named, not_in_baseline, stale, suspicions
from audit.report.writer import STDOUT, Output
from audit.runfile import RunFile

MOST = 8
"""Lines, on a terminal of 80 columns."""
WIDEST = 100
"""Columns. Longer lines are hard to read, and chats wrap them."""
_COUNTED_AT = 80
"""Columns. What is left out is the same however wide the terminal is."""
_REASONS = 4
"""How many reasons are told."""
_COLUMN = 8
"""Columns of a label."""
_STYLES = {"hold": "bold yellow", "unknown": "bold magenta", "trial": "bold cyan", "release_ok": "bold green"}

# What gives way where there is no room, the highest first. The last line counts those who could not be checked, too.
_STAYS, _LOUD, _RETRY, _BASELINE, _ACCEPTED, _DOUBT, _SINCE, _REASON, _WHY = range(9)


class _Line(NamedTuple):
    """One line, which may take several rows."""

    gives_way: int
    text: str
    label: str = ""
    command: str = ""
    """Behind the text, or below it; ready to be pasted, never cut."""
    style: str = ""

    def rows(self, width: int) -> list[str]:
        """As it is printed: words stay whole, and so do commands' words."""
        first, indent = self.label.ljust(_COLUMN) if self.label else "", " " * (_COLUMN if self.label else 2)
        text = f"{self.text}:" if self.text and self.command else self.text
        whole = first + " ".join(filter(None, (text, self.command)))
        if len(whole) <= width:
            return [whole]
        rows = textwrap.wrap(
            text, width, initial_indent=first, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
        return rows + _pasteable(self.command, width, indent if rows else first, indent)


class Talk(NamedTuple):
    """What is to be said at the end."""

    quiet: int = 0
    """1: one line; 2: nothing."""
    verbose: int = 0
    """1: every reason with the first of its users, before all else."""
    advise: bool = True
    """Whether there are commands that go on from here."""
    caveats: Sequence[str] = ()
    """Sentences about what the run was merged from."""
    beside: int = 0
    """Lines that the caller prints of its own."""


def end(reported: ReportedRun, run_file: RunFile, talk: Talk) -> ExitStatus:
    """Print everything but the very last line, and return how the command ends, which is that line."""
    status = reported.exit_status
    view, said = reported.view, answer(reported.view, _shown)
    verdict = f"{said.title}: {said.headline}"
    if talk.quiet:
        if view.part and view.coverage:
            verdict += f"; {view.coverage.checked:,} of {lines(view, view.coverage.eligible)} checked"
        return ExitStatus(status.code, verdict if talk.quiet == 1 else "")
    console = screen(stderr=True)
    width = min(console.width, WIDEST)
    if talk.verbose:
        for text in details(view, run_file, width):
            console.print(text, soft_wrap=True)
    told = [_Line(_STAYS, verdict), *_about(view, said, talk.caveats)]
    ahead = steps(view, str(run_file.path), most=None) if talk.advise else ()
    told += _next(view, ahead, again=False)
    told.append(_files(view.run, reported.outputs, run_file.path))
    told += _next(view, ahead, again=True)
    title = Text(told[0].rows(width)[0])
    title.stylize(_STYLES[said.verdict], 0, len(said.title) + 1)
    for line in _kept(told, MOST - 1 - talk.beside):
        for row in line.rows(width):
            shown = title if row == title.plain else Text(row, line.style)
            if line.label and row.startswith(line.label):
                shown.stylize("bold", 0, len(line.label))
            console.print(shown, soft_wrap=True)
    return status


def _shown(text: str, room: int) -> str:
    return shortened(escape_controls(text), room)


def _kept(told: list[_Line], room: int) -> list[_Line]:
    """Those for which there is room: what the reports' first lines say too gives way to long lines."""

    def too_much(line: _Line) -> bool:
        rows = sum(len(each.rows(_COUNTED_AT)) for each in told) if line.gives_way >= _SINCE else len(told)
        return rows > room

    while too_much(least := max(told, key=attrgetter("gives_way"))) and least.gives_way:
        told.remove(least)
    return told


def _about(view: RunView, said: Answer, caveats: Sequence[str]) -> Iterator[_Line]:
    """What has to be known beside the verdict."""
    yield from _loud(view, caveats)
    if not view.summary.total:
        yield from _rows_there(view)
    if said.since:
        yield _Line(_SINCE, said.since)
    if reasons := _reasons(view):
        yield _Line(_REASON, reasons)
    if said.failed and view.open[Status.NEEDS_SYNC]:  # what gives way, as the last line counts them
        yield _Line(_WHY, said.failed)
    elif said.failed:
        yield _Line(_LOUD, said.failed, style="bold")
    yield from (_Line(_LOUD, text, style="bold") for text in said.missed)
    yield from _baseline(view)
    if said.accepted and view.summary.total:  # else the last line says by what nobody is allowed
        yield _Line(_ACCEPTED, said.accepted)
    for each in stale(view.accepted):
        yield _Line(_ACCEPTED, f"{each.sentence}: {escape_controls(each.text)}", style="yellow")


def _loud(view: RunView, caveats: Sequence[str]) -> Iterator[_Line]:
    """What makes all counts doubtful."""
    if not view.run.none_found:  # else the verdict says it
        for doubt in suspicions(view, _shown):
            yield _Line(_LOUD, f"{doubt.title}: {doubt.text.partition('. ')[0].rstrip('.')}.", style="bold red")
    if absent := len(view.run.missing_shards):
        merged = f"Merged from {len(view.run.shards) - absent} of {len(view.run.shards)} shards"
        yield _Line(_LOUD, f"{merged}: many users are in no count.", style="bold red")
    for caveat in caveats:
        yield _Line(_LOUD, escape_controls(caveat), style="bold yellow")


def _rows_there(view: RunView) -> Iterator[_Line]:
    """Where no user has a completed row: which rows there are."""
    population, tables = view.population, view.run.tables
    if population is None or population.users_with_completed_model:
        return
    if not tables.user_models.has(Column.TRAINING_STATUS):
        count = sum(population.training_status.values())
        yield _Line(_LOUD, f"Rows in all: {count:,}. Only those with a version count.")
        return
    status = escape_controls(tables.user_models.line(Column.TRAINING_STATUS))
    counts = escape_controls(shown_counts(population.training_status)) or "there are none"
    yield _Line(
        _LOUD, f"Rows by {status}: {counts}. Only {escape_controls(tables.completed_shown)} counts as completed."
    )


def _reasons(view: RunView) -> str:
    """The most frequent reasons of those who need a sync: "30 Outdated version, 3 Malformed version"."""
    counts = {reason: count for reason, count in view.open_reasons.items() if reason.status is Status.NEEDS_SYNC}
    told = [f"{count:,} {HINTS[reason].title}" for reason, count in list(counts.items())[:_REASONS]]
    rest = sum(list(counts.values())[_REASONS:])
    return ", ".join(told + ([f"{rest:,} for other reasons"] if rest else []))


def _baseline(view: RunView) -> Iterator[_Line]:
    baseline = view.run.baseline
    if baseline is None or view.since_baseline is None:
        return
    counts = view.since_baseline.states
    new = f"{counts['new']:,} new since {escape_controls(baseline.path)}"
    yield _Line(_BASELINE, f"{new}, {counts['known']:,} known, {counts['resolved']:,} resolved.")
    if other := baseline.other_place:
        yield _Line(_LOUD, f"The baseline is of another database: {escape_controls(other)}", style="bold yellow")
    if text := not_in_baseline(view.run):
        yield _Line(_DOUBT, text, style="yellow")


def _next(view: RunView, ahead: Sequence[Step], *, again: bool) -> Iterator[_Line]:
    """The first step that repairs something, or the one that goes on with this run."""
    step = next((each for each in ahead if each.again is again), None)
    if step is None:
        return
    text, command = escape_controls(step.text), escape_controls(step.command)
    label = "retry:" if again else "fix:"
    if again:
        text = ""
    elif command.startswith("sync-audit sync "):
        text = f"preview for {lines(view, view.repairs.changes)}, then --apply"
    elif step.people:
        names = [shortened(escape_controls(named(view, user.record)), 60) for _, user in step.people]
        text = f"{text}: {fitted(names, view.repairs.by_hand, _COUNTED_AT - _COLUMN - len(text) - 2)}"
    elif (line := completed_line(view)) and step.text.endswith(f": {line}"):
        text, command = escape_controls(step.text.removesuffix(f": {line}")), escape_controls(line)
    yield _Line(_RETRY if again else _STAYS, text, label=label, command=command)


def _files(run: RunInfo, outputs: Sequence[Output], run_file: Path) -> _Line:
    """Where reports and run file are; of those that differ in the suffix alone, the others' suffixes."""
    reports = [Path(output.path) for output in outputs if output.path != STDOUT]
    shown: list[str] = []
    for before, path in zip([None, *reports], [*reports, run_file], strict=False):
        same = before is not None and path.suffix and before.with_suffix("") == path.with_suffix("")
        shown.append(escape_controls(path.suffix if same else str(path)))
    if run.redacted and reports:
        shown[-2] += " (redacted)"
    return _Line(_STAYS, ", ".join(shown), label="report:" if reports else "run:")


def _pasteable(command: str, width: int, first: str, indent: str) -> list[str]:
    """`command` in rows that a shell takes as one; a line of a config file has no spaces outside of quotes but one."""
    if not command:
        return []
    if not command.startswith("sync-audit ") or len(first) + len(command) <= width:
        return [first + command]
    rows, row = [], first
    for word in map(shlex.quote, shlex.split(command)):
        if row.strip() and row != first and len(row) + len(word) + 3 > width:
            rows.append(f"{row} \\")
            row = f"{indent}  {word}"
        else:
            row += word if row == first else f" {word}"
    return [*rows, row]
