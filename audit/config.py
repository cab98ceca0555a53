"""What may stand in a config file, and what it comes to for one command. Pure: `config_file` finds and reads the file.

Keys are called as the options are. The top level is for all commands but `demo`, which hears its own table alone; and
its `output` and `accept` are for `run` alone: other commands write something else, and `render` shows what `run` heard.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from audit.config_values import SHARED, Keys, read
from audit.errors import SettingsError
from audit.mapping import mapping
from audit.said import Config

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
        values["as_json" if key == "json" else key.replace("-", "_")] = read(within + key, keys[key], value, folder)
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
