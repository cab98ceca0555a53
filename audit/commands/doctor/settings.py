"""The settings as `doctor` shows them: each value, who has given it, and what is wrong with it.

Nothing is raised: what is wrong becomes the setting's problem, so that all others can still be looked at.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal
from urllib.parse import urlsplit

import click
import msgspec
from click.core import ParameterSource

from audit.cli import options
from audit.cli.settings import (
    CONFIG,
    NO_CONFIG,
    Setting,
    all_commands,
    file_of,
    is_given,
    is_typed,
    problems,
    top_level,
)
from audit.commands.settings import check_fail_on, database_of
from audit.errors import SettingsError
from audit.model.run import Shard
from audit.model.shard import spelled
from audit.model.sql import quoted
from audit.model.tables import PLAIN, Tables
from audit.postgres.url import Database
from audit.replicate.url import proxy_for

Origin = Literal["option", "environment", "config", "default", "nowhere"]
_ORIGINS: dict[ParameterSource | None, Origin] = {
    ParameterSource.COMMANDLINE: "option",
    ParameterSource.ENVIRONMENT: "environment",
    ParameterSource.DEFAULT_MAP: "config",
}
PREFIX = "r8_"
"""How Replicate's tokens begin."""
_NUMBERS = (options.rate, options.concurrency, options.timeout, options.retries, options.statement_timeout)
_SHOWN = (options.database, options.token, options.base_url, *_NUMBERS)
"""Those that are always shown."""


class ShownSetting(msgspec.Struct, frozen=True, kw_only=True):
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


@dataclass(frozen=True, slots=True)
class DoctorSettings:
    """What can be used; None where it is missing or wrong, and `found` then says why."""

    found: tuple[ShownSetting, ...]
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


def doctor_settings(ctx: click.Context) -> DoctorSettings:
    """Settings of `doctor`; those that other commands alone have are shown where somebody has given them."""
    found = [
        _config_file(ctx),
        _setting(ctx, options.database, _shown_database),
        _setting(ctx, options.token, shape, "API token"),
        _setting(ctx, options.base_url, str),
    ]
    given = ctx.params
    proxy = None
    try:
        proxy = proxy_for(given["base_url"] or "", os.environ)
        value, error = _shown_proxy(proxy), None
    except SettingsError as wrong:
        value, error = "", wrong
    if given["base_url"] and any(name.lower() == "https_proxy" and os.environ[name] for name in os.environ):
        found.append(_shown("HTTPS_PROXY", value, error, "environment", "HTTPS_PROXY"))
    found += [_setting(ctx, each, _shown_number) for each in _NUMBERS]
    found += [_setting(ctx, each, partial(_shown_other, ctx, each)) for each in _others(ctx)]
    file = file_of(ctx)
    if file and file.tables:
        found += _mapped(file.tables, f"config {file.name}")
    usable = {each.id: each.initial if given[each.id] is None else given[each.id] for each in _NUMBERS}
    return DoctorSettings(
        found=tuple(found),
        database=database_of(ctx) if given["database"] else None,
        token=given["token"],
        base_url=given["base_url"],
        proxy=proxy,
        per_minute=usable["per_minute"],
        concurrency=usable["concurrency"],
        timeout=usable["timeout"],
        statement_timeout=usable["statement_timeout"],
    )


def _setting(ctx: click.Context, each: Setting, words: Callable[[Any], str], name: str = "") -> ShownSetting:
    each.look_up(ctx)
    source = each.source(ctx)
    origin = _ORIGINS.get(ctx.get_parameter_source(each.id), "nowhere" if source == "not set" else "default")
    try:
        return _shown(name or each.option, words(each.needed(ctx)), None, origin, source)
    except SettingsError as error:
        return _shown(name or each.option, "", error, origin, source)


def _shown(name: str, value: str, error: SettingsError | None, origin: Origin, where: str) -> ShownSetting:
    problem = {"problem": str(error), "next_step": error.next_step} if error else {}
    return ShownSetting(name=name, value=value, origin=origin, where=where, **problem)


def _config_file(ctx: click.Context) -> ShownSetting:
    file, error = file_of(ctx), problems(ctx).get(CONFIG.id)
    typed = next((each.option for each in (CONFIG, NO_CONFIG) if is_typed(ctx, each.id)), "")
    if file or error:
        return _shown(
            "config file", file.name if file else "", error, "option" if typed else "default", typed or "found"
        )
    return _shown("config file", "none", None, "option" if typed else "nowhere", typed or "there is no sync-audit.toml")


def _others(ctx: click.Context) -> list[Setting]:
    """What else the config file says, and which shard: `doctor` has no use for it, and other commands will."""
    known = {each.id: each for each in top_level(all_commands(ctx)).values()}
    shown = {each.id for each in _SHOWN}
    listed = [known[name] for name in ctx.default_map or {} if name not in shown]
    options.shard.look_up(ctx)
    return listed if options.shard in listed or not is_given(ctx, options.shard.id) else [*listed, options.shard]


def _shown_other(ctx: click.Context, each: Setting, value: Any) -> str:
    """As the file has it."""
    if each is options.fail_on:
        check_fail_on(ctx, value, compared=options.baseline.look_up(ctx) is not None)
    if isinstance(value, Shard):
        return spelled(value)
    value = ctx.lookup_default(each.id)
    if isinstance(value, tuple):
        return ", ".join(value)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def shape(secret: str) -> str:
    """As much of a token as may be shown: "set, r8_…, 40 characters"."""
    known = secret.startswith(PREFIX)
    return f"set, {f'{PREFIX}…, ' if known else ''}{len(secret)} characters{'' if known else f', not {PREFIX}…'}"


def _mapped(tables: Tables, where: str) -> Iterator[ShownSetting]:
    """What is called otherwise, or stands for completed."""
    both = (tables.users, tables.user_models)
    columns = [f"{table.name}.{column} = {quoted(own)}" for table in both for column, own in table.mapped]
    words = [tables.completed_shown] if tables.completed != PLAIN.completed else []
    for name, listed in (
        ("tables", [f"{table.name} = {table.sql}" for table in both if table.path]),
        ("columns", columns),
        ("completed", words),
    ):
        if listed:
            yield _shown(f"{name} called", ", ".join(listed), None, "config", where)


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
