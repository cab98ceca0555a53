"""Finds and reads the config file.

`sync-audit.toml`, or `pyproject.toml` with a table `[tool.sync-audit]`, in the working directory or the nearest one
above it; the first of the two wins where both are. A directory with `.git` is the last one that is looked at.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from audit.config import config
from audit.errors import SettingsError
from audit.said import Config

NAME = "sync-audit.toml"
PYPROJECT = "pyproject.toml"
TABLE = "tool.sync-audit"

LARGEST = 1_000_000
"""Bytes. A larger file is something else."""

_STEP = "Correct it, name another one with --config, or go on without: --no-config"
_WHERE = re.compile(r"\s*\(at line (\d+), column (\d+)\)$")


def read(path: Path, command: str) -> Config:
    """What the file `path` says to `command`. Raises SettingsError, which names the file."""
    document = _table(path)
    if document is None:
        raise SettingsError(f"--config {path}: it has no table [{TABLE}]", f"Only {NAME} needs none.")
    return _config(document, path, str(path), command)


def find(start: Path, command: str) -> Config | None:
    """What the config file that holds for the directory `start` says to `command`; None where there is none."""
    for depth, folder in enumerate((start, *start.parents)):
        for name in (NAME, PYPROJECT):
            path = folder / name
            document = _table(path) if _is_there(path) else None
            if document is not None:
                _check_owner(path)
                return _config(document, path, str(Path(*[".."] * depth, name)), command)
        if (folder / ".git").exists():
            break
    return None


def _config(document: Mapping[str, object], path: Path, name: str, command: str) -> Config:
    folder = Path(os.path.abspath(path)).parent  # noqa: PTH100 - links stay, as a person has named them
    try:
        return config(document, command, name, None if folder == Path.cwd() else folder)
    except SettingsError as error:
        raise SettingsError(f"{name}: {error}", error.next_step or _STEP) from error


def _table(path: Path) -> Mapping[str, object] | None:
    """The part of the file that is for us; None for a `pyproject.toml` that has none."""
    document = _parsed(path)
    if path.name != PYPROJECT:
        return document
    tools = document.get("tool")
    table = tools.get("sync-audit") if isinstance(tools, dict) else None
    if table is not None and not isinstance(table, dict):
        raise SettingsError(f"{path}: {TABLE} is no table", f"Write it as [{TABLE}].")
    return table


def _parsed(path: Path) -> Mapping[str, object]:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise SettingsError(f"config file {path} is larger than {LARGEST:,} bytes", _STEP)
        return tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        cause = (error.strerror or str(error)).lower()
        raise SettingsError(f"config file {path} cannot be read: {cause}", _STEP) from error
    except UnicodeError as error:
        raise SettingsError(f"config file {path} is no text in UTF-8", _STEP) from error
    except RecursionError as error:
        raise SettingsError(f"config file {path} is nested too deeply", _STEP) from error
    except ValueError as error:  # also for a number of more digits than Python reads
        where = _WHERE.search(str(error))
        place = f", line {where[1]}, column {where[2]}" if where else ""
        raise SettingsError(f"config file {path}{place}: {_WHERE.sub('', str(error))}", _STEP) from error


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _check_owner(path: Path) -> None:
    """A file that anybody may have put there could send the token anywhere: it counts only if it is named."""
    shared = path.parent.stat().st_mode & 0o002
    if shared and path.stat().st_uid not in (0, os.geteuid()):
        raise SettingsError(
            f"config file {path} belongs to another user, and everybody may write into its directory",
            f"If you trust it: --config {path}; else go on without: --no-config",
        )
