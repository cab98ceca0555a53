"""The SQL of the audit, fitted to the tables as they are. Text only; `source` runs it.

Every value travels as a parameter: $1 is `TRIMMED`, $2 the `--user` texts or null, $3 the limit or null; where they are
wanted, $4 the persons to look at, as texts, or $4 the shard, counted from 0, and $5 how many there are. What is put
into the texts below are expressions written in this file, chosen by the columns' types, and names and words as `tables`
quotes them.
"""

from dataclasses import dataclass

from audit.model.codes import OrderBy
from audit.model.shard import HASHED
from audit.model.tables import COLUMNS, DATES, Column
from audit.model.users import SHARED_SHOWN
from audit.postgres.columns import Columns

_TEXTS = tuple(
    column
    for column in COLUMNS["user_models"]
    if column not in {Column.ID, Column.USER_ID, Column.TRAINING_STATUS, Column.IS_TEST, *DATES}
)
_TEXT_TYPES = frozenset({"text", "varchar", "bpchar", "citext", "name"})
_NUMBER_TYPES = frozenset({"int2", "int4", "int8", "numeric"})
SETTINGS = """
SELECT count(set_config(wanted.name, wanted.value, true)), current_setting('server_version')
FROM unnest($1::text[], $2::text[]) AS wanted (name, value)
JOIN pg_catalog.pg_settings AS known ON known.name = wanted.name
"""
"""Sets what the server knows of the names $1 to the values $2 until the transaction ends."""
# `person` is what joins a model to its user; `test` is false with --include-tests.
_COUNTING = """
WITH counting AS (
    SELECT m.*,
        row_number() OVER (PARTITION BY m.person ORDER BY {order}) AS place,
        count(*) OVER (PARTITION BY m.person) AS completed_rows,
        count(*) FILTER (WHERE m.{order_by} IS NULL) OVER (PARTITION BY m.person) AS undated_rows
    FROM {models} AS m
    WHERE m.completed AND NOT m.test
), chosen AS (
    SELECT c.*, u.user_id, u.email, {display_name} AS user_name,
        btrim(c.replicate_model_id, $1::text) COLLATE "C" AS model
    FROM counting AS c JOIN {users} AS u ON u.person = c.person
    WHERE c.place = 1
)
"""
_MATCHES = """
lower(c.email) = lower(word) OR c.user_id = {word_as_id} OR position(lower(word) IN lower(c.replicate_model_id)) > 0
"""
_WANTED = "($2::text[] IS NULL OR EXISTS (SELECT FROM unnest($2::text[]) AS word WHERE {matches}))"
"""Whether a row of `chosen` is one that `--user` names, or everybody is."""
# sha256 is the same in every version from 11 on, on every platform and under FIPS, unlike hashtext and md5; and text is
# hashed as UTF-8, whatever the database's encoding is. `shard.number_of` says the same.
_HASH = "sha256(convert_to(coalesce(nullif(c.model, ''), c.user_id), 'UTF8'))"
IN_SHARD = f"('x' || encode(substr({_HASH}, 1, {HASHED}), 'hex'))::bit({HASHED * 8})::bigint % $5::bigint = $4::bigint"
"""Whether a row of `chosen` is in the shard."""
# A row without any date may be later than the one that counts, and is taken to be.
_RECORDS = """
, later AS (
    SELECT o.person, bool_or(o.status <> 'failed') AS retraining, bool_or(o.status = 'failed') AS failed,
        (array_agg(o.failure_reason ORDER BY o.started DESC NULLS LAST, o.id DESC)
            FILTER (WHERE o.status = 'failed'))[1] AS failure_reason,
        (array_agg(o.training_id ORDER BY o.started DESC NULLS LAST, o.id DESC))[1] AS training_id
    FROM {models} AS o JOIN chosen AS c ON c.person = o.person
    WHERE o.status IN ('pending', 'processing', 'training', 'failed') AND NOT o.test
        AND (o.started < c.started) IS NOT TRUE
    GROUP BY o.person
), shared AS (
    SELECT c.model, count(*) AS users, (array_agg(c.user_id ORDER BY c.user_id COLLATE "C"))[1:{shown} + 1] AS first
    FROM chosen AS c WHERE c.model <> '' GROUP BY c.model HAVING count(*) > 1
)
SELECT c.user_id, c.email, c.user_name AS display_name, c.id::text AS model_row_id,
    c.replicate_model_id, c.replicate_version_id, c.training_id, c.trigger_word, c.lora_scale, c.lora_weights_url,
    c.model_name, {dates},
    c.completed_rows - 1 AS older_completed, c.undated_rows,
    coalesce(l.retraining, false) AS retraining_in_progress, coalesce(l.failed, false) AS later_training_failed,
    l.failure_reason AS later_failure_reason, l.training_id AS later_training_id,
    (array_remove(s.first, c.user_id))[1:{shown}] AS shared_with, coalesce(s.users - 1, 0) AS shared_with_count
FROM chosen AS c LEFT JOIN later AS l ON l.person = c.person LEFT JOIN shared AS s ON s.model = c.model
WHERE {wanted} AND {in_shard}
ORDER BY c.email COLLATE "C" NULLS LAST, c.user_id COLLATE "C"
LIMIT $3::bigint
"""
_OLDEST = """
SELECT min(oldest.completed_at COLLATE "C") FROM (
    SELECT {dates} FROM chosen AS c
    WHERE {wanted}
) AS oldest
"""
_UNMATCHED = """
SELECT word FROM unnest($2::text[]) WITH ORDINALITY AS given (word, place)
WHERE NOT EXISTS (SELECT FROM chosen AS c WHERE {matches}) ORDER BY place
"""
_POPULATION = """
WITH per_person AS (
    SELECT m.person, count(*) AS completed, count(*) FILTER (WHERE m.test) AS tests,
        count(*) FILTER (WHERE NOT m.test AND coalesce(btrim(m.replicate_model_id, $1::text), '') = '') AS without_id
    FROM {models} AS m WHERE m.completed GROUP BY m.person
)
SELECT (SELECT count(*) FROM {users_table}) AS users,
    count(*) FILTER (WHERE u.person IS NOT NULL AND p.completed > p.tests) AS users_with_completed_model,
    coalesce(sum(p.completed - p.tests) FILTER (WHERE u.person IS NOT NULL), 0)::bigint AS completed_models,
    count(*) FILTER (WHERE u.person IS NOT NULL AND p.completed > p.tests + 1) AS users_with_several_completed_models,
    coalesce(sum(p.without_id) FILTER (WHERE u.person IS NOT NULL), 0)::bigint AS completed_without_model_id,
    coalesce(sum(p.tests) FILTER (WHERE u.person IS NOT NULL), 0)::bigint AS test_models_left_out,
    coalesce(sum(p.completed) FILTER (WHERE u.person IS NULL), 0)::bigint AS models_without_user
FROM per_person AS p LEFT JOIN {users} AS u ON u.person = p.person
"""
_TRAINING_STATUS = """
SELECT coalesce(m.status, '(null)') AS status, count(*) AS models
FROM {models} AS m GROUP BY 1 ORDER BY 2 DESC, coalesce(m.status, '(null)') COLLATE "C"
"""


@dataclass(frozen=True)
class Statements:
    """What to run, in this order; the numbers are the parameters that each takes."""

    training_status: str
    """No parameter."""
    population: str
    """$1."""
    unmatched: str
    """$1 and $2: those of the `--user` texts that match nobody."""
    oldest: str
    """$1 and $2: the earliest `completed_at` among all records, whichever shards they are in."""
    records: str
    """$1 to $3: rows whose columns are the fields of `ModelRecord`."""
    records_of_shard: str
    """$1 to $5: the same, without those of other shards."""


def snapshot_statements(
    users: Columns, models: Columns, order_by: OrderBy, *, include_tests: bool, persons: str | None = None
) -> Statements:
    """The SQL for tables of these columns, all required ones among them.

    With `persons` ("$4") nobody else is in the database as far as these statements are concerned.
    """
    words = {
        "users_table": users.table.sql,
        "users": users_as_read(users, models, persons),
        "models": models_as_read(users, models, include_tests=include_tests, persons=persons),
        "order": latest_first(order_by),
        "order_by": order_by,
        "display_name": "u.display_name" if "display_name" in users else "c.display_name",
        "dates": dates_as_texts("c"),
        "matches": (matches := _MATCHES.format(word_as_id="lower(word)" if users["id"] == "uuid" else "word")),
        "wanted": _WANTED.format(matches=matches),
        "shown": SHARED_SHOWN,
    }
    counting = _COUNTING.format_map(words)
    return Statements(
        training_status=_TRAINING_STATUS.format_map(words),
        population=_POPULATION.format_map(words),
        unmatched=counting + _UNMATCHED.format_map(words),
        oldest=counting + _OLDEST.format_map(words),
        records=counting + _RECORDS.format_map({**words, "in_shard": "true"}),
        records_of_shard=counting + _RECORDS.format_map({**words, "in_shard": IN_SHARD}),
    )


def latest_first(order_by: OrderBy) -> str:
    """What rows `m` are ordered by."""
    order = dict.fromkeys(f"m.{name} DESC NULLS LAST" for name in (order_by, "updated_at", "completed_at"))
    return ", ".join((*order, "m.id DESC"))


def dates_as_texts(table: str) -> str:
    """The dates of `table` as `models` writes times, under their own names."""
    return ", ".join(f"{_iso(f'{table}.{name}')} AS {name}" for name in DATES)


def as_iso(expression: str, kind: str) -> str:
    """A date of the type `kind` as `models` writes times; null for dates that Python and ISO 8601 lack."""
    return _iso(_utc(expression, kind))


def users_as_read(users: Columns, models: Columns, persons: str | None = None) -> str:
    """`users` as the statements want it; where `persons` names a parameter, only those."""
    name = f"{users.sql('display_name')}::text" if "display_name" in users else "NULL::text"
    person = person_of_user(users, models)
    only = f" WHERE {is_among(person, users['id'], models['user_id'], persons)}" if persons else ""
    user_id, email = users.sql("id"), users.sql("email")
    listed = f"{person} AS person, {user_id}::text AS user_id, {email}::text AS email, {name} AS display_name"
    return f"(SELECT {listed} FROM {users.table.sql}{only})"  # noqa: S608 - see above


def models_as_read(users: Columns, models: Columns, *, include_tests: bool, persons: str | None = None) -> str:
    """`user_models` as the statements want it: texts as text, dates as timestamps in UTC, null where absent."""
    dates: dict[str, str] = {name: _utc(models.sql(name), models[name]) for name in DATES}
    person = person_of_model(users, models)
    status = models.sql("training_status") + ("" if models["training_status"] in _TEXT_TYPES else "::text")
    columns: dict[str, str] = {
        "person": person,
        "id": _ordered(models.sql("id"), models["id"]),
        "status": status,
        "completed": models.tables.is_completed(status),
        "test": "false" if include_tests else _truth(models.sql("is_test"), models.get("is_test")),
        **dates,
        "started": f"coalesce({dates['created_at']}, {dates['completed_at']}, {dates['updated_at']})",
        **{name: f"{models.sql(name)}::text" if name in models else "NULL::text" for name in _TEXTS},
    }
    listed = ", ".join(f"{expression} AS {name}" for name, expression in columns.items())
    only = f" WHERE {is_among(person, models['user_id'], users['id'], persons)}" if persons else ""
    return f"(SELECT {listed} FROM {models.table.sql}{only})"  # noqa: S608 - see above


def person_of_user(users: Columns, models: Columns) -> str:
    """What joins a row of `users` to rows of `user_models`."""
    return _person(users.sql("id"), users["id"], models["user_id"])


def person_of_model(users: Columns, models: Columns) -> str:
    """What joins a row of `user_models` to one of `users`."""
    return _person(models.sql("user_id"), models["user_id"], users["id"])


def is_among(person: str, kind: str, other: str, persons: str) -> str:
    """Whether `person` is among the texts of the parameter `persons`, so that an index on a bare column serves."""
    kinds = {kind, other}
    if not _comparable(kind, other) or kinds <= _TEXT_TYPES:
        as_type = "text"
    else:
        as_type = kind if kind == other else "numeric" if "numeric" in kinds else "int8"
    return f"{person} = ANY({persons}::text[]::{as_type}[])"


def _comparable(kind: str, other: str) -> bool:
    return kind == other or {kind, other} <= _TEXT_TYPES or {kind, other} <= _NUMBER_TYPES


def _person(column: str, kind: str, other: str) -> str:
    """Raw where the two types compare, so that an index can serve; else as text, and a uuid's text is lower case."""
    if _comparable(kind, other):
        return column
    return f"lower({column}::text)" if "uuid" in (kind, other) else f"{column}::text"


def _ordered(column: str, kind: str) -> str:
    return column if kind == "uuid" or kind in _NUMBER_TYPES else f'({column}::text COLLATE "C")'


def _truth(column: str, kind: str | None) -> str:
    """False for null."""
    if kind is None:
        return "false"
    if kind == "bool":
        return f"coalesce({column}, false)"
    return f"coalesce(lower({column}::text) IN ('t', 'true', '1', 'y', 'yes', 'on'), false)"


def _utc(column: str, kind: str) -> str:
    """As `timestamp` in UTC. A plain timestamp is taken to be in UTC already."""
    return f"({column} AT TIME ZONE 'UTC')" if kind == "timestamptz" else f"{column}::timestamp"


def _iso(column: str) -> str:
    """As `models` writes times: microseconds where there are any; null for dates that Python and ISO 8601 lack."""
    return f"""CASE WHEN {column} >= '0001-01-01' AND {column} < '10000-01-01' THEN to_char({column},
        CASE WHEN {column} = date_trunc('second', {column}) THEN 'YYYY-MM-DD"T"HH24:MI:SS"Z"'
        ELSE 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"' END) END"""
