"""Finds and reads the config file.

`sync-audit.toml`, or `pyproject.toml` with a table `[tool.sync-audit]`, in the working directory or the nearest one
above it; the first of the two wins where both are. A directory with `.git` is the last one that is looked at.
"""

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from audit.cli.table_names import mapping
from audit.errors import SettingsError
from audit.model.tables import Tables
from audit.postgres.url import parse_database_url

ValueKind = Literal["text", "texts", "url", "number", "flag", "count", "path", "outputs"]
Keys = Mapping[str, ValueKind | tuple[str, ...]]
"""What kind of value each key takes; or one of these words."""
SHARED = "Config files are shared and committed. Set REPLICATE_API_TOKEN, or name a file in token-file."
"""Why there is no secret in them, and what to do instead."""
_TOKEN = re.compile(r"\br8_[A-Za-z0-9]{8}")
_WANTED: Mapping[ValueKind, str] = {
    "text": "a text in quotes",
    "texts": "a text in quotes or a list of them",
    "url": "a text in quotes",
    "number": "a number",
    "flag": "true or false",
    "count": "0, 1 or 2",
    "path": "a path in quotes",
    "outputs": "[FORMAT=]PATH in quotes or a list of them",
}


def value_of(key: str, kind: ValueKind | tuple[str, ...], value: object, folder: Path | None) -> object:
    """`value` as the option called `key` would give it; relative paths are below `folder`, where there is one.

    Raises SettingsError, which names the key and never shows a value: it might be a secret.
    """
    given: object
    if isinstance(kind, tuple):
        given, wanted = value if value in kind else None, " or ".join(f'"{word}"' for word in kind)
    else:
        given, wanted = _READ[kind](value, folder), _WANTED[kind]
    if given is None:
        raise SettingsError(f"{key} must be {wanted}{_instead(value)}")
    if any(_TOKEN.search(str(each)) for each in (given if isinstance(given, tuple) else (given,))):
        raise SettingsError(f"{key} holds an API token, which has no place in a config file", SHARED)
    return given


def _instead(value: object) -> str:
    """What kind of value it is. Never the value itself: it may be a secret."""
    names = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a table"}
    kind = names.get(type(value), "" if isinstance(value, str) else "a date or time")
    return f", not {kind}" if kind else ""


def _text(value: object, folder: Path | None = None) -> str | None:  # noqa: ARG001 - one of `_READ`
    return value if isinstance(value, str) else None


def _texts(value: object, folder: Path | None = None) -> tuple[str, ...] | None:  # noqa: ARG001 - one of `_READ`
    listed = value if isinstance(value, list) else [value]
    texts = tuple(each for each in listed if isinstance(each, str))
    return texts if len(texts) == len(listed) else None


def _url(value: object, _folder: Path | None) -> str | None:
    """Raises SettingsError where it holds a password; whether it is right is found out when it is used."""
    if not isinstance(value, str):
        return None
    database = parse_database_url(value)
    if database.password is not None or "sslpassword" in dict(database.tls):
        raise SettingsError(
            "database-url holds a password, which has no place in a config file",
            "Config files are shared and committed. Leave it out and set PGPASSWORD or a ~/.pgpass, or set the whole "
            "URL in DATABASE_URL.",
        )
    return value


def _number(value: object, _folder: Path | None) -> str | None:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _flag(value: object, _folder: Path | None) -> bool | None:
    return value if isinstance(value, bool) else None


def _count(value: object, _folder: Path | None) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 2 else None


def _path(value: object, folder: Path | None) -> str | None:
    """There is no shell to see to a ~, so it is seen to here."""
    if not isinstance(value, str):
        return None
    try:
        path = Path(value).expanduser()
    except RuntimeError:  # there is no such user, so it may as well be a name
        path = Path(value)
    return str(folder / path) if folder and value else str(path) if value else ""


def _outputs(value: object, folder: Path | None) -> tuple[str, ...] | None:
    listed = _texts(value)
    return None if listed is None else tuple(_output(each, folder) for each in listed)


def _output(given: str, folder: Path | None) -> str:
    name, equals, path = given.partition("=")
    if not equals or re.search(r"[/.\\]", name):
        return str(_path(given, folder)) if given != "-" else given
    return f"{name}={_path(path, folder) if path != '-' else path}"


_READ: Mapping[ValueKind, Callable[[object, Path | None], object]] = {
    "text": _text,
    "texts": _texts,
    "url": _url,
    "number": _number,
    "flag": _flag,
    "count": _count,
    "path": _path,
    "outputs": _outputs,
}


@dataclass(frozen=True, slots=True)
class Config:
    """What a config file says to one command."""

    name: str
    """The file, as a person would name it from the working directory."""
    values: Mapping[str, object] = field(default_factory=dict)
    """By parameter, as options have them; paths are relative to the working directory."""
    tables: Tables | None = None
    """None where it says nothing of them."""


_TALK: Keys = {"verbose": "count", "quiet": "flag", "log-format": ("text", "json"), "no-progress": "flag"}
KEYS: Keys = {
    "database-url": "url",
    "token-file": "path",
    "base-url": "text",
    "output": "outputs",
    "run-file": "path",
    "concurrency": "number",
    "rate": "number",
    "timeout": "number",
    "retries": "number",
    "statement-timeout": "number",
    "user": "texts",
    "limit": "number",
    "shard": "text",
    "order-by": "text",
    "include-tests": "flag",
    "trainings": "flag",
    "trainings-since": "text",
    "mode": ("versions", "trainings"),
    "verify-sample": "number",
    "baseline": "path",
    "fail-on": "text",
    "accept": "path",
    "redact": "flag",
    "exit-zero": "flag",
    "github": ("auto", "off"),
    "json": "flag",
    **_TALK,
}
"""Of the top level."""
COMMANDS: Mapping[str, Keys] = {
    "render": {"output": "outputs", "accept": "path", "redact": "flag", "exit-zero": "flag"},
    "merge": {"run-file": "path", "output": "outputs", "accept": "path", "redact": "flag", "exit-zero": "flag"},
    "diff": {"output": "outputs", "redact": "flag"},
    "sync": {
        "database-url": "url",
        "token-file": "path",
        "output": "path",
        "include": "texts",
        "max-age": "text",
        "user": "texts",
        **dict.fromkeys(("limit", "concurrency", "rate", "timeout", "retries", "statement-timeout"), "number"),
        **dict.fromkeys(("no-recheck", "touch", "redact"), "flag"),
    },
    "demo": {"output": "outputs", "keep": "flag", "exit-zero": "flag", **_TALK},
}
"""Tables of commands that have one of their own, and their keys."""
_OF_THE_RUN: Mapping[str, tuple[str, ...]] = {"merge": ("run_file",), "sync": ("user", "limit")}
"""By command, what is said outside of its table about a single run: that of all shards has another file, and whom a run
was narrowed to is in its run file."""
REFUSED: Mapping[str, str] = {
    "resume": "it is about one run: write --resume RUN on the command line",
    "run": "options of `sync-audit run` stand at the top level, and --run RUN on the command line",
    "config": "the file cannot name another one",
    "no-accept": "it is about one run: write --no-accept on the command line",
    **dict.fromkeys(
        ("because", "until", "reason", "version", "author", "file"),
        "it is about one entry: write it on the command line of `sync-audit accept`",
    ),
    "no-config": "the file cannot say that it is not to be read",
    "apply": "it changes the database: write --apply on the command line",
    "yes": "it changes the database unasked: write --yes on the command line",
    **dict.fromkeys(
        ("partial", "any-account"), "it is about one merge: write it on the command line of `sync-audit merge`"
    ),
    "undo": "it changes the database: write --undo FILE on the command line",
}
_SECRET = re.compile("token|password|passwd|secret|api-?key|credential")


def config(document: Mapping[str, object], command: str, name: str, folder: Path | None) -> Config:
    """What `document`, the parsed file called `name`, says to `command`; all of it is checked, whoever asks.

    Relative paths are relative to `folder`; None where that is the working directory. Raises SettingsError, which
    names the key, and never shows a value that might be a secret.
    """
    top = {key: value for key, value in document.items() if key not in {"database", *COMMANDS}}
    tables = {key: _values(_table(document, key), COMMANDS[key], f"{key}.", folder) for key in COMMANDS}
    values = _values(top, KEYS, "", folder)
    if command == "demo":
        values = {}
    elif command in COMMANDS:
        not_meant = {"output", "accept", *_OF_THE_RUN.get(command, ())}
        values = {key: value for key, value in values.items() if key not in not_meant}
    own = tables.get(command, {})
    mapped = mapping(_table(document, "database")) if "database" in document else None
    return Config(name, values | own, mapped)


def _table(document: Mapping[str, object], name: str) -> Mapping[str, object]:
    table = document.get(name, {})
    if not isinstance(table, dict):
        raise SettingsError(f"{name} must be a table", f"Write it as [{name}].")
    return table


def _values(table: Mapping[str, object], keys: Keys, within: str, folder: Path | None) -> dict[str, object]:
    """By parameter, converted to what the options of that name give."""
    values: dict[str, object] = {}
    for key, value in table.items():
        if key not in keys:
            raise _unknown(key, keys, within)
        values["as_json" if key == "json" else key.replace("-", "_")] = value_of(within + key, keys[key], value, folder)
    return values


def _unknown(key: str, keys: Keys, within: str) -> SettingsError:
    option = key.casefold().replace("_", "-")
    if option in REFUSED:
        return SettingsError(f"{within}{key} has no place in a config file: {REFUSED[option]}")
    near = get_close_matches(option, (*keys, *(() if within else (*COMMANDS, "database"))), 1)
    if _SECRET.search(option) and option not in keys:
        return SettingsError(f"{within}{key} has no place in a config file: it sounds like a secret", SHARED)
    if near:
        return SettingsError(f"unknown key {within}{key}", f"Did you mean {near[0]}?")
    return SettingsError(f"unknown key {within}{key}", f"There are {', '.join(keys)}.")


LARGEST = 1_000_000
"""Bytes. A larger file is something else."""
_WHERE = re.compile(r"\s*\(at line (\d+), column (\d+)\)$")


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file is called in messages, and the options about it."""

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
    """The same for what stands in it."""
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise SettingsError(f"{kind.what} {path} is nested too deeply", kind.step) from error
    except ValueError as error:  # also for a number of more digits than Python reads
        where = _WHERE.search(str(error))
        place = f", line {where[1]}, column {where[2]}" if where else ""
        raise SettingsError(f"{kind.what} {path}{place}: {_WHERE.sub('', str(error))}", kind.step) from error


def check_owner(path: Path, kind: Kind) -> None:
    """A file that was found counts only if not anybody may have put it there; one that is named always does."""
    shared = path.parent.stat().st_mode & 0o002
    if shared and path.stat().st_uid not in (0, os.geteuid()):
        raise SettingsError(
            f"{kind.what} {path} belongs to another user, and everybody may write into its directory",
            f"If you trust it: {kind.option} {path}; else go on without: {kind.without}",
        )


NAME = "sync-audit.toml"
PYPROJECT = "pyproject.toml"
TABLE = "tool.sync-audit"
_KIND = Kind("config file", "--config", "--no-config")


def read(path: Path, command: str) -> Config:
    """What the file `path` says to `command`. Raises SettingsError, which names the file."""
    document = _document(path)
    if document is None:
        raise SettingsError(f"--config {path}: it has no table [{TABLE}]", f"Only {NAME} needs none.")
    return _config(document, path, str(path), command)


def find(start: Path, command: str) -> Config | None:
    """What the config file that holds for the directory `start` says to `command`; None where there is none."""
    for folder, called in above(start):
        for name in (NAME, PYPROJECT):
            path = folder / name
            document = _document(path) if is_there(path) else None
            if document is not None:
                check_owner(path, _KIND)  # it could send the token anywhere
                return _config(document, path, str(called / name), command)
    return None


def _config(document: Mapping[str, object], path: Path, name: str, command: str) -> Config:
    folder = Path(os.path.abspath(path)).parent  # noqa: PTH100 - links stay, as a person has named them
    try:
        return config(document, command, name, None if folder == Path.cwd() else folder)
    except SettingsError as error:
        raise SettingsError(f"{name}: {error}", error.next_step or _KIND.step) from error


def _document(path: Path) -> Mapping[str, object] | None:
    """The part of the file that is for us; None for a `pyproject.toml` that has none."""
    document = parsed(path, _KIND)
    if path.name != PYPROJECT:
        return document
    tools = document.get("tool")
    table = tools.get("sync-audit") if isinstance(tools, dict) else None
    if table is not None and not isinstance(table, dict):
        raise SettingsError(f"{path}: {TABLE} is no table", f"Write it as [{TABLE}].")
    return table
