"""The run files of shards, made one: everybody in the order of the database, a few rows in memory."""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from audit.errors import RunFileError
from audit.model.codes import LatestPer
from audit.model.shard import Shard, shard_number
from audit.model.text import escape_controls
from audit.model.times import epoch_seconds
from audit.model.users import TRIMMED, ModelRecord
from audit.runfile import folder
from audit.runfile.file import RunFile
from audit.runfile.sqlite import WAIT

_RECORD = msgspec.json.Decoder(ModelRecord)
_COLUMNS = "model, outcome, rank, reason, notes, record, finding, checked_at"
_LINES: Mapping[LatestPer, str] = {
    "user": "json_extract(record, '$.user_id')",
    "model": "json_extract(record, '$.user_id'),"
    f" lower(trim(coalesce(json_extract(record, '$.replicate_model_id'), ''), '{TRIMMED}'))",
    "row": "json_extract(record, '$.user_id'), json_extract(record, '$.model_row_id')",
}
"""`line_of` for SQLite, whose `lower` knows A to Z alone."""
_IN_TWO = "SELECT 1 FROM audited GROUP BY {line} HAVING count(*) > 1 LIMIT 1"
_REMOVE_OLDER = """
DELETE FROM audited WHERE id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY {line} ORDER BY begun(record) DESC) AS place FROM audited
    ) WHERE place > 1
)
"""


class _Row(NamedTuple):
    """A user as the file has it."""

    record: ModelRecord
    columns: tuple[object, ...]
    question: tuple[object, ...] | None
    """What the file has of the unfinished row, where that has a question of its own."""


@contextmanager
def open_unchanged(path: Path) -> Iterator[RunFile]:
    """An existing, undamaged run file; nothing in it changes, not even if its run was killed. Raises RunFileError."""
    with folder.open_unchanged(path, WAIT) as run_file:
        run_file.storage.check_integrity()
        yield run_file


def merge_users(into: RunFile, shards: Mapping[Shard, RunFile]) -> int:
    """Fill the new run file `into` with everything that is known of users; returns how many lines were in two shards.

    Of these the shard that was begun later counts. To be called within `into.loading()`. Raises RunFileError where a
    user is in a shard that does not have the user's model.
    """
    by_key = all(run_file.info.by_model_key for run_file in shards.values())
    rows = (_users_of(shard, run_file) for shard, run_file in shards.items())
    _insert_users(into, heapq.merge(*rows, key=_report_order))
    by_reading = sorted(
        shards.values(), key=lambda run_file: (run_file.info.trainings and run_file.info.trainings.began_at) or ""
    )
    for run_file in by_reading:  # of a training that two have read, what was read last counts
        into.trainings.copy(run_file.trainings.rows())
    for run_file in shards.values():
        if run_file.weights.exists:
            into.weights.copy(run_file.weights.rows())
    first = by_reading[0]
    if first.info.baseline:
        into.baseline.copy(first.baseline.rows())
    begun = {shard.number: epoch_seconds(run_file.info.started_at) for shard, run_file in shards.items()}
    of = next(iter(shards)).of
    line = _LINES[into.info.latest_per]
    return _remove_duplicates(into, line, lambda record: begun[shard_number(_RECORD.decode(record), of, by_key=by_key)])


def _users_of(shard: Shard, run_file: RunFile) -> Iterator[_Row]:
    by_key = run_file.info.by_model_key
    question = "u.id, u.outcome, u.heard, u.base FROM audited AS a LEFT JOIN unfinished AS u ON u.id = a.id"
    if not run_file.asks_about_rows:
        question = "NULL, NULL, NULL, NULL FROM audited AS a"
    query = f"SELECT {', '.join(f'a.{name}' for name in _COLUMNS.split(', '))}, {question} ORDER BY a.id"
    with run_file.storage.reading():
        for *columns, has_question, outcome, heard, base in run_file.storage.connection.execute(query):
            asked = (outcome, heard, base) if has_question else None
            row = _Row(_RECORD.decode(columns[5]), tuple(columns), asked)
            number = shard_number(row.record, shard.of, by_key=by_key)
            if number != shard.number:
                user, other = escape_controls(row.record.user_id), Shard(number, shard.of).label
                raise RunFileError(
                    f"{run_file.path} is {shard.label}, but user {user} in it belongs to {other}",
                    "It was changed, or put together by hand: run that shard again.",
                )
            yield row


def _report_order(row: _Row) -> tuple[object, ...]:
    """By code point, as PostgreSQL sorts bytes of UTF-8; with one line a user the last two are the same."""
    record = row.record
    model = record.replicate_model_id
    return record.email is None, record.email or "", record.user_id, model is None, model or "", record.model_row_id


def _insert_users(into: RunFile, rows: Iterable[_Row]) -> None:
    insert = f"INSERT INTO audited ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - a constant
    with into.storage.translate_errors():
        for row in rows:
            added = into.storage.connection.execute(insert, row.columns)
            if row.question:
                question = "INSERT INTO unfinished (id, outcome, heard, base) VALUES (?, ?, ?, ?)"
                into.storage.connection.execute(question, (added.lastrowid, *row.question))


def _remove_duplicates(into: RunFile, line: str, begun: Callable[[str], float]) -> int:
    """Keep, of the rows of each line, the one whose shard was begun last, and return how many went."""
    with into.storage.translate_errors():
        connection = into.storage.connection
        if not connection.execute(_IN_TWO.format(line=line)).fetchone():
            return 0
        connection.create_function("begun", 1, begun, deterministic=True)
        removed = connection.execute(_REMOVE_OLDER.format(line=line)).rowcount
        connection.execute("DELETE FROM unfinished WHERE id NOT IN (SELECT id FROM audited)")
        return removed
