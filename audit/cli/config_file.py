"""Finds and reads the config file.

`sync-audit.toml`, or `pyproject.toml` with a table `[tool.sync-audit]`, in the working directory or the nearest one
above it; the first of the two wins where both are. A directory with `.git` is the last one that is looked at.

Its table `[database]` says what tables and columns are called. Names are written as SQL writes them, but that case is
kept without quotes: `app.Trainings`, `"my.schema".trainings`. Where names are not enough there is SQL: an expression
in a column's place, a condition, a query in a table's place. What can be seen of it without a database is checked here.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain, combinations
from pathlib import Path
from typing import NamedTuple

import msgspec

from audit.errors import SettingsError
from audit.files import foreign_text
from audit.model.ids import PART
from audit.model.sql import SqlFaultError, checked, first_word, json_path, place_in
from audit.model.tables import (
    COLUMNS,
    PLAIN,
    TABLES,
    RepairTable,
    Table,
    TableName,
    Tables,
    TrainingState,
    same_word,
)
from audit.model.text import os_cause

LARGEST = 1_000_000
"""Bytes. A larger file is something else."""
_WHERE = re.compile(r"\s*\(at line (\d+), column (\d+)\)$")


@dataclass(frozen=True, slots=True)
class Kind:
    """How messages name a kind of file, and the options that name another one or none."""

    what: str
    option: str
    """Names another one."""
    without: str
    """Goes on without any."""

    @property
    def step(self) -> str:
        """What to do about one that is wrong."""
        return f"Correct it, name another one with {self.option}, or go on without: {self.without}"


def above(start: Path) -> Iterator[tuple[Path, Path]]:
    """`start` and the directories above it, each also as it is called from `start`; one with `.git` is the last."""
    for depth, folder in enumerate((start, *start.parents)):
        yield folder, Path(*[".."] * depth)
        if os.path.exists(folder / ".git"):  # noqa: PTH110 - which minds no directory that is closed to us
            return


def working_directory() -> Path | None:
    """None where it has been removed."""
    try:
        return Path.cwd()
    except OSError:
        return None


def is_there(path: Path) -> bool:
    """Whether there is such a file, for all that can be seen."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def parsed(path: Path, kind: Kind) -> Mapping[str, object]:
    """What the file says. Raises SettingsError, which names it and, where TOML is broken, the line."""
    return parsed_text(content(path, kind), path, kind)


def content(path: Path, kind: Kind) -> str:
    """The text of the file. Raises SettingsError."""
    try:
        text = foreign_text(path, LARGEST, pipes=True, encoding="utf-8-sig")  # some editors begin a text so
    except OSError as error:
        raise SettingsError(f"{kind.what} {path} cannot be read: {os_cause(error).lower()}", kind.step) from error
    except UnicodeError as error:
        raise SettingsError(f"{kind.what} {path} is not UTF-8 text", kind.step) from error
    if text is None:
        raise SettingsError(f"{kind.what} {path} is larger than {LARGEST:,} bytes", kind.step)
    return text


def parsed_text(text: str, path: Path, kind: Kind) -> Mapping[str, object]:
    """Parse the text of the file. Raises SettingsError, which names the file and the line."""
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise SettingsError(f"{kind.what} {path} is nested too deeply", kind.step) from error
    except ValueError as error:  # also for a number of more digits than Python reads
        where = _WHERE.search(str(error))
        place = f", line {where[1]}, column {where[2]}" if where else ""
        raise SettingsError(f"{kind.what} {path}{place}: {_WHERE.sub('', str(error))}", kind.step) from error


def check_owner(path: Path, kind: Kind) -> None:
    """Refuse a file that was found, not named, and that another user may have put there. Raises SettingsError."""
    shared = path.parent.stat().st_mode & 0o002
    if shared and path.stat().st_uid not in (0, os.geteuid()):
        raise SettingsError(
            f"{kind.what} {path} belongs to another user, and everybody may write into its directory",
            f"If you trust it: {kind.option} {path}; else go on without: {kind.without}",
        )


NAME = "sync-audit.toml"
PYPROJECT = "pyproject.toml"
TABLE = "tool.sync-audit"
KIND = Kind("config file", "--config", "--no-config")


class ConfigFile(NamedTuple):
    """A parsed config file."""

    name: str
    """The file, as a person would name it from the working directory."""
    document: Mapping[str, object]
    folder: Path | None
    """Relative paths in it are below this one; None where that is the working directory."""
    tables: Tables | None
    """What tables and columns are called; None where it says nothing of them."""
    unheard: tuple[str, ...] = ()
    """Keys that are not heard, as another user may have put the file there and nobody has named it."""


@contextmanager
def blaming(name: str) -> Iterator[None]:
    """A SettingsError within names the config file called `name`."""
    try:
        yield
    except SettingsError as error:
        raise SettingsError(f"{name}: {error}", error.next_step or KIND.step) from error


def table(document: Mapping[str, object], name: str, within: str = "") -> Mapping[str, object]:
    """What stands below `[name]`. Raises SettingsError."""
    found = document.get(name, {})
    if not isinstance(found, dict):
        raise SettingsError(f"{within}{name} must be a table", f"Write it as [{within}{name}].")
    return found


def read(path: Path) -> ConfigFile:
    """The file `path`. Raises SettingsError, which names it."""
    document = _document(path)
    if document is None:
        raise SettingsError(f"--config {path}: it has no table [{TABLE}]", f"Only {NAME} needs none.")
    return _config_file(path, str(path), document)


def find(start: Path) -> ConfigFile | None:
    """The config file that holds for the directory `start`; None where there is none. Raises SettingsError."""
    for folder, called in above(start):
        for name in (NAME, PYPROJECT):
            path = folder / name
            document = _document(path) if is_there(path) else None
            if document is not None:
                check_owner(path, KIND)  # it could send the token anywhere
                unheard = () if _is_ours(path) else tuple(_decisive(document))
                file = _config_file(path, str(called / name), _without(document, unheard))
                return file._replace(unheard=unheard)
    return None


def _is_ours(path: Path) -> bool:
    """Whether nobody else can have put the file there. Root may read anybody's, as containers do."""
    return os.geteuid() == 0 or {path.stat().st_uid, path.parent.stat().st_uid} <= {0, os.geteuid()}


_DECISIVE = ("base-url", "database-url", "token-file")
_DECISIVE_OF_DATABASE = ("tables", "columns", "queries", "where", "repair")
"""Keys that say where token and password go, and what is run and written in the database."""


def _decisive(document: Mapping[str, object]) -> Iterator[str]:
    """Such keys that the file has, with the tables they are in."""
    for key, value in document.items():
        if key in _DECISIVE:
            yield key
        elif isinstance(value, dict):
            named = _DECISIVE_OF_DATABASE if key == "database" else _DECISIVE
            yield from (f"{key}.{inner}" for inner in value if inner in named)


def _without(document: Mapping[str, object], keys: Sequence[str]) -> Mapping[str, object]:
    left = {
        key: {inner: it for inner, it in value.items() if f"{key}.{inner}" not in keys}
        if isinstance(value, dict)
        else value
        for key, value in document.items()
    }
    return {key: value for key, value in left.items() if key not in keys}


def _config_file(path: Path, name: str, document: Mapping[str, object]) -> ConfigFile:
    folder = Path(os.path.abspath(path)).parent  # noqa: PTH100 - links stay, as a person has named them
    with blaming(name):
        tables = mapping(table(document, "database")) if "database" in document else None
    return ConfigFile(name, document, None if folder == working_directory() else folder, tables)


def _document(path: Path) -> Mapping[str, object] | None:
    """The part of the file that is for us; None for a `pyproject.toml` that has none."""
    document = parsed(path, KIND)
    if path.name != PYPROJECT:
        return document
    tools = document.get("tool")
    table = tools.get("sync-audit") if isinstance(tools, dict) else None
    if table is not None and not isinstance(table, dict):
        raise SettingsError(f"{path}: {TABLE} is no table", f"Write it as [{TABLE}].")
    return table


LONGEST = 63
"""Bytes of a name; PostgreSQL cuts longer ones, and might find another table."""
_PART = r'"(?:[^"]|"")+"|[^".]+'
_PATH = re.compile(rf"(?:({_PART})\.)?({_PART})")
LONGEST_SQL = 20_000
_SQL_STEP = "Write one SELECT, condition or expression in PostgreSQL's SQL."
SETTABLE_NAMES = (
    *("replicate_model_id", "replicate_owner", "replicate_name", "replicate_version_id", "lora_weights_url"),
    *("training_status", "completed_at", "updated_at"),
)
"""Columns that a repair may set: those of `audit.model.repair`, which takes longer to import."""
_STEP = "Names are written as in SQL: app.trainings, or with quotes around a part that has a dot in it."
Raw = Mapping[str, object]


def mapping(raw: Raw) -> Tables:
    """Tables as `raw` calls them, and its words of states. Raises SettingsError, which names the key."""
    _check_keys(raw, ("tables", "columns", "queries", "repair", "owner", "where", *TrainingState, *CHOICES), "database")
    paths, queries = table(raw, "tables", "database."), table(raw, "queries", "database.")
    _check_keys(paths, TABLES, "database.tables")
    _check_keys(queries, TABLES, "database.queries")
    columns = dict[TableName, dict[str, str | _Made]]({name: {} for name in TABLES})
    for name, column, key, own in _columns(table(raw, "columns", "database.")):
        if column in columns[name]:
            raise SettingsError(f"{key} says again what {name}.{column} is called", "Remove one of the two.")
        columns[name][column] = own
    users, models = (_table(name, paths, columns[name], queries) for name in TABLES)
    words = {state.value: _words(raw, state) for state in TrainingState}
    _check_words(words)
    chosen = {key: _chosen(raw, key) for key in CHOICES if key in raw}
    return msgspec.structs.replace(
        PLAIN,
        users=users,
        user_models=models,
        owner=_owner(raw["owner"]) if "owner" in raw else None,
        where=_where(raw, models) if "where" in raw else None,
        repair=_repair(table(raw, "repair", "database.")),
        **words,
        **chosen,
    )


def nearest(key: str, known: Sequence[str]) -> str:
    """What to do about a key that is none of those that are `known`."""
    near = get_close_matches(key.casefold(), known, 1)
    return f"Did you mean {near[0]}?" if near else f"There are {', '.join(known)}."


def _check_keys(raw: Raw, known: Sequence[str], within: str) -> None:
    """Raises SettingsError for a key of `raw` that is none of those that are `known`."""
    for key in raw:
        if key not in known:
            raise SettingsError(f"unknown key {within}.{key}", nearest(key, known))


def _table(name: TableName, paths: Raw, columns: "Mapping[str, str | _Made]", queries: Raw) -> Table:
    names = {column: own for column, own in columns.items() if isinstance(own, str) and own != column}
    made = {column: own.sql for column, own in columns.items() if isinstance(own, _Made)}
    absent = name == "users" and paths.get(name) is False
    path = _path(paths[name], f"database.tables.{name}") if name in paths and not absent else ()
    return Table(
        name,
        path if path != (name,) else (),
        tuple(names.items()),
        expressions=tuple(made.items()),
        query=_query(queries[name], f"database.queries.{name}") if name in queries else None,
        absent=absent,
    )


class _Made(NamedTuple):
    """A column that is made from others."""

    sql: str


def _columns(raw: Raw) -> "Iterator[tuple[TableName, str, str, str | _Made]]":
    """Table, column, key, and the database's name. Columns that both tables have are said in a table's own part."""
    for key, value in raw.items():
        where = f"database.columns.{key}"
        if key in TABLES:
            name: TableName = key
            columns = table(raw, name, "database.columns.")
            _check_keys(columns, COLUMNS[name], where)
            for column, own in columns.items():
                yield name, column, f"{where}.{column}", _own(own, f"{where}.{column}")
            continue
        _check_keys({key: value}, list(dict.fromkeys(chain(*COLUMNS.values()))), "database.columns")
        tables = [name for name in TABLES if key in COLUMNS[name]]
        if len(tables) > 1:
            raise SettingsError(
                f"{where}: both tables have a column {key}",
                f"Write it below [database.columns.{tables[0]}] or [database.columns.{tables[1]}].",
            )
        yield tables[0], key, where, _own(value, where)


def _own(value: object, key: str) -> str | _Made:
    """The name of a column, or the expression in its place."""
    if not isinstance(value, dict):
        return _name(value, key)
    if value.keys() != {"sql"}:
        raise SettingsError(f'{key}: an expression is written as {{sql = "…"}}', "For example {sql = \"data->>'id'\"}.")
    return _Made(_sql(value["sql"], key))


def _sql(value: object, key: str) -> str:
    """An expression, a condition or a query, without a semicolon. Raises SettingsError, which names the place."""
    if not isinstance(value, str):
        raise SettingsError(f"{key} must be SQL in quotes, not {value!r}", _SQL_STEP)
    if len(value) > LONGEST_SQL or "\0" in value:
        raise SettingsError(f"{key} is no SQL: it has more than {LONGEST_SQL:,} characters, or NUL", _SQL_STEP)
    try:
        return checked(value)
    except SqlFaultError as fault:
        raise SettingsError(f"{key}{place_in(value, fault.place)}: {fault.what}", _SQL_STEP) from fault


def _query(value: object, key: str) -> str:
    sql = _sql(value, key)
    word = first_word(sql)
    if word not in {"select", "with", "values", "table"}:
        raise SettingsError(f"{key}{place_in(sql, 0)}: {word.upper() or 'this'} is no SELECT", _SQL_STEP)
    return sql


def _where(raw: Raw, models: Table) -> str:
    if models.query is not None:
        raise SettingsError(
            "database.where and database.queries.user_models can't be used together",
            "Put the condition into the query.",
        )
    return _sql(raw["where"], "database.where")


def _owner(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(PART, value.strip()):
        raise SettingsError(
            f"database.owner must be the name of an account on Replicate, not {value!r}",
            'It is what stands in front of the slash in a model id: owner = "acme".',
        )
    return value.strip()


def _repair(raw: Raw) -> RepairTable:
    _check_keys(raw, ("table", "key", "columns"), "database.repair")
    names, paths = dict[str, str](), dict[str, str]()
    columns = table(raw, "columns", "database.repair.")
    _check_keys(columns, SETTABLE_NAMES, "database.repair.columns")
    for column, value in columns.items():
        key = f"database.repair.columns.{column}"
        own = _own(value, key)
        if isinstance(own, str):
            names[column] = own
        elif json_path(own.sql) is None:
            raise SettingsError(
                f"{key}: {own.sql} is no path into a column of JSON",
                "Write the name of a column, or a path such as {sql = \"output->>'version'\"}.",
            )
        else:
            paths[column] = own.sql
    return RepairTable(
        path=_path(raw["table"], "database.repair.table") if "table" in raw else (),
        key=_name(raw["key"], "database.repair.key") if "key" in raw else None,
        columns=tuple(names.items()),
        paths=tuple(paths.items()),
    )


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


def _words(raw: Raw, state: TrainingState) -> tuple[str, ...]:
    value = raw.get(state, list(PLAIN.words(state)))
    words = value if isinstance(value, list) else [value]
    if not words or not all(isinstance(word, str) and word.strip() and word.isprintable() for word in words):
        raise SettingsError(
            f"database.{state} must be a word or a list of words, not {value!r}",
            f'Write what training_status says of a training that {_MEANS[state]}: {state} = "{_EXAMPLES[state]}"',
        )
    return tuple(dict.fromkeys(words))


_MEANS = {
    TrainingState.COMPLETED: "has completed",
    TrainingState.IN_PROGRESS: "is in progress",
    TrainingState.FAILED: "has failed",
}
_EXAMPLES = {
    TrainingState.COMPLETED: "succeeded",
    TrainingState.IN_PROGRESS: "training",
    TrainingState.FAILED: "failed",
}


CHOICES: Mapping[str, Mapping[str, str]] = {
    "version_form": {
        "hash": "a repair writes versions as bare hashes",
        "qualified": "a repair writes them as `owner/name:hash`",
    },
    "latest_per": {
        "user": "one line for each user: the latest completed row counts (so it is by default)",
        "model": "one line for each user and model: the latest completed row of each counts",
        "row": "one line for each row: every completed one counts",
    },
    "weights": {
        "judge": "weights URLs are judged and repaired beside the version (so it is by default)",
        "ignore": "`lora_weights_url` is not read at all, as if there were no such column",
    },
}
"""Keys of `[database]` that take one of a few words, and what each means: clauses."""


def _chosen(raw: Raw, key: str) -> object:
    value = raw[key]
    if not isinstance(value, str) or value not in CHOICES[key]:
        words = " or ".join(f'"{word}"' for word in CHOICES[key])
        raise SettingsError(f"database.{key} must be {words}, not {value!r}", "Without the key, the program decides.")
    return value


def _check_words(words: Mapping[str, Sequence[str]]) -> None:
    """Raises SettingsError for a word that would mean two states, as it stands in two lists or in those by default."""
    for first, second in combinations(words, 2):
        theirs = set(map(same_word, words[second]))
        both = next((word for word in words[first] if same_word(word) in theirs), None)
        if both is not None:
            default = ", ".join(PLAIN.words(TrainingState(second)))
            raise SettingsError(
                f"database.{first} and database.{second} both have the word {both!r}",
                f"A word means one state. Where the file does not say it, {second} is {default}.",
            )
