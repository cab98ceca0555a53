"""The parts of README.md that follow from the code. `python -m tests.docs.readme` puts them in place."""

import re
from collections.abc import Iterator, Mapping

import click

from audit.cli import values as settings_values
from audit.cli.settings import VARIABLES
from audit.commands import cli
from audit.commands.demo import PG_BIN
from audit.model.exit_status import RUN
from audit.model.shard import MOST
from audit.replicate.url import DEFAULT_BASE_URL
from tests import ROOT

PATH = ROOT / "README.md"
_BLOCK = re.compile(r"(<!-- (?P<name>[a-z ]+): from the code -->\n).*?(<!-- end -->)", re.DOTALL)
_LONGEST = 200
"""Characters of the sentence that says what a command does; none is cut."""
PAGES = {
    "run": "docs/how-to/run.md",
    "demo": "docs/tutorial.md",
    "render": "docs/how-to/reports.md",
    "doctor": "docs/how-to/doctor.md",
    "user": "docs/how-to/incident.md",
    "explain": "docs/reference/reasons.md",
    "sync": "docs/how-to/repair.md",
    "merge": "docs/how-to/shards.md",
    "diff": "docs/how-to/compare.md",
    "accept": "docs/how-to/accept.md",
}
"""The page that says more about each command."""


def blocks() -> Mapping[str, str]:
    """What stands between each pair of marks, by the name in the first one."""
    return {
        "commands": _table(("command", "does", "more"), _commands()),
        "exit codes": _table(("code", "meaning"), ((str(code), RUN[code].meaning) for code in RUN)),
    }


def environment() -> str:
    """The table of environment variables, which the reference has."""
    return _table(("variable", "option", "default", ""), _settings())


def current(text: str) -> str:
    """`text` with every block as it should be."""
    found = blocks()

    def block(match: re.Match[str]) -> str:
        return f"{match[1]}{found[match['name']]}{match[3]}"

    return _BLOCK.sub(block, text)


def block_names(text: str) -> list[str]:
    """The blocks that `text` has, in order."""
    return [match["name"] for match in _BLOCK.finditer(text)]


def _commands() -> Iterator[tuple[str, ...]]:
    for name in cli.list_commands(click.Context(cli)):
        command = cli.get_command(click.Context(cli), name)
        assert command
        page = PAGES[name]
        title = (ROOT / page).read_text().partition("# ")[2].partition("\n")[0]
        yield f"`{name}`", command.get_short_help_str(_LONGEST), f"[{title}]({page})"


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines)


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
