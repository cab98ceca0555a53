"""A checksum of every row of a run file: one flipped bit must not pass for what a run has found.

They are kept by triggers of the connection, so that whatever writes a row need not know of them, and the file itself
has nothing in it that other programs could not read.
"""

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

TABLES = ("run", "audited", "unfinished", "training", "repair", "baseline", "weights")
"""Those whose rows have one; the last two are not in every file."""
SCHEMA = "".join(f"ALTER TABLE {name} ADD COLUMN sum INTEGER;" for name in TABLES[:5])
"""What a file needs for them. Rows that were there before have none."""


class _Table(NamedTuple):
    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    """All but the checksum."""

    @property
    def sum(self) -> str:
        """As SQL."""
        return f"checksum({', '.join(self.columns)})"


def prepare(connection: sqlite3.Connection) -> None:
    """Let the connection's SQL compute checksums."""
    connection.create_function("checksum", -1, _checksum, deterministic=True)


def _checksum(*values: object) -> int:
    return zlib.crc32(repr(values).encode())  # of values and their types, which a flipped bit may change as well


def keep(connection: sqlite3.Connection) -> None:
    """From now on have every row that is written over `connection` get its checksum."""
    for table in _tables(connection):
        row = " AND ".join(f"{each} = NEW.{each}" for each in table.key)
        update = f"UPDATE {table.name} SET sum = {table.sum} WHERE {row}"  # noqa: S608 - names of ours
        for when in ("INSERT", f"UPDATE OF {', '.join(table.columns)}"):
            name = f"sum_of_{table.name}_{when[:6]}"
            connection.execute(
                f"CREATE TEMP TRIGGER IF NOT EXISTS {name} AFTER {when} ON main.{table.name} BEGIN {update}; END"
            )


def check(connection: sqlite3.Connection, names: Sequence[str] = TABLES) -> None:
    """Read every row of these tables. Raises sqlite3.DatabaseError where one is not what was written."""
    for table in _tables(connection, names):
        query = f"SELECT 1 FROM {table.name} NOT INDEXED WHERE sum <> {table.sum} LIMIT 1"  # noqa: S608 - names of ours
        if connection.execute(query).fetchone():
            raise sqlite3.DatabaseError(f"a row of its table {table.name} is not what was written")


def whole(connection: sqlite3.Connection, name: str) -> str:
    """The condition of a row of the table `name` that is as it was written, for all that is known."""
    return next((f"coalesce(sum = {table.sum}, 1)" for table in _tables(connection, [name])), "1")


def _tables(connection: sqlite3.Connection, names: Sequence[str] = TABLES) -> Iterator[_Table]:
    """Those of the file whose rows have checksums."""
    for name in names:
        described = connection.execute(f"PRAGMA main.table_info({name})").fetchall()
        columns = [row[1] for row in described]
        if "sum" in columns:
            key = tuple(row[1] for row in described if row[5])
            if not key:
                raise sqlite3.DatabaseError(f"its table {name} has no key")
            yield _Table(name, key, tuple(column for column in columns if column != "sum"))
