"""The parts of README.md that follow from the code. `python -m tests.docs.readme` puts them in place."""

import re
from collections.abc import Iterator, Mapping

import click

from audit.commands import cli
from audit.model.exit_status import RUN
from tests import ROOT

PATH = ROOT / "README.md"
_BLOCK = re.compile(r"(<!-- (?P<name>[a-z ]+): from the code -->\n).*?(<!-- end -->)", re.DOTALL)
_LONGEST = 200
"""Characters of the sentence that says what a command does; none is cut."""
PAGES = {
    "init": "docs/how-to/tables.md",
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
    "history": "docs/how-to/keep-runs.md",
    "prune": "docs/how-to/keep-runs.md",
}
"""The page that says more about each command."""


def blocks() -> Mapping[str, str]:
    """What stands between each pair of marks, by the name in the first one."""
    return {
        "commands": _table(("command", "does", "more"), _commands()),
        "exit codes": _table(("code", "meaning"), ((str(code), RUN[code].meaning) for code in RUN)),
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


if __name__ == "__main__":
    PATH.write_text(current(PATH.read_text()))
