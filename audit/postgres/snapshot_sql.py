"""SQL of the snapshot, fitted to the tables. Text only.

Every value travels as a parameter: $1 is `TRIMMED`, $2 the `--user` texts or null, $3 the limit or null; where they are
wanted, $4 the persons to look at, as texts, or $4 the shard, counted from 0, and $5 how many there are.
"""

from dataclasses import dataclass

from audit.model.codes import OrderBy
from audit.model.shard import HASHED
from audit.model.sql import literal
from audit.model.tables import NULL
from audit.model.users import SHARED_SHOWN, TRIMMED
from audit.postgres.columns import (
    Columns,
    dates_as_texts,
    key_of_model,
    latest_first,
    models_as_read,
    users_as_read,
)

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
        {model_key} AS model
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
# A row without any date may be later than the one that counts, and is taken to be. Most rows have completed: that they
# have is compared first, as it costs a fifth of looking for the other words.
_RECORDS = """
, later AS (
    SELECT o.person, bool_or(o.in_progress) AS retraining, bool_or(o.failed) AS failed,
        (array_agg(o.failure_reason ORDER BY o.started DESC NULLS LAST, o.id DESC)
            FILTER (WHERE o.failed))[1] AS failure_reason,
        (array_agg(o.training_id ORDER BY o.started DESC NULLS LAST, o.id DESC))[1] AS training_id
    FROM {models} AS o JOIN chosen AS c ON c.person = o.person
    WHERE NOT o.completed AND (o.in_progress OR o.failed) AND NOT o.test
        AND (o.started < c.started) IS NOT TRUE
    GROUP BY o.person
), shared AS (
    SELECT c.model, count(*) AS users, (array_agg(c.user_id ORDER BY c.user_id COLLATE "C"))[1:{shown} + 1] AS first
    FROM chosen AS c WHERE c.model <> '' GROUP BY c.model HAVING count(*) > 1
)
SELECT c.user_id, c.email, c.user_name AS display_name, c.id::text AS model_row_id,
    nullif(c.owner, c.user_id) AS row_user_id, c.status AS training_status, c.is_test,
    c.replicate_model_id, c.replicate_version_id, c.training_id, c.trigger_word, c.lora_scale, c.lora_weights_url,
    c.model_name, c.failure_reason, {dates},
    c.completed_rows - 1 AS older_completed, c.undated_rows,
    coalesce(l.retraining, false) AS retraining_in_progress, coalesce(l.failed, false) AS later_training_failed,
    l.failure_reason AS later_failure_reason, l.training_id AS later_training_id,
    (array_remove(s.first, c.user_id))[1:{shown}] AS shared_with, coalesce(s.users - 1, 0) AS shared_with_count
FROM chosen AS c LEFT JOIN later AS l ON l.person = c.person LEFT JOIN shared AS s ON s.model = c.model
WHERE {wanted} AND {in_shard}
ORDER BY c.email COLLATE "C" NULLS LAST, c.user_id COLLATE "C"
LIMIT {limit}
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
SELECT coalesce(m.status::text, {null}) AS status, count(*) AS models
FROM {models} AS m GROUP BY 1 ORDER BY 2 DESC, coalesce(m.status::text, {null}) COLLATE "C"
"""


@dataclass(frozen=True)
class SnapshotStatements:
    """SQL fitted to the tables; the numbers are the parameters that each statement takes."""

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


def snapshot_statements(  # noqa: PLR0913 - the tables, what counts, and how far
    users: Columns,
    models: Columns,
    order_by: OrderBy,
    *,
    include_tests: bool,
    persons: str | None = None,
    whole: bool = False,
) -> SnapshotStatements:
    """The SQL for tables of these columns, all required ones among them.

    With `persons` ("$4", or SQL for an array) nobody else is in the database as far as these statements are concerned.
    With `whole`, `records` has no parameter and is about everybody, to be a part of another statement.
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
        "wanted": "true" if whole else _WANTED.format(matches=matches),
        "limit": "NULL" if whole else "$3::bigint",
        "shown": SHARED_SHOWN,
        "null": literal(NULL),
        "model_key": key_of_model("c.replicate_model_id", literal(TRIMMED) if whole else "$1::text"),
    }
    counting = _COUNTING.format_map(words)
    return SnapshotStatements(
        training_status=_TRAINING_STATUS.format_map(words),
        population=_POPULATION.format_map(words),
        unmatched=counting + _UNMATCHED.format_map(words),
        oldest=counting + _OLDEST.format_map(words),
        records=counting + _RECORDS.format_map({**words, "in_shard": "true"}),
        records_of_shard=counting + _RECORDS.format_map({**words, "in_shard": IN_SHARD}),
    )
