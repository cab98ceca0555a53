"""The SQL that changes rows of `user_models`, fitted to the table. Text only; `source_repair` runs it.

Every value travels as a parameter, in arrays: $1 ids, $2 and $3 the version as it has to be and as it is to be, $4
and $5 the weights URL, $6 and $7 `updated_at`; $8 says whether $6 matters. What is put into the texts below are names
and expressions of this file and `source_sql`, chosen by the columns' types.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from audit.repair import Column
from audit.source_sql import Columns, as_iso, is_among

ID = "id"
STATUS = "training_status"
VERSION: Column = "replicate_version_id"
WEIGHTS: Column = "lora_weights_url"
UPDATED_AT: Column = "updated_at"
TABLE = "user_models"

RIGHTS = f"""
SELECT current_setting('transaction_read_only') = 'on' AS read_only, pg_is_in_recovery() AS replica,
    format('%I', current_user) AS role, pg_relation_is_updatable(found.id, true) & 4 = 4 AS updatable,
    ARRAY(SELECT name FROM unnest($1::text[]) WITH ORDINALITY AS wanted (name, place)
        WHERE NOT has_column_privilege(found.id, name, 'UPDATE') ORDER BY place) AS denied
FROM (SELECT to_regclass('{TABLE}')::oid AS id) AS found
"""  # noqa: S608 - a name of this file
"""Whether the columns $1 may be set here and now."""


@dataclass(frozen=True)
class RepairStatements:
    """What to run, for one batch."""

    hold: str
    """$1: the rows as they are, locked; those that somebody else holds locked are missing."""
    present: str
    """$1: ids that are in the table, locked or not."""
    look: str
    """$1: the rows as they are."""
    update: dict[tuple[Column, ...], str]
    """$1 to $8, by the columns that are set: those that were, as they are then."""


def repair_statements(models: Columns) -> RepairStatements:
    """The SQL for a table of these columns."""
    kind = models[ID]
    mine = is_among(f"m.{ID}", kind, kind, "$1")
    weights = f"m.{WEIGHTS}::text" if WEIGHTS in models else "NULL::text"
    updated_at = f"coalesce({as_iso(f'm.{UPDATED_AT}', models[UPDATED_AT])}, m.{UPDATED_AT}::text)"
    seen = (
        f"m.{ID}::text AS model_row_id, m.{STATUS}::text AS status, m.{VERSION}::text AS version, "
        f"{weights} AS weights, {updated_at} AS updated_at"
    )
    rows = f"SELECT {seen} FROM {TABLE} AS m WHERE {mine}"  # noqa: S608 - see above
    choices: list[tuple[Column, ...]] = [(VERSION,), (VERSION, UPDATED_AT)]
    if WEIGHTS in models:
        choices += [(VERSION, WEIGHTS), (VERSION, WEIGHTS, UPDATED_AT)]
    return RepairStatements(
        hold=f"{rows} FOR NO KEY UPDATE SKIP LOCKED",
        present=f"SELECT m.{ID}::text AS model_row_id FROM {TABLE} AS m WHERE {mine}",  # noqa: S608 - see above
        look=rows,
        update={columns: _update(models, columns, mine, seen) for columns in choices},
    )


_UPDATE = """
UPDATE {table} AS m SET {sets}
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]::{date}[], $7::text[]::{date}[], $8::bool[])
    AS edit (id, old_version, new_version, old_weights, new_weights, old_updated_at, new_updated_at, guards_updated_at)
WHERE {mine} AND m.{id}::text = edit.id AND m.{status}::text = 'completed'
    AND m.{version}::text IS NOT DISTINCT FROM edit.old_version
    AND {weights} IS NOT DISTINCT FROM edit.old_weights
    AND (m.{updated_at} IS NOT DISTINCT FROM edit.old_updated_at OR NOT edit.guards_updated_at)
RETURNING {seen}
"""


def _update(models: Columns, columns: Sequence[Column], mine: str, seen: str) -> str:
    values = {VERSION: "edit.new_version", WEIGHTS: "edit.new_weights", UPDATED_AT: "edit.new_updated_at"}
    return _UPDATE.format(
        table=TABLE,
        id=ID,
        status=STATUS,
        version=VERSION,
        updated_at=UPDATED_AT,
        sets=", ".join(f"{column} = {values[column]}" for column in columns),
        date=models[UPDATED_AT],
        mine=mine,
        weights=f"m.{WEIGHTS}::text" if WEIGHTS in models else "NULL::text",
        seen=seen,
    )
