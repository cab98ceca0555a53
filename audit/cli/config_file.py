"""Finds and reads the config file.

`sync-audit.toml`, or `pyproject.toml` with a table `[tool.sync-audit]`, in the working directory or the nearest one
above it; the first of the two wins where both are. A directory with `.git` is the last one that is looked at.

Its table `[database]` says what tables and columns are called. Names are written as SQL writes them, but that case is
kept without quotes: `app.Trainings`, `"my.schema".trainings`.
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
from audit.model.tables import (
    COLUMNS,
    PLAIN,
    TABLES,
    Table,
    TableName,
    Tables,
    TrainingState,
    same_word,
)

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
        if (folder / ".git").exists():
            return


def working_directory() -> Path | None:
    """None where it has been removed."""
    try:
        return Path.cwd()
    except FileNotFoundError:
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
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
        if len(raw) > LARGEST:
            raise SettingsError(f"{kind.what} {path} is larger than {LARGEST:,} bytes", kind.step)
        return raw.decode("utf-8")
    except OSError as error:
        cause = (error.strerror or str(error)).lower()
        raise SettingsError(f"{kind.what} {path} cannot be read: {cause}", kind.step) from error
    except UnicodeError as error:
        raise SettingsError(f"{kind.what} {path} is no text in UTF-8", kind.step) from error


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
                return _config_file(path, str(called / name), document)
    return None


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
_STEP = "Names are written as in SQL: app.trainings, or with quotes around a part that has a dot in it."
Raw = Mapping[str, object]


def mapping(raw: Raw) -> Tables:
    """Tables as `raw` calls them, and its words of states. Raises SettingsError, which names the key."""
    _check_keys(raw, ("tables", "columns", *TrainingState, *CHOICES), "database")
    paths = table(raw, "tables", "database.")
    _check_keys(paths, TABLES, "database.tables")
    columns = dict[TableName, dict[str, str]]({name: {} for name in TABLES})
    for name, column, key, own in _columns(table(raw, "columns", "database.")):
        if column in columns[name]:
            raise SettingsError(f"{key} says again what {name}.{column} is called", "Remove one of the two.")
        columns[name][column] = own
    users, models = (_table(name, paths, columns[name]) for name in TABLES)
    words = {state.value: _words(raw, state) for state in TrainingState}
    _check_words(words)
    chosen = {key: _chosen(raw, key) for key in CHOICES if key in raw}
    return msgspec.structs.replace(PLAIN, users=users, user_models=models, **words, **chosen)


def nearest(key: str, known: Sequence[str]) -> str:
    """What to do about a key that is none of those that are `known`."""
    near = get_close_matches(key.casefold(), known, 1)
    return f"Did you mean {near[0]}?" if near else f"There are {', '.join(known)}."


def _check_keys(raw: Raw, known: Sequence[str], within: str) -> None:
    """Raises SettingsError for a key of `raw` that is none of those that are `known`."""
    for key in raw:
        if key not in known:
            raise SettingsError(f"unknown key {within}.{key}", nearest(key, known))


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
            name: TableName = key
            columns = table(raw, name, "database.columns.")
            _check_keys(columns, COLUMNS[name], where)
            for column, own in columns.items():
                yield name, column, f"{where}.{column}", _name(own, f"{where}.{column}")
            continue
        _check_keys({key: value}, list(dict.fromkeys(chain(*COLUMNS.values()))), "database.columns")
        tables = [name for name in TABLES if key in COLUMNS[name]]
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
