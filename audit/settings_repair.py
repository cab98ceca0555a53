"""What `sync --apply` and `sync --undo` were told beside the plan."""

from dataclasses import replace
from pathlib import Path

from audit.api_url import checked_base_url, proxy_for
from audit.dsn import Database
from audit.errors import SettingsError
from audit.models import Choices, RunInfo
from audit.said import Said
from audit.settings import RunSettings
from audit.settings_values import (
    CONCURRENCY,
    RATE,
    RETRIES,
    STATEMENT_TIMEOUT,
    TIMEOUT,
    UNTOLD,
    database_from,
    number_from,
    token_from,
)


def repair_settings(said: Said, info: RunInfo, choices: Choices | None, run_file: Path) -> RunSettings:
    """Where to write and whom to ask: the database and the Replicate of the run, and no other. Raises SettingsError."""
    base_url = said.text("base_url")
    if base_url is not None:
        _refuse_other("REPLICATE_BASE_URL", checked_base_url(base_url), info.base_url)
    chosen = choices or UNTOLD
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
