"""The settings that commands share, each told once: option, variable, key, type, default, help."""

import math
import os
import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from click.core import ParameterSource

from audit.cli.env_values import alone, why_no_token
from audit.cli.settings import FilePath, Setting
from audit.errors import SettingsError
from audit.files import foreign_text
from audit.model.codes import FailOn, Format, LatestPer, Mode, OrderBy, Reason
from audit.model.text import escape_controls, is_text, os_cause
from audit.model.times import parse_utc

if TYPE_CHECKING:
    from audit.model.shard import Shard
    from audit.postgres.url import Database


# Types. What takes long to import is imported when a value is converted: help and completion have none.


REPORTS = "reports"
"""Where reports and run files go unless told otherwise, below the working directory."""
LATEST = "latest"
"""Stands for the newest whole run in `REPORTS`."""


class RunPath(FilePath):
    """A run; the name of a file that is not here is looked for in `REPORTS`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `FilePath`."""
        path = super().convert(value, param, ctx)
        there = os.path.join(REPORTS, path)  # noqa: PTH118 - a Path drops a slash at the end
        is_bare = bool(path) and os.path.basename(path) == path  # noqa: PTH119 - same
        return there if is_bare and not os.path.lexists(path) and os.path.isfile(there) else path  # noqa: PTH113


class Whole(click.IntRange):
    """A whole number in digits of ASCII."""

    name = "whole number"
    metavar = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType`."""
        if not str(value).isascii():
            self.fail(f"{value!r} is not a valid {self.name}", param, ctx)
        return super().convert(value, param, ctx)


class Number(click.FloatRange):
    """Unlike click's own, no NaN."""

    name = "number"
    metavar = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType`."""
        number = super().convert(value, param, ctx)
        return self.fail(f"{value!r} is not a number", param, ctx) if math.isnan(number) else number


class Seconds(Number):
    """A time."""

    metavar = "S"


_TOKEN_STEP = "Make one at https://replicate.com/account/api-tokens and set REPLICATE_API_TOKEN, or use --token-file."  # noqa: S105


class Token(FilePath):
    """The token: from the file that the option names, or the variable itself."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Raises SettingsError, which never shows what is no token: it may be another secret."""
        name = param.name if param else None
        if ctx and name and ctx.get_parameter_source(name) is ParameterSource.ENVIRONMENT:
            text, what = str(value), "the variable"
        else:
            what = escape_controls(str(value))
            if what.strip().startswith("r8_"):
                raise SettingsError("is the name of a file, and looks like the token itself", _TOKEN_STEP)
            text = _read(str(value))
        if not text.strip():
            raise SettingsError(f"no API token: {what} is empty", _TOKEN_STEP)
        try:
            text = alone(text)
        except SettingsError as error:
            raise SettingsError(f"{what} {error}", error.next_step) from None
        if why := why_no_token(text):
            raise SettingsError(f"{what} is no API token: {why}", "Copy the token again, alone: it begins with r8_.")
        return text


_LARGEST_TOKEN_FILE = 100_000
"""Bytes."""


def _read(path: str) -> str:
    try:
        text = foreign_text(Path(path), _LARGEST_TOKEN_FILE, pipes=True, encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"{path} cannot be read: {os_cause(error).lower()}", "Check the path.") from error
    if text is None:
        raise SettingsError(f"{path} is no file with a token: it is too large", _TOKEN_STEP)
    return text


_BY_SUFFIX = {"htm": "html", "xml": "junit", "txt": "text"}
"""Formats of suffixes that are not the format's own name."""


class Output(FilePath):
    """`[FORMAT=]PATH` -> the format and the path; a format that is not given is that of the path's suffix."""

    quoted = "[FORMAT=]PATH in quotes"

    def __init__(self, formats: tuple[str, ...]) -> None:
        super().__init__("[FORMAT=]PATH")
        self.formats = formats

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Raises SettingsError, which names the formats."""
        name, equals, path = value.partition("=")
        if not equals or (name not in self.formats and re.search(r"[/.\\]", name)):
            suffix = Path(value).suffix.removeprefix(".").lower()
            name, path = _BY_SUFFIX.get(suffix, suffix), value
        if name not in self.formats:
            raise SettingsError(
                f"{value}: unknown format {name!r}" if name else f"{value}: the format cannot be told from the name",
                f"Formats are {', '.join(self.formats)}; write -o FORMAT=PATH, for example -o html={path}",
            )
        if not path:
            raise SettingsError(f"{value}: there is no path after the =", f"Write -o {name}=PATH.")
        return name, super().convert(path, param, ctx)

    def below(self, text: str, folder: Path | None) -> str:
        """As for paths; `-` is standard output."""
        name, equals, path = text.partition("=")
        if not equals or re.search(r"[/.\\]", name):
            return text if text == "-" else super().below(text, folder)
        return text if path == "-" else f"{name}={super().below(path, folder)}"


def _database(url: str) -> "Database":
    from audit.postgres.url import parse_database_url

    return parse_database_url(alone(url))


def _moved_from(text: str) -> str:
    from audit.model.place import is_named

    if not is_named(text.strip()):  # never shown: it may be a URL with a password
        raise SettingsError("must be HOST:PORT/DATABASE", "For example db.example.com:5432/shop.")
    return text.strip()


def _base_url(url: str) -> str:
    from audit.replicate.url import checked_base_url

    return checked_base_url(alone(url))


def _shard(text: str) -> "Shard":
    from audit.model.shard import parse

    return parse(text)


def _user(text: str) -> str:
    if not text.strip():
        raise SettingsError("is empty", "Give an e-mail, a user id, or a part of the model id.")
    if not is_text(text):
        raise SettingsError("is not UTF-8 text", "Give an e-mail, a user id, or a part of the model id.")
    return text.strip()


def _time(text: str) -> datetime:
    if time := parse_utc(text.strip()):
        return time
    raise SettingsError(f"must be a date or a time in ISO 8601, not {text!r}", "For example 2026-03-01.")


def _holds_no_password(url: str) -> None:
    from audit.postgres.url import holds_password

    if holds_password(url):
        raise SettingsError(
            "holds a password, which must not be in a config file",
            "Config files are shared and committed. Leave it out and set PGPASSWORD or a ~/.pgpass, or set the whole "
            "URL in DATABASE_URL.",
        )


# What is audited.
database = Setting(
    "--database-url",
    "database",
    envvar="DATABASE_URL",
    metavar="URL",
    type=_database,
    guard=_holds_no_password,
    missing=(
        "no database: --database-url is not given and DATABASE_URL is not set",
        "Set DATABASE_URL=postgresql://user:password@host/name; to look around without one: sync-audit demo",
    ),
    resumed="same",
    help="PostgreSQL to audit.",
)
moved_from = Setting(
    "--moved-from",
    metavar="HOST:PORT/DATABASE",
    type=_moved_from,
    refused="it is about one run: write --moved-from on the command line",
    help="Where the run was made, if its database has since moved to another server, port or name.",
)
users = Setting(
    "--user",
    "users",
    multiple=True,
    metavar="WHO",
    type=_user,
    resumed="same",
    help="Only this e-mail, user id or part of a model id; repeatable.",
)
limit = Setting(
    "--limit",
    type=Whole(1, 999_999_999),
    resumed="same",
    help="Only the first N users, or lines with --latest-per: a trial run.",
)
shard = Setting(
    "--shard",
    envvar="SYNC_AUDIT_SHARD",
    metavar="K/N",
    type=_shard,
    resumed="same",
    help="Check only part K of N of the models, split by a hash of the model id; `merge` combines them into one run. "
    "Without --rate, a shard makes 1/N of the requests a minute.",
)
order_by = Setting(
    "--order-by",
    type=click.Choice(get_args(OrderBy)),
    default="updated_at",
    resumed="same",
    help="Which date decides which training is the latest.",
)
latest_per = Setting(
    "--latest-per",
    type=click.Choice(get_args(LatestPer)),
    refused="it is about the tables: write latest_per below [database]",
    show_default="latest_per in the config file; user",
    resumed="same",
    help="What is checked: the latest completed row of each user, of each user and model, or every completed row.",
)
stuck_after = Setting(
    "--stuck-after",
    metavar="HOURS",
    type=Number(0, 8760),
    default=6,
    resumed="never",
    help="Check trainings that the product has had in progress for longer than this; 0 checks all.",
)
include_tests = Setting("--include-tests", is_flag=True, resumed="same", help="Check rows with is_test too.")
baseline = Setting(
    "--baseline",
    type=RunPath("RUN"),
    resumed="never",
    help="Mark each finding as new, known or resolved since this run file or JSON report.",
)
accept = Setting(
    "--accept",
    type=FilePath("FILE"),
    show_default="sync-audit-accept.toml, here or above",
    resumed="kept",
    help="File of accepted findings: they do not count until a date.",
)
no_accept = Setting(
    "--no-accept",
    is_flag=True,
    refused="it is about one run: write --no-accept on the command line",
    help="Ignore all files of accepted findings.",
)

# How it is checked.
token = Setting(
    "--token-file",
    "token",
    envvar="REPLICATE_API_TOKEN",
    type=Token(),
    missing=("no API token: REPLICATE_API_TOKEN is not set", _TOKEN_STEP),
    help="File that holds the Replicate API token; the variable holds the token itself.",
)
base_url = Setting(
    "--base-url",
    envvar="REPLICATE_BASE_URL",
    metavar="URL",
    type=_base_url,
    default="https://api.replicate.com/v1",
    resumed="same",
    help="Replicate's API.",
)
mode = Setting(
    "--mode",
    type=click.Choice(get_args(Mode)),
    default="versions",
    resumed="never",
    help="versions: read those of every model. trainings: only where trainings are not enough; misses versions that "
    "were pushed or deleted by hand.",
)
verify_sample = Setting(
    "--verify-sample",
    type=Number(0, 100),
    default=1,
    resumed="never",
    help="With --mode trainings, also check the versions of N percent of the users that trainings were enough for.",
)
trainings = Setting(
    "--trainings",
    is_flag=True,
    resumed="never",
    help="Read the account's trainings too, to see which training made which version.",
)
trainings_since = Setting(
    "--trainings-since",
    metavar="DATE",
    type=_time,
    show_default="a day before the oldest stored one",
    resumed="never",
    help="Read trainings back to this date.",
)
check_weights = Setting(
    "--check-weights",
    is_flag=True,
    resumed="never",
    help="Read the first byte of the weights of each user who is up to date, from Replicate's delivery hosts, without "
    "the token: if they are gone, the user needs a sync.",
)
concurrency = Setting(
    "--concurrency",
    envvar="SYNC_AUDIT_CONCURRENCY",
    type=Whole(1, 256),
    default=128,
    resumed="kept",
    help="Maximum number of requests at the same time.",
)
rate = Setting(
    "--rate",
    "per_minute",
    envvar="SYNC_AUDIT_RATE",
    type=Whole(1, 1_000_000),
    default=2400,
    resumed="kept",
    help="Maximum number of requests a minute; the account's limit is 3,000, and the product uses it too.",
)
timeout = Setting(
    "--timeout",
    envvar="SYNC_AUDIT_TIMEOUT",
    type=Seconds(0.1, 3600),
    default=30,
    resumed="kept",
    help="Seconds for one attempt, with its answer.",
)
retries = Setting(
    "--retries",
    envvar="SYNC_AUDIT_RETRIES",
    type=Whole(0, 20),
    default=4,
    resumed="kept",
    help="Maximum number of retries of a request.",
)
statement_timeout = Setting(
    "--statement-timeout",
    envvar="SYNC_AUDIT_STATEMENT_TIMEOUT",
    type=Seconds(1, 86_400),
    default=120,
    resumed="never",
    help="Seconds for one statement in PostgreSQL.",
)

# What comes of it.
output = Setting(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    type=Output(get_args(Format)),
    show_default="HTML and CSV in reports/",
    resumed="kept",
    help="Write a report; repeatable. FORMAT is html, csv, json, md or junit; it may be left out where PATH ends in "
    ".html, .csv, .json, .md or .xml (junit). PATH - is standard output.",
)
run_file = Setting(
    "--run-file",
    type=FilePath(),
    show_default="reports/sync-audit-<UTC time>.sqlite",
    resumed="never",
    help="Where to keep the run: all answers and findings.",
)
resume = Setting(
    "--resume",
    is_eager=True,
    type=RunPath("RUN"),
    refused="it is about one run: write --resume RUN on the command line",
    help="Finish the stopped run of this run file, or retry its temporary failures.",
)
_NOT_AGAIN = {Reason.MISSING_MODEL_ID, Reason.INVALID_MODEL_ID, Reason.UNREADABLE_ROW, Reason.STOPPED}
"""Reasons of users for whom nobody can be asked, or who are asked for anyway."""
ask_again = Setting(
    "--ask-again",
    multiple=True,
    metavar="REASON",
    type=click.Choice([reason.value for reason in Reason if reason not in _NOT_AGAIN]),
    refused="it is about one run: write --ask-again on the command line",
    help="With --resume: check users with this reason again, too; repeatable.",
)
run = Setting(
    "--run",
    type=RunPath("RUN"),
    refused="options of `sync-audit run` stand at the top level, and --run RUN on the command line",
    help="This run file.",
)
open_page = Setting(
    "--open",
    "open_page",
    is_flag=True,
    refused="it is about one run: write --open on the command line",
    help="Open the HTML report in the browser when it is written.",
)
csv_for_excel = Setting(
    "--csv-for-excel", is_flag=True, help="Begin the CSV with a byte order mark: Excel then reads it as UTF-8."
)
redact = Setting(
    "--redact", is_flag=True, help="Mask e-mail and name in every output, to share a report outside the team."
)
as_json = Setting("--json", "as_json", is_flag=True, help="Print JSON for programs.")
verbose = Setting(
    "-v",
    "--verbose",
    count=True,
    show_default=False,
    help="Log each finding, and list the users of each reason; -vv: log each request too.",
)
quiet = Setting("-q", "--quiet", count=True, show_default=False, help="Print one line; -qq: nothing but errors.")
summary = Setting(
    "--summary",
    type=click.Choice(["slack", "text"]),
    help="Print a message to paste into a chat, on standard output, or on standard error where a report goes there.",
)
log_format = Setting(
    "--log-format", type=click.Choice(["text", "json"]), default="text", help="Format of what -v logs."
)
no_progress = Setting("--no-progress", is_flag=True, help="Show no progress.")
amount = (verbose.but(help="List the users of each reason."), quiet)
"""How much is printed on standard error."""
talk = (verbose, quiet, log_format, no_progress)
"""About standard error."""

# What a pipeline makes of it.
fail_on = Setting(
    "--fail-on",
    type=click.Choice(get_args(FailOn)),
    default="any",
    resumed="kept",
    help="Which users make the exit code 3 if they need a sync: any, new (since --baseline; known errors then don't "
    "count), or never. An incomplete run still ends in 4.",
)
exit_zero = Setting(
    "--exit-zero", is_flag=True, help="End in 0 instead of 3 when users need a sync; nothing else changes."
)
allow_empty = Setting(
    "--allow-empty",
    is_flag=True,
    resumed="kept",
    help="End in 0 instead of 4 when nobody was audited because no user has a row that counts.",
)
github = Setting(
    "--github",
    type=click.Choice(["auto", "off"]),
    default="auto",
    help="auto: inside GitHub Actions, add the Markdown report to the step's summary and print annotations.",
)

RUN = {
    "What is audited": (
        *(database, users, limit, shard, order_by, latest_per, include_tests, stuck_after),
        *(baseline, accept, no_accept, resume, ask_again),
        moved_from.but(help="With --resume: where the run was made, if its database has since moved."),
    ),
    "How it is checked": (
        *(token, base_url, mode, verify_sample, trainings, trainings_since, check_weights),
        *(concurrency, rate, timeout, retries, statement_timeout),
    ),
    "Output": (output, run_file, open_page, csv_for_excel, redact, summary, *talk),
    "CI": (fail_on, exit_zero, allow_empty, github),
}
"""The settings of `sync-audit run`, by the heading under which its help lists them."""
