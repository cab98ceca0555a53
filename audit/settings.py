"""What a run was told, as one frozen value.

Everything that is wrong or missing is a `SettingsError`. Secrets never show in a repr.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import cast, get_args

from audit.api_url import proxy_for
from audit.dsn import Database
from audit.errors import SettingsError
from audit.models import Acceptances, FailOn, Filters, Format, OrderBy, Shard
from audit.said import Said, option
from audit.settings_trainings import trainings_wanted
from audit.settings_values import (
    CONCURRENCY,
    RETRIES,
    STATEMENT_TIMEOUT,
    TIMEOUT,
    base_url_from,
    database_from,
    fail_on_from,
    filters_from,
    number_from,
    order_by_from,
    password_of,
    rate_from,
    shard_from,
    token_from,
)
from audit.training import TrainingsRead

FORMATS: tuple[str, ...] = get_args(Format)
_BY_SUFFIX = {"htm": "html", "xml": "junit", "txt": "text"}
"""Formats of suffixes that are not the format's own name."""
REPORTS = "reports"
"""Where reports and run files go unless told otherwise, below the working directory."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Settings of `sync-audit run`."""

    database: Database
    token: str = field(repr=False)
    base_url: str
    """With `/v1`, without a slash at the end."""
    proxy: str | None = field(repr=False)
    """For `base_url`, from HTTPS_PROXY and NO_PROXY; it may hold a password. Never for loopback addresses."""
    outputs: tuple[tuple[Format, str], ...]
    """Format and path; `-` is standard output."""
    run_file: Path
    concurrency: int = 32
    per_minute: int = 2400
    timeout: float = 30.0
    """Seconds for one attempt."""
    retries: int = 4
    statement_timeout: float = 120.0
    """Seconds for one statement in PostgreSQL."""
    order_by: OrderBy = "updated_at"
    filters: Filters = Filters()  # noqa: RUF009 - frozen
    redact: bool = False
    trainings: TrainingsRead | None = None
    """Whether and how trainings are to be read."""
    baseline: Path | None = None
    """An earlier run: its run file or JSON report."""
    fail_on: FailOn = "any"
    acceptances: Acceptances | None = None
    """Null without a file of them."""
    shard: Shard | None = None
    """Which part of the models; None for all of them."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that must not show up anywhere, such as in a library's log line."""
        return (self.token, self.database.password or "", password_of(self.proxy))


def run_settings(said: Said, now: datetime) -> RunSettings:
    """Settings of a run. Reads the token file, and no other. `now` gives default files their names."""
    base_url = base_url_from(said)
    shard, filters = _part(said)
    default = default_run_file(now, shard)
    run_file, baseline = said.text("run_file"), said.text("baseline")
    return RunSettings(
        database=database_from(said),
        token=token_from(said),
        base_url=base_url,
        proxy=proxy_for(base_url, said.environ),
        outputs=outputs_from(said) or outputs_beside(default),
        run_file=Path(run_file) if run_file else default,
        concurrency=int(number_from(CONCURRENCY, said)),
        per_minute=rate_from(said, shard),
        timeout=number_from(TIMEOUT, said),
        retries=int(number_from(RETRIES, said)),
        statement_timeout=number_from(STATEMENT_TIMEOUT, said),
        order_by=order_by_from(said),
        filters=filters,
        redact=said.flag("redact"),
        trainings=trainings_wanted(said, now),
        baseline=Path(baseline) if baseline else None,
        fail_on=fail_on_from(said, compared=baseline is not None),
        shard=shard,
    )


def _part(said: Said) -> tuple[Shard | None, Filters]:
    """Which of the models, and which of the users. Raises SettingsError."""
    shard, filters = shard_from(said), filters_from(said)
    if shard and filters.limit is not None:
        raise SettingsError(
            f"{_where(said, 'limit')} and {_where(said, 'shard')} exclude each other: the first users of each shard "
            "are not the first users of all",
            "For a trial run leave the shard out; for a part of the users name them with --user.",
        )
    return shard, filters


def _where(said: Said, name: str) -> str:
    told = said.told(name)
    return option(name) if told is None or told.origin == "option" else f"{option(name)} ({told.where})"


def default_run_file(now: datetime, shard: Shard | None = None) -> Path:
    """What the run file of a run that begins now is called unless told otherwise; its reports stand beside it."""
    part = f"-shard-{shard.number}-of-{shard.of}" if shard else ""
    return _free(f"{REPORTS}/sync-audit-{now:%Y%m%dT%H%M%SZ}{part}")


def _free(stem: str) -> Path:
    """A run file of that name, with a number behind it where a run of the same second has taken it."""
    names = chain([stem], (f"{stem}-{number}" for number in count(2)))
    return next(path for name in names if not (path := Path(f"{name}.sqlite")).exists())


def outputs_from(said: Said) -> tuple[tuple[Format, str], ...]:
    """Formats and paths of the reports; () where nobody has said anything."""
    with said.blaming("output"):
        return outputs(said.texts("output"))


def outputs_beside(run_file: Path) -> tuple[tuple[Format, str], ...]:
    """What is written where nobody has said anything."""
    return ("html", str(run_file.with_suffix(".html"))), ("csv", str(run_file.with_suffix(".csv")))


def outputs(given: tuple[str, ...]) -> tuple[tuple[Format, str], ...]:
    """Formats and paths of `-o [FORMAT=]PATH`; a format that is not said is taken from the path's suffix."""
    return cast("tuple[tuple[Format, str], ...]", outputs_among(given, FORMATS))


def outputs_among(given: tuple[str, ...], formats: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The same for a command that writes other `formats`."""
    return tuple(_output(each, formats) for each in given)


def _output(given: str, formats: tuple[str, ...]) -> tuple[str, str]:
    name, equals, path = given.partition("=")
    if not equals or (name not in formats and re.search(r"[/.\\]", name)):
        suffix = Path(given).suffix.removeprefix(".").lower()
        name, path = _BY_SUFFIX.get(suffix, suffix), given
    if name not in formats:
        known = ", ".join(formats)
        raise SettingsError(
            f"-o {given}: unknown format {name!r}" if name else f"-o {given}: the format cannot be told from the name",
            f"Formats are {known}; write -o FORMAT=PATH, for example -o html={path}",
        )
    if not path:
        raise SettingsError(f"-o {given}: there is no path after the =", f"Write -o {name}=PATH.")
    return name, path
