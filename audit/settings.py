"""What a command was told, as one frozen value. The only reader of the environment.

Precedence: option, environment, default. Everything that is wrong or missing is a `SettingsError` that names the
option and the variable. Secrets never show in a repr.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar, cast, get_args
from urllib.parse import unquote, urlsplit

from audit.api_url import DEFAULT_BASE_URL, checked_base_url, proxy_for
from audit.dsn import Database, parse
from audit.errors import SettingsError
from audit.models import Choices, Filters, Format, OrderBy, RunInfo

T = TypeVar("T")

FORMATS: tuple[str, ...] = get_args(Format)
_BY_SUFFIX = {"htm": "html", "xml": "junit"}
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

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that must not show up anywhere, such as in a library's log line."""
        return (self.token, self.database.password or "", _password(self.proxy))


@dataclass(frozen=True, slots=True)
class ResumeSettings:
    """Settings of `sync-audit run --resume`: the database has been read, and the filters are in the run file."""

    token: str = field(repr=False)
    base_url: str
    proxy: str | None = field(repr=False)
    outputs: tuple[tuple[Format, str], ...]
    concurrency: int
    per_minute: int
    timeout: float
    retries: int
    redact: bool = False

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that must not show up anywhere."""
        return (self.token, _password(self.proxy))


def _password(proxy: str | None) -> str:
    return unquote(urlsplit(proxy).password or "") if proxy else ""


@dataclass(frozen=True, slots=True)
class Number:
    """A setting that is a number: its names, its default and its bounds."""

    option: str
    variable: str
    default: float
    least: float
    most: float
    whole: bool = True


CONCURRENCY = Number("--concurrency", "SYNC_AUDIT_CONCURRENCY", 32, 1, 256)
RATE = Number("--rate", "SYNC_AUDIT_RATE", 2400, 1, 1_000_000)
RETRIES = Number("--retries", "SYNC_AUDIT_RETRIES", 4, 0, 20)
TIMEOUT = Number("--timeout", "SYNC_AUDIT_TIMEOUT", 30, 0.1, 3600, whole=False)
STATEMENT_TIMEOUT = Number("--statement-timeout", "SYNC_AUDIT_STATEMENT_TIMEOUT", 120, 1, 86_400, whole=False)


def run_settings(options: Mapping[str, object], environ: Mapping[str, str], now: datetime) -> RunSettings:
    """Settings from command-line `options` (by parameter name; None, False or () where not given) and `environ`.

    Reads the token file, and no other. `now` gives default files their names.
    """
    base_url = base_url_from(_text(options, "base_url"), environ)
    stem = f"{REPORTS}/sync-audit-{now:%Y%m%dT%H%M%SZ}"
    run_file = _text(options, "run_file")
    return RunSettings(
        database=database_from(_text(options, "database_url"), environ),
        token=token_from(_text(options, "token_file"), environ),
        base_url=base_url,
        proxy=proxy_for(base_url, environ),
        outputs=outputs(_texts(options, "output")) or (("html", f"{stem}.html"), ("csv", f"{stem}.csv")),
        run_file=Path(run_file) if run_file else Path(f"{stem}.sqlite"),
        concurrency=int(number_from(CONCURRENCY, options, environ)),
        per_minute=int(number_from(RATE, options, environ)),
        timeout=number_from(TIMEOUT, options, environ),
        retries=int(number_from(RETRIES, options, environ)),
        statement_timeout=number_from(STATEMENT_TIMEOUT, options, environ),
        order_by=_order_by(_text(options, "order_by")),
        filters=_filters(options),
        redact=bool(options.get("redact")),
    )


def resume_settings(
    options: Mapping[str, object], environ: Mapping[str, str], info: RunInfo, choices: Choices | None
) -> ResumeSettings:
    """Settings for finishing the run that `info` and `choices` describe: where nothing is said now, they hold.

    Raises SettingsError where what is said now belongs to another audit; both sides are then named.
    """
    _refuse_other_audit(options, environ, info)
    chosen = choices or Choices(outputs=(), concurrency=32, per_minute=2400, timeout=30.0, retries=4)
    base_url = info.base_url
    return ResumeSettings(
        token=token_from(_text(options, "token_file"), environ),
        base_url=base_url,
        proxy=proxy_for(base_url, environ),
        outputs=outputs(_texts(options, "output")) or chosen.outputs,
        concurrency=int(number_from(CONCURRENCY, options, environ, chosen.concurrency)),
        per_minute=int(number_from(RATE, options, environ, chosen.per_minute)),
        timeout=number_from(TIMEOUT, options, environ, chosen.timeout),
        retries=int(number_from(RETRIES, options, environ, chosen.retries)),
        redact=bool(options.get("redact")),
    )


def _refuse_other_audit(options: Mapping[str, object], environ: Mapping[str, str], info: RunInfo) -> None:
    for option in ("run_file", "statement_timeout"):
        if options.get(option) is not None:
            name = option.replace("_", "-")
            raise SettingsError(f"--{name} has no meaning with --resume: records and run file are there already")
    url = first(_text(options, "database_url"), "DATABASE_URL", environ)
    base_url = first(_text(options, "base_url"), "REPLICATE_BASE_URL", environ)
    filters = _filters(options)
    said = (
        ("--database-url (DATABASE_URL)", parse(url).label if url else None, info.database),
        ("--base-url (REPLICATE_BASE_URL)", base_url_from(base_url, {}) if base_url else None, info.base_url),
        ("--order-by", options.get("order_by"), info.order_by),
        ("--user", filters.users or None, info.filters.users),
        ("--limit", filters.limit, info.filters.limit),
        ("--include-tests", filters.include_tests or None, info.filters.include_tests),
    )
    for name, now, then in said:
        if now is not None and now != then:
            raise SettingsError(
                f"{name} is {_plain(now)} now, and was {_plain(then)} in the run to be resumed: two audits do not mix",
                f"Leave {name} out to finish that run, or start a new one without --resume.",
            )


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "not given"
    return "not given" if value is None or value is False else "given" if value is True else str(value)


def outputs(given: tuple[str, ...]) -> tuple[tuple[Format, str], ...]:
    """Formats and paths of `-o [FORMAT=]PATH`; a format that is not said is taken from the path's suffix."""
    return tuple(_output(each) for each in given)


def _output(given: str) -> tuple[Format, str]:
    name, equals, path = given.partition("=")
    if not equals or (name not in FORMATS and re.search(r"[/.\\]", name)):
        suffix = Path(given).suffix.removeprefix(".").lower()
        name, path = _BY_SUFFIX.get(suffix, suffix), given
    if name not in FORMATS:
        known = ", ".join(FORMATS)
        raise SettingsError(
            f"-o {given}: unknown format {name!r}" if name else f"-o {given}: the format cannot be told from the name",
            f"Formats are {known}; write -o FORMAT=PATH, for example -o html={path}",
        )
    if not path:
        raise SettingsError(f"-o {given}: there is no path after the =", f"Write -o {name}=PATH.")
    return cast(Format, name), path


def _text(options: Mapping[str, object], name: str) -> str | None:
    value = options.get(name)
    return None if value is None else str(value)


def _texts(options: Mapping[str, object], name: str) -> tuple[str, ...]:
    return tuple(str(each) for each in cast("tuple[object, ...]", options.get(name) or ()))


def first(option: str | None, variable: str, environ: Mapping[str, str]) -> str | None:
    """The option if given, else the variable; an empty variable counts as unset, as CI systems leave them so."""
    return option if option is not None else environ.get(variable) or None


def database_from(option: str | None, environ: Mapping[str, str]) -> Database:
    """Whose tables are read. Raises SettingsError."""
    url = first(option, "DATABASE_URL", environ)
    if not url:
        raise SettingsError(
            "no database: --database-url is not given and DATABASE_URL is not set",
            "Set DATABASE_URL=postgresql://user:password@host/name; to look around without one: sync-audit demo",
        )
    return parse(url)


def token_from(token_file: str | None, environ: Mapping[str, str]) -> str:
    """The token, trimmed; reads the file. Raises SettingsError."""
    source = f"--token-file {token_file}" if token_file is not None else "REPLICATE_API_TOKEN"
    text = environ.get("REPLICATE_API_TOKEN", "") if token_file is None else _file(token_file)
    token = text.strip()
    if not token:
        raise SettingsError(
            f"no API token: {source} is empty" if token_file else "no API token: REPLICATE_API_TOKEN is not set",
            "Make one at https://replicate.com/account/api-tokens and set REPLICATE_API_TOKEN, or use --token-file.",
        )
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise SettingsError(
            f"{source} is no API token: it contains blanks, line breaks or characters outside ASCII",
            "Copy the token again, alone: it begins with r8_.",
        )
    return token


def _file(path: str) -> str:
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeError) as error:
        cause = getattr(error, "strerror", None) or "it is not text"
        raise SettingsError(f"--token-file {path} cannot be read: {cause.lower()}", "Check the path.") from error


def base_url_from(option: str | None, environ: Mapping[str, str]) -> str:
    """Where Replicate is. Raises SettingsError."""
    return checked_base_url(first(option, "REPLICATE_BASE_URL", environ) or DEFAULT_BASE_URL)


def number_from(
    number: Number, options: Mapping[str, object], environ: Mapping[str, str], default: float | None = None
) -> float:
    """The value of `number` as it is set. Raises SettingsError."""
    name = number.option.removeprefix("--").replace("-", "_")
    text = first(_text(options, name), number.variable, environ)
    if text is None:
        return number.default if default is None else default
    convert: Callable[[str], float] = int if number.whole else float
    try:
        value = convert(text)
    except ValueError:
        value = math.nan
    if not number.least <= value <= number.most:
        kind = "a whole number" if number.whole else "a number of seconds"
        raise SettingsError(
            f"{number.option} ({number.variable}) must be {kind} from {number.least:g} to {number.most:,g},"
            f" not {text!r}",
            f"Without it, {number.default:g} is used.",
        )
    return value


def _order_by(option: str | None) -> OrderBy:
    known: tuple[str, ...] = get_args(OrderBy)
    if option is not None and option not in known:
        raise SettingsError(f"--order-by must be one of {', '.join(known)}, not {option!r}")
    return cast(OrderBy, option or "updated_at")


def _filters(options: Mapping[str, object]) -> Filters:
    users = tuple(each.strip() for each in _texts(options, "user"))
    if "" in users:
        raise SettingsError("--user is empty", "Give an e-mail, a user id, or a part of the model id.")
    limit = _text(options, "limit")
    if limit is not None and not re.fullmatch(r"[1-9][0-9]{0,8}", limit):
        raise SettingsError(f"--limit must be a whole number from 1, not {limit!r}")
    return Filters(users=users, limit=int(limit) if limit else None, include_tests=bool(options.get("include_tests")))
