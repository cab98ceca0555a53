"""Compares two runs user by user, and writes the comparison in each format."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from audit.commands import past_run
from audit.commands.diff.view import DiffCounts, DiffView
from audit.errors import ReportError, SettingsError
from audit.files import real
from audit.findings.comparison import (
    Change,
    ComparedRun,
    ComparedUser,
    Looked,
    UserSnapshot,
    caveats,
    compare,
    diff_exit_status,
    may_be_worse,
    other_lines,
)
from audit.findings.redaction import MASKED_NAME, redacted_snapshot
from audit.model.codes import Status
from audit.model.personal import without_addresses
from audit.report import writer
from audit.runfile.run_join import RunJoin, Transition

_MODULES = {"text": "text", "json": "json_format", "md": "markdown", "html": "html_format", "csv": "csv_format"}
FORMATS = tuple(_MODULES)


@contextmanager
def comparison(old_path: Path, new_path: Path, *, redact: bool = False) -> Iterator[DiffView]:
    """The two runs compared, for as long as the block lasts.

    Memory does not grow with the number of users. Raises RunFileError or ReportError, which name the file, and
    SettingsError where the lines of one are about other things than those of the other.
    """
    with RunJoin() as pairs:
        old = past_run.read(old_path, partial(pairs.add, 0))
        new = past_run.read(new_path, partial(pairs.add, 1))
        if differ := other_lines(str(old_path), old.latest_per, str(new_path), new.latest_per):
            raise SettingsError(*differ)
        redacted = redact or old.redacted or new.redacted
        looked = Looked(before=old.looked_for, now=new.looked_for)
        for line, before, now in pairs.users():
            one, other = (_masked(before), _masked(now)) if redacted else (before, now)
            found = compare(one, other, complete=new.complete, whole=new.whole, looked=looked)
            pairs.record(line, found)
        counts = _counts(pairs.transitions)

        def changes(change: Change) -> Iterator[ComparedUser]:
            for each in pairs.changes(change):
                yield each if not redacted else ComparedUser(_masked(each.old), _masked(each.new), change, each.differs)

        yield DiffView(
            old=_masked_run(old) if redacted else old,
            new=_masked_run(new) if redacted else new,
            caveats=caveats(old, new),
            counts=counts,
            exit_status=diff_exit_status(counts.changes[Change.NEW], counts.maybe_worse),
            redacted=redacted,
            changes=changes,
        )


def write(outputs: Sequence[writer.Output], view: DiffView) -> None:
    """Write all `outputs`. Raises ReportError."""
    try:
        writer.write_each(outputs, lambda name: partial(_renderer(name), view))
    except ReportError as error:
        error.next_step = "Choose another place with -o FORMAT=PATH, or make room, and compare again."
        raise


def _renderer(name: str) -> Callable[[DiffView, BinaryIO], None]:
    """That of the format `name`, whose module is imported when it is first used."""
    module = import_module(f"audit.commands.diff.{_MODULES[name]}")
    return cast("Callable[[DiffView, BinaryIO], None]", module.render)


def check_outputs(outputs: Sequence[writer.Output], *runs: Path) -> None:
    """Find out before anything else whether all files can be written, and that none of `runs` would be replaced."""
    writer.check(outputs)
    for output in outputs:
        if output.path != writer.STDOUT and real(output.path) in set(map(real, runs)):
            raise SettingsError(f"-o {output.format}={output.path} is one of the runs to be compared", "Name another.")


def _masked(user: UserSnapshot | None) -> UserSnapshot | None:
    return user and redacted_snapshot(user)


def _masked_run(run: ComparedRun) -> ComparedRun:
    return msgspec.structs.replace(
        run,
        path=f"{MASKED_NAME}{Path(run.path).suffix}",  # whose name is in it, both runs together would have to tell
        stop_reason=run.stop_reason and without_addresses(run.stop_reason),
    )


def _counts(tallies: Counter[Transition]) -> DiffCounts:
    changes, same, maybe = dict.fromkeys(Change, 0), dict.fromkeys(Status, 0), 0
    for tally, count in tallies.items():
        changes[tally.change] += count
        if tally.change is Change.UNCHANGED and tally.new:
            same[tally.new] += count
        if may_be_worse(tally.change, tally.old):
            maybe += count
    return DiffCounts(changes=changes, unchanged=same, maybe_worse=maybe)
