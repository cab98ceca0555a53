"""The settings as `doctor` shows them: each value, who has given it, and what is wrong with it.

Nothing is raised: what is wrong becomes the setting's problem, so that all others can still be looked at.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from audit.cli import options
from audit.cli.settings import (
    CONFIG,
    NO_CONFIG,
    Setting,
    all_commands,
    found,
    is_given,
    is_typed,
    top_level,
)
from audit.commands.doctor.checks import Check, CheckResult, Group
from audit.commands.settings import check_fail_on, database_of
from audit.errors import SettingsError
from audit.model.codes import LatestPer
from audit.model.shard import Shard
from audit.model.sql import one_line, quoted
from audit.model.tables import PLAIN, Tables, TrainingState, shown_words
from audit.model.text import escape_controls
from audit.postgres.url import Database
from audit.replicate.url import proxy_for, proxy_variable

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


@dataclass(frozen=True, slots=True)
class DoctorSettings:
    """What can be used; None where it is missing or wrong, and `found` then says why."""

    found: tuple[CheckResult, ...]
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
    shown = [
        _config_file(ctx),
        _setting(ctx, options.database, _shown_database),
        _setting(ctx, options.token, masked_token, "API token"),
        _setting(ctx, options.base_url, str),
    ]
    given = ctx.params
    proxy: str | None = None
    error: SettingsError | None = None
    try:
        proxy = proxy_for(given["base_url"] or "", os.environ)
        value = _shown_proxy(proxy)
    except SettingsError as wrong:
        value, error = "", wrong
    if given["base_url"] and (variable := proxy_variable(os.environ)):
        shown.append(_shown("HTTPS_PROXY", value, error, "environment", variable[0]))
    shown += [_setting(ctx, each, _shown_number) for each in _NUMBERS]
    shown += [_setting(ctx, each, partial(_shown_other, ctx, each)) for each in _others(ctx)]
    file = found(ctx).file
    if file and file.tables:
        shown += _mapped(file.tables, f"config {file.name}")
    usable = {each.id: each.initial if given[each.id] is None else given[each.id] for each in _NUMBERS}
    return DoctorSettings(
        found=tuple(shown),
        database=database_of(ctx) if given["database"] else None,
        token=given["token"],
        base_url=None if error else given["base_url"],  # without the proxy nobody is asked
        proxy=proxy,
        per_minute=usable["per_minute"],
        concurrency=usable["concurrency"],
        timeout=usable["timeout"],
        statement_timeout=usable["statement_timeout"],
    )


def _setting(ctx: click.Context, each: Setting, words: Callable[[Any], str], name: str = "") -> CheckResult:
    each.look_up(ctx)
    source = each.source(ctx)
    origin = _ORIGINS.get(ctx.get_parameter_source(each.id), "nowhere" if source == "not set" else "default")
    try:
        return _shown(name or each.option, words(each.needed(ctx)), None, origin, source)
    except SettingsError as error:
        return _shown(name or each.option, "", error, origin, source)


def _shown(name: str, value: str, error: SettingsError | None, origin: Origin, where: str) -> CheckResult:
    title = name[2:].replace("-", " ") if name.startswith("--") else name
    check = Check(Group.SETTINGS, f"setting_{title.replace(' ', '_').lower()}", title)
    data = {"value": value or None, "origin": origin, "where": where}
    if error:
        return check.error(error, **data)
    return check.ok(escape_controls(f"{value} ({where})"), **data)


def _config_file(ctx: click.Context) -> CheckResult:
    file, error = found(ctx).file, found(ctx).problems.get(CONFIG.id)
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
        return str(value)
    value = ctx.lookup_default(each.id)
    if isinstance(value, tuple):
        return ", ".join(value)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def masked_token(secret: str) -> str:
    """As much of a token as may be shown: "set, r8_…, 40 characters"."""
    known = secret.startswith(PREFIX)
    return f"set, {f'{PREFIX}…, ' if known else ''}{len(secret)} characters{'' if known else f', not {PREFIX}…'}"


def _mapped(tables: Tables, where: str) -> Iterator[CheckResult]:
    """What is called otherwise, and the words of states that are other ones than by default."""
    both = (tables.users, tables.user_models)
    columns = [f"{table.name}.{column} = {quoted(own)}" for table in both for column, own in table.mapped]
    columns += [f"{table.name}.{column} = {one_line(made)}" for table in both for column, made in table.expressions]
    none = ["users = none"] if tables.users.absent else []
    repair = tables.repair
    written = [f"key = {quoted(repair.key)}"] if repair.key else []
    written += [f"{column} = {quoted(own)}" for column, own in repair.columns]
    written += [f"{column} = {one_line(made)}" for column, made in repair.paths]
    words = ((state, tables.words(state)) for state in TrainingState if tables.words(state) != PLAIN.words(state))
    for name, listed in (
        ("tables called", none + [f"{table.name} = {table.sql}" for table in both if table.path]),
        ("columns called", columns),
        *((f"{state.value} called", [shown_words(own)]) for state, own in words),
        *((f"{table.name} by", [one_line(table.query)]) for table in both if table.query is not None),
        ("only rows where", [one_line(tables.where)] if tables.where else []),
        ("owner", [tables.owner] if tables.owner else []),
        ("one line for each", _LINES[tables.latest_per]),
        ("repair writes to", [".".join(map(quoted, repair.path))] if repair.path else []),
        ("repair writes", written),
    ):
        if listed:
            yield _shown(name, ", ".join(listed), None, "config", where)


_LINES: Mapping[LatestPer, list[str]] = {"user": [], "model": ["user and model"], "row": ["row"]}


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
