"""What a command was told: its options, the environment, and the config file."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import click

from audit.cli.options import files
from audit.errors import SettingsError

if TYPE_CHECKING:
    from audit.cli.config_file import Config
    from audit.model.tables import Tables

Origin = Literal["option", "environment", "config", "default", "nowhere"]
VARIABLES: Mapping[str, str] = {
    "database_url": "DATABASE_URL",
    "token_file": "REPLICATE_API_TOKEN",
    "base_url": "REPLICATE_BASE_URL",
    "concurrency": "SYNC_AUDIT_CONCURRENCY",
    "rate": "SYNC_AUDIT_RATE",
    "timeout": "SYNC_AUDIT_TIMEOUT",
    "retries": "SYNC_AUDIT_RETRIES",
    "statement_timeout": "SYNC_AUDIT_STATEMENT_TIMEOUT",
    "shard": "SYNC_AUDIT_SHARD",
}
"""Option, as a parameter -> the variable that stands in for it. That of --token-file holds the token itself."""


class Told(NamedTuple):
    """The one value that counts, and who gave it."""

    value: object
    origin: Origin
    where: str
    """"--rate", "SYNC_AUDIT_RATE", "config sync-audit.toml"."""


@dataclass(frozen=True, slots=True, repr=False)
class Said:
    """Options (by parameter; None, False, 0 or () where not given), variables, and the config file, if there is one.

    An empty variable counts as unset, as CI systems leave them so.
    """

    options: Mapping[str, object] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    config: "Config | None" = None

    @property
    def tables(self) -> "Tables":
        """How tables and columns are called."""
        from audit.model.tables import PLAIN

        return (self.config and self.config.tables) or PLAIN

    def told(self, name: str) -> Told | None:
        """What counts for the parameter `name`; None where nobody has said anything."""
        given = self.options.get(name)
        if given not in (None, False, ()):
            return Told(given, "option", option(name))
        variable = VARIABLES.get(name, "")
        if self.environ.get(variable):
            return Told(self.environ[variable], "environment", variable)
        if self.config and name in self.config.values:
            return Told(self.config.values[name], "config", f"config {self.config.name}")
        return None

    def text(self, name: str) -> str | None:
        """As text; None where nobody has said anything."""
        told = self.told(name)
        return None if told is None else str(told.value)

    def texts(self, name: str) -> tuple[str, ...]:
        """Of an option that may be repeated; () where nobody has said anything."""
        told = self.told(name)
        return tuple(str(each) for each in told.value) if told and isinstance(told.value, tuple) else ()

    def flag(self, name: str) -> bool:
        """Whether it was asked for."""
        told = self.told(name)
        return bool(told and told.value)

    def asked_of_config(self, *names: str) -> "Said":
        """The same, but that the config file is heard about these parameters only."""
        if self.config is None:
            return self
        values = {name: value for name, value in self.config.values.items() if name in names}
        return replace(self, config=replace(self.config, values=values))

    @contextmanager
    def blaming(self, name: str) -> Iterator[None]:
        """A SettingsError within names the config file too, where the value of `name` is from there."""
        try:
            yield
        except SettingsError as error:
            told = self.told(name)
            if self.config is None or told is None or told.origin != "config":
                raise
            raise SettingsError(f"{self.config.name}: {error}", error.next_step) from error


def option(name: str) -> str:
    """The option whose parameter is `name`."""
    return "--json" if name == "as_json" else f"--{name.replace('_', '-')}"


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
    return Said(given, os.environ, _config(command, given))


def _config(command: str, given: dict[str, object]) -> "Config | None":
    from audit.cli import config_file
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


def _here() -> Path | None:
    try:
        return Path.cwd()
    except FileNotFoundError:  # it has been removed
        return None
