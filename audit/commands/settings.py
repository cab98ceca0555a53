"""What a run was told, as one frozen value.

Everything that is wrong or missing is a `SettingsError`. Secrets never show in a repr.
"""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from typing import cast, get_args

from audit.cli.settings import Said, option
from audit.cli.values import (
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
    outputs_from,
    password_of,
    rate_from,
    shard_from,
    token_from,
)
from audit.errors import SettingsError
from audit.model.codes import FailOn, Format, Mode, OrderBy
from audit.model.findings import Acceptances
from audit.model.replies import TrainingsRead
from audit.model.run import Filters, Shard
from audit.postgres.url import Database
from audit.replicate.url import proxy_for

SAMPLE = 1.0
"""Percent of those settled by trainings whose versions are asked for all the same."""


def trainings_wanted(said: Said, now: datetime) -> TrainingsRead | None:
    """What is said of them; None where they are not to be read. Raises SettingsError.

    A config file may say how trainings are to be read where they are, and be heard no further where they are not.
    """
    with said.blaming("mode"):
        mode = _mode(said.text("mode") or "versions")
    if mode != "trainings" and said.options.get("verify_sample") is not None:
        raise SettingsError(
            "--verify-sample has no meaning without --mode trainings", "By versions everybody is asked for."
        )
    if mode != "trainings" and not said.flag("trainings"):
        if said.options.get("trainings_since") is not None:
            raise SettingsError("--trainings-since has no meaning without --trainings", "Add --trainings.")
        return None
    since, sample = said.text("trainings_since"), said.text("verify_sample")
    with said.blaming("trainings_since"):
        back_to = None if since is None else _since(since, now)
    with said.blaming("verify_sample"):
        percent = _percent(sample)
    return TrainingsRead(mode=mode, since=back_to, sample=percent if mode == "trainings" else 0.0)


def _mode(text: str) -> Mode:
    if text not in get_args(Mode):
        raise SettingsError(f"--mode must be one of {', '.join(get_args(Mode))}, not {text!r}")
    return cast(Mode, text)


def _since(text: str, now: datetime) -> str:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise SettingsError(
            f"--trainings-since must be a date or a time in ISO 8601, not {text!r}", "For example 2026-03-01."
        ) from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if moment > now:
        raise SettingsError(f"--trainings-since {text} is in the future", "Trainings that are read began after it.")
    return moment.isoformat().replace("+00:00", "Z")


def _percent(text: str | None) -> float:
    if text is None:
        return SAMPLE
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 100:
        raise SettingsError(f"--verify-sample must be a percentage from 0 to 100, not {text!r}")
    return value


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


def outputs_beside(run_file: Path) -> tuple[tuple[Format, str], ...]:
    """What is written where nobody has said anything."""
    return ("html", str(run_file.with_suffix(".html"))), ("csv", str(run_file.with_suffix(".csv")))


@dataclass(frozen=True, slots=True)
class ResumeSettings:
    """The database has been read, and the filters are in the run file."""

    token: str = field(repr=False)
    base_url: str
    proxy: str | None = field(repr=False)
    outputs: tuple[tuple[Format, str], ...]
    concurrency: int
    per_minute: int
    timeout: float
    retries: int
    redact: bool = False
    fail_on: FailOn = "any"
    replaces_acceptances: bool = False
    """Whether `acceptances` take the place of those of the run."""
    acceptances: Acceptances | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that must not show up anywhere."""
        return (self.token, password_of(self.proxy))
