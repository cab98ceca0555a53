"""Single values of settings, read and checked."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args
from urllib.parse import unquote, urlsplit

from audit.cli.settings import VARIABLES, Said
from audit.errors import SettingsError
from audit.model.codes import FailOn, Format, OrderBy
from audit.model.run import Filters, Shard
from audit.model.shard import parse as parse_shard
from audit.postgres.url import Database, parse_database_url
from audit.replicate.url import DEFAULT_BASE_URL, checked_base_url


@dataclass(frozen=True, slots=True)
class Number:
    """A setting that is a number: its name as a parameter, its default and its bounds."""

    name: str
    default: float
    least: float
    most: float
    whole: bool = True

    @property
    def option(self) -> str:
        """As typed."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """The environment's name for it."""
        return VARIABLES[self.name]


CONCURRENCY = Number("concurrency", 32, 1, 256)
RATE = Number("rate", 2400, 1, 1_000_000)
RETRIES = Number("retries", 4, 0, 20)
TIMEOUT = Number("timeout", 30, 0.1, 3600, whole=False)
STATEMENT_TIMEOUT = Number("statement_timeout", 120, 1, 86_400, whole=False)


def number_from(number: Number, said: Said, default: float | None = None) -> float:
    """The value of `number` as it is set."""
    text = said.text(number.name)
    if text is None:
        return number.default if default is None else default
    convert: Callable[[str], float] = int if number.whole else float
    try:
        value = convert(text)
    except ValueError:
        value = math.nan
    if not number.least <= value <= number.most:
        kind = "a whole number" if number.whole else "a number of seconds"
        with said.blaming(number.name):
            raise SettingsError(
                f"{number.option} ({number.variable}) must be {kind} from {number.least:g} to {number.most:,g},"
                f" not {text!r}",
                f"Without it, {number.default if default is None else default:g} is used.",
            )
    return value


def database_from(said: Said) -> Database:
    """Whose tables are read."""
    url = said.text("database_url")
    if not url:
        raise SettingsError(
            "no database: --database-url is not given and DATABASE_URL is not set",
            "Set DATABASE_URL=postgresql://user:password@host/name; to look around without one: sync-audit demo",
        )
    with said.blaming("database_url"):
        return replace(parse_database_url(url), tables=said.tables)


def base_url_from(said: Said) -> str:
    """Where Replicate is."""
    with said.blaming("base_url"):
        return checked_base_url(said.text("base_url") or DEFAULT_BASE_URL)


def token_from(said: Said) -> str:
    """The token, trimmed; reads the file."""
    with said.blaming("token_file"):
        told = said.told("token_file")
        if told is None or told.origin == "environment":
            return _token(str(told.value) if told else "", "REPLICATE_API_TOKEN", "is not set")
        path = str(told.value)
        return _token(_file(path), f"--token-file {path}", "is empty")


def _token(text: str, source: str, missing: str) -> str:
    token = text.strip()
    if not token:
        raise SettingsError(
            f"no API token: {source} {missing}",
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
    except (OSError, UnicodeError, ValueError) as error:
        cause = getattr(error, "strerror", None) or "it is not text"
        raise SettingsError(f"--token-file {path} cannot be read: {cause.lower()}", "Check the path.") from error


def order_by_from(said: Said) -> OrderBy:
    """What makes a training the latest."""
    known: tuple[str, ...] = get_args(OrderBy)
    column = said.text("order_by")
    if column is not None and column not in known:
        with said.blaming("order_by"):
            raise SettingsError(f"--order-by must be one of {', '.join(known)}, not {column!r}")
    return cast(OrderBy, column or "updated_at")


def fail_on_from(said: Said, default: FailOn = "any", *, compared: bool) -> FailOn:
    """Which findings count; `compared` is true where there is a baseline."""
    value = said.text("fail_on") or default
    known: tuple[str, ...] = get_args(FailOn)
    with said.blaming("fail_on"):
        if value not in known:
            raise SettingsError(f"--fail-on must be one of {', '.join(known)}, not {value!r}")
        if value == "new" and not compared:
            raise SettingsError(
                "--fail-on new needs --baseline: nothing is new without an earlier run to compare with",
                "Add --baseline RUN: a run file, or a JSON report.",
            )
    return cast(FailOn, value)


def filters_from(said: Said) -> Filters:
    """Who is audited."""
    users = tuple(each.strip() for each in said.texts("user"))
    if "" in users:
        with said.blaming("user"):
            raise SettingsError("--user is empty", "Give an e-mail, a user id, or a part of the model id.")
    limit = said.text("limit")
    if limit is not None and not re.fullmatch(r"[1-9][0-9]{0,8}", limit):
        with said.blaming("limit"):
            raise SettingsError(f"--limit must be a whole number from 1, not {limit!r}")
    return Filters(users=users, limit=int(limit) if limit else None, include_tests=said.flag("include_tests"))


def shard_from(said: Said) -> Shard | None:
    """Which part of the models; None for all of them."""
    text = said.text("shard")
    if text is None:
        return None
    with said.blaming("shard"):
        return parse_shard(text)


def rate_from(said: Said, shard: Shard | None) -> int:
    """Requests a minute: where nobody has said how many, shards share what one run would make."""
    return int(number_from(RATE, said, max(1, RATE.default // shard.of) if shard else None))


def password_of(proxy: str | None) -> str:
    """As the proxy wants it; "" where it needs none."""
    return unquote(urlsplit(proxy).password or "") if proxy else ""


FORMATS: tuple[str, ...] = get_args(Format)
_BY_SUFFIX = {"htm": "html", "xml": "junit", "txt": "text"}
"""Formats of suffixes that are not the format's own name."""


def outputs_from(said: Said) -> tuple[tuple[Format, str], ...]:
    """Formats and paths of the reports; () where nobody has said anything."""
    with said.blaming("output"):
        return outputs(said.texts("output"))


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
