"""The UPDATE of a repair, and what has to hold until then. Text only.

Updates travel as JSON, an array of objects: `row` is the id, `is` what has to be in the row by column, `set` what is to
be in it. The same statements serve the connection, where that array is a parameter, and the files for psql.

What a row holds is compared as JSON too: `guard_expressions` is the one list of what a decision rests on, each column
by the very expression that the audit reads it with, so that it equals itself whatever its type is.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec

from audit.model.codes import OrderBy
from audit.model.repair import SETTABLE, RowUpdate
from audit.model.sql import literal
from audit.model.tables import PLAIN, TIMES, Column, Tables
from audit.model.text import escape_controls, shortened
from audit.model.users import TRIMMED
from audit.postgres.columns import (
    Columns,
    as_iso,
    is_among,
    is_completed,
    key_of_model,
    person_of_model,
    text_as_read,
    truth,
)
from audit.postgres.snapshot_sql import snapshot_statements
from audit.postgres.writing import Writing, one_column_for_both

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
        {target} AS model, {completes} AS completes, {moves} AS moves
    FROM line LEFT JOIN (
        SELECT {id}::text AS row_id, {person} AS person, {completed} AS completed, {now} AS now, {before} AS before,
            {model_text} AS model
        FROM {read} WHERE {listed}
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
        UNION SELECT {person}::text FROM {source}
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
        {uncompleted}
        {others}
        END AS why
    FROM held LEFT JOIN LATERAL (
        SELECT guard.name FROM unnest('{{{guarded}}}'::text[]) WITH ORDINALITY AS guard (name, place)
        WHERE held.expected ? guard.name AND (held.expected -> guard.name) IS DISTINCT FROM (held.now -> guard.name)
        ORDER BY guard.place LIMIT 1
    ) AS differing ON true {join}
)
"""
_UNCOMPLETED = "WHEN NOT held.expected ? '{status}' AND held.completed IS NOT TRUE THEN '{status}'"
_OF_OTHERS = """WHEN held.completes AND held.completed THEN '{status}'
        WHEN held.completes AND known.counts IS NOT FALSE THEN '{not_newest}'
        WHEN NOT held.completes AND known.counts IS NOT TRUE THEN '{other_row}'
        WHEN known.retraining AND (known.newer @> held.over) IS NOT TRUE THEN '{retraining}'
        WHEN held.moves AND (heirs.several OR owners.first <> known.user_id OR owners.last <> known.user_id)
            OR owners.first_counting <> known.user_id OR owners.last_counting <> known.user_id THEN '{shared}'"""
_JOINED = """LEFT JOIN known ON known.model_row_id = held.row_id LEFT JOIN owners ON owners.model = held.model
    LEFT JOIN heirs ON heirs.model = held.model"""


def guard_expressions(models: Columns) -> dict[Column, str]:
    """SQL for what the audit reads of a row `m` of `user_models`, as texts, by column that there is or that is made."""
    found: dict[Column, str] = {}
    for column in GUARDED:
        if column in (Column.MODEL_ID, Column.VERSION_ID):  # of one, the other can be made
            found[column] = text_as_read(models, column, "m.")
        elif column not in models:
            continue
        elif column is Column.IS_TEST:
            found[column] = f"{truth(models.sql(column, 'm.'), models[column])}::text"
        elif column in TIMES:
            found[column] = as_iso(models.sql(column, "m."), models[column])
        elif column is Column.USER_ID:
            found[column] = models.text(column, "m.")
        else:
            found[column] = text_as_read(models, column, "m.")
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


def update_statements(  # noqa: PLR0913 - what is read, what is written, and how
    columns: tuple[Columns, Columns],
    writing: Writing,
    lines: str,
    kinds: Sequence[tuple[Column, ...]],
    *,
    judged_by: Counting | None,
    skip_locked: bool,
    puts_back: bool = False,
) -> UpdateStatements:
    """SQL for batches of updates that set the columns of one of `kinds`.

    Without `judged_by` nothing is asked of other rows, and of the row itself only what each update says: for an undo,
    which `puts_back` what was there.
    """
    assert writing.key  # noqa: S101 - `check_rights` was asked before
    users, models = columns
    person = person_of_model(users, models, "m.")
    guards = guard_expressions(models)
    ids = f"ARRAY(SELECT entry ->> 'row' FROM jsonb_array_elements({lines}::jsonb) AS entry)"  # noqa: S608 - an expression of ours
    row_id, kind = models.sql(Column.ID, "m."), models[Column.ID]
    listed = is_among(row_id, kind, kind, f"({ids})")
    key = f"m.{writing.key.sql}"
    to_write = is_among(key, writing.key.kind, writing.key.kind, f"({ids})")
    source, read = _source(models), _source(models)
    if writing.apart:
        other = f"t.{writing.key.sql}"
        read += f" JOIN {writing.table} AS t ON {other}::text = {row_id}::text"
        listed = f"{listed} AND {is_among(other, writing.key.kind, writing.key.kind, f'({ids})')}"
    now = _json_object(guards)
    before = _json_object(writing.before(SETTABLE, "t." if writing.apart else "m."))
    words = {
        "lines": lines,
        "id": row_id,
        "person": person,
        "completed": is_completed(models, "m."),
        "now": now,
        "before": before,
        "model_text": text_as_read(models, Column.MODEL_ID, "m."),
        "source": source,
        "read": read,
        "listed": listed,
        "gone": _GONE,
        "status": Column.TRAINING_STATUS,
        "guarded": ",".join(GUARDED),
        "uncompleted": _UNCOMPLETED.format(status=Column.TRAINING_STATUS) if Column.TRAINING_STATUS in models else "",
        "others": "",
        "join": "",
        **_moves(models),
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
            "model": text_as_read(models, Column.MODEL_ID, "m."),
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
        lock=f"SELECT {key}::text AS row_id FROM {writing.table} AS m WHERE {to_write} FOR NO KEY UPDATE"  # noqa: S608 - names and expressions of `columns`
        + (" SKIP LOCKED" if skip_locked else ""),
        judged=beginning,
        changes={kind: _change(writing, kind, now, to_write, puts_back=puts_back) for kind in kinds},
        after=f"SELECT {row_id}::text AS row_id, {now}::text AS now FROM {read} WHERE {listed}",  # noqa: S608 - the same
    )


def _source(models: Columns) -> str:
    """What is read, as rows `m`."""
    plain = models.source == models.table.sql
    return f"{models.table.sql} AS m" if plain else f"(SELECT * FROM {models.source}) AS m"  # noqa: S608 - the same


def _moves(models: Columns) -> dict[str, str]:
    """SQL about a line and the row `m` that it is about: the model that it leads to, and what that makes of the row."""
    status, model = f"line.wanted ? '{Column.TRAINING_STATUS}'", f"line.wanted ->> '{Column.MODEL_ID}'"
    moves = f"line.wanted ?| '{{{Column.TRAINING_STATUS},{Column.MODEL_ID}}}'"
    completes = status
    if Column.TRAINING_STATUS not in models:  # with the version it becomes a completed one
        completes = f"(m.completed IS NOT TRUE AND line.wanted ? '{Column.VERSION_ID}')"
        moves = f"({moves} OR {completes})"
    if one_column_for_both(models):
        version = f"line.wanted ->> '{Column.VERSION_ID}'"
        model = f"CASE WHEN position(':' IN {version}) > 0 THEN split_part({version}, ':', 1) END"
    target = key_of_model(f"coalesce({model}, m.model)", literal(TRIMMED))
    if one_column_for_both(models):
        moves = f"({moves} OR {target} IS DISTINCT FROM {key_of_model('m.model', literal(TRIMMED))})"
    return {"target": target, "completes": completes, "moves": moves}


def _change(writing: Writing, kind: Sequence[Column], now: str, to_write: str, *, puts_back: bool) -> str:
    assert writing.key  # noqa: S101 - see above
    sets = writing.sets(kind, lambda column: f"judged.wanted ->> '{column}'", puts_back=puts_back)
    keys = ",".join(sorted(kind))
    as_expected = "" if writing.apart else f"AND {now} @> judged.expected "
    return (
        f"UPDATE {writing.table} AS m SET {sets} FROM judged "  # noqa: S608 - the same
        f"WHERE judged.why IS NULL AND m.{writing.key.sql}::text = judged.row_id AND {to_write} "
        f"{as_expected}"
        f"AND ARRAY(SELECT key FROM jsonb_object_keys(judged.wanted) AS key ORDER BY key COLLATE \"C\") = '{{{keys}}}' "
        "RETURNING judged.row_id, judged.before"
    )


def _json_object(expressions: Mapping[Column, str]) -> str:
    pairs = ", ".join(f"'{column}', {sql}" for column, sql in expressions.items())
    return f"jsonb_build_object({pairs})"


def unchecked_columns(
    writing: Writing, models: Columns, kind: Collection[Column], *, puts_back: bool
) -> frozenset[Column]:
    """Guarded columns that need not hold what they held, or are given, after an update that sets those of `kind`.

    What is put back is not always what the audit reads: a model with its version behind it is read without. Dates are
    set by triggers.
    """
    may_change = writing.unchecked(models)
    made = {Column.MODEL_ID} & {*kind} if puts_back else set[Column]()
    return frozenset({*TIMES}) | (may_change | made if puts_back else may_change - {*kind})


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
        was = _shown(update.guards.get(Column.UPDATED_AT))
        return f"edited since: {tables.user_models.called(why)} is {value} now, and was {was}"
    return f"{tables.user_models.called(why)} is {value} now"


def _shown(value: str | None) -> str:
    return "null" if value is None else shortened(escape_controls(value), _SHOWN) if value.strip() else repr(value)
