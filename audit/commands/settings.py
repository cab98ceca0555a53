"""What a run is told when it is begun, resumed or repaired, as frozen values made of a command's settings.

Everything that is wrong or missing is a `SettingsError`. Secrets never show in a repr.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import click
import msgspec

from audit.cli import options
from audit.cli.settings import check, found, is_given, refuse
from audit.errors import SettingsError
from audit.model.codes import FailOn, Format, LatestPer, OrderBy, Reason
from audit.model.findings import Acceptances
from audit.model.place import Address, Place, check_place
from audit.model.replies import TrainingsRead
from audit.model.run import Choices, Filters, RunInfo
from audit.model.shard import Shard
from audit.model.tables import PLAIN
from audit.model.times import utc_text
from audit.postgres.url import Database
from audit.replicate.url import proxy_for

REPORTS = options.REPORTS


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeSettings:
    """Settings of whoever goes on with a run: all else is in its run file."""

    token: str = field(repr=False)
    base_url: str
    """With `/v1`, without a slash at the end."""
    proxy: str | None = field(repr=False)
    """For `base_url`, from HTTPS_PROXY and NO_PROXY; it may hold a password. Never for loopback addresses."""
    choices: Choices
    """How the run is made; the run file keeps it for whoever finishes the run."""
    redact: bool = False
    acceptances: Acceptances | None = None
    """Null without a file of them."""
    replaces_acceptances: bool = False
    """Whether `acceptances` take the place of those of the run."""
    moved_from: str | None = None
    """HOST:PORT/DATABASE of the run, where its database is said to have moved."""
    delivery_stand_in: str | None = None
    """An origin that is asked in the place of Replicate's delivery hosts; the demo has one."""
    ask_again: tuple[Reason, ...] = ()
    """Users with these reasons are asked for again, beside those that every resumed run asks for."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that must not show up anywhere, such as in a library's log line."""
        return (self.token, password_of(self.proxy))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings(ResumeSettings):
    """Settings of `sync-audit run`."""

    database: Database
    run_file: Path
    statement_timeout: float = options.statement_timeout.initial
    """Seconds for one statement in PostgreSQL."""
    order_by: OrderBy = options.order_by.initial
    filters: Filters = Filters()  # noqa: RUF009 - frozen
    trainings: TrainingsRead | None = None
    """Whether and how trainings are to be read."""
    baseline: Path | None = None
    """An earlier run: its run file or JSON report."""
    shard: Shard | None = None
    """Which part of the models; None for all of them."""
    stuck_after: float = options.stuck_after.initial * 3600
    """Seconds after which a row in progress is asked about."""
    check_weights: bool = False
    """Whether recorded weights URLs are asked for."""
    configured_latest_per: LatestPer | None = None
    """What the config file says of it, where an option says otherwise."""
    made_up: bool = False
    """Whether it is a demo, whose users nobody has."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that must not show up anywhere, such as in a library's log line."""
        return (self.token, password_of(self.proxy), self.database.password or "")


def password_of(proxy: str | None) -> str:
    """As the proxy wants it; "" where it needs none."""
    return unquote(urlsplit(proxy).password or "") if proxy else ""


def default_choices(**changes: Any) -> Choices:
    """How a run is made that is told nothing, but for `changes`."""
    settings = (options.concurrency, options.rate, options.timeout, options.retries, options.fail_on)
    return Choices(**{"outputs": (), **{each.id: each.type(each.initial) for each in settings}, **changes})


def chosen(ctx: click.Context, kept: Choices | None) -> Choices:
    """How a run is made: as `kept` says, and where something else is said now, so."""
    now = {name: ctx.params[name] for name in Choices.__struct_fields__ if name in ctx.params}
    if kept is None:
        return default_choices(**now)
    return msgspec.structs.replace(kept, **{name: value for name, value in now.items() if is_given(ctx, name)})


def run_settings(ctx: click.Context, now: datetime) -> RunSettings:
    """Settings of a run that is begun. Of options that the command lacks, variables and the config file are heard.

    Reads the token file, and no other. `now` gives default files their names.
    """
    for each in chain.from_iterable(options.RUN.values()):
        each.look_up(ctx)
    check(ctx)
    refuse(ctx, [options.moved_from], "without --resume: a run that is begun is made where it finds the database")
    refuse(ctx, [options.ask_again], "without --resume: a run that is begun asks for everybody")
    given = ctx.params
    shard, baseline = given["shard"], given["baseline"]
    if shard and given["limit"] is not None:
        raise SettingsError(
            f"{options.limit.named} and {options.shard.named} can't be used together: the first users of each "
            "shard are not the first users of all",
            "For a trial run leave the shard out; for a part of the users name them with --user.",
        )
    choices, default = chosen(ctx, None), default_run_file(now, shard)
    check_fail_on(ctx, choices.fail_on, compared=baseline is not None)
    changes: dict[str, Any] = {"outputs": choices.outputs or outputs_beside(default)}
    if shard and not is_given(ctx, options.rate.id):  # shards share what one run would make
        changes["per_minute"] = max(1, choices.per_minute // shard.of)
    return RunSettings(
        **_asking(ctx, given["base_url"]),
        database=database_of(ctx),
        choices=msgspec.structs.replace(choices, **changes),
        run_file=Path(given["run_file"] or default),
        statement_timeout=given["statement_timeout"],
        order_by=given["order_by"],
        filters=filters_of(ctx),
        redact=given["redact"],
        trainings=trainings_wanted(ctx, now),
        baseline=Path(baseline) if baseline else None,
        shard=shard,
        stuck_after=given["stuck_after"] * 3600,
        check_weights=given["check_weights"],
        configured_latest_per=_configured_latest_per(ctx),
    )


def resume_settings(ctx: click.Context, info: RunInfo, choices: Choices | None) -> ResumeSettings:
    """Settings for finishing the run that `info` and `choices` describe: where nothing is said now, they hold.

    Raises SettingsError where what is said now belongs to another audit; both sides are then named.
    """
    settings = list(chain.from_iterable(options.RUN.values()))
    never = [each for each in settings if each.resumed == "never"]
    refuse(ctx, never, "with --resume: the run goes on as it was begun")
    check(ctx, unused=never)
    _check_tables(
        ctx,
        info,
        "in the run to be resumed: two audits do not mix",
        "Use the config file of that run (--config) or none (--no-config), or start a new run without --resume.",
    )
    _check_resumed_database(ctx, info)
    before = {"base_url": info.base_url, "order_by": info.order_by, "shard": info.shard}
    before["latest_per"] = info.latest_per
    before |= msgspec.structs.asdict(info.filters)
    for each in settings:
        if each.resumed != "same" or each is options.database or not is_given(ctx, each.id):
            continue
        now = ctx.params[each.id]
        if now != before[each.id]:
            raise SettingsError(
                f"{each.named} is {_plain(now)} now, and was {_plain(before[each.id])} in the run to be resumed: two "
                "audits do not mix",
                f"Leave {each.named} out to finish that run, or start a new one without --resume.",
            )
    choices = chosen(ctx, choices)
    check_fail_on(ctx, choices.fail_on, compared=info.baseline is not None)
    return ResumeSettings(
        **_asking(ctx, info.base_url),
        choices=choices,
        redact=ctx.params["redact"],
        moved_from=ctx.params["moved_from"],
        ask_again=tuple(map(Reason, ctx.params["ask_again"])),
    )


def repair_settings(ctx: click.Context, info: RunInfo, choices: Choices | None, run_file: Path) -> RunSettings:
    """Where to write and whom to ask: the database and the Replicate of the run, and no other. Raises SettingsError."""
    base_url = options.base_url.look_up(ctx)
    check(ctx)
    if is_given(ctx, options.base_url.id):
        _refuse_other("REPLICATE_BASE_URL", base_url, info.base_url)
    return RunSettings(
        **_asking(ctx, info.base_url),
        database=database_to_repair(ctx, info),
        choices=chosen(ctx, choices),
        moved_from=ctx.params["moved_from"],
        run_file=run_file,
        statement_timeout=ctx.params["statement_timeout"],
        order_by=info.order_by,
        filters=info.filters,
    )


def database_to_repair(ctx: click.Context, info: RunInfo | None, place: Place | None = None) -> Database:
    """The database to be written to: the one of `info`, with its names, else of `place`. Raises SettingsError."""
    database, moved_from = database_of(ctx), ctx.params["moved_from"]
    if info is None:
        if place is None:  # a file of an older version, which is not undone without its run
            return database
        check_place(place, database.address, moved_from)
        return database
    check_place(info.address, database.address, moved_from)
    _check_tables(ctx, info, "in the run", "Use the config file of that run (--config), or start a new run.")
    return replace(database, tables=info.tables)


def _check_resumed_database(ctx: click.Context, info: RunInfo) -> None:
    """Nothing connects to it any more, so the tables too are known from the URL alone, where one is given."""
    given, moved_from = is_given(ctx, options.database.id), ctx.params["moved_from"]
    then = info.address
    now: Address = ctx.params[options.database.id].address if given else then
    check_place(then, now, moved_from, to_write=False)
    if info.place and given and now.asked_path != then.asked_path:
        raise SettingsError(
            f"{options.database.named} is {now.named} with {_path(now)} now, and was {then.named} with {_path(then)} "
            "in the run to be resumed: two audits do not mix",
            f"Leave {options.database.named} out to finish that run, or start a new one without --resume.",
        )


def _path(address: Address) -> str:
    return f"search path {address.asked_path}" if address.asked_path else "no search path in the URL"


def _refuse_other(name: str, now: str, then: str) -> None:
    if now != then:
        raise SettingsError(
            f"{name} is {now} now, and was {then} in the run: what was found in one place is not written to another",
            f"Name in {name} what the run was made with, or start a new run.",
        )


def _check_tables(ctx: click.Context, info: RunInfo, where: str, next_step: str) -> None:
    """Raises SettingsError where the config file gives tables or columns other names than they had in the run."""
    file = found(ctx).file
    if file is None or file.tables is None:
        return
    then, now = info.tables.as_written, file.tables
    if msgspec.structs.replace(now, latest_per=then.latest_per) != then:
        raise SettingsError(f"{file.name} maps tables or columns otherwise than they were {where}", next_step)
    typed = is_given(ctx, options.latest_per.id)  # which is compared by itself, and goes before the file
    if not typed and now.latest_per not in {then.latest_per, info.configured_latest_per}:
        raise SettingsError(
            f"{file.name}: latest_per is {now.latest_per} now, and was {then.latest_per} {where}", next_step
        )


def database_of(ctx: click.Context) -> Database:
    """Whose tables are read, called as the config file says. Raises SettingsError where nobody has named it."""
    database: Database = options.database.needed(ctx)
    file = found(ctx).file
    tables = (file and file.tables) or PLAIN
    if latest_per := ctx.params.get(options.latest_per.id):
        tables = msgspec.structs.replace(tables, latest_per=latest_per)
    return replace(database, tables=tables)


def _configured_latest_per(ctx: click.Context) -> LatestPer | None:
    """What the config file says of it, or would by default, where an option says something else."""
    file = found(ctx).file
    said = ((file and file.tables) or PLAIN).latest_per
    return None if ctx.params[options.latest_per.id] in {None, said} else said


def filters_of(ctx: click.Context) -> Filters:
    """Who is audited."""
    return Filters(**{name: ctx.params[name] for name in Filters.__struct_fields__ if name in ctx.params})


def check_fail_on(ctx: click.Context, fail_on: FailOn, *, compared: bool) -> None:
    """Raises SettingsError where only new findings count, and there is no baseline."""
    if fail_on == "new" and not compared:
        raise options.fail_on.wrong(
            ctx,
            "new needs --baseline: nothing is new without an earlier run to compare with",
            "Add --baseline RUN: a run file, or a JSON report.",
        )


def trainings_wanted(ctx: click.Context, now: datetime) -> TrainingsRead | None:
    """How trainings are to be read; None where they are not. Raises SettingsError.

    A config file may say how trainings are to be read where they are, and be heard no further where they are not.
    """
    mode, since = ctx.params["mode"], ctx.params["trainings_since"]
    if mode != "trainings":
        refuse(ctx, [options.verify_sample], "without --mode trainings: by versions everybody is asked for")
    if mode != "trainings" and not ctx.params["trainings"]:
        refuse(ctx, [options.trainings_since], "without --trainings")
        return None
    if since and since > now:
        raise options.trainings_since.wrong(
            ctx, f"{since:%Y-%m-%d} is in the future", "Trainings that are read began after it."
        )
    sample = ctx.params["verify_sample"] if mode == "trainings" else 0.0
    return TrainingsRead(mode=mode, since=since and utc_text(since), sample=sample)


def default_run_file(now: datetime, shard: Shard | None = None) -> Path:
    """What the run file of a run that begins now is called unless told otherwise; its reports stand beside it.

    The name is free now. Whoever makes the file may find it taken, and then asks again.
    """
    part = f"-shard-{shard.number}-of-{shard.of}" if shard else ""
    stem = f"{REPORTS}/sync-audit-{now:%Y%m%dT%H%M%SZ}{part}"
    names = chain([stem], (f"{stem}-{number}" for number in count(2)))  # another run of the same second may have one
    return next(Path(f"{name}.sqlite") for name in names if not any(map(os.path.lexists, _files_of(name))))


def _files_of(stem: str) -> Iterator[str]:
    return (f"{stem}.{end}" for end in ("sqlite", "html", "csv"))  # the last two, where the run file is elsewhere


def outputs_beside(run_file: Path) -> tuple[tuple[Format, str], ...]:
    """What is written where nobody has said anything."""
    return ("html", str(run_file.with_suffix(".html"))), ("csv", str(run_file.with_suffix(".csv")))


def _asking(ctx: click.Context, base_url: str) -> dict[str, Any]:
    """Whom to ask, as whom, and by which way."""
    return {
        "token": options.token.needed(ctx),
        "base_url": base_url,
        "proxy": proxy_for(base_url, os.environ),
    }


def _plain(value: object) -> str:
    if isinstance(value, Shard):
        return str(value)
    if isinstance(value, tuple):
        return ", ".join(value) or "not given"
    return "not given" if value is None or value is False else "given" if value is True else str(value)
