"""The table `[database]` of a config file -> `Tables`. Pure.

Names are written as SQL writes them, but that case is kept without quotes: `app.Trainings`, `"my.schema".trainings`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from audit.errors import SettingsError
from audit.model.tables import COLUMNS, TABLES, Table, TableName, Tables

LONGEST = 63
"""Bytes of a name; PostgreSQL cuts longer ones, and might find another table."""
OTHER_STATUSES = ("pending", "processing", "training", "failed")
"""Words that mean something else to the audit already."""
_PART = r'"(?:[^"]|"")+"|[^".]+'
_PATH = re.compile(rf"(?:({_PART})\.)?({_PART})")
_STEP = "Names are written as in SQL: app.trainings, or with quotes around a part that has a dot in it."
Raw = Mapping[str, object]


def mapping(raw: Raw) -> Tables:
    """Tables as `raw` calls them: `tables`, `columns` and `completed`. Raises SettingsError, which names the key."""
    known(raw, ("tables", "columns", "completed"), "database")
    paths = _part(raw, "tables")
    known(paths, TABLES, "database.tables")
    columns = dict[TableName, dict[str, str]]({name: {} for name in TABLES})
    for table, column, key, own in _columns(_part(raw, "columns")):
        if column in columns[table]:
            raise SettingsError(f"{key} says again what {table}.{column} is called", "Remove one of the two.")
        columns[table][column] = own
    users, models = (_table(name, paths, columns[name]) for name in TABLES)
    return Tables(users=users, user_models=models, completed=_completed(raw))


def known(raw: Raw, names: Iterable[str], within: str) -> None:
    """Raises SettingsError for a key of `raw` that is none of `names`, with the nearest one."""
    candidates = tuple(names)
    for key in raw:
        if key not in candidates:
            near = get_close_matches(key.casefold(), candidates, 1)
            step = f"Did you mean {near[0]}?" if near else f"There are {', '.join(candidates)}."
            raise SettingsError(f"unknown key {within}.{key}", step)


def _part(raw: Raw, name: str) -> Raw:
    part = raw.get(name, {})
    if not isinstance(part, dict):
        raise SettingsError(f"database.{name} must be a table, not {part!r}", f"Write it as [database.{name}].")
    return part


def _table(name: TableName, paths: Raw, columns: Mapping[str, str]) -> Table:
    path = _path(paths[name], f"database.tables.{name}") if name in paths else ()
    return Table(
        name,
        path if path != (name,) else (),
        tuple((column, own) for column, own in columns.items() if own != column),
    )


def _columns(raw: Raw) -> Iterator[tuple[TableName, str, str, str]]:
    """Table, column, key, and the database's name. Columns that both tables have are said in a table's own part."""
    for key, value in raw.items():
        where = f"database.columns.{key}"
        if key in TABLES:
            if not isinstance(value, dict):
                raise SettingsError(f"{where} must be a table, not {value!r}", f"Write it as [{where}].")
            table: TableName = key
            known(value, COLUMNS[table], where)
            for column, own in value.items():
                yield table, column, f"{where}.{column}", _name(own, f"{where}.{column}")
            continue
        known({key: value}, {name: None for table in TABLES for name in COLUMNS[table]}, "database.columns")
        tables = [table for table in TABLES if key in COLUMNS[table]]
        if len(tables) > 1:
            raise SettingsError(
                f"{where}: both tables have a column {key}",
                f"Write it below [database.columns.{tables[0]}] or [database.columns.{tables[1]}].",
            )
        yield tables[0], key, where, _name(value, where)


def _name(value: object, key: str) -> str:
    path = _path(value, key)
    if len(path) > 1:
        raise SettingsError(f"{key} must be the name of a column, not {value!r}", _STEP)
    return path[0]


def _path(value: object, key: str) -> tuple[str, ...]:
    """Schema and name, or a name alone."""
    if not isinstance(value, str):
        raise SettingsError(f"{key} must be a name in quotes, not {value!r}", _STEP)
    match = _PATH.fullmatch(value)
    if not match:
        raise SettingsError(f"{key} is no name of a table or column: {value!r}", _STEP)
    parts = [part[1:-1].replace('""', '"') if part[0] == '"' else part for part in match.groups() if part]
    for part in parts:
        if part != part.strip() or not part.isprintable() or len(part.encode()) > LONGEST:
            raise SettingsError(
                f"{key}: {part!r} has blanks around it, control characters, or more than {LONGEST} bytes",
                "Write the name exactly as the database has it.",
            )
    return tuple(parts)


def _completed(raw: Raw) -> tuple[str, ...]:
    value = raw.get("completed", "completed")
    words = value if isinstance(value, list) else [value]
    if not words or not all(isinstance(word, str) and word and word.isprintable() for word in words):
        raise SettingsError(
            f"database.completed must be a word or a list of words, not {value!r}",
            'Write what training_status says of a training that has completed: completed = "succeeded"',
        )
    for word in words:
        if word in OTHER_STATUSES:
            raise SettingsError(
                f"database.completed: {word!r} means another state of a training to the audit",
                f"{', '.join(OTHER_STATUSES)} cannot mean completed; a view may translate them.",
            )
    return tuple(dict.fromkeys(words))
