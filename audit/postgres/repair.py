"""Changes rows of the product's table `user_models`. The only module that ever writes to that database.

A row is changed where it still is as it was recorded, and by no more than is said; any other is left alone, and it is
told why. One transaction a batch, whose settings are its own, so that a pooler in transaction mode may stand in
between. Rows that somebody holds locked are not waited for. Nothing is open between two batches but the connection.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from typing import NamedTuple

from audit.errors import DatabaseError
from audit.model.repair import ChangeOutcome, ChangeState, RepairColumn, RowUpdate
from audit.model.tables import PLAIN, Tables
from audit.model.text import escape_controls, shortened
from audit.postgres import connection as source
from audit.postgres.errors import is_about_a_row
from audit.postgres.repair_sql import RIGHTS, RepairStatements, repair_statements
from audit.postgres.url import Database

ALREADY = "it is what it was to be already"
"""Why a row is skipped that somebody has changed to the very same."""
_SHOWN = 80
"""Characters of a value in a sentence."""


class StoredRow(NamedTuple):
    """What the table holds of one row; times as in `models`."""

    model_row_id: str
    status: str | None
    version: str | None
    weights: str | None
    updated_at: str | None


Outcomes = Mapping[str, tuple[ChangeState, ChangeOutcome]]
"""By the row's id: done, skipped or failed."""


class Repairer:
    """The table, ready to be changed."""

    def __init__(self, database: Database, statement_timeout: float) -> None:
        self._database = database
        self._timeout = statement_timeout
        self._connection: source.Connection | None = None
        self._sql: RepairStatements | None = None

    async def check(self, columns: Sequence[RepairColumn]) -> None:
        """See that `columns` may be set by this role, here and now. Raises DatabaseError with what would help."""
        async with self._transaction() as connection:
            _, models = await source.read_columns(connection, self._database)
            wanted = [models.table.called(name) for name in columns if name in models]
            row = await connection.fetchrow(RIGHTS, wanted, models.table.sql)
        assert row  # noqa: S101 - there is no WHERE
        self._sql = repair_statements(models)
        label, table = self._database.label, models.table.sql
        if row["read_only"]:
            why = "it is a replica" if row["replica"] else "default_transaction_read_only is on"
            raise DatabaseError(
                f"database {label} takes no changes: {why}",
                "Name the primary server and a role that may write in --database-url (DATABASE_URL).",
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

    async def look(self, ids: Sequence[str]) -> dict[str, StoredRow]:
        """The rows that there are, by their ids, as they are now."""
        async with self._transaction() as connection:
            return {row["model_row_id"]: StoredRow(**row) for row in await connection.fetch(self._statements.look, ids)}

    async def write(self, edits: Sequence[RowUpdate]) -> Outcomes:
        """Make those that are still right, in one transaction, and say of each what became of it.

        Where the database refuses one (a constraint, a trigger), each is made in a transaction of its own, and that
        one has failed. Raises DatabaseError for everything else, with nothing changed by this call; unless the
        connection was lost at the very end, when that is not known.
        """
        try:
            return await self._write(edits)
        except DatabaseError as error:
            if not is_about_a_row(error.__cause__):
                raise
            if len(edits) == 1:
                return {edits[0].model_row_id: (ChangeState.FAILED, ChangeOutcome(why=str(error)))}
        became: dict[str, tuple[ChangeState, ChangeOutcome]] = {}
        for edit in edits:
            became |= await self.write([edit])
        return became

    async def _write(self, edits: Sequence[RowUpdate]) -> Outcomes:
        ids = [edit.model_row_id for edit in edits]
        async with self._transaction() as connection:
            sql = self._statements
            held = {row["model_row_id"]: StoredRow(**row) for row in await connection.fetch(sql.hold, ids)}
            done: dict[str, StoredRow] = {}
            mine = sorted((edit for edit in edits if edit.model_row_id in held), key=lambda edit: edit.columns)
            for columns, group in groupby(mine, lambda edit: edit.columns):
                some = list(group)
                rows = [StoredRow(**row) for row in await connection.fetch(sql.update[columns], *_parameters(some))]
                self._check_written(some, rows)
                done |= {row.model_row_id: row for row in rows}
            missing = [row_id for row_id in ids if row_id not in held]
            locked = {row["model_row_id"] for row in await connection.fetch(sql.present, missing)} if missing else set()
        became: dict[str, tuple[ChangeState, ChangeOutcome]] = {}
        for edit in edits:
            row_id = edit.model_row_id
            if row := done.get(row_id):
                outcome = ChangeOutcome(updated_at=row.updated_at, touched=edit.sets_updated_at)
                became[row_id] = (ChangeState.DONE, outcome)
            else:
                why = "somebody holds the row locked" if row_id in locked else self._why_not(edit, held.get(row_id))
                became[row_id] = (ChangeState.SKIPPED, ChangeOutcome(why=why))
        return became

    def _why_not(self, edit: RowUpdate, row: StoredRow | None) -> str:
        return why_not(edit, row, self._database.tables)

    def _check_written(self, edits: Sequence[RowUpdate], rows: Sequence[StoredRow]) -> None:
        """Raises DatabaseError, which takes the batch back, where the table has made something else of it."""
        wanted = {edit.model_row_id: (edit.new_version, edit.new_weights) for edit in edits}
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
    def _statements(self) -> RepairStatements:
        assert self._sql  # noqa: S101 - whoever writes has checked before
        return self._sql

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[source.Connection]:
        """Committed at the end. A connection that was lost while nothing was going on is made anew."""
        if self._connection is None or self._connection.is_closed():
            await self.close()
            self._connection = await source.connect(self._database, statement_timeout=self._timeout)
        connection = self._connection
        try:
            with source.translate_errors(self._database):
                await connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
                await source.set_for_transaction(connection, source.transaction_settings(self._database, self._timeout))
                yield connection
                await connection.execute("COMMIT")
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Leave the database; may be called twice."""
        if self._connection is not None:
            await source.close(self._connection)
            self._connection = None


@asynccontextmanager
async def repairer(
    database: Database, *, statement_timeout: float, columns: Sequence[RepairColumn]
) -> AsyncIterator[Repairer]:
    """The table of `database`, where `columns` of it may be set. Raises DatabaseError as `Repairer` does."""
    table = Repairer(database, statement_timeout)
    try:
        await table.check(columns)
        yield table
    finally:
        await table.close()


def why_not(edit: RowUpdate, row: StoredRow | None, tables: Tables = PLAIN) -> str:
    """Why `edit` is not right for `row` of `tables`, for a person."""
    if row is None:
        return "the row is gone"
    if row.status not in tables.completed:
        return f"training_status is {_said(row.status)} now"
    if (row.version, row.weights) == (edit.new_version, edit.new_weights):
        return ALREADY
    if row.version != edit.old_version:
        return f"replicate_version_id is {_said(row.version)} now"
    if row.weights != edit.old_weights:
        return f"lora_weights_url is {_said(row.weights)} now"
    if edit.guards_updated_at and row.updated_at != edit.old_updated_at:
        return f"edited since: updated_at is {_said(row.updated_at)} now, and was {_said(edit.old_updated_at)}"
    return "the database left it as it was (a trigger or a rule?)"


def _said(value: str | None) -> str:
    return "null" if value is None else shortened(escape_controls(value), _SHOWN) if value.strip() else repr(value)


def _parameters(edits: Sequence[RowUpdate]) -> list[Sequence[str | bool | None]]:
    """In the order of the statement's numbers."""
    return [
        [edit.model_row_id for edit in edits],
        [edit.old_version for edit in edits],
        [edit.new_version for edit in edits],
        [edit.old_weights for edit in edits],
        [edit.new_weights for edit in edits],
        [edit.old_updated_at for edit in edits],
        [edit.new_updated_at for edit in edits],
        [edit.guards_updated_at for edit in edits],
    ]
