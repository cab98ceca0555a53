"""Changes rows of the product's table `user_models`. The only module that ever writes to that database.

A row is changed where all that the decision rested on still is as it was, and by no more than is asked for; any other
is left alone with the reason why. One transaction a batch, whose settings are its own, so that a pooler in transaction
mode may stand in between. Rows that somebody holds locked are not waited for. Nothing is open between two batches but
the connection.

The transaction's id is handed out before the UPDATE: whoever does not learn whether it was committed can ask later.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from enum import StrEnum
from itertools import groupby

import msgspec

from audit.errors import DatabaseError
from audit.model.place import Place, check_place
from audit.model.repair import ChangeOutcome, ChangeState, Deed, RowUpdate
from audit.model.tables import Column
from audit.postgres.columns import Columns, is_among
from audit.postgres.connection import (
    Connection,
    close,
    connect,
    set_for_transaction,
    transaction_settings,
    translate_errors,
)
from audit.postgres.errors import is_about_a_row, is_about_bytes
from audit.postgres.place import read_place
from audit.postgres.rights import check_rights, read_rights, read_writing
from audit.postgres.shape import read_columns
from audit.postgres.update import (
    ALREADY,
    LEFT_AS_IT_WAS,
    LOCKED,
    Counting,
    UpdateStatements,
    guard_texts,
    lines_json,
    transaction_status,
    unchecked_columns,
    update_statements,
    why_not,
)
from audit.postgres.url import Database
from audit.postgres.writing import Writing

_STATUS = f"SELECT {transaction_status('$1')}"
_JUDGED = "SELECT row_id, why, now::text, before::text FROM judged"
Outcomes = Mapping[str, tuple[ChangeState, ChangeOutcome]]
"""What became of each update, by the row's id: done, skipped or failed."""
Texts = dict[Column, str | None]
"""Of a row, by column."""
Announce = Callable[[Mapping[str, Deed], Collection[str]], None]
"""Called in the middle of each transaction, and has written down what it is told when it returns: first with what is
about to be done, by the row's id, then with what was done, as it stands there, and the rows that were left as they
were."""


class Fate(StrEnum):
    """What became of a deed whose COMMIT nobody has seen."""

    DONE = "done"
    NOT_DONE = "not_done"
    UNKNOWN = "unknown"


class _ChangedOtherwiseError(Exception):
    """The table has made something else of a row than it was given; the transaction is to be taken back."""


class Repairer:
    """The table, where certain columns of it may be set; made by `repairer`."""

    def __init__(
        self,
        database: Database,
        statement_timeout: float,
        counting: Counting,
        place: Place | None,
        moved_from: str | None,
    ) -> None:
        """`moved_from`: as in `check_place`."""
        self._database = database
        self._timeout = statement_timeout
        self._counting = counting
        self._place = place
        self._moved_from = moved_from
        self._connection: Connection | None = None
        self._columns: tuple[Columns, Columns] | None = None
        self._written: Writing | None = None
        self._tells_xmin = False

    async def check(self, columns: Sequence[Column]) -> None:
        """See that this is the place, where that is known, and that `columns` may be set by this role, here and now.

        Raises SettingsError for another place, both named, and DatabaseError with what would help.
        """
        async with self._transaction() as connection:
            _, models = self._tables
            rights = await read_rights(connection, self._writing, columns)
        check_rights(self._database.label, models, self._writing, rights)
        self._tells_xmin = rights.tells_xmin

    async def _arrive(self, connection: Connection) -> None:
        """What a new connection begins with: it leads to the place of the run, and has the columns that there are."""
        self._columns = await read_columns(connection, self._database)
        self._written = await read_writing(connection, self._columns[1])
        if self._place:
            check_place(self._place, await read_place(connection, self._database), self._moved_from)

    async def write(self, updates: Sequence[RowUpdate], announce: Announce) -> Outcomes:
        """Make those updates whose rows are as they have to be, in one transaction.

        Where the database refuses one or makes something else of it (a constraint, a trigger), each is made in a
        transaction of its own, and that one has failed. Raises DatabaseError for everything else, with nothing changed
        by this call; unless the connection was lost at the very end, when that is not known.
        """
        try:
            return await self._write(updates, announce)
        except _ChangedOtherwiseError as error:
            why = str(error)
        except DatabaseError as error:
            if is_about_bytes(error.__cause__) and not self._database.has_bytes:
                self._database = replace(self._database, has_bytes=True)  # another row's, say: this one may be right
                return await self.write(updates, announce)
            if not is_about_a_row(error.__cause__):
                raise
            why = str(error)
        if len(updates) == 1:
            return {updates[0].model_row_id: (ChangeState.FAILED, ChangeOutcome(why=why))}
        outcomes: dict[str, tuple[ChangeState, ChangeOutcome]] = {}
        for update in updates:
            outcomes |= await self.write([update], announce)
        return outcomes

    async def _write(self, updates: Sequence[RowUpdate], announce: Announce) -> Outcomes:
        outcomes: dict[str, tuple[ChangeState, ChangeOutcome]] = {}
        async with self._transaction() as connection:
            wanted = {update.model_row_id: update for update in updates}
            sql = self._statements(updates)
            locked = {row["row_id"] for row in await connection.fetch(sql.lock, lines_json(updates))}
            right, before, stood = list[RowUpdate](), dict[str, Texts](), dict[str, Texts]()
            judged = await connection.fetch(sql.judged + _JUDGED, lines_json(updates))
            self._check_single([row["row_id"] for row in judged])
            for row_id, why, now, was in judged:
                if now is not None and row_id not in locked:
                    outcomes[row_id] = ChangeState.SKIPPED, ChangeOutcome(why=LOCKED)
                elif why is None:
                    right.append(wanted[row_id])
                    exact = guard_texts(was)
                    before[row_id] = {column: exact[column] for column in wanted[row_id].columns}
                    stood[row_id] = guard_texts(now)
                elif wanted[row_id].puts_back and _is_back(wanted[row_id], guard_texts(was or "{}")):
                    outcomes[row_id] = ChangeState.SKIPPED, ChangeOutcome(why=ALREADY)
                else:
                    words = why_not(wanted[row_id], why, guard_texts(now or "{}"), self._database.tables)
                    outcomes[row_id] = ChangeState.SKIPPED, ChangeOutcome(why=words)
            if right:
                txid = str(await connection.fetchval("SELECT txid_current()"))
                deeds = {
                    row_id: Deed(txid=txid, before=values, moved_from=self._moved_from)
                    for row_id, values in before.items()
                }
                announce(deeds, ())
                done = await self._update(connection, right, stood)
                changed = {row_id: msgspec.structs.replace(deeds[row_id], after=now) for row_id, now in done.items()}
                left = deeds.keys() - changed.keys()
                announce(changed, left)
                outcomes |= {row_id: (ChangeState.DONE, ChangeOutcome(deed=deed)) for row_id, deed in changed.items()}
                outcomes |= dict.fromkeys(left, (ChangeState.SKIPPED, ChangeOutcome(why=LEFT_AS_IT_WAS)))
        return {update.model_row_id: outcomes[update.model_row_id] for update in updates}

    async def _update(
        self, connection: Connection, updates: Sequence[RowUpdate], stood: Mapping[str, Texts]
    ) -> dict[str, Texts]:
        """Make `updates` of rows in which `stood` is, and return what stands then in those that were changed."""
        sql = self._statements([msgspec.structs.replace(update, judged=False) for update in updates])  # it was judged
        changed = set[str]()
        for kind, group in groupby(sorted(updates, key=_kind), _kind):
            rows = await connection.fetch(sql.judged + sql.changes[kind], lines_json(some := list(group)))
            changed |= {row["row_id"] for row in rows}
            self._check_single([row["row_id"] for row in rows], at_most=len(some))
        await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what is deferred to the end may change rows as well
        rows = await connection.fetch(sql.after, lines_json(updates))
        after = {row["row_id"]: guard_texts(row["now"]) for row in rows}
        for update in updates:
            if update.model_row_id in changed:
                self._check_written(update, stood[update.model_row_id], after.get(update.model_row_id))
        return {row_id: after[row_id] for row_id in sorted(changed)}

    def _check_written(self, update: RowUpdate, stood: Texts, now: Texts | None) -> None:
        """Raises where a trigger or a rule has made something else of a row. Dates it may set as it likes."""
        if now is None:
            raise _ChangedOtherwiseError("the row was gone as soon as it was changed (a trigger or a rule?)")
        _, models = self._tables
        unchecked = unchecked_columns(self._writing, models, update.columns, puts_back=update.puts_back)
        for column, value in {**stood, **update.sets}.items():
            if column in now and column not in unchecked and now[column] != value:
                name = self._database.tables.user_models.called(column)
                raise _ChangedOtherwiseError(
                    f"the database makes something else of {name} than it is given (a trigger or a rule?)"
                )

    def _check_single(self, ids: Sequence[str], at_most: int | None = None) -> None:
        """Raises DatabaseError where an id is not of one row."""
        if len(ids) > (len(set(ids)) if at_most is None else at_most):
            raise DatabaseError(
                f"database {self._database.label}: {self._writing.table} cannot be repaired, as "
                "several rows have the same id",
                "Nothing of this batch was changed. Ask the table's owner.",
            )

    async def fates(self, deeds: Mapping[str, Deed]) -> dict[str, Fate]:
        """What became of these deeds, by the row's id, begun by transactions that may or may not have been committed.

        A deed that says otherwise from where the database has moved is of another server, which alone knows of its
        transaction. Then, and where the server has forgotten about one, the row says it, if nobody holds its lock.
        """
        async with self._transaction() as connection:
            here = {row_id: deed.txid for row_id, deed in deeds.items() if deed.moved_from == self._moved_from}
            status = {txid: await connection.fetchval(_STATUS, int(txid)) for txid in set(here.values())}
            unclear = [row_id for row_id in deeds if status.get(here.get(row_id, "")) is None]
            written_by = await self._last_writers(connection, unclear)
        found = {"committed": Fate.DONE, "aborted": Fate.NOT_DONE, "in progress": Fate.UNKNOWN}
        fates: dict[str, Fate] = {}
        for row_id, deed in deeds.items():
            known = status.get(here.get(row_id, ""))
            if deed.after is None and known == "committed":  # nothing was ever updated in it
                fates[row_id] = Fate.NOT_DONE
            elif known is not None:
                fates[row_id] = found[known]
            else:
                fates[row_id] = Fate.DONE if written_by.get(row_id) == int(deed.txid) % 2**32 else Fate.UNKNOWN
        return fates

    async def _last_writers(self, connection: Connection, ids: Sequence[str]) -> dict[str, int]:
        """The transaction that has written each row, without its epoch; of those rows that nobody holds locked."""
        if not ids or not self._tells_xmin:
            return {}
        key = self._writing.key
        assert key  # noqa: S101 - as in `_tables`
        row_id = f"m.{key.sql}"
        query = (
            f"SELECT {row_id}::text AS row_id, m.xmin::text::bigint AS writer "  # noqa: S608 - names and expressions of `columns`
            f"FROM {self._writing.table} AS m WHERE {is_among(row_id, key.kind, key.kind, '$1')} "
            "FOR NO KEY UPDATE SKIP LOCKED"
        )
        return {row["row_id"]: row["writer"] for row in await connection.fetch(query, ids)}

    async def rows(self, ids: Sequence[str]) -> dict[str, dict[Column, str | None]]:
        """What stands in the guarded columns of these rows, by their ids; gone and locked ones are missing."""
        updates = [RowUpdate(model_row_id=row_id, guards={}, sets={}, judged=False) for row_id in ids]
        async with self._transaction() as connection:
            sql = self._statements(updates)
            locked = {row["row_id"] for row in await connection.fetch(sql.lock, lines_json(updates))}
            rows = await connection.fetch(sql.after, lines_json(updates))
            return {row["row_id"]: guard_texts(row["now"]) for row in rows if row["row_id"] in locked}

    def _statements(self, updates: Sequence[RowUpdate]) -> UpdateStatements:
        return update_statements(
            self._tables,
            self._writing,
            "$1::text",
            sorted(set(map(_kind, updates))),
            judged_by=self._counting if any(update.judged for update in updates) else None,
            skip_locked=True,
            puts_back=any(update.puts_back for update in updates),
        )

    @property
    def _tables(self) -> tuple[Columns, Columns]:
        assert self._columns is not None  # noqa: S101 - `repairer` has checked before anybody writes
        return self._columns

    @property
    def _writing(self) -> Writing:
        assert self._written is not None  # noqa: S101 - the same
        return self._written

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        """Committed at the end. A connection that was lost in between is made anew, and leads to the same place."""
        is_new = self._connection is None or self._connection.is_closed()
        if self._connection is None or is_new:
            await self.close()
            self._connection = await connect(self._database, statement_timeout=self._timeout)
        connection = self._connection
        try:
            with translate_errors(self._database, "writing"):
                await connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
                await set_for_transaction(connection, transaction_settings(self._database, self._timeout))
                if is_new:
                    await self._arrive(connection)
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
async def repairer(  # noqa: PLR0913 - where, what, and who counts
    database: Database,
    *,
    statement_timeout: float,
    columns: Sequence[Column],
    place: Place | None = None,
    moved_from: str | None = None,
    counting: Counting = Counting(),  # noqa: B008 - it cannot change
) -> AsyncIterator[Repairer]:
    """The table of `database`; raises DatabaseError where `columns` of it may not be set.

    Raises SettingsError where `place` is given and another, as `check_place` does. The timeout is seconds.
    """
    table = Repairer(database, statement_timeout, counting, place, moved_from)
    try:
        await table.check(columns)
        yield table
    finally:
        await table.close()


def _is_back(update: RowUpdate, was: Texts) -> bool:
    """Whether in the row, in which `was` is, there is already what is to be put back."""
    return all(was.get(column) == value for column, value in update.sets.items() if column is not Column.UPDATED_AT)


def _kind(update: RowUpdate) -> tuple[Column, ...]:
    """Updates of one kind are made by one statement."""
    return update.columns
