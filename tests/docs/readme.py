"""The parts of README.md that follow from the code. `python -m tests.docs.readme` puts them in place."""

import re
from collections.abc import Iterator, Mapping

import click

from audit.cli import values as settings_values
from audit.cli.settings import VARIABLES
from audit.commands import cli
from audit.commands.demo import PG_BIN
from audit.hints.table import HINTS
from audit.model.codes import ExitCode, Note, Reason, Status
from audit.model.shard import MOST
from audit.replicate.url import DEFAULT_BASE_URL
from tests import ROOT

PATH = ROOT / "README.md"
_BLOCK = re.compile(r"(<!-- (?P<name>[a-z ]+): from the code -->\n).*?(<!-- end -->)", re.DOTALL)
_COLUMNS = 80


def blocks() -> Mapping[str, str]:
    """What stands between each pair of marks, by the name in the first one."""
    helps = {f"{name} help": _help(name) for name in cli.list_commands(click.Context(cli))}
    return {
        "exit codes": _table(("code", "meaning"), ((str(int(code)), code.meaning) for code in ExitCode)),
        "reasons": _table(("status", "reason", "what it means"), _reasons()),
        "notes": _table(("note", "what it means"), ((f"`{note}`", _meaning(note)) for note in Note)),
        "settings": _table(("variable", "option", "default", ""), _settings()),
        **helps,
    }


def current(text: str) -> str:
    """`text` with every block as it should be."""
    found = blocks()

    def block(match: re.Match[str]) -> str:
        return f"{match[1]}{found[match['name']]}{match[3]}"

    return _BLOCK.sub(block, text)


def block_names(text: str) -> list[str]:
    """The blocks that `text` has, in order."""
    return [match["name"] for match in _BLOCK.finditer(text)]


def _help(name: str) -> str:
    context = click.Context(cli, info_name="sync-audit", terminal_width=_COLUMNS, **cli.context_settings)
    command = cli.get_command(context, name)
    assert command
    child = click.Context(command, parent=context, info_name=name)
    return f"```text\n{command.get_help(child)}\n```\n"


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines)


def _reasons() -> Iterator[tuple[str, ...]]:
    for status in Status:
        shown = f"`{status}`"
        for reason in Reason:
            if reason.status is status:
                yield shown, f"`{reason}`", _meaning(reason)
                shown = ""


def _meaning(code: Reason | Note) -> str:
    return f"**{HINTS[code].title}.** {HINTS[code].meaning}"


def _settings() -> Iterator[tuple[str, ...]]:
    yield "`DATABASE_URL`", "`--database-url`", "", "PostgreSQL to audit"
    yield "`REPLICATE_API_TOKEN`", "`--token-file`", "", "the token; the option names a file that holds it"
    yield "`REPLICATE_BASE_URL`", "`--base-url`", f"`{DEFAULT_BASE_URL}`", "where Replicate is"
    for number in (
        settings_values.CONCURRENCY,
        settings_values.RATE,
        settings_values.TIMEOUT,
        settings_values.RETRIES,
        settings_values.STATEMENT_TIMEOUT,
    ):
        unit = "" if number.whole else " seconds"
        bounds = f"{number.least:,g} to {number.most:,.0f}{unit}"
        yield f"`{number.variable}`", f"`{number.option}`", f"{number.default:g}", bounds
    yield f"`{VARIABLES['shard']}`", "`--shard`", "", f"K/N with N up to {MOST}: one part of the models"
    yield f"`{PG_BIN}`", "", "", "for `demo` and the tests: a directory with PostgreSQL's own programs"


if __name__ == "__main__":
    PATH.write_text(current(PATH.read_text()))
