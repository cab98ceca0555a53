"""SQL of the snapshot, fitted to the tables. Text only.

Every value travels as a parameter: $1 is `TRIMMED`, $2 the `--user` texts or null, $3 the limit or null; where they are
wanted, $4 the persons to look at, as texts, or $4 the shard, counted from 0, and $5 how many there are.
"""

from dataclasses import dataclass

from audit.model.codes import OrderBy
from audit.model.ids import PART
from audit.model.shard import HASHED
from audit.model.sql import literal
from audit.model.tables import NULL
from audit.model.users import ROW_TEXTS, SHARED_SHOWN, TRIMMED
from audit.postgres.columns import (
    Columns,
    as_text,
    dates_as_texts,
    key_of_model,
    latest_first,
    line_keys,
    models_as_read,
    order_of,
    users_as_read,
)

_COUNTING = """
WITH counting AS (
    SELECT m.*,
        row_number() OVER (PARTITION BY {line} ORDER BY {order}) AS place,
        count(*) OVER (PARTITION BY {line}) AS completed_rows,
        count(*) FILTER (WHERE m.{order_by} IS NULL) OVER (PARTITION BY {line}) AS undated_rows{several}
    FROM {models} AS m
    WHERE m.completed AND NOT m.test
), chosen AS (
    SELECT c.*, u.user_id, u.email, {display_name} AS user_name,
        {model_key} AS model
    FROM counting AS c JOIN {users} AS u ON u.person = c.person
    WHERE c.place = 1
)
"""
# Whether a user has several models costs next to nothing, and how many is counted for those alone.
_SEVERAL = """,
        min(coalesce({model_key_of_row}, '')) OVER (PARTITION BY {line})
            <> max(coalesce({model_key_of_row}, '')) OVER (PARTITION BY {line}) AS several"""
_FURTHER = """
, further AS (
    SELECT c.person, count(DISTINCT {model_key_of_row}) AS models
    FROM {models} AS m JOIN chosen AS c ON c.person = m.person
    WHERE c.several AND m.completed AND NOT m.test
        AND {model_key_of_row} <> '' AND {model_key_of_row} <> coalesce(c.model, '')
    GROUP BY c.person
)
"""
_MATCHES = """
lower({row}.email) = lower(word) OR {row}.user_id = {word_as_id}
    OR position(lower(word) IN lower({row}.replicate_model_id)) > 0
"""
_WANTED = "($2::text[] IS NULL OR EXISTS (SELECT FROM unnest($2::text[]) AS word WHERE {matches}))"
"""Whether a user is one that `--user` names, or everybody is."""
# sha256 is the same in every version from 11 on, on every platform and under FIPS, unlike hashtext and md5; and text is
# hashed as UTF-8, whatever the database's encoding is. `shard.number_of` says the same.
_HASH = "sha256(convert_to(coalesce({keys}), 'UTF8'))"
_IN_SHARD = f"('x' || encode(substr({_HASH}, 1, {HASHED}), 'hex'))::bit({HASHED * 8})::bigint % $5::bigint = $4::bigint"


def in_shard(*keys: str) -> str:
    """Whether a user is in the shard: by the first of the SQL texts `keys` that is not blank."""
    return _IN_SHARD.format(keys=", ".join(f"nullif({key}, '')" for key in keys))


# The newest row of each user that has not come to a version as far as it says, where it is newer than the one that
# counts. Which of two rows is newer is a matter of when they began; a row that is used for one training after the other
# is as new as its latest date. A row without any date may be newer, and is taken to be.
_UNFINISHED = """
, open_rows AS (
    SELECT DISTINCT ON ({line}) m.*, u.user_id, u.email, {display_name_of_row} AS user_name,
        {model_key_of_row} AS model, c.person IS NULL AS alone
    FROM {models} AS m JOIN {users} AS u ON u.person = m.person LEFT JOIN chosen AS c ON {c_is_m}
    WHERE m.completed IS NOT TRUE AND NOT m.test
        AND (m.in_progress OR m.failed OR coalesce(btrim(m.replicate_version_id, {trimmed}), '') = '')
        AND (c.person IS NULL OR (m.started < c.started) IS NOT TRUE OR m.began > c.began)
    ORDER BY {line}, m.began DESC NULLS LAST, m.id DESC
), unfinished AS (
    SELECT o.* FROM open_rows AS o WHERE (o.in_progress AND {fresh}) IS NOT TRUE
)
"""
# Clocks differ by hours where a product writes local times; what is further ahead tells no age.
_FRESH = (
    "o.began > (now() AT TIME ZONE 'UTC') - interval '{seconds} seconds'"
    " AND o.began < (now() AT TIME ZONE 'UTC') + interval '1 day'"
)
_SHARING = """
, owners AS (
    SELECT c.model, c.user_id FROM chosen AS c WHERE c.model IN (SELECT o.model FROM unfinished AS o)
    UNION SELECT o.model, o.user_id FROM open_rows AS o
), shared_open AS (
    SELECT w.model, count(*) AS users,
        (array_agg(w.user_id ORDER BY w.user_id COLLATE "C"))[1:{shown} + 1] AS first
    FROM owners AS w WHERE w.model <> '' GROUP BY w.model HAVING count(*) > 1
)
"""
_ROW = (*ROW_TEXTS, "is_test")
"""Fields of `ModelRecord` that are columns of the row, texts and truth values."""


def _row(row: str) -> dict[str, str]:
    """SQL for what `ModelRecord` has of one row, by field."""
    plain = {name: f"{row}.{'status' if name == 'training_status' else name}" for name in _ROW}
    return {
        "user_id": f"{row}.user_id",
        "email": f"{row}.email",
        "display_name": f"{row}.user_name",
        "model_row_id": f"{row}.id::text",
        "row_user_id": f"nullif({row}.owner, {row}.user_id)",
        **plain,
        **dates_as_texts(row),
        "began_at": as_text(f"{row}.began") if row == "o" else "NULL::text",
    }


# A row without any date may be later than the one that counts, and is taken to be. Most rows have completed: that they
# have is compared first, as it costs a fifth of looking for the other words.
_RECORDS = """
, later AS (
    SELECT {line_of_o}, bool_or(o.in_progress) AS retraining, bool_or(o.failed) AS failed,
        (array_agg(o.failure_reason ORDER BY o.started DESC NULLS LAST, o.id DESC)
            FILTER (WHERE o.failed))[1] AS failure_reason,
        (array_agg(o.training_id ORDER BY o.started DESC NULLS LAST, o.id DESC))[1] AS training_id
    FROM {models} AS o JOIN chosen AS c ON {c_is_o}
    WHERE NOT o.completed AND (o.in_progress OR o.failed) AND NOT o.test
        AND (o.started < c.started) IS NOT TRUE
    GROUP BY {line_of_o}
), shared AS (
    SELECT c.model, count(*) AS users, (array_agg(c.user_id ORDER BY c.user_id COLLATE "C"))[1:{shown} + 1] AS first
    FROM {holders} AS c WHERE c.model <> '' GROUP BY c.model HAVING count(*) > 1
)
SELECT r.* FROM (
    SELECT {row_that_counts}, false AS unfinished,
        c.completed_rows - 1 AS older_completed, {other_models} AS other_models, c.undated_rows,
        coalesce(l.retraining, false) AS retraining_in_progress, coalesce(l.failed, false) AS later_training_failed,
        l.failure_reason AS later_failure_reason, l.training_id AS later_training_id,
        (array_remove(s.first, c.user_id))[1:{shown}] AS shared_with, coalesce(s.users - 1, 0) AS shared_with_count,
        CASE WHEN o.person IS NOT NULL THEN json_build_object({newer},
            'unfinished', true, 'shared_with', coalesce((array_remove(so.first, o.user_id))[1:{shown}], '{{}}'),
            'shared_with_count', coalesce(so.users - 1, 0))::text END AS newer
    FROM chosen AS c LEFT JOIN later AS l ON {l_is_c} LEFT JOIN shared AS s ON s.model = c.model
    LEFT JOIN unfinished AS o ON {c_is_o} LEFT JOIN shared_open AS so ON so.model = o.model{join_further}
    WHERE {wanted} AND {in_shard}
    UNION ALL
    SELECT {unfinished_row}, true AS unfinished, 0, NULL, 0, false, false, NULL, NULL,
        (array_remove(so.first, o.user_id))[1:{shown}], coalesce(so.users - 1, 0), NULL
    FROM unfinished AS o LEFT JOIN shared_open AS so ON so.model = o.model
    WHERE o.alone AND {unfinished_wanted} AND {unfinished_in_shard}
) AS r
ORDER BY r.email COLLATE "C" NULLS LAST, r.user_id COLLATE "C"{then_by}
LIMIT {limit}
"""
_UNFINISHED_COUNTS = """
SELECT count(*) AS users_with_unfinished_training, count(*) FILTER (WHERE o.alone) AS users_with_unfinished_only
FROM unfinished AS o
"""
# With several lines a user, users and lines are counted apart.
_UNFINISHED_LINES = """
SELECT count(DISTINCT o.user_id) AS users_with_unfinished_training,
    count(DISTINCT o.user_id) FILTER (WHERE NOT EXISTS (SELECT FROM chosen AS c WHERE c.person = o.person))
        AS users_with_unfinished_only,
    (SELECT count(*) FROM chosen) AS completed_lines, count(*) FILTER (WHERE o.alone) AS unfinished_only_lines
FROM unfinished AS o
"""
_OLDEST = """
SELECT min(oldest.completed_at COLLATE "C") FROM (
    SELECT {completed_at} AS completed_at FROM chosen AS c LEFT JOIN unfinished AS o ON {c_is_o}
    WHERE {wanted}
) AS oldest
"""
_UNMATCHED = """
SELECT word FROM unnest($2::text[]) WITH ORDINALITY AS given (word, place)
WHERE NOT EXISTS (SELECT FROM chosen AS c WHERE {matches})
    AND NOT EXISTS (SELECT FROM unfinished AS o WHERE {unfinished_matches}) ORDER BY place
"""
_QUALIFIED = f"^{PART}/{PART}:"
"""A version with its model in front, as `audit.model.ids` knows it."""
_POPULATION = """
WITH per_person AS (
    SELECT m.person, count(*) AS completed, count(*) FILTER (WHERE m.test) AS tests,
        min(nullif({model_key_of_row}, '')) FILTER (WHERE NOT m.test) AS first_model,
        max(nullif({model_key_of_row}, '')) FILTER (WHERE NOT m.test) AS last_model,
        count(*) FILTER (WHERE NOT m.test AND coalesce(btrim(m.replicate_model_id, $1::text), '') = '') AS without_id,
        count(*) FILTER (WHERE NOT m.test AND btrim(m.lora_weights_url, $1::text) <> '') AS with_weights,
        count(*) FILTER (WHERE NOT m.test AND btrim(m.replicate_version_id, $1::text) <> '') AS with_version,
        count(*) FILTER (WHERE NOT m.test AND btrim(m.replicate_version_id, $1::text) ~ {qualified}) AS qualified
    FROM {models} AS m WHERE m.completed GROUP BY m.person
)
SELECT (SELECT count(*) FROM {everybody}) AS users,
    count(*) FILTER (WHERE u.person IS NOT NULL AND p.completed > p.tests) AS users_with_completed_model,
    coalesce(sum(p.completed - p.tests) FILTER (WHERE u.person IS NOT NULL), 0)::bigint AS completed_models,
    count(*) FILTER (WHERE u.person IS NOT NULL AND p.completed > p.tests + 1) AS users_with_several_completed_models,
    count(*) FILTER (WHERE u.person IS NOT NULL AND p.first_model <> p.last_model) AS users_with_several_models,
    coalesce(sum(p.without_id) FILTER (WHERE u.person IS NOT NULL), 0)::bigint AS completed_without_model_id,
    coalesce(sum(p.with_weights) FILTER (WHERE u.person IS NOT NULL), 0)::bigint AS completed_with_weights,
    coalesce(sum(p.with_version) FILTER (WHERE u.person IS NOT NULL), 0)::bigint AS completed_with_version,
    coalesce(sum(p.qualified) FILTER (WHERE u.person IS NOT NULL), 0)::bigint AS completed_qualified,
    coalesce(sum(p.tests) FILTER (WHERE u.person IS NOT NULL), 0)::bigint AS test_models_left_out,
    coalesce(sum(p.completed) FILTER (WHERE u.person IS NULL), 0)::bigint AS models_without_user
FROM per_person AS p LEFT JOIN {users} AS u ON u.person = p.person
"""
_USUAL = """
SELECT count(*) FILTER (WHERE btrim(m.lora_weights_url, $1::text) <> '') * 2 > count(*) AS weights_are_usual,
    count(*) FILTER (WHERE m.version ~ {qualified}) * 2 > count(*) FILTER (WHERE m.version <> '') AS qualified_is_usual
FROM (SELECT m.*, btrim(m.replicate_version_id, $1::text) AS version FROM {models} AS m) AS m
WHERE m.completed AND NOT m.test
"""
_TRAINING_STATUS = """
SELECT coalesce(m.status::text, {null}) AS status, count(*) AS models
FROM {models} AS m GROUP BY 1 ORDER BY 2 DESC, coalesce(m.status::text, {null}) COLLATE "C"
"""


_THEN_BY = ("replicate_model_id", "model_row_id")
"""How the lines of one user are ordered."""


@dataclass(frozen=True)
class SnapshotStatements:
    """SQL fitted to the tables; the numbers are the parameters that each statement takes."""

    training_status: str
    """No parameter."""
    population: str
    """$1."""
    unfinished: str
    """$1: how many users have an unfinished row, and how many nothing else; lines, where users may have several."""
    unmatched: str
    """$1 and $2: those of the `--user` texts that match nobody."""
    oldest: str
    """$1 and $2: the earliest `completed_at` of completed rows among all records, whichever shards they are in."""
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
    stuck_after: float = 0,
    persons: str | None = None,
    whole: bool = False,
) -> SnapshotStatements:
    """The SQL for tables of these columns, all required ones among them.

    Of rows in progress only those count as unfinished that began more than `stuck_after` seconds ago, all with 0.

    With `persons` ("$4", or SQL for an array) nobody else is in the database as far as these statements are concerned.
    With `whole`, `records` has no parameter and is about everybody, to be a part of another statement.
    """
    trimmed = literal(TRIMMED) if whole else "$1::text"
    word_as_id = "lower(word)" if users["id"] == "uuid" else "word"
    matches, others = (_MATCHES.format(row=row, word_as_id=word_as_id) for row in "co")
    row_that_counts, unfinished_row = _row("c"), _row("o")
    in_users = "display_name" in users
    words = {
        "everybody": users.source,
        **_lines(models),
        "users": users_as_read(users, models, persons),
        "models": models_as_read(users, models, include_tests=include_tests, persons=persons),
        "order": latest_first(models, order_by),
        "order_by": order_of(models, order_by),
        "display_name": "u.display_name" if in_users else "c.display_name",
        "display_name_of_row": "u.display_name" if in_users else "m.display_name",
        "completed_at": row_that_counts["completed_at"],
        "matches": matches,
        "unfinished_matches": others,
        "wanted": "true" if whole else _WANTED.format(matches=f"{matches} OR ({others})"),
        "unfinished_wanted": "true" if whole else _WANTED.format(matches=others),
        "limit": "NULL" if whole else "$3::bigint",
        "shown": SHARED_SHOWN,
        "null": literal(NULL),
        "trimmed": trimmed,
        "qualified": literal(_QUALIFIED),
        "model_key": key_of_model("c.replicate_model_id", trimmed),
        "model_key_of_row": key_of_model("m.replicate_model_id", trimmed),
        "fresh": _FRESH.format(seconds=f"{stuck_after:f}") if stuck_after else "false",
        "row_that_counts": _listed(row_that_counts),
        "unfinished_row": _listed(unfinished_row),
        "newer": ", ".join(f"{literal(name)}, {sql}" for name, sql in unfinished_row.items()),
    }
    everybody = {"in_shard": "true", "unfinished_in_shard": "true"}
    one_shard = {
        "in_shard": in_shard("o.model", "c.model", "c.user_id"),
        "unfinished_in_shard": in_shard("o.model", "o.user_id"),
    }
    per_user = models.tables.latest_per == "user"
    words |= {
        "several": _SEVERAL.format_map(words) if per_user else "",
        "other_models": f"CASE WHEN c.completed_rows > 1 THEN {'coalesce(f.models, 0)' if per_user else '0'} END",
        "join_further": " LEFT JOIN further AS f ON f.person = c.person" if per_user else "",
    }
    rows = (_COUNTING + _UNFINISHED).format_map(words)
    records = rows + (_FURTHER if per_user else "").format_map(words) + _SHARING.format_map(words)
    return SnapshotStatements(
        training_status=_TRAINING_STATUS.format_map(words),
        population=_POPULATION.format_map(words),
        unfinished=rows + (_UNFINISHED_COUNTS if per_user else _UNFINISHED_LINES),
        unmatched=rows + _UNMATCHED.format_map(words),
        oldest=rows + _OLDEST.format_map(words),
        records=records + _RECORDS.format_map(words | everybody),
        records_of_shard=records + _RECORDS.format_map(words | one_shard),
    )


def _lines(models: Columns) -> dict[str, str]:
    """What tells the lines of a report apart, for each place in the statements."""
    keys = line_keys(models)

    def same(one: str, other: str) -> str:
        return " AND ".join(f"{one}.{key} = {other}.{key}" for key in keys)

    return {
        "line": ", ".join(f"m.{key}" for key in keys),
        "line_of_o": ", ".join(f"o.{key}" for key in keys),
        "c_is_m": same("c", "m"),
        "c_is_o": same("o", "c"),
        "l_is_c": same("l", "c"),
        # Somebody with several lines of a model is one of those who share it.
        "holders": "chosen" if len(keys) == 1 else "(SELECT DISTINCT model, user_id FROM chosen)",
        "then_by": "".join(f', r.{name} COLLATE "C" NULLS LAST' for name in _THEN_BY if len(keys) > 1),
    }


def usual_statement(users: Columns, models: Columns, *, include_tests: bool) -> str:
    """$1: whether most completed rows that count have weights, and whether most of their versions are qualified."""
    rows = models_as_read(users, models, include_tests=include_tests)
    return _USUAL.format(models=rows, qualified=literal(_QUALIFIED))


def _listed(row: dict[str, str]) -> str:
    return ", ".join(f"{sql} AS {name}" for name, sql in row.items())
