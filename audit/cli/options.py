"""Options that several commands share."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Command = Callable[..., Any]
OUTPUT_HELP = (
    "Write a report; repeatable. FORMAT is html, csv, json, md or junit; it may be left out where PATH ends in .html, "
    ".csv, .json, .md or .xml (junit). PATH - is standard output."
)


def files(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """For `shell_complete`: paths as the shell itself completes them; of options that say nothing it completes none."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def output(default: str) -> Callable[[Command], Command]:
    """`-o`, whose help ends with what happens without it."""
    text = f"{OUTPUT_HELP}  [{default}]"
    return click.option("-o", "--output", multiple=True, metavar="[FORMAT=]PATH", shell_complete=files, help=text)


def redact(command: Command) -> Command:
    """`--redact`."""
    text = "Mask e-mail and name in every output, so that a report may leave the team."
    return click.option("--redact", is_flag=True, help=text)(command)


def exit_zero(command: Command) -> Command:
    """`--exit-zero`."""
    text = "End in 0 instead of 3 when users need a sync; nothing else changes."
    return click.option("--exit-zero", is_flag=True, help=text)(command)


def accept(default: str) -> Callable[[Command], Command]:
    """`--accept` and `--no-accept`; `default` is what is done without them."""

    def both(command: Command) -> Command:
        without = click.option("--no-accept", is_flag=True, help="Accept nothing, whatever files say.")
        text = f"Findings that need not be acted on until a day.  [default: {default}]"
        return click.option("--accept", metavar="FILE", shell_complete=files, help=text)(without(command))

    return both


def github(command: Command) -> Command:
    """`--github`."""
    text = (
        "Inside GitHub Actions: add the Markdown report to the step's summary and print annotations, or do not.  "
        "[default: auto]"
    )
    return click.option("--github", type=click.Choice(["auto", "off"]), help=text)(command)


def talk(command: Command) -> Command:
    """`-v`, `-q`, `--log-format` and `--no-progress`: all about stderr."""
    decorators = (
        click.option("-v", "--verbose", count=True, help="Log what was found; -vv each request too."),
        click.option("-q", "--quiet", is_flag=True, help="Print nothing but the summary."),
        click.option("--log-format", type=click.Choice(["text", "json"]), help="How -v writes.  [default: text]"),
        click.option("--no-progress", is_flag=True, help="Do not show how the run is getting on."),
    )
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


def _plain(*names: str, metavar: str, text: str) -> Callable[[Command], Command]:
    return click.option(*names, metavar=metavar, help=text)


database_url = _plain("--database-url", metavar="URL", text="PostgreSQL to audit.  [DATABASE_URL]")
token_file = click.option(
    "--token-file",
    metavar="PATH",
    shell_complete=files,
    help="File that holds the Replicate API token.  [REPLICATE_API_TOKEN holds the token]",
)
base_url = _plain(
    "--base-url", metavar="URL", text="Replicate's API.  [REPLICATE_BASE_URL; default: https://api.replicate.com/v1]"
)
concurrency = _plain(
    "--concurrency", metavar="N", text="Requests in flight, 1 to 256.  [SYNC_AUDIT_CONCURRENCY; default: 32]"
)
_RATE = "Requests a minute; the account's limit is 3,000 and the product lives on it too.  [SYNC_AUDIT_RATE; default: "
rate = _plain("--rate", metavar="N", text=f"{_RATE}2400]")
shared_rate = _plain("--rate", metavar="N", text=f"{_RATE}2400, of which a shard makes its N-th part]")
timeout = _plain(
    "--timeout", metavar="S", text="Seconds for one attempt, answer included.  [SYNC_AUDIT_TIMEOUT; default: 30]"
)
retries = _plain("--retries", metavar="N", text="Attempts after the first.  [SYNC_AUDIT_RETRIES; default: 4]")
statement_timeout = _plain(
    "--statement-timeout",
    metavar="S",
    text="Seconds for one statement in PostgreSQL.  [SYNC_AUDIT_STATEMENT_TIMEOUT; default: 120]",
)
order_by = _plain(
    "--order-by",
    metavar="COLUMN",
    text="What makes a training the latest: updated_at, completed_at or created_at.  [default: updated_at]",
)


def users(command: Command) -> Command:
    """`--user`."""
    text = "Only this e-mail, user id or part of a model id; repeatable."
    return click.option("--user", multiple=True, metavar="WHO", help=text)(command)


shard = _plain(
    "--shard",
    metavar="K/N",
    text="Only part K of N of the models, split by a hash of the model id; merge then makes one run of all parts.  "
    "[SYNC_AUDIT_SHARD]",
)


def include_tests(command: Command) -> Command:
    """`--include-tests`."""
    return click.option("--include-tests", is_flag=True, help="Take rows with is_test into account.")(command)


def trainings(command: Command) -> Command:
    """`--trainings`, `--trainings-since`, `--mode` and `--verify-sample`."""
    decorators = (
        click.option(
            "--trainings", is_flag=True, help="Read the account's trainings too: which of them made which version."
        ),
        click.option(
            "--trainings-since",
            metavar="DATE",
            help="Read trainings back to this date.  [default: a day before the oldest recorded one]",
        ),
        click.option(
            "--mode",
            metavar="MODE",
            help="versions: ask for every model. trainings: only where trainings do not settle it; does not see "
            "versions that were pushed or deleted by hand.  [default: versions]",
        ),
        click.option(
            "--verify-sample",
            metavar="N",
            help="With --mode trainings, ask for N percent of those whom trainings settle as well.  [default: 1]",
        ),
    )
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


def as_json(command: Command) -> Command:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(command)
