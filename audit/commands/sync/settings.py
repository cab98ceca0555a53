"""What `sync-audit sync` was told about its plan, as one frozen value."""

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain
from pathlib import Path

from audit.cli.settings import Said
from audit.cli.values import (
    CONCURRENCY,
    RATE,
    RETRIES,
    STATEMENT_TIMEOUT,
    TIMEOUT,
    database_from,
    filters_from,
    number_from,
    token_from,
)
from audit.commands.settings import RunSettings
from audit.errors import SettingsError
from audit.model.codes import Reason
from audit.model.run import Choices, Filters, RunInfo
from audit.postgres.url import Database
from audit.replicate.url import checked_base_url, proxy_for


def repair_settings(said: Said, info: RunInfo, choices: Choices | None, run_file: Path) -> RunSettings:
    """Where to write and whom to ask: the database and the Replicate of the run, and no other. Raises SettingsError."""
    base_url = said.text("base_url")
    if base_url is not None:
        _refuse_other("REPLICATE_BASE_URL", checked_base_url(base_url), info.base_url)
    chosen = choices or Choices()
    return RunSettings(
        database=database_of(said, info),
        token=token_from(said),
        base_url=info.base_url,
        proxy=proxy_for(info.base_url, said.environ),
        outputs=(),
        run_file=run_file,
        concurrency=int(number_from(CONCURRENCY, said, chosen.concurrency)),
        per_minute=int(number_from(RATE, said, chosen.per_minute)),
        timeout=number_from(TIMEOUT, said, chosen.timeout),
        retries=int(number_from(RETRIES, said, chosen.retries)),
        statement_timeout=number_from(STATEMENT_TIMEOUT, said),
        order_by=info.order_by,
        filters=info.filters,
    )


def database_of(said: Said, info: RunInfo | None) -> Database:
    """The database to be written to: the one of `info`, where that is known, with its names. Raises SettingsError."""
    database = database_from(said)
    if info is None:
        return database
    _refuse_other("--database-url (DATABASE_URL)", database.label, info.database)
    if said.config and said.config.tables not in (None, info.tables):
        raise SettingsError(
            f"{said.config.name} maps tables or columns otherwise than they were in the run",
            "Use the config file of that run (--config), or start a new run.",
        )
    return replace(database, tables=info.tables)


def _refuse_other(name: str, now: str, then: str) -> None:
    if now != then:
        raise SettingsError(
            f"{name} is {now} now, and was {then} in the run: what was found in one place is not written to another",
            f"Name in {name} what the run was made with, or start a new run.",
        )


INCLUDABLE = (Reason.UNKNOWN_VERSION, Reason.MALFORMED_VERSION)
"""Reasons that are left out unless they are named: whoever wrote these values may have meant something by them."""
MAX_AGE = timedelta(hours=1)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """Settings of a plan."""

    include: frozenset[Reason] = frozenset()
    """Those of `INCLUDABLE` that are wanted."""
    max_age: timedelta = MAX_AGE
    """Older findings are left out."""
    filters: Filters = Filters()  # noqa: RUF009 - frozen
    """Whom the plan is about, and how many rows it changes at most."""
    redact: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        """What to write behind the command to mean the same users, as one argument each."""
        named = [("--include", reason.value) for reason in INCLUDABLE if reason in self.include]
        named += [("--user", who) for who in self.filters.users]
        if self.max_age != MAX_AGE:
            named.append(("--max-age", str(int(self.max_age.total_seconds()))))
        if self.filters.limit:
            named.append(("--limit", str(self.filters.limit)))
        return tuple(chain.from_iterable(named))


def plan_settings(said: Said) -> PlanSettings:
    """Settings of the plan of a repair. Raises SettingsError."""
    max_age = said.text("max_age")
    with said.blaming("include"):
        include = frozenset(map(_includable, said.texts("include")))
    with said.blaming("max_age"):
        oldest = MAX_AGE if max_age is None else _duration(max_age)
    return PlanSettings(include=include, max_age=oldest, filters=filters_from(said), redact=said.flag("redact"))


def _includable(name: str) -> Reason:
    if name not in INCLUDABLE:
        known = " or ".join(INCLUDABLE)
        raise SettingsError(f"--include must be {known}, not {name!r}", "All other reasons are included, or cannot be.")
    return Reason(name)


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"([0-9]{1,7})([smhd]?)", text.strip())
    if not match:
        raise SettingsError(f"--max-age must be a time such as 90m, 2h, 1d or 3600, not {text!r}", "Without it, 1h.")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])
