"""What a command was told: its options, the environment, and the config file."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from audit.cli.options import files

if TYPE_CHECKING:
    from audit.models import Acceptances
    from audit.said import Config, Said

Command = Callable[..., Any]


def config(command: Command) -> Command:
    """`--config` and `--no-config`."""
    decorators = (
        click.option(
            "--config",
            metavar="FILE",
            shell_complete=files,
            help="Read settings from this file.  [default: sync-audit.toml, or [tool.sync-audit] in pyproject.toml, "
            "here or above]",
        ),
        click.option("--no-config", is_flag=True, help="Read no config file."),
    )
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


def said(command: str, given: dict[str, object]) -> "Said":
    """Everything that `command` was told, `given` by its options. Raises SettingsError for a wrong config file."""
    from audit.said import Said

    return Said(given, os.environ, _config(command, given))


def _config(command: str, given: dict[str, object]) -> "Config | None":
    from audit import config_file
    from audit.errors import SettingsError

    file = given.get("config")
    if file is not None:
        if given.get("no_config"):
            raise SettingsError("--config and --no-config exclude each other")
        return config_file.read(Path(str(file)), command)
    if given.get("no_config"):
        return None
    here = _here()
    return config_file.find(here, command) if here else None


def judges_anew(said: "Said") -> bool:
    """Whether a run that has acceptances already is to have others."""
    return said.told("accept") is not None or said.flag("no_accept")


def acceptances(said: "Said") -> "Acceptances | None":
    """Those of the file that was named, or of the one that holds here. Raises SettingsError for a wrong one."""
    from audit import accept_file
    from audit.errors import SettingsError

    if said.options.get("no_accept"):
        if said.options.get("accept"):
            raise SettingsError("--accept and --no-accept exclude each other")
        return None
    with said.blaming("accept"):
        if (file := said.text("accept")) is not None:
            return accept_file.read(Path(file))
    here = _here()
    found = here and accept_file.find(here)
    return accept_file.read(found) if found else None


def _here() -> Path | None:
    try:
        return Path.cwd()
    except FileNotFoundError:  # it has been removed
        return None
