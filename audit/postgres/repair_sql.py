"""The SQL that changes rows of `user_models`, fitted to the table. Text only; `source_repair` runs it.

Every value travels as a parameter, in arrays: $1 ids, $2 and $3 the version as it has to be and as it is to be, $4
and $5 the weights URL, $6 and $7 `updated_at`; $8 says whether $6 matters. What is put into the texts below are names
and expressions of this file and `source_sql`, chosen by the columns' types.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from audit.model.repair import RepairColumn
from audit.postgres.columns import Columns
from audit.postgres.sql import as_iso, is_among

ID = "id"
STATUS = "training_status"
VERSION: RepairColumn = "replicate_version_id"
WEIGHTS: RepairColumn = "lora_weights_url"
UPDATED_AT: RepairColumn = "updated_at"
RIGHTS = """
SELECT current_setting('transaction_read_only') = 'on' AS read_only, pg_is_in_recovery() AS replica,
    format('%I', current_user) AS role, pg_relation_is_updatable(found.id, true) & 4 = 4 AS updatable,
    ARRAY(SELECT name FROM unnest($1::text[]) WITH ORDINALITY AS wanted (name, place)
        WHERE NOT has_column_privilege(found.id, name, 'UPDATE') ORDER BY place) AS denied
FROM (SELECT to_regclass($2)::oid AS id) AS found
"""
"""Whether the columns $1 of the table $2 may be set here and now."""


@dataclass(frozen=True)
class RepairStatements:
    """What to run, for one batch."""

    hold: str
    """$1: the rows as they are, locked; those that somebody else holds locked are missing."""
    present: str
    """$1: ids that are in the table, locked or not."""
    look: str
    """$1: the rows as they are."""
    update: dict[tuple[RepairColumn, ...], str]
    """$1 to $8, by the columns that are set: those that were, as they are then."""


def repair_statements(models: Columns) -> RepairStatements:
    """The SQL for a table of these columns."""
    kind, table, row_id = models[ID], models.table.sql, f"m.{models.sql(ID)}"
    mine = is_among(row_id, kind, kind, "$1")
    weights = f"m.{models.sql(WEIGHTS)}::text" if WEIGHTS in models else "NULL::text"
    date = f"m.{models.sql(UPDATED_AT)}"
    updated_at = f"coalesce({as_iso(date, models[UPDATED_AT])}, {date}::text)"
    seen = (
        f"{row_id}::text AS model_row_id, m.{models.sql(STATUS)}::text AS status, "
        f"m.{models.sql(VERSION)}::text AS version, {weights} AS weights, {updated_at} AS updated_at"
    )
    rows = f"SELECT {seen} FROM {table} AS m WHERE {mine}"  # noqa: S608 - see above
    choices: list[tuple[RepairColumn, ...]] = [(VERSION,), (VERSION, UPDATED_AT)]
    if WEIGHTS in models:
        choices += [(VERSION, WEIGHTS), (VERSION, WEIGHTS, UPDATED_AT)]
    return RepairStatements(
        hold=f"{rows} FOR NO KEY UPDATE SKIP LOCKED",
        present=f"SELECT {row_id}::text AS model_row_id FROM {table} AS m WHERE {mine}",  # noqa: S608 - see above
        look=rows,
        update={columns: _update(models, columns, mine, seen) for columns in choices},
    )


_UPDATE = """
UPDATE {table} AS m SET {sets}
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]::{date}[], $7::text[]::{date}[], $8::bool[])
    AS edit (id, old_version, new_version, old_weights, new_weights, old_updated_at, new_updated_at, guards_updated_at)
WHERE {mine} AND m.{id}::text = edit.id AND {completed}
    AND m.{version}::text IS NOT DISTINCT FROM edit.old_version
    AND {weights} IS NOT DISTINCT FROM edit.old_weights
    AND (m.{updated_at} IS NOT DISTINCT FROM edit.old_updated_at OR NOT edit.guards_updated_at)
RETURNING {seen}
"""


def _update(models: Columns, columns: Sequence[RepairColumn], mine: str, seen: str) -> str:
    values = {VERSION: "edit.new_version", WEIGHTS: "edit.new_weights", UPDATED_AT: "edit.new_updated_at"}
    return _UPDATE.format(
        table=models.table.sql,
        id=models.sql(ID),
        completed=models.tables.is_completed(f"m.{models.sql(STATUS)}::text"),
        version=models.sql(VERSION),
        updated_at=models.sql(UPDATED_AT),
        sets=", ".join(f"{models.sql(column)} = {values[column]}" for column in columns),
        date=models[UPDATED_AT],
        mine=mine,
        weights=f"m.{models.sql(WEIGHTS)}::text" if WEIGHTS in models else "NULL::text",
        seen=seen,
    )
