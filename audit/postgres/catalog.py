"""What tables there are, and a sample of what is in them: for whoever does not know yet which tables to read.

No large table is ever read whole. Counts are the planner's; samples are random pages, or the first rows of small tables
and of those of which the planner knows nothing. Each table is read behind a savepoint and with a time of its own, so
one that is slow, locked or closed costs only itself.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Literal

import asyncpg
import msgspec

from audit.model.sql import quoted
from audit.postgres.connection import Connection, read_transaction, translate_errors
from audit.postgres.url import Database

SAMPLE = 1000
"""Rows of a table that are looked at, at most."""
_SAMPLE_WITH_DOCUMENTS = 250
"""The same where columns hold JSON, which may be long."""
_VALUES = 120_000
"""Values of a sample, at most: of a table with many columns fewer rows are looked at."""
_LONGEST = 400
"""Characters of a text that are looked at."""
_DOCUMENT = 60_000
"""Bytes. A longer JSON document is left out."""
_LOCKED = 500
"""Milliseconds that a lock is waited for."""
_CONNECT = 8.0

Kind = Literal["text", "json", "number", "bool", "date", "uuid", "enum", "array", "composite", "other"]
"""What a column's type is, for whoever looks for something in it."""


class CatalogColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column that this role may read."""

    name: str
    sql: str
    """As SQL writes it, in quotes where these are needed."""
    type: str
    """As in pg_type, of domains the type beneath."""
    kind: Kind
    not_null: bool = False
    fixed: bool = False
    """It is generated, so nobody can set it."""
    words: tuple[str, ...] = ()
    """All that can be in it: labels of an enum, or what a check constraint lists."""


class Reference(msgspec.Struct, frozen=True):
    """A foreign key of one column."""

    column: str
    table: str
    """The other table, as `CatalogTable.id`; this role may not be able to read it."""
    other: str
    """Its column."""


class CatalogTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table, view or foreign table that this role may read, at least in part."""

    schema: str
    name: str
    sql: str
    """As SQL writes it, with the schema where the search path does not find it."""
    visible: bool
    """The search path finds it by its name alone."""
    is_view: bool
    stale: bool
    """A materialized view."""
    rows: int | None
    """As the planner estimates; null where it does not know."""
    row_security: bool
    """Policies would hide rows from this role."""
    columns: tuple[CatalogColumn, ...]
    primary: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...]
    """Columns of other unique keys."""
    references: tuple[Reference, ...]

    @property
    def id(self) -> str:
        """Schema and name, to be looked up by."""
        return f"{self.schema}.{self.name}"

    @property
    def path(self) -> tuple[str, ...]:
        """As a config file names it."""
        return (self.name,) if self.visible else (self.schema, self.name)

    def column(self, name: str) -> CatalogColumn | None:
        """The column of this name."""
        return next((column for column in self.columns if column.name == name), None)


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """What there is."""

    tables: tuple[CatalogTable, ...]
    closed: tuple[str, ...]
    """Tables that this role may not read, as SQL writes them."""
    left_out: int
    """Tables beyond the first ten thousand, of which nothing is known."""
    role: str
    """As SQL writes it."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of a table, by column: all lists are equally long. Values are texts as PostgreSQL writes them."""

    columns: Mapping[str, tuple[str | None, ...]]
    rows: int
    whole: bool = False
    """It is the whole table."""


_CATALOG = """
SELECT c.oid::int8 AS oid, n.nspname AS schema, c.relname AS name,
    CASE WHEN pg_table_is_visible(c.oid) THEN quote_ident(c.relname)
        ELSE quote_ident(n.nspname) || '.' || quote_ident(c.relname) END AS sql,
    pg_table_is_visible(c.oid) AS visible, c.relkind IN ('v', 'm') AS is_view, c.relkind = 'm' AS stale,
    CASE WHEN c.reltuples >= 0 AND c.relkind NOT IN ('v', 'f') THEN c.reltuples::int8 END AS rows,
    row_security_active(c.oid) AS row_security,
    has_schema_privilege(n.oid, 'USAGE') AND (has_table_privilege(c.oid, 'SELECT')
        OR has_any_column_privilege(c.oid, 'SELECT')) AS readable,
    count(*) OVER () AS total
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'
    AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
        AND d.deptype = 'e')
ORDER BY NOT pg_table_is_visible(c.oid), n.nspname, c.relname
LIMIT 10000
"""
# A version before 12 has no generated columns, and so no column of the catalog that tells them.
_COLUMNS = """
SELECT a.attrelid::int8 AS oid, a.attname AS name, quote_ident(a.attname) AS sql, t.typname AS type,
    t.typtype::text AS sort, t.typcategory::text AS category, a.attnotnull OR outermost.typnotnull AS not_null,
    coalesce(to_jsonb(a) ->> 'attgenerated', '') <> '' AS fixed,
    CASE WHEN t.typtype = 'e' THEN ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid
        ORDER BY enumsortorder LIMIT 200) ELSE '{}' END AS labels
FROM pg_attribute AS a JOIN pg_type AS outermost ON outermost.oid = a.atttypid
JOIN pg_type AS t ON t.oid = CASE WHEN outermost.typtype = 'd' THEN outermost.typbasetype ELSE outermost.oid END
WHERE a.attrelid = ANY($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
    AND has_column_privilege(a.attrelid, a.attnum, 'SELECT')
ORDER BY a.attrelid, a.attnum
"""
_KEYS = """
SELECT i.indrelid::int8 AS oid, i.indisprimary AS is_primary,
    ARRAY(SELECT a.attname::text FROM unnest(i.indkey) WITH ORDINALITY AS k (num, place)
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.num ORDER BY k.place) AS columns
FROM pg_index AS i
WHERE i.indrelid = ANY($1::oid[]) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND 0 <> ALL(i.indkey)
"""
_REFERENCES = """
SELECT r.conrelid::int8 AS oid, r.confrelid::int8 AS other_oid, a.attname AS name, b.attname AS other
FROM pg_constraint AS r
JOIN pg_attribute AS a ON a.attrelid = r.conrelid AND a.attnum = r.conkey[1]
JOIN pg_attribute AS b ON b.attrelid = r.confrelid AND b.attnum = r.confkey[1]
WHERE r.contype = 'f' AND r.conrelid = ANY($1::oid[]) AND array_length(r.conkey, 1) = 1
ORDER BY r.conrelid, r.conkey
"""
_CHECKS = """
SELECT r.conrelid::int8 AS oid, a.attname AS name,
    ARRAY(SELECT replace(m[1], '''''', '''')
        FROM regexp_matches(pg_get_constraintdef(r.oid), '''((?:[^'']|'''')*)''', 'g') AS m) AS words
FROM pg_constraint AS r JOIN pg_attribute AS a ON a.attrelid = r.conrelid AND a.attnum = r.conkey[1]
WHERE r.contype = 'c' AND r.conrelid = ANY($1::oid[]) AND array_length(r.conkey, 1) = 1
    AND pg_get_constraintdef(r.oid) ~ ' = ANY |IN \\(| = '
"""
_TEXTS = frozenset({"text", "varchar", "bpchar", "citext", "name"})
_NUMBERS = frozenset({"int2", "int4", "int8", "numeric", "float4", "float8"})
_DATES = frozenset({"timestamptz", "timestamp", "date"})


async def read_catalog(connection: Connection) -> Catalog:
    """All tables but the system's and extensions' own. Raises as asyncpg does."""
    listed = await connection.fetch(_CATALOG)
    oids = [row["oid"] for row in listed if row["readable"]]
    ids = {row["oid"]: f"{row['schema']}.{row['name']}" for row in listed}
    columns: dict[int, dict[str, CatalogColumn]] = {oid: {} for oid in oids}
    checks = {(row["oid"], row["name"]): tuple(row["words"]) for row in await connection.fetch(_CHECKS, oids)}
    for row in await connection.fetch(_COLUMNS, oids):
        kind = _kind(row["type"], row["sort"], row["category"])
        checked = checks.get((row["oid"], row["name"]), ()) if kind == "text" else ()
        columns[row["oid"]][row["name"]] = CatalogColumn(
            name=row["name"],
            sql=row["sql"],
            type=row["type"],
            kind=kind,
            not_null=row["not_null"],
            fixed=row["fixed"],
            words=tuple(row["labels"]) or checked,
        )
    primary: dict[int, tuple[str, ...]] = {}
    unique: dict[int, list[tuple[str, ...]]] = {oid: [] for oid in oids}
    for row in await connection.fetch(_KEYS, oids):
        key = tuple(row["columns"])
        if not set(key) <= columns[row["oid"]].keys():
            continue
        if row["is_primary"]:
            primary[row["oid"]] = key
        else:
            unique[row["oid"]].append(key)
    references: dict[int, list[Reference]] = {oid: [] for oid in oids}
    for row in await connection.fetch(_REFERENCES, oids):
        if row["name"] in columns[row["oid"]] and row["other_oid"] in ids:
            references[row["oid"]].append(Reference(row["name"], ids[row["other_oid"]], row["other"]))
    role = await connection.fetchval("SELECT quote_ident(current_user)")
    return Catalog(
        tables=tuple(
            CatalogTable(
                **{name: row[name] for name in ("schema", "name", "sql", "visible", "is_view", "stale", "rows")},
                row_security=row["row_security"],
                columns=tuple(columns[row["oid"]].values()),
                primary=primary.get(row["oid"], ()),
                unique=tuple(unique[row["oid"]]),
                references=tuple(references[row["oid"]]),
            )
            for row in listed
            if row["readable"] and columns[row["oid"]]
        ),
        closed=tuple(row["sql"] for row in listed if not row["readable"]),
        left_out=listed[0]["total"] - len(listed) if listed else 0,
        role=role,
    )


def _kind(name: str, sort: str, category: str) -> Kind:
    if sort == "e":
        return "enum"
    if category == "A":
        return "array"
    if sort == "c":
        return "composite"
    for names, kind in _KINDS:
        if name in names:
            return kind
    return "other"


_KINDS: tuple[tuple[frozenset[str], Kind], ...] = (
    (_TEXTS, "text"),
    (_NUMBERS, "number"),
    (_DATES, "date"),
    (frozenset({"json", "jsonb"}), "json"),
    (frozenset({"bool"}), "bool"),
    (frozenset({"uuid"}), "uuid"),
)


@dataclass
class Looking:
    """A connection to look around by, for so many seconds."""

    connection: Connection
    ends: float
    """When the time is over, as `monotonic` tells it."""
    saved: bool = False
    """There is a savepoint from the last query."""
    failed: dict[str, str] = field(default_factory=dict)
    """Tables that could not be read, and why: the server's words."""

    @property
    def left(self) -> float:
        """Seconds; never less than 0."""
        return max(0.0, self.ends - monotonic())

    async def fetch(self, what: str, query: str, *parameters: object, seconds: float) -> list[asyncpg.Record] | None:
        """The rows; None, with `what` among those that failed, where the server gives none in so many seconds."""
        begin = f"SAVEPOINT looking; SET LOCAL statement_timeout = {max(50, int(seconds * 1000))}"
        # One round trip for both: a distant server is asked a hundred times.
        await self.connection.execute(f"RELEASE SAVEPOINT looking; {begin}" if self.saved else begin)
        self.saved = True
        try:
            return list(await self.connection.fetch(query, *parameters))
        except asyncpg.PostgresError as error:
            self.failed[what] = "it took too long" if error.sqlstate == "57014" else str(error.args[0])
            await self.connection.execute("ROLLBACK TO SAVEPOINT looking")
            return None


@asynccontextmanager
async def looking(database: Database, seconds: float) -> AsyncIterator[Looking]:
    """Connect, to look around for so many seconds in one read-only transaction. Raises DatabaseError."""
    begun = monotonic()
    async with read_transaction(database, statement_timeout=10.0, connect_timeout=_CONNECT) as (connection, _):
        with translate_errors(database):
            await connection.execute(f"SET LOCAL lock_timeout = {_LOCKED}")
            yield Looking(connection, begun + seconds)


_FEW = 40
"""Rows of each table that are probed."""
_AT_ONCE = 40
"""Tables in one statement."""


async def probe(looking: Looking, tables: Sequence[CatalogTable], pattern: str, *, until: float) -> dict[str, int]:
    """By table, in how many of its first rows something matches `pattern`, wherever it stands in the row.

    It ends when `until` seconds are left. Tables that were not come to, or can't be read, are missing.
    """
    found: dict[str, int] = {}
    groups = [tables[i : i + _AT_ONCE] for i in range(0, len(tables), _AT_ONCE)]
    while groups and looking.left > until:
        group = groups.pop(0)
        parts = (
            f"SELECT {number} AS number, count(*) FILTER (WHERE {_row(table)} ~ $1) AS hits"  # noqa: S608 - names as the server quotes them
            f" FROM (SELECT {_listed(table)} FROM {table.sql} LIMIT {_FEW}) AS r"
            for number, table in enumerate(group)
        )
        what = group[0].id if len(group) == 1 else ""
        rows = await looking.fetch(what, " UNION ALL ".join(parts), pattern, seconds=min(1.0, looking.left))
        if rows is not None:
            found |= {group[row["number"]].id: row["hits"] for row in rows}
        elif len(group) > 1:
            groups[:0] = [group[: len(group) // 2], group[len(group) // 2 :]]
    looking.failed.pop("", None)
    return found


def _searched(table: CatalogTable) -> list[CatalogColumn]:
    return [column for column in table.columns if column.kind in {"text", "json"}][:60]


def _listed(table: CatalogTable) -> str:
    cut = (
        f"left({column.sql}::text, {4000 if column.kind == 'json' else _LONGEST}) AS c{number}"
        for number, column in enumerate(_searched(table))
    )
    return ", ".join(cut) or "NULL::text AS c0"


def _row(table: CatalogTable) -> str:
    return "concat_ws(E'\\n', " + ", ".join(f"c{number}" for number in range(max(1, len(_searched(table))))) + ")"


async def sample(looking: Looking, table: CatalogTable, columns: Sequence[CatalogColumn]) -> Sample | None:
    """Rows of `table`; None where they can't be read."""
    if not columns:
        return None
    documents = any(column.kind in {"json", "array", "composite"} for column in columns)
    limit = min(_SAMPLE_WITH_DOCUMENTS if documents else SAMPLE, max(50, _VALUES // len(columns)))
    listed = ", ".join(f"{_cut(column)} AS c{number}" for number, column in enumerate(columns))
    query = f"SELECT {listed} FROM {table.sql}"  # noqa: S608 - names as the server quotes them
    rows: list[asyncpg.Record] | None = []
    if table.rows and table.rows > limit and not table.is_view:
        percent = min(100.0, 100.0 * 1.5 * limit / table.rows)
        # Repeatable, so that the same tables give the same file.
        pages = f"{query} TABLESAMPLE SYSTEM ({percent:.6f}) REPEATABLE (1) LIMIT {limit}"
        rows = await looking.fetch(table.id, pages, seconds=min(3.0, looking.left))
    if not rows or len(rows) < limit // 10:  # few pages have many rows, or none; foreign tables have no pages
        first = await looking.fetch(table.id, f"{query} LIMIT {limit}", seconds=min(3.0, looking.left))
        rows = [*(rows or []), *first][:limit] if first is not None else rows or None
    if rows is None:
        return None
    looking.failed.pop(table.id, None)
    return Sample(
        columns={column.name: tuple(row[number] for row in rows) for number, column in enumerate(columns)},
        rows=len(rows),
        whole=len(rows) < limit and not (table.rows and table.rows > limit),
    )


def _cut(column: CatalogColumn) -> str:
    if column.kind in {"json", "composite", "array"}:
        small = f"pg_column_size({column.sql}) < {_DOCUMENT}"
        text = f"CASE WHEN octet_length({column.sql}::text) < {4 * _DOCUMENT} THEN {column.sql}::text END"
        return f"CASE WHEN {small} THEN {text} END"
    if column.kind == "text":
        document = f"left({column.sql}::text, 1) = '{{' AND pg_column_size({column.sql}) < {_DOCUMENT}"
        return f"left({column.sql}::text, CASE WHEN {document} THEN {_DOCUMENT} ELSE {_LONGEST} END)"
    return f"{column.sql}::text"


async def also_in(looking: Looking, values: Sequence[str], table: CatalogTable, column: CatalogColumn) -> int | None:
    """How many of `values` are in a column of another table, which has to be the first of a key; None for unknown."""
    kind = "text" if column.kind == "text" else column.type
    query = f"SELECT count(DISTINCT {column.sql}) AS found FROM {table.sql} WHERE {column.sql} = ANY($1::text[]::{quoted(kind)}[])"  # noqa: S608, E501 - names as the server quotes them
    rows = await looking.fetch("", query, list(values), seconds=min(1.0, looking.left))
    looking.failed.pop("", None)
    return None if rows is None else int(rows[0]["found"])
