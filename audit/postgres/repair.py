"""Changes rows of the product's table `user_models`. The only module that ever writes to that database.

A row is changed where it still is as it was recorded, and by no more than is asked for; any other is left alone with
the reason why. One transaction a batch, whose settings are its own, so that a pooler in transaction mode may stand in
between. Rows that somebody holds locked are not waited for. Nothing is open between two batches but the connection.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import groupby

from audit.errors import DatabaseError
from audit.model.place import Place, check_place
from audit.model.repair import ChangeOutcome, ChangeState, RowUpdate
from audit.model.tables import Column
from audit.postgres.columns import Columns, read_columns
from audit.postgres.connection import (
    Connection,
    close,
    connect,
    set_for_transaction,
    transaction_settings,
    translate_errors,
)
from audit.postgres.errors import URL_SETTING, is_about_a_row
from audit.postgres.place import read_place
from audit.postgres.update import (
    StoredRow,
    batch_parameters,
    batch_update,
    guarded_columns,
    select_rows,
    why_not,
)
from audit.postgres.url import Database

_RIGHTS = """
SELECT current_setting('transaction_read_only') = 'on' AS read_only, pg_is_in_recovery() AS replica,
    format('%I', current_user) AS role, pg_relation_is_updatable(found.id, true) & 4 = 4 AS updatable,
    ARRAY(SELECT name FROM unnest($1::text[]) WITH ORDINALITY AS wanted (name, place)
        WHERE NOT has_column_privilege(found.id, name, 'UPDATE') ORDER BY place) AS denied
FROM (SELECT to_regclass($2)::oid AS id) AS found
"""
"""Whether the columns $1 of the table $2 may be set here and now."""
Outcomes = Mapping[str, tuple[ChangeState, ChangeOutcome]]
"""What became of each update, by the row's id: done, skipped or failed."""


class Repairer:
    """The table, where certain columns of it may be set; made by `repairer`."""

    def __init__(self, database: Database, statement_timeout: float) -> None:
        self._database = database
        self._timeout = statement_timeout
        self._connection: Connection | None = None
        self._columns: Columns | None = None

    async def check(self, columns: Sequence[Column], place: Place | None, moved_from: str | None = None) -> None:
        """See that this is `place`, where that is known, and that `columns` may be set by this role, here and now.

        `moved_from`: as in `check_place`. Raises SettingsError for another place, both named, and DatabaseError with
        what would help.
        """
        async with self._transaction() as connection:
            _, models = await read_columns(connection, self._database)
            if place:
                check_place(place, await read_place(connection, self._database), moved_from)
            wanted = [models.table.called(name) for name in columns if name in models]
            row = await connection.fetchrow(_RIGHTS, wanted, models.table.sql)
        assert row  # noqa: S101 - there is no WHERE
        self._columns = models
        label, table = self._database.label, models.table.sql
        if row["read_only"]:
            why = "it is a replica" if row["replica"] else "default_transaction_read_only is on"
            raise DatabaseError(
                f"database {label} takes no changes: {why}",
                f"Name the primary server and a role that may write in {URL_SETTING}.",
            )
        if not row["updatable"]:
            raise DatabaseError(
                f"database {label}: {table} is a view or table that takes no changes",
                "schema=NAME in the URL chooses another schema; or have the view made updatable.",
            )
        if row["denied"]:
            listed = ", ".join(models.sql(name) for name in columns if models.table.called(name) in row["denied"])
            raise DatabaseError(
                f"database {label} does not let the role {row['role']} change {table} ({listed})",
                f"Have an owner run: GRANT UPDATE ({listed}) ON {table} TO {row['role']};",
            )

    async def rows(self, ids: Sequence[str]) -> dict[str, StoredRow]:
        """The rows as they are now, by their ids; those that are gone are missing."""
        async with self._transaction() as connection:
            return await self._fetch_rows(connection, ids)

    async def write(self, updates: Sequence[RowUpdate]) -> Outcomes:
        """Make those updates whose rows are as they have to be, in one transaction.

        Where the database refuses one (a constraint, a trigger), each is made in a transaction of its own, and that
        one has failed. Raises DatabaseError for everything else, with nothing changed by this call; unless the
        connection was lost at the very end, when that is not known.
        """
        try:
            return await self._write(updates)
        except DatabaseError as error:
            if not is_about_a_row(error.__cause__):
                raise
            if len(updates) == 1:
                return {updates[0].model_row_id: (ChangeState.FAILED, ChangeOutcome(why=str(error)))}
        outcomes: dict[str, tuple[ChangeState, ChangeOutcome]] = {}
        for update in updates:
            outcomes |= await self.write([update])
        return outcomes

    async def _write(self, updates: Sequence[RowUpdate]) -> Outcomes:
        done: dict[str, StoredRow] = {}
        async with self._transaction() as connection:
            own = await self._fetch_rows(connection, [update.model_row_id for update in updates], lock=True)
            mine = sorted((update for update in updates if update.model_row_id in own), key=_kind)
            for (sets, guarded), group in groupby(mine, _kind):
                some = list(group)
                statement = batch_update(self._models, sets, guarded)
                rows = [StoredRow(**row) for row in await connection.fetch(statement, *batch_parameters(some))]
                self._check_written(some, rows)
                done |= {row.model_row_id: row for row in rows}
            missing = [update.model_row_id for update in updates if update.model_row_id not in own]
            locked = await self._fetch_rows(connection, missing) if missing else {}
        outcomes: dict[str, tuple[ChangeState, ChangeOutcome]] = {}
        for update in updates:
            row_id = update.model_row_id
            if row := done.get(row_id):
                outcomes[row_id] = (
                    ChangeState.DONE,
                    ChangeOutcome(updated_at=row.updated_at, touched=update.sets_updated_at),
                )
            elif row_id in locked:
                outcomes[row_id] = ChangeState.SKIPPED, ChangeOutcome(why="somebody holds the row locked")
            else:
                why = why_not(update, own.get(row_id), self._database.tables)
                outcomes[row_id] = ChangeState.SKIPPED, ChangeOutcome(why=why)
        return outcomes

    async def _fetch_rows(
        self, connection: Connection, ids: Sequence[str], *, lock: bool = False
    ) -> dict[str, StoredRow]:
        """With `lock` only those that nobody else holds locked."""
        query = select_rows(self._models) + (" FOR NO KEY UPDATE SKIP LOCKED" if lock else "")
        return {row["model_row_id"]: StoredRow(**row) for row in await connection.fetch(query, ids)}

    def _check_written(self, updates: Sequence[RowUpdate], rows: Sequence[StoredRow]) -> None:
        """Raises DatabaseError, which takes the batch back, where the table has made something else of it."""
        wanted = {update.model_row_id: (update.new_version, update.new_weights) for update in updates}
        if len(rows) > len({row.model_row_id for row in rows}):
            what = "several rows have the same id"
        elif any(wanted[row.model_row_id] != (row.version, row.weights) for row in rows):
            what = "it makes something else of the values that it is given (a trigger?)"
        else:
            return
        raise DatabaseError(
            f"database {self._database.label}: {self._database.tables.user_models.sql} cannot be repaired, as {what}",
            "Nothing of this batch was changed. Ask who looks after the table.",
        )

    @property
    def _models(self) -> Columns:
        assert self._columns is not None  # noqa: S101 - `repairer` has checked before anybody writes
        return self._columns

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        """Committed at the end. A connection that was lost while nothing was going on is made anew."""
        if self._connection is None or self._connection.is_closed():
            await self.close()
            self._connection = await connect(self._database, statement_timeout=self._timeout)
        connection = self._connection
        try:
            with translate_errors(self._database):
                await connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
                await set_for_transaction(connection, transaction_settings(self._database, self._timeout))
                yield connection
                await connection.execute("COMMIT")
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the connection; may be called twice."""
        if self._connection is not None:
            await close(self._connection)
            self._connection = None


@asynccontextmanager
async def repairer(
    database: Database,
    *,
    statement_timeout: float,
    columns: Sequence[Column],
    place: Place | None = None,
    moved_from: str | None = None,
) -> AsyncIterator[Repairer]:
    """The table of `database`; raises DatabaseError where `columns` of it may not be set.

    Raises SettingsError where `place` is given and another, as `check_place` does. The timeout is seconds.
    """
    table = Repairer(database, statement_timeout)
    try:
        await table.check(columns, place, moved_from)
        yield table
    finally:
        await table.close()


def _kind(update: RowUpdate) -> tuple[tuple[Column, ...], tuple[Column, ...]]:
    """Edits of one kind are made by one statement."""
    return update.columns, guarded_columns(update)
