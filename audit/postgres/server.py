"""What `doctor` needs to know of the database: the server, the two tables, and the users whom an audit would check.

Read in one read-only transaction, as far as the database allows.
"""

import dataclasses
import ipaddress
from collections.abc import Callable, Mapping
from datetime import datetime
from time import monotonic

import msgspec
from msgspec.structs import replace

from audit.errors import AuditError
from audit.model.ids import TRAINING_ID, model_key, question_of
from audit.model.sql import literal
from audit.model.tables import TABLES, Column, Tables
from audit.model.users import STUCK_AFTER, TRIMMED, ModelRecord, Population
from audit.postgres.columns import (
    Columns,
    key_of_model,
    latest_first,
    line_keys,
    missing_columns,
    models_as_read,
    users_as_read,
)
from audit.postgres.connection import Connection, read_transaction, translate_errors
from audit.postgres.errors import is_about_bytes
from audit.postgres.shape import check_ids, read_columns
from audit.postgres.snapshot import check_versions, population
from audit.postgres.snapshot_sql import snapshot_statements
from audit.postgres.url import Database


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """The PostgreSQL server, as seen over one connection. Times are seconds."""

    label: str
    version: str
    encoding: str
    """The database's, as PostgreSQL calls it: "UTF8"."""
    latency: float
    """One round trip, the best of a few."""
    clock_ahead: float
    """By how much its clock is ahead of ours."""
    tls: str | None
    """"TLSv1.3"; null where the connection is not encrypted."""
    local: bool
    """A socket of this machine, or its loopback address: nobody can listen in."""
    role: str
    superuser: bool
    writable: tuple[str, ...]
    """Those of the two tables that this role may change."""
    read_only: bool
    """Whatever the role may do: the server is a replica, or its sessions are read-only from the start."""
    pooled: bool
    """The process that speaks to us is not the one that was announced: a pooler is in between."""


class TableShape(msgspec.Struct, frozen=True, kw_only=True):
    """The two tables: columns, size, index."""

    missing: tuple[Column, ...]
    rows: int
    """Of `user_models`, counted where they could be, else as the planner estimates."""
    is_view: bool
    """`user_models` is a view: what indexes lie beneath is not known."""
    index: str | None
    """An index that begins with `user_models.user_id`."""


class Owner(msgspec.Struct, frozen=True):
    """An account on Replicate: the part of model ids before the slash, and how many users have a model of it."""

    name: str
    users: int


class AuditableUsers(msgspec.Struct, frozen=True, kw_only=True):
    """Those whom an audit would check, and what may keep it from checking them."""

    population: Population
    null_model_ids: int
    """Completed rows, test rows left out; so are the next two."""
    blank_model_ids: int
    malformed_model_ids: int
    malformed_example: str | None
    models: int
    """Distinct models that an audit would ask for."""
    askable_users: int
    """Users whose row that counts names a model that can be asked for."""
    owners: tuple[Owner, ...]
    """Of those, largest first; only the first few."""
    owner_count: int
    account_users: int
    """Those of `askable_users` whose model belongs to the token's account; 0 where that is not known."""
    recent: tuple[ModelRecord, ...]
    """The latest rows that count, one a user and one a model, to ask Replicate for; other fields are not filled in."""


_ROUND_TRIPS = 3
OWNERS_SHOWN = 5
_TRIED = 5
"""Models to ask Replicate for."""
_RECENT = 100
"""Rows looked through for them: several may be one user's, or name one model."""
_ASKABLE = "'^[A-Za-z0-9_-][A-Za-z0-9._-]*/[A-Za-z0-9_-][A-Za-z0-9._-]*$'"
"""As `askable_model`; to be matched under COLLATE "C", where A-Z are 26 letters."""
_CLOCK = "SELECT clock_timestamp() AS now"
_SERVER = """
SELECT pg_backend_pid() AS pid, current_user::text AS role, pg_is_in_recovery() AS replica,
    current_setting('is_superuser') = 'on' AS superuser, current_setting('default_transaction_read_only') AS read_only,
    ARRAY(SELECT name FROM unnest($1::text[]) AS wanted (name)
        WHERE has_table_privilege(to_regclass(name)::oid, 'INSERT, UPDATE, DELETE, TRUNCATE')) AS writable
"""
_INDEX = """
SELECT c.relkind IN ('v', 'm', 'f') AS is_view, greatest(c.reltuples, 0)::bigint AS rows,
    (SELECT min(i.relname::text) FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
        WHERE x.indrelid = c.oid AND x.indisvalid AND x.indpred IS NULL AND x.indkey[0] = a.attnum) AS name
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = $2::text
WHERE c.oid = to_regclass($1::text)
"""
_MODEL_IDS = """
SELECT kind, count(*) AS rows, min(left(id, 120)) AS example
FROM (SELECT id,
        CASE WHEN id IS NULL THEN 'null' WHEN id = '' THEN 'blank'
            WHEN id ~ {askable} OR id ~ {training} THEN 'good' ELSE 'bad' END
        AS kind
    FROM (SELECT btrim(m.replicate_model_id, $1::text) COLLATE "C" AS id FROM {models} AS m
        WHERE m.completed AND NOT m.test) AS ids) AS judged
GROUP BY kind
"""
# The rows that count are chosen as for an audit, without all that a record holds besides: that takes a third of it.
_OWNERS = """
WITH latest AS (
    SELECT DISTINCT ON ({line}) m.person, btrim(m.replicate_model_id, $1::text) COLLATE "C" AS model,
        {model_key} AS key
    FROM {models} AS m WHERE m.completed AND NOT m.test ORDER BY {line}, {order}
), ids AS (
    SELECT min(l.model) AS model, count(*) AS users
    FROM latest AS l JOIN {users} AS u ON u.person = l.person GROUP BY l.key
), named AS (
    SELECT split_part(model, '/', 1) AS owner, sum(users)::bigint AS users, count(*) AS models
    FROM ids WHERE model ~ {askable} GROUP BY 1
)
SELECT owner, users, (sum(users) OVER ())::bigint AS all_users, (sum(models) OVER ())::bigint AS all_models,
    count(*) OVER () AS all_owners,
    coalesce(sum(users) FILTER (WHERE lower(owner) = lower($2::text)) OVER (), 0)::bigint AS account_users
FROM named ORDER BY users DESC, owner LIMIT {owners}
"""
# Ordered as rows are chosen, so the first row of a user here is the one that counts.
_RECENT_ROWS = """
SELECT m.person::text AS user_id, m.id::text AS row_id, m.replicate_version_id, m.replicate_model_id
FROM {models} AS m WHERE m.completed AND NOT m.test ORDER BY {order} LIMIT {rows}
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Inspection:
    """What could be read, and the error that kept the rest from being read."""

    server: Server | None = None
    tables: TableShape | None = None
    users: AuditableUsers | None = None
    error: AuditError | None = None
    seen: Tables | None = None
    """The tables as they were found."""


async def inspect_database(
    database: Database, *, account: str | None, statement_timeout: float, now: Callable[[], datetime]
) -> Inspection:
    """Read what there is to know of server, tables and users, in this order, until an error; raises no AuditError.

    `account` is the name of the token's account on Replicate; `statement_timeout` is seconds; `now` is our clock.
    """
    found = await _inspect(database, account, statement_timeout, now)
    if database.has_bytes or not found.error or not is_about_bytes(found.error.__cause__):
        return found
    return await _inspect(dataclasses.replace(database, has_bytes=True), account, statement_timeout, now)


async def _inspect(
    database: Database, account: str | None, statement_timeout: float, now: Callable[[], datetime]
) -> Inspection:
    server = tables = seen = None
    try:
        async with read_transaction(database, statement_timeout=statement_timeout) as (connection, version):
            with translate_errors(database):
                server = await _server(connection, database, version, now)
                columns = await read_columns(connection, database)
                seen = columns[1].tables
                tables = await _table_shape(connection, *columns)
                await check_ids(connection, database, *columns)
                users = await _auditable_users(connection, *columns, account)
                check_versions(database, columns[1], users.population)
                counted = sum(users.population.training_status.values())
                return Inspection(server=server, tables=replace(tables, rows=counted), users=users, seen=seen)
    except AuditError as error:
        return Inspection(server=server, tables=tables, error=error, seen=seen)


async def _server(connection: Connection, database: Database, version: str, now: Callable[[], datetime]) -> Server:
    trips = []
    for _ in range(_ROUND_TRIPS):
        before, started = now(), monotonic()
        theirs = await connection.fetchval(_CLOCK)
        took = monotonic() - started
        trips.append((took, (theirs - before).total_seconds() - took / 2))
    latency, ahead = min(trips)
    row = await connection.fetchrow(
        _SERVER, [table.sql for table in map(database.tables.__getitem__, TABLES) if table.query is None]
    )
    assert row  # noqa: S101 - there is no WHERE
    # asyncpg does not say whether it has agreed on TLS, and the server knows only of its own end, before which a
    # pooler may stand.
    tls = connection._transport.get_extra_info("ssl_object")  # type: ignore[attr-defined]  # noqa: SLF001
    return Server(
        label=database.label,
        version=version,
        encoding=connection.get_settings().server_encoding,
        latency=latency,
        clock_ahead=ahead,
        tls=tls.version() if tls else None,
        local=_is_local(connection._addr),  # type: ignore[attr-defined]  # noqa: SLF001 - the host that answered
        role=row["role"],
        superuser=row["superuser"],
        writable=tuple(row["writable"]),
        read_only=row["replica"] or row["read_only"] == "on",
        pooled=row["pid"] != connection.get_server_pid(),
    )


def _is_local(address: str | tuple[str, int]) -> bool:
    if isinstance(address, str):
        return True
    try:
        return ipaddress.ip_address(address[0]).is_loopback
    except ValueError:
        return address[0] == "localhost"


async def _table_shape(connection: Connection, users: Columns, models: Columns) -> TableShape:
    missing = missing_columns(users, models)
    user_id = Column.USER_ID
    if models.table.query is not None or models.table.expression(user_id) is not None:
        return TableShape(missing=missing, rows=0, is_view=True, index=None)
    row = await connection.fetchrow(_INDEX, models.table.sql, models.table.called(user_id))
    assert row  # noqa: S101 - the table is there
    return TableShape(missing=missing, rows=row["rows"], is_view=row["is_view"], index=row["name"])


async def _auditable_users(
    connection: Connection, users: Columns, models: Columns, account: str | None
) -> AuditableUsers:
    words = {
        "askable": _ASKABLE,
        "training": literal(f"^{TRAINING_ID}$"),
        "users": users_as_read(users, models),
        "models": models_as_read(users, models, include_tests=False),
        "model_key": key_of_model("m.replicate_model_id"),
        "order": latest_first(models, "updated_at"),
        "line": ", ".join(f"m.{key}" for key in line_keys(models)),
        "owners": OWNERS_SHOWN,
        "rows": _RECENT,
    }
    ids = {row["kind"]: row for row in await connection.fetch(_MODEL_IDS.format_map(words), TRIMMED)}
    owners = await connection.fetch(_OWNERS.format_map(words), TRIMMED, account)
    recent = await connection.fetch(_RECENT_ROWS.format_map(words))
    totals = dict(owners[0]) if owners else {}
    sql = snapshot_statements(users, models, "updated_at", include_tests=False, stuck_after=STUCK_AFTER)
    return AuditableUsers(
        population=await population(connection, sql),
        null_model_ids=ids["null"]["rows"] if "null" in ids else 0,
        blank_model_ids=ids["blank"]["rows"] if "blank" in ids else 0,
        malformed_model_ids=ids["bad"]["rows"] if "bad" in ids else 0,
        malformed_example=ids["bad"]["example"] if "bad" in ids else None,
        models=totals.get("all_models", 0),
        askable_users=totals.get("all_users", 0),
        owners=tuple(Owner(row["owner"], row["users"]) for row in owners),
        owner_count=totals.get("all_owners", 0),
        account_users=totals.get("account_users", 0),
        recent=_to_try([_record(dict(row)) for row in recent]),
    )


def _record(row: Mapping[str, str | None]) -> ModelRecord:
    return ModelRecord(
        user_id=row["user_id"] or "",
        email=None,
        display_name=None,
        model_row_id=row["row_id"] or "",
        replicate_model_id=question_of(row["replicate_model_id"]),
        replicate_version_id=row["replicate_version_id"],
        created_at=None,
        updated_at=None,
        completed_at=None,
    )


def _to_try(records: list[ModelRecord]) -> tuple[ModelRecord, ...]:
    """The first few of `records` that are text, each user's first alone, and of those each model's first alone."""
    of_users: dict[str, ModelRecord] = {}
    for record in (each for each in records if not each.unreadable):
        of_users.setdefault(record.user_id, record)
    of_models: dict[str, ModelRecord] = {}
    for record in of_users.values():
        if record.replicate_model_id:
            of_models.setdefault(model_key(record.replicate_model_id), record)
    return tuple(of_models.values())[:_TRIED]
