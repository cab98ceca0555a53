"""Finds and reads the config file.

`sync-audit.toml`, or `pyproject.toml` with a table `[tool.sync-audit]`, in the working directory or the nearest one
above it; the first of the two wins where both are. A directory with `.git` is the last one that is looked at.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from audit.config import config
from audit.errors import SettingsError
from audit.said import Config
from audit.toml_file import Kind, above, check_owner, is_there, parsed

NAME = "sync-audit.toml"
PYPROJECT = "pyproject.toml"
TABLE = "tool.sync-audit"

_KIND = Kind("config file", "--config", "--no-config")


def read(path: Path, command: str) -> Config:
    """What the file `path` says to `command`. Raises SettingsError, which names the file."""
    document = _table(path)
    if document is None:
        raise SettingsError(f"--config {path}: it has no table [{TABLE}]", f"Only {NAME} needs none.")
    return _config(document, path, str(path), command)


def find(start: Path, command: str) -> Config | None:
    """What the config file that holds for the directory `start` says to `command`; None where there is none."""
    for folder, called in above(start):
        for name in (NAME, PYPROJECT):
            path = folder / name
            document = _table(path) if is_there(path) else None
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


def _table(path: Path) -> Mapping[str, object] | None:
    """The part of the file that is for us; None for a `pyproject.toml` that has none."""
    document = parsed(path, _KIND)
    if path.name != PYPROJECT:
        return document
    tools = document.get("tool")
    table = tools.get("sync-audit") if isinstance(tools, dict) else None
    if table is not None and not isinstance(table, dict):
        raise SettingsError(f"{path}: {TABLE} is no table", f"Write it as [{TABLE}].")
    return table
