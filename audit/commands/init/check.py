"""Tries what is to be written: would a run work with it, and whom would it audit?"""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from audit.commands.init.recognise import Reading
from audit.errors import AuditError, DatabaseError, SettingsError
from audit.model.run import Filters
from audit.model.tables import Tables
from audit.model.users import Population
from audit.postgres.connection import despite_bytes, read_transaction, translate_errors
from audit.postgres.shape import read_columns
from audit.postgres.snapshot import snapshot
from audit.postgres.url import Database

COUNTED = 100_000
"""Rows up to which everybody is counted."""
_SECONDS = 4.0
"""For each of two attempts."""


class Coverage(NamedTuple):
    """Whom an audit would cover."""

    users: int
    source: str = ""
    """What the number is from, where nobody has counted: "the sample"."""
    unknown: Mapping[str, int] = {}
    """Words of states that mean nothing to the audit, with their rows."""
    problem: AuditError | None = None
    """Why a run would not work."""


async def coverage(database: Database, tables: Tables, reading: Reading) -> Coverage:
    """Read as a run would. Where the table is large, or counting takes long, columns alone, and the sample tells."""
    wanted = replace(database, tables=tables)
    rows = reading.view.table.rows
    users = reading.users.view.table.rows if reading.users else None
    if max(rows or 0, users or 0) <= COUNTED:
        try:
            return await despite_bytes(wanted, _count)
        except SettingsError as error:
            return Coverage(0, problem=error)
        except DatabaseError as error:
            if not _is_slow(error):
                return Coverage(0, problem=error)
    try:
        async with read_transaction(wanted, statement_timeout=_SECONDS) as (connection, _):
            with translate_errors(wanted):
                await read_columns(connection, wanted)
    except (DatabaseError, SettingsError) as error:
        return Coverage(0, problem=error)
    return Coverage(estimate(reading), "statistics and the sample")


async def _count(database: Database) -> Coverage:
    async with snapshot(database, order_by="updated_at", filters=Filters(), statement_timeout=_SECONDS) as taken:
        return _counted(taken.population, database.tables)


def _counted(population: Population, tables: Tables) -> Coverage:
    return Coverage(
        population.users_with_completed_model + population.users_with_unfinished_only,
        unknown=tables.unknown(population.training_status),
    )


def _is_slow(error: DatabaseError) -> bool:
    return getattr(error.__cause__, "sqlstate", None) == "57014" or isinstance(error.__cause__, TimeoutError)


def estimate(reading: Reading) -> int:
    """Users with a version, as the sample suggests: rows with one, less those that are a user's second."""
    seen = reading.version.seen
    if not seen.texts:
        return 0
    done = [text is not None for text in seen.texts]
    rows = len(done) if reading.view.table.rows is None else reading.view.table.rows
    most = (reading.users.view.table.rows if reading.users else None) or rows
    with_version = rows * sum(done) / len(done)
    person = reading.person
    if person is None or person.steps:
        return min(most, round(with_version))
    users = {user for user, is_done in zip(person.place.seen.texts, done, strict=False) if is_done and user}
    each = sum(done) / len(users) if users else 1.0
    return max(1, min(most, round(with_version / each))) if with_version else 0
