"""The UPDATE of a repair, and what has to hold until then. Text only.

Updates travel as JSON, an array of objects: `row` is the id, `is` what has to be in the row by column, `set` what is to
be in it. The same statements serve the connection, where that array is a parameter, and the files for psql.

What a row holds is compared as JSON too: `guard_expressions` is the one list of what a decision rests on, each column
by the very expression that the audit reads it with, so that it equals itself whatever its type is.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from audit.model.codes import OrderBy
from audit.model.repair import SETTABLE, RowUpdate
from audit.model.sql import literal
from audit.model.tables import PLAIN, TIMES, Column, Tables
from audit.model.text import escape_controls, shortened
from audit.model.users import TRIMMED
from audit.postgres.columns import (
    DATE_TYPES,
    TEXT_TYPES,
    Columns,
    as_iso,
    is_among,
    key_of_model,
    person_of_model,
    truth,
)
from audit.postgres.snapshot_sql import snapshot_statements

GUARDED = (
    Column.USER_ID,
    Column.IS_TEST,
    Column.TRAINING_STATUS,
    Column.MODEL_ID,
    Column.VERSION_ID,
    Column.LORA_WEIGHTS_URL,
    Column.TRAINING_ID,
    Column.UPDATED_AT,
    Column.COMPLETED_AT,
    Column.CREATED_AT,
    Column.STARTED_AT,
)
"""What a decision rests on, of the row itself. The first that differs is the one that is named."""
ALREADY = "it is what it was to be already"
"""Why a row is skipped that somebody has changed to the very same."""
LOCKED = "somebody holds the row locked"
LEFT_AS_IT_WAS = "the database left it as it was (a trigger or a rule?)"
_SHOWN = 80
"""Characters of a value in a sentence."""
_GONE, _OTHER_ROW, _NOT_NEWEST, _RETRAINING, _SHARED = "gone", "other_row", "not_newest", "retraining", "shared"
_WHY = {
    _GONE: "the row is gone",
    _OTHER_ROW: "it is not the row that counts for its user any more",
    _NOT_NEWEST: "it is not the newest row of its user any more",
    _RETRAINING: "a newer training of its user is in progress",
    _SHARED: "another user has the same model now",
}
_ENCODER = msgspec.json.Encoder()
_TEXTS = msgspec.json.Decoder(dict[Column, str | None])
# `model` is the key of the model that the row is to have.
_HELD = """
WITH line AS (
    SELECT entry ->> 'row' AS row_id, entry -> 'is' AS expected, entry -> 'set' AS wanted, entry -> 'over' AS over
    FROM jsonb_array_elements({lines}::jsonb) AS entry
), held AS (
    SELECT line.row_id, line.expected, line.wanted, line.over, m.person, m.completed, m.now, m.before,
        {target} AS model, line.wanted ? '{status}' AS completes, line.wanted ?| '{{{status},{model_id}}}' AS moves
    FROM line LEFT JOIN (
        SELECT m.{id}::text AS row_id, {person} AS person, {completed} AS completed, {now} AS now, {before} AS before,
            {model_text} AS model
        FROM {table} AS m WHERE {listed}
    ) AS m ON m.row_id = line.row_id
)
"""
# What concerns other rows is looked at once for all, and only among users of the batch and those who have one of its
# models. A model is looked for in the whole table, as no index can serve: hence once a batch, and not once a row.
# A row that is made a completed one, or gets another model, may have a model that nobody else has in a row that counts
# or in an open one, nor gets in the same batch; any other one that nobody else has in a row that counts.
_OTHERS = """
, persons AS (
    SELECT array_agg(concerned.person) AS listed FROM (
        SELECT held.person::text AS person FROM held WHERE held.person IS NOT NULL
        UNION SELECT {person}::text FROM {table} AS m
            WHERE {model} IN (SELECT held.model FROM held WHERE held.model <> '')
    ) AS concerned
), records AS (
    SELECT r.model_row_id, r.user_id, r.unfinished, r.retraining_in_progress, r.newer::jsonb AS newer,
        r.replicate_model_id
    FROM ({records}) AS r
), known AS (
    SELECT r.model_row_id, r.user_id, NOT r.unfinished AS counts, r.retraining_in_progress AS retraining, r.newer,
        {model_of_record} AS model
    FROM records AS r
    UNION ALL SELECT r.newer ->> 'model_row_id', r.user_id, false, false, NULL, {model_of_newer}
    FROM records AS r WHERE r.newer IS NOT NULL
), owners AS (
    SELECT known.model, min(known.user_id) AS first, max(known.user_id) AS last,
        min(known.user_id) FILTER (WHERE known.counts) AS first_counting,
        max(known.user_id) FILTER (WHERE known.counts) AS last_counting
    FROM known WHERE known.model <> '' GROUP BY known.model
), heirs AS (
    SELECT held.model, min(held.person::text) <> max(held.person::text) AS several
    FROM held WHERE held.moves AND held.model <> '' GROUP BY held.model
)
"""
_JUDGED = """
, judged AS (
    SELECT held.row_id, held.wanted, held.expected, held.now, held.before, CASE
        WHEN held.now IS NULL THEN '{gone}'
        WHEN differing.name IS NOT NULL THEN differing.name
        WHEN NOT held.expected ? '{status}' AND held.completed IS NOT TRUE THEN '{status}'
        {others}
        END AS why
    FROM held LEFT JOIN LATERAL (
        SELECT guard.name FROM unnest('{{{guarded}}}'::text[]) WITH ORDINALITY AS guard (name, place)
        WHERE held.expected ? guard.name AND (held.expected -> guard.name) IS DISTINCT FROM (held.now -> guard.name)
        ORDER BY guard.place LIMIT 1
    ) AS differing ON true {join}
)
"""
_OF_OTHERS = """WHEN held.completes AND held.completed THEN '{status}'
        WHEN held.completes AND known.counts IS NOT FALSE THEN '{not_newest}'
        WHEN NOT held.completes AND known.counts IS NOT TRUE THEN '{other_row}'
        WHEN known.retraining AND (known.newer @> held.over) IS NOT TRUE THEN '{retraining}'
        WHEN held.moves AND (heirs.several OR owners.first <> known.user_id OR owners.last <> known.user_id)
            OR owners.first_counting <> known.user_id OR owners.last_counting <> known.user_id THEN '{shared}'"""
_JOINED = """LEFT JOIN known ON known.model_row_id = held.row_id LEFT JOIN owners ON owners.model = held.model
    LEFT JOIN heirs ON heirs.model = held.model"""


def guard_expressions(models: Columns) -> dict[Column, str]:
    """SQL for what the audit reads of a row `m` of `user_models`, as texts, by column that is there."""
    found: dict[Column, str] = {}
    for column in GUARDED:
        if column not in models:
            continue
        name, kind = f"m.{models.sql(column)}", models[column]
        if column is Column.IS_TEST:
            found[column] = f"{truth(name, kind)}::text"
        elif column in TIMES:
            found[column] = as_iso(name, kind)
        else:
            found[column] = f"{name}::text"
    return found


class UpdateStatements(NamedTuple):
    """The statements of a batch, in their order; `lines` is SQL for its updates as JSON."""

    lock: str
    """Locks the rows; the next statement sees what others have committed until then."""
    judged: str
    """A WITH whose `judged` has of each update `row_id`, `why` (null where it may be made), and `now` and `before` as
    JSON; what the next one needs."""
    changes: Mapping[tuple[Column, ...], str]
    """By the columns that are set: an UPDATE of those whose `why` is null, which returns `row_id` and `before`."""
    after: str
    """`row_id` and `now` of all rows of the batch."""


class Counting(NamedTuple):
    """What decides which row counts for a user, as in the audit."""

    order_by: OrderBy = "updated_at"
    include_tests: bool = False


def update_statements(
    columns: tuple[Columns, Columns],
    lines: str,
    kinds: Sequence[tuple[Column, ...]],
    *,
    judged_by: Counting | None,
    skip_locked: bool,
) -> UpdateStatements:
    """SQL for batches of updates that set the columns of one of `kinds`.

    Without `judged_by` nothing is asked of other rows, and of the row itself only what each update says: for an undo.
    """
    users, models = columns
    person = person_of_model(users, models, "m.")
    guards = guard_expressions(models)
    table = models.table.sql
    ids = f"ARRAY(SELECT entry ->> 'row' FROM jsonb_array_elements({lines}::jsonb) AS entry)"  # noqa: S608 - an expression of ours
    row_id = f"m.{models.sql(Column.ID)}"
    listed = is_among(row_id, models[Column.ID], models[Column.ID], f"({ids})")
    now = _json_object(guards)
    before = _json_object({each: f"m.{models.sql(each)}::text" for each in SETTABLE if each in models})
    words = {
        "lines": lines,
        "id": models.sql(Column.ID),
        "person": person,
        "completed": models.tables.is_completed(f"m.{models.sql(Column.TRAINING_STATUS)}::text"),
        "now": now,
        "before": before,
        "model_text": f"m.{models.sql(Column.MODEL_ID)}::text",
        "target": key_of_model(f"coalesce(line.wanted ->> '{Column.MODEL_ID}', m.model)", literal(TRIMMED)),
        "model_id": Column.MODEL_ID,
        "table": table,
        "listed": listed,
        "gone": _GONE,
        "status": Column.TRAINING_STATUS,
        "guarded": ",".join(GUARDED),
        "others": "",
        "join": "",
    }
    beginning = _HELD.format_map(words)
    if judged_by:
        records = snapshot_statements(
            users,
            models,
            judged_by.order_by,
            include_tests=judged_by.include_tests,
            persons="(SELECT listed FROM persons)",
            whole=True,
        ).records
        keys = {
            "model": f"m.{models.sql(Column.MODEL_ID)}::text",
            "model_of_record": "r.replicate_model_id",
            "model_of_newer": "r.newer ->> 'replicate_model_id'",
        }
        keys = {name: key_of_model(text, literal(TRIMMED)) for name, text in keys.items()}
        beginning += _OTHERS.format_map({**words, **keys, "records": records})
        words["others"] = _OF_OTHERS.format(
            status=Column.TRAINING_STATUS,
            not_newest=_NOT_NEWEST,
            other_row=_OTHER_ROW,
            retraining=_RETRAINING,
            shared=_SHARED,
        )
        words["join"] = _JOINED
    beginning += _JUDGED.format_map(words)
    return UpdateStatements(
        lock=f"SELECT {row_id}::text AS row_id FROM {table} AS m WHERE {listed} FOR NO KEY UPDATE"  # noqa: S608 - names and expressions of `columns`
        + (" SKIP LOCKED" if skip_locked else ""),
        judged=beginning,
        changes={kind: _change(models, kind, now, listed) for kind in kinds},
        after=f"SELECT {row_id}::text AS row_id, {now}::text AS now FROM {table} AS m WHERE {listed}",  # noqa: S608 - the same
    )


def _change(models: Columns, kind: Sequence[Column], now: str, listed: str) -> str:
    sets = ", ".join(f"{models.sql(column)} = {_wanted(models, column)}" for column in kind)
    keys = ",".join(sorted(kind))
    return (
        f"UPDATE {models.table.sql} AS m SET {sets} FROM judged "  # noqa: S608 - the same
        f"WHERE judged.why IS NULL AND m.{models.sql(Column.ID)}::text = judged.row_id AND {listed} "
        f"AND {now} @> judged.expected "
        f"AND ARRAY(SELECT key FROM jsonb_object_keys(judged.wanted) AS key ORDER BY key COLLATE \"C\") = '{{{keys}}}' "
        "RETURNING judged.row_id, judged.before"
    )


def _json_object(expressions: Mapping[Column, str]) -> str:
    pairs = ", ".join(f"'{column}', {sql}" for column, sql in expressions.items())
    return f"jsonb_build_object({pairs})"


def _wanted(models: Columns, column: Column) -> str:
    """The value to be set. A text needs no cast, and with one would be cut to the length of its column unnoticed.

    A type of the user's own, such as an enum, may have any name in any schema: the table's row has the value in it.
    """
    value, kind = f"judged.wanted ->> '{column}'", models[column]
    if kind in TEXT_TYPES:
        return f"({value})"
    if kind in DATE_TYPES:
        return f"({value})::{kind}"
    own = models.table.called(column)
    row = f"jsonb_populate_record(NULL::{models.table.sql}, jsonb_build_object({literal(own)}, {value}))"
    return f"({row}).{models.sql(column)}"


def transaction_status(txid: str) -> str:
    """SQL for what became of the transaction `txid`: null where the server has forgotten it, or never had it."""
    number = f"({txid})::bigint"
    return f"CASE WHEN {number} < txid_snapshot_xmax(txid_current_snapshot()) THEN txid_status({number}) END"


def update_json(update: RowUpdate) -> dict[str, object]:
    """`update` as the statements take it."""
    found: dict[str, object] = {"row": update.model_row_id, "is": update.guards, "set": update.sets}
    return found if update.over is None else {**found, "over": update.over}


def lines_json(updates: Sequence[RowUpdate]) -> str:
    """A batch as the statements take it."""
    return _ENCODER.encode([update_json(update) for update in updates]).decode()


def guard_texts(row: str) -> dict[Column, str | None]:
    """What the statements return of a row as JSON, by column."""
    return _TEXTS.decode(row)


def why_not(update: RowUpdate, why: str, now: Mapping[Column, str | None], tables: Tables = PLAIN) -> str:
    """Why `update` was not made, for a person: `why` and `now` are those of `UpdateStatements.judged`."""
    if why in _WHY:
        return _WHY[why]
    if all(now.get(column) == value for column, value in update.sets.items() if column is not Column.UPDATED_AT):
        return ALREADY
    value = _shown(now.get(Column(why)))
    if why == Column.UPDATED_AT:
        return f"edited since: updated_at is {value} now, and was {_shown(update.guards.get(Column.UPDATED_AT))}"
    return f"{tables.user_models.called(why)} is {value} now"


def _shown(value: str | None) -> str:
    return "null" if value is None else shortened(escape_controls(value), _SHOWN) if value.strip() else repr(value)
