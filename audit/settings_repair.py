"""What `sync --apply` and `sync --undo` were told beside the plan."""

from collections.abc import Mapping
from pathlib import Path

from audit.api_url import proxy_for
from audit.dsn import Database
from audit.errors import SettingsError
from audit.models import Choices, RunInfo
from audit.settings import (
    CONCURRENCY,
    RATE,
    RETRIES,
    STATEMENT_TIMEOUT,
    TIMEOUT,
    RunSettings,
    base_url_from,
    database_from,
    number_from,
    token_from,
)


def repair_settings(
    options: Mapping[str, object], environ: Mapping[str, str], info: RunInfo, choices: Choices | None, run_file: Path
) -> RunSettings:
    """Where to write and whom to ask: the database and the Replicate of the run, and no other. Raises SettingsError."""
    if environ.get("REPLICATE_BASE_URL"):
        _refuse_other("REPLICATE_BASE_URL", base_url_from(None, environ), info.base_url)
    token_file = options.get("token_file")
    chosen = choices or Choices(outputs=(), concurrency=32, per_minute=2400, timeout=30.0, retries=4)
    return RunSettings(
        database=database_of(options, environ, info),
        token=token_from(None if token_file is None else str(token_file), environ),
        base_url=info.base_url,
        proxy=proxy_for(info.base_url, environ),
        outputs=(),
        run_file=run_file,
        concurrency=int(number_from(CONCURRENCY, options, environ, chosen.concurrency)),
        per_minute=int(number_from(RATE, options, environ, chosen.per_minute)),
        timeout=number_from(TIMEOUT, options, environ, chosen.timeout),
        retries=int(number_from(RETRIES, options, environ, chosen.retries)),
        statement_timeout=number_from(STATEMENT_TIMEOUT, options, environ),
        order_by=info.order_by,
        filters=info.filters,
    )


def database_of(options: Mapping[str, object], environ: Mapping[str, str], info: RunInfo | None) -> Database:
    """The database to be written to: the one of `info`, where that is known. Raises SettingsError."""
    url = options.get("database_url")
    database = database_from(None if url is None else str(url), environ)
    if info:
        _refuse_other("--database-url (DATABASE_URL)", database.label, info.database)
    return database


def _refuse_other(name: str, now: str, then: str) -> None:
    if now != then:
        raise SettingsError(
            f"{name} is {now} now, and was {then} in the run: what was found in one place is not written to another",
            f"Name in {name} what the run was made with, or start a new run.",
        )
