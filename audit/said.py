"""What a command was told, and by whom. Precedence: option, environment, config file, default."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from audit.errors import SettingsError
from audit.tables import PLAIN, Tables

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


@dataclass(frozen=True, slots=True)
class Config:
    """What a config file says to one command."""

    name: str
    """The file, as a person would name it from the working directory."""
    values: Mapping[str, object] = field(default_factory=dict)
    """By parameter, as options have them; paths are relative to the working directory."""
    tables: Tables | None = None
    """None where it says nothing of them."""


@dataclass(frozen=True, slots=True, repr=False)
class Said:
    """Options (by parameter; None, False, 0 or () where not given), variables, and the config file, if there is one.

    An empty variable counts as unset, as CI systems leave them so.
    """

    options: Mapping[str, object] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    config: Config | None = None

    @property
    def tables(self) -> Tables:
        """How tables and columns are called."""
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
