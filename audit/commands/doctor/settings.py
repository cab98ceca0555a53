"""Where each setting comes from, and what is wrong with it: `doctor`'s view of what `settings` reads.

Nothing is raised: what `settings` refuses becomes the setting's problem, so that all others can still be looked at.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from audit.cli import values
from audit.cli.settings import Origin, Said, option
from audit.cli.values import outputs_from
from audit.errors import SettingsError
from audit.model.sql import quoted
from audit.model.tables import PLAIN, Tables
from audit.postgres.url import Database
from audit.replicate.url import proxy_for


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting, and who has set it."""

    name: str
    """Of the option, or of the variable where there is no option."""
    value: str
    """As shown to a person; of a secret only its shape."""
    origin: Origin
    where: str
    """"--rate", "SYNC_AUDIT_RATE", "default"."""
    problem: str | None = None
    next_step: str = ""


T = TypeVar("T")
PREFIX = "r8_"
"""How Replicate's tokens begin."""
_NUMBERS = (values.RATE, values.CONCURRENCY, values.TIMEOUT, values.RETRIES, values.STATEMENT_TIMEOUT)


@dataclass(frozen=True, slots=True)
class DoctorSettings:
    """What can be used; None where it is missing or wrong, and `found` then says why."""

    found: tuple[Setting, ...]
    database: Database | None
    token: str | None = field(repr=False)
    base_url: str | None
    proxy: str | None = field(repr=False)
    per_minute: int
    concurrency: int
    timeout: float
    statement_timeout: float

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that must not show up anywhere."""
        password = self.database.password if self.database else None
        proxy_password = urlsplit(self.proxy).password if self.proxy else None
        return tuple(each for each in (self.token, password, proxy_password) if each)


def doctor_settings(said: Said, broken: SettingsError | None = None) -> DoctorSettings:
    """Settings of `doctor`; reads the token file. `broken` is what is wrong with the config file."""
    found = [_config_file(said, broken)]

    def take(name: str, origin: tuple[Origin, str], read: Callable[[], T], show: Callable[[T], str]) -> T | None:
        kind, where = origin
        try:
            value = read()
        except SettingsError as error:
            problem = {"problem": str(error), "next_step": error.next_step}
            found.append(Setting(name=name, value="", origin=kind, where=where, **problem))
            return None
        found.append(Setting(name=name, value=show(value), origin=kind, where=where))
        return value

    database = take(
        "--database-url", _origin(said, "database_url"), lambda: values.database_from(said), _shown_database
    )
    token = take("API token", _origin(said, "token_file"), lambda: values.token_from(said), shape)
    base_url = take("--base-url", _origin(said, "base_url", _DEFAULT), lambda: values.base_url_from(said), str)
    proxy, environ = None, said.environ
    if base_url and any(name.lower() == "https_proxy" and environ[name] for name in environ):
        proxy = take("HTTPS_PROXY", ("environment", "HTTPS_PROXY"), lambda: proxy_for(base_url, environ), _shown_proxy)
    numbers: dict[str, float] = {}
    for number in _NUMBERS:
        value = take(number.option, _origin(said, number.name, _DEFAULT), _reading(number, said), _shown_number)
        numbers[number.name] = number.default if value is None else value
    for name in _others(said):
        take(option(name), _origin(said, name), _checking(name, said), str)
    if said.config and said.config.tables:
        found += _mapped(said.config.tables, f"config {said.config.name}")
    return DoctorSettings(
        found=tuple(found),
        database=database,
        token=token,
        base_url=base_url,
        proxy=proxy,
        per_minute=int(numbers["rate"]),
        concurrency=int(numbers["concurrency"]),
        timeout=numbers["timeout"],
        statement_timeout=numbers["statement_timeout"],
    )


def shape(secret: str) -> str:
    """As much of a token as may be shown: "set, r8_…, 40 characters"."""
    known = secret.startswith(PREFIX)
    return f"set, {f'{PREFIX}…, ' if known else ''}{len(secret)} characters{'' if known else f', not {PREFIX}…'}"


_DEFAULT: tuple[Origin, str] = ("default", "default")


def _origin(said: Said, name: str, otherwise: tuple[Origin, str] = ("nowhere", "not set")) -> tuple[Origin, str]:
    told = said.told(name)
    return (told.origin, told.where) if told else otherwise


def _reading(number: values.Number, said: Said) -> Callable[[], float]:
    return lambda: values.number_from(number, said)


def _config_file(said: Said, broken: SettingsError | None) -> Setting:
    origin: tuple[Origin, str] = ("option", "--config") if said.options.get("config") else ("default", "found")
    if broken:
        problem = {"problem": str(broken), "next_step": broken.next_step}
        return Setting(name="config file", value="", origin=origin[0], where=origin[1], **problem)
    if said.config is None:
        left_out = bool(said.options.get("no_config"))
        origin = ("option", "--no-config") if left_out else ("nowhere", "there is no sync-audit.toml")
        return Setting(name="config file", value="none", origin=origin[0], where=origin[1])
    return Setting(name="config file", value=said.config.name, origin=origin[0], where=origin[1])


def _others(said: Said) -> list[str]:
    """What else the config file says, and which shard: `doctor` has no use for it, and other commands will."""
    own = {"database_url", "token_file", "base_url", *(number.name for number in _NUMBERS)}
    listed = [name for name in said.config.values if name not in own] if said.config else []
    return listed if "shard" in listed or said.told("shard") is None else [*listed, "shard"]


def _checking(name: str, said: Said) -> Callable[[], str]:
    """How one of those is read, with the checks that `run` makes."""

    def read() -> str:
        if name in _CHECKS:
            _CHECKS[name](said)
        told = said.told(name)
        value = told.value if told else ""
        if isinstance(value, tuple):
            return ", ".join(map(str, value))
        return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)

    return read


_CHECKS: Mapping[str, Callable[[Said], object]] = {
    "output": outputs_from,
    "order_by": values.order_by_from,
    "user": values.filters_from,
    "limit": lambda said: values.filters_from(said.asked_of_config("limit")),
    "shard": values.shard_from,
    "fail_on": lambda said: values.fail_on_from(said, compared=said.text("baseline") is not None),
}


def _mapped(tables: Tables, where: str) -> Iterator[Setting]:
    """What is called otherwise, or stands for completed."""
    renamed = [f"{table.name} = {table.sql}" for table in (tables.users, tables.user_models) if table.path]
    columns = [
        f"{table.name}.{column} = {quoted(own)}"
        for table in (tables.users, tables.user_models)
        for column, own in table.mapped
    ]
    words = [tables.completed_shown] if tables.completed != PLAIN.completed else []
    for name, said in (("tables", renamed), ("columns", columns), ("completed", words)):
        if said:
            yield Setting(name=f"{name} called", value=", ".join(said), origin="config", where=where)


def _shown_database(database: Database) -> str:
    user = f", user {database.user}" if database.user else ""
    return f"{database.label}{user}, password {'set' if database.password else 'not in the URL'}"


def _shown_proxy(proxy: str | None) -> str:
    if proxy is None:
        return "not used for this base URL"
    parts = urlsplit(proxy)
    place = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    return f"{place}{', password set' if parts.password else ''}"


def _shown_number(value: float) -> str:
    return f"{value:,g}" if value < 1_000_000 else f"{value:,.0f}"
