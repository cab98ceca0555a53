"""The pages of docs/reference/, which follow from the code. `python -m tests.docs.reference` writes them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

import click

from audit.cli import options
from audit.cli.config_file import CHOICES, SETTABLE_NAMES
from audit.cli.settings import Resumed, Setting, all_commands, refusals, top_level
from audit.commands import cli
from audit.commands.demo import PG_BIN
from audit.findings.verdict import VERDICT_RULES, VERDICT_TITLES
from audit.hints.explain import EXPLANATIONS, Explanation
from audit.model import exit_status
from audit.model.tables import COLUMNS, PLAIN, REQUIRED, TABLES, Column, TrainingState
from audit.report.csv_report import COLUMNS as CSV_COLUMNS
from tests import ROOT
from tests.docs import licences, schema_fields

FOLDER = ROOT / "docs" / "reference"
COMMANDS = all_commands(click.Context(cli))
"""Those that hear settings."""
MARK = "<!-- from the code: python -m tests.docs.reference -->\n"


def pages() -> Mapping[str, str]:
    """Each page's text, by its file's name."""
    found = {
        "commands.md": _commands(),
        "exit-codes.md": _exit_codes(),
        "reasons.md": _reasons(),
        "fields.md": _fields(),
        "settings.md": _settings(),
        "licences.md": licences.page(),
    }
    return {name: f"{MARK}\n" + "\n".join(lines) + "\n" for name, lines in found.items()}


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """A Markdown table; cells may hold bars."""
    lines = [head, tuple("---" for _ in head), *rows]
    return [f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines] + [""]


def _commands() -> Iterator[str]:
    yield "# Commands\n"
    yield from _command(cli, "sync-audit")
    for name in cli.list_commands(click.Context(cli)):
        command = cli.get_command(click.Context(cli), name)
        assert command
        yield from _command(command, f"sync-audit {name}")


def _command(command: click.Command, name: str) -> Iterator[str]:
    context = click.Context(command, info_name=name, **cli.context_settings)
    yield f"## {name}\n"
    yield f"`{' '.join((name, *command.collect_usage_pieces(context)))}`\n"
    yield f"{_quoted(command.help or '')}\n"
    options = [each for each in command.get_params(context) if isinstance(each, click.Option)]
    records = [record for record in (option.get_help_record(context) for option in options) if record]
    yield from table(("option", ""), ((f"`{names}`", _escaped(text)) for names, text in records))


def _quoted(text: str) -> str:
    """Prose of a help text: what it names in angle brackets or with stars is meant so."""
    return "\n\n".join(_escaped(" ".join(part.split())) for part in text.replace("\b\n", "").split("\n\n"))


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*")


def _exit_codes() -> Iterator[str]:
    yield "# Exit codes\n"
    yield "The last line on stderr repeats what the code means. 0, 3, 4 and 5 mean alike things everywhere.\n"
    for commands, statuses in exit_status.TABLES.items():
        yield f"## {commands}\n"
        yield from table(("code", "meaning"), ((str(each.code), each.meaning) for each in statuses.values()))
    yield "A code that is in no table of a command means what it means for `run`. `merge` also ends in 2 if the shards"
    yield "are not one run, `user` in 2 if nobody matches or more than one user does, `sync` in 5 if nothing could be"
    yield "begun.\n"
    yield "`--exit-zero` and `--fail-on never` turn 3 into 0 and nothing else. What is accepted counts as if it"
    yield "were not there. Of a part of the users (`--limit`, `--user`, `--shard`) the code is that of those who"
    yield "were checked.\n"
    yield "An audit of nobody is 4, whatever the options but `--allow-empty`: an empty table, or a word for"
    yield "completed that no row has, looks like a product without trouble. A shard may be empty where others are"
    yield "not, and is 0; `merge` decides for all.\n"
    yield "## Verdict\n"
    yield "One word that says whether a release may go. Every report begins with it, and so does the summary on the"
    yield "terminal; in JSON it is `summary.verdict`.\n"
    rules = ((f"**{VERDICT_TITLES[each]}**", f"`{each}`", rule) for each, rule in VERDICT_RULES.items())
    yield from table(("verdict", "in JSON", "when"), rules)
    yield "The first rule that is true decides. `--exit-zero` changes the exit code, and never the verdict: Hold stays"
    yield "Hold. A run that found users who need a sync and could not check others ends in 4, and is a Hold too.\n"
    yield "## What to do\n"
    yield from _explained(each for each in EXPLANATIONS if each.code.isdigit())


def _reasons() -> Iterator[str]:
    yield "# Reasons and notes\n"
    yield "Every user has one status and one reason. Notes tell what else is worth knowing; they change no status."
    yield "`sync-audit explain CODE` says the same, and the reports with the user's own values filled in.\n"
    group = ""
    for each in EXPLANATIONS:
        if each.code.isdigit():
            continue
        if each.group != group:
            group = each.group
            yield f"## {group}\n"
        yield from _explained([each])


def _explained(explanations: Iterable[Explanation]) -> Iterator[str]:
    for each in explanations:
        yield f"### {each.code}\n"
        yield f"**{each.title}.** {_escaped(each.meaning)}\n"
        yield from (f"{number}. {_escaped(step)}" for number, step in enumerate(each.steps, 1))
        yield ""


def _fields() -> Iterator[str]:
    yield "# JSON and CSV\n"
    yield "Fields are only ever added within a `schema_version`. Every key is always there; times are UTC, and what is"
    yield "not known is null. The schemas are in the package, below `audit/report/`.\n"
    yield "Reasons, notes, and kinds in `looked_for` may be added at any time. A reader takes those that it does"
    yield "not know by the user's status, of which there are four for good. `summary.total` counts audited lines,"
    yield "one for each user who has one, and is the sum of the four statuses. How many users there are, and how"
    yield "many of those who would have a line this run has checked, is in `run.coverage`: with `--limit`, `--user`"
    yield "or `--shard` it is a part.\n"
    for path in sorted(
        (ROOT / "audit" / "report").glob("*.json"), key=lambda each: (each.name != "schema-1.json", each.name)
    ):
        yield from schema_fields.section(path)
    yield "## CSV\n"
    yield "RFC 4180, comma, UTF-8, always with the header. Columns, in this order; those of the JSON's users where they"
    yield "have the same name:\n"
    yield ", ".join(f"`{column}`" for column in CSV_COLUMNS) + ".\n"
    yield "`also` is the reason alone, and `coverage` is the same in all lines: `20/800` are 20 checked of 800 who"
    yield "would have a line in a report of everybody. Columns are only ever added, before the last one.\n"
    yield "Times are UTC, as `2026-03-01 11:22:33`, which LibreOffice and Excel take for times; JSON has them whole.\n"
    yield "Notes are joined by `;`. A cell that a spreadsheet would run as a formula begins with `'`."


def _settings() -> Iterator[str]:
    yield "# Settings and environment\n"
    yield "An option wins over its variable, the variable over the config file, the file over the default. An empty"
    yield "variable counts as unset. A wrong value ends the command before anything is asked.\n"
    yield "## Environment\n"
    yield from table(("variable", "option", "default", ""), _variables())
    yield "`HTTPS_PROXY` and `NO_PROXY` are respected. As in Python their lower-case names win, also where they are"
    yield "empty; what is special in a proxy's password is percent-encoded. Where `DATABASE_URL` is silent, its service"
    yield "(`PGSERVICE`), `PGUSER`, `PGPASSWORD`, `~/.pgpass` and `PGSSLMODE` help out."
    yield "`NO_COLOR` and `FORCE_COLOR` are heard too.\n"
    yield "## Config file\n"
    yield "`sync-audit.toml`, or `[tool.sync-audit]` in `pyproject.toml`. How to write one:"
    yield "[Keep settings in a file](../how-to/settings.md).\n"
    for name, keys in (
        ("the top level", top_level(COMMANDS)),
        *((f"`[{each.name}]`", each.keys) for each in COMMANDS if each.own is not None),
    ):
        yield f"Keys of {name}:\n"
        yield from table(("key", "value"), ((f"`{key}`", _wanted(each)) for key, each in keys.items()))
    yield "`[database]` has the words of `training_status`, for each state of a training a word or a list of words. No"
    yield "word may be in two. `completed` is compared exactly, the others without case (A to Z) and blanks around:\n"
    yield from table(
        ("key", "default"),
        ((f"`{state}`", ", ".join(f"`{word}`" for word in PLAIN.words(state))) for state in TrainingState),
    )
    yield "It also has these, each a text in quotes:\n"
    yield from table(
        ("key", "value", ""),
        ((f"`{key}`", f'`"{word}"`', means) for key, words in CHOICES.items() for word, means in words.items()),
    )
    yield '`owner` is the account of models that are recorded by their names alone: `owner = "acme"`. `where` is a'
    yield "condition for the rows of `user_models`, in SQL over the table's own columns; other rows do not count.\n"
    yield f"`[database.tables]` has {_named(TABLES)}; `users = false` says that there is no such table."
    yield f"`[database.queries]` has {_named(TABLES)}: a `SELECT` that is read in the table's place."
    yield "`[database.columns]` has the audit's names of columns, each with the database's name or with an expression,"
    yield '`{sql = "…"}`; those that both tables have are said in `[database.columns.users]` and'
    yield "`[database.columns.user_models]`:\n"
    yield from table(
        ("column", "table", "without it"),
        (
            (f"`{column}`", _named(name for name in TABLES if column in COLUMNS[name]), _without(column))
            for column in Column
        ),
    )
    yield "`[database.repair]` says where a repair writes, if that is not the column behind a name: `table`, `key` (the"
    yield "column that holds the audit's `id`), and `columns`: the name of a column, or a path into one of JSON,"
    yield "`{sql = \"output->>'version'\"}`, for each of"
    yield f"{_named(SETTABLE_NAMES)}.\n"
    yield "Refused, because a file is shared and committed, or because they are about one run:\n"
    yield from table(("key", "why"), ((f"`{key}`", why) for key, why in refusals(COMMANDS).items()))
    yield "## Resuming a run\n"
    yield "`run --resume` asks the config file again for nothing that the run file knows:\n"
    yield from table(("option", "with `--resume`"), _resumed())


def _without(column: Column) -> str:
    if column in {column for columns in REQUIRED.values() for column in columns}:
        return "no audit"
    if column is Column.OWNER:
        return "`owner` of `[database]` counts"
    return column.lost or "a version or a model is needed: one of the three"


def _variables() -> Iterator[tuple[str, ...]]:
    listed = {each.envvar: each for command in COMMANDS for each in command.settings if isinstance(each.envvar, str)}
    for variable, each in listed.items():
        default = "" if each.initial is None else f"`{each.initial}`"
        bounds = ""
        if isinstance(each.type, click.IntRange | click.FloatRange):
            bounds = f" From {each.type.min:g} to {each.type.max:,}."
        yield f"`{variable}`", f"`{each.option}`", default, f"{each.help}{bounds}"
    yield f"`{PG_BIN}`", "", "", "For `demo` and the tests: a directory with PostgreSQL's own programs."


def _wanted(each: Setting) -> str:
    return re.sub(r'"[^"]+"', r"`\g<0>`", each.wanted)


_RESUMED: dict[Resumed, str] = {
    "kept": "is as it was; option or variable may change it",
    "same": "must be as it was, where option or variable say it again",
    "never": "is as it was, and is refused",
}


def _resumed() -> Iterator[tuple[str, ...]]:
    for resumed, words in _RESUMED.items():
        for each in chain.from_iterable(options.RUN.values()):
            if each.resumed == resumed:
                yield f"`{each.option}`", words


def _named(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    for page, text in pages().items():
        (FOLDER / page).write_text(text)
