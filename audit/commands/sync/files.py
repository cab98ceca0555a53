"""The files of a plan: SQL for psql that applies it and SQL that undoes it, and JSON. The SQL can be read again."""

import re
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain, count, islice
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, NamedTuple

import msgspec

from audit.cli.edited_file import only_one
from audit.commands.sync import plan_json
from audit.commands.sync.result import batches
from audit.errors import DatabaseError, ReportError, SettingsError
from audit.files import open_foreign, real, text_lines
from audit.findings.redaction import names_somebody, names_user
from audit.model.exit_status import NEEDS_SYNC, OK, PLAN, ExitStatus
from audit.model.personal import without_addresses
from audit.model.place import Place
from audit.model.repair import ChangeState, Deed, in_order, undo_for
from audit.model.run import RunInfo
from audit.model.sql import LITERAL, literal_value
from audit.model.tables import Column
from audit.model.text import escape_controls, is_text, os_cause, shortened
from audit.model.times import utc_text
from audit.postgres.rights import fixed_column_error
from audit.postgres.script import LAST_LINE, Script, data_line, parse_data_line
from audit.postgres.update import Counting, update_json
from audit.repair.plan import JournalReader, Plan, PlanCounts
from audit.report import writer
from audit.runfile import RunFile

Purpose = Literal["apply", "undo"]
_SAID = {
    "run_id": re.compile("-- Run ([0-9a-f]{32}) of "),
    "run_file": re.compile(r"-- Run file: ([^/\n]*[^/.\n][^/\n]*)"),  # a name, and nothing that leads elsewhere
    "written_place": re.compile("-- Place: (.+)"),
}
"""Fields of `Header`, where the first lines of a file say them."""
_HEADER_LINES = 20
SQL_BATCH = 500
"""Rows that one UPDATE of a file changes at most."""
_AT_ONCE = 20_000
"""Rows of an older file that are in memory at a time."""
_DATA_END = re.compile(r"', '[0-9a-f]{16}'\),$")
_NAME = r'(?:"(?:[^"]|"")*"|[^\s".,]+)'
_SETS = rf"{_NAME} = (?:{LITERAL})"
_FORM_1 = re.compile(rf"UPDATE {_NAME}(?:\.{_NAME})? SET {_SETS}(?:, {_SETS})* WHERE {_NAME} = ({LITERAL}) AND .*;")  # noqa: S608 - a pattern


class UndoLine(NamedTuple):
    """One row of an undo file."""

    model_row_id: str
    guards: dict[Column, str | None] | None
    """What stands in the row after the change, and has to; null where only a journal knows whether it was changed."""
    sets: dict[Column, str | None]
    """What was in the row; empty in a file of an older version, which only its journal can explain."""
    txid: str | None = None
    """The transaction that has made the change, where it is not known whether it was committed."""
    by: str | None = None
    """The transaction that has made the change, where it was committed."""


class WrittenPlan(NamedTuple):
    """A plan, counted, and where it was written."""

    info: RunInfo
    run_file: Path
    counts: PlanCounts
    apply_file: Path | None
    """None where there is nothing to change."""
    undo_file: Path | None
    """None where there is nothing to undo either, now or then."""
    output: str | None
    options: tuple[str, ...]
    """Those that make this very plan again, as arguments."""
    redacted: bool
    named: int = 0
    """Changes that no SQL is written for, as it would name somebody, and the plan is redacted."""
    problem: DatabaseError | None = None
    """Why nothing of it can be written; then there is no SQL."""

    @property
    def exit_status(self) -> ExitStatus:
        """Of the command, where it only plans."""
        if not self.counts.weights:
            return PLAN[OK]
        return planned(self.counts.weights.total())


def planned(changes: int) -> ExitStatus:
    """How a command ends that only planned so many `changes`."""
    rows = "1 row" if changes == 1 else f"{changes:,} rows"
    return ExitStatus(NEEDS_SYNC, f"planned, nothing changed yet: {rows} would change")


def write_plan(plan: Plan, run_file: Path, output: str | None = None) -> WrittenPlan:
    """Count `plan` and write its files: the two of SQL beside the run file, and JSON to `output`, or `-`.

    A run of an older version does not know its tables well enough for SQL, and where a column to be set is one that
    nobody can set, there is none either. Raises ReportError where a file cannot be written, SettingsError where
    `output` is one of the others, or where somebody has changed the undo file of an earlier plan.
    """
    with _alone(run_file):
        return _written(plan, run_file, output)


def _written(plan: Plan, run_file: Path, output: str | None) -> WrittenPlan:
    apply_path, undo_path = sql_file(run_file, "apply"), sql_file(run_file, "undo")
    _check(output, (run_file, apply_path, undo_path))
    counts = PlanCounts.of(plan)
    problem, apply_file, undo_file, named = _problem(plan, counts), None, None, 0
    if problem is None:
        undo_file = write_undo(plan, run_file)  # first: nothing is ever there to be applied that cannot be undone
        there = sum(1 for _ in _apply_lines(plan)) if plan.redacted else counts.kinds.total()
        named = counts.kinds.total() - there
        apply_file = _write_sql(
            plan,
            apply_path,
            SqlFile(
                "apply",
                _apply_lines(plan),
                there,
                counts.kinds.keys(),
                to_be_asked=counts.weights.total() - counts.kinds.total(),
                named=named,
            ),
        )
    if output is not None:
        _put("the plan", output, partial(plan_json.render, plan, counts.summary))
    options = tuple(map(without_addresses, plan.settings.options)) if plan.redacted else plan.settings.options
    return WrittenPlan(
        plan.info, run_file, counts, apply_file, undo_file, output, options, plan.redacted, named, problem
    )


@contextmanager
def _alone(run_file: Path) -> Iterator[None]:
    """Two plans at once would take what one applies together with what the other undoes."""
    try:
        with only_one(run_file.absolute().parent):
            yield
    except OSError as error:
        raise _unwritable("the SQL", str(sql_file(run_file, "apply")), error) from error


def _problem(plan: Plan, counts: PlanCounts) -> DatabaseError | None:
    """The error for the first column to be set that nobody can set."""
    fixed = plan.info.columns.fixed if plan.info.columns else {}
    return next(
        (
            fixed_column_error(plan.info.database, plan.info.tables, column, fixed[column])
            for column in counts.columns
            if column in fixed
        ),
        None,
    )


def sql_file(run_file: Path, purpose: Purpose) -> Path:
    """Where the SQL of a run is: `x.sqlite` has `x-apply.sql` and `x-undo.sql`."""
    return _beside(run_file, f"{purpose}.sql")


def deeds_file(run_file: Path) -> Path:
    """Where psql notes what it has done: `x.sqlite` has `x-applied.txt`."""
    return _beside(run_file, "applied.txt")


def _beside(run_file: Path, end: str) -> Path:
    return run_file.with_name(f"{run_file.name.removesuffix('.sqlite')}-{end}")


def is_sql_of(path: Path, purpose: Purpose, run_id: str) -> bool:
    """Whether the file at `path` is the SQL of that run, as a plan has written it. Raises OSError."""
    with suppress(UnicodeError), open_foreign(path) as file:
        first = list(islice(text_lines(file), _HEADER_LINES))
        marks = {f"{_mark(purpose, form)}\n" for form in (1, 2)}
        return first[:1] != [] and first[0] in marks and any(f"-- Run {run_id} of " in line for line in first)
    return False


def is_repaired(run_file: RunFile) -> bool:
    """Whether something of the run's repair, by `sync` or by psql, is not undone, or may not be.

    Raises SettingsError where nobody can tell.
    """
    journal = run_file.journal
    if journal.exists:
        counts = journal.counts()
        if counts[ChangeState.DONE] or counts[ChangeState.BEGUN]:
            return True
    notes = read_notes(deeds_file(run_file.path), run_file.info.id).values()
    last = (max(of_row, key=lambda note: note.place) for of_row in notes)
    return any(not (note.undone and note.certain) for note in last)


def write_undo(plan: Plan, run_file: Path) -> Path | None:
    """Write `...-undo.sql`: what was done by the journal, what is planned, and what an earlier plan had put there.

    Nobody but psql knows whether an earlier plan was carried out: what takes it back is never lost to a later one.
    None where there is nothing in it. Raises ReportError, and SettingsError where somebody has changed it.
    """
    path = sql_file(run_file, "undo")
    try:
        _set_aside(path, plan.info.id)
    except OSError as error:
        raise _unwritable("the SQL to undo it", str(path), error) from error

    def lines() -> Iterator[UndoLine]:
        yield from with_earlier_lines(path, partial(_undo_lines, plan))

    kinds = Counter(in_order(line.sets) for line in lines())
    # psql has touched no date; and an earlier plan may have set the version alone, for which it has the line.
    by_psql = {tuple(column for column in kind if column is not Column.UPDATED_AT) for kind in kinds}
    alone = {tuple(column for column in kind if column is not Column.LORA_WEIGHTS_URL) for kind in by_psql}
    text = map(partial(_undo_text, plan.info), lines())
    return _write_sql(plan, path, SqlFile("undo", text, kinds.total(), (kinds.keys() | by_psql | alone) - {()}))


def _undo_lines(plan: Plan) -> Iterator[UndoLine]:
    for email, line in _done_lines(plan.journal) if plan.journal else ():
        texts = (line.model_row_id, *(line.guards or {}).values(), *line.sets.values())
        yield _bare(line) if plan.redacted and names_somebody(texts, email) else line
    for planned in plan.planned_changes():
        change = plan.unasked(planned.user, planned.change) or planned.change
        line = UndoLine(change.model_row_id, None, change.old)
        named = plan.redacted and names_user(planned.user, planned._replace(change=change).update())
        yield _bare(line) if named else line


def _bare(line: UndoLine) -> UndoLine:
    """The row alone: what to put back `--undo` knows from the journal, and psql from what it has noted itself."""
    return line._replace(guards=None, sets={})


def _done_lines(journal: JournalReader) -> Iterator[tuple[str | None, UndoLine]]:
    """With the e-mails of their users."""
    for state in (ChangeState.DONE, ChangeState.BEGUN):
        for entry in journal.entries(state):
            update, deed = undo_for(entry.change, entry.outcome), entry.outcome.deed
            certain = state is ChangeState.DONE
            if update and (deed or certain):
                txid = deed.txid if deed else None
                begun, done = (None, txid) if certain else (txid, None)
                yield entry.change.email, UndoLine(update.model_row_id, update.guards, update.sets, begun, done)
            elif update:  # begun by an older version: once more is known, the journal says what stands there
                yield entry.change.email, UndoLine(update.model_row_id, None, update.sets)


def with_earlier_lines(path: Path, lines: Callable[[], Iterable[UndoLine]]) -> Iterator[UndoLine]:
    """`lines`, and those of the undo file at `path`, where there is one, about other rows that are only planned."""
    yield from lines()
    earlier = (line for line in read_undo_file(path) if line.guards is None) if path.is_file() else iter(())
    while rows := {each.model_row_id: each for each in islice(earlier, _AT_ONCE)}:
        for each in lines():
            rows.pop(each.model_row_id, None)
        yield from rows.values()


def read_undo_file(path: Path) -> Iterator[UndoLine]:
    """The rows of an undo file, of which some may have been deleted.

    Raises SettingsError where it cannot be read, or is not what was written: at the first line that differs, or at the
    end where that is missing. So read it once before anything is done about it.
    """
    try:
        with open_foreign(path) as file:
            yield from _read_undo(text_lines(file), str(path), _header(path).run_id or "")
    except (OSError, UnicodeError) as error:
        raise _unreadable(path, error) from error


def _read_undo(written: Iterable[str], name: str, run_id: str) -> Iterator[UndoLine]:
    form, number, text = "", 0, ""
    for number, line in enumerate(written, 1):
        text = line.removesuffix("\n")
        if number == 1:
            form = text
            if form not in (_mark("undo", 1), _mark("undo", 2)):
                raise SettingsError(
                    f"{name} is no undo file of sync-audit: its first line is {shortened(escape_controls(text), 60)!r}",
                    "Name the ...-undo.sql that sync-audit has written.",
                )
        elif form == _mark("undo", 1):
            if match := _FORM_1.fullmatch(text):
                yield UndoLine(literal_value(match[1]) or "", None, {})
        elif text.startswith(("('", "(E'")) or _DATA_END.search(text):  # one that is damaged has one of the two
            row = parse_data_line(run_id, text)
            if row is None:
                raise SettingsError(
                    f"{name}, line {number}: not what sync-audit has written: {shortened(escape_controls(text), 60)}",
                    "Lines may be deleted, but not changed or added. To have it written anew, move it away and plan "
                    "again.",
                )
            values = row["row"], row.get("is"), row["set"], row.get("txid"), row.get("by")
            yield msgspec.convert(values, type=UndoLine)
    if text != (LAST_LINE if form == _mark("undo", 2) else "COMMIT;"):
        raise SettingsError(
            f"{name} ends after line {number}, without its last line", "Write it again: sync-audit sync RUN"
        )


class Header(NamedTuple):
    """What the first lines of an undo file say of it; null where they say nothing, as those of any other file."""

    path: Path
    form: int | None = None
    run_id: str | None = None
    run_file: str | None = None
    """The name of the run file, where it could be written in a line."""
    written_place: str | None = None

    @property
    def place(self) -> Place | None:
        """Where the run was made; null in a file of an older version. Raises SettingsError."""
        try:
            return msgspec.json.decode(self.written_place, type=Place) if self.written_place else None
        except msgspec.MsgspecError as error:
            raise SettingsError(
                f"{self.path} cannot be read: {error}", "Write it again: sync-audit sync RUN"
            ) from error


def undo_header(path: Path) -> Header:
    """The header of the undo file at `path`. Raises SettingsError where that cannot be read."""
    try:
        return _header(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _header(path: Path) -> Header:
    """Raises OSError."""
    with suppress(UnicodeError), open_foreign(path) as file:
        first = list(islice(text_lines(file), _HEADER_LINES))
        found = {name: next(filter(None, map(pattern.match, first)), None) for name, pattern in _SAID.items()}
        form = next((form for form in (1, 2) if first and first[0].rstrip("\n") == _mark("undo", form)), None)
        return Header(path, form, **{name: match and match[1] for name, match in found.items()})
    return Header(path)


def _unreadable(path: Path, error: OSError | UnicodeError) -> SettingsError:
    return SettingsError(
        f"{path} cannot be read: {os_cause(error).lower()}", "Name the ...-undo.sql that sync-audit has written."
    )


class Note(NamedTuple):
    """What one transaction has done to a row of a run."""

    deed: Deed
    """Without before and after where it has put the row back."""
    undone: bool
    certain: bool
    """It is known to have been committed."""

    @property
    def place(self) -> tuple[bool, int]:
        """Among all transactions of the run; a server to which the database has moved counts anew."""
        return self.deed.moved_from is not None, int(self.deed.txid)


def read_notes(path: Path, run_id: str) -> dict[str, list[Note]]:
    """What the file of deeds at `path` says of each row, in order. A line that was cut short is not there.

    Raises SettingsError.
    """
    found, committed = list[_Noted](), set[str]()
    try:
        for noted in _noted(path):
            if noted.run == run_id and noted.committed:
                committed.add(noted.committed)
            elif noted.run == run_id and noted.row is not None and noted.txid and (noted.undone or noted.after):
                found.append(noted)
    except (OSError, UnicodeError) as error:
        raise SettingsError(
            f"{path} cannot be read: {os_cause(error).lower()}", "It says what psql has done."
        ) from error
    notes: dict[str, list[Note]] = {}
    for noted in found:
        txid = noted.txid or ""
        deed = Deed(txid=txid, before=noted.before, after=noted.after, moved_from=noted.moved_from)
        notes.setdefault(noted.row or "", []).append(Note(deed, noted.undone, txid in committed))
    return notes


def _noted(path: Path) -> "Iterator[_Noted]":
    """Whatever can be read in the file of deeds, where there is one. Raises OSError and UnicodeError."""
    with suppress(FileNotFoundError), open_foreign(path) as file:
        for line in text_lines(file):
            with suppress(msgspec.MsgspecError, RecursionError):
                yield _NOTED.decode(line)


def write_undone(path: Path, run_id: str, rows: Mapping[str, str], moved_from: str | None) -> None:
    """Add to the file of deeds at `path` that `rows` are put back, each by a transaction. Raises OSError."""
    known = {"run": run_id} | ({"moved_from": moved_from} if moved_from else {})
    lines: list[dict[str, object]] = [{**known, "txid": txid, "row": row, "undone": True} for row, txid in rows.items()]
    lines += [{"run": run_id, "committed": txid} for txid in sorted(set(rows.values()))]
    if rows:
        path.touch(mode=0o600)
        with path.open("ab") as file:  # whatever is in it may have been cut short
            file.writelines(b"\n%b\n" % msgspec.json.encode(line) for line in lines)


class _Noted(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the file of deeds."""

    run: str
    txid: Annotated[str, msgspec.Meta(pattern="^[0-9]{1,18}$")] | None = None
    row: str | None = None
    before: dict[Column, str | None] = {}
    after: dict[Column, str | None] | None = None
    undone: bool = False
    committed: str | None = None
    moved_from: str | None = None


_NOTED = msgspec.json.Decoder(_Noted)


def _set_aside(path: Path, run_id: str) -> None:
    """Give an undo file of another run than `run_id`, or of an older version, a name of its own. Raises OSError."""
    with suppress(FileNotFoundError):
        header = _header(path)
        if header.run_id and (header.run_id != run_id or header.form == 1):
            path.replace(_claimed(path, f"{path.stem}-{header.run_id[:8]}"))


def _claimed(path: Path, stem: str) -> Path:
    """A new, empty file beside `path`, called `stem` or that with a number. Raises OSError."""
    names = chain([stem], (f"{stem}-{number}" for number in count(2)))
    while True:
        claimed = path.with_name(f"{next(names)}{path.suffix}")
        with suppress(FileExistsError):
            claimed.touch(mode=0o600, exist_ok=False)
            return claimed


def _apply_lines(plan: Plan) -> Iterator[str]:
    """The lines for psql. A guard can't be masked: where nobody is to be named, rows that would are left out."""
    for user, update in plan.updates():
        if not (plan.redacted and names_user(user, update)):
            yield data_line(plan.info.id, update_json(update))


def _undo_text(info: RunInfo, line: UndoLine) -> str:
    row: dict[str, object] = {"row": line.model_row_id}
    if line.guards is not None:
        row["is"] = line.guards
    row["set"] = line.sets
    if line.txid is not None:
        row["txid"] = line.txid
    if line.by is not None:
        row["by"] = line.by
    return data_line(info.id, row)


class SqlFile(NamedTuple):
    """What is in one of the two files of SQL."""

    purpose: Purpose
    lines: Iterable[str]
    rows: int
    kinds: Collection[tuple[Column, ...]]
    """The columns that the lines set."""
    to_be_asked: int = 0
    """Rows of the plan that are not in it, as their weights are to be looked up."""
    named: int = 0
    """Rows that are not in it, as their ids or URLs have an e-mail or name in them, and the plan is redacted."""


def _write_sql(plan: Plan, path: Path, file: SqlFile) -> Path | None:
    """Write one of the two files of SQL. Without rows it is written only over an older one, which is wrong by now.

    None without rows, and where the run, of an older version, does not know its tables well enough.
    """
    script = _script(plan, path)
    if script is None or (not file.rows and not path.exists()):
        return None
    undoes = file.purpose == "undo"

    def render(out: BinaryIO) -> None:
        out.writelines(f"{line}\n".encode() for line in _comments(plan, script, path, file))
        out.writelines(f"{line}\n".encode() for line in script.beginning(undoes=undoes))
        for batch in batches(file.lines, SQL_BATCH):
            out.writelines(f"{line}\n".encode() for line in script.batch(batch, sorted(file.kinds), undoes=undoes))
        out.writelines(f"{line}\n".encode() for line in script.end(undoes=undoes))

    _put(f"the SQL to {file.purpose} it", str(path), render)
    return path if file.rows else None


def _script(plan: Plan, path: Path) -> Script | None:
    info = plan.info
    if info.place is None or info.columns is None:
        return None
    run_file = path.with_name(re.sub(r"-(apply|undo)\.sql$", ".sqlite", path.name))
    deeds = str(deeds_file(run_file).absolute())
    if not is_text(deeds):
        raise ReportError(
            f"no SQL can be written beside {escape_controls(str(run_file))}, as its path is not UTF-8 text",
            "Copy the run file to a folder with another name.",
        )
    return Script(
        run_id=info.id,
        place=info.place,
        tables=info.tables,
        columns=info.columns,
        counting=Counting(info.order_by, info.filters.include_tests),
        until=utc_text(plan.now + plan.settings.max_age),
        deeds=deeds,
        moved_from=plan.settings.moved_from,
    )


def psql_command(place: Place, file: Path) -> str:
    """The command that runs `file`, with the password nowhere: psql has it from ~/.pgpass, a service or PGPASSWORD."""
    there = f"PGHOST={pasted(place.host)} PGPORT={place.port} PGDATABASE={pasted(place.database)}"
    return f"{there} PGUSER=ROLE psql -X -f {pasted(file)}"


def pasted(argument: object) -> str:
    """`argument` as a word of a command that is shown to be copied."""
    return shlex.quote(escape_controls(str(argument)))


def _mark(purpose: Purpose, form: int) -> str:
    return f"-- sync-audit {purpose}, form {form}"


def _comments(plan: Plan, script: Script, path: Path, file: SqlFile) -> Iterator[str]:
    info = plan.info
    does = "Records versions and weights in" if file.purpose == "apply" else "Puts back what was recorded before in"
    yield _mark(file.purpose, 2)
    yield f"-- {does} {file.rows:,} row{'s' * (file.rows != 1)} of {script.table}, all in one transaction."
    if file.to_be_asked:
        yield f"-- Of {file.to_be_asked:,} more the weights are to be looked up, as only sync-audit sync --apply does:"
        yield "-- no version is parted from its weights here."
    if file.named:
        yield f"-- {file.named:,} more are not in it, as an e-mail or name is in their ids or URLs: --redact was given."
        yield "-- sync-audit sync --apply changes them all the same."
    yield f"-- Run {info.id} of {escape_controls(info.database)}, begun {info.started_at};"
    yield f"-- planned {utc_text(plan.now)}, good until {script.until}, at {escape_controls(script.place.full)}"
    yield f"-- Run file: {escape_controls(path.name.removesuffix(f'-{file.purpose}.sql'))}.sqlite"
    yield f"-- Place: {escape_controls(msgspec.json.encode(script.place).decode())}"
    if script.moved_from:
        yield f"-- The database has moved from {escape_controls(script.moved_from)} to wherever psql connects to."
    yield f"-- To run it: {psql_command(script.place, path)}"
    if file.purpose == "apply":
        yield "-- A row that is not what it was is left as it is, and named. What was done is noted in the file of"
        yield "-- DEEDS_FILE below, by which alone it can be undone."
    else:
        yield "-- Only what was done is put back: what the file of DEEDS_FILE below notes, and lines that tell"
        yield "-- what stands in their row. A row that is not as that has left it is left as it is."
    yield "-- It holds ids of rows, users, models, trainings and versions, URLs and times. Lines may be deleted,"
    if plan.redacted:
        of_earlier = "" if file.purpose == "apply" else ", but for lines of an earlier plan"
        yield f"-- but not changed. No e-mail or name of a user is in it{of_earlier}."
    else:
        yield "-- but not changed. Ids and URLs with an e-mail or name in them are here as they are; a plan made with"
        yield "-- --redact leaves such rows out."


def _check(output: str | None, others: Iterable[Path]) -> None:
    """See that `output` can be written. Raises SettingsError where it is one of `others`, else ReportError."""
    if output is None or output == writer.STDOUT:
        return
    for other in others:
        if real(output) == real(other):
            raise SettingsError(f"-o {output} is the path of {other}, another file of this plan", "Give another PATH.")
    try:
        writer.check_path(output)
    except OSError as error:
        raise _unwritable("the plan", output, error) from error


def _put(what: str, path: str, render: Callable[[BinaryIO], None]) -> None:
    try:
        writer.put(path, render)
    except OSError as error:
        raise _unwritable(what, path, error) from error


def _unwritable(what: str, path: str, error: OSError) -> ReportError:
    where = "standard output" if path == writer.STDOUT else escape_controls(path)
    return ReportError(
        f"cannot write {what} to {where}: {os_cause(error)}",
        "Make that place writable, or copy the run file to one that is.",
    )
