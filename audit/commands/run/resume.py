"""Settings of `sync-audit run --resume`, whose run file stands in the place of the config file."""

from audit.cli.settings import Said
from audit.cli.values import (
    CONCURRENCY,
    RATE,
    RETRIES,
    TIMEOUT,
    fail_on_from,
    filters_from,
    number_from,
    outputs_from,
    shard_from,
    token_from,
)
from audit.commands.settings import ResumeSettings
from audit.errors import SettingsError
from audit.model.run import Choices, RunInfo, Shard
from audit.model.shard import spelled
from audit.postgres.url import parse_database_url
from audit.replicate.url import checked_base_url, proxy_for

STILL_HEARD = ("token_file", "redact")
"""Of the config file. Its other values were heard when the run was begun, and the run file has them."""


def resume_settings(everything: Said, info: RunInfo, choices: Choices | None) -> ResumeSettings:
    """Settings for finishing the run that `info` and `choices` describe: where nothing is said now, they hold.

    Raises SettingsError where what is said now belongs to another audit; both sides are then named.
    """
    said = everything.asked_of_config(*STILL_HEARD)
    _refuse_other_audit(said, info)
    chosen = choices or Choices()
    base_url = info.base_url
    return ResumeSettings(
        token=token_from(said),
        base_url=base_url,
        proxy=proxy_for(base_url, said.environ),
        outputs=outputs_from(said) or chosen.outputs,
        concurrency=int(number_from(CONCURRENCY, said, chosen.concurrency)),
        per_minute=int(number_from(RATE, said, chosen.per_minute)),
        timeout=number_from(TIMEOUT, said, chosen.timeout),
        retries=int(number_from(RETRIES, said, chosen.retries)),
        redact=said.flag("redact"),
        fail_on=fail_on_from(said, chosen.fail_on, compared=info.baseline is not None),
    )


def _refuse_other_audit(said: Said, info: RunInfo) -> None:
    for option in ("run_file", "statement_timeout", "baseline"):
        if said.options.get(option) is not None:
            name = option.replace("_", "-")
            raise SettingsError(
                f"--{name} has no meaning with --resume: records, run file and baseline are there already"
            )
    for option in ("trainings", "trainings_since", "mode", "verify_sample"):
        if said.options.get(option):
            name = option.replace("_", "-")
            raise SettingsError(f"--{name} has no meaning with --resume: the run goes on as it was begun")
    if said.config and said.config.tables not in (None, info.tables):
        raise SettingsError(
            f"{said.config.name} maps tables or columns otherwise than they were in the run to be resumed: two audits "
            "do not mix",
            "Use the config file of that run (--config) or none (--no-config), or start a new run without --resume.",
        )
    url, base_url, filters = said.text("database_url"), said.text("base_url"), filters_from(said)
    compared = (
        ("--database-url (DATABASE_URL)", parse_database_url(url).label if url else None, info.database),
        ("--base-url (REPLICATE_BASE_URL)", checked_base_url(base_url) if base_url else None, info.base_url),
        ("--order-by", said.text("order_by"), info.order_by),
        ("--user", filters.users or None, info.filters.users),
        ("--limit", filters.limit, info.filters.limit),
        ("--shard (SYNC_AUDIT_SHARD)", shard_from(said), info.shard),
        ("--include-tests", filters.include_tests or None, info.filters.include_tests),
    )
    for name, now, then in compared:
        if now is not None and now != then:
            raise SettingsError(
                f"{name} is {_plain(now)} now, and was {_plain(then)} in the run to be resumed: two audits do not mix",
                f"Leave {name} out to finish that run, or start a new one without --resume.",
            )


def _plain(value: object) -> str:
    if isinstance(value, Shard):
        return spelled(value)
    if isinstance(value, tuple):
        return ", ".join(value) or "not given"
    return "not given" if value is None or value is False else "given" if value is True else str(value)
